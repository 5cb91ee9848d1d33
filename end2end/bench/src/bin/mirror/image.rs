//! The images that are copied: random bytes as gzip stores them, so that nobody can make them smaller and nobody has to.

use crate::Outcome;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use testbed::OciRegistry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const STATEMENT: &str = "application/vnd.in-toto+json";
const SIGNED: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const MIB: usize = 1024 * 1024;

/// An image that was pushed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) root: String,
    /// What it consists of.
    pub(crate) manifests: Vec<String>,
    pub(crate) blobs: Vec<String>,
    /// Manifests that hang on it, and lists of them.
    pub(crate) hanging: usize,
    /// What refers to one of its manifests: the tag of the list, and the manifest in it.
    pub(crate) referrers: Vec<(String, String)>,
    /// A tag of cosign, and what it names.
    pub(crate) signature: Option<(String, String)>,
}

/// Builds and pushes an image, by the name of its repository.
pub(crate) async fn push(registry: &OciRegistry, repository: &str) -> Outcome<Image> {
    let mut push = Push {
        registry,
        repository,
        image: Image::default(),
    };
    match repository {
        "bench/index" => push.index().await?,
        "bench/layers" => push.layers(100, 60, MIB / 4).await?,
        "bench/large" => push.layers(200, 1, 500 * MIB).await?,
        "bench/last" => push.layers(300, 10, 10 * MIB).await?,
        // The first two are others.
        "bench/next" => push.layers(302, 10, 10 * MIB).await?,
        other => return Err(format!("nobody knows how to build {other}").into()),
    }
    Ok(push.image)
}

struct Push<'a> {
    registry: &'a OciRegistry,
    repository: &'a str,
    image: Image,
}

impl Push<'_> {
    async fn layers(&mut self, seed: u64, count: u64, size: usize) -> Outcome<()> {
        let pushed = self.platform("amd64", seed, count, size).await?;
        self.image.root = named(&pushed);
        Ok(())
    }

    async fn index(&mut self) -> Outcome<()> {
        let mut entries = Vec::new();
        let mut first = Value::Null;
        for (architecture, seed) in [("amd64", 10), ("arm64", 20)] {
            let mut platform = self.platform(architecture, seed, 5, 20 * MIB).await?;
            platform["platform"] = json!({ "os": "linux", "architecture": architecture });
            let statement =
                json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": architecture }).to_string();
            let mut attestation = self.manifest(None, STATEMENT, statement.into_bytes(), None).await?;
            attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
            attestation["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": platform["digest"] });
            if first.is_null() {
                first = subject(&platform);
            }
            entries.extend([platform, attestation]);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        let root = self.put(None, &index).await?;
        self.image.root = named(&root);
        self.image.manifests.push(named(&root));
        let (manifests, blobs) = (self.image.manifests.len(), self.image.blobs.len());

        // What hangs on it: two referrers of the index, one of a platform, and cosign's older form.
        for (of, kinds) in [
            (
                &root,
                &["application/vnd.dev.sigstore.bundle.v0.3+json", "application/spdx+json"][..],
            ),
            (&first, &["application/spdx+json"][..]),
        ] {
            let tag = named(of).replace(':', "-");
            let mut listed = Vec::new();
            for kind in kinds {
                let document = json!({ "of": of["digest"], "kind": kind }).to_string().into_bytes();
                let mut referrer = self.manifest(None, kind, document, Some(of)).await?;
                referrer["artifactType"] = (*kind).into();
                self.image.referrers.push((tag.clone(), named(&referrer)));
                listed.push(referrer);
            }
            let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
            self.put(Some(&tag), &list).await?;
            self.image.hanging += 1;
        }
        let tag = format!("{}.sig", named(&root).replace(':', "-"));
        let payload = json!({ "critical": { "image": { "docker-manifest-digest": root["digest"] } } }).to_string();
        let signature = self.manifest(Some(&tag), SIGNED, payload.into_bytes(), None).await?;
        self.image.signature = Some((tag, named(&signature)));
        self.image.hanging += self.image.manifests.len() - manifests;
        self.image.manifests.truncate(manifests);
        self.image.blobs.truncate(blobs);
        Ok(())
    }

    async fn platform(&mut self, architecture: &str, seed: u64, count: u64, size: usize) -> Outcome<Value> {
        let config = json!({ "os": "linux", "architecture": architecture, "config": { "Labels": { "seed": seed.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = self.blob(CONFIG, config.to_string().into_bytes()).await?;
        let mut layers = Vec::new();
        for n in 0..count {
            layers.push(self.blob(LAYER, layer(seed + n, size)?).await?);
        }
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let pushed = self.put(None, &manifest).await?;
        self.image.manifests.push(named(&pushed));
        Ok(pushed)
    }

    /// Pushes a manifest of one small document.
    async fn manifest(
        &mut self,
        tag: Option<&str>,
        kind: &str,
        document: Vec<u8>,
        of: Option<&Value>,
    ) -> Outcome<Value> {
        let config = self.blob(EMPTY, b"{}".to_vec()).await?;
        let layer = self.blob(kind, document).await?;
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        if let Some(of) = of {
            manifest["artifactType"] = kind.into();
            manifest["subject"] = of.clone();
        }
        let pushed = self.put(tag, &manifest).await?;
        self.image.manifests.push(named(&pushed));
        Ok(pushed)
    }

    async fn blob(&mut self, kind: &str, bytes: Vec<u8>) -> Outcome<Value> {
        let descriptor = json!({ "mediaType": kind, "digest": digest(&bytes), "size": bytes.len() });
        self.registry.push_bytes(self.repository, bytes).await?;
        self.image.blobs.push(named(&descriptor));
        Ok(descriptor)
    }

    async fn put(&self, tag: Option<&str>, manifest: &Value) -> Outcome<Value> {
        let bytes = manifest.to_string().into_bytes();
        let descriptor = json!({ "mediaType": manifest["mediaType"], "digest": digest(&bytes), "size": bytes.len() });
        let reference = tag.map_or_else(|| named(&descriptor), str::to_owned);
        self.registry
            .push_artifact(self.repository, &reference, manifest, &[])
            .await?;
        Ok(descriptor)
    }
}

/// A descriptor without what an index says beside it.
fn subject(entry: &Value) -> Value {
    json!({ "mediaType": entry["mediaType"], "digest": entry["digest"], "size": entry["size"] })
}

fn named(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap_or_default().to_owned()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A layer of about so many bytes, the same for the same seed.
fn layer(seed: u64, size: usize) -> Outcome<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::with_capacity(size + size / 1024), Compression::none());
    // Xorshift: quick, and nothing that deflate would find a pattern in.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut chunk = Vec::with_capacity(64 * 1024);
    let mut left = size;
    while left > 0 {
        chunk.clear();
        while chunk.len() < left.min(64 * 1024) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.extend_from_slice(&state.to_le_bytes());
        }
        packed.write_all(&chunk)?;
        left -= chunk.len().min(left);
    }
    Ok(packed.finish()?)
}
