//! What manifests, indexes and image configurations say, and how they add up to [`ArtifactDetails`].
//!
//! Formats: the OCI image specification 1.1 (`manifest.md`, `image-index.md`, `config.md`, `annotations.md`) and Docker's
//! "Image Manifest Version 2, Schema 2", which share their shape. Everything that Waybill doesn't need may be missing or odd.

use crate::nesting::{self, JsonError};
use domain::{
    artifact::{ArtifactDetails, Digest},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// All manifest types. All are always named: a registry may answer 404 for a type that isn't, and gives another digest
/// (one platform's) for a list that isn't.
pub(super) const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Configurations that describe an image; artifacts of other kinds (charts, signatures) have others.
const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];
/// Labels with longer values are left out: some build tools keep tens of KB of their own state in one.
const LABEL_LIMIT: usize = 4096;

/// A manifest, or an index of manifests.
#[derive(Debug)]
pub(super) enum Document {
    Image(Manifest),
    Index(Index),
}

#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "texts")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Index {
    pub(super) manifests: Vec<Descriptor>,
    #[serde(default, deserialize_with = "texts")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    /// Of an artifact that is no image: what it is.
    pub(super) artifact_type: Option<String>,
    digest: String,
    #[serde(default)]
    pub(super) size: u64,
    platform: Option<Platform>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// Of an index entry, and with the same names at the top of a configuration.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ImageConfig {
    created: Option<String>,
    #[serde(flatten)]
    platform: Platform,
    config: Option<RuntimeConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuntimeConfig {
    #[serde(default, deserialize_with = "texts")]
    labels: BTreeMap<String, String>,
}

/// Reads a manifest or index; the error says what it is instead.
///
/// The shape decides, not `Content-Type`: some registries serve everything as `application/json`.
pub(super) fn read(body: &[u8]) -> Result<Document, String> {
    let value: Value = nesting::json(body).map_err(|error| match error {
        JsonError::TooDeep(error) => format!("a manifest whose {error}"),
        JsonError::Json(_) => "a manifest that is no JSON".to_owned(),
    })?;
    let has = |key: &str| value.get(key).is_some_and(|v| !v.is_null());
    if value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
        return Err("a manifest of the withdrawn schema 1; push the image again with a current tool".into());
    }
    let document = if has("manifests") {
        serde_json::from_value(value).map(Document::Index)
    } else if has("config") || has("layers") {
        serde_json::from_value(value).map(Document::Image)
    } else {
        return Err("JSON that is no manifest".into());
    };
    document.map_err(|e| format!("a manifest with a wrong field ({e})"))
}

impl Index {
    /// The entries that can run: attestations (`unknown/unknown`, put there by build tools) are left out.
    pub(super) fn runnable(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|entry| {
            let attestation = entry.annotations.contains_key("vnd.docker.reference.type");
            let unknown = entry
                .platform
                .as_ref()
                .is_some_and(|p| p.os == "unknown" || p.architecture == "unknown");
            !(attestation || unknown)
        })
    }
}

impl Descriptor {
    pub(super) fn digest(&self) -> Result<Digest, String> {
        self.digest
            .parse()
            .map_err(|_| "a manifest that names something by no SHA-256 digest".into())
    }

    /// Whether this is the configuration of an image.
    pub(super) fn is_image_config(&self) -> bool {
        IMAGE_CONFIGS.contains(&self.media_type.as_str())
    }

    pub(super) fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }
}

impl Platform {
    /// `linux/arm64/v8`.
    pub(super) fn shown(&self) -> Option<String> {
        if self.os.is_empty() || self.architecture.is_empty() {
            return None;
        }
        let variant = self.variant.as_deref().filter(|v| !v.is_empty());
        Some(match variant {
            Some(variant) => format!("{}/{}/{variant}", self.os, self.architecture),
            None => format!("{}/{}", self.os, self.architecture),
        })
    }
}

/// Gathers what the parts of an image say.
#[derive(Default)]
pub(super) struct Gathered {
    details: ArtifactDetails,
    /// Blobs already counted: platforms may share layers, and a registry stores them once.
    counted: BTreeSet<String>,
    /// From manifests and indexes, in the order met; they only fill what no configuration says.
    annotations: BTreeMap<String, String>,
    configured: bool,
}

impl Gathered {
    pub(super) fn index(&mut self, index: &Index) {
        self.annotate(&index.annotations);
    }

    /// One platform's manifest. `entry` is what the index says about it.
    pub(super) fn manifest(&mut self, manifest: &Manifest, entry: Option<&Platform>, config: Option<&ImageConfig>) {
        for blob in manifest.config.iter().chain(&manifest.layers) {
            if self.counted.insert(blob.digest.clone()) {
                self.details.size_bytes = self.details.size_bytes.saturating_add(blob.size);
            }
        }
        let platform = entry
            .and_then(Platform::shown)
            .or_else(|| config.and_then(|c| c.platform.shown()));
        if let Some(platform) = platform
            && !self.details.platforms.contains(&platform)
        {
            self.details.platforms.push(platform);
        }
        self.annotate(&manifest.annotations);
        if let Some(config) = config
            && !self.configured
        {
            self.configured = true;
            self.details.created_at = config.created.as_deref().and_then(timestamp);
            if let Some(runtime) = &config.config {
                self.details.labels.clone_from(&runtime.labels);
            }
        }
    }

