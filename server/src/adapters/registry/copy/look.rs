//! Looking whether an image can still be pulled: all that it consists of is asked for, and what is gone is named.
//!
//! A copy ends where something is missing; a look goes on and gathers it. A part is gone where the registry says so, or gives something else in
//! its place: another size, other bytes, another digest. Any other answer is an error. Whoever reads of a missing part will push the image again,
//! so a proxy's page or a method that a registry doesn't know must not look like one.
//!
//! What a registry says to be there is believed. distribution answers from a cache of sizes, if it has one, until that is emptied: a file of a
//! layer that vanished beside it is found out later. Only reading every byte would tell.

use super::{
    Copier, CopyEnd, CopyError, RegistryError,
    document::{self, Document},
    end::End,
    gentle::Gentle,
};
use crate::{
    adapters::registry::{
        client::{Endpoint, content_digest, sha256},
        manifest::ACCEPT_MANIFESTS,
        push::is_busy,
        transport::{RegistryAnswer, Request},
    },
    ports::image_look::{ImageLook, LookPace},
};
use async_trait::async_trait;
use domain::{
    artifact::Digest,
    presence::{ImagePart, PartKind, Presence},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Method, StatusCode, Url, header::CONTENT_LENGTH};
use std::collections::{BTreeMap, BTreeSet};

/// Asked for at the same time when a person waits.
const PARALLEL: usize = 16;
/// How often one request is sent when nobody waits.
const MOST_TRIES: u32 = 3;
/// How often a manifest is read whose bytes aren't what its digest says.
const MOST_READS: u32 = 2;
/// Manifests and indexes of an image, as in a copy.
const MOST_MANIFESTS: usize = 1_000;
/// How deep indexes may lie in indexes, as in a copy.
const MOST_LEVELS: usize = 8;
/// Bytes of all manifests, as in a copy.
const MOST_MANIFEST_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of one manifest, as in a copy.
const MANIFEST_LIMIT: usize = 16 * 1024 * 1024;
/// Blobs of an image: at one a second, three hours.
const MOST_BLOBS: usize = 10_000;

#[async_trait]
impl ImageLook for Copier {
    async fn look(
        &self,
        at: &CopyEnd,
        digest: &Digest,
        known: &[ImagePart],
        pace: LookPace,
    ) -> Result<Presence, CopyError> {
        let place = Endpoint::new(&at.access, &at.repository).map_err(CopyError::Target)?;
        let look = Look {
            end: self.end(place, false),
            gentle: &self.gentle,
            pace,
        };
        match known {
            [] => look.walk(digest).await,
            known => look.check(known).await,
        }
    }
}

/// One look at a repository.
struct Look<'a> {
    end: End,
    gentle: &'a Gentle,
    pace: LookPace,
}

/// A manifest that is still to be read.
struct Entry {
    digest: Digest,
    /// Its bytes, where an index says it.
    size: Option<u64>,
    /// Whether it can't be anything but a manifest.
    is_manifest: bool,
}

/// What an entry turned out to be.
enum Found {
    /// Its bytes.
    Manifest(Vec<u8>),
    Blob,
    Nothing,
}

/// A blob that is still to be asked for.
struct Wanted {
    size: u64,
    /// Whether those who pull the image may get it elsewhere.
    may_be_absent: bool,
}

