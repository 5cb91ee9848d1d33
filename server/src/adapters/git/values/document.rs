//! A YAML text as a tree in which every node knows where it stands.
//!
//! The tree is for looking only: edits are made on the text, at the places the tree names. Aliases stay aliases (what
//! they stand for is found with [`Document::resolve`]), so that an edit can tell a value of its own from a borrowed one.

use std::{collections::HashMap, collections::HashSet, iter::Peekable, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle, options};

use crate::nesting::{self, MOST, TooDeep};

/// The largest file that is looked at, in bytes: a values file of this size is a mistake, and parsing it would hold others up.
pub(in crate::adapters::git) const LARGEST: usize = 4 << 20;
/// Mappings that one key is looked for in: merges of merges can make a small file endless.
const MOST_MERGED: usize = 64;
/// Keys of larger mappings are looked up instead of compared.
const FEW_KEYS: usize = 16;

/// Index of a node in its document.
pub(super) type NodeId = usize;

/// A text, taken apart.
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The one document's root; `None` when the text holds comments at most.
    pub(super) root: Option<NodeId>,
    /// Every comment's text, in order.
    pub(super) comments: Vec<String>,
    /// Where `---` ends, when it is written.
    pub(super) marker_end: Option<usize>,
    /// The first key that a mapping has twice, and its line.
    pub(super) duplicate: Option<(String, usize)>,
    nodes: Vec<Node>,
    anchors: HashMap<usize, NodeId>,
    /// Where the keys of larger mappings stand among their entries.
    keys: HashMap<NodeId, HashMap<String, usize>>,
}

/// One node.
pub(super) struct Node {
    /// Bytes of the content itself, without anchor and tag. Empty for a value that isn't written, and meaningless at the
    /// end of block collections.
    pub(super) span: Range<usize>,
    /// Characters before it on its line.
    pub(super) column: usize,
    /// Its line, from 1.
    pub(super) line: usize,
    /// Bytes of `&name`.
    pub(super) anchor: Option<Range<usize>>,
    /// Bytes of the tag, and what it says.
    pub(super) tag: Option<(Range<usize>, String)>,
    pub(super) content: Content,
}

/// What a node is.
pub(super) enum Content {
    Scalar { text: String, style: ScalarStyle },
    Alias(usize),
    Mapping { flow: bool, entries: Vec<Entry> },
    Sequence { flow: bool, items: Vec<NodeId> },
}

/// One entry of a mapping.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: NodeId,
    pub(super) value: NodeId,
}

type Events<'a, 'p> = Peekable<&'p mut dyn Iterator<Item = Result<(Event<'a>, Span), ScanError>>>;

