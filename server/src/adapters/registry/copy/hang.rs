//! Hanging a signed statement on an image that lies in its repository.
//!
//! What is pushed is given byte for byte, so a second try finds what the first has done. Everything goes before what names it: the blobs, then the
//! manifest, then the list or the tag. A bundle refers to the image, and the registry lists it, or a tag `sha256-…` does where it keeps no
//! lists (OCI distribution 1.1, "Pushing Manifests with Subject"); an attachment is one more layer under cosign's tag. Lists and tags are
//! others', too: they are added to (`tags`).
//!
//! A registry that refuses has its reasons, so its words are the answer.

use super::{
    Copier, CopyEnd, CopyError, RegistryError,
    closure::{Manifests as _, Raw},
    document::{self, MANIFEST},
    end::{End, refusal},
    lanes::Lanes,
    referrers::{list_tag, tag_of},
    tags::{Claim, Claimed, Settled},
};
use crate::{
    adapters::registry::{
        client::{Endpoint, content_digest, sha256},
        transport::RegistryAnswer,
    },
    ports::image_statements::{ImageStatements, StatementHung, StatementParts, StatementSubject},
};
use async_trait::async_trait;
use domain::{artifact::Digest, statement::StatementForm};
use hyper::body::Bytes;
use serde_json::json;

/// How often a tag is looked at again after others may have written it, and a list of a registry that takes its time.
const MOST_LOOKS: u32 = 5;

#[async_trait]
impl ImageStatements for Copier {
    async fn look(&self, at: &CopyEnd, digest: &Digest) -> Result<Option<StatementSubject>, RegistryError> {
        let end = self.end(Endpoint::new(&at.access, &at.repository)?, false);
        look(&end, digest).await.map_err(|error| end.registry_error(error))
    }

    async fn hang(
        &self,
        at: &CopyEnd,
        digest: &Digest,
        parts: &StatementParts,
    ) -> Result<StatementHung, RegistryError> {
        let end = self.end(Endpoint::new(&at.access, &at.repository)?.for_push(), false);
        let hung = match Hanger::new(&end, &self.lanes, digest, parts) {
            Ok(hanger) => hanger.hang(parts.form).await,
            Err(error) => Err(Stopped::Failed(error)),
        };
        match hung {
            Ok(hung) => Ok(hung),
            Err(Stopped::Refused(words)) => Ok(StatementHung::Refused(words)),
            Err(Stopped::Failed(error)) => Err(end.registry_error(error)),
        }
    }
}

async fn look(end: &End, digest: &Digest) -> Result<Option<StatementSubject>, CopyError> {
    let Some(image) = end.manifest(digest).await? else {
        return Ok(None);
    };
    Ok(Some(StatementSubject {
        kind: image.kind_to_put(),
        size: length(&image.bytes),
        form: end.form(digest).await?,
    }))
}

/// Why a statement doesn't hang there.
enum Stopped {
    /// The registry doesn't want it, or what lies there can't be added to; without a full stop.
    Refused(String),
    Failed(CopyError),
}

impl From<CopyError> for Stopped {
    fn from(error: CopyError) -> Self {
        Self::Failed(error)
    }
}

/// A statement that is hung on an image.
struct Hanger<'a> {
    end: &'a End,
    lanes: &'a Lanes,
    image: &'a Digest,
    config: Bytes,
    layer: Bytes,
    layer_digest: Digest,
    manifest: Raw,
}

impl<'a> Hanger<'a> {
    fn new(end: &'a End, lanes: &'a Lanes, image: &'a Digest, parts: &StatementParts) -> Result<Self, CopyError> {
        let hashed =
            |bytes: &[u8]| sha256(bytes).ok_or_else(|| end.error(end.place.odd("bytes that cannot be hashed")));
        Ok(Self {
            end,
            lanes,
            image,
            config: parts.config.clone().into(),
            layer: parts.layer.clone().into(),
            layer_digest: hashed(&parts.layer)?,
            manifest: Raw {
                digest: hashed(&parts.manifest)?,
                kind: Some(MANIFEST.into()),
                bytes: parts.manifest.clone().into(),
            },
        })
    }

    async fn hang(&self, form: StatementForm) -> Result<StatementHung, Stopped> {
        match self.end.names(self.image.as_str()).await? {
            None => return Ok(StatementHung::NoImage),
            Some(named) if named != *self.image => return Err(self.changed(format!("the manifest {}", self.image))),
            Some(_) => {}
        }
        let is_written = match form {
            StatementForm::Bundle => self.hang_bundle().await?,
            StatementForm::Attachment => self.hang_attachment().await?,
        };
        if !is_written {
            return Ok(StatementHung::Was);
        }
        match self.has_layer().await? {
            true => Ok(StatementHung::Hung),
            false => Err(self.lacks(format!("the blob {}", self.layer_digest))),
        }
    }

    /// Has the registry list the bundle. Whether anything was written.
    async fn hang_bundle(&self) -> Result<bool, Stopped> {
        let is_sent = self.put_blobs().await?;
        let is_new = self.put_manifest_once().await?;
        let is_written = self.list(is_new).await? || is_new || is_sent;
        if is_written && self.end.manifest(&self.manifest.digest).await?.is_none() {
            return Err(self.lacks(format!("the manifest {}", self.manifest.digest)));
        }
        Ok(is_written)
    }

