//! Images that few tools make: indexes in indexes, missing platforms, attestations, and artifacts that are no images.

use crate::odd::{Origin, Seen, client, digest, open, response, status};
use domain::artifact::{ArtifactDetails, Digest};
use serde_json::{Value, json};
use server::ports::registry::{Registry, RegistryError};
use std::collections::BTreeMap;

/// What a registry holds, by digest.
#[derive(Default)]
struct Content(BTreeMap<String, Vec<u8>>);

impl Content {
    /// Adds a document and gives its descriptor.
    fn put(&mut self, media_type: &str, value: &Value) -> Value {
        let bytes = value.to_string().into_bytes();
        let digest = digest(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.0.insert(digest, bytes);
        descriptor
    }

    fn image(&mut self, architecture: &str, layer: u64) -> Value {
        let config = self.put(
            "application/vnd.oci.image.config.v1+json",
            &json!({"os": "linux", "architecture": architecture, "created": "2026-01-02T03:04:05Z",
                "config": {"Labels": {"ci.run": architecture}}}),
        );
        let layers = json!([{"mediaType": "x", "digest": digest(architecture.as_bytes()), "size": layer}]);
        self.put("x", &json!({"schemaVersion": 2, "config": config, "layers": layers}))
    }

    fn index(&mut self, manifests: &[&Value]) -> Value {
        self.put("x", &json!({"schemaVersion": 2, "manifests": manifests}))
    }

    fn size_of_config(&self, manifest: &Value) -> u64 {
        let manifest: Value = serde_json::from_slice(&self.0[manifest["digest"].as_str().unwrap()]).unwrap();
        manifest["config"]["size"].as_u64().unwrap()
    }

    async fn describe(self, root: &Value) -> Result<ArtifactDetails, RegistryError> {
        let answer = move |seen: &Seen, _: &[Seen]| {
            let found = seen.uri.rsplit('/').next().and_then(|digest| self.0.get(digest));
            found.map_or_else(|| status(404), |bytes| response(200, &[], bytes.clone()))
        };
        let registry = Origin::start(answer).await;
        let root: Digest = root["digest"].as_str().unwrap().parse().unwrap();
        client()
            .describe(&open(), &registry.repository(), &root)
            .await
            .map(Option::unwrap)
    }
}

#[tokio::test]
async fn indexes_in_indexes_add_up_without_attestations_and_missing_platforms() {
    let mut content = Content::default();
    let arm = content.image("arm64", 100);
    let mut amd = content.image("amd64", 20);
    amd["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let mut attestation = content.image("attested", 5000);
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let missing = json!({"mediaType": "x", "digest": digest(b"nowhere"), "size": 3,
        "platform": {"os": "linux", "architecture": "s390x"}});
    let inner = content.index(&[&arm, &attestation]);
    let root = content.index(&[&missing, &inner, &amd]);
    let size = 120 + content.size_of_config(&arm) + content.size_of_config(&amd);
    let details = content.describe(&root).await.unwrap();
    assert_eq!(details.platforms, ["linux/arm64", "linux/amd64"]);
    assert_eq!(details.run(), Some("arm64"));
    assert_eq!(details.size_bytes, size);
}

#[tokio::test]
async fn indexes_without_end_are_refused() {
    let mut content = Content::default();
    let mut root = content.image("amd64", 1);
    for _ in 0..4 {
        root = content.index(&[&root]);
    }
    let error = content.describe(&root).await.unwrap_err();
    assert!(error.to_string().contains("more than 3 levels"), "{error}");

    let mut content = Content::default();
    let images: Vec<Value> = (0..101).map(|n| content.image(&format!("a{n}"), 1)).collect();
    let root = content.index(&images.iter().collect::<Vec<_>>());
    let error = content.describe(&root).await.unwrap_err();
    assert!(error.to_string().contains("more than 100 images"), "{error}");
}

#[tokio::test]
async fn a_chart_is_described_by_its_annotations() {
    let mut content = Content::default();
    let config = content.put(
        "application/vnd.cncf.helm.config.v1+json",
        &json!({"name": "chart", "created": "x"}),
    );
    let annotations = json!({"org.opencontainers.image.created": "1970-01-01T00:00:00Z", "org.opencontainers.image.revision": "4f2a9c1"});
    let root = content.put(
        "x",
        &json!({"schemaVersion": 2, "config": config, "layers": [], "annotations": annotations}),
    );
    let details = content.describe(&root).await.unwrap();
    assert_eq!(details.revision(), Some("4f2a9c1"));
    assert_eq!(details.created_at.map(|t| t.0), Some(0));
    assert!(details.platforms.is_empty());
}

#[tokio::test]
async fn a_configuration_with_other_content_than_its_digest_is_refused() {
    let mut content = Content::default();
    let root = content.image("amd64", 1);
    for bytes in content
        .0
        .values_mut()
        .filter(|bytes| bytes.starts_with(b"{\"architecture"))
    {
        bytes.push(b' ');
    }
    let error = content.describe(&root).await.unwrap_err();
    assert!(error.to_string().contains("configuration sha256:"), "{error}");
}
