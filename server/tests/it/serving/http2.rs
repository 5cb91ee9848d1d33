//! HTTP/2 without TLS, frame by frame (RFC 9113): as some proxies speak it, and as somebody would who means ill.

use super::{Client, LARGE, SHORT, served};
use crate::support::world::until;

/// A frame: type, flags, stream.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The beginning of a connection; the other side may send this much of each answer before it is asked for more.
fn begin(window: u32) -> Vec<u8> {
    let mut settings = vec![0, 4];
    settings.extend(window.to_be_bytes());
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &settings));
    bytes
}

/// HEADERS of a GET, ended: indexed fields of the static table, and literals (RFC 7541).
fn get(stream: u32, path: &str) -> Vec<u8> {
    let mut fields = vec![0x82, 0x86];
    for (name, value) in [(0x04, path), (0x01, "w.example")] {
        fields.extend([name, u8::try_from(value.len()).unwrap()]);
        fields.extend(value.as_bytes());
    }
    frame(1, 5, stream, &fields)
}

async fn send(client: &mut Client, bytes: &[u8]) {
    use tokio::io::AsyncWriteExt as _;
    client.0.write_all(bytes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_spoken_without_tls() {
    let served = served(|config| config.connections.idle = SHORT).await;
    let mut client = served.connect().await;
    send(
        &mut client,
        &[begin(65_535), get(1, "/healthz"), get(3, "/healthz")].concat(),
    )
    .await;
    let mut said = String::new();
    while said.matches("ok\n").count() < 2 {
        let more = client.read().await;
        assert!(!more.is_empty(), "{said:?}");
        said.push_str(&String::from_utf8_lossy(&more));
    }
    // A ping is no use of it: it is told to go (GOAWAY), and ends.
    send(&mut client, &frame(6, 0, 0, b"are here")).await;
    client.rest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_stays_shut_is_not_waited_for() {
    let served = served(|config| config.connections.answer = SHORT).await;
    let cut = "waybill_connections_closed_total{reason=\"answer\"}";
    let before = served.metric(cut).await;
    let mut client = served.connect().await;
    send(&mut client, &[begin(100_000), get(1, "/pkg/x/large.js")].concat()).await;
    assert!(client.rest().await.len() < LARGE);
    until("it to be counted", async || {
        (served.metric(cut).await > before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_a_request_ends_after_the_time_of_a_head() {
    let served = served(|config| config.connections.head = SHORT).await;
    let mut client = served.connect().await;
    send(&mut client, &begin(65_535)).await;
    client.rest().await;
}
