//! Single calls, and what their errors say.

use crate::harness::{APP, Bench, SUBJECT, Setup, digest};
use argocd_standin::{Fault, token_for};
use domain::plan::Health;
use secrecy::{ExposeSecret, SecretString};
use server::{
    adapters::argocd::{ArgoCdClient, Timeouts},
    ports::argocd::{AppRef, ArgoCd, ArgoCdAccess, ArgoCdError, Refresh, Window, Workloads},
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// Answers one request with these bytes; gives back the request.
async fn one_answer(answer: impl AsRef<[u8]> + Send + 'static) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            let read = socket.read(&mut buffer).await.unwrap();
            assert!(read > 0);
            request.extend_from_slice(&buffer[..read]);
        }
        socket.write_all(answer.as_ref()).await.unwrap();
        socket.shutdown().await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, served)
}

fn access(url: &str) -> ArgoCdAccess {
    ArgoCdAccess {
        url: url.into(),
        token: SecretString::from(token_for(SUBJECT)),
        ca: None,
    }
}

fn app(name: &str, project: Option<&str>) -> AppRef {
    AppRef {
        name: name.into(),
        project: project.map(str::to_owned),
        namespace: None,
    }
}

#[tokio::test]
async fn workloads_that_may_not_be_read_are_withheld_and_not_an_error() {
    let body = r#"{"error":"permission denied","code":7,"message":"permission denied: applications, get, shop/web"}"#;
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let (url, served) = one_answer(answer).await;
    let found = ArgoCdClient::new()
        .workloads(&access(&url), &app("web", Some("shop")))
        .await
        .unwrap();
    assert_eq!(
        found,
        Workloads::Withheld("permission denied: applications, get, shop/web".into())
    );
    let request = served.await.unwrap();
    assert!(
        request.starts_with("GET /api/v1/applications/web/managed-resources?project=shop&fields=items.group"),
        "{request}"
    );
}

#[tokio::test]
async fn workloads_are_read_with_their_manifests_and_pods() {
    let bench = Bench::start(Setup::default()).await;
    let Workloads::Read(workloads) = bench.client.workloads(&bench.access, &bench.app).await.unwrap() else {
        panic!("they may be read");
    };
    let api = workloads.iter().find(|workload| workload.name == "api").unwrap();
    assert!(api.is_to_run(&digest('a')) && api.is_told_to_run(&digest('a')) && api.expects_pods);
    assert_eq!(
        (api.title(), api.health),
        ("Deployment api".into(), Some(Health::Healthy))
    );
    assert!(api.living().all(|pod| pod.created_at.is_some() && !pod.uid.is_empty()));
    assert_eq!(api.living().count(), 1);
}

