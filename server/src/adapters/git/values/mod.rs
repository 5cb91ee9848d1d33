//! Values files: what they say about services, and edits that change nothing else.
//!
//! A file is never written out anew. [`edit()`] takes the text apart ([`document`]), changes the bytes of single scalars or
//! adds lines in the file's own style ([`change`]), and then proves on the result that nothing but the intended values
//! differs ([`verify`]). In files that many edits go to, [`outline`] keeps that to the lines of one service. What can't be edited with certainty is refused, with the reason and the way out.

mod change;
mod consumer;
mod document;
mod dry;
mod image;
mod lines;
mod outline;
mod remove;
mod runtime;
mod scalar;
mod sealed;
mod style;
mod verify;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use domain::key::part;
use granit_parser::ScalarStyle;

use self::{
    change::{Addition, New},
    document::{Content, Document, NodeId},
    image::Apart,
    verify::Intent,
};
use super::{DeclaredService, PlaceEdit};

pub(super) use self::document::LARGEST;
pub use self::{
    dry::refusals,
    outline::{Outline, edit_with},
    remove::remove,
};

/// Why a values file can't be read or edited, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ValuesError(pub(super) String);

impl From<String> for ValuesError {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

const REPOSITORY: &str = "repository";
const TAG: &str = "tag";
const DIGEST: &str = "digest";

/// The file with `edit`'s image in it; the same bytes when it says so already.
///
/// Missing keys, and missing mappings on the way to them, are added in the style of their neighbours. The runtime
/// configuration only adds keys that the service lacks: what a file says already is left alone.
pub fn edit(bytes: &[u8], edit: &PlaceEdit) -> Result<Vec<u8>, ValuesError> {
    sealed::check_bytes(bytes)?;
    let old = Document::parse(bytes)?;
    sealed::check(&old)?;
    if let Some((key, line)) = &old.duplicate {
        return Err(ValuesError(format!(
            "the key {key:?} appears twice in one mapping (line {line}); keep one of them"
        )));
    }
    let plan = Plan::new(&old, edit)?;
    let mut text = old.text.to_owned();
    for step in &plan.steps {
        let document = Document::parse(text.as_bytes())?;
        let changed = change::apply(&document, step)?;
        text = changed.unwrap_or(text);
    }
    if text.as_bytes() != bytes {
        let new = Document::parse(text.as_bytes()).map_err(verify::suspicious)?;
        verify::only_intended(&old, &new, &plan.intent(), &plan.service_path)?;
    }
    Ok(text.into_bytes())
}

/// One scalar or subtree to be put in place.
struct Step {
    /// Keys from the root to the mapping that holds the additions.
    path: Vec<String>,
    /// Keys to set or add there.
    additions: Vec<Addition>,
}

/// What an edit comes to in a given file.
struct Plan {
    service_path: Vec<String>,
    image: Vec<(String, New)>,
    runtime: Vec<(String, New)>,
    steps: Vec<Step>,
}

impl Plan {
    fn new(document: &Document<'_>, edit: &PlaceEdit) -> Result<Self, ValuesError> {
        let mut service_path = services_path(&edit.place.prefix);
        service_path.push(edit.place.service.clone());
        let service = find_own(document, &service_path)?;
        let mut image_path = service_path.clone();
        image_path.push("image".to_owned());
        let declared = find_own(document, &image_path)?;

        sealed::check_image(document, declared)?;
        let image = image::keys(document, &edit.place.prefix, declared, &edit.image)?;
        let has = |key: &str| service.is_some_and(|service| document.lookup(service, key).is_some());
        let runtime: Vec<_> = edit
            .runtime
            .as_ref()
            .map(runtime::keys)
            .unwrap_or_default()
            .into_iter()
            .filter(|(key, _)| !has(key))
            .collect();
        let mut steps = vec![Step {
            path: image_path,
            additions: additions(&image, &[REPOSITORY, TAG, DIGEST]),
        }];
        if !runtime.is_empty() {
            steps.push(Step {
                path: service_path.clone(),
                additions: additions(&runtime, &[]),
            });
        }
        Ok(Self {
            service_path,
            image,
            runtime,
            steps,
        })
    }

    /// The only things that may differ afterwards.
    fn intent(&self) -> Intent {
        let leaves = |values: &[(String, New)]| -> Vec<_> {
            values
                .iter()
                .map(|(key, value)| (key.clone(), Intent::Value(value.clone())))
                .collect()
        };
        let mut service = vec![("image".to_owned(), Intent::Within(leaves(&self.image)))];
        service.extend(leaves(&self.runtime));
        let start = Intent::Within(service);
        self.service_path
            .iter()
            .rev()
            .fold(start, |inner, key| Intent::Within(vec![(key.clone(), inner)]))
    }
}

fn additions(values: &[(String, New)], order: &'static [&'static str]) -> Vec<Addition> {
    let one = |(key, value): &(String, New)| Addition {
        key: key.clone(),
        value: value.clone(),
        order,
    };
    values.iter().map(one).collect()
}

