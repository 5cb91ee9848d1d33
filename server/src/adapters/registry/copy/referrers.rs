//! What hangs on an image: whatever refers to one of its manifests, what refers to that, and cosign's tags.
//!
//! The registry lists what refers to a manifest, or a tag `sha256-…` does where it doesn't (OCI distribution 1.1, "Referrers Tag Schema").
//! cosign's older places are tags of their own, for each manifest up to three. Everybody who may push may hang something on an image: so
//! all of it is bounded, and what can't be copied is named and doesn't hold back the image.

use super::{
    CopyError,
    closure::{Bounds, Closure, PARALLEL, Raw},
    document,
    end::{End, Listed, list},
    tags::{Claim, Claimed},
};
use domain::{
    artifact::Digest,
    copy::{Attached, Attachments},
};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How far what refers to what refers to an image is followed.
const MOST_LEVELS: u32 = 3;
/// Entries of one list that are copied.
const MOST_ENTRIES: usize = 1_000;
/// Manifests of one thing that hangs on an image.
const MOST_NODES_OF_ONE: usize = 100;
/// Bytes of those.
const MOST_MANIFEST_BYTES_OF_ONE: usize = 4 * 1024 * 1024;

/// Something that hangs on an image, with all that it consists of.
pub(super) struct Piece {
    pub(super) root: Digest,
    pub(super) closure: Closure,
    /// How far away it is: what refers to the image is on level 1.
    pub(super) level: u32,
    /// What it counts as.
    pub(super) counted: Attached,
    /// The tag of cosign that it lies under; it is pushed under that then.
    pub(super) tag: Option<String>,
}

impl Piece {
    /// Whether this manifest is pushed under a tag of cosign, and not by its digest.
    pub(super) fn is_under_tag(&self, digest: &Digest) -> bool {
        self.tag.is_some() && self.root == *digest
    }
}

/// All that hangs on an image.
#[derive(Default)]
pub(super) struct Hanging {
    pub(super) pieces: Vec<Piece>,
    /// What lists and tags of the target must hold in the end.
    pub(super) claims: Vec<Claim>,
    pub(super) left_out: Vec<String>,
}

