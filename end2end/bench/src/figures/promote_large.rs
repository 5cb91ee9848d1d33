//! The same as `promote_vs_script_small`, on a repository that is large in files and in history.

use super::deployment::PATIENCE;
use crate::{
    Outcome,
    clock::{median, now},
    report::{Report, number},
    repository::{self, Watch, script, values, values_path},
    scale::Scale,
    world::Ground,
};
use serde_json::json;

const IMAGE: &str = "bench/large";

/// Measures `promote_vs_script_large`.
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    eprintln!("Setting up a repository of {} files and commits …", scale.large);
    let builds = [ground.build(IMAGE, 1).await?, ground.build(IMAGE, 2).await?];
    let host = ground.registry.host();
    let image = format!("{host}/{IMAGE}");
    let names = ["old", "new", "target"];
    // Two sources that differ, so that there is always something to promote.
    let files: Vec<(String, String)> = names
        .iter()
        .map(|environment| {
            let build = if *environment == "new" { 2 } else { 1 };
            let digest = builds.get(build - 1).map_or("", String::as_str);
            let services = (0..50).map(|s| (format!("svc-{s:03}"), image.as_str(), build, digest));
            (values_path(environment), values(services))
        })
        .collect();
    let repository = ground.repositories().join("large.git");
    repository::create(&repository, &files, scale.large, scale.large)?;
    let server = ground.server("large").await?;
    let of_image = |build: usize| json!([{ "name": "svc-000", "source": { "image": image }, "binding": { "pin": builds[build - 1] } }]);
    server
        .apply(&json!({
            "workspace": "bench",
            "clusters": [ground.cluster("git-only", None)],
            "projects": [{
                "name": "large",
                "repository": ground.repository("large.git"),
                "environments": [
                    { "name": "old", "cluster": "git-only", "resources": of_image(1) },
                    { "name": "new", "cluster": "git-only", "resources": of_image(2) },
                    { "name": "target", "cluster": "git-only", "resources": [{
                        "name": "svc-000", "binding": { "pin": builds[0] },
                        "source": { "promote": { "environment": "old", "resource": "svc-000" } },
                    }] },
                ],
            }],
        }))
        .await?;
    server.idle(PATIENCE).await?;
    let from = |time: usize| if time.is_multiple_of(2) { "new" } else { "old" };
    server.promote("large", "svc-000", from(0), "target").await?;
    server.idle(PATIENCE).await?;

    let directory = ground.root().join("people-large");
    std::fs::create_dir_all(&directory)?;
    let url = ground.git.url("large.git");
    let watch = Watch::start(&repository)?;
    let (mut ours, mut scripts) = (Vec::new(), Vec::new());
    for time in 1..=scale.large_singles {
        let moves = watch.moves();
        let promotion = server.promote("large", "svc-000", from(time), "target").await?;
        let arrived = watch.moved(moves, PATIENCE).await?;
        ours.push(arrived - server.database.recorded_at(&promotion).await?);
        server.idle(PATIENCE).await?;

        let (moves, began) = (watch.moves(), now());
        script(&url, &directory, "target", "svc-040", &builds[time % 2])?;
        scripts.push(watch.moved(moves, PATIENCE).await? - began);
    }
    let (ours, scripts) = (median(&ours), median(&scripts));
    report.value("promote_vs_script_large", ours / scripts);
    report.note(format!(
        "{} files and commits: a promotion takes {} s, the script {} s",
        scale.large,
        number(ours),
        number(scripts)
    ));
    Ok(())
}
