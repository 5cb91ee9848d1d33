//! Tiny but real OCI images: a configuration with labels, one gzipped layer, a manifest, and an index where there are
//! several platforms. The same description always gives the same digests.
//!
//! Shapes: <https://github.com/opencontainers/image-spec/blob/v1.1.0/spec.md>.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::TestbedError;

/// Media type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index: the list of one image's platforms.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What an image should be. `Default` is a nameless build for linux/amd64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// Labels of the configuration, for example `org.opencontainers.image.revision`.
    pub labels: Vec<(String, String)>,
    /// When it was built, RFC 3339.
    pub created: String,
    /// `os/architecture` or `os/architecture/variant`; two or more make an index.
    pub platforms: Vec<String>,
    /// The content of the one file in the layer. Two builds differ by it.
    pub layer_bytes: Vec<u8>,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            platforms: vec!["linux/amd64".to_owned()],
            layer_bytes: Vec::new(),
        }
    }
}

impl ImageSpec {
    /// A build told from others by `content`, for example "api build 7".
    pub fn new(content: impl Into<Vec<u8>>) -> Self {
        Self {
            layer_bytes: content.into(),
            ..Self::default()
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets the time of the build, RFC 3339.
    #[must_use]
    pub fn created(mut self, created: &str) -> Self {
        created.clone_into(&mut self.created);
        self
    }

    /// Sets the platforms; see the field.
    #[must_use]
    pub fn platforms(mut self, platforms: &[&str]) -> Self {
        self.platforms = platforms.iter().map(|&platform| platform.to_owned()).collect();
        self
    }
}

/// An image ready to be pushed: blobs first, then the manifests, then `root` under the tag.
pub(crate) struct BuiltImage {
    pub(crate) blobs: Vec<Blob>,
    /// The manifests of the platforms where there is an index; they are pushed by digest.
    pub(crate) manifests: Vec<Blob>,
    pub(crate) root: Blob,
}

/// Bytes with the digest they are known by.
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: digest(&bytes),
            bytes,
        }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// `sha256:` and 64 lower-case hex characters.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub(crate) fn build(spec: &ImageSpec) -> Result<BuiltImage, TestbedError> {
    let mut blobs = Vec::new();
    let mut manifests = Vec::new();
    let mut entries = Vec::new();
    for platform in &spec.platforms {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next().unwrap_or("linux"), parts.next().unwrap_or("amd64"));
        let mut described = json!({ "os": os, "architecture": architecture });
        if let Some(variant) = parts.next() {
            described["variant"] = json!(variant);
        }
        let content = [platform.as_bytes(), b"\n", &spec.layer_bytes].concat();
        let (tar, layer) = layer(&content)?;
        let mut config = described.clone();
        config["created"] = json!(spec.created);
        config["config"] =
            json!({ "Labels": spec.labels.iter().cloned().collect::<std::collections::BTreeMap<_, _>>() });
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [digest(&tar)] });
        config["history"] = json!([{ "created": spec.created, "created_by": "testbed" }]);
        let config = Blob::json(CONFIG, &config);
        let layer = Blob::new(LAYER, layer);
        let manifest = Blob::json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
            }),
        );
        let mut entry = manifest.descriptor();
        entry["platform"] = described;
        entries.push(entry);
        blobs.extend([config, layer]);
        manifests.push(manifest);
    }
    if manifests.len() == 1
        && let Some(root) = manifests.pop()
    {
        return Ok(BuiltImage { blobs, manifests, root });
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    Ok(BuiltImage {
        blobs,
        manifests,
        root: Blob::json(INDEX, &index),
    })
}

/// A tar archive with one file, and the same gzipped; without times and owners, so that it can be made again.
fn layer(content: &[u8]) -> Result<(Vec<u8>, Vec<u8>), TestbedError> {
    let directory = TempDir::with_prefix("waybill-layer-").map_err(TestbedError::file(std::env::temp_dir()))?;
    let here = directory.path();
    std::fs::write(here.join("app"), content).map_err(TestbedError::file(here))?;
    let plain = [
        "--create",
        "--file=layer.tar",
        "--format=ustar",
        "--mtime=@0",
        "--mode=0644",
    ];
    run(
        here,
        "tar",
        &[&plain[..], &["--owner=0", "--group=0", "--numeric-owner", "app"]].concat(),
    )?;
    run(here, "gzip", &["--no-name", "--keep", "layer.tar"])?;
    let read = |name: &str| std::fs::read(here.join(name)).map_err(TestbedError::file(here.join(name)));
    Ok((read("layer.tar")?, read("layer.tar.gz")?))
}

fn run(directory: &Path, program: &str, arguments: &[&str]) -> Result<(), TestbedError> {
    let output = Command::new(program)
        .current_dir(directory)
        .args(arguments)
        .output()
        .map_err(|source| TestbedError::Spawn {
            program: program.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(TestbedError::Program {
        command: format!("{program} {}", arguments.join(" ")),
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
