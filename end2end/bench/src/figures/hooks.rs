//! A registry that tells of many pushes: how fast all of them are known.
//!
//! The images lie in the registry before it tells of them, and every repository is one that a resource tracks, so that the newest build
//! of each is deployed beside it, as it always is. Each takes two requests, for the manifest and for the configuration. The registry is
//! not what is measured, but shares the machine's cores: it asks for no password, because docker-registry hashes one for each request,
//! and collects its garbage less often than by default (see `OciRegistry::start`).

use crate::{
    Outcome,
    clock::now,
    report::{Report, number},
    repository::{self, values, values_path},
    scale::Scale,
    world::{Ground, PATIENCE, push_build, tag},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use std::time::Duration;
use testbed::{OciRegistry, RegistryOptions};

const ENVIRONMENT: &str = "development";

/// Notifications that are sent at once: registries send few.
const AT_ONCE: usize = 16;

fn service(n: usize) -> String {
    format!("hooked-{n:02}")
}

fn image(n: usize) -> String {
    format!("bench/{}", service(n))
}

/// Measures `hooks_per_second`.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    let (tags, repositories) = scale.hooks;
    eprintln!("Setting up {repositories} repositories with {tags} builds …");
    let registry = OciRegistry::start(RegistryOptions::new(ground.root().join("open-registry"))).await?;
    let open = &registry;
    let push = async |builds: std::ops::Range<usize>| -> Outcome<Vec<(usize, usize, String)>> {
        let all = builds.flat_map(|build| (0..repositories).map(move |n| (n, build)));
        stream::iter(all)
            .map(|(n, build)| async move { Ok((n, build, push_build(open, &image(n), build).await?)) })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    };
    let first = push(0..1).await?;
    let host = registry.host();
    let names: Vec<String> = (0..repositories).map(|n| format!("{host}/{}", image(n))).collect();
    // Everything runs its first build.
    let services = first
        .iter()
        .map(|(n, build, digest)| (service(*n), names[*n].as_str(), *build, digest.as_str()));
    let files = [(values_path(ENVIRONMENT), values(services))];
    repository::create(&ground.repositories().join("hooked.git"), &files, 0, 1)?;
    let server = ground.server("hooked").await?;
    let resources: Vec<Value> = (0..repositories)
        .map(|n| json!({ "name": service(n), "source": { "image": names[n] } }))
        .collect();
    server
        .apply(&json!({
            "workspace": "bench",
            "clusters": [{ "name": "git-only", "registry": { "host": host, "plainHttp": true } }],
            "projects": [{
                "name": "hooked",
                "repository": ground.repository("hooked.git"),
                "environments": [{ "name": ENVIRONMENT, "cluster": "git-only", "resources": resources }],
            }],
        }))
        .await?;
    // What was there before is looked at after applying.
    let known = "SELECT COUNT(*) FROM artifacts WHERE details IS NOT NULL";
    while server.database.number(known).await? < i64::try_from(repositories)? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.idle(PATIENCE).await?;
    let news = push(1..tags / repositories + 1).await?;
    let wanted = i64::try_from(repositories + news.len())?;
    let began = now();
    let telling = stream::iter(&news)
        .map(|(n, build, digest)| {
            let server = &server;
            async move { server.notify(&image(*n), &tag(*build), digest).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) });
    let looking = async {
        while server.database.number(known).await? < wanted {
            if now() - began > PATIENCE.as_secs_f64() {
                return Err("the pushes were not all seen in time".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(now())
    };
    let told = async {
        telling.await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(now())
    };
    let (told, seen) = tokio::try_join!(told, looking)?;
    report.value("hooks_per_second", tags as f64 / (seen - began));
    report.note(format!(
        "{tags} notifications are answered within {} s, and what they tell of is in the database after {} s",
        number(told - began),
        number(seen - began)
    ));
    server.idle(PATIENCE).await
}
