//! A digest that runs in many places of many repositories is recalled: how long its list takes, and until all places are moved back in Git.
//!
//! All resources of all projects take one image from the registry, and were promoted to two builds of it. The second is recalled.

use crate::{
    Outcome,
    clock::{median, now},
    report::{Report, number},
    repository::{self, values, values_path},
    scale::Scale,
    world::{Ground, Server},
};
use serde_json::{Value, json};
use std::time::Duration;

const IMAGE: &str = "bench/recall";
const ENVIRONMENT: &str = "production";
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures `recall_1000_list` and `recall_1000`.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    let (places, projects) = scale.recall;
    let first = ground.build(IMAGE, 1).await?;
    let server = start(ground, places / projects, projects, &first).await?;
    let mut digest = String::new();
    for n in 2..=3 {
        digest = ground.build(IMAGE, n).await?;
        server.notify(IMAGE, &crate::world::tag(n), &digest).await?;
        all_have(&server, &digest, places).await?;
    }
    let path = format!("/api/v1/artifacts/{digest}/recall");
    let answer = server.post(&path, &json!({ "reason": "it loses orders" })).await?;
    let listed = answer["places"].as_array().map_or(0, Vec::len);
    if listed != places {
        return Err(format!("{listed} of {places} places are listed").into());
    }
    let mut times = Vec::new();
    for _ in 0..scale.renders {
        let began = now();
        let answer = server.get(&path).send().await?.error_for_status()?;
        answer.bytes().await?;
        times.push(now() - began);
    }
    report.value("recall_1000_list", median(&times));
    let before = ground.git.pushes();
    let began = now();
    let moved = server.post(&format!("{path}/move-back"), &json!({})).await?;
    let answered = now() - began;
    if moved["started"] != json!(places) {
        return Err(format!("not all places are moved back: {moved}").into());
    }
    server.idle(PATIENCE).await?;
    report.value("recall_1000", now() - began);
    report.note(format!(
        "moving {places} places in {projects} repositories back is answered after {} s, and takes {} pushes",
        number(answered),
        number((ground.git.pushes() - before) as f64)
    ));
    Ok(())
}

/// A server with projects of a repository each, in which all resources take the image.
async fn start(ground: &Ground, services: usize, projects: usize, first: &str) -> Outcome<Server> {
    let image = format!("{}/{IMAGE}", ground.registry.host());
    let name = |n: usize| format!("svc-{n:03}");
    let server = ground.server("recall").await?;
    let cluster = ground.cluster("one", None);
    for p in 0..projects {
        let declared = (0..services).map(|s| (name(s), image.as_str(), 1, first));
        let files = [(values_path(ENVIRONMENT), values(declared))];
        let repository = format!("recall-{p:02}.git");
        repository::create(&ground.repositories().join(&repository), &files, 0, 1)?;
        let resources: Vec<Value> = (0..services)
            .map(|s| json!({ "name": name(s), "source": { "image": image } }))
            .collect();
        let project = json!({
            "name": format!("recall-{p:02}"),
            "repository": ground.repository(&repository),
            "environments": [{ "name": ENVIRONMENT, "cluster": "one", "resources": resources }],
        });
        let document = json!({ "workspace": "bench", "clusters": [cluster], "projects": [project] });
        server.apply(&document).await?;
    }
    server.idle(PATIENCE).await?;
    Ok(server)
}

/// Waits until all places were promoted to a digest.
async fn all_have(server: &Server, digest: &str, places: usize) -> Outcome<()> {
    let query = format!("SELECT COUNT(*) FROM promotions WHERE digest = '{digest}' AND state = 'succeeded'");
    let (began, places) = (now(), i64::try_from(places)?);
    while server.database.number(&query).await? < places {
        if now() - began > PATIENCE.as_secs_f64() {
            return Err("the places were not promoted in time".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
