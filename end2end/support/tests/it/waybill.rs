//! A server as a child process. A shell stands in for the binary here, and a listener of the test for its answers.

use std::time::Duration;

use axum::{Router, routing::get};
use tempfile::TempDir;
use testbed::{WaybillOptions, WaybillProcess};
use tokio::net::TcpListener;

/// An address that answers /readyz.
async fn ready_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/readyz", get(async || "ready\n"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn shell(directory: &TempDir, url: &str, script: &str) -> WaybillOptions {
    WaybillOptions::new("/bin/sh", directory.path(), url).arguments(["-c", script])
}

#[tokio::test]
async fn starts_logs_and_stops_in_peace() {
    let directory = TempDir::new().unwrap();
    let url = ready_address().await;
    // It says that it is ready for the signal before the test sends one.
    let script =
        "trap 'echo goodbye; exit 3' TERM; echo hello $WAYBILL_NAME; touch armed; while :; do sleep 0.05; done";
    let options = shell(&directory, &url, script).environment("WAYBILL_NAME", "demo");
    let server = WaybillProcess::start(&options).await.unwrap();
    assert_eq!(server.base_url(), url);
    crate::within("the trap", async {
        while !directory.path().join("armed").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(server.log().contains("hello demo"), "{}", server.log());
    let status = server.stop(Duration::from_secs(10)).await.unwrap();
    assert_eq!(status.code(), Some(3));
    assert!(std::fs::read_to_string(&options.log).unwrap().contains("goodbye"));
}

#[tokio::test]
async fn kills_at_once_and_on_drop() {
    let directory = TempDir::new().unwrap();
    let url = ready_address().await;
    let options = shell(&directory, &url, "exec sleep 600");
    let alive = |id: u32| std::path::Path::new(&format!("/proc/{id}")).exists();
    let server = WaybillProcess::start(&options).await.unwrap();
    let id = server.id();
    assert!(alive(id));
    server.kill();
    assert!(!alive(id));
    let server = WaybillProcess::start(&options).await.unwrap();
    let id = server.id();
    drop(server);
    assert!(!alive(id));
}

#[tokio::test]
async fn a_failed_start_shows_the_log() {
    let directory = TempDir::new().unwrap();
    let url = format!("http://127.0.0.1:{}", testbed::free_port().unwrap());
    let options = shell(&directory, &url, "echo 'unknown key `databse`' >&2; exit 2");
    let error = WaybillProcess::start(&options).await.unwrap_err().to_string();
    assert!(
        error.contains("unknown key `databse`") && error.contains("exit status: 2"),
        "{error}"
    );

    let silent = WaybillOptions {
        patience: Duration::from_millis(200),
        ..shell(&directory, &url, "exec sleep 600")
    };
    let error = WaybillProcess::start(&silent).await.unwrap_err().to_string();
    assert!(error.contains("was not ready"), "{error}");

    let missing = WaybillOptions::new("/nowhere/waybill", directory.path(), url);
    let error = WaybillProcess::start(&missing).await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/waybill"), "{error}");
}
