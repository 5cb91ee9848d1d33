//! What hangs on an image: signatures and attestations, in the places where cosign puts them.
//!
//! The older places are the tag `sha256-….sig`, whose layers are what was signed, with the signature beside each, and `sha256-….att`,
//! whose layers are envelopes. The newer one is the list of all that refers to the image (OCI distribution 1.1, "Listing Referrers"), or
//! a tag `sha256-…` with the same list where the registry doesn't keep it; each entry names a manifest, most often with a bundle. What the list
//! says that an entry attests is a hint: it decides what is read first.
//!
//! Everybody who may push may hang something on an image, so all of it is bounded, and what is odd is passed over: it must not hide what
//! is well. Whether anything is proven by it is said elsewhere ([`crate::signature`]).

use super::{
    Hanging, RegistryError,
    client::{Endpoint, RegistryClient, next_page, sha256},
    manifest::{Descriptor, Document, Index, read},
};
use crate::signature::{Annotated, Attached, SIGNED};
use domain::artifact::Digest;
use futures::{StreamExt as _, stream};
use reqwest::Method;
use std::collections::{BTreeSet, HashSet};

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const ENVELOPE_SAYS: &str = "predicateType";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const BUNDLE_SAYS: &str = "dev.sigstore.bundle.predicateType";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Other artifact types of manifests that may hold something signed. The first two stand for *no type*; then cosign's older form as a
/// referrer (`--registry-referrers-mode=oci-1-1`), and bare envelopes as its library writes them.
const OTHERS: [&str; 4] = [
    "application/vnd.oci.empty.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.in-toto+json",
];
/// The rank of entries whose annotation names something else.
const UNLIKELY: u8 = 3;
/// So many of those are read: for one who waits, each costs two requests a minute.
const MOST_UNLIKELY: usize = 8;
/// What of each place is looked at.
const MOST: usize = 32;
/// Entries of the list of what refers to an image that are looked through.
const MOST_ENTRIES: usize = 1_000;
/// Pages of that list.
const MOST_PAGES: usize = 10;
/// Bytes of one page of it.
const LIST_LIMIT: usize = 4 * 1024 * 1024;
/// Bytes of a manifest that refers to an image: it names a layer or two.
const REFERRER_LIMIT: usize = 256 * 1024;
/// Bytes of what was signed in the older form: a digest and a name.
const SIMPLE_LIMIT: usize = 64 * 1024;
/// Bytes of a bundle: it may hold proofs of a transparency log.
const BUNDLE_LIMIT: usize = 1024 * 1024;
/// Bytes of a signature as text.
const SIGNATURE_LIMIT: usize = 16 * 1024;
/// Asked for at the same time.
const PARALLEL: usize = 4;

impl RegistryClient {
    /// What hangs on an image, in all places; in each, what seems to say one of these things first, then what was last added (in a
    /// list that the registry keeps, the order is the registry's).
    pub(super) async fn hanging(&self, place: &Endpoint, digest: &Digest, says: &[&str]) -> Hanging {
        let mut found = Hanging::default();
        // Where one place can't be looked at, what lies in the others still counts.
        if says.contains(&SIGNED) {
            let tag = format!("sha256-{}.sig", digest.hex());
            found.add(self.tagged(place, &tag, &[SIGNED]).await);
        }
        if says.iter().any(|says| *says != SIGNED) {
            let tag = format!("sha256-{}.att", digest.hex());
            found.add(self.tagged(place, &tag, says).await);
        }
        found.add(self.referring(place, digest, says).await);
        found
    }

    /// What lies in one of the older places.
    async fn tagged(&self, place: &Endpoint, tag: &str, says: &[&str]) -> Hanging {
        match self.document(place, tag).await {
            Ok(Some(Document::Image(manifest))) => self.fetch(place, chosen(&manifest.layers, says)).await,
            Ok(Some(Document::Index(_)) | None) => Hanging::default(),
            Err(error) => Hanging::unseen(error),
        }
    }

    /// What the manifests hold that refer to the image.
    async fn referring(&self, place: &Endpoint, digest: &Digest, says: &[&str]) -> Hanging {
        let listed = self.listed(place, digest).await;
        let mut found = Hanging {
            attached: Vec::new(),
            unseen: listed.unseen,
        };
        let mut entries: Vec<(u8, Digest)> = (listed.entries.iter().take(MOST_ENTRIES))
            .filter_map(|entry| Some((rank(entry, says)?, entry.digest().ok()?)))
            .collect();
        entries.sort_by_key(|(rank, _)| *rank);
        let mut known = HashSet::new();
        entries.retain(|(_, of)| known.insert(of.clone()));
        let likely = entries.partition_point(|(rank, _)| *rank < UNLIKELY);
        if likely > MOST || listed.entries.len() > MOST_ENTRIES {
            found.unseen = Some(place.odd(format!(
                "it lists more for {digest} than the {MOST} manifests that Waybill reads"
            )));
        }
        entries.truncate(MOST.min(likely + MOST_UNLIKELY));
        // Of a manifest only what was chosen is kept: whoever may push decides how long it is.
        let held: Vec<Result<Vec<(Form, Digest)>, RegistryError>> = stream::iter(entries)
            .map(|(_, of)| async move { Ok(chosen(&self.referrer(place, &of).await?, says)) })
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut layers = Vec::new();
        for chosen in held {
            match chosen {
                Ok(chosen) => layers.push(chosen.into_iter()),
                Err(error) => found.unseen = Some(error),
            }
        }
        found.add(self.fetch(place, in_turn(layers)).await);
        found
    }

