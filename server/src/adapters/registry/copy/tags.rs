//! The tags and lists of the target that hold what hangs on an image: they are added to, and never overwritten.
//!
//! Somebody may have signed the same image in the target already. So what is there is read, what is wanted is added, the result is
//! written and read again; if another writer won meanwhile, once more. Registries know no compare-and-swap. Nothing is written when
//! nothing is missing.

use super::{
    super::transport::RegistryAnswer,
    CopyError,
    closure::Raw,
    document::INDEX,
    end::{End, Listed, list},
    lanes::Slot,
    node::is_digest_refused,
};
use crate::nesting;
use domain::artifact::Digest;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How often a tag is written while others write it, too.
const MOST_WRITES: u32 = 8;

/// What a tag or list of the target must hold in the end.
pub(super) struct Claim {
    pub(super) tag: String,
    pub(super) claimed: Claimed,
}

pub(super) enum Claimed {
    /// Entries of the list of what refers to a manifest.
    Referrers {
        subject: Digest,
        entries: Vec<(Digest, Value)>,
        /// The list of the source that has just these entries.
        list: Option<Raw>,
    },
    /// Layers of a manifest of cosign.
    Layers(Raw),
    /// A manifest as it is.
    Whole(Raw),
}

/// A manifest to write, with its media type.
type Written = (Bytes, String);

/// What came of the wish that a tag holds what is claimed.
pub(super) enum Settled {
    /// It holds all of it, and was written so often.
    Holds(u32),
    /// What is claimed can't be added to what lies there; why.
    Unfit(String),
    /// The registry answered so to a write of so many bytes.
    NotTaken(RegistryAnswer, usize),
}

impl Claim {
    /// What to write so that the tag holds all of it, besides what is there; `None` when it does. The error says why it can't be added.
    pub(super) fn merge(&self, there: Option<&Raw>) -> Result<Option<Written>, String> {
        match (&self.claimed, there) {
            (Claimed::Referrers { entries, list, .. }, there) => merge_list(entries, list.as_ref(), there),
            (Claimed::Layers(raw) | Claimed::Whole(raw), None) => Ok(Some(as_is(raw))),
            (Claimed::Layers(raw) | Claimed::Whole(raw), Some(there)) if raw.digest == there.digest => Ok(None),
            (Claimed::Layers(raw), Some(there)) => merge_layers(raw, there),
            (Claimed::Whole(_), Some(_)) => Err("another manifest lies there, which Waybill doesn't overwrite".into()),
        }
    }

    /// Without those that didn't arrive.
    pub(super) fn forget(&mut self, lost: &BTreeSet<Digest>) {
        if let Claimed::Referrers { entries, list, .. } = &mut self.claimed {
            let before = entries.len();
            entries.retain(|(digest, _)| !lost.contains(digest));
            if entries.len() < before {
                *list = None;
            }
        }
    }

    /// The manifest that must lie under the tag, where it is one.
    pub(super) fn manifest(&self) -> Option<&Digest> {
        match &self.claimed {
            Claimed::Referrers { .. } => None,
            Claimed::Layers(raw) | Claimed::Whole(raw) => Some(&raw.digest),
        }
    }

    /// Which of the entries a registry that keeps such lists doesn't list; `None` where it is a tag that holds them.
    pub(super) async fn unlisted(&self, to: &End) -> Result<Option<Vec<Digest>>, CopyError> {
        let Claimed::Referrers { subject, entries, .. } = &self.claimed else {
            return Ok(None);
        };
        Ok(match to.referrers(subject).await? {
            Listed::Kept(listed) => {
                let listed: BTreeSet<&str> = listed.iter().filter_map(digest_of).collect();
                let unlisted = entries.iter().map(|(digest, _)| digest);
                Some(
                    unlisted
                        .filter(|digest| !listed.contains(digest.as_str()))
                        .cloned()
                        .collect(),
                )
            }
            Listed::NotKept | Listed::Refused => None,
        })
    }