    /// Whether a configuration has been read: one platform's is enough, all platforms come from one build.
    pub(super) fn has_config(&self) -> bool {
        self.configured
    }

    fn annotate(&mut self, annotations: &BTreeMap<String, String>) {
        for (key, value) in annotations {
            self.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    pub(super) fn finish(self) -> ArtifactDetails {
        let mut details = self.details;
        for (key, value) in self.annotations {
            details.labels.entry(key).or_insert(value);
        }
        details.labels.retain(|_, value| value.len() <= LABEL_LIMIT);
        if details.created_at.is_none() {
            details.created_at = ["org.opencontainers.image.created", "org.label-schema.build-date"]
                .iter()
                .find_map(|key| timestamp(details.labels.get(*key)?));
        }
        details
    }
}

/// Milliseconds of an RFC 3339 time; builders write up to nanoseconds.
fn timestamp(text: &str) -> Option<Timestamp> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanos.div_euclid(1_000_000)).ok().map(Timestamp)
}

/// A map that may be null and whose values should be texts; others are left out.
pub(super) fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(map) = Value::deserialize(deserializer)? else {
        return Ok(BTreeMap::new());
    };
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    };
    Ok(map.into_iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn image(config: char, layers: &[(char, u64)]) -> Value {
        let descriptor =
            |c: char, size: u64| json!({"digest": format!("sha256:{}", c.to_string().repeat(64)), "size": size});
        json!({
            "schemaVersion": 2,
            "config": descriptor(config, 10),
            "layers": layers.iter().map(|(c, size)| descriptor(*c, *size)).collect::<Vec<_>>(),
            "annotations": {"org.opencontainers.image.source": "from annotation", "only": "annotated", "odd": 3},
        })
    }

    fn manifest(value: &Value) -> Manifest {
        match read(value.to_string().as_bytes()).unwrap() {
            Document::Image(manifest) => manifest,
            Document::Index(_) => panic!("an index"),
        }
    }

    #[test]
    fn shared_layers_count_once_and_configurations_win_over_annotations() {
        let config: ImageConfig = serde_json::from_value(json!({
            "created": "1970-01-01T00:00:01.5Z", "os": "linux", "architecture": "arm64", "variant": "v8",
            "config": {"Labels": {"org.opencontainers.image.source": "from label", "long": "x".repeat(5000)}},
        }))
        .unwrap();
        let mut gathered = Gathered::default();
        gathered.manifest(&manifest(&image('a', &[('b', 100), ('c', 7)])), None, Some(&config));
        gathered.manifest(&manifest(&image('d', &[('b', 100), ('e', 1)])), None, None);
        assert!(gathered.has_config());
        let details = gathered.finish();
        assert_eq!(details.size_bytes, 10 + 100 + 7 + 10 + 1);
        assert_eq!(details.platforms, ["linux/arm64/v8"]);
        assert_eq!(details.created_at, Some(Timestamp(1500)));
        assert_eq!(details.source(), Some("from label"));
        assert_eq!(
            details.labels.keys().collect::<Vec<_>>(),
            ["only", "org.opencontainers.image.source"]
        );
    }

    #[test]
    fn the_build_time_falls_back_to_annotations() {
        let mut gathered = Gathered::default();
        let index =
            json!({"manifests": [], "annotations": {"org.opencontainers.image.created": "2026-01-02T03:04:05+01:00"}});
        let Document::Index(index) = read(index.to_string().as_bytes()).unwrap() else {
            panic!("no index")
        };
        gathered.index(&index);
        assert_eq!(
            gathered.finish().created_at.map(Timestamp::rfc3339).unwrap(),
            "2026-01-02T02:04:05Z"
        );
    }

    #[test]
    fn attestations_cannot_run() {
        let entry = |os: &str, annotations: Value| json!({"digest": "sha256:x", "platform": {"os": os, "architecture": os}, "annotations": annotations});
        let index = json!({"manifests": [
            entry("linux", Value::Null),
            entry("unknown", Value::Null),
            entry("linux", json!({"vnd.docker.reference.type": "attestation-manifest"})),
            {"digest": "sha256:y"},
        ]});
        let Document::Index(index) = read(index.to_string().as_bytes()).unwrap() else {
            panic!("no index")
        };
        assert_eq!(
            index.runnable().map(|d| d.digest.as_str()).collect::<Vec<_>>(),
            ["sha256:x", "sha256:y"]
        );
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        for (body, want) in [
            ("<html>", "no JSON"),
            ("{}", "no manifest"),
            ("[1]", "no manifest"),
            (r#"{"schemaVersion":1,"layers":[]}"#, "schema 1"),
            (r#"{"manifests":7}"#, "wrong field"),
            (r#"{"layers":[{"digest":"sha256:x","size":-1}]}"#, "wrong field"),
        ] {
            let error = read(body.as_bytes()).unwrap_err();
            assert!(error.contains(want), "{body}: {error}");
        }
    }
}
