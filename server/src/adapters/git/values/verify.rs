//! Proof, after an edit, that nothing but the intended values differs.
//!
//! Both texts are taken apart and walked side by side, aliases and merges followed, so that a change which reaches
//! another place through an anchor is seen as well. This is the second line of defence: the edits themselves are made
//! so that it never speaks up, except for anchors.

use std::collections::HashSet;

use crate::nesting::MOST;

use super::{
    ValuesError,
    change::{New, reads_as},
    document::{Content, Document, NodeId},
};

/// What may differ.
pub(super) enum Intent {
    /// Here: this value now.
    Value(New),
    /// In these keys of a mapping.
    Within(Vec<(String, Intent)>),
}

/// More comparisons than any honest file needs; aliases of aliases can make a small file endless.
const PATIENCE: usize = 2_000_000;
/// Levels with aliases followed.
const DEEPEST: usize = 2 * MOST;

pub(super) fn suspicious(detail: String) -> ValuesError {
    ValuesError(format!(
        "it can't be edited safely ({detail}); write the service in the usual form, or make this change in Git"
    ))
}

/// Refuses when anything but `intent` differs between the documents. `service` is the path of the service that the edit
/// is about: an alias in it may follow a value of its own that changes.
pub(super) fn only_intended(
    old: &Document<'_>,
    new: &Document<'_>,
    intent: &Intent,
    service: &[String],
) -> Result<(), ValuesError> {
    let mut comments = new.comments.iter();
    if !old.comments.iter().all(|comment| comments.any(|c| c == comment)) {
        return Err(suspicious("a comment would be lost".to_owned()));
    }
    let mut comparison = Comparison {
        old,
        new,
        patience: PATIENCE,
        changed: HashSet::new(),
    };
    comparison.collect_changed(old.root, intent);
    comparison.intended(old.root, new.root, intent, &mut Vec::new(), service)
}

/// Refuses when anything but these keys of the mapping at `path` is missing, or anything else differs.
pub(super) fn only_removed(
    old: &Document<'_>,
    new: &Document<'_>,
    path: &[String],
    removed: &[String],
) -> Result<(), ValuesError> {
    let mut comparison = Comparison {
        old,
        new,
        patience: PATIENCE,
        changed: HashSet::new(),
    };
    comparison.without(old.root, new.root, path, removed)
}

struct Comparison<'a, 'b> {
    old: &'a Document<'b>,
    new: &'a Document<'b>,
    patience: usize,
    /// Nodes of the old document whose value was meant to change.
    changed: HashSet<NodeId>,
}

impl Comparison<'_, '_> {
    fn collect_changed(&mut self, node: Option<NodeId>, intent: &Intent) {
        let Some(node) = node else { return };
        match intent {
            Intent::Value(_) => {
                self.changed.insert(node);
            }
            Intent::Within(children) => {
                for (key, intent) in children {
                    let child = self.old.own(node, key).map(|entry| entry.value);
                    self.collect_changed(child, intent);
                }
            }
        }
    }

    fn intended(
        &mut self,
        old: Option<NodeId>,
        new: Option<NodeId>,
        intent: &Intent,
        path: &mut Vec<String>,
        service: &[String],
    ) -> Result<(), ValuesError> {
        let shown = super::dotted;
        let Some(new) = new else {
            return Err(suspicious(format!("{} would be missing", shown(path))));
        };
        let children = match intent {
            Intent::Value(value) => {
                return if self.is_value(new, value) {
                    Ok(())
                } else {
                    Err(suspicious(format!(
                        "{} would not be read back as intended",
                        shown(path)
                    )))
                };
            }
            Intent::Within(children) => children,
        };
        let Some(entries) = self.new.entries(new) else {
            return Err(suspicious(format!("{} would be no mapping", shown(path))));
        };
        let old_entries = old.and_then(|old| self.old.entries(old)).unwrap_or_default();
        // Keys that were there stay, in their order; keys that come are intended.
        let mut position = 0;
        for entry in entries {
            let key = self.new.scalar(entry.key).map(|(text, _)| text);
            let intent = key.and_then(|key| children.iter().find(|(k, _)| k == key));
            let before = old_entries
                .get(position)
                .filter(|before| self.is_same_key(before.key, entry.key));
            if before.is_some() {
                position += 1;
            }
            let name = key.unwrap_or("?").to_owned();
            path.push(name);
            match (before, intent) {
                (_, Some((_, intent))) => {
                    self.intended(before.map(|e| e.value), Some(entry.value), intent, path, service)?;
                }
                (Some(before), None) => {
                    let in_service = path.starts_with(service);
                    if !self.same(before.value, entry.value, in_service, 0)? {
                        return Err(self.reached(path));
                    }
                }
                (None, None) => return Err(suspicious(format!("{} would appear", shown(path)))),
            }
            path.pop();
        }
        if position < old_entries.len() {
            return Err(suspicious(format!("a key of {} would be lost", shown(path))));
        }
        for (key, _) in children {
            if self.new.own(new, key).is_none() {
                return Err(suspicious(format!("{}.{key} would be missing", shown(path))));
            }
        }
        Ok(())
    }

