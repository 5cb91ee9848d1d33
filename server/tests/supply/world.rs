//! A registry, keys, and the programs that sign with them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    artifact::{Digest, Repository},
    copy::{Attachments, CopyPlan, CopyProgress, CopyProof},
    gate::Found,
    policy::Policy,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use server::{
    adapters::registry::{Copier, RegistryClient},
    ports::{
        image_copy::{CopyEnd, CopyRequest, CopyWatch, ImageCopier as _},
        registry::{Registry as _, RegistryAccess},
    },
    signature::{Attached, SigningKey, TrustedRoots, sought},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;
use testbed::{ImageSpec, OciRegistry, RegistryOptions};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const BUILDER: &str = "https://ci.example.com/builder";
const SOURCE: &str = "https://git.example.com/acme/api";

/// Whether a registry keeps a list of what refers to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryKind {
    WithoutList,
    WithList,
}

pub(crate) struct World {
    place: Place,
    directory: TempDir,
    pushed: AtomicU32,
    /// Waybill's private key.
    private: SecretString,
}

/// An image by its digest.
pub(crate) struct Image {
    pub(crate) repository: Repository,
    pub(crate) digest: Digest,
}

/// A registry with its data.
pub(crate) struct Place {
    // Before its folder: values are dropped in this order.
    pub(crate) registry: OciRegistry,
    _data: TempDir,
}

impl Place {
    pub(crate) async fn new(kind: RegistryKind) -> Self {
        let data = tempfile::tempdir().unwrap();
        let registry = match kind {
            RegistryKind::WithoutList => OciRegistry::start(RegistryOptions::new(data.path())).await,
            RegistryKind::WithList => OciRegistry::run(&programs().join("registry"), data.path()).await,
        };
        Self {
            registry: registry.unwrap(),
            _data: data,
        }
    }
}

pub(crate) fn access() -> RegistryAccess {
    RegistryAccess {
        ca: None,
        plain_http: true,
        credentials: None,
    }
}

/// Nobody watches a copy.
struct Unwatched;

impl CopyWatch for Unwatched {
    fn planned(&self, _: &CopyPlan) {}
    fn moved(&self, _: CopyProgress) {}
}

impl Image {
    /// `HOST/PATH@DIGEST`.
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// Where its copy in another registry is.
    pub(crate) fn copy_in(&self, place: &Place) -> Self {
        Self {
            repository: format!("{}/prod/{}", place.registry.host(), self.repository.path())
                .parse()
                .unwrap(),
            digest: self.digest.clone(),
        }
    }

    /// Another manifest of its repository.
    pub(crate) fn sibling(&self, digest: &str) -> Self {
        Self {
            repository: self.repository.clone(),
            digest: digest.parse().unwrap(),
        }
    }

    /// The tag of the list of its referrers.
    pub(crate) fn list_tag(&self) -> String {
        format!("{}:sha256-{}", self.repository, self.digest.hex())
    }

