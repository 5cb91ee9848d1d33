//! What hangs on an image: signatures and attestations, in the places where cosign puts them.
//!
//! The older places are the tag `sha256-….sig`, whose layers are what was signed, with the signature beside each, and `sha256-….att`,
//! whose layers are envelopes. The newer one is the list of all that refers to the image (OCI distribution 1.1, "Listing Referrers"), or
//! a tag `sha256-…` with the same list where the registry doesn't keep it; each entry names a bundle.
//!
//! Everybody who may push may hang something on an image, so all of it is bounded, and what is odd is passed over: it must not hide what
//! is well. Whether anything is proven by it is said elsewhere ([`crate::signature`]).

use super::{
    Hanging, RegistryError,
    client::{Place, RegistryClient, next_page, sha256},
    manifest::{Descriptor, Document, Index, read},
};
use crate::signature::{Attached, SIGNED};
use domain::artifact::Digest;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use std::collections::BTreeSet;

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const ENVELOPE_SAYS: &str = "predicateType";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const BUNDLE_SAYS: &str = "dev.sigstore.bundle.predicateType";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What of each place is looked at.
const MOST: usize = 32;
/// Entries of the list of what refers to an image that are looked through.
const MOST_ENTRIES: usize = 1_000;
/// Pages of that list.
const MOST_PAGES: usize = 10;
/// Bytes of one page of it.
const LIST_LIMIT: usize = 4 * 1024 * 1024;
/// Bytes of what was signed in the older form: a digest and a name.
const SIMPLE_LIMIT: usize = 64 * 1024;
/// Bytes of a bundle: it may hold proofs of a transparency log.
const BUNDLE_LIMIT: usize = 1024 * 1024;
/// Bytes of a signature as text.
const SIGNATURE_LIMIT: usize = 16 * 1024;
/// Asked for at the same time.
const PARALLEL: usize = 4;

impl RegistryClient {
    /// All that hangs on an image and says one of these things, in all places; what was last added first where there is an order.
    pub(super) async fn hanging(&self, place: &Place, digest: &Digest, says: &[&str]) -> Hanging {
        let mut found = Hanging::default();
        let none = || Ok(Vec::new());
        let simple = match says.contains(&SIGNED) {
            true => self.simple(place, digest).await,
            false => none(),
        };
        let envelopes = match says.iter().any(|says| *says != SIGNED) {
            true => self.envelopes(place, digest, says).await,
            false => none(),
        };
        let bundles = self.bundles(place, digest, says).await;
        // Where one place can't be looked at, what lies in the others still counts.
        for looked in [simple, envelopes, bundles] {
            match looked {
                Ok(attached) => found.attached.extend(attached),
                Err(error) => found.unseen = Some(error),
            }
        }
        found
    }

