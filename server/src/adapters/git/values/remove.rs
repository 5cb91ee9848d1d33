//! Removing services from a values file: their lines go, and no other byte changes.
//!
//! What is removed of a block mapping are whole lines: the comments right above the key, the key, all that is indented below it. In a flow
//! mapping it is the entry with one comma. Afterwards the file is taken apart again, and must say the same as before of everything else.

use std::ops::Range;

use domain::key::part;

use super::{
    ValuesError,
    document::{Document, Entry, NodeId},
    dotted, find_own,
    lines::line_start,
    sealed, services_path, verify,
};

/// The file without the blocks of `services`; the same bytes when it has none of them.
pub fn remove(bytes: &[u8], prefix: &str, services: &[String]) -> Result<Vec<u8>, ValuesError> {
    sealed::check_bytes(bytes)?;
    let old = Document::parse(bytes)?;
    sealed::check(&old)?;
    if let Some((key, line)) = &old.duplicate {
        return Err(ValuesError(format!(
            "the key {key:?} appears twice in one mapping (line {line}); keep one of them"
        )));
    }
    let mut text = old.text.to_owned();
    for service in services {
        let document = Document::parse(text.as_bytes()).map_err(verify::suspicious)?;
        if let Some(without) = without(&document, prefix, service)? {
            text = without;
        }
    }
    if text.as_bytes() != bytes {
        let new = Document::parse(text.as_bytes()).map_err(verify::suspicious)?;
        verify::only_removed(&old, &new, &services_path(prefix), services)?;
    }
    Ok(text.into_bytes())
}

/// The text without one service; `None` when it hasn't that one.
fn without(document: &Document<'_>, prefix: &str, service: &str) -> Result<Option<String>, ValuesError> {
    let path = services_path(prefix);
    let Some(mapping) = find_own(document, &path)? else {
        return Ok(None);
    };
    let Some(entry) = document.own(mapping, service) else {
        let mut bases = document.merged(mapping).into_iter();
        return match bases.any(|base| document.lookup(base, service).is_some()) {
            true => Err(ValuesError(format!(
                "{}.{} comes from a merge (<<); remove it in Git",
                dotted(&path),
                part(service)
            ))),
            false => Ok(None),
        };
    };
    let entries = document.entries(mapping).unwrap_or_default();
    let is_only = entries.len() == 1;
    let source = document.text;
    if document.is_flow(mapping) {
        let range = flow_range(document, entries, entry);
        return Ok(Some(cut(source, range, "")));
    }
    let lines = block_lines(document, entries, entry, service)?;
    if !is_only {
        return Ok(Some(cut(source, lines, "")));
    }
    // A mapping that is left empty is written as one: null is no mapping for everybody.
    let holder = holder(document, &path)
        .ok_or_else(|| ValuesError(format!("{} can't be left empty; remove it in Git", dotted(&path))))?;
    let place = document
        .value_place(holder)
        .filter(|place| *place <= lines.start)
        .ok_or_else(|| ValuesError(format!("{} can't be left empty; remove it in Git", dotted(&path))))?;
    let mut out = String::with_capacity(source.len());
    out.push_str(&source[..place]);
    out.push_str(" {}");
    out.push_str(&source[place..lines.start]);
    out.push_str(&source[lines.end..]);
    Ok(Some(out))
}

fn cut(source: &str, range: Range<usize>, instead: &str) -> String {
    format!("{}{instead}{}", &source[..range.start], &source[range.end..])
}

/// The entry whose value is the mapping at `path`.
fn holder(document: &Document<'_>, path: &[String]) -> Option<Entry> {
    let mut at = document.root?;
    let mut entry = None;
    for key in path {
        let found = document.own(at, key)?;
        at = found.value;
        entry = Some(found);
    }
    entry
}

