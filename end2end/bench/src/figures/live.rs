//! How soon an open page hears of what Argo CD reports.
//!
//! A client of our own listens to Argo CD's stream, and another to the stream of a page; somebody changes images in the cluster.

use super::estate::{Estate, Size, environment, service, token};
use crate::{
    Outcome,
    clock::{now, percentile},
    report::{Report, number},
    scale::Scale,
    world::{Ground, tag},
};
use argocd_standin::Fault;
use futures::StreamExt as _;
use reqwest::{Client, RequestBuilder};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Measures `live_seen_p99`.
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    let size = Size {
        projects: 1,
        services: 20,
        promotions: 1_000,
        argocd: true,
    };
    let estate = Estate::start(ground, "live", size).await?;
    let standin = estate.standin.as_ref().ok_or("there is no Argo CD")?;
    let app = format!("p00-{}", environment(0));
    let argocd = Client::new()
        .get(format!("{}/api/v1/stream/applications?name={app}", standin.url()))
        .bearer_auth(token());
    let reported = Listener::start(argocd);
    let seen = Listener::start(
        Client::new()
            .get(format!("{}/api/events", estate.server.url()))
            .bearer_auth(&estate.server.token),
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    // A sync of the newest commit, or Argo CD makes one of its own and puts back what somebody changes.
    let began = now();
    let sync = Client::new().post(format!("{}/api/v1/applications/{app}/sync", standin.url()));
    let sync = sync.bearer_auth(token()).json(&json!({}));
    sync.send().await?.error_for_status()?;
    reported.next(began, "\"phase\":\"Succeeded\"").await?;
    let mut waited = Vec::new();
    for n in 0..scale.live {
        // Back and forth between two images that Git doesn't name.
        let build = 1 + n % 2;
        let digest = if build == 1 {
            estate.first_build.clone()
        } else {
            ground.build("bench/estate", 2).await?
        };
        let (image, from) = (format!("{}:{}@{digest}", estate.image, tag(build)), now());
        standin.inject(
            Some(&app),
            Fault::LiveImage {
                service: service(1),
                image,
            },
        )?;
        let client = Client::new().get(format!("{}/api/v1/applications/{app}?refresh=normal", standin.url()));
        client.bearer_auth(token()).send().await?.error_for_status()?;
        let told = reported.next(from, &digest).await?;
        // The page's stream says only that something changed; what was said before Argo CD spoke was about something else.
        let heard = seen.next(told - 0.005, "data:").await?;
        waited.push((heard - told).max(0.0));
        // Later messages about the same change are not taken for the next.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    report.value("live_seen_p99", percentile(&waited, 99.0));
    report.note(format!(
        "what Argo CD reports is with an open page {} s later at the median, {} s at the slowest",
        number(percentile(&waited, 50.0)),
        number(percentile(&waited, 100.0))
    ));
    Ok(())
}

/// Keeps what a stream says, and when.
struct Listener {
    heard: Arc<Mutex<Vec<(f64, String)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Listener {
    fn start(request: RequestBuilder) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                let Ok(answer) = request.send().await else { return };
                let mut chunks = answer.bytes_stream();
                while let Some(Ok(chunk)) = chunks.next().await {
                    heard
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((now(), String::from_utf8_lossy(&chunk).into_owned()));
                }
            }
        });
        Self { heard, task }
    }

    /// When the stream first said `text` after `from`.
    async fn next(&self, from: f64, text: &str) -> Outcome<f64> {
        let look = async {
            loop {
                let found = self
                    .heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .iter()
                    .find(|(at, said)| *at >= from && said.contains(text))
                    .map(|(at, _)| *at);
                if let Some(at) = found {
                    return at;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look)
            .await
            .map_err(|_| format!("a stream did not say {text:?} in time").into())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
