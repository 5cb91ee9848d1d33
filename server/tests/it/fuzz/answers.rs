//! The registry and Argo CD, whose answers make no sense.

use super::{Until, mutate::mutate, seed};
use crate::support::{dice::Dice, digest};
use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse as _,
};
use domain::{
    artifact::{Repository, Tag},
    plan::Patient,
};
use futures::StreamExt as _;
use secrecy::SecretString;
use server::{
    adapters::{argocd::ArgoCdClient, registry::RegistryClient},
    ports::{
        argocd::{AppRef, ArgoCd as _, ArgoCdAccess, Refresh, SyncRequest},
        registry::{Registry as _, RegistryAccess},
    },
};
use sha2::{Digest as _, Sha256};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// Nobody waits longer for a client that was answered.
const LONGEST: Duration = Duration::from_secs(60);
const MANIFESTS: &[&str] = &[
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","size":500,"platform":{"architecture":"amd64","os":"linux"},"annotations":{"a":"b"}}]}"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","size":2},"layers":[{"mediaType":"x","digest":"sha256:11","size":99999999999999999}],"annotations":{"org.opencontainers.image.created":"2026-11-02T09:12:00Z"}}"#,
    r#"{"architecture":"amd64","os":"linux","created":"2026-11-02T09:12:00Z","config":{"Labels":{"a":"b"}}}"#,
    r#"{"name":"myapp/api","tags":["v1","v2",null]}"#,
    r#"{"token":"t","expires_in":300}"#,
    r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}"#,
];
const APPLICATIONS: &[&str] = &[
    r#"{"metadata":{"name":"web","resourceVersion":"5","annotations":{}},"spec":{"project":"p","source":{"repoURL":"https://g.example/x","path":"a","targetRevision":"HEAD","helm":{"valuesObject":{"a":[1]}}},"syncPolicy":{"automated":{}}},"status":{"sync":{"status":"Synced","revision":"abc","comparedTo":{"source":{}}},"health":{"status":"Healthy"},"summary":{"images":["r/a:v1@sha256:11"]},"operationState":{"phase":"Succeeded","startedAt":"2026-11-02T09:12:00Z","operation":{"sync":{"revision":"abc"},"info":[{"name":"n","value":"v"}]},"syncResult":{"revision":"abc","resources":[]}},"resources":[],"conditions":[{"type":"SyncError","message":"m"}],"reconciledAt":"2026-11-02T09:12:00Z"}}"#,
    "{\"result\":{\"type\":\"MODIFIED\",\"application\":{\"metadata\":{\"name\":\"web\"},\"spec\":{},\"status\":{\"sync\":{\"status\":\"Synced\"}}}}}\n",
    r#"{"error":{"grpc_code":16,"http_code":401,"message":"invalid session: token is expired"},"code":16,"message":"m"}"#,
    r#"{"Version":"v2.12.3"}"#,
    r#"{"loggedIn":true,"username":"u","value":"yes"}"#,
];

/// What is answered to whatever is asked.
#[derive(Clone, Default)]
struct Answer {
    status: u16,
    kind: &'static str,
    challenge: Option<String>,
    body: Vec<u8>,
}

async fn throw(until: Until) {
    let seed = seed();
    let mut dice = Dice(seed);
    let right: Vec<Vec<u8>> = MANIFESTS
        .iter()
        .chain(APPLICATIONS)
        .map(|text| text.as_bytes().to_vec())
        .collect();
    let answer = Arc::new(Mutex::new(Answer::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let answered = Arc::clone(&answer);
    let app = Router::new().fallback(move || {
        let Answer {
            status,
            kind,
            challenge,
            body,
        } = answered.lock().unwrap().clone();
        async move {
            let mut response = (
                StatusCode::from_u16(status).unwrap(),
                [(header::CONTENT_TYPE, kind)],
                body,
            )
                .into_response();
            if let Some(challenge) = challenge.and_then(|challenge| challenge.parse().ok()) {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    });
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let (registry, argocd) = (RegistryClient::new().unwrap(), ArgoCdClient::new());
    let repository: Repository = format!("{host}/myapp/api").parse().unwrap();
    let tag: Tag = "v1".parse().unwrap();
    let reach = RegistryAccess {
        ca: None,
        plain_http: true,
        credentials: None,
    };
    let (app, token) = (
        AppRef {
            name: "web".into(),
            project: None,
            namespace: None,
        },
        SecretString::from("t"),
    );
    let at = ArgoCdAccess {
        url: format!("http://{host}"),
        token,
        ca: None,
    };
    let sync = SyncRequest {
        revision: None,
        only: Vec::new(),
        promotion: "p".into(),
    };
    let mut round = 0;
    while !until.is_over(round) {
        let chosen = &right[dice.below(right.len())];
        let body = mutate(&mut dice, chosen, &right);
        let digest = match dice.once_in(10) {
            true => digest("a"),
            false => format!("sha256:{}", hex(&Sha256::digest(&body))),
        };
        let digest = digest.parse().unwrap();
        let thrown = Answer {
            status: [200, 200, 200, 200, 200, 401, 403, 404, 400, 500][dice.below(10)],
            kind: dice.one(&[
                "application/json",
                "application/json",
                "text/event-stream",
                "text/html",
                "application/vnd.oci.image.index.v1+json",
            ]),
            challenge: dice.once_in(4).then(|| {
                format!(
                    "Bearer realm=\"http://{host}/t\",service=\"{}\"",
                    super::mutate::token(&mut dice)
                )
            }),
            body,
        };
        *answer.lock().unwrap() = thrown.clone();
        let which = round % 9;
        let asking = async {
            match which {
                0 => drop(registry.resolve(&reach, &repository, &tag).await),
                1 => drop(registry.exists(&reach, &repository, &digest).await),
                2 => drop(registry.describe(&reach, &repository, &digest).await),
                3 => drop(
                    registry
                        .attached(&reach, &repository, &digest, &server::signature::PROVENANCE)
                        .await,
                ),
                4 => drop(registry.tags(&reach, &repository).await),
                5 => drop(argocd.app(&at, &app, Refresh::No).await),
                6 => drop(argocd.sync(&at, &app, &sync).await),
                7 => drop((
                    argocd.check(&at).await,
                    argocd.inspect(&at, &app).await,
                    argocd.workloads(&at, &app).await,
                    argocd.events(&at, &app, &Patient::default()).await,
                )),
                _ => drop(argocd.watch(&at).collect::<Vec<_>>().await),
            }
        };
        let done = tokio::time::timeout(LONGEST, asking).await;
        let said = || {
            format!(
                "seed {seed}, round {round}: {} {:?}",
                thrown.status,
                String::from_utf8_lossy(&thrown.body)
            )
        };
        assert!(done.is_ok(), "nothing is heard any more: {}", said());
        round += 1;
    }
    serving.abort();
    println!("{round} answers");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn answers_thrown_at_clients() {
    throw(Until::Rounds(900)).await;
}

#[tokio::test]
#[ignore = "takes minutes: make fuzz"]
async fn answers_thrown_for_long() {
    throw(Until::told()).await;
}