/// Where an entry's key begins, with its anchor and tag.
fn start_of(document: &Document<'_>, key: NodeId) -> usize {
    let node = document.node_at(key);
    let anchor = node.anchor.as_ref().map(|range| range.start);
    let tag = node.tag.as_ref().map(|(range, _)| range.start);
    [anchor, tag].into_iter().flatten().fold(node.span.start, usize::min)
}

/// An entry of a flow mapping with the comma that parts it from its neighbour.
fn flow_range(document: &Document<'_>, entries: &[Entry], entry: Entry) -> Range<usize> {
    let at = entries.iter().position(|one| one.key == entry.key).unwrap_or_default();
    let (start, end) = (start_of(document, entry.key), document.entry_end(entry));
    let next = entries.get(at + 1);
    let before = at.checked_sub(1).and_then(|at| entries.get(at));
    match (before, next) {
        (_, Some(next)) => start..start_of(document, next.key),
        (Some(before), None) => document.entry_end(*before)..end,
        (None, None) => start..end,
    }
}

/// The whole lines of an entry of a block mapping.
fn block_lines(
    document: &Document<'_>,
    entries: &[Entry],
    entry: Entry,
    name: &str,
) -> Result<Range<usize>, ValuesError> {
    let source = document.text;
    let key = start_of(document, entry.key);
    let begin = line_start(source, key);
    let column = key - begin;
    let is_on_its_own = source[begin..key].bytes().all(|b| b == b' ');
    if !is_on_its_own || source[key..].starts_with('?') {
        let line = document.node_at(entry.key).line;
        return Err(ValuesError(format!(
            "{name} (line {line}) is written in a form that Waybill can't remove; remove it in Git"
        )));
    }
    let end = document.entry_end(entry);
    let mut end = end + source[end..].find('\n').map_or(source.len() - end, |at| at + 1);
    // Comments that are indented deeper are the block's, with the empty lines between them.
    let mut ahead = end;
    while ahead < source.len() {
        let line_end = ahead + source[ahead..].find('\n').map_or(source.len() - ahead, |at| at + 1);
        let line = &source[ahead..line_end];
        let blanks = line.len() - line.trim_start_matches(' ').len();
        match line[blanks..].trim_end() {
            "" => {}
            rest if rest.starts_with('#') && blanks > column => end = line_end,
            _ => break,
        }
        ahead = line_end;
    }
    let start = with_comments_above(source, begin, column);
    let is_first = entries.first().is_some_and(|first| first.key == entry.key);
    let is_last = entries.last().is_some_and(|last| last.key == entry.key);
    // Entries that have empty lines between them: one of the two beside it goes with it.
    if !is_first && is_last {
        return Ok(without_empty_lines_above(source, start)..end);
    }
    let mut after = end;
    while let Some(line_end) = source[after..].find('\n').map(|at| after + at + 1) {
        if !source[after..line_end].trim().is_empty() {
            break;
        }
        after = line_end;
    }
    let is_spaced = is_first || without_empty_lines_above(source, start) < start;
    Ok(start..if is_spaced && !is_last { after } else { end })
}

/// Comments right above a key belong to it.
fn with_comments_above(source: &str, begin: usize, column: usize) -> usize {
    let mut start = begin;
    while start > 0 {
        let above = line_start(source, start - 1);
        let line = &source[above..start];
        let blanks = line.len() - line.trim_start_matches(' ').len();
        if above == start || blanks != column || !line[blanks..].starts_with('#') {
            break;
        }
        start = above;
    }
    start
}

