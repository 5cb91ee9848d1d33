//! Hanging a signed statement on an image, beside all that hangs there.
//!
//! There are two places. The newer one is a manifest that refers to the image, with a Sigstore bundle; the registry lists it, or the tag
//! `sha256-…` does. The older one is a layer of the manifest under `sha256-….att`. As soon as one bundle hangs on an image, whatever it says, cosign
//! (from 2.6), Kyverno and others no longer look at the older places (cosign's `verify.go`, Kyverno's `ivpol/cosign/verifier.go`). So an image whose
//! signatures lie there gets no first bundle.

use super::{
    Copier, CopyEnd, CopyError, RegistryError,
    closure::{Manifests as _, Raw},
    document::MANIFEST,
    end::{End, Listed, list},
    lanes::Slot,
    retag::{kind, refusal},
    tags::{Claim, Claimed},
};
use crate::{
    adapters::registry::{
        client::{Endpoint, sha256},
        push::{Begun, MOST_BROKEN, is_busy},
    },
    nesting,
    ports::image_statements::{ImageStatements, StatementHung},
    signature::{StatementParts, StatementSubject},
};
use async_trait::async_trait;
use domain::{artifact::Digest, statement::StatementForm};
use hyper::body::Bytes;
use reqwest::{Body, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// Artifact types that cosign writes for want of a better one into lists of its own, up to 3.0.6.
const UNTOLD: [&str; 3] = [
    "",
    "application/vnd.oci.empty.v1+json",
    "application/vnd.oci.image.config.v1+json",
];
/// cosign's older form, where it refers to an image.
const OLDER: [&str; 2] = [
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.in-toto+json",
];
/// Manifests that are read to find out what they are.
const MOST_READ: usize = 32;
/// How often a blob is sent.
const MOST_SENT: u32 = 5;

#[async_trait]
impl ImageStatements for Copier {
    async fn look(&self, at: &CopyEnd, digest: &Digest) -> Result<Option<StatementSubject>, RegistryError> {
        let end = self.pushing_end(at)?;
        (subject(&end, digest).await).map_err(|error| end.registry_error(error))
    }

    async fn hang(
        &self,
        at: &CopyEnd,
        digest: &Digest,
        parts: &StatementParts,
    ) -> Result<StatementHung, RegistryError> {
        let end = self.pushing_end(at)?;
        let odd = || end.place.odd("a statement that can't be hashed");
        let raw = Raw {
            digest: sha256(&parts.manifest).ok_or_else(odd)?,
            kind: Some(MANIFEST.to_owned()),
            bytes: Bytes::from(parts.manifest.clone()),
        };
        let claim = match parts.form {
            StatementForm::Bundle => Claim {
                tag: list_tag(digest),
                claimed: Claimed::Referrers {
                    subject: digest.clone(),
                    entries: vec![(raw.digest.clone(), entry(&raw))],
                    list: None,
                },
            },
            StatementForm::Attachment => Claim {
                tag: format!("{}.att", list_tag(digest)),
                claimed: Claimed::Layers(raw.clone()),
            },
        };
        let slot = self.lanes.slot(&end.place.repository, &claim.tag);
        let hanging = Hanging {
            end,
            digest,
            parts,
            raw,
            claim,
            slot,
        };
        match hanging.hang().await {
            Err(CopyError::Refused { said, .. }) => Ok(StatementHung::Refused(said)),
            hung => hung.map_err(|error| hanging.end.registry_error(error)),
        }
    }
}

impl Copier {
    fn pushing_end(&self, at: &CopyEnd) -> Result<End, RegistryError> {
        let place = Endpoint::new(&at.access, &at.repository)?.for_push();
        Ok(self.end(place, false))
    }
}

/// The tag with the list of what refers to an image, where its registry keeps none (OCI distribution 1.1, "Referrers Tag Schema").
fn list_tag(digest: &Digest) -> String {
    format!("sha256-{}", digest.hex())
}

/// The entry of a manifest in that list, with the type and the annotations of the manifest.
fn entry(raw: &Raw) -> Value {
    let manifest: Value = nesting::json(&raw.bytes).unwrap_or_default();
    json!({
        "mediaType": MANIFEST,
        "digest": raw.digest,
        "size": raw.bytes.len(),
        "artifactType": manifest["artifactType"],
        "annotations": manifest["annotations"],
    })
}

/// The image, and the form that hides nothing of what hangs on it.
async fn subject(end: &End, digest: &Digest) -> Result<Option<StatementSubject>, CopyError> {
    let Some(raw) = end.manifest(digest).await? else {
        return Ok(None);
    };
    Ok(Some(StatementSubject {
        kind: kind(&raw),
        size: u64::try_from(raw.bytes.len()).unwrap_or(u64::MAX),
        form: form(end, digest).await?,
    }))
}

async fn form(end: &End, digest: &Digest) -> Result<StatementForm, CopyError> {
    let listed = match end.referrers(digest).await? {
        Listed::Kept(entries) => entries,
        Listed::NotKept | Listed::Refused => {
            let under_tag = end.named(&list_tag(digest)).await?;
            under_tag
                .and_then(|raw| list(&raw.bytes, "manifests"))
                .unwrap_or_default()
        }
    };
    let mut has_older = false;
    let mut untold = Vec::new();
    for entry in &listed {
        let says = entry.get("artifactType").and_then(Value::as_str).unwrap_or_default();
        if says.starts_with(BUNDLE) {
            return Ok(StatementForm::Bundle);
        }
        has_older |= OLDER.contains(&says);
        if UNTOLD.contains(&says) {
            let named = entry.get("digest").and_then(Value::as_str);
            untold.extend(named.and_then(|named| named.parse::<Digest>().ok()));
        }
    }
    for of in untold.iter().take(MOST_READ) {
        match end.manifest(of).await? {
            Some(raw) if is_bundle(&raw) => return Ok(StatementForm::Bundle),
            _ => {}
        }
    }
    if has_older {
        return Ok(StatementForm::Attachment);
    }
    for end_of_tag in ["sig", "att"] {
        if end
            .named(&format!("{}.{end_of_tag}", list_tag(digest)))
            .await?
            .is_some()
        {
            return Ok(StatementForm::Attachment);
        }
    }
    Ok(StatementForm::Bundle)
}

/// Whether a manifest is that of a bundle, whatever a list says of it.
fn is_bundle(raw: &Raw) -> bool {
    let manifest: Value = nesting::json(&raw.bytes).unwrap_or_default();
    let layers = manifest.get("layers").and_then(Value::as_array);
    let layers = layers.into_iter().flatten().filter_map(|layer| layer.get("mediaType"));
    let mut kinds = manifest.get("artifactType").into_iter().chain(layers);
    kinds.any(|kind| kind.as_str().is_some_and(|kind| kind.starts_with(BUNDLE)))
}

/// A statement on its way to an image.
struct Hanging<'a> {
    end: End,
    digest: &'a Digest,
    parts: &'a StatementParts,
    /// Its manifest.
    raw: Raw,
    /// What the registry must list in the end.
    claim: Claim,
    /// The list's, or the tag's.
    slot: Arc<Slot>,
}

