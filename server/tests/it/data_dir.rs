//! One server on one folder, as people start it: the second says who is there, commands work beside the first, a killed one leaves no lock.

use crate::support::{
    program::{Ended, run},
    world::{Setup, World},
};
use testbed::free_port;

async fn world() -> World {
    World::with(Setup {
        process: true,
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_one_folder_ends_with_who_holds_it() {
    let mut world = world().await;
    let other_port = format!("127.0.0.1:{}", free_port().unwrap());
    let same_port = world.base_url.trim_start_matches("http://").to_owned();
    for listen in [other_port, same_port] {
        let Ended { code, said } = run(world.program(&["serve"]).env("WAYBILL_LISTEN", listen)).await;
        assert_eq!(code, 1, "{said}");
        let holder = format!("process {} on host ", world.process_id());
        assert!(
            said.contains("another server is running on ") && said.contains(&holder),
            "{said}"
        );
        assert!(said.contains(", since 20"), "{said}");
    }
    // The first one notices nothing.
    let digest = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &digest).await;
    for command in [
        &[
            "token",
            "create",
            "--name",
            "beside",
            "--role",
            "viewer",
            "--workspace",
            "demo",
        ][..],
        &["ledger", "verify"],
        &["migrate"],
    ] {
        let Ended { code, said } = run(&mut world.program(command)).await;
        assert_eq!(code, 0, "{command:?}: {said}");
    }
    let Ended { code, said } = run(&mut world.program(&["key", "replace"])).await;
    assert!(code == 1 && said.contains("another server is running on "), "{said}");
    world.kill();
    world.restart().await;
    world.stop().await;
    world.restart().await;
}