fn without_empty_lines_above(source: &str, start: usize) -> usize {
    let mut place = start;
    while place > 0 {
        let above = line_start(source, place - 1);
        if above == place || !source[above..place].trim().is_empty() {
            break;
        }
        place = above;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(text: &str, services: &[&str]) -> String {
        let services: Vec<String> = services.iter().map(|s| (*s).to_owned()).collect();
        String::from_utf8(remove(text.as_bytes(), "", &services).unwrap()).unwrap()
    }

    const FILE: &str = "\
# the whole
services:
  # first
  api:
    image:
      repository: r.example/api # where
      tag: '1'
    # env: {}
  web:
    image: { tag: \"2\" }

  # last
  job:
    text: |
      a
      b
other: 1 # stays
";

    #[test]
    fn the_lines_of_a_service_go_and_nothing_else() {
        assert_eq!(
            removed(FILE, &["api"]),
            FILE.replace(
                "  # first\n  api:\n    image:\n      repository: r.example/api # where\n      tag: '1'\n    # env: {}\n",
                ""
            )
        );
        assert_eq!(
            removed(FILE, &["web"]),
            FILE.replace("  web:\n    image: { tag: \"2\" }\n", "")
        );
        assert_eq!(
            removed(FILE, &["job"]),
            FILE.replace("\n  # last\n  job:\n    text: |\n      a\n      b\n", "")
        );
        assert_eq!(removed(FILE, &["nobody"]), FILE);
    }

    #[test]
    fn what_is_left_empty_is_an_empty_mapping() {
        assert_eq!(
            removed(FILE, &["api", "web", "job"]),
            "# the whole\nservices: {}\nother: 1 # stays\n"
        );
        assert_eq!(
            removed("services: # all\n  api: { a: 1 }\n", &["api"]),
            "services: {} # all\n"
        );
        assert_eq!(
            removed("services:\r\n  api:\r\n    a: 1\r\n", &["api"]),
            "services: {}\r\n"
        );
        assert_eq!(removed("services:\n  api:\n    a: 1", &["api"]), "services: {}\n");
    }

    #[test]
    fn flow_mappings_lose_an_entry_and_a_comma() {
        let file = "services: { api: { a: 1 }, web: 2, job: [3] }\n";
        assert_eq!(removed(file, &["api"]), "services: { web: 2, job: [3] }\n");
        assert_eq!(removed(file, &["web"]), "services: { api: { a: 1 }, job: [3] }\n");
        assert_eq!(removed(file, &["job"]), "services: { api: { a: 1 }, web: 2 }\n");
        assert_eq!(removed("services: {api: 1}\n", &["api"]), "services: {}\n");
    }

    #[test]
    fn entries_with_empty_lines_between_them_keep_one() {
        let file = "services:\n  a:\n    x: 1\n\n  b:\n    x: 2\n\n  c:\n    x: 3\n";
        assert_eq!(removed(file, &["a"]), "services:\n  b:\n    x: 2\n\n  c:\n    x: 3\n");
        assert_eq!(removed(file, &["b"]), "services:\n  a:\n    x: 1\n\n  c:\n    x: 3\n");
        assert_eq!(removed(file, &["c"]), "services:\n  a:\n    x: 1\n\n  b:\n    x: 2\n");
    }

    #[test]
    fn what_others_need_is_not_removed() {
        let refused = |text: &str| {
            remove(text.as_bytes(), "", &["api".to_owned()])
                .map(|new| String::from_utf8(new).unwrap())
                .unwrap_err()
                .0
        };
        // Its neighbour takes a value from it.
        let why = refused("services:\n  api: &api\n    a: 1\n  web: *api\n");
        assert!(why.contains("can't be edited safely"), "{why}");
        let why = refused("base: &base\n  api: 1\nservices:\n  <<: *base\n");
        assert!(why.contains("comes from a merge"), "{why}");
        let why = refused("base: &base\n  api: 1\nservices: *base\n");
        assert!(why.contains("is an alias"), "{why}");
        let why = refused("services:\n  ? api\n  : 1\n");
        assert!(why.contains("can't remove") || why.contains("can't be"), "{why}");
    }

    #[test]
    fn a_prefix_leads_to_the_services() {
        let file = "app:\n  services:\n    api:\n      a: 1\n    web: 2\n";
        let new = remove(file.as_bytes(), "app", &["api".to_owned()]).unwrap();
        assert_eq!(new, b"app:\n  services:\n    web: 2\n");
    }
}