    /// The list of what refers to an image: the registry's own, else that under the tag, as far as they can be read.
    async fn listed(&self, place: &Endpoint, digest: &Digest) -> Listed {
        let mut listed = self.referrers(place, digest).await;
        if listed.is_kept {
            return listed;
        }
        let tag = format!("sha256-{}", digest.hex());
        match self.document(place, &tag).await {
            // Who adds to it adds at the end.
            Ok(Some(Document::Index(index))) => listed.entries.extend(index.manifests.into_iter().rev()),
            Ok(Some(Document::Image(_)) | None) => {}
            Err(error) => listed.unseen = Some(error),
        }
        listed
    }

    /// The layers of a manifest that refers to an image; none when it is no such manifest.
    async fn referrer(&self, place: &Endpoint, of: &Digest) -> Result<Vec<Descriptor>, RegistryError> {
        let url = place.url(&format!("manifests/{of}"))?;
        let answer = match self.ask(place, Method::GET, url, MANIFEST, REFERRER_LIMIT).await {
            Ok(answer) if answer.status.is_success() => answer,
            Ok(_) | Err(RegistryError::Protocol { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let is_it = sha256(&answer.body).as_ref() == Some(of);
        Ok(match read(&answer.body) {
            Ok(Document::Image(manifest)) if is_it => manifest.layers,
            _ => Vec::new(),
        })
    }

    /// The layers that were chosen, read.
    async fn fetch(&self, place: &Endpoint, layers: Vec<(Form, Digest)>) -> Hanging {
        let layers: Vec<Result<Option<Attached>, RegistryError>> = stream::iter(layers)
            .map(|(form, of)| async move {
                let bytes = self.small(place, &of, form.limit()).await?;
                Ok(bytes.and_then(|bytes| form.read(bytes)))
            })
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut found = Hanging::default();
        for layer in layers {
            match layer {
                Ok(attached) => found.attached.extend(attached),
                Err(error) => found.unseen = Some(error),
            }
        }
        found
    }

    /// The registry's own list of what refers to a digest.
    async fn referrers(&self, place: &Endpoint, digest: &Digest) -> Listed {
        let mut listed = Listed::default();
        let mut seen = BTreeSet::new();
        let mut next = place.url(&format!("referrers/{digest}")).ok();
        while let Some(url) = next
            && seen.len() < MOST_PAGES
            && listed.entries.len() <= MOST_ENTRIES
            && seen.insert(url.to_string())
        {
            let answer = match self.ask(place, Method::GET, url.clone(), INDEX, LIST_LIMIT).await {
                Ok(answer) => answer,
                Err(error) => {
                    listed.unseen = Some(error);
                    return listed;
                }
            };
            // Registries that don't know the question answer it in many ways.
            let page = match read(&answer.body) {
                Ok(Document::Index(Index { manifests, .. })) if answer.status.is_success() && !answer.is_html() => {
                    manifests
                }
                _ if listed.is_kept => {
                    listed.unseen = Some(place.odd("the next page of a list of referrers that is none"));
                    return listed;
                }
                _ => return listed,
            };
            listed.is_kept = true;
            listed.entries.extend(page);
            next = next_page(&answer.headers, &url).ok().flatten();
        }
        listed
    }

    /// A manifest or index; `None` when there is none, or something that is neither.
    async fn document(&self, place: &Endpoint, reference: &str) -> Result<Option<Document>, RegistryError> {
        match self.manifest(place, reference).await {
            Ok(found) => Ok(found.map(|(_, document)| document)),
            Err(RegistryError::Protocol { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A small blob; `None` when it isn't there, or is not what its digest says.
    async fn small(&self, place: &Endpoint, digest: &Digest, limit: usize) -> Result<Option<Vec<u8>>, RegistryError> {
        let url = place.url(&format!("blobs/{digest}"))?;
        let answer = match self.ask(place, Method::GET, url, "*/*", limit).await {
            Ok(answer) if answer.status.is_success() => answer,
            Ok(_) | Err(RegistryError::Protocol { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok((sha256(&answer.body).as_ref() == Some(digest)).then_some(answer.body))
    }
}

/// What refers to an image.
#[derive(Default)]
struct Listed {
    entries: Vec<Descriptor>,
    /// Whether the registry keeps such a list.
    is_kept: bool,
    /// Why there may be more.
    unseen: Option<RegistryError>,
}

/// The layers of several manifests, one of each in turn, so that a full one doesn't hide what others hold; nothing twice, and so many at most.
/// The same document may be signed by several: the signature beside it tells them apart.
fn in_turn(mut manifests: Vec<std::vec::IntoIter<(Form, Digest)>>) -> Vec<(Form, Digest)> {
    let (mut all, mut known) = (Vec::new(), HashSet::new());
    while all.len() < MOST && !manifests.is_empty() {
        manifests.retain_mut(|layers| match layers.next() {
            Some(layer) => {
                if known.insert(layer.clone()) {
                    all.push(layer);
                }
                true
            }
            None => false,
        });
    }
    all.truncate(MOST);
    all
}

/// The forms in which something is signed, by the type of the layer that holds it.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// A document, with its signature beside it.
    Simple {
        signature: String,
        annotated: Option<Annotated>,
    },
    /// A bare envelope.
    Envelope { annotated: Option<Annotated> },
    /// An envelope in a bundle.
    Bundle,
}

impl Form {
    /// That of a layer; `None` when it is none, or too large for one.
    fn of(layer: &Descriptor) -> Option<Self> {
        let form = match layer.media_type.as_str() {
            SIMPLE => Self::Simple {
                signature: layer.annotations.get(SIGNATURE)?.clone(),
                annotated: Annotated::of(&layer.annotations),
            },
            ENVELOPE => Self::Envelope {
                annotated: Annotated::of(&layer.annotations),
            },
            kind if kind.starts_with(BUNDLE) => Self::Bundle,
            _ => return None,
        };
        let is_short = !matches!(&form, Self::Simple { signature, .. } if signature.len() > SIGNATURE_LIMIT);
        (is_short && fits(layer, form.limit())).then_some(form)
    }

    fn limit(&self) -> usize {
        match self {
            Self::Simple { .. } => SIMPLE_LIMIT,
            Self::Envelope { .. } | Self::Bundle => BUNDLE_LIMIT,
        }
    }

    fn read(self, bytes: Vec<u8>) -> Option<Attached> {
        match self {
            Self::Simple { signature, annotated } => Attached::simple(bytes, &signature, annotated),
            Self::Envelope { annotated } => Attached::envelope(&bytes, annotated),
            Self::Bundle => Attached::bundle(&bytes),
        }
    }
}

/// The layers in which something is signed that may say one of these things; what was last added first, since signing once more adds a
/// layer at the end.
fn chosen(layers: &[Descriptor], says: &[&str]) -> Vec<(Form, Digest)> {
    let may_say = |form: &Form, layer: &Descriptor| match form {
        Form::Simple { .. } => says.contains(&SIGNED),
        // The annotation beside a bare envelope is what cosign has just read in it.
        Form::Envelope { .. } => is_named(layer.annotations.get(ENVELOPE_SAYS), says) != Some(false),
        Form::Bundle => true,
    };
    (layers.iter().rev())
        .filter_map(|layer| Some((Form::of(layer)?, layer)))
        .filter(|(form, layer)| may_say(form, layer))
        .filter_map(|(form, layer)| Some((form, layer.digest().ok()?)))
        .take(MOST)
        .collect()
}

/// When an entry is to be read, the smallest first; `None` when its manifest holds nothing signed.
///
/// Tools that write the list themselves give the type of the manifest's configuration, which is empty for a bundle (cosign up to 3.0.6 on
/// registries without such a list, sigstore/cosign#5098; entries are never put right later): then only the manifest says what it is. And
/// cosign 3.0, and 2.6 with a signing config, annotate every attestation as a signature: what another annotation names may still be what is sought.
fn rank(entry: &Descriptor, says: &[&str]) -> Option<u8> {
    let kind = entry.artifact_type.as_deref().unwrap_or_default();
    let is_bundle = kind.starts_with(BUNDLE);
    if !is_bundle && !kind.is_empty() && !OTHERS.contains(&kind) {
        return None;
    }
    Some(match is_named(entry.annotations.get(BUNDLE_SAYS), says) {
        Some(true) => 0,
        None if is_bundle => 1,
        None => 2,
        Some(false) => UNLIKELY,
    })
}

/// Whether an annotation names one of these things; `None` without one.
fn is_named(annotation: Option<&String>, says: &[&str]) -> Option<bool> {
    annotation.map(|named| says.contains(&named.as_str()))
}

fn fits(descriptor: &Descriptor, limit: usize) -> bool {
    usize::try_from(descriptor.size).is_ok_and(|size| size <= limit)
}