/// Keys from the root downwards, joined for a sentence.
fn dotted(path: &[String]) -> String {
    let parts: Vec<_> = path.iter().map(|key| part(key)).collect();
    parts.join(".")
}

/// The keys from the root to the services: `["lucity-app", "services"]`.
fn services_path(prefix: &str) -> Vec<String> {
    let keys = prefix.split('.').filter(|key| !key.is_empty());
    keys.chain(["services"]).map(str::to_owned).collect()
}

/// The node at `path` when the file has it there itself and not null. Refused: a path through an alias, a merge or
/// something that is no mapping, because an edit there would change other places too.
fn find_own(document: &Document<'_>, path: &[String]) -> Result<Option<NodeId>, ValuesError> {
    let Some(mut at) = document.root.filter(|root| !document.is_null(*root)) else {
        return Ok(None);
    };
    let name = |depth: usize| match depth {
        0 => "the file".to_owned(),
        _ => dotted(&path[..depth]),
    };
    for (depth, key) in path.iter().enumerate() {
        expect_mapping(document, at, &name(depth))?;
        let Some(entry) = document.own(at, key) else {
            let mut bases = document.merged(at).into_iter();
            return if bases.any(|base| document.lookup(base, key).is_some()) {
                Err(ValuesError(format!(
                    "{} comes from a merge (<<); write it out in its own place, so that it can be changed for itself",
                    name(depth + 1)
                )))
            } else {
                Ok(None)
            };
        };
        if document.is_null(entry.value) {
            return Ok(None);
        }
        at = entry.value;
    }
    expect_mapping(document, at, &name(path.len()))?;
    Ok(Some(at))
}

fn expect_mapping(document: &Document<'_>, id: NodeId, name: &str) -> Result<(), ValuesError> {
    let line = document.node_at(id).line;
    match &document.node_at(id).content {
        Content::Mapping { .. } => Ok(()),
        Content::Alias(_) => Err(ValuesError(format!(
            "{name} is an alias (line {line}); write it out in its own place, so that it can be changed for itself"
        ))),
        Content::Scalar { .. } | Content::Sequence { .. } => Err(ValuesError(format!(
            "{name} is no mapping of keys to values (line {line}); write it as one"
        ))),
    }
}

/// The services that the file declares, in its order; empty when it has none. Aliases and merges are followed.
///
/// What isn't of the usual shape is passed over, not refused: a service without an image has an empty one.
pub fn services(bytes: &[u8], prefix: &str) -> Result<Vec<DeclaredService>, ValuesError> {
    sealed::check_bytes(bytes)?;
    let document = Document::parse(bytes)?;
    let Some(root) = document.root else {
        return Ok(Vec::new());
    };
    let mut enabled = !is_off(&document, root);
    let found = services_path(prefix).iter().try_fold(root, |at, key| {
        let below = document.lookup(at, key)?;
        enabled &= key == "services" || !is_off(&document, below);
        Some(below)
    });
    let Some(services) = found else {
        return Ok(Vec::new());
    };
    let global = image::global_registries(&document, prefix);
    let (mut declared, mut seen) = (Vec::new(), HashSet::new());
    let mut mappings = vec![document.resolve(services)];
    mappings.extend(document.merged(mappings[0]));
    for entry in mappings.into_iter().filter_map(|id| document.entries(id)).flatten() {
        let Some((name, _)) = document.scalar(document.resolve(entry.key)) else {
            continue;
        };
        if name != "<<" && seen.insert(name) {
            declared.push(DeclaredService {
                enabled: enabled && !is_off(&document, entry.value),
                ..declared_service(&document, &global, name, entry.value)
            });
        }
    }
    Ok(declared)
}

/// Whether a mapping says `enabled: false`.
fn is_off(document: &Document<'_>, mapping: NodeId) -> bool {
    let value = document.lookup(mapping, "enabled").map(|id| document.resolve(id));
    value
        .and_then(|id| document.scalar(id))
        .is_some_and(|(text, style)| style == ScalarStyle::Plain && matches!(text, "false" | "False" | "FALSE"))
}

fn declared_service(document: &Document<'_>, global: &[Apart], name: &str, service: NodeId) -> DeclaredService {
    let raw_tag = document
        .lookup(service, "image")
        .and_then(|image| document.lookup(image, TAG))
        .filter(|tag| !document.is_null(*tag))
        .and_then(|tag| document.scalar(tag));
    DeclaredService {
        name: name.to_owned(),
        image: image::declared(document, global, service),
        raw_tag: raw_tag.map(|(text, _)| text.to_owned()),
        enabled: true,
    }
}