#[tokio::test]
async fn check_tells_the_version_and_whether_the_token_is_good() {
    let bench = Bench::start(Setup::default()).await;
    let version = bench.client.check(&bench.access).await.unwrap().version.unwrap();
    assert!(version.starts_with('v'), "{version}");
    let mut stranger = bench.access.clone();
    for token in ["no-token-at-all", "a.b.c"] {
        stranger.token = SecretString::from(token);
        let error = bench.client.check(&stranger).await.unwrap_err();
        assert!(matches!(error, ArgoCdError::Unauthorized { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_bad_token_is_unauthorized_and_never_shown() {
    let bench = Bench::start(Setup::default()).await;
    bench.standin.inject(None, Fault::Unauthorized { on: true }).unwrap();
    for error in [
        bench.read().await.unwrap_err(),
        bench.sync(None).await.unwrap_err(),
        bench
            .client
            .app(&bench.access, &bench.app, Refresh::Normal)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, ArgoCdError::Unauthorized { .. }), "{error}");
        assert!(!error.is_passing());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(bench.access.token.expose_secret()), "{shown}");
    }
}

#[tokio::test]
async fn a_missing_application_is_told_from_a_forbidden_one_by_its_project() {
    let bench = Bench::start(Setup::default()).await;
    let read = async |name, project| {
        bench
            .client
            .app(&bench.access, &app(name, project), Refresh::No)
            .await
            .unwrap_err()
    };
    let missing = read("nobody", Some("shop")).await;
    assert!(
        matches!(&missing, ArgoCdError::NotFound { app } if app == "nobody"),
        "{missing}"
    );
    let either = read("nobody", None).await;
    assert!(matches!(either, ArgoCdError::Forbidden { .. }), "{either}");
    assert!(either.to_string().contains("no such application"), "{either}");
    let forbidden = read(APP, Some("other")).await;
    assert!(matches!(forbidden, ArgoCdError::Forbidden { .. }), "{forbidden}");
    // Without the project it works all the same when it exists.
    let found = bench.client.app(&bench.access, &app(APP, None), Refresh::Normal).await;
    assert_eq!(found.unwrap().name, APP);
}

#[tokio::test]
async fn failures_before_argo_cd_are_passing_ones() {
    let bench = Bench::start(Setup::default()).await;
    for (status, unavailable) in [(500, true), (503, true), (502, false), (504, false)] {
        let fault = Fault::FailRequests {
            status,
            path: None,
            times: Some(1),
        };
        bench.standin.inject(None, fault).unwrap();
        let error = bench.read().await.unwrap_err();
        let fits = match &error {
            ArgoCdError::Unavailable { .. } => unavailable,
            ArgoCdError::Unreachable { .. } => !unavailable,
            _ => false,
        };
        assert!(fits && error.is_passing(), "{status}: {error}");
        assert!(!error.to_string().contains('<'), "{error}");
        bench.read().await.unwrap();
    }
    let fault = Fault::FailRequests {
        status: 415,
        path: Some("/sync".into()),
        times: Some(1),
    };
    bench.standin.inject(None, fault).unwrap();
    let error = bench.sync(None).await.unwrap_err();
    assert!(matches!(error, ArgoCdError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn busy_windows_and_auto_sync_are_told_apart() {
    let bench = Bench::start(Setup::default()).await;
    bench
        .standin
        .inject(Some(APP), Fault::OperationPickup { millis: 500 })
        .unwrap();
    bench.sync(None).await.unwrap();
    let error = bench.sync(None).await.unwrap_err();
    assert!(
        matches!(error, ArgoCdError::Busy { .. }) && error.is_passing(),
        "{error}"
    );
    bench
        .wait_for("the end of the sync", |app| !app.operation_pending)
        .await;

    bench
        .standin
        .inject(Some(APP), Fault::SyncWindow { deny: true })
        .unwrap();
    let error = bench.sync(None).await.unwrap_err();
    assert!(
        matches!(error, ArgoCdError::SyncWindow { .. }) && error.is_passing(),
        "{error}"
    );
    bench.standin.inject(None, Fault::Clear).unwrap();

    bench.standin.inject(Some(APP), Fault::Deleting { on: true }).unwrap();
    let error = bench.sync(None).await.unwrap_err();
    assert!(
        matches!(error, ArgoCdError::Refused { .. }) && !error.is_passing(),
        "{error}"
    );

    let bench = Bench::start(Setup {
        automated: true,
        ..Setup::default()
    })
    .await;
    let commit = bench.push(&digest('b'));
    let error = bench.sync(Some(&commit)).await.unwrap_err();
    assert!(
        matches!(&error, ArgoCdError::Refused { reason, .. } if reason.contains("auto-sync currently set to main")),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_refresh_is_not_waited_for_beyond_its_time() {
    let bench = Bench::start(Setup {
        timeouts: Timeouts {
            refresh: Duration::from_millis(200),
            ..Timeouts::default()
        },
        ..Setup::default()
    })
    .await;
    bench
        .standin
        .inject(Some(APP), Fault::SlowRefresh { millis: 8_000 })
        .unwrap();
    let begun = Instant::now();
    let app = bench
        .client
        .app(&bench.access, &bench.app, Refresh::Normal)
        .await
        .unwrap();
    assert_eq!(app.name, APP);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = ArgoCdClient::with_timeouts(Timeouts {
        answer: Duration::from_millis(200),
        ..Timeouts::default()
    });
    let error = client
        .app(&access(&url), &app(APP, None), Refresh::No)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
    drop(listener);
    let error = client
        .app(&access(&url), &app(APP, None), Refresh::No)
        .await
        .unwrap_err();
    assert!(matches!(error, ArgoCdError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_reported_and_not_followed() {
    let (url, served) = one_answer(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://argo.example/x?state=1\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let error = ArgoCdClient::new()
        .app(&access(&url), &app(APP, None), Refresh::No)
        .await
        .unwrap_err();
    assert!(matches!(error, ArgoCdError::Unreachable { .. }));
    assert!(
        error.to_string().contains("redirects to https://argo.example/x."),
        "{error}"
    );
    served.await.unwrap();
}

#[tokio::test]
async fn web_pages_and_cut_answers_are_not_taken_for_the_api() {
    for (answer, words) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            "web page at this address",
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nNot Found",
            "path prefix",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"metadata\":",
            "could not be reached",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]",
            "holds no application",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{\"metadata\":",
            "JSON is odd",
        ),
    ] {
        let (url, served) = one_answer(answer).await;
        let error = ArgoCdClient::new()
            .app(&access(&url), &app(APP, None), Refresh::No)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        served.await.unwrap();
    }
}

#[tokio::test]
async fn the_path_prefix_and_all_names_are_sent() {
    let (url, served) = one_answer(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 27\r\n\r\n{\"metadata\":{\"name\":\"web\"}}",
    )
    .await;
    let asked = AppRef {
        name: "web".into(),
        project: Some("shop".into()),
        namespace: Some("team-a".into()),
    };
    let found = ArgoCdClient::new()
        .app(&access(&format!("{url}/argo-cd/")), &asked, Refresh::Normal)
        .await
        .unwrap();
    assert_eq!(found.name, "web");
    let request = served.await.unwrap();
    assert!(
        request.starts_with(
            "GET /argo-cd/api/v1/applications/web?project=shop&appNamespace=team-a&refresh=normal HTTP/1.1\r\n"
        ),
        "{request}"
    );
}

#[tokio::test]
async fn a_refusal_in_the_frame_of_a_stream_is_about_the_token() {
    let body = "data: {\"error\":{\"grpc_code\":16,\"http_code\":401,\"message\":\"invalid session: token is expired\"}} \n\n\n";
    for content_type in ["text/event-stream", "application/json"] {
        let (url, served) = one_answer(format!(
            "HTTP/1.1 401 Unauthorized\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let mut events = ArgoCdClient::new().watch(&access(&url));
        let error = futures::StreamExt::next(&mut events).await.unwrap().unwrap_err();
        assert!(matches!(error, ArgoCdError::Unauthorized { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("token is expired") && !said.contains("proxy"), "{said}");
        served.await.unwrap();
    }
}

#[tokio::test]
async fn an_operation_is_ended_where_one_runs_and_the_right_is_there() {
    let bench = Bench::start(Setup::default()).await;
    // Nothing runs: nothing is to be done.
    bench.client.end_operation(&bench.access, &bench.app).await.unwrap();
    bench.standin.inject(Some(APP), Fault::Hook { millis: 60_000 }).unwrap();
    bench.push(&digest('b'));
    bench.sync(None).await.unwrap();
    bench
        .wait_for("the operation to run", |app| {
            app.operation.as_ref().is_some_and(|o| o.phase == "Running")
        })
        .await;
    bench.client.end_operation(&bench.access, &bench.app).await.unwrap();
    let ended = bench.wait_for("its end", |app| !app.operation_pending).await;
    assert_eq!(ended.operation.unwrap().message, "Operation terminated");
}

#[tokio::test]
async fn a_window_is_read() {
    let bench = Bench::start(Setup::default()).await;
    let now = crate::harness::now();
    let window = async || {
        bench
            .client
            .window(&bench.access, &bench.app, "shop", now)
            .await
            .unwrap()
    };
    assert_eq!(window().await, Window::Open);
    bench
        .standin
        .inject(Some(APP), Fault::SyncWindow { deny: true })
        .unwrap();
    assert_eq!(window().await, Window::Closed { opens_at: None });
}
