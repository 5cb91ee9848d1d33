//! How long Argo CD's streams have been silent. A living one says something every 15 seconds.

use super::{STREAM_AGE, STREAM_PAUSE};
use metrics::gauge;
use reqwest::Url;
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

struct Stream {
    followers: usize,
    heard: Instant,
}

static STREAMS: LazyLock<Mutex<HashMap<String, Stream>>> = LazyLock::new(Mutex::default);

fn streams() -> MutexGuard<'static, HashMap<String, Stream>> {
    STREAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host, with its port if there is one: the rest of an address may hold more than others should read.
fn host(url: &str) -> String {
    let url = Url::parse(url).ok();
    let named = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    match named {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => "unknown".into(),
    }
}

/// Somebody follows a stream, until this is dropped.
pub(crate) struct Followed {
    host: String,
}

impl Followed {
    /// From now on the stream's age counts.
    pub(crate) fn begin(url: &str) -> Self {
        let host = host(url);
        let mut streams = streams();
        let stream = streams.entry(host.clone()).or_insert_with(|| Stream {
            followers: 0,
            heard: Instant::now(),
        });
        stream.followers += 1;
        Self { host }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut streams = streams();
        if let Some(stream) = streams.get_mut(&self.host) {
            stream.followers -= 1;
            if stream.followers == 0 {
                streams.remove(&self.host);
                // Nobody waits for it any more: its age must not stand there for ever.
                gauge!(STREAM_AGE, "argocd" => self.host.clone()).set(0.0);
                gauge!(STREAM_PAUSE, "argocd" => self.host.clone()).set(0.0);
            }
        }
    }
}

/// A stream said something, if only that it lives.
pub(crate) fn heard(url: &str) {
    if let Some(stream) = streams().get_mut(&host(url)) {
        stream.heard = Instant::now();
    }
}

/// A stream is tried again after this pause; zero when it is there.
pub(crate) fn waits(url: &str, pause: Duration) {
    gauge!(STREAM_PAUSE, "argocd" => host(url)).set(pause.as_secs_f64());
}

pub(super) fn ages() -> Vec<(String, Duration)> {
    let streams = streams();
    streams
        .iter()
        .map(|(host, stream)| (host.clone(), stream.heard.elapsed()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_an_age_while_it_is_followed() {
        let age = || ages().into_iter().find(|(host, _)| host == "argo.example:8443");
        heard("https://argo.example:8443");
        assert!(age().is_none());
        let (one, other) = (
            Followed::begin("https://user:secret@argo.example:8443/path"),
            Followed::begin("https://argo.example:8443"),
        );
        drop(one);
        heard("https://argo.example:8443");
        assert!(age().is_some());
        drop(other);
        assert!(age().is_none());
    }
}