impl Look<'_> {
    /// Asks for all that the image consists of, from its manifest down.
    async fn walk(&self, root: &Digest) -> Result<Presence, CopyError> {
        let unfit = |reason: String| CopyError::Unfit(format!("Waybill can't look at {root}: it {reason}."));
        let (mut found, mut blobs) = (Presence::default(), BTreeMap::new());
        let (mut asked, mut levels, mut bytes) = (BTreeSet::new(), 0, 0);
        let mut level = vec![Entry {
            digest: root.clone(),
            size: None,
            is_manifest: true,
        }];
        while !level.is_empty() {
            levels += 1;
            if levels > MOST_LEVELS {
                return Err(unfit(format!(
                    "has indexes in indexes with more than {MOST_LEVELS} levels"
                )));
            }
            level.retain(|entry| asked.insert(entry.digest.clone()));
            if asked.len() > MOST_MANIFESTS {
                return Err(unfit(format!("names more than {MOST_MANIFESTS} manifests")));
            }
            let asking = level.into_iter().map(|entry| async move {
                let what = self.find(&entry).await?;
                Ok::<_, CopyError>((entry, what))
            });
            let answers: Vec<(Entry, Found)> = self.all(asking).await?;
            level = Vec::new();
            for (entry, what) in answers {
                match what {
                    Found::Manifest(read) => {
                        bytes += read.len();
                        if bytes > MOST_MANIFEST_BYTES {
                            return Err(unfit(format!(
                                "has manifests with more than {MOST_MANIFEST_BYTES} bytes together"
                            )));
                        }
                        let document = document::read(&read).map_err(|reason| unreadable(&entry.digest, &reason))?;
                        level.extend(entries(&entry.digest, &document)?);
                        want(&entry.digest, &document, &mut blobs)?;
                        if blobs.len() > MOST_BLOBS {
                            return Err(unfit(format!("names more than {MOST_BLOBS} blobs")));
                        }
                        let size = u64::try_from(read.len()).ok();
                        found.parts.push(part(PartKind::Manifest, entry.digest, size));
                    }
                    Found::Blob => found.parts.push(part(PartKind::Blob, entry.digest, entry.size)),
                    Found::Nothing => {
                        let kind = match entry.is_manifest {
                            true => PartKind::Manifest,
                            false => PartKind::Blob,
                        };
                        let gone = part(kind, entry.digest, entry.size);
                        found.missing.push(gone.clone());
                        found.parts.push(gone);
                    }
                }
            }
        }
        self.add_blobs(&mut found, blobs).await?;
        Ok(found)
    }

    /// Asks for the blobs that manifests name.
    async fn add_blobs(&self, found: &mut Presence, mut blobs: BTreeMap<Digest, Wanted>) -> Result<(), CopyError> {
        for part in found.parts.iter().filter(|part| part.kind == PartKind::Blob) {
            // An index named it itself.
            blobs.remove(&part.digest);
        }
        let asking = blobs.into_iter().map(|(digest, wanted)| async move {
            let is_there = self.has_blob(&digest, Some(wanted.size)).await?;
            let part = part(PartKind::Blob, digest, Some(wanted.size));
            Ok::<_, CopyError>((part, is_there, wanted.may_be_absent))
        });
        for (part, is_there, may_be_absent) in self.all(asking).await? {
            match (is_there, may_be_absent) {
                (true, _) => {}
                (false, true) => continue,
                (false, false) => found.missing.push(part.clone()),
            }
            found.parts.push(part);
        }
        Ok(())
    }

    /// Asks for exactly these parts, by HEAD.
    async fn check(&self, known: &[ImagePart]) -> Result<Presence, CopyError> {
        let asking = known.iter().map(|part| async move {
            let is_there = match part.kind {
                PartKind::Manifest => self.has_manifest(&part.digest).await?,
                PartKind::Blob => self.has_blob(&part.digest, part.size).await?,
            };
            Ok::<_, CopyError>((!is_there).then(|| part.clone()))
        });
        let missing = self.all(asking).await?;
        Ok(Presence {
            parts: known.to_vec(),
            missing: missing.into_iter().flatten().collect(),
        })
    }

    /// Asks side by side, or one after the other, and keeps the order.
    async fn all<T, F>(&self, asking: impl Iterator<Item = F>) -> Result<Vec<T>, CopyError>
    where
        F: Future<Output = Result<T, CopyError>>,
    {
        let side_by_side = match self.pace {
            LookPace::Gentle => 1,
            LookPace::Now => PARALLEL,
        };
        let asking = stream::iter(asking.collect::<Vec<_>>());
        asking.buffered(side_by_side).try_collect().await
    }

    /// Reads an entry: what isn't certainly a manifest may be a blob.
    async fn find(&self, entry: &Entry) -> Result<Found, CopyError> {
        if let Some(bytes) = self.manifest(&entry.digest).await? {
            return Ok(Found::Manifest(bytes));
        }
        Ok(
            match !entry.is_manifest && self.has_blob(&entry.digest, entry.size).await? {
                true => Found::Blob,
                false => Found::Nothing,
            },
        )
    }

    /// The bytes of a manifest; `None` when it is gone, or others are in its place.
    async fn manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>, CopyError> {
        let mut reads = 0;
        loop {
            let url = self.end.url(&format!("manifests/{digest}"))?;
            let answer = self.ask(Method::GET, url, ACCEPT_MANIFESTS, MANIFEST_LIMIT).await?;
            if is_gone(&answer) {
                return Ok(None);
            }
            self.must_be_a(&answer, "manifest")?;
            if answer.media_type().is_some_and(document::is_withdrawn) {
                // Its digest is that of a part of its bytes.
                let reason = "a manifest of the withdrawn schema 1. Push the image again with a current tool";
                return Err(unreadable(digest, reason));
            }
            if sha256(&answer.body).as_ref() == Some(digest) {
                return Ok(Some(answer.body));
            }
            reads += 1;
            if reads == MOST_READS {
                return Ok(None);
            }
            // Some registries serve what they are just writing: half of it.
            tokio::time::sleep(self.end.pace.after(reads)).await;
        }
    }

    /// Whether a manifest is there.
    async fn has_manifest(&self, digest: &Digest) -> Result<bool, CopyError> {
        let url = self.end.url(&format!("manifests/{digest}"))?;
        let answer = self.ask(Method::HEAD, url, ACCEPT_MANIFESTS, 0).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        if answer.status.is_success() && !answer.is_html() {
            let named = content_digest(&answer.headers);
            return Ok(named.is_none_or(|named| named == *digest));
        }
        match answer.refused(&self.end.place.registry, &self.end.place.repository) {
            Some(error) => Err(self.end.error(error)),
            // Not every registry knows HEAD, and some say in the body only that it isn't there.
            None => Ok(self.manifest(digest).await?.is_some()),
        }
    }

    /// Whether a blob is there, with so many bytes where the registry says how many it has.
    async fn has_blob(&self, digest: &Digest, size: Option<u64>) -> Result<bool, CopyError> {
        let url = self.end.url(&format!("blobs/{digest}"))?;
        let answer = self.ask(Method::HEAD, url, "*/*", 0).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.must_be_a(&answer, "blob")?;
        let length = answer.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let held: Option<u64> = length.and_then(|length| length.parse().ok());
        Ok(held.zip(size).is_none_or(|(held, size)| held == size))
    }

    /// An error for an answer with something else than was asked for.
    fn must_be_a(&self, answer: &RegistryAnswer, what: &str) -> Result<(), CopyError> {
        if !answer.status.is_success() {
            return Err(self.end.unexpected(answer));
        }
        match answer.is_html() {
            true => {
                let reason = format!("a web page where a {what} should be; is this the address of a registry?");
                Err(self.end.error(self.end.place.odd(reason)))
            }
            false => Ok(()),
        }
    }

    /// One request without a body; whatever the answer's status.
    async fn ask(
        &self,
        method: Method,
        url: Url,
        accept: &'static str,
        limit: usize,
    ) -> Result<RegistryAnswer, CopyError> {
        let End {
            client, place, pace, ..
        } = &self.end;
        let request = place.request(method, url, accept, limit);
        let answer = match self.pace {
            LookPace::Gentle => self.gently(request).await,
            LookPace::Now => {
                let answer = client.patiently(place, request, pace).await;
                self.heed(&answer);
                answer
            }
        };
        answer.map_err(|error| self.end.error(error))
    }

    /// One request in its turn, sent again while the registry is busy or broken, in a new turn each time.
    async fn gently(&self, request: Request<'_>) -> Result<RegistryAnswer, RegistryError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.in_turn(request.clone()).await;
            self.heed(&answer);
            let pause = match &answer {
                Ok(answer) if is_busy(answer.status) => self.end.pace.asked_for(answer, tries),
                Ok(answer) if answer.status.is_server_error() => self.end.pace.after(tries),
                Err(RegistryError::Unreachable { .. }) => self.end.pace.after(tries),
                _ => return answer,
            };
            if tries == MOST_TRIES {
                return answer;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One request in its turn, signed in if need be. A registry says by a refusal how to sign in: what is sent after it has a turn of its own.
    async fn in_turn(&self, mut request: Request<'_>) -> Result<RegistryAnswer, RegistryError> {
        let (client, place, host) = (&self.end.client, &self.end.place, self.end.host());
        let (transport, authenticator) = (&client.transport, &client.authenticator);
        self.gentle.turn(&host).await;
        request.authorization = authenticator.known(transport, place).await?;
        let answer = transport.send(request.clone()).await?;
        if answer.status != StatusCode::UNAUTHORIZED || answer.foreign {
            return Ok(answer);
        }
        let refused = request.authorization.take();
        let fresh = authenticator
            .answer(transport, place, &answer.headers, refused.as_ref(), &mut Vec::new())
            .await?;
        if fresh.is_none() {
            authenticator.forget(place);
            return Ok(answer);
        }
        self.gentle.turn(&host).await;
        client.signed_in(place, request).await
    }

    /// Remembers that the registry asked to slow down, if it did.
    fn heed(&self, answer: &Result<RegistryAnswer, RegistryError>) {
        if let Ok(answer) = answer
            && answer.status == StatusCode::TOO_MANY_REQUESTS
        {
            self.gentle.slow_down(&self.end.host());
        }
    }
}

fn part(kind: PartKind, digest: Digest, size: Option<u64>) -> ImagePart {
    ImagePart { kind, digest, size }
}

fn unreadable(digest: &Digest, reason: &str) -> CopyError {
    CopyError::Unfit(format!("Waybill can't look at {digest}: it is {reason}."))
}

/// What an index names.
fn entries(of: &Digest, document: &Document) -> Result<Vec<Entry>, CopyError> {
    let named = document.manifests.iter().flatten().map(|entry| {
        Ok(Entry {
            digest: entry.digest().map_err(|reason| unreadable(of, &reason))?,
            size: Some(entry.size),
            is_manifest: document::is_manifest(&entry.media_type),
        })
    });
    named.collect()
}

/// Adds the blobs that a manifest names.
fn want(of: &Digest, document: &Document, blobs: &mut BTreeMap<Digest, Wanted>) -> Result<(), CopyError> {
    for blob in document.blobs() {
        let digest = blob.digest().map_err(|reason| unreadable(of, &reason))?;
        let may_be_absent = document::may_be_absent(&blob.media_type);
        let wanted = blobs.entry(digest).or_insert(Wanted {
            size: blob.size,
            may_be_absent,
        });
        wanted.may_be_absent &= may_be_absent;
    }
    Ok(())
}

/// Whether a registry says that there is no such manifest. Some say so with another status than 404.
fn is_gone(answer: &RegistryAnswer) -> bool {
    answer.status == StatusCode::NOT_FOUND
        || (answer.status.is_client_error()
            && answer.message().is_some_and(|said| {
                said.starts_with("MANIFEST_UNKNOWN")
                    || said.starts_with("NAME_UNKNOWN")
                    || (said.starts_with("UNKNOWN") && said.contains("not found"))
            }))
}
