//! Other tags for an image that lies in its repository already: one is set by putting the same bytes under it, and taken away by its name.
//!
//! Registries know no compare-and-swap. Within the process one writer of a tag waits for the other; against writers elsewhere the tag is read
//! before and after. A registry that refuses has its reasons, so its words are the answer, and it isn't asked again: many let no tag be moved
//! that is there, and some say so even of a tag that names the image already. That is why nothing is put where nothing would change.
//!
//! Nothing is deleted by digest. Where a registry deletes the image with its tag all the same, it is put back from the bytes that were read
//! before.

use super::{
    Copier, CopyEnd, CopyError, RegistryError,
    closure::{Manifests as _, Raw},
    end::{End, refusal, words},
    lanes::Slot,
    node::is_digest_refused,
};
use crate::{
    adapters::registry::{
        client::{Endpoint, content_digest},
        transport::{ANSWER_LIMIT, RegistryAnswer},
    },
    ports::image_tags::{ImageTags, Replace, TagRemoved, TagSet},
};
use async_trait::async_trait;
use domain::artifact::{Digest, Tag};
use reqwest::{Method, StatusCode};
use std::{
    collections::BTreeSet,
    sync::{Arc, MutexGuard, PoisonError},
};

/// Why a tag stays whose registry deletes images with their tags.
const DELETES_IMAGES: &str = "it deletes an image with its tag, so Waybill put the image back";
/// How often a tag is put while others write it, too.
const MOST_PUTS: u32 = 2;

#[async_trait]
impl ImageTags for Copier {
    async fn set(
        &self,
        at: &CopyEnd,
        tag: &Tag,
        digest: &Digest,
        replace: Replace<'_>,
    ) -> Result<TagSet, RegistryError> {
        let (naming, slot) = self.naming(at, tag, digest)?;
        let _alone = slot.lock().await;
        naming
            .set(replace)
            .await
            .map_err(|error| naming.end.registry_error(error))
    }

    async fn remove(&self, at: &CopyEnd, tag: &Tag, digest: &Digest) -> Result<TagRemoved, RegistryError> {
        let (copier, at, tag, digest) = (self.clone(), at.clone(), tag.clone(), digest.clone());
        let host = at.repository.registry().to_owned();
        // Whoever asked may go: what a registry deleted with the tag is put back all the same.
        let removing = tokio::spawn(async move { copier.remove_tag(&at, &tag, &digest).await });
        removing.await.unwrap_or_else(|_| {
            Err(RegistryError::Unreachable {
                registry: host,
                reason: "the tag was not removed to the end".into(),
            })
        })
    }
}

impl Copier {
    async fn remove_tag(&self, at: &CopyEnd, tag: &Tag, digest: &Digest) -> Result<TagRemoved, RegistryError> {
        if self.deleters().contains(at.repository.as_str()) {
            return Ok(TagRemoved::Refused(DELETES_IMAGES.into()));
        }
        let (naming, slot) = self.naming(at, tag, digest)?;
        let _alone = slot.lock().await;
        let removed = naming
            .remove()
            .await
            .map_err(|error| naming.end.registry_error(error))?;
        if removed == TagRemoved::Refused(DELETES_IMAGES.into()) {
            self.deleters().insert(at.repository.to_string());
        }
        Ok(removed)
    }

    /// Repositories that were found to delete an image with its tag. Once is enough.
    fn deleters(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.deleters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tag and an image, and the slot that one writer of the tag takes after the other.
    fn naming<'a>(
        &self,
        at: &CopyEnd,
        tag: &'a Tag,
        digest: &'a Digest,
    ) -> Result<(Naming<'a>, Arc<Slot>), RegistryError> {
        let place = Endpoint::new(&at.access, &at.repository)?.for_push();
        let slot = self.lanes.slot(&place.repository, tag.as_str());
        let end = self.end(place, false);
        Ok((Naming { end, tag, digest }, slot))
    }
}

/// A tag, and the image that it shall name or name no longer.
struct Naming<'a> {
    end: End,
    tag: &'a Tag,
    digest: &'a Digest,
}