    /// Writes the tag until it holds all of it.
    pub(super) async fn settle(&self, to: &End, slot: &Slot) -> Result<Settled, CopyError> {
        let _alone = slot.lock().await;
        for writes in 0..MOST_WRITES {
            let there = to.named(&self.tag).await?;
            let (mut bytes, kind) = match self.merge(there.as_ref()) {
                Ok(None) => return Ok(Settled::Holds(writes)),
                Ok(Some(written)) => written,
                Err(reason) => return Ok(Settled::Unfit(reason)),
            };
            if matches!(self.claimed, Claimed::Layers(_)) && there.is_some() {
                bytes = match to.count_layers(bytes).await? {
                    Ok(counted) => counted,
                    Err((answer, size)) => return Ok(Settled::NotTaken(answer, size)),
                };
            }
            let size = bytes.len();
            let answer = (to.client)
                .put_manifest(&to.place, &self.tag, bytes, &kind, &to.pace)
                .await
                .map_err(|error| to.error(error))?;
            if is_digest_refused(&answer) {
                // Somebody else is just writing the same bytes.
                tokio::time::sleep(to.pace.after(writes + 1)).await;
                continue;
            }
            if !answer.status.is_success() {
                return Ok(Settled::NotTaken(answer, size));
            }
        }
        Err(self.contested(to))
    }

    /// The error for a tag that doesn't stay as it was written.
    pub(super) fn contested(&self, to: &End) -> CopyError {
        CopyError::Unproven {
            repository: to.place.repository.clone(),
            what: format!(
                "the tag {} as Waybill wrote it, because others keep writing it",
                self.tag
            ),
        }
    }
}

fn as_is(raw: &Raw) -> Written {
    let says = || {
        let value: Value = nesting::json(&raw.bytes).ok()?;
        Some(value.get("mediaType")?.as_str()?.to_owned())
    };
    let usual = || match list(&raw.bytes, "manifests") {
        Some(_) => INDEX.to_owned(),
        None => super::document::MANIFEST.to_owned(),
    };
    let served = raw.kind.clone().filter(|kind| super::document::is_manifest(kind));
    (raw.bytes.clone(), served.or_else(says).unwrap_or_else(usual))
}

fn merge_list(entries: &[(Digest, Value)], list: Option<&Raw>, there: Option<&Raw>) -> Result<Option<Written>, String> {
    if entries.is_empty() {
        return Ok(None);
    }
    let Some(there) = there else {
        let new = || {
            let entries: Vec<&Value> = entries.iter().map(|(_, entry)| entry).collect();
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
            (Bytes::from(index.to_string()), INDEX.to_owned())
        };
        return Ok(Some(list.map_or_else(new, as_is)));
    };
    let wanted = entries.iter().map(|(_, entry)| entry);
    add(there, "manifests", wanted, |a, b| digest_of(a) == digest_of(b))
}

fn merge_layers(raw: &Raw, there: &Raw) -> Result<Option<Written>, String> {
    let layers = list(&raw.bytes, "layers").unwrap_or_default();
    // Two signatures of one document have one digest: what is beside them tells them apart.
    let is_same = |a: &Value, b: &Value| digest_of(a) == digest_of(b) && a.get("annotations") == b.get("annotations");
    add(there, "layers", layers.iter(), is_same)
}

/// A document with more in one of its lists; `None` when all of that is in it.
fn add<'a>(
    there: &Raw,
    name: &str,
    wanted: impl Iterator<Item = &'a Value>,
    is_same: impl Fn(&Value, &Value) -> bool,
) -> Result<Option<Written>, String> {
    let odd = || format!("what lies there has no list of {name}, and Waybill doesn't overwrite it");
    let mut document: Value = nesting::json(&there.bytes).map_err(|_| odd())?;
    let held = document.get_mut(name).and_then(Value::as_array_mut).ok_or_else(odd)?;
    let before = held.len();
    for wanted in wanted {
        if !held.iter().any(|held| is_same(held, wanted)) {
            held.push(wanted.clone());
        }
    }
    if held.len() == before {
        return Ok(None);
    }
    let (_, kind) = as_is(there);
    Ok(Some((Bytes::from(document.to_string()), kind)))
}

