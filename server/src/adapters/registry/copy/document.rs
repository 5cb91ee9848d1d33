//! What a copy needs to know of a manifest or index: what it names, what it refers to, and what kind of thing it is.
//!
//! The bytes are never written anew; this is only read out of them.

use super::super::manifest::{Descriptor, texts};
use crate::nesting::{self, JsonError};
use domain::{copy::Attached, statement::StatementForm};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What is certainly a manifest or an index, wherever it is named.
const MANIFESTS: [&str; 5] = [
    INDEX,
    MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.artifact.manifest.v1+json",
];
/// Layers that their registry may not pass on.
const NOT_PASSED_ON: [&str; 2] = [
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
];
/// The annotation with which BuildKit marks what it attests, in an index.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation with which cosign says what a bundle attests.
const BUNDLE_SAYS: &str = "dev.sigstore.bundle.predicateType";
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const SIGN: &str = "https://sigstore.dev/cosign/sign/";
const SIGNATURES: [&str; 3] = [
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.cncf.notary.signature",
];
/// What is signed in cosign's older form: the first two are its signatures, the last its attestations.
const OLDER: [&str; 3] = [SIGNATURES[0], SIGNATURES[1], ATTESTATIONS[1]];
const ATTESTATIONS: [&str; 2] = ["application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"];

/// A manifest or index, as far as a copy is concerned.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Document {
    schema_version: Option<u64>,
    pub(super) media_type: Option<String>,
    artifact_type: Option<String>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    /// Of the withdrawn artifact manifest.
    blobs: Option<Vec<Descriptor>>,
    pub(super) subject: Option<Descriptor>,
    #[serde(deserialize_with = "texts")]
    annotations: BTreeMap<String, String>,
}

/// Reads a manifest or index; the error says why it can't be copied, as the end of "`…` is".
pub(super) fn read(bytes: &[u8]) -> Result<Document, String> {
    let value: Value = nesting::json(bytes).map_err(|error| match error {
        JsonError::TooDeep(error) => format!("a manifest whose {error}"),
        JsonError::Json(_) => "no manifest".to_owned(),
    })?;
    let document: Document =
        serde_json::from_value(value).map_err(|error| format!("a manifest with a wrong field ({error})"))?;
    if document.schema_version == Some(1) {
        return Err("a manifest of the withdrawn schema 1. Push the image again with a current tool".into());
    }
    Ok(document)
}

impl Document {
    /// The blobs that it names.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let listed = self.layers.iter().flatten().chain(self.blobs.iter().flatten());
        self.config.iter().chain(listed)
    }

    /// The type to push it with: what it was served with where that is one, else what it says of itself, else what its shape says.
    pub(super) fn kind<'a>(&'a self, served: Option<&'a str>) -> &'a str {
        let says = self.media_type.as_deref();
        let shape = if self.manifests.is_some() { INDEX } else { MANIFEST };
        (served
            .filter(|kind| is_manifest(kind))
            .or(says)
            .or(served.filter(|kind| kind.contains("manifest"))))
        .unwrap_or(shape)
    }

    /// Sets the type and the annotations of its entry in a list of referrers. Whoever writes such a list must take them from the manifest (OCI
    /// distribution 1.1, "Pushing Manifests with Subject").
    pub(super) fn describe(&self, entry: &mut Value) {
        let Some(entry) = entry.as_object_mut() else { return };
        let own = self.artifact_type.as_deref().filter(|kind| !kind.is_empty());
        let config = self.config.as_ref().map(|config| config.media_type.as_str());
        if let Some(kind) = own.or(config) {
            entry.insert("artifactType".into(), kind.into());
        }
        if !self.annotations.is_empty() {
            entry.insert("annotations".into(), json!(self.annotations));
        }
    }

    /// What it is where it hangs on an image; counts a manifest once.
    pub(super) fn attached(&self) -> Attached {
        let config = self.config.as_ref().map(|config| config.media_type.as_str());
        let layers = self.layers.iter().flatten().map(|layer| layer.media_type.as_str());
        let kinds: Vec<&str> = self
            .artifact_type
            .as_deref()
            .into_iter()
            .chain(config)
            .chain(layers)
            .collect();
        let is = |known: &[&str]| kinds.iter().any(|kind| known.contains(kind));
        let mut counted = Attached::default();
        if kinds.iter().any(|kind| kind.starts_with(BUNDLE)) {
            match self.annotations.get(BUNDLE_SAYS) {
                Some(says) if !says.starts_with(SIGN) => counted.attestations = 1,
                _ => counted.signatures = 1,
            }
        } else if is(&SIGNATURES) {
            counted.signatures = 1;
        } else if is(&ATTESTATIONS) {
            counted.attestations = 1;
        } else if kinds
            .iter()
            .any(|kind| ["spdx", "cyclonedx", "syft"].iter().any(|sbom| kind.contains(sbom)))
        {
            counted.sboms = 1;
        } else {
            counted.others = 1;
        }
        counted
    }

    /// In which of cosign's forms it holds something signed; `None` when it holds nothing of the kind.
    pub(super) fn signed_form(&self) -> Option<StatementForm> {
        let layers = self.layers.iter().flatten().map(|layer| layer.media_type.as_str());
        let kinds: Vec<&str> = self.artifact_type.as_deref().into_iter().chain(layers).collect();
        if kinds.iter().any(|kind| kind.starts_with(BUNDLE)) {
            return Some(StatementForm::Bundle);
        }
        let is_older = kinds.iter().any(|kind| OLDER.contains(kind));
        is_older.then_some(StatementForm::Attachment)
    }

    /// Entries in which BuildKit attests something.
    pub(super) fn attestations(&self) -> u32 {
        let entries = self.manifests.as_deref().unwrap_or_default();
        let attested = entries.iter().filter(|entry| {
            entry
                .annotations
                .get(REFERENCE_TYPE)
                .is_some_and(|kind| kind == "attestation-manifest")
        });
        u32::try_from(attested.count()).unwrap_or(u32::MAX)
    }
}