    async fn simple(&self, place: &Place, digest: &Digest) -> Result<Vec<Attached>, RegistryError> {
        let tag = format!("sha256-{}.sig", digest.hex());
        let Some(Document::Image(manifest)) = self.document(place, &tag).await? else {
            return Ok(Vec::new());
        };
        // Signing once more adds a layer at the end.
        let layers: Vec<(Digest, String)> = (manifest.layers.iter().rev())
            .filter(|layer| layer.media_type == SIMPLE && fits(layer, SIMPLE_LIMIT))
            .filter_map(|layer| Some((layer.digest().ok()?, layer.annotations.get(SIGNATURE)?.clone())))
            .filter(|(_, signature)| signature.len() <= SIGNATURE_LIMIT)
            .take(MOST)
            .collect();
        let found: Vec<Option<Attached>> = stream::iter(layers)
            .map(|(of, signature)| async move {
                let payload = self.small(place, &of, SIMPLE_LIMIT).await?;
                Ok::<_, RegistryError>(payload.and_then(|payload| Attached::simple(payload, &signature)))
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn envelopes(&self, place: &Place, digest: &Digest, says: &[&str]) -> Result<Vec<Attached>, RegistryError> {
        let tag = format!("sha256-{}.att", digest.hex());
        let Some(Document::Image(manifest)) = self.document(place, &tag).await? else {
            return Ok(Vec::new());
        };
        let layers: Vec<Digest> = (manifest.layers.iter().rev())
            .filter(|layer| layer.media_type == ENVELOPE && fits(layer, BUNDLE_LIMIT))
            .filter(|layer| may_say(layer.annotations.get(ENVELOPE_SAYS), says))
            .filter_map(|layer| layer.digest().ok())
            .take(MOST)
            .collect();
        let found: Vec<Option<Attached>> = stream::iter(layers)
            .map(|of| async move {
                let bytes = self.small(place, &of, BUNDLE_LIMIT).await?;
                Ok::<_, RegistryError>(bytes.and_then(|bytes| Attached::envelope(&bytes)))
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn bundles(&self, place: &Place, digest: &Digest, says: &[&str]) -> Result<Vec<Attached>, RegistryError> {
        let entries = match self.referrers(place, digest).await? {
            Some(entries) => entries,
            None => {
                let tag = format!("sha256-{}", digest.hex());
                match self.document(place, &tag).await? {
                    Some(Document::Index(index)) => index.manifests,
                    _ => return Ok(Vec::new()),
                }
            }
        };
        let manifests: Vec<Digest> = (entries.iter().take(MOST_ENTRIES))
            .filter(|entry| {
                entry
                    .artifact_type
                    .as_deref()
                    .is_none_or(|kind| kind.starts_with(BUNDLE))
            })
            // What else is attested, what is in the image for example, has the same form.
            .filter(|entry| may_say(entry.annotations.get(BUNDLE_SAYS), says))
            .filter_map(|entry| entry.digest().ok())
            .take(MOST)
            .collect();
        let found: Vec<Option<Attached>> = stream::iter(manifests)
            .map(|of| self.bundle(place, of))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn bundle(&self, place: &Place, of: Digest) -> Result<Option<Attached>, RegistryError> {
        let Some(Document::Image(manifest)) = self.document(place, of.as_str()).await? else {
            return Ok(None);
        };
        let layer = (manifest.layers.iter())
            .find(|layer| layer.media_type.starts_with(BUNDLE) && fits(layer, BUNDLE_LIMIT))
            .and_then(|layer| layer.digest().ok());
        let Some(layer) = layer else { return Ok(None) };
        let bytes = self.small(place, &layer, BUNDLE_LIMIT).await?;
        Ok(bytes.and_then(|bytes| Attached::bundle(&bytes)))
    }

    /// What refers to a digest; `None` where the registry keeps no such list.
    async fn referrers(&self, place: &Place, digest: &Digest) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let mut url = place.url(&format!("referrers/{digest}"))?;
        let (mut seen, mut entries) = (BTreeSet::new(), Vec::new());
        while seen.len() < MOST_PAGES && entries.len() < MOST_ENTRIES && seen.insert(url.to_string()) {
            let answer = self.ask(place, Method::GET, url.clone(), INDEX, LIST_LIMIT).await?;
            // Registries that don't know the question answer it in many ways.
            if !answer.status.is_success() || answer.is_html() {
                return Ok((seen.len() > 1).then_some(entries));
            }
            let Ok(Document::Index(Index { manifests, .. })) = read(&answer.body) else {
                return Ok((seen.len() > 1).then_some(entries));
            };
            entries.extend(manifests);
            match next_page(&answer.headers, &url) {
                Ok(Some(next)) => url = next,
                _ => break,
            }
        }
        Ok(Some(entries))
    }

    /// A manifest or index; `None` when there is none, or something that is neither.
    async fn document(&self, place: &Place, reference: &str) -> Result<Option<Document>, RegistryError> {
        match self.manifest(place, reference).await {
            Ok(found) => Ok(found.map(|(_, document)| document)),
            Err(RegistryError::Protocol { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A small blob; `None` when it isn't there, or is not what its digest says.
    async fn small(&self, place: &Place, digest: &Digest, limit: usize) -> Result<Option<Vec<u8>>, RegistryError> {
        let url = place.url(&format!("blobs/{digest}"))?;
        let answer = match self.ask(place, Method::GET, url, "*/*", limit).await {
            Ok(answer) if answer.status.is_success() => answer,
            Ok(_) | Err(RegistryError::Protocol { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok((sha256(&answer.body).as_ref() == Some(digest)).then_some(answer.body))
    }
}

/// Whether something may say one of these things, by the note beside it; without a note it must be read.
fn may_say(note: Option<&String>, says: &[&str]) -> bool {
    note.is_none_or(|note| says.contains(&note.as_str()))
}

fn fits(descriptor: &Descriptor, limit: usize) -> bool {
    usize::try_from(descriptor.size).is_ok_and(|size| size <= limit)
}