impl Hanging<'_> {
    async fn hang(&self) -> Result<StatementHung, CopyError> {
        if !self.end.has_manifest(self.digest).await? {
            return Ok(StatementHung::NoImage);
        }
        if self.hangs().await? {
            return Ok(StatementHung::Was);
        }
        for bytes in [&self.parts.config, &self.parts.layer] {
            if let Some(said) = self.push_blob(bytes).await? {
                return Ok(StatementHung::Refused(said));
            }
        }
        if self.parts.form == StatementForm::Bundle
            && let Some(said) = self.push_manifest().await?
        {
            return Ok(StatementHung::Refused(said));
        }
        self.have_it_listed().await
    }

    /// Whether it hangs there already.
    async fn hangs(&self) -> Result<bool, CopyError> {
        if self.parts.form == StatementForm::Bundle && !self.end.has_manifest(&self.raw.digest).await? {
            return Ok(false);
        }
        if let Some(unlisted) = self.claim.unlisted(&self.end).await? {
            return Ok(unlisted.is_empty());
        }
        let there = self.end.named(&self.claim.tag).await?;
        Ok(there.is_some() && matches!(self.claim.merge(there.as_ref()), Ok(None)))
    }

    /// Has the registry list it, or lists it under the tag; both are read again.
    async fn have_it_listed(&self) -> Result<StatementHung, CopyError> {
        for _ in 0..MOST_BROKEN {
            match self.claim.unlisted(&self.end).await? {
                Some(unlisted) if unlisted.is_empty() => return Ok(StatementHung::Hung),
                // Some registries list a manifest only when it is pushed again.
                Some(_) => {
                    if let Some(said) = self.push_manifest().await? {
                        return Ok(StatementHung::Refused(said));
                    }
                }
                None => {
                    let settled = self.claim.settle(&self.end, &self.slot).await?;
                    return Ok(match settled {
                        Ok(_) => StatementHung::Hung,
                        Err(why) => StatementHung::Refused(why.trim_end_matches('.').to_owned()),
                    });
                }
            }
        }
        let why = "it took the statement, and doesn't list it beside the image";
        Ok(StatementHung::Refused(why.into()))
    }

    /// Puts the manifest by its digest; a refusal comes back in words.
    async fn push_manifest(&self) -> Result<Option<String>, CopyError> {
        let answer = self
            .end
            .put(self.raw.digest.as_str(), &self.raw.bytes, MANIFEST)
            .await?;
        match refusal(&answer) {
            None if !answer.status.is_success() => Err(self.end.unexpected(&answer)),
            said => Ok(said),
        }
    }

    /// Puts a blob that isn't there; a refusal comes back in words.
    async fn push_blob(&self, bytes: &[u8]) -> Result<Option<String>, CopyError> {
        let end = &self.end;
        let odd = || end.error(end.place.odd("a part that can't be hashed"));
        let digest = sha256(bytes).ok_or_else(odd)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if end.blob(&digest).await?.is(length) {
            return Ok(None);
        }
        let mut sent = 0;
        loop {
            sent += 1;
            let begun = end.client.begin_upload(&end.place, None, &end.pace).await;
            let upload = match begun.map_err(|error| end.error(error))? {
                Begun::Mounted => return Ok(None),
                Begun::Upload(upload) => upload,
                Begun::Refused(answer) => match refusal(&answer) {
                    Some(said) => return Ok(Some(said)),
                    None => return Err(end.unexpected(&answer)),
                },
            };
            let body = Body::from(bytes.to_vec());
            let put = end.client.put_blob(&end.place, &upload, &digest, body, length).await;
            let last = sent >= MOST_SENT;
            match put {
                Ok(answer) if answer.status.is_success() => return Ok(None),
                // A fresh token was asked for.
                Ok(answer) if answer.status == StatusCode::UNAUTHORIZED && sent == 1 => continue,
                Ok(answer) if is_busy(answer.status) && !last => {
                    tokio::time::sleep(end.pace.asked_for(&answer, sent)).await;
                    continue;
                }
                Ok(answer) if answer.status.is_server_error() && !last => {}
                Ok(answer) => match refusal(&answer) {
                    Some(said) => return Ok(Some(said)),
                    None => return Err(end.unexpected(&answer)),
                },
                Err(error) if !last && error.is_passing() => {}
                Err(error) => return Err(end.error(error)),
            }
            tokio::time::sleep(end.pace.after(sent)).await;
        }
    }
}