/// Whether a media type is that of a manifest or index.
pub(super) fn is_manifest(kind: &str) -> bool {
    MANIFESTS.contains(&kind)
}

/// Whether a media type is that of a manifest of Docker's first schema.
pub(super) fn is_withdrawn(kind: &str) -> bool {
    kind.starts_with("application/vnd.docker.distribution.manifest.v1+")
}

/// Whether the source may lack a layer of this type.
pub(super) fn may_be_absent(kind: &str) -> bool {
    NOT_PASSED_ON.iter().any(|beginning| kind.starts_with(beginning))
}

/// Adds up two counts.
pub(super) fn add(to: &mut Attached, more: Attached) {
    to.signatures += more.signatures;
    to.attestations += more.attestations;
    to.sboms += more.sboms;
    to.others += more.others;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(value: &Value) -> Document {
        read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_hangs_on_an_image_is_told_apart_by_its_types() {
        let counted = |value: Value| {
            let Attached {
                signatures,
                attestations,
                sboms,
                others,
            } = document(&value).attached();
            [signatures, attestations, sboms, others]
        };
        let layer = |kind: &str| json!({"layers": [{"mediaType": kind, "digest": "x"}]});
        let bundle =
            |says: &str| json!({"artifactType": format!("{BUNDLE}.v0.3+json"), "annotations": {BUNDLE_SAYS: says}});
        assert_eq!(counted(layer(SIGNATURES[0])), [1, 0, 0, 0]);
        assert_eq!(counted(layer(ATTESTATIONS[1])), [0, 1, 0, 0]);
        assert_eq!(counted(layer("text/spdx+json")), [0, 0, 1, 0]);
        assert_eq!(counted(layer("application/x")), [0, 0, 0, 1]);
        assert_eq!(counted(json!({"artifactType": SIGNATURES[2]})), [1, 0, 0, 0]);
        assert_eq!(counted(bundle("https://sigstore.dev/cosign/sign/v1")), [1, 0, 0, 0]);
        assert_eq!(counted(bundle("https://slsa.dev/provenance/v1")), [0, 1, 0, 0]);
    }

    #[test]
    fn what_is_signed_has_one_of_two_forms() {
        let form = |value: Value| document(&value).signed_form();
        let layer =
            |kind: &str| json!({"artifactType": "application/x", "layers": [{"mediaType": kind, "digest": "x"}]});
        let bundle = format!("{BUNDLE}.v0.3+json");
        assert_eq!(form(layer(&bundle)), Some(StatementForm::Bundle));
        assert_eq!(form(json!({"artifactType": bundle})), Some(StatementForm::Bundle));
        for older in [SIGNATURES[0], ATTESTATIONS[1]] {
            assert_eq!(form(layer(older)), Some(StatementForm::Attachment), "{older}");
        }
        assert_eq!(
            form(json!({"artifactType": SIGNATURES[1]})),
            Some(StatementForm::Attachment)
        );
        // Statements that nobody signed, and signatures of another tool.
        for other in [ATTESTATIONS[0], SIGNATURES[2], "text/spdx+json"] {
            assert_eq!(form(layer(other)), None, "{other}");
            assert_eq!(form(json!({"artifactType": other})), None, "{other}");
        }
    }

    #[test]
    fn the_type_to_push_with_is_the_served_one_where_it_is_one() {
        let says = document(&json!({"mediaType": MANIFESTS[2], "manifests": []}));
        assert_eq!(says.kind(Some(INDEX)), INDEX);
        assert_eq!(says.kind(Some("application/json")), MANIFESTS[2]);
        assert_eq!(document(&json!({"manifests": []})).kind(None), INDEX);
        assert_eq!(document(&json!({"layers": null})).kind(Some("text/plain")), MANIFEST);
    }

    #[test]
    fn what_cannot_be_copied_is_named() {
        for (bytes, want) in [
            ("<html>", "no manifest"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
            (r#"{"layers":7}"#, "wrong field"),
        ] {
            let error = read(bytes.as_bytes()).unwrap_err();
            assert!(error.contains(want), "{bytes}: {error}");
        }
    }
}