    /// Copies it with all that hangs on it, as a promotion does.
    pub(crate) async fn copy(&self, to: &Place) -> (Self, CopyProof) {
        let there = self.copy_in(to);
        let end = |repository: &Repository| CopyEnd {
            access: access(),
            repository: repository.clone(),
        };
        let request = CopyRequest {
            from: end(&self.repository),
            to: end(&there.repository),
            digest: self.digest.clone(),
            attachments: Attachments::All,
        };
        let copier = Copier::new().unwrap();
        let proof = copier.copy(&request, &Unwatched, &CancellationToken::new()).await;
        (there, proof.unwrap())
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn descriptor(kind: &str, text: &str) -> Value {
    json!({ "mediaType": kind, "digest": digest(text.as_bytes()), "size": text.len() })
}

fn programs() -> PathBuf {
    std::env::var("TEST_SUPPLY")
        .expect("TEST_SUPPLY names the folder of the programs; make test-supply sets it")
        .into()
}

impl World {
    pub(crate) async fn new(kind: RegistryKind) -> Self {
        let (key, private) = SigningKey::generate().unwrap();
        let world = Self {
            place: Place::new(kind).await,
            directory: tempfile::tempdir().unwrap(),
            pushed: AtomicU32::new(0),
            private,
        };
        world.set_public_key(&key);
        for (name, content) in [
            (
                "provenance.json",
                json!({
                    "buildDefinition": { "buildType": "https://ci.example.com/type", "externalParameters": { "source": SOURCE },
                        "internalParameters": {}, "resolvedDependencies": [] },
                    "runDetails": { "builder": { "id": BUILDER }, "metadata": {} },
                }),
            ),
            (
                "sbom.json",
                json!({ "spdxVersion": "SPDX-2.3", "name": "api", "packages": [] }),
            ),
            // No service of Sigstore signs or keeps anything.
            (
                "services.json",
                json!({ "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "rekorTlogConfig": {}, "tsaConfig": {} }),
            ),
            // As the documentation has it, for a key.
            (
                "empty-root.json",
                json!({ "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1" }),
            ),
            // cosign verifies no bundle without a trusted root. A signature by a key needs nothing in it.
            (
                "root.json",
                json!({ "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [],
                    "certificateAuthorities": [], "ctlogs": [], "timestampAuthorities": [] }),
            ),
        ] {
            std::fs::write(world.directory.path().join(name), content.to_string()).unwrap();
        }
        for who in ["ours", "theirs", "others"] {
            let prefix = format!("--output-key-prefix={who}");
            world.run("cosign-3.1.3", &["generate-key-pair", &prefix]).await;
        }
        world
    }

    /// The key that Waybill signs with.
    pub(crate) fn signing_key(&self) -> SigningKey {
        SigningKey::read(&self.private).unwrap()
    }

    /// Has cosign take this key for Waybill's.
    pub(crate) fn set_public_key(&self, key: &SigningKey) {
        std::fs::write(self.directory.path().join("waybill.pub"), key.public_pem()).unwrap();
    }

    /// What Base64 stands for.
    pub(crate) fn decoded(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    /// Pushes an image that was not there before.
    pub(crate) async fn push(&self) -> Image {
        let n = self.pushed.fetch_add(1, Ordering::Relaxed);
        let path = format!("acme/api-{n}");
        let spec = ImageSpec::new(format!("image {n}"));
        let registry = &self.place.registry;
        let pushed = registry.push_image(&path, "v1", &spec).await;
        Image {
            repository: format!("{}/{path}", registry.host()).parse().unwrap(),
            digest: pushed.unwrap().parse().unwrap(),
        }
    }

    /// Pushes an image that is the same each time, to a repository where nothing hangs on it.
    pub(crate) async fn push_same(&self) -> Image {
        let n = self.pushed.fetch_add(1, Ordering::Relaxed);
        let path = format!("acme/api-{n}");
        let registry = &self.place.registry;
        let pushed = registry.push_image(&path, "v1", &ImageSpec::new("the same")).await;
        Image {
            repository: format!("{}/{path}", registry.host()).parse().unwrap(),
            digest: pushed.unwrap().parse().unwrap(),
        }
    }

    /// Hangs a bundle on an image, as cosign 3 does.
    pub(crate) async fn hang_bundle(&self, image: &Image, bundle: &Value) {
        let bundle = bundle.to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": descriptor("application/vnd.oci.empty.v1+json", "{}"),
            "layers": [descriptor(BUNDLE, &bundle)],
            "subject": { "mediaType": MANIFEST, "digest": image.digest.as_str(), "size": 1 },
        });
        let bytes = manifest.to_string();
        let registry = &self.place.registry;
        let path = image.repository.path();
        let blobs = [b"{}".to_vec(), bundle.into_bytes()];
        (registry
            .push_artifact(path, &digest(bytes.as_bytes()), &manifest, &blobs)
            .await)
            .unwrap();
        let mut entry = descriptor(MANIFEST, &bytes);
        entry["artifactType"] = json!(BUNDLE);
        let list =
            json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry] });
        let tag = format!("sha256-{}", image.digest.hex());
        registry.push_artifact(path, &tag, &list, &[]).await.unwrap();
    }

