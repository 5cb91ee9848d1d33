//! Where each service stands in a file, so that an edit of one need not take the whole file apart.
//!
//! Taking a large file apart costs milliseconds, and an edit does it several times. In a file of the plain kind (block
//! style, no anchors, aliases, merges or tags) the lines of a service mean the same wherever its neighbours stand. So the file is
//! taken apart once; then the lines of one service are edited as a small file of their own, by the same [`super::edit()`] with
//! the same proof, and put back. Whatever isn't of the plain kind, or needs to see its neighbours' style, is left to the
//! whole-file way: a property test holds both against each other.

use super::{
    DIGEST, REPOSITORY, TAG, ValuesError,
    document::{Content, Document, Entry},
    image,
    lines::line_start,
    scalar, sealed, services_path,
};
use crate::ports::git::PlaceEdit;
use granit_parser::ScalarStyle;
use std::ops::Range;

/// The mapping that stands around a service's lines when they are edited alone.
const HEAD: &str = "services:\n";
/// The key that follows a service's lines when they are edited alone: it shows that they end where they should.
const NEXT: &str = "the-next-service: 1\n";

/// The services of a file of the plain kind, in its order.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    prefix: String,
    services: Vec<Section>,
}

#[derive(Clone, Debug)]
struct Section {
    name: String,
    /// Whole lines, from the service's key to the last that belongs to it.
    lines: Range<usize>,
    /// Blanks before the key.
    indent: usize,
}

/// The file with the edit in it, by way of `outline` where it serves. The outline is made when there is none for this text,
/// and kept true to the text that is returned.
///
/// # Errors
/// As those of [`super::edit()`].
pub fn edit_with(outline: &mut Option<Outline>, bytes: &[u8], edit: &PlaceEdit) -> Result<Vec<u8>, ValuesError> {
    if outline
        .as_ref()
        .is_none_or(|outline| outline.prefix != edit.place.prefix)
    {
        *outline = Some(Outline::of(bytes, &edit.place.prefix));
    }
    if let Some(outline) = outline
        && let Some(edited) = outline.edit(bytes, edit)
    {
        return Ok(edited);
    }
    let edited = super::edit(bytes, edit)?;
    if edited != bytes {
        *outline = None;
    }
    Ok(edited)
}

impl Outline {
    /// The outline of a file; without services when it isn't of the plain kind.
    #[must_use]
    pub fn of(bytes: &[u8], prefix: &str) -> Self {
        let services = Document::parse(bytes)
            .ok()
            .and_then(|document| sections(&document, prefix))
            .unwrap_or_default();
        Self {
            prefix: prefix.to_owned(),
            services,
        }
    }

    /// A file with one service alone, where its lines say all of it; `None` where the whole file must be read.
    pub(in crate::adapters::git) fn alone(&self, bytes: &[u8], prefix: &str, service: &str) -> Option<Vec<u8>> {
        if self.prefix != prefix {
            return None;
        }
        let section = self.services.iter().find(|section| section.name == service)?;
        let mut alone = HEAD.as_bytes().to_vec();
        alone.extend_from_slice(bytes.get(section.lines.clone())?);
        // Anchors and merges need the rest of the file.
        (!alone.contains(&b'*')).then_some(alone)
    }

