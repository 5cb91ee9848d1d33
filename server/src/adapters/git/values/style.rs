//! How a values file writes things, and new parts written the same way.
//!
//! Indentation, quotes of keys and values, and the place of list dashes are read off the nearest neighbours that show
//! them; where nobody shows it, the usual: two columns, no quotes.

use granit_parser::ScalarStyle;

use super::{
    change::New,
    document::{Content, Document, Entry, NodeId},
    lines::line_start,
    scalar,
};

pub(super) fn flow_entry(document: &Document<'_>, mapping: NodeId, key: &str, value: &New) -> String {
    let keys = key_style(document, mapping);
    let hint = style_hint(document, mapping, key);
    format!("{}: {}", scalar::write(key, keys, true), flow_value(value, hint, keys))
}

pub(super) fn flow_value(value: &New, hint: ScalarStyle, keys: ScalarStyle) -> String {
    match value {
        New::Text(text) => scalar::write(text, hint, true),
        New::Number(number) => number.to_string(),
        New::List(items) => {
            let items: Vec<_> = items.iter().map(|item| flow_value(item, hint, keys)).collect();
            format!("[{}]", items.join(", "))
        }
        New::Map(entries) => {
            let one = |(key, value): &(String, New)| {
                format!("{}: {}", scalar::write(key, keys, true), flow_value(value, hint, keys))
            };
            let entries: Vec<_> = entries.iter().map(one).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// How new block lines are written.
pub(super) struct Style {
    step: usize,
    /// Columns between a key and the dashes of its list.
    dash: usize,
    pub(super) keys: ScalarStyle,
    pub(super) hint: ScalarStyle,
    /// Quotes of the image's values in the file's other services.
    image: [(&'static str, ScalarStyle); 3],
}

impl Style {
    pub(super) fn of(document: &Document<'_>, step: usize) -> Self {
        let image = [super::REPOSITORY, super::TAG, super::DIGEST].map(|key| (key, usual_style(document, key)));
        Self {
            step,
            dash: list_offset(document).unwrap_or(step),
            keys: ScalarStyle::Plain,
            hint: ScalarStyle::Plain,
            image,
        }
    }

    pub(super) fn entry(&self, key: &str, value: &New, column: usize, lines: &mut Vec<String>) {
        let indent = " ".repeat(column);
        let written = scalar::write(key, self.keys, false);
        let hint = self
            .image
            .iter()
            .find(|(k, _)| *k == key)
            .map_or(self.hint, |(_, style)| {
                if self.hint == ScalarStyle::Plain {
                    *style
                } else {
                    self.hint
                }
            });
        match value {
            New::Text(text) => lines.push(format!("{indent}{written}: {}", scalar::write(text, hint, false))),
            New::Number(number) => lines.push(format!("{indent}{written}: {number}")),
            New::Map(entries) => {
                lines.push(format!("{indent}{written}:"));
                for (key, value) in entries {
                    self.entry(key, value, column + self.step, lines);
                }
            }
            New::List(items) => {
                lines.push(format!("{indent}{written}:"));
                let dashes = " ".repeat(column + self.dash);
                for item in items {
                    lines.push(format!("{dashes}- {}", flow_value(item, ScalarStyle::Plain, self.keys)));
                }
            }
        }
    }
}

/// How keys of this mapping are quoted: like all of them, or not at all.
pub(super) fn key_style(document: &Document<'_>, mapping: NodeId) -> ScalarStyle {
    let entries = document.entries(mapping).unwrap_or_default();
    let mut styles = entries
        .iter()
        .filter_map(|e| document.scalar(e.key).map(|(_, style)| style));
    match styles.next() {
        Some(first @ (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted)) if styles.all(|s| s == first) => first,
        _ => ScalarStyle::Plain,
    }
}

/// How a new value is quoted: like the image's other values, or like this key's values elsewhere in the file.
pub(super) fn style_hint(document: &Document<'_>, mapping: NodeId, key: &str) -> ScalarStyle {
    let neighbours: &[&str] = match key {
        super::TAG => &[super::DIGEST, super::REPOSITORY],
        super::DIGEST => &[super::TAG, super::REPOSITORY],
        super::REPOSITORY => &[super::TAG, super::DIGEST],
        _ => return ScalarStyle::Plain,
    };
    let mut styles = neighbours.iter().filter_map(|neighbour| {
        let entry = document.own(mapping, neighbour)?;
        quoting(document, entry.value)
    });
    styles.next().unwrap_or_else(|| usual_style(document, key))
}

/// How the file quotes the values of `key` where it first has one.
fn usual_style(document: &Document<'_>, key: &str) -> ScalarStyle {
    let all = document.nodes().iter().filter_map(|node| match &node.content {
        Content::Mapping { entries, .. } => Some(entries),
        _ => None,
    });
    all.flatten()
        .filter(|entry| document.scalar(entry.key).is_some_and(|(text, _)| text == key))
        .find_map(|entry| quoting(document, entry.value))
        .unwrap_or(ScalarStyle::Plain)
}

fn quoting(document: &Document<'_>, value: NodeId) -> Option<ScalarStyle> {
    let node = document.node_at(value);
    match document.scalar(value)? {
        (_, ScalarStyle::Literal | ScalarStyle::Folded) => None,
        _ if node.span.is_empty() => None,
        (_, style) => Some(style),
    }
}

/// The file's indentation: the first block mapping within a block mapping tells.
pub(super) fn indent_step(document: &Document<'_>) -> usize {
    let mut steps = document.nodes().iter().filter_map(|node| {
        let Content::Mapping { flow: false, entries } = &node.content else {
            return None;
        };
        let column = document.node_at(entries.first()?.key).column;
        let nested = |entry: &Entry| match &document.node_at(entry.value).content {
            Content::Mapping { flow: false, entries } => {
                let inner = document.node_at(entries.first()?.key).column;
                inner.checked_sub(column).filter(|step| *step > 0)
            }
            _ => None,
        };
        entries.iter().find_map(nested)
    });
    steps.next().unwrap_or(2)
}

/// Columns between a key and its list's dashes, as the file's first list has it.
fn list_offset(document: &Document<'_>) -> Option<usize> {
    document.nodes().iter().find_map(|node| {
        let Content::Mapping { flow: false, entries } = &node.content else {
            return None;
        };
        entries.iter().find_map(|entry| {
            let Content::Sequence { flow: false, items } = &document.node_at(entry.value).content else {
                return None;
            };
            let line = line_start(document.text, document.node_at(*items.first()?).span.start);
            let rest = &document.text[line..];
            let dash = rest.find(|c| c != ' ').filter(|at| rest[*at..].starts_with('-'))?;
            dash.checked_sub(document.node_at(entry.key).column)
        })
    })
}
