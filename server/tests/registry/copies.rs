//! Copies between real registries: all of an image arrives with what hangs on it, nothing is sent twice, and nothing of others is lost.

use crate::{
    fake::{Fake, INDEX, MANIFEST, request},
    odd::{digest, open, signed_in},
    token_registry::{PASSWORD, TokenRegistry, USER},
};
use domain::{
    artifact::{Digest, Repository},
    copy::{Attached, Attachments, CopyPlan, CopyProgress, CopyProof},
};
use futures::FutureExt as _;
use serde_json::{Value, json};
use server::{
    adapters::registry::{Copier, CopySettings},
    ports::{
        image_copy::{CopyEnd, CopyError, CopyRequest, CopyWatch, ImageCopier},
        registry::RegistryError,
    },
};
use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
use testbed::{ImageSpec, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SBOM: &str = "application/spdx+json";

/// Hears how a copy goes.
#[derive(Default)]
pub(crate) struct Ear {
    plan: Mutex<Option<CopyPlan>>,
    last: Mutex<CopyProgress>,
}

impl CopyWatch for Ear {
    fn planned(&self, plan: &CopyPlan) {
        *self.plan.lock().unwrap() = Some(plan.clone());
    }

    fn moved(&self, progress: CopyProgress) {
        assert!(self.plan.lock().unwrap().is_some(), "first what there is to do is told");
        *self.last.lock().unwrap() = progress;
    }
}

/// A copier whose pauses are short.
pub(crate) fn copier() -> Copier {
    Copier::with_settings(settings()).unwrap()
}

pub(crate) fn settings() -> CopySettings {
    CopySettings {
        pause_scale: 0.001,
        ..CopySettings::default()
    }
}

pub(crate) async fn copy(request: &CopyRequest) -> Result<CopyProof, CopyError> {
    copier().copy(request, &Ear::default(), &CancellationToken::new()).await
}

async fn registry() -> (tempfile::TempDir, OciRegistry) {
    let directory = tempfile::tempdir().unwrap();
    let registry = OciRegistry::start(RegistryOptions::new(directory.path()))
        .await
        .unwrap();
    (directory, registry)
}

fn repository(registry: &OciRegistry, path: &str) -> Repository {
    format!("{}/{path}", registry.host()).parse().unwrap()
}

/// What a tag or digest names.
async fn read(repository: &Repository, reference: &str) -> Option<Value> {
    let url = format!(
        "http://{}/v2/{}/manifests/{reference}",
        repository.registry(),
        repository.path()
    );
    let request = reqwest::Client::new()
        .get(url)
        .header("accept", format!("{INDEX}, {MANIFEST}"));
    let answer = request.send().await.unwrap();
    match answer.status().is_success() {
        true => Some(serde_json::from_str(&answer.text().await.unwrap()).unwrap()),
        false => None,
    }
}

fn blob(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}

fn manifest(layers: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": blob("application/vnd.oci.empty.v1+json", b"{}"), "layers": layers})
}

fn bytes_of(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn entry(value: &Value) -> Value {
    json!({"mediaType": value["mediaType"], "digest": digest(&bytes_of(value)), "size": bytes_of(value).len()})
}

fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

async fn push(registry: &OciRegistry, path: &str, reference: Option<&str>, value: &Value, blobs: &[&[u8]]) -> Value {
    let by_digest = digest(&bytes_of(value));
    let blobs: Vec<Vec<u8>> = blobs.iter().map(|bytes| bytes.to_vec()).collect();
    let reference = reference.unwrap_or(&by_digest);
    registry.push_artifact(path, reference, value, &blobs).await.unwrap();
    entry(value)
}

fn signed(payload: &[u8], by: &str) -> Value {
    let mut layer = blob(SIMPLE, payload);
    layer["annotations"] = json!({"dev.cosignproject.cosign/signature": by});
    layer
}

/// Methods and paths of the requests that a registry has logged from a place on.
fn requests(registry: &OciRegistry, from: usize) -> Vec<String> {
    let log = registry.log();
    let lines = log
        .get(from..)
        .unwrap()
        .lines()
        .filter(|line| line.contains("HTTP/1.1\" "));
    lines
        .filter_map(|line| Some(line.split('"').nth(1)?.trim_end_matches(" HTTP/1.1").to_owned()))
        .collect()
}

fn count(requests: &[String], method: &str, part: &str) -> usize {
    requests
        .iter()
        .filter(|line| line.starts_with(method) && line.contains(part))
        .count()
}

/// An index of two platforms with BuildKit's attestation of one, a signature under a tag of cosign, and an SBOM of one platform in a list.
struct Shipped {
    root: Digest,
    child: Digest,
    sbom: Value,
}

async fn ship(registry: &OciRegistry, path: &str) -> Shipped {
    let arm = push(
        registry,
        path,
        None,
        &manifest(&[blob("l", b"arm"), blob("l", b"shared")]),
        &[b"{}", b"arm", b"shared"],
    )
    .await;
    let amd = push(
        registry,
        path,
        None,
        &manifest(&[blob("l", b"amd"), blob("l", b"shared")]),
        &[b"amd"],
    )
    .await;
    let mut attestation = push(
        registry,
        path,
        None,
        &manifest(&[blob("application/vnd.in-toto+json", b"provenance")]),
        &[b"provenance"],
    )
    .await;
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": arm["digest"]});
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let root = index(&[arm.clone(), amd, attestation]);
    let root = push(registry, path, Some("v1"), &root, &[]).await;
    let root: Digest = root["digest"].as_str().unwrap().parse().unwrap();
    let child: Digest = arm["digest"].as_str().unwrap().parse().unwrap();

    let signature = manifest(&[signed(b"payload", "ci")]);
    push(
        registry,
        path,
        Some(&format!("sha256-{}.sig", root.hex())),
        &signature,
        &[b"payload"],
    )
    .await;
    let mut sbom = manifest(&[blob(SBOM, b"packages")]);
    sbom["artifactType"] = SBOM.into();
    sbom["subject"] = arm;
    let sbom = push(registry, path, None, &sbom, &[b"packages"]).await;
    push(
        registry,
        path,
        Some(&format!("sha256-{}", child.hex())),
        &index(std::slice::from_ref(&sbom)),
        &[],
    )
    .await;
    Shipped { root, child, sbom }
}

#[tokio::test]
async fn all_of_an_image_arrives_and_what_others_hung_on_it_there_stays() {
    let ((_a, from), (_b, to)) = (registry().await, registry().await);
    let shipped = ship(&from, "myapp/api").await;
    let (source, target) = (repository(&from, "myapp/api"), repository(&to, "prod/api"));
    let (sig, list) = (
        format!("sha256-{}.sig", shipped.root.hex()),
        format!("sha256-{}", shipped.child.hex()),
    );

    // Somebody has signed the same payload there with another key, and listed something of theirs.
    push(
        &to,
        "prod/api",
        Some(&sig),
        &manifest(&[signed(b"payload", "release")]),
        &[b"{}", b"payload"],
    )
    .await;
    let theirs = push(
        &to,
        "prod/api",
        None,
        &manifest(&[blob("x/y", b"theirs")]),
        &[b"theirs"],
    )
    .await;
    push(&to, "prod/api", Some(&list), &index(std::slice::from_ref(&theirs)), &[]).await;

    let request = request(&source, &target, &shipped.root);
    let plan = copier().plan(&request).await.unwrap();
    let attached = Attached {
        signatures: 1,
        attestations: 1,
        sboms: 1,
        others: 0,
    };
    assert_eq!((plan.manifests, plan.blobs, plan.present), (6, 7, 2), "{plan:?}");
    assert_eq!((plan.bytes, plan.present_bytes), (2 + 3 + 3 + 6 + 10 + 7 + 8, 2 + 7));
    assert_eq!((plan.attached, plan.left_out.len()), (attached, 0));
    assert!(!plan.is_there());

    let ear = Ear::default();
    let proof = copier().copy(&request, &ear, &CancellationToken::new()).await.unwrap();
    assert_eq!(ear.plan.lock().unwrap().as_ref(), Some(&plan));
    assert_eq!(ear.last.lock().unwrap().bytes, plan.bytes);
    assert_eq!(ear.last.lock().unwrap().blobs, plan.blobs);
    assert_eq!((proof.manifests, proof.blobs), (6, 7));
    assert_eq!((proof.sent, proof.mounted, proof.present), (30, 0, 9), "{proof:?}");
    assert_eq!((proof.attached, &proof.left_out), (attached, &Vec::new()));

    assert_eq!(
        to.digest("prod/api", shipped.root.as_str()).await.unwrap().as_deref(),
        Some(shipped.root.as_str())
    );
    let merged = read(&target, &sig).await.unwrap();
    assert_eq!(
        merged["layers"],
        json!([signed(b"payload", "release"), signed(b"payload", "ci")])
    );
    let merged = read(&target, &list).await.unwrap();
    assert_eq!(merged["manifests"], json!([theirs, shipped.sbom]));
    assert_eq!(
        to.digest("prod/api", "v1").await.unwrap(),
        None,
        "tags of people are theirs"
    );
}

#[tokio::test]
async fn a_second_copy_sends_no_byte_and_asks_little() {
    let ((_a, from), (_b, to)) = (registry().await, registry().await);
    let shipped = ship(&from, "myapp/api").await;
    let request = request(
        &repository(&from, "myapp/api"),
        &repository(&to, "prod/api"),
        &shipped.root,
    );
    let first = copy(&request).await.unwrap();
    assert!(first.sent > 0);
    let (source_log, target_log) = (from.log().len(), to.log().len());
    let second = copy(&request).await.unwrap();
    assert_eq!((second.sent, second.mounted, second.present), (0, 0, first.sent));
    assert_eq!((second.manifests, second.attached), (first.manifests, first.attached));
    assert!(copier().plan(&request).await.unwrap().is_there());

    // The log is written after the answer; the plan above came after all of the copy.
    let (source, target) = (requests(&from, source_log), requests(&to, target_log));
    for method in ["PUT", "POST", "PATCH", "DELETE"] {
        assert_eq!(count(&target, method, "/"), 0, "{target:?}");
    }
    assert_eq!(count(&source, "GET", "/blobs/"), 0, "no blob is read");
    for of in [&shipped.root, &shipped.child] {
        let of = format!("/manifests/{of}");
        assert_eq!(
            count(&target, "HEAD", &of) + count(&target, "GET", &of),
            1,
            "{target:?}"
        );
        assert!(
            count(&source, "GET", &of) <= 2,
            "one each for the copy and the plan: {source:?}"
        );
    }
    assert_eq!(
        count(&target, "HEAD", "/blobs/"),
        2 * 7,
        "one each for the copy and the plan"
    );
}

#[tokio::test]
async fn within_one_registry_nothing_is_sent() {
    let (_a, registry) = registry().await;
    let shipped = ship(&registry, "myapp/api").await;
    let (source, target) = (repository(&registry, "myapp/api"), repository(&registry, "prod/api"));
    let proof = copy(&request(&source, &target, &shipped.root)).await.unwrap();
    assert_eq!((proof.sent, proof.mounted, proof.present), (0, 39, 0));
    let seen = requests(&registry, 0);
    assert_eq!(count(&seen, "GET", "/v2/myapp/api/blobs/"), 0, "{seen:?}");
    assert_eq!(count(&seen, "PUT", "/v2/prod/api/blobs/"), 0);
}

#[tokio::test]
async fn it_signs_in_with_a_password_and_with_tokens_for_both_repositories() {
    let ((a, from), (b, to)) = (registry().await, registry().await);
    let spec = ImageSpec::new("api").platforms(&["linux/amd64", "linux/arm64"]);
    let pushed: Digest = from
        .push_image("myapp/api", "v1", &spec)
        .await
        .unwrap()
        .parse()
        .unwrap();
    drop((from, to));
    let tokens = TokenRegistry::start(a.path()).await;
    let mut options = RegistryOptions::new(b.path());
    options.auth = true;
    let basic = OciRegistry::start(options).await.unwrap();
    let of_tokens = |path: &str, password: &str| CopyEnd {
        access: signed_in(USER, password),
        repository: format!("{}/{path}", tokens.host()).parse().unwrap(),
    };
    let of_basic = |password: &str| CopyEnd {
        access: signed_in(REGISTRY_USER, password),
        repository: repository(&basic, "prod/api"),
    };
    let request = |from: CopyEnd, to: CopyEnd| CopyRequest {
        from,
        to,
        digest: pushed.clone(),
        attachments: Attachments::All,
    };
    let copier = copier();
    let copy = async |from: CopyEnd, to: CopyEnd| {
        let request = request(from, to);
        copier.copy(&request, &Ear::default(), &CancellationToken::new()).await
    };
    let sent = copy(of_tokens("myapp/api", PASSWORD), of_basic(REGISTRY_PASSWORD))
        .await
        .unwrap();
    assert!(sent.sent > 0 && sent.mounted == 0, "{sent:?}");
    let mounted = copy(of_tokens("myapp/api", PASSWORD), of_tokens("prod/api", PASSWORD))
        .await
        .unwrap();
    assert_eq!((mounted.sent, mounted.mounted), (0, sent.sent));
    let back = copy(of_basic(REGISTRY_PASSWORD), of_tokens("again/api", PASSWORD))
        .await
        .unwrap();
    assert_eq!(back.sent, sent.sent);

    for end in [of_tokens("prod/api", PASSWORD), of_basic(REGISTRY_PASSWORD)] {
        copier.may_push(&end).await.unwrap();
    }
    for end in [of_tokens("prod/api", "wrong"), of_basic("wrong")] {
        let error = copier.may_push(&end).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    }
    let error = copy(of_tokens("myapp/api", PASSWORD), of_basic("wrong"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CopyError::Target(RegistryError::Unauthorized { .. })),
        "{error:?}"
    );
    let error = copy(of_tokens("myapp/api", "wrong"), of_basic(REGISTRY_PASSWORD))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CopyError::Source(RegistryError::Unauthorized { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn layers_that_are_there_are_not_sent_again_and_indexes_may_lie_in_indexes() {
    let ((_a, from), (_b, to)) = (registry().await, registry().await);
    let path = "myapp/api";
    let first = push(
        &from,
        path,
        None,
        &manifest(&[blob("l", b"base"), blob("l", b"one")]),
        &[b"{}", b"base", b"one"],
    )
    .await;
    let second = push(
        &from,
        path,
        None,
        &manifest(&[blob("l", b"base"), blob("l", b"second")]),
        &[b"second"],
    )
    .await;
    let inner = push(&from, path, None, &index(&[second]), &[]).await;
    let mut docker = manifest(&[blob("application/vnd.docker.image.rootfs.diff.tar.gzip", b"base")]);
    docker["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json".into();
    let docker = push(&from, path, None, &docker, &[]).await;
    let outer = push(&from, path, None, &index(&[first.clone(), inner, docker]), &[]).await;

    let ends = (repository(&from, path), repository(&to, "prod/api"));
    let digest = |entry: &Value| -> Digest { entry["digest"].as_str().unwrap().parse().unwrap() };
    let proof = copy(&request(&ends.0, &ends.1, &digest(&first))).await.unwrap();
    assert_eq!((proof.manifests, proof.sent), (1, 2 + 4 + 3));
    let proof = copy(&request(&ends.0, &ends.1, &digest(&outer))).await.unwrap();
    assert_eq!((proof.manifests, proof.sent, proof.present), (5, 6, 9));
}

#[tokio::test]
async fn copies_of_one_image_at_the_same_time_send_each_blob_once() {
    let ((_a, from), (_b, to)) = (registry().await, registry().await);
    let shipped = ship(&from, "myapp/api").await;
    let (one, other) = (copier(), Ear::default());
    let request = request(
        &repository(&from, "myapp/api"),
        &repository(&to, "prod/api"),
        &shipped.root,
    );
    let stop = CancellationToken::new();
    let copies = (0..4).map(|_| one.copy(&request, &other, &stop));
    let proofs = futures::future::try_join_all(copies).await.unwrap();
    assert_eq!(proofs.iter().map(|proof| proof.sent).sum::<u64>(), 39);
    assert!(proofs.iter().all(|proof| proof.sent + proof.present == 39));
    copy(&request).await.unwrap();
    assert_eq!(count(&requests(&to, 0), "PUT", "/blobs/uploads/"), 7);
}

#[tokio::test]
async fn copies_by_several_servers_at_the_same_time_all_arrive() {
    let ((_a, from), (_b, to)) = (registry().await, registry().await);
    let shipped = ship(&from, "myapp/api").await;
    let request = request(
        &repository(&from, "myapp/api"),
        &repository(&to, "prod/api"),
        &shipped.root,
    );
    let servers: Vec<Copier> = (0..4)
        .map(|_| {
            let settings = CopySettings {
                pause_scale: 0.02,
                ..settings()
            };
            Copier::with_settings(settings).unwrap()
        })
        .collect();
    let (ear, stop) = (Ear::default(), CancellationToken::new());
    let copies = servers.iter().map(|server| server.copy(&request, &ear, &stop));
    for proof in futures::future::try_join_all(copies).await.unwrap() {
        assert_eq!((proof.manifests, proof.blobs), (6, 7));
        assert!(proof.left_out.is_empty(), "{:?}", proof.left_out);
    }
}

/// A way to a registry that breaks once, in the middle of the first upload.
async fn breaking_way(registry: &OciRegistry) -> (std::net::SocketAddr, std::sync::Arc<AtomicBool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (upstream, has_broken) = (registry.host(), std::sync::Arc::new(AtomicBool::new(false)));
    let told = std::sync::Arc::clone(&has_broken);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(&upstream).await.unwrap();
            let has_broken = std::sync::Arc::clone(&told);
            tokio::spawn(async move {
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let up = async {
                    let mut buffer = vec![0; 16 * 1024];
                    let mut in_upload = 0;
                    loop {
                        let read = from_client.read(&mut buffer).await.unwrap_or(0);
                        let text = String::from_utf8_lossy(&buffer[..read.min(200)]);
                        if text.starts_with("PUT ") && text.contains("/blobs/uploads/") {
                            in_upload = 1;
                        } else if in_upload > 0 {
                            in_upload += read;
                        }
                        if in_upload > 100_000 && !has_broken.swap(true, Ordering::SeqCst) {
                            return;
                        }
                        if read == 0 || to_server.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                let down = tokio::io::copy(&mut from_server, &mut to_client);
                tokio::select! { () = up => {}, _ = down => {} }
            });
        }
    });
    (address, has_broken)
}

#[tokio::test]
async fn an_upload_that_is_cut_in_the_middle_is_sent_again() {
    let ((_a, from), (_b, to)) = (registry().await, registry().await);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let root = push(
        &from,
        "myapp/api",
        None,
        &manifest(&[blob("l", &large)]),
        &[b"{}", &large],
    )
    .await;
    let root: Digest = root["digest"].as_str().unwrap().parse().unwrap();
    let (way, has_broken) = breaking_way(&to).await;
    let target: Repository = format!("{way}/prod/api").parse().unwrap();
    let ear = Ear::default();
    let request = request(&repository(&from, "myapp/api"), &target, &root);
    let proof = copier().copy(&request, &ear, &CancellationToken::new()).await.unwrap();
    assert!(has_broken.load(Ordering::SeqCst));
    assert_eq!(proof.sent, 3_000_002);
    assert_eq!(ear.last.lock().unwrap().bytes, 3_000_002, "what was lost doesn't count");
    assert_eq!(
        to.digest("prod/api", root.as_str()).await.unwrap().as_deref(),
        Some(root.as_str())
    );
}

#[tokio::test]
async fn a_manifest_that_is_too_large_is_refused_in_the_registrys_own_words() {
    let (_b, to) = registry().await;
    let source = Fake::usual().await;
    let config = source.layer("application/vnd.oci.empty.v1+json", b"{}");
    let mut large = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [],
        "annotations": {"padding": ""}});
    let padding = 4 * 1024 * 1024 + 1 - large.to_string().len();
    large["annotations"]["padding"] = "x".repeat(padding).into();
    let root = source.put(MANIFEST, &large);
    assert_eq!(root["size"], 4 * 1024 * 1024 + 1);
    let request = request(
        &source.repository(),
        &repository(&to, "prod/api"),
        &crate::fake::digest_of(&root),
    );
    let error = copy(&request).await.unwrap_err();
    assert!(
        matches!(error, CopyError::Refused { .. }) && !error.is_passing(),
        "{error:?}"
    );
    let text = error.to_string();
    for part in ["MANIFEST_INVALID", "4194305 bytes", "up to 4 MiB", &to.host()] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_copy_can_be_begun_from_any_task() {
    // The worker spawns copies: their futures must be able to move between threads.
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let (copier, ear, stop) = (copier(), Ear::default(), CancellationToken::new());
    let nowhere: Repository = "127.0.0.1:1/myapp/api".parse().unwrap();
    let digest: Digest = digest(b"x").parse().unwrap();
    let request = request(&nowhere, &nowhere, &digest);
    stop.cancel();
    let stopped = is_send(copier.copy(&request, &ear, &stop)).now_or_never().unwrap();
    assert!(matches!(stopped, Err(CopyError::Stopped)));
    let _ = open();
}