    /// The edited file, when the lines of the service alone tell how to edit it.
    fn edit(&mut self, bytes: &[u8], edit: &PlaceEdit) -> Option<Vec<u8>> {
        if edit.runtime.is_some() {
            return None;
        }
        let at = self.services.iter().position(|s| s.name == edit.place.service)?;
        let section = &self.services[at];
        let (start, end) = (section.lines.start, section.lines.end);
        let tail = format!("{}{NEXT}", " ".repeat(section.indent));
        let alone = format!("{HEAD}{}{tail}", std::str::from_utf8(bytes.get(start..end)?).ok()?);
        if !shows_how(&Document::parse(alone.as_bytes()).ok()?, edit) {
            return None;
        }
        let mut here = edit.clone();
        here.place.prefix.clear();
        // A refusal is worded by the whole-file way, which names the right lines.
        let edited = super::edit(alone.as_bytes(), &here).ok()?;
        let lines = edited.strip_prefix(HEAD.as_bytes())?.strip_suffix(tail.as_bytes())?;
        let mut all = Vec::with_capacity(bytes.len() + lines.len());
        all.extend_from_slice(bytes.get(..start)?);
        all.extend_from_slice(lines);
        all.extend_from_slice(bytes.get(end..)?);
        let moved = |place: usize| place - end + start + lines.len();
        self.services[at].lines.end = start + lines.len();
        for section in &mut self.services[at + 1..] {
            section.lines = moved(section.lines.start)..moved(section.lines.end);
        }
        Some(all)
    }
}

/// Whether the service has all keys of its image already, and none of the new values needs quotes that its neighbours decide.
fn shows_how(document: &Document<'_>, edit: &PlaceEdit) -> bool {
    let image = || {
        let services = document.own(document.root?, "services")?.value;
        let service = document.own(services, &edit.place.service)?.value;
        Some(document.own(service, "image")?.value)
    };
    let Some(image) = image() else { return false };
    let fits = |key: &str, wanted: Option<&str>| {
        let Some(entry) = document.own(image, key) else {
            return wanted.is_none();
        };
        let Content::Scalar { style, .. } = &document.node_at(entry.value).content else {
            return false;
        };
        let written = !document.node_at(entry.value).span.is_empty();
        let simple = wanted.is_none_or(|wanted| scalar::is_plain(wanted, true) && scalar::is_text(wanted));
        let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        written && (quoted || (*style == ScalarStyle::Plain && simple))
    };
    // Without a tag of its own an image gets the digest's first characters, which may look like a number.
    let tag = edit.image.tag.as_ref().map(ToString::to_string);
    let tag = tag.unwrap_or_else(|| edit.image.digest.short().to_owned());
    let has_tag = document.own(image, TAG).is_some();
    fits(REPOSITORY, Some(edit.image.repository.as_str()))
        && fits(TAG, (has_tag || edit.image.tag.is_some()).then_some(&tag))
        && fits(DIGEST, Some(edit.image.digest.as_str()))
}

fn sections(document: &Document<'_>, prefix: &str) -> Option<Vec<Section>> {
    let plain = document
        .nodes()
        .iter()
        .all(|node| node.anchor.is_none() && node.tag.is_none() && !matches!(node.content, Content::Alias(_)));
    // What is said once for the whole file isn't seen in the lines of one service.
    let is_of_the_whole = sealed::is_sealed(document) || !image::global_registries(document, prefix).is_empty();
    if !plain || document.duplicate.is_some() || is_of_the_whole {
        return None;
    }
    let mut at = document.root?;
    for key in services_path(prefix) {
        if document.is_flow(at) || document.own(at, "<<").is_some() {
            return None;
        }
        at = document.own(at, &key)?.value;
    }
    if document.is_flow(at) || document.own(at, "<<").is_some() {
        return None;
    }
    let entries = document.entries(at)?;
    Some(entries.iter().filter_map(|entry| section(document, *entry)).collect())
}

fn section(document: &Document<'_>, entry: Entry) -> Option<Section> {
    let (name, _) = document.scalar(entry.key)?;
    let key = document.node_at(entry.key);
    let start = line_start(document.text, key.span.start);
    let before = document.text.get(start..key.span.start)?;
    let has_fields = document.entries(entry.value).is_some_and(|entries| !entries.is_empty());
    // Deeper than the mapping around it when it stands alone, and whole lines.
    let usual = has_fields && !document.is_flow(entry.value) && !before.is_empty() && before.bytes().all(|b| b == b' ');
    let end = document.entry_end(entry);
    let end = end + document.text.get(end..)?.find('\n')? + 1;
    usual.then(|| Section {
        name: name.to_owned(),
        lines: start..end,
        indent: before.len(),
    })
}
