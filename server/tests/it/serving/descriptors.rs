//! A server whose descriptors run out, or are few from the beginning.

use super::{Client, post};
use crate::support::world::{PATIENCE, Setup, World, until, values_path};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::{fs, path::PathBuf};
use testbed::{WaybillOptions, WaybillProcess, free_port};
use tokio::{net::TcpStream, time::timeout};

fn log(world: &World) -> String {
    fs::read_to_string(world.log_file()).unwrap()
}

/// Lets a process open this many files.
fn allow(pid: u32, files: u64) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    let limit = Rlimit {
        current: Some(files),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_descriptors_loses_nothing_and_goes_on_when_it_has_some() {
    let world = World::with(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    let open = fs::read_dir(format!("/proc/{}/fd", world.process_id()))
        .unwrap()
        .count() as u64;
    // Fewer than are open: nothing more can be opened, by nobody.
    allow(world.process_id(), open.saturating_sub(10));
    let address = world.base_url.trim_start_matches("http://").to_owned();
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = Client(TcpStream::connect(&address).await.unwrap());
        client.send(&format!("{}{{", post(100))).await;
        clients.push(client);
    }
    until("connections not to be accepted", async || {
        log(&world).contains("connections can't be accepted").then_some(())
    })
    .await;
    // Git is looked at all the time; what is new there needs files.
    let writer = world.repository.outsider("main").await.unwrap();
    let path = values_path("development");
    let text = world.repository.read_file("main", &path).await.unwrap().unwrap();
    let text = format!("{}# by hand\n", String::from_utf8(text).unwrap());
    writer.commit(&[(&path, &text)], "By hand").await.unwrap();
    let faults = |log: &str| {
        let is_fault = |line: &&str| line.contains("Too many open files") && !line.contains("can't be accepted");
        log.lines().filter(is_fault).count()
    };
    until("work to fail for want of files", async || {
        (faults(&log(&world)) > 0).then_some(())
    })
    .await;
    drop(clients);
    allow(world.process_id(), open + 200);
    let healthz = format!("{}/healthz", world.base_url);
    until("the server to answer again", async || {
        timeout(PATIENCE, reqwest::get(&healthz)).await.ok()?.ok()
    })
    .await;
    let digest = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &digest).await;
    let log = log(&world);
    assert!(!log.contains("made anew") && !log.contains("mirror anew"), "{log}");
    let (failed, again) = (
        log.matches("connections can't be accepted"),
        log.matches("connections are accepted again"),
    );
    assert!(failed.count() <= again.count() + 1, "said once each time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_connections_are_served_where_few_files_may_be_open() {
    let directory = tempfile::tempdir().unwrap();
    let base_url = format!("http://127.0.0.1:{}", free_port().unwrap());
    let listen = base_url.trim_start_matches("http://").to_owned();
    let start = async |limit: &str| {
        let raise = format!(
            "ulimit -S -n 300; ulimit -H -n {limit}; exec {} serve",
            env!("CARGO_BIN_EXE_waybill")
        );
        let options = WaybillOptions::new(PathBuf::from("/bin/sh"), directory.path(), &base_url)
            .arguments(["-c", &raise])
            .environment("WAYBILL_LISTEN", &listen)
            .environment("WAYBILL_LOG_FORMAT", "json");
        let server = WaybillProcess::start(&options).await.unwrap();
        let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let soft = line.split_whitespace().nth(3).unwrap().to_owned();
        let log = server.log();
        server.stop(PATIENCE).await;
        (soft, log)
    };
    // The soft limit is raised to the hard one.
    let (soft, log) = start("5000").await;
    assert_eq!(soft, "5000");
    assert!(!log.contains("fewer connections"), "{log}");
    let (soft, log) = start("1024").await;
    assert_eq!(soft, "1024");
    let said = log
        .lines()
        .find(|line| line.contains("fewer connections are served"))
        .unwrap();
    assert!(
        said.contains("\"connections\":704") && said.contains("\"open_files\":1024") && said.contains("LimitNOFILE"),
        "{said}"
    );
}
