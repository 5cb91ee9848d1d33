//! Changes to the text of a values file: a scalar in its place, or new lines beside their neighbours.
//!
//! Each change looks only at the places the tree names and leaves every other byte where it is. New lines take their
//! indentation, line ending, quotes and spacing from the nearest neighbours that show how this file does it.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::{
    Step, ValuesError,
    document::{Content, Document, Entry, NodeId},
    dotted,
    lines::{file_newline, line_start, lines_after, next_is_crlf},
    scalar,
    style::{Style, flow_entry, flow_value, indent_step, key_style, style_hint},
};

/// A value to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum New {
    /// Text, quoted where needed.
    Text(String),
    /// A whole number.
    Number(u64),
    /// A mapping, in order.
    Map(Vec<(String, New)>),
    /// A list.
    List(Vec<New>),
}

/// A key to be set or added in a mapping.
pub(super) struct Addition {
    pub(super) key: String,
    pub(super) value: New,
    /// The order in which keys of its kind stand; a key that isn't listed goes to the end.
    pub(super) order: &'static [&'static str],
}

/// Bytes, and what they become.
pub(super) type Edit = (Range<usize>, String);

/// The text with `step` done; `None` when it is done already.
pub(super) fn apply(document: &Document<'_>, step: &Step) -> Result<Option<String>, ValuesError> {
    let Some(target) = super::find_own(document, &step.path)? else {
        return add_path(document, step).map(|edits| Some(with(document.text, edits)));
    };
    if document.entries(target).is_some_and(<[Entry]>::is_empty) {
        return add_path(document, step).map(|edits| Some(with(document.text, edits)));
    }
    // One at a time: what follows is placed in relation to what came before.
    let mut current: Option<String> = None;
    for addition in &step.additions {
        let text = current.as_deref().unwrap_or(document.text);
        let document = Document::parse(text.as_bytes())?;
        let Some(target) = super::find_own(&document, &step.path)? else {
            return Err(ValuesError(format!("{} can't be found again", dotted(&step.path))));
        };
        let name = format!("{}.{}", dotted(&step.path), addition.key);
        let edits = match document.own(target, &addition.key) {
            Some(entry) => set(&document, target, entry, &addition.value, &name)?,
            None => add(&document, target, addition)?,
        };
        if !edits.is_empty() {
            current = Some(with(document.text, edits));
        }
    }
    Ok(current)
}