impl<'a> Document<'a> {
    /// Takes `bytes` apart. Refused: what isn't UTF-8 or YAML, several documents, bare carriage returns.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            return Err("it is larger than 4 MiB; is it a values file? Check the path template".to_owned());
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|e| format!("it is not UTF-8 text (byte {}); save it as UTF-8", e.valid_up_to() + 1))?;
        let bare = |(i, _): (usize, _)| !text[i + 1..].starts_with('\n');
        if text.match_indices('\r').any(bare) {
            return Err("it has carriage returns without line feeds; save it with LF or CRLF line endings".to_owned());
        }
        let mut document = Self {
            text,
            root: None,
            comments: Vec::new(),
            marker_end: None,
            duplicate: None,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            keys: HashMap::new(),
        };
        // A long comment is no reason to refuse a file.
        let options = options! {
            emit_anchor_events: true,
            max_buffered_comment_events: LARGEST,
            flow_nesting_limit: MOST,
            block_nesting_limit: MOST,
        };
        let mut parser = Parser::new_from_str_with_options(text, options);
        let parser: &mut dyn Iterator<Item = Result<(Event<'a>, Span), ScanError>> = &mut parser;
        document.read(&mut parser.peekable()).map_err(|e| match e {
            ReadError::Scan(e) => match nesting::of_yaml(&e) {
                Some(deep) => too_deep(deep),
                None => format!(
                    "line {} is not valid YAML: {}; correct it in Git",
                    e.marker().line(),
                    e.info()
                ),
            },
            ReadError::Text(text) => text,
        })?;
        Ok(document)
    }

    fn read(&mut self, events: &mut Events<'a, '_>) -> Result<(), ReadError> {
        let mut documents = 0;
        while let Some((event, span)) = self.next(events)? {
            match event {
                Event::DocumentStart(explicit, _) => {
                    documents += 1;
                    if documents > 1 {
                        let line = span.start.line();
                        return Err(ReadError::Text(format!(
                            "it holds several YAML documents (another begins at line {line}); keep one per file"
                        )));
                    }
                    if explicit {
                        self.marker_end = Some(range(&span)?.end);
                    }
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                other => self.root = Some(self.node(other, &span, events, 1)?),
            }
        }
        Ok(())
    }

    /// The next event that isn't a comment.
    fn next(&mut self, events: &mut Events<'a, '_>) -> Result<Option<(Event<'a>, Span)>, ReadError> {
        for item in events.by_ref() {
            match item.map_err(ReadError::Scan)? {
                (Event::Comment(text, _), _) => self.comments.push(text.into_owned()),
                other => return Ok(Some(other)),
            }
        }
        Ok(None)
    }

    /// Reads a node, with all that is in it; `depth` is the level of lists and mappings that it would be, from 1.
    fn node(
        &mut self,
        event: Event<'a>,
        span: &Span,
        events: &mut Events<'a, '_>,
        depth: usize,
    ) -> Result<NodeId, ReadError> {
        if depth > MOST && matches!(event, Event::SequenceStart(..) | Event::MappingStart(..)) {
            let line = span.start.line();
            return Err(ReadError::Text(too_deep(TooDeep { line })));
        }
        let (anchor_id, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => (*anchor, tag.as_deref()),
            _ => (0, None),
        };
        let tag = match (tag, span.tag_span()) {
            (Some(tag), Some(span)) => Some((
                range(&span)?,
                tag.core_suffix().map_or_else(|| tag.to_string(), str::to_owned),
            )),
            (Some(_), None) => return Err(ReadError::Text("it has a tag that Waybill can't place".to_owned())),
            _ => None,
        };
        let id = self.nodes.len();
        self.nodes.push(Node {
            span: range(span)?,
            column: span.start.col(),
            line: span.start.line(),
            anchor: None,
            tag,
            content: Content::Alias(0),
        });
        if anchor_id != 0 {
            self.anchors.insert(anchor_id, id);
            if let Some(Ok((Event::Anchor(..), span))) = events.peek() {
                self.nodes[id].anchor = Some(range(span)?);
                events.next();
            }
        }
        self.nodes[id].content = match event {
            Event::Scalar(text, style, ..) => Content::Scalar {
                text: text.into_owned(),
                style,
            },
            Event::Alias(target) => Content::Alias(target),
            Event::SequenceStart(style, ..) => {
                let mut items = Vec::new();
                while let Some((event, span)) = self.next(events)? {
                    if event == Event::SequenceEnd {
                        self.nodes[id].span.end = range(&span)?.end;
                        break;
                    }
                    items.push(self.node(event, &span, events, depth + 1)?);
                }
                Content::Sequence {
                    flow: style == StructureStyle::Flow,
                    items,
                }
            }
            Event::MappingStart(style, ..) => {
                let (mut entries, mut seen) = (Vec::new(), HashMap::new());
                while let Some((event, span)) = self.next(events)? {
                    if event == Event::MappingEnd {
                        self.nodes[id].span.end = range(&span)?.end;
                        break;
                    }
                    let key = self.node(event, &span, events, depth + 1)?;
                    let Some((event, span)) = self.next(events)? else { break };
                    let value = self.node(event, &span, events, depth + 1)?;
                    if let Content::Scalar { text, .. } = &self.nodes[key].content
                        && seen.insert(text.clone(), entries.len()).is_some()
                        && self.duplicate.is_none()
                    {
                        self.duplicate = Some((text.clone(), self.nodes[key].line));
                    }
                    entries.push(Entry { key, value });
                }
                if entries.len() > FEW_KEYS {
                    self.keys.insert(id, seen);
                }
                Content::Mapping {
                    flow: style == StructureStyle::Flow,
                    entries,
                }
            }
            other => {
                return Err(ReadError::Text(format!(
                    "line {} holds something Waybill does not know ({other:?})",
                    span.start.line()
                )));
            }
        };
        Ok(id)
    }

    pub(super) fn node_at(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// All nodes, parents before children.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node that `id` stands for: itself, or an alias's target.
    pub(super) fn resolve(&self, id: NodeId) -> NodeId {
        match self.nodes[id].content {
            // A target is never an alias itself: YAML forbids an anchor on one.
            Content::Alias(anchor) => self.anchors.get(&anchor).copied().unwrap_or(id),
            _ => id,
        }
    }

    /// The entries, when `id` is itself a mapping.
    pub(super) fn entries(&self, id: NodeId) -> Option<&[Entry]> {
        match &self.nodes[id].content {
            Content::Mapping { entries, .. } => Some(entries),
            _ => None,
        }
    }

    pub(super) fn scalar(&self, id: NodeId) -> Option<(&str, ScalarStyle)> {
        match &self.nodes[id].content {
            Content::Scalar { text, style } => Some((text, *style)),
            _ => None,
        }
    }

    /// The mapping's own entry of this key; the last one when there are several.
    pub(super) fn own(&self, mapping: NodeId, key: &str) -> Option<Entry> {
        let entries = self.entries(mapping)?;
        if let Some(keys) = self.keys.get(&mapping) {
            return entries.get(*keys.get(key)?).copied();
        }
        let is_it = |entry: &&Entry| self.scalar(entry.key).is_some_and(|(text, _)| text == key);
        entries.iter().rev().find(is_it).copied()
    }

    /// The mappings that `<<` merges into this one, nearest first, as far as they are followed.
    pub(super) fn merged(&self, mapping: NodeId) -> Vec<NodeId> {
        let Some(merge) = self.own(mapping, "<<") else {
            return Vec::new();
        };
        let value = self.resolve(merge.value);
        match &self.nodes[value].content {
            Content::Sequence { items, .. } => {
                let items = items.iter().take(MOST_MERGED);
                items.map(|item| self.resolve(*item)).collect()
            }
            _ => vec![value],
        }
    }

    /// The value of `key` in what `id` stands for, merges included.
    pub(super) fn lookup(&self, id: NodeId, key: &str) -> Option<NodeId> {
        let (mut open, mut seen) = (vec![self.resolve(id)], HashSet::new());
        while let Some(id) = open.pop() {
            if let Some(entry) = self.own(id, key) {
                return Some(self.resolve(entry.value));
            }
            if seen.len() < MOST_MERGED && seen.insert(id) {
                open.extend(self.merged(id).into_iter().rev());
            }
        }
        None
    }

    /// Whether it says nothing: not written, `~` or `null`.
    pub(super) fn is_null(&self, id: NodeId) -> bool {
        let node = &self.nodes[id];
        match &node.content {
            Content::Scalar { text, style } => {
                let says_null = matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
                match node.tag.as_ref().map(|(_, tag)| tag.as_str()) {
                    None => *style == ScalarStyle::Plain && says_null,
                    Some(tag) => tag == "null",
                }
            }
            _ => false,
        }
    }

    pub(super) fn is_flow(&self, id: NodeId) -> bool {
        matches!(
            self.nodes[id].content,
            Content::Mapping { flow: true, .. } | Content::Sequence { flow: true, .. }
        )
    }

    /// Just behind the `:` of an entry; `None` for a flow key without one (`{a}`).
    pub(super) fn colon_end(&self, entry: Entry) -> Option<usize> {
        let end = self.nodes[entry.key].span.end;
        let rest = self.text.get(end..)?;
        let skipped = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        rest[skipped..].starts_with(':').then_some(end + skipped + 1)
    }

    /// Where a value that isn't written would begin: behind the colon and its anchor and tag.
    pub(super) fn value_place(&self, entry: Entry) -> Option<usize> {
        let node = &self.nodes[entry.value];
        let properties = [
            node.anchor.as_ref().map(|r| r.end),
            node.tag.as_ref().map(|(r, _)| r.end),
        ];
        let colon = self.colon_end(entry)?;
        Some(properties.into_iter().flatten().fold(colon, usize::max))
    }

    /// Where the entry's last written byte is (exclusive): trailing blanks and comments are not part of it.
    pub(super) fn entry_end(&self, entry: Entry) -> usize {
        let written = self.end(entry.value);
        let place = self.value_place(entry).unwrap_or(self.nodes[entry.key].span.end);
        written.max(place)
    }

    fn end(&self, id: NodeId) -> usize {
        let node = &self.nodes[id];
        match &node.content {
            Content::Scalar {
                style: ScalarStyle::Literal | ScalarStyle::Folded,
                ..
            } => self.block_scalar_end(node),
            Content::Mapping { flow: false, entries } => {
                entries.last().map_or(node.span.start, |entry| self.entry_end(*entry))
            }
            Content::Sequence { flow: false, items } => items.last().map_or(node.span.start, |item| self.end(*item)),
            _ => node.span.end,
        }
    }

    /// The end of a block scalar's last line. Its trailing empty lines belong to it only with the `+` indicator.
    fn block_scalar_end(&self, node: &Node) -> usize {
        let text = &self.text[node.span.clone()];
        let header = self.text[..node.span.start].trim_end_matches([' ', '\n', '\r']);
        let header = &header[header.rfind('\n').map_or(0, |i| i + 1)..];
        let header = header.split(" #").next().unwrap_or_default().trim_end();
        let keeps = header.ends_with('+') || header.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with('+');
        let kept = if keeps {
            text.strip_suffix('\n')
                .map_or(text, |t| t.strip_suffix('\r').unwrap_or(t))
        } else {
            text.trim_end_matches([' ', '\t', '\r', '\n'])
        };
        node.span.start + kept.len()
    }
}

fn too_deep(error: TooDeep) -> String {
    format!("{error}; make it flatter in Git")
}

enum ReadError {
    Scan(ScanError),
    Text(String),
}

fn range(span: &Span) -> Result<Range<usize>, ReadError> {
    span.byte_range()
        .ok_or_else(|| ReadError::Text("its YAML can't be placed in the text".to_owned()))
}