pub(super) fn digest_of(entry: &Value) -> Option<&str> {
    entry.get("digest")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::{super::super::client::sha256, *};

    fn raw(value: &Value) -> Raw {
        let text = value.to_string();
        Raw {
            digest: sha256(text.as_bytes()).unwrap(),
            kind: None,
            bytes: Bytes::from(text),
        }
    }

    fn written(merged: Result<Option<Written>, String>) -> Value {
        serde_json::from_slice(&merged.unwrap().unwrap().0).unwrap()
    }

    #[test]
    fn layers_are_added_to_those_that_are_there_and_two_signatures_of_one_document_are_two() {
        let layer = |digest: &str, by: &str| json!({"digest": digest, "annotations": {"signature": by}});
        let source = raw(&json!({"config": {"digest": "c"}, "layers": [layer("a", "ci"), layer("b", "ci")]}));
        let claim = Claim {
            tag: "sha256-x.sig".into(),
            claimed: Claimed::Layers(source.clone()),
        };
        let there = raw(&json!({"config": {"digest": "d"}, "layers": [layer("a", "release"), layer("b", "ci")]}));
        let merged = written(claim.merge(Some(&there)));
        assert_eq!(
            merged["layers"],
            json!([layer("a", "release"), layer("b", "ci"), layer("a", "ci")])
        );
        assert_eq!(merged["config"]["digest"], "d");
        assert_eq!(claim.merge(Some(&raw(&merged))), Ok(None), "all is there");
        assert_eq!(claim.merge(None).unwrap().unwrap().0, source.bytes, "as it is");
        assert_eq!(claim.merge(Some(&source)), Ok(None));
        assert!(claim.merge(Some(&raw(&json!({"manifests": []})))).is_err());
    }

    #[test]
    fn entries_are_added_to_a_list_whose_own_stay_as_they_are() {
        let digest = |c: char| -> Digest { format!("sha256:{}", c.to_string().repeat(64)).parse().unwrap() };
        let entry = |c: char, note: &str| json!({"digest": digest(c), "annotations": {"note": note}});
        let list = raw(&json!({"manifests": [entry('a', "source"), entry('b', "source")]}));
        let mut claim = Claim {
            tag: "sha256-x".into(),
            claimed: Claimed::Referrers {
                subject: digest('d'),
                entries: vec![(digest('a'), entry('a', "source")), (digest('b'), entry('b', "source"))],
                list: Some(list.clone()),
            },
        };
        assert_eq!(claim.merge(None).unwrap().unwrap(), (list.bytes, INDEX.to_owned()));
        let there = raw(&json!({"annotations": {"x": "y"}, "manifests": [entry('a', "target"), entry('c', "target")]}));
        let merged = written(claim.merge(Some(&there)));
        assert_eq!(
            merged["manifests"],
            json!([entry('a', "target"), entry('c', "target"), entry('b', "source")])
        );
        assert_eq!(merged["annotations"]["x"], "y");
        claim.forget(&BTreeSet::from([digest('b')]));
        assert_eq!(claim.merge(Some(&there)), Ok(None), "what didn't arrive is not listed");
        assert_eq!(written(claim.merge(None))["manifests"], json!([entry('a', "source")]));
    }

    #[test]
    fn another_sbom_is_not_overwritten() {
        let claim = Claim {
            tag: "sha256-x.sbom".into(),
            claimed: Claimed::Whole(raw(&json!({"layers": [1]}))),
        };
        assert!(claim.merge(Some(&raw(&json!({"layers": [2]})))).is_err());
        assert!(claim.merge(None).unwrap().is_some());
    }
}