fn with(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut done = 0;
    for (range, new) in edits {
        out.push_str(&text[done..range.start]);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// Adds what the file lacks of `step.path`, with the additions in it.
fn add_path(document: &Document<'_>, step: &Step) -> Result<Vec<Edit>, ValuesError> {
    let additions = step.additions.iter();
    let mut value = New::Map(additions.map(|a| (a.key.clone(), a.value.clone())).collect());
    let mut at = match document.root {
        Some(root) if !document.is_null(root) => root,
        _ => return fill_file(document, wrapped(value, &step.path)),
    };
    for (depth, key) in step.path.iter().enumerate() {
        let entries = document.entries(at).unwrap_or_default();
        if entries.is_empty() && depth == 0 {
            return fill_file(document, wrapped(value, &step.path));
        }
        let rest = &step.path[depth + 1..];
        let Some(entry) = document.own(at, key) else {
            value = wrapped(value, rest);
            let addition = Addition {
                key: key.clone(),
                value,
                // The image comes first in its service.
                order: &[],
            };
            return if key == "image" {
                add_first(document, at, &addition)
            } else {
                add(document, at, &addition)
            };
        };
        let is_empty = document.entries(entry.value).is_some_and(<[Entry]>::is_empty);
        if document.is_null(entry.value) || is_empty {
            return fill(document, at, entry, wrapped(value, rest), &dotted(&step.path[..=depth]));
        }
        at = entry.value;
    }
    Err(ValuesError(format!("{} can't be extended", dotted(&step.path))))
}

fn wrapped(value: New, path: &[String]) -> New {
    path.iter()
        .rev()
        .fold(value, |inner, key| New::Map(vec![(key.clone(), inner)]))
}

/// Sets the scalar value of an entry.
fn set(
    document: &Document<'_>,
    mapping: NodeId,
    entry: Entry,
    new: &New,
    name: &str,
) -> Result<Vec<Edit>, ValuesError> {
    let New::Text(wanted) = new else {
        return Err(ValuesError(format!("{name} is there already; change it in Git")));
    };
    let flow = document.is_flow(mapping);
    let hint = style_hint(document, mapping, &own_text(document, entry.key));
    let node = document.node_at(entry.value);
    let style = match &node.content {
        _ if reads_as(document, document.resolve(entry.value), wanted) => return Ok(Vec::new()),
        Content::Alias(_) => hint,
        Content::Scalar { style, .. } => *style,
        Content::Mapping { .. } | Content::Sequence { .. } => {
            return Err(ValuesError(format!(
                "{name} is a mapping or list (line {}); make it a text",
                node.line
            )));
        }
    };
    if let Some((_, tag)) = &node.tag
        && tag != "str"
    {
        return Err(ValuesError(format!(
            "{name} has the tag {tag:?} (line {}), so it can't become the text {wanted:?}; remove the tag",
            node.line
        )));
    }
    if node.span.is_empty() && !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let text = scalar::write(wanted, hint, flow);
        return Ok(vec![match document.value_place(entry) {
            Some(place) => (place..place, format!(" {text}")),
            None => {
                let end = document.node_at(entry.key).span.end;
                (end..end, format!(": {text}"))
            }
        }]);
    }
    match style {
        ScalarStyle::Literal | ScalarStyle::Folded => block_scalar(document, entry, &scalar::write(wanted, hint, flow)),
        ScalarStyle::Plain if !scalar::is_plain(wanted, flow) || !scalar::is_text(wanted) => {
            Ok(vec![(node.span.clone(), scalar::write(wanted, hint, flow))])
        }
        style => Ok(vec![(node.span.clone(), scalar::write(wanted, style, flow))]),
    }
}

/// Puts `text` in the place of a block scalar: its header becomes the text, its lines go, comments stay.
fn block_scalar(document: &Document<'_>, entry: Entry, text: &str) -> Result<Vec<Edit>, ValuesError> {
    let source = document.text;
    let lost = || ValuesError("a block scalar can't be replaced; write it on one line".to_owned());
    let place = document.value_place(entry).ok_or_else(lost)?;
    let start = place + source[place..].find(['|', '>']).ok_or_else(lost)?;
    let header = source[start..].trim_start_matches(|c: char| "|>+-".contains(c) || c.is_ascii_digit());
    let header_end = source.len() - header.len();
    let line_end = header_end + source[header_end..].find('\n').unwrap_or(header.len());
    let mut edits = vec![(start..header_end, text.to_owned())];
    // The lines go with the break before them, so that whatever ends the last one stays.
    let before_break = source[..line_end].strip_suffix('\r').map_or(line_end, str::len);
    let node = document.node_at(entry.value);
    let content = source[node.span.clone()].trim_end_matches([' ', '\t', '\r', '\n']);
    let end = node.span.start + content.len();
    if !content.is_empty() && end > line_end {
        edits.push((before_break..end, String::new()));
    }
    Ok(edits)
}

/// Whether a scalar is read as exactly this text by everybody.
pub(super) fn reads_as(document: &Document<'_>, id: NodeId, wanted: &str) -> bool {
    let Some((text, style)) = document.scalar(id) else {
        return false;
    };
    let tag = document.node_at(id).tag.as_ref().map(|(_, tag)| tag.as_str());
    text == wanted
        && match tag {
            Some(tag) => tag == "str",
            None => style != ScalarStyle::Plain || scalar::is_text(text),
        }
}

fn own_text(document: &Document<'_>, id: NodeId) -> String {
    document
        .scalar(id)
        .map_or_else(String::new, |(text, _)| text.to_owned())
}

/// Adds an entry to a mapping that has some.
fn add(document: &Document<'_>, mapping: NodeId, addition: &Addition) -> Result<Vec<Edit>, ValuesError> {
    let entries = document.entries(mapping).unwrap_or_default();
    let Some(last) = entries.last() else {
        return Err(ValuesError(format!(
            "{:?} can't be added to an empty mapping",
            addition.key
        )));
    };
    let rank = |key: &str| addition.order.iter().position(|k| *k == key);
    let ranked = |entry: &&Entry| document.scalar(entry.key).and_then(|(text, _)| rank(text));
    let own_rank = rank(&addition.key);
    let before = entries.iter().filter(|e| ranked(e).is_some() && ranked(e) < own_rank);
    let after = entries.iter().filter(|e| ranked(e).is_some() && ranked(e) > own_rank);
    match (before.max_by_key(|e| ranked(e)), after.min_by_key(|e| ranked(e))) {
        (Some(entry), _) => add_after(document, mapping, *entry, addition),
        (None, Some(entry)) if own_rank.is_some() => add_before(document, mapping, *entry, addition),
        _ => add_after(document, mapping, *last, addition),
    }
}

fn add_first(document: &Document<'_>, mapping: NodeId, addition: &Addition) -> Result<Vec<Edit>, ValuesError> {
    let entries = document.entries(mapping).unwrap_or_default();
    match entries.first() {
        // A merge stays in front: that is where people look for it.
        Some(first) if own_text(document, first.key) == "<<" => add_after(document, mapping, *first, addition),
        Some(first) => add_before(document, mapping, *first, addition),
        None => add(document, mapping, addition),
    }
}

fn add_after(
    document: &Document<'_>,
    mapping: NodeId,
    neighbour: Entry,
    addition: &Addition,
) -> Result<Vec<Edit>, ValuesError> {
    let end = document.entry_end(neighbour);
    if document.is_flow(mapping) {
        let written = flow_entry(document, mapping, &addition.key, &addition.value);
        return Ok(vec![(end..end, format!(", {written}"))]);
    }
    let column = column_of(document, mapping)?;
    let mut lines = block_lines(document, mapping, addition, column);
    if addition.order.is_empty() && are_spaced(document, mapping) {
        lines.insert(0, String::new());
    }
    Ok(vec![lines_after(document.text, end, &lines)])
}

fn add_before(
    document: &Document<'_>,
    mapping: NodeId,
    neighbour: Entry,
    addition: &Addition,
) -> Result<Vec<Edit>, ValuesError> {
    let source = document.text;
    let start = document.node_at(neighbour.key).span.start;
    if document.is_flow(mapping) {
        let written = flow_entry(document, mapping, &addition.key, &addition.value);
        let start = document
            .node_at(neighbour.key)
            .anchor
            .as_ref()
            .map_or(start, |a| a.start);
        return Ok(vec![(start..start, format!("{written}, "))]);
    }
    let column = column_of(document, mapping)?;
    let lines = block_lines(document, mapping, addition, column);
    let mut place = line_start(source, start);
    // Comments right above a key belong to it.
    while place > 0 {
        let above = line_start(source, place - 1);
        let line = &source[above..place];
        let blanks = line.len() - line.trim_start_matches(' ').len();
        if blanks != column || !line[blanks..].starts_with('#') {
            break;
        }
        place = above;
    }
    let has_end = source[start..].contains('\n');
    let newline = match next_is_crlf(source, start) {
        true => "\r\n",
        false if has_end => "\n",
        false => file_newline(source),
    };
    let text: String = lines.iter().flat_map(|line| [line.as_str(), newline]).collect();
    Ok(vec![(place..place, text)])
}

/// Gives content to an entry whose value is null or `{}`.
fn fill(
    document: &Document<'_>,
    mapping: NodeId,
    entry: Entry,
    new: New,
    name: &str,
) -> Result<Vec<Edit>, ValuesError> {
    let node = document.node_at(entry.value);
    if let Some((_, tag)) = &node.tag
        && tag != "map"
    {
        return Err(ValuesError(format!(
            "{name} has the tag {tag:?} (line {}), so it can't become a mapping; remove the tag",
            node.line
        )));
    }
    if document.is_flow(mapping) {
        let written = flow_value(&new, ScalarStyle::Plain, key_style(document, mapping));
        if !node.span.is_empty() {
            return Ok(vec![(node.span.clone(), written)]);
        }
        return Ok(vec![match document.value_place(entry) {
            Some(place) => (place..place, format!(" {written}")),
            None => {
                let end = document.node_at(entry.key).span.end;
                (end..end, format!(": {written}"))
            }
        }]);
    }
    let source = document.text;
    let place = document
        .value_place(entry)
        .ok_or_else(|| ValuesError(format!("{name} can't be filled; write it as `{name}:`")))?;
    let mut edits = Vec::new();
    if !node.span.is_empty() {
        // Away with `~`, `null` or `{}` and the blank before it.
        edits.push((place..node.span.end, String::new()));
        if !source[place..node.span.start].trim().is_empty() {
            return Err(ValuesError(format!(
                "{name} has a comment within its empty value; move it"
            )));
        }
    }
    let step = indent_step(document);
    let column = column_of(document, mapping)? + step;
    let style = Style::of(document, step);
    let mut lines = Vec::new();
    if let New::Map(entries) = &new {
        for (key, value) in entries {
            style.entry(key, value, column, &mut lines);
        }
    }
    edits.push(lines_after(source, place.max(node.span.end), &lines));
    Ok(edits)
}

/// Content for a file that has none.
fn fill_file(document: &Document<'_>, new: New) -> Result<Vec<Edit>, ValuesError> {
    let style = Style::of(document, indent_step(document));
    let mut lines = Vec::new();
    if let New::Map(entries) = &new {
        for (key, value) in entries {
            style.entry(key, value, 0, &mut lines);
        }
    }
    let source = document.text;
    if let Some(root) = document.root {
        let node = document.node_at(root);
        if node.anchor.is_some() || node.tag.is_some() {
            return Err(ValuesError("its empty root has an anchor or tag; remove it".to_owned()));
        }
        if !node.span.is_empty() {
            return Ok(vec![(node.span.clone(), lines.join(file_newline(source)))]);
        }
        if let Some(end) = document.marker_end {
            return Ok(vec![lines_after(source, end, &lines)]);
        }
    }
    let mut edit = lines_after(source, source.len(), &lines);
    if source.trim_start_matches('\u{feff}').is_empty() {
        edit.1 = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    } else if source.ends_with('\n') {
        let newline = file_newline(source);
        edit.1 = lines.iter().flat_map(|line| [line.as_str(), newline]).collect();
    }
    Ok(vec![edit])
}

/// The column of a block mapping's keys, when each key has a line of its own.
fn column_of(document: &Document<'_>, mapping: NodeId) -> Result<usize, ValuesError> {
    let entries = document.entries(mapping).unwrap_or_default();
    let Some(first) = entries.first() else {
        return Err(ValuesError("an empty mapping can't be extended".to_owned()));
    };
    let key = document.node_at(first.key);
    let start = key.anchor.as_ref().map_or(key.span.start, |a| a.start);
    let indentation = &document.text[line_start(document.text, start)..start];
    if indentation.bytes().all(|b| b == b' ') {
        Ok(indentation.len())
    } else {
        Err(ValuesError(format!(
            "the mapping at line {} is written in a form that Waybill can't extend; put each key on a line of its own",
            key.line
        )))
    }
}

/// Whether this mapping's entries have empty lines between them.
fn are_spaced(document: &Document<'_>, mapping: NodeId) -> bool {
    let entries = document.entries(mapping).unwrap_or_default();
    let is_spaced = |pair: &[Entry]| {
        let from = document.entry_end(pair[0]);
        let to = document.node_at(pair[1].key).span.start;
        let between = document.text.get(from..to).unwrap_or_default();
        let lines: Vec<_> = between.split('\n').collect();
        // The first and the last are the ends of lines that hold something.
        lines.len() > 2 && lines[1..lines.len() - 1].iter().any(|line| line.trim().is_empty())
    };
    entries.len() > 1 && entries.windows(2).all(is_spaced)
}

fn block_lines(document: &Document<'_>, mapping: NodeId, addition: &Addition, column: usize) -> Vec<String> {
    let step = indent_step(document);
    let mut style = Style::of(document, step);
    style.keys = key_style(document, mapping);
    style.hint = style_hint(document, mapping, &addition.key);
    let mut lines = Vec::new();
    style.entry(&addition.key, &addition.value, column, &mut lines);
    lines
}