/// What was found at one manifest.
struct Look {
    subject: Digest,
    entries: Vec<(Digest, Value)>,
    /// The list under the tag.
    raw: Option<Raw>,
    tags: Vec<(&'static str, Raw)>,
    notes: Vec<String>,
}

/// Something that is to be walked.
struct Candidate {
    root: Digest,
    raw: Option<Raw>,
    tag: Option<(&'static str, String)>,
}

/// Looks for what hangs on the manifests of an image.
pub(super) async fn gather(
    from: &End,
    image: &Closure,
    which: Attachments,
    bounds: Bounds,
) -> Result<Hanging, CopyError> {
    let mut hanging = Hanging::default();
    if which == Attachments::None {
        return Ok(hanging);
    }
    let mut known: BTreeSet<Digest> = image.nodes.keys().cloned().collect();
    let mut chosen = known.clone();
    let mut subjects: Vec<Digest> = known.iter().cloned().collect();
    let mut looks = Vec::new();
    for level in 1..=MOST_LEVELS + 1 {
        let found: Vec<Look> = stream::iter(subjects)
            .map(|subject| look(from, subject, which))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let (mut candidates, mut seen) = (Vec::new(), HashSet::new());
        for look in &found {
            hanging.left_out.extend(look.notes.iter().cloned());
            let listed = look.entries.iter().map(|(digest, _)| Candidate {
                root: digest.clone(),
                raw: None,
                tag: None,
            });
            candidates.extend(listed.filter(|of| !known.contains(&of.root) && seen.insert(of.root.clone())));
            candidates.extend(look.tags.iter().map(|(suffix, raw)| Candidate {
                root: raw.digest.clone(),
                raw: Some(raw.clone()),
                tag: Some((suffix, tag_of(&look.subject, suffix))),
            }));
        }
        if candidates.is_empty() || level > MOST_LEVELS {
            if !candidates.is_empty() {
                hanging.left_out.push(format!(
                    "Waybill copies what refers to an image, and what refers to that, {MOST_LEVELS} levels deep. There is more."
                ));
            } else {
                looks.extend(found);
            }
            break;
        }
        looks.extend(found);
        known.extend(candidates.iter().map(|of| of.root.clone()));
        subjects = Vec::new();
        for piece in walk_all(from, candidates, level, bounds, &mut hanging).await? {
            let Attached {
                signatures,
                attestations,
                ..
            } = piece.counted;
            if which == Attachments::Signatures && signatures + attestations == 0 {
                continue;
            }
            // What cosign adds to is another manifest each time: nothing refers to it.
            let is_lasting = piece.tag.as_ref().is_none_or(|tag| tag.ends_with(".sbom"));
            subjects.extend(is_lasting.then(|| piece.root.clone()));
            chosen.insert(piece.root.clone());
            hanging.pieces.push(piece);
        }
    }
    for look in looks {
        let claims = claims(look, &chosen, &hanging.pieces);
        hanging.claims.extend(claims);
    }
    let mut said = HashSet::new();
    hanging.left_out.retain(|note| said.insert(note.clone()));
    Ok(hanging)
}

/// What the target must hold of what was found at a manifest.
fn claims(look: Look, chosen: &BTreeSet<Digest>, pieces: &[Piece]) -> Vec<Claim> {
    let Look {
        subject,
        mut entries,
        raw,
        tags,
        ..
    } = look;
    let all = entries.len();
    entries.retain(|(digest, _)| chosen.contains(digest));
    if raw.is_none() {
        // A list that a registry keeps may lack types and annotations, or have wrong ones. Tools that filter by type would find nothing.
        for (digest, entry) in &mut entries {
            let piece = pieces.iter().find(|piece| piece.root == *digest);
            if let Some(node) = piece.and_then(|piece| piece.closure.nodes.get(digest)) {
                node.document.describe(entry);
            }
        }
    }
    let mut claims = Vec::new();
    if !entries.is_empty() {
        claims.push(Claim {
            tag: list_tag(&subject),
            claimed: Claimed::Referrers {
                // Where some are left out, the source's list is not the target's.
                list: raw.filter(|_| entries.len() == all),
                entries,
                subject: subject.clone(),
            },
        });
    }
    for (suffix, raw) in tags.into_iter().filter(|(_, raw)| chosen.contains(&raw.digest)) {
        claims.push(Claim {
            tag: tag_of(&subject, suffix),
            claimed: match suffix {
                "sbom" => Claimed::Whole(raw),
                _ => Claimed::Layers(raw),
            },
        });
    }
    claims
}

/// Reads what is to be copied; what can't be is named.
async fn walk_all(
    from: &End,
    candidates: Vec<Candidate>,
    level: u32,
    bounds: Bounds,
    hanging: &mut Hanging,
) -> Result<Vec<Piece>, CopyError> {
    // Whoever may push decides how much hangs on an image: all of it together has as much room as an image.
    let mut room = hanging
        .pieces
        .iter()
        .fold(bounds, |room, piece| room.without(&piece.closure));
    let one = Bounds {
        nodes: room.nodes.min(MOST_NODES_OF_ONE),
        manifest_bytes: room.manifest_bytes.min(MOST_MANIFEST_BYTES_OF_ONE),
        ..room
    };
    let walks = candidates.into_iter().map(|mut candidate| async move {
        let walked = Closure::walk(from, &candidate.root, candidate.raw.take(), one).await;
        (candidate, walked)
    });
    let mut walked = stream::iter(walks).buffered(PARALLEL);
    let mut pieces = Vec::new();
    while let Some((Candidate { root, tag, .. }, walked)) = walked.next().await {
        let closure = match walked {
            Ok(closure) => closure,
            Err(error @ (CopyError::Missing { .. } | CopyError::Unfit(_))) => {
                hanging
                    .left_out
                    .push(format!("{root}, which refers to the image: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        if !room.holds(&closure) {
            hanging.left_out.push(format!(
                "More hangs on the image than Waybill copies (as many manifests and bytes as an image may have). {root} and what comes after it stay behind."
            ));
            break;
        }
        room = room.without(&closure);
        hanging.left_out.extend(closure.left_out.iter().cloned());
        let Some(node) = closure.nodes.get(&root) else { continue };
        let counted = match &tag {
            Some((suffix, _)) => counted_of(suffix, list(&node.bytes, "layers").map_or(0, |layers| layers.len())),
            None => node.document.attached(),
        };
        pieces.push(Piece {
            tag: tag.map(|(_, tag)| tag),
            root,
            closure,
            level,
            counted,
        });
    }
    Ok(pieces)
}

impl Bounds {
    /// Whether there is room for it.
    fn holds(self, closure: &Closure) -> bool {
        closure.nodes.len() <= self.nodes
            && closure.bytes <= self.bytes
            && closure.manifest_bytes <= self.manifest_bytes
    }

    /// What is left beside it.
    fn without(self, closure: &Closure) -> Self {
        Self {
            nodes: self.nodes.saturating_sub(closure.nodes.len()),
            bytes: self.bytes.saturating_sub(closure.bytes),
            manifest_bytes: self.manifest_bytes.saturating_sub(closure.manifest_bytes),
        }
    }
}

/// What the layers under a tag of cosign count as.
fn counted_of(suffix: &str, layers: usize) -> Attached {
    let layers = u32::try_from(layers).unwrap_or(u32::MAX);
    let mut counted = Attached::default();
    match suffix {
        "sig" => counted.signatures = layers,
        "att" => counted.attestations = layers,
        _ => counted.sboms = layers,
    }
    counted
}

/// The tag under which the list of what refers to a manifest lies where its registry keeps none.
pub(super) fn list_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// The tag of cosign for something that hangs on a manifest.
pub(super) fn tag_of(subject: &Digest, suffix: &str) -> String {
    format!("sha256-{}.{suffix}", subject.hex())
}

/// Looks at one manifest.
async fn look(from: &End, subject: Digest, which: Attachments) -> Result<Look, CopyError> {
    let suffixes: &[&'static str] = match which {
        Attachments::All => &["sig", "att", "sbom"],
        Attachments::Signatures => &["sig", "att"],
        Attachments::None => &[],
    };
    let of = &subject;
    let tags = try_join_all(suffixes.iter().map(|suffix| async move {
        let found = from.named(&tag_of(of, suffix)).await?;
        Ok::<_, CopyError>(found.map(|raw| (*suffix, raw)))
    }));
    let (tags, (values, raw, mut notes)) = futures::try_join!(tags, listed(from, of))?;
    let mut entries = BTreeMap::new();
    let mut order = Vec::new();
    for value in values {
        let digest = value
            .get("digest")
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<Digest>().ok());
        if let Some(digest) = digest
            && entries.insert(digest.clone(), value).is_none()
        {
            order.push(digest);
        }
    }
    if order.len() > MOST_ENTRIES {
        notes.push(format!(
            "{} manifests refer to {subject}; Waybill copies the first {MOST_ENTRIES}.",
            order.len()
        ));
        order.truncate(MOST_ENTRIES);
    }
    let entries = (order.into_iter()).filter_map(|digest| entries.remove_entry(&digest));
    Ok(Look {
        entries: entries.collect(),
        raw,
        tags: tags.into_iter().flatten().filter(|(_, raw)| is_copied(raw)).collect(),
        notes,
        subject,
    })
}

/// Whether it can be read as a manifest: a tag may hold anything.
fn is_copied(raw: &Raw) -> bool {
    document::read(&raw.bytes).is_ok()
}

/// The list of what refers to a manifest, the tag that it lies under where the registry keeps none, and what is to be said of it.
pub(super) async fn listed(from: &End, subject: &Digest) -> Result<(Vec<Value>, Option<Raw>, Vec<String>), CopyError> {
    let mut notes = Vec::new();
    match from.referrers(subject).await? {
        Listed::Kept(entries) => return Ok((entries, None, notes)),
        Listed::NotKept => {}
        Listed::Refused => notes.push(format!(
            "{} refuses to list what refers to a manifest. Let the credentials for pulling list referrers.",
            from.place.registry
        )),
    }
    let raw = from.named(&list_tag(subject)).await?;
    let entries = raw.as_ref().and_then(|raw| list(&raw.bytes, "manifests"));
    Ok((entries.unwrap_or_default(), raw, notes))
}