impl Naming<'_> {
    async fn set(&self, replace: Replace<'_>) -> Result<TagSet, CopyError> {
        let before = self.end.names(self.tag.as_str()).await?;
        if before.as_ref() == Some(self.digest) {
            return Ok(TagSet::Was);
        }
        if let Some(other) = before.as_ref().filter(|named| !may_replace(replace, named)) {
            return Ok(TagSet::Names(other.clone()));
        }
        let Some(image) = self.end.manifest(self.digest).await? else {
            return Ok(TagSet::NoImage);
        };
        let mut puts = 0;
        loop {
            if let Some(refusal) = self.put(self.tag.as_str(), &image).await? {
                return Ok(TagSet::Refused(refusal));
            }
            puts += 1;
            match self.end.names(self.tag.as_str()).await? {
                Some(named) if named == *self.digest => return Ok(TagSet::Moved { from: before }),
                // What may not be replaced may not be replaced now either, and two who both want the tag don't fight for it without end.
                Some(other) if puts == MOST_PUTS || !may_replace(replace, &other) => return Ok(TagSet::Names(other)),
                None if puts == MOST_PUTS => {
                    let reason = "it accepted the tag and then answered that there is none";
                    return Ok(TagSet::Refused(reason.into()));
                }
                _ => {}
            }
        }
    }

    async fn remove(&self) -> Result<TagRemoved, CopyError> {
        match self.end.names(self.tag.as_str()).await? {
            None => return Ok(TagRemoved::Absent),
            Some(other) if other != *self.digest => return Ok(TagRemoved::Names(other)),
            Some(_) => {}
        }
        let Some(image) = self.end.manifest(self.digest).await? else {
            let reason =
                "it doesn't give out the image by its digest, so Waybill couldn't put it back and left the tag";
            return Ok(TagRemoved::Refused(reason.into()));
        };
        let deleted = self.delete().await;
        let was_found = |answer: &&RegistryAnswer| answer.status != StatusCode::NOT_FOUND;
        if let Some(answer) = deleted.as_ref().ok().filter(was_found)
            && let Some(refusal) = refusal(answer)
        {
            return Ok(TagRemoved::Refused(match is_digest_refused(answer) {
                // distribution before version 3, whose words tell of an upload.
                true => format!("it deletes by digest only ({refusal})"),
                false => refusal,
            }));
        }
        // Whatever it answered last: a try before, whose answer got lost, may have deleted the image.
        if self.end.manifest(self.digest).await?.is_none() {
            self.put_back(&image).await?;
            return Ok(TagRemoved::Refused(DELETES_IMAGES.into()));
        }
        let answer = deleted.map_err(|error| self.end.error(error))?;
        let was_absent = answer.status == StatusCode::NOT_FOUND;
        if !(answer.status.is_success() || was_absent) {
            return Err(self.end.failed(&answer));
        }
        Ok(match self.end.names(self.tag.as_str()).await? {
            None if was_absent => TagRemoved::Absent,
            None => TagRemoved::Removed,
            Some(other) if other != *self.digest => TagRemoved::Names(other),
            Some(_) if was_absent => TagRemoved::Refused(words(&answer)),
            Some(_) => TagRemoved::Refused("it answered that the tag is gone, and it is still there".into()),
        })
    }

    /// Puts the image under a tag or its digest; a refusal comes back in words.
    async fn put(&self, reference: &str, image: &Raw) -> Result<Option<String>, CopyError> {
        let end = &self.end;
        let answer = end.put(reference, &image.bytes, &image.kind_to_put()).await?;
        if let Some(refusal) = refusal(&answer) {
            return Ok(Some(refusal));
        }
        if !answer.status.is_success() {
            return Err(self.end.failed(&answer));
        }
        let stored = content_digest(&answer.headers).filter(|stored| stored != self.digest);
        Ok(stored.map(|other| format!("it answered that it stored another image, {other}")))
    }

    async fn delete(&self) -> Result<RegistryAnswer, RegistryError> {
        let End {
            client, pace, place, ..
        } = &self.end;
        let url = place.url(&format!("manifests/{}", self.tag))?;
        let request = place.request(Method::DELETE, url, "", ANSWER_LIMIT);
        let deleting = for_delete(place.clone());
        match client.patiently(&deleting, request.clone(), pace).await {
            // Quay gives no token at all to those who ask for this right.
            Err(error) if !error.is_passing() => client.patiently(place, request, pace).await,
            answer => answer,
        }
    }

    /// Puts the image back that was deleted with its tag.
    async fn put_back(&self, image: &Raw) -> Result<(), CopyError> {
        let lost = |reason: String| {
            let Self { tag, digest, .. } = self;
            self.end.error(self.end.place.odd(format!(
                "it deleted the image {digest} with its tag {tag}, and it could not be put back ({}). Push the image again",
                reason.trim_end_matches('.')
            )))
        };
        match self.put(self.digest.as_str(), image).await {
            Ok(None) => {}
            Ok(Some(refusal)) => return Err(lost(refusal)),
            Err(error) => return Err(lost(error.to_string())),
        }
        match self.end.manifest(self.digest).await {
            // Untagged it would fall to the next clean-up. That the tag can't be put back loses nothing that wasn't to go.
            Ok(Some(_)) => self.put(self.tag.as_str(), image).await.map(drop),
            Ok(None) => Err(lost("it took the image, and doesn't have it".into())),
            Err(error) => Err(lost(error.to_string())),
        }
    }
}

/// Whether a tag may be taken away from the image that it names.
fn may_replace(replace: Replace<'_>, named: &Digest) -> bool {
    match replace {
        Replace::Nothing => false,
        Replace::Only(digest) => digest == named,
        Replace::Anything => true,
    }
}

/// This place, signed in to with the right to delete.
fn for_delete(mut place: Endpoint) -> Endpoint {
    place.scopes = vec![format!("repository:{}:pull,push,delete", place.path)];
    place
}