    /// Hangs a signature of the older form on an image, as cosign 2 does.
    pub(crate) async fn hang_simple(&self, image: &Image, document: &[u8], annotations: &BTreeMap<String, String>) {
        let text = std::str::from_utf8(document).unwrap();
        let mut layer = descriptor("application/vnd.dev.cosign.simplesigning.v1+json", text);
        layer["annotations"] = json!(annotations);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", "{}"),
            "layers": [layer],
        });
        let tag = format!("sha256-{}.sig", image.digest.hex());
        let blobs = [b"{}".to_vec(), document.to_vec()];
        let registry = &self.place.registry;
        (registry
            .push_artifact(image.repository.path(), &tag, &manifest, &blobs)
            .await)
            .unwrap();
    }

    /// Writes a file beside the keys.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// What hangs on an image, as Waybill reads it.
    pub(crate) async fn attached(&self, image: &Image, says: &[&str]) -> Vec<Attached> {
        let client = RegistryClient::new().unwrap();
        let hanging = client
            .attached(&access(), &image.repository, &image.digest, says)
            .await
            .unwrap();
        assert!(hanging.unseen.is_none(), "{:?}", hanging.unseen);
        hanging.attached
    }

    /// Pushes an index as BuildKit writes it: two platforms, then an attestation for each.
    pub(crate) async fn push_index(&self) -> Image {
        let n = self.pushed.fetch_add(1, Ordering::Relaxed);
        let path = format!("acme/api-{n}");
        let registry = &self.place.registry;
        let spec = ImageSpec::new(format!("image {n}")).platforms(&["linux/amd64", "linux/arm64"]);
        let platforms = registry.push_image(&path, "platforms", &spec).await.unwrap();
        let platforms = format!("{}/{path}@{platforms}", registry.host());
        let mut index: Value =
            serde_json::from_str(&self.run("crane-0.22.1", &["manifest", &platforms]).await).unwrap();
        let entries = index["manifests"].as_array_mut().unwrap();
        for platform in entries.clone() {
            let of = platform["digest"].as_str().unwrap();
            let statement =
                json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": [{ "name": of }] }).to_string();
            let config = json!({ "architecture": "unknown", "os": "unknown", "config": {},
                "rootfs": { "type": "layers", "diff_ids": [digest(statement.as_bytes())] } })
            .to_string();
            let mut layer = descriptor("application/vnd.in-toto+json", &statement);
            layer["annotations"] = json!({ "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" });
            let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST,
                "config": descriptor("application/vnd.oci.image.config.v1+json", &config), "layers": [layer] });
            let blobs = [config.into_bytes(), statement.into_bytes()];
            let mut entry = descriptor(MANIFEST, &manifest.to_string());
            let pushed = registry.push_artifact(&path, entry["digest"].as_str().unwrap(), &manifest, &blobs);
            pushed.await.unwrap();
            entry["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
            entry["annotations"] =
                json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of });
            entries.push(entry);
        }
        let image = Image {
            repository: format!("{}/{path}", registry.host()).parse().unwrap(),
            digest: digest(index.to_string().as_bytes()).parse().unwrap(),
        };
        registry.push_artifact(&path, "v1", &index, &[]).await.unwrap();
        image
    }

    /// The manifests that an index names, in its order.
    pub(crate) async fn entries(&self, index: &Image) -> Vec<Image> {
        let said = self.run("crane-0.22.1", &["manifest", &index.reference()]).await;
        let read: Value = serde_json::from_str(&said).unwrap();
        let entries = read["manifests"].as_array().unwrap().iter();
        entries
            .map(|entry| index.sibling(entry["digest"].as_str().unwrap()))
            .collect()
    }

    pub(crate) async fn sign(&self, program: &str, key: &str, how: &[&str], image: &Image) {
        self.ask(program, &["sign"], key, how, image).await;
    }

    /// Attests what a file says, by the name that cosign has for its kind.
    pub(crate) async fn attest(
        &self,
        program: &str,
        key: &str,
        how: &[&str],
        (kind, file): (&str, &str),
        image: &Image,
    ) {
        self.ask(
            program,
            &["attest", "--type", kind, "--predicate", file],
            key,
            how,
            image,
        )
        .await;
    }

    async fn ask(&self, program: &str, command: &[&str], key: &str, how: &[&str], image: &Image) {
        let (key, reference) = (format!("--key={key}.key"), image.reference());
        let common = ["--yes", "--allow-http-registry", &key];
        let arguments: Vec<&str> = [command, &common, how, &[&reference]].concat();
        self.run(program, &arguments).await;
    }

    /// Runs a program, which must succeed, and returns what it said.
    pub(crate) async fn run(&self, program: &str, arguments: &[&str]) -> String {
        let said = self.attempt(program, arguments).await;
        said.unwrap_or_else(|error| panic!("{program} {arguments:?}: {error}"))
    }

    /// Runs a program and returns its output. The error is all that it wrote.
    pub(crate) async fn attempt(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let built = programs().join(program);
        // skopeo is Debian's.
        let done = Command::new(if built.exists() { built } else { program.into() })
            .args(arguments)
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .env("COSIGN_PASSWORD", "")
            // Without it, cosign 2.6 ignores --registry-referrers-mode.
            .env("COSIGN_EXPERIMENTAL", "1")
            .env_remove("COSIGN_REPOSITORY")
            .env_remove("DOCKER_CONFIG")
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
            false => Err([done.stderr, done.stdout]
                .map(|said| String::from_utf8_lossy(&said).into_owned())
                .concat()),
        }
    }

    /// What a policy that asks for both finds: the signature, and the provenance.
    pub(crate) async fn found(&self, image: &Image) -> [Found; 2] {
        self.found_of("ours", image).await
    }

    /// The same by another key.
    pub(crate) async fn found_of(&self, key: &str, image: &Image) -> [Found; 2] {
        let key = std::fs::read_to_string(self.directory.path().join(format!("{key}.pub"))).unwrap();
        let policy: Policy = serde_json::from_value(json!({
            "signatures": [{ "name": "release", "key": key }],
            "provenance": [{ "name": "ci", "key": key, "builder": BUILDER, "repository": SOURCE }],
        }))
        .unwrap();
        let mut found = Vec::new();
        for (_, sought) in sought(&policy, &TrustedRoots::built_in()) {
            found.push(sought.find(&image.digest, &self.attached(image, sought.says()).await));
        }
        found.try_into().unwrap()
    }
}