    /// Has the list of what refers to the image name the bundle, whose manifest may just have been put. Whether anything was written.
    async fn list(&self, mut is_put: bool) -> Result<bool, Stopped> {
        let claim = self.listing();
        for looks in 1..=MOST_LOOKS {
            match claim.unlisted(self.end).await? {
                None => return self.settle(&claim).await,
                Some(unlisted) if unlisted.is_empty() => return Ok(is_put),
                // Some registries list a manifest only if it was pushed after its subject.
                Some(_) if !is_put => {
                    self.put_manifest().await?;
                    is_put = true;
                }
                Some(_) => tokio::time::sleep(self.end.pace.after(looks)).await,
            }
        }
        let what = format!("{} in its list of what refers to the image", self.manifest.digest);
        Err(self.lacks(what))
    }

    /// Adds the layer to those under cosign's tag. Whether anything was written.
    async fn hang_attachment(&self) -> Result<bool, Stopped> {
        let claim = Claim {
            tag: tag_of(self.image, "att"),
            claimed: Claimed::Layers(self.manifest.clone()),
        };
        let there = self.end.named(&claim.tag).await?;
        let merged = claim
            .merge(there.as_ref())
            .map_err(|reason| unfit(&claim.tag, &reason))?;
        // The configuration isn't asked for: where others' layers lie, it is theirs.
        if merged.is_none() && self.has_layer().await? {
            return Ok(false);
        }
        self.put_blobs().await?;
        self.settle(&claim).await?;
        Ok(true)
    }

    /// Adds to a tag, until it is still there after those who read the tag before had the time to write it. Whether anything was written.
    async fn settle(&self, claim: &Claim) -> Result<bool, Stopped> {
        let slot = self.lanes.slot(&self.end.place.repository, &claim.tag);
        for looks in 0..MOST_LOOKS {
            match claim.settle(self.end, &slot).await? {
                Settled::Holds(0) => return Ok(looks > 0),
                Settled::Holds(_) => tokio::time::sleep(self.end.pace.after(1)).await,
                Settled::Unfit(reason) => return Err(unfit(&claim.tag, &reason)),
                Settled::NotTaken(answer, _) => return Err(self.refused(&answer)),
            }
        }
        Err(claim.contested(self.end).into())
    }

    /// The claim that the bundle is listed as referring to the image.
    fn listing(&self) -> Claim {
        let mut entry = json!({
            "mediaType": MANIFEST,
            "digest": self.manifest.digest,
            "size": self.manifest.bytes.len(),
        });
        if let Ok(document) = document::read(&self.manifest.bytes) {
            document.describe(&mut entry);
        }
        Claim {
            tag: list_tag(self.image),
            claimed: Claimed::Referrers {
                subject: self.image.clone(),
                entries: vec![(self.manifest.digest.clone(), entry)],
                list: None,
            },
        }
    }

    /// Puts the blobs that aren't there; whether there was one.
    async fn put_blobs(&self) -> Result<bool, Stopped> {
        let mut is_sent = false;
        for blob in [&self.config, &self.layer] {
            let sent = self.end.put_small(blob).await?;
            is_sent |= sent.map_err(|answer| self.refused(&answer))?;
        }
        Ok(is_sent)
    }

    /// Puts the manifest, if it isn't there; whether it wasn't.
    async fn put_manifest_once(&self) -> Result<bool, Stopped> {
        let digest = &self.manifest.digest;
        let slot = self.lanes.slot(&self.end.host(), digest.as_str());
        let _alone = slot.lock().await;
        if self.end.has_manifest(digest).await? {
            return Ok(false);
        }
        self.put_manifest().await?;
        Ok(true)
    }

    /// Puts the manifest by its digest.
    async fn put_manifest(&self) -> Result<(), Stopped> {
        let Raw { digest, bytes, .. } = &self.manifest;
        let answer = self.end.put(digest.as_str(), bytes, MANIFEST).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        match content_digest(&answer.headers) {
            Some(other) if other != *digest => {
                Err(self.changed(format!("the manifest {digest}, which it calls {other}")))
            }
            _ => Ok(()),
        }
    }

    async fn has_layer(&self) -> Result<bool, CopyError> {
        Ok(self.end.blob(&self.layer_digest).await?.is(length(&self.layer)))
    }

    /// What a registry says that doesn't want to; the error where it may want to later.
    fn refused(&self, answer: &RegistryAnswer) -> Stopped {
        match refusal(answer) {
            Some(words) => Stopped::Refused(words),
            None => self.end.failed(answer).into(),
        }
    }

    /// The error for what is something else than its digest says.
    fn changed(&self, what: String) -> Stopped {
        let registry = self.end.place.registry.clone();
        CopyError::Changed { registry, what }.into()
    }

    /// The error for what isn't there after it was written.
    fn lacks(&self, what: String) -> Stopped {
        let repository = self.end.place.repository.clone();
        CopyError::Unproven { repository, what }.into()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn unfit(tag: &str, reason: &str) -> Stopped {
    Stopped::Refused(format!("under the tag {tag}, {reason}"))
}