    /// Whether two mappings mean the same, but for what is removed at the end of the path.
    fn without(
        &mut self,
        old: Option<NodeId>,
        new: Option<NodeId>,
        path: &[String],
        removed: &[String],
    ) -> Result<(), ValuesError> {
        let entries = |document: &Document<'_>, id: Option<NodeId>| Some(document.entries(id?)?.to_vec());
        let lost = || suspicious("a mapping would be lost".to_owned());
        let (was, is) = (
            entries(self.old, old).ok_or_else(lost)?,
            entries(self.new, new).ok_or_else(lost)?,
        );
        let key = |id: NodeId| self.old.scalar(id).map(|(text, _)| text.to_owned());
        let stays = |id: NodeId| !path.is_empty() || !key(id).is_some_and(|key| removed.contains(&key));
        let was: Vec<_> = was.into_iter().filter(|entry| stays(entry.key)).collect();
        if was.len() != is.len() {
            return Err(suspicious("another key would be lost".to_owned()));
        }
        for (before, after) in was.iter().zip(&is) {
            let name = self.old.scalar(before.key).map(|(text, _)| text.to_owned());
            let name = name.unwrap_or_else(|| "?".to_owned());
            if !self.is_same_key(before.key, after.key) {
                return Err(suspicious(format!("{name} would be lost")));
            }
            match path.split_first() {
                Some((next, rest)) if *next == name => {
                    self.without(Some(before.value), Some(after.value), rest, removed)?;
                }
                _ if self.same(before.value, after.value, false, 0)? => {}
                _ => return Err(suspicious(format!("{name} would change too"))),
            }
        }
        Ok(())
    }

    fn reached(&self, path: &[String]) -> ValuesError {
        ValuesError(format!(
            "{} would change too, because it takes its value from an anchor in this service; write its value out there",
            super::dotted(path)
        ))
    }

    fn is_same_key(&mut self, old: NodeId, new: NodeId) -> bool {
        self.same(old, new, false, 0).unwrap_or(false)
    }

    fn is_value(&self, id: NodeId, wanted: &New) -> bool {
        let document = self.new;
        match (wanted, &document.node_at(id).content) {
            // An alias that says so already was left alone.
            (New::Text(text), _) => reads_as(document, document.resolve(id), text),
            (New::Number(number), Content::Scalar { text, .. }) => *text == number.to_string(),
            (New::List(wanted), Content::Sequence { items, .. }) => {
                wanted.len() == items.len() && wanted.iter().zip(items).all(|(w, id)| self.is_value(*id, w))
            }
            (New::Map(wanted), Content::Mapping { entries, .. }) => {
                wanted.len() == entries.len()
                    && wanted.iter().zip(entries).all(|((key, value), entry)| {
                        reads_as(document, entry.key, key) && self.is_value(entry.value, value)
                    })
            }
            _ => false,
        }
    }

    /// Whether two nodes mean the same. With `follows`, an alias may follow an intended change.
    fn same(&mut self, old: NodeId, new: NodeId, follows: bool, depth: usize) -> Result<bool, ValuesError> {
        self.patience = self
            .patience
            .checked_sub(1)
            .filter(|_| depth < DEEPEST)
            .ok_or_else(|| suspicious("its aliases are nested too deeply".to_owned()))?;
        let (a, b) = (self.old.node_at(old), self.new.node_at(new));
        if follows
            && let (Content::Alias(x), Content::Alias(y)) = (&a.content, &b.content)
            && x == y
            && self.changed.contains(&self.old.resolve(old))
        {
            return Ok(true);
        }
        let (old, new) = (self.old.resolve(old), self.new.resolve(new));
        let (a, b) = (self.old.node_at(old), self.new.node_at(new));
        if a.tag.as_ref().map(|(_, tag)| tag) != b.tag.as_ref().map(|(_, tag)| tag)
            || a.anchor.is_some() != b.anchor.is_some()
        {
            return Ok(false);
        }
        match (&a.content, &b.content) {
            (Content::Scalar { text, style }, Content::Scalar { text: t, style: s }) => Ok(text == t && style == s),
            (Content::Sequence { items, .. }, Content::Sequence { items: others, .. }) => {
                if items.len() != others.len() {
                    return Ok(false);
                }
                for (item, other) in items.iter().zip(others) {
                    if !self.same(*item, *other, follows, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Content::Mapping { entries, .. }, Content::Mapping { entries: others, .. }) => {
                if entries.len() != others.len() {
                    return Ok(false);
                }
                for (entry, other) in entries.iter().zip(others) {
                    if !self.same(entry.key, other.key, follows, depth + 1)?
                        || !self.same(entry.value, other.value, follows, depth + 1)?
                    {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
