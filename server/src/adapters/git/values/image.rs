//! The keys that make up an image: what they say to those who read, and what an edit may put there.
//!
//! Waybill knows `repository`, `tag` and `digest`, with the registry in front of the repository or apart from it (`registry`
//! beside it, or `global.imageRegistry`), and reads a tag with the digest in it. An image may be spread in other ways: then it is
//! said by name, no image is read out of a part of it, and nothing is written.

use domain::artifact::{DeclaredImage, ExactImage, Repository, RepositoryError, Tag};
use granit_parser::ScalarStyle;

use super::{
    DIGEST, REPOSITORY, TAG, ValuesError,
    change::New,
    consumer,
    document::{Content, Document, NodeId},
};

const REGISTRY: &str = "registry";
/// Keys that hold a part of an image in charts that Waybill doesn't know, and beside which of its own they stand.
const UNKNOWN: [(&str, &str); 13] = [
    ("name", REPOSITORY),
    ("image", REPOSITORY),
    ("imageName", REPOSITORY),
    ("hub", REPOSITORY),
    ("host", REPOSITORY),
    ("imageRegistry", REPOSITORY),
    ("version", TAG),
    ("imageTag", TAG),
    ("sha", DIGEST),
    ("sha256", DIGEST),
    ("shasum", DIGEST),
    ("hash", DIGEST),
    ("imageDigest", DIGEST),
];
/// Keys below `global` that charts put in front of every image's repository. The first is read, the others are not.
const GLOBAL: [&[&str]; 3] = [&["imageRegistry"], &["image", "registry"], &["registry"]];

/// Registries that a file names once for all images: below `global`, at the root and around the services.
pub(super) fn global_registries(document: &Document<'_>, prefix: &str) -> Vec<Apart> {
    let mut found: Vec<Apart> = Vec::new();
    let Some(mut at) = document.root else { return found };
    let mut name = String::new();
    let mut keys = prefix.split('.').filter(|key| !key.is_empty());
    loop {
        for path in GLOBAL {
            let value = std::iter::once("global")
                .chain(path.iter().copied())
                .try_fold(at, |at, key| document.lookup(at, key));
            if let Some(value) = value
                && let Some(text) = written(document, value)
            {
                found.push(Apart {
                    name: format!("{name}global.{}", path.join(".")),
                    is_known: path.len() == 1 && path.first() == Some(&"imageRegistry"),
                    line: document.node_at(value).line,
                    registry: text.trim_end_matches('/').to_owned(),
                });
            }
        }
        let next = keys.next().and_then(|key| Some((key, document.lookup(at, key)?)));
        let Some((key, next)) = next else { return found };
        name = format!("{name}{key}.");
        at = next;
    }
}

/// A registry that is named apart from the repository.
#[derive(Clone, Debug)]
pub(super) struct Apart {
    name: String,
    is_known: bool,
    line: usize,
    registry: String,
}

impl Apart {
    fn place(&self) -> String {
        format!("`{}` (line {})", self.name, self.line)
    }
}

/// The registry that stands in front of the repository of an image, when it is named apart; why not, when that isn't clear.
fn apart(document: &Document<'_>, image: Option<NodeId>, global: &[Apart]) -> Result<Option<Apart>, String> {
    let own = image.and_then(|image| {
        let value = document.lookup(image, REGISTRY)?;
        Some(Apart {
            name: REGISTRY.to_owned(),
            is_known: true,
            line: document.node_at(value).line,
            registry: written(document, value)?.trim_end_matches('/').to_owned(),
        })
    });
    let all: Vec<&Apart> = own.iter().chain(global).collect();
    let Some(first) = all.first() else { return Ok(None) };
    if let Some(unknown) = all.iter().find(|apart| !apart.is_known) {
        return Err(format!(
            "{} stands beside `repository`, and Waybill doesn't know how the chart uses it; name the registry in `repository` alone",
            unknown.place()
        ));
    }
    if let Some(other) = all.iter().find(|apart| apart.registry != first.registry) {
        return Err(format!(
            "{} and {} name two registries, and only the chart knows which of them counts; leave one of them",
            first.place(),
            other.place()
        ));
    }
    Ok(Some((*first).clone()))
}

/// The text of a scalar, when it has one.
fn written<'d>(document: &'d Document<'_>, value: NodeId) -> Option<&'d str> {
    let (text, _) = document.scalar(value)?;
    (!document.is_null(value) && !text.trim().is_empty()).then(|| text.trim())
}

/// The text that every consumer reads at `key`; `None` when nothing is written there. The error is said by what is written.
fn text_of<'d>(document: &'d Document<'_>, image: NodeId, key: &str) -> Result<Option<&'d str>, String> {
    let Some(value) = document.lookup(image, key) else {
        return Ok(None);
    };
    let node = document.node_at(value);
    let line = node.line;
    let Content::Scalar { text, style } = &node.content else {
        return Err(format!("line {line}: `{key}` is a mapping or list; make it a text"));
    };
    if written(document, value).is_none() {
        return Ok(None);
    }
    if is_encrypted(text) {
        return Err(format!(
            "line {line}: `{key}` is encrypted; leave the image in the clear (`unencrypted_regex` in SOPS)"
        ));
    }
    match node.tag.as_ref().map(|(_, tag)| tag.as_str()) {
        None | Some("str") => {}
        Some(tag) => {
            return Err(format!(
                "line {line}: `{key}` has the YAML tag {tag:?}, so that {text} is not read as text; remove the tag and write it in quotes"
            ));
        }
    }
    if node.tag.is_none()
        && *style == ScalarStyle::Plain
        && let Some(why) = consumer::misread(text)
    {
        let or = if key == TAG { ", or add the digest" } else { "" };
        return Err(format!(
            "line {line}: {why}; write it in quotes (`{key}: \"{text}\"`){or}"
        ));
    }
    Ok(Some(text))
}

/// Whether a value is one that SOPS encrypted.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.starts_with("ENC[") && text.ends_with(']')
}

/// The image that a service declares. What is not understood of it is said, and left out.
pub(super) fn declared(document: &Document<'_>, global: &[Apart], service: NodeId) -> DeclaredImage {
    let Some(image) = document.lookup(service, "image") else {
        return DeclaredImage::default();
    };
    if document.is_null(image) {
        return DeclaredImage::default();
    }
    let mut problems = Vec::new();
    let mut found = DeclaredImage::default();
    if document.entries(image).is_none() {
        problems.push(format!(
            "line {}: `image` is no mapping; write it as one, with `repository`, `tag` and `digest`",
            document.node_at(image).line
        ));
    } else {
        let mut note = |read: Result<(), String>| problems.extend(read.err());
        note(read_repository(document, global, image, &mut found));
        note(read_tag(document, image, &mut found));
    }
    // A digest is the whole answer; what stands beside it only has a name less.
    let is_exact = found.repository.is_some() && found.digest.is_some();
    found.unclear = problems.into_iter().next().filter(|_| !is_exact);
    found
}

fn unknown(document: &Document<'_>, image: NodeId, beside: &[&str], even_empty: bool) -> Result<(), String> {
    for (key, stands_for) in UNKNOWN.iter().filter(|(_, of)| beside.contains(of)) {
        let Some(value) = document.lookup(image, key) else {
            continue;
        };
        let says = document.scalar(value).is_none() || written(document, value).is_some();
        // An empty key for the digest still shows from where the chart takes it.
        if says || (even_empty && *stands_for == DIGEST) {
            let line = document.node_at(value).line;
            let how = match document.lookup(image, stands_for) {
                Some(_) => "stands beside",
                None => "stands in place of",
            };
            return Err(format!(
                "line {line}: `{key}` {how} `{stands_for}`, and Waybill doesn't know how the chart uses it; have the chart use \
                 `repository`, `tag` and `digest` alone"
            ));
        }
    }
    Ok(())
}

fn read_repository(
    document: &Document<'_>,
    global: &[Apart],
    image: NodeId,
    found: &mut DeclaredImage,
) -> Result<(), String> {
    unknown(document, image, &[REPOSITORY], false)?;
    let Some(text) = text_of(document, image, REPOSITORY)? else {
        return Ok(());
    };
    let line = document
        .lookup(image, REPOSITORY)
        .map_or(0, |id| document.node_at(id).line);
    let whole = match apart(document, Some(image), global)? {
        Some(apart) if text.parse::<Repository>().is_ok() => return Err(twice(&apart, line)),
        Some(apart) => format!("{}/{text}", apart.registry),
        None => text.to_owned(),
    };
    let repository = whole.parse().map_err(|why| repository_trouble(why, text, line))?;
    found.repository = Some(repository);
    Ok(())
}

fn twice(apart: &Apart, line: usize) -> String {
    format!(
        "line {line}: {} stands beside a `repository` that names its registry itself; name it in one of them",
        apart.place()
    )
}

fn repository_trouble(why: RepositoryError, text: &str, line: usize) -> String {
    let what = match why {
        RepositoryError::Reference => "holds a tag or digest; write those in `tag` and `digest`",
        RepositoryError::Empty | RepositoryError::Registry => {
            "names no registry; write it in front, for example docker.io/library/nginx"
        }
        RepositoryError::Path => {
            "is no valid name; use lower-case letters, digits, and single dots, underscores or hyphens between slashes"
        }
    };
    format!("line {line}: the repository {text:?} {what}")
}

fn read_tag(document: &Document<'_>, image: NodeId, found: &mut DeclaredImage) -> Result<(), String> {
    unknown(document, image, &[DIGEST], false)?;
    let line = |key: &str| document.lookup(image, key).map_or(0, |id| document.node_at(id).line);
    if let Some(text) = text_of(document, image, DIGEST)? {
        let digest = text.parse().map_err(|why| {
            format!(
                "line {}: {text:?} is no digest ({})",
                line(DIGEST),
                sentence_within(&format!("{why}"))
            )
        })?;
        found.digest = Some(digest);
    }
    unknown(document, image, &[TAG], false)?;
    let Some(text) = text_of(document, image, TAG)? else {
        return Ok(());
    };
    let tag = |text: &str| {
        text.parse::<Tag>()
            .map_err(|_| format!("line {}: {text:?} is no valid tag; correct it in Git", line(TAG)))
    };
    let Some((name, digest)) = text.split_once('@') else {
        found.tag = Some(tag(text)?);
        return Ok(());
    };
    let within = digest.parse().map_err(|why| {
        format!(
            "line {}: what follows the @ in {text:?} is no digest ({})",
            line(TAG),
            sentence_within(&format!("{why}"))
        )
    })?;
    if found.digest.as_ref().is_some_and(|digest| *digest != within) {
        found.digest = None;
        return Err(format!(
            "line {}: the digest in `tag` is not the one in `digest`; leave one of them",
            line(TAG)
        ));
    }
    found.digest = Some(within);
    if !name.is_empty() {
        found.tag = Some(tag(name)?);
    }
    Ok(())
}

/// A sentence as it stands in brackets.
fn sentence_within(sentence: &str) -> &str {
    sentence.trim_end_matches('.')
}

/// What the image's keys become, given what the file says now. Refused by name: an image that is spread in a way Waybill doesn't know, so
/// that what the chart makes of it can't be told.
pub(super) fn keys(
    document: &Document<'_>,
    prefix: &str,
    image: Option<NodeId>,
    wanted: &ExactImage,
) -> Result<Vec<(String, New)>, ValuesError> {
    if let Some(image) = image {
        unknown(document, image, &[REPOSITORY, TAG, DIGEST], true)?;
    }
    let current = |key: &str| text_at(document, image?, key).filter(|text| !text.trim().is_empty());
    let line = |key: &str| {
        let value = image.and_then(|image| document.lookup(image, key));
        value.map_or(0, |id| document.node_at(id).line)
    };
    if current(TAG).is_some_and(|tag| tag.contains('@')) {
        return Err(ValuesError(format!(
            "line {}: `tag` holds the digest, and a chart that reads it there need not read `digest`; move it to `digest`",
            line(TAG)
        )));
    }
    let global = global_registries(document, prefix);
    let apart = apart(document, image, &global)?;
    let repository = repository_to_write(
        document,
        prefix,
        apart.as_ref(),
        current(REPOSITORY),
        line(REPOSITORY),
        wanted,
    )?;
    let tag = match (&wanted.tag, current(TAG)) {
        (Some(tag), _) => Some(tag.as_str().to_owned()),
        // A tag that stays would claim to be another image's.
        (None, Some(_)) => {
            let is_same = current(DIGEST).as_deref() == Some(wanted.digest.as_str())
                && current(REPOSITORY).as_deref() == Some(repository.as_str());
            (!is_same).then(|| wanted.digest.short().to_owned())
        }
        (None, None) => None,
    };
    let text = |key: &str, value: &str| (key.to_owned(), New::Text(value.to_owned()));
    let mut keys = vec![text(REPOSITORY, &repository)];
    keys.extend(tag.map(|tag| text(TAG, &tag)));
    keys.push(text(DIGEST, wanted.digest.as_str()));
    Ok(keys)
}

/// What `repository` becomes: the path alone beside a registry of its own.
fn repository_to_write(
    document: &Document<'_>,
    prefix: &str,
    apart: Option<&Apart>,
    current: Option<String>,
    line: usize,
    wanted: &ExactImage,
) -> Result<String, ValuesError> {
    let read = current.as_deref().map(str::parse::<Repository>);
    let Some(apart) = apart else {
        return match (read, current) {
            (Some(Err(why @ (RepositoryError::Registry | RepositoryError::Reference))), Some(text)) => {
                Err(ValuesError(match why {
                    RepositoryError::Reference => repository_trouble(why, &text, line),
                    _ => format!(
                        "line {line}: the repository {text:?} names no registry, so that the chart takes it from somewhere else; write it in \
                         front, for example docker.io/library/nginx"
                    ),
                }))
            }
            (None, _) => match neighbour_with_registry(document, prefix) {
                Some((service, line)) => Err(ValuesError(format!(
                    "`registry` stands apart from `repository` in {service} (line {line}), so that the chart may put one in front of this \
                     service's too; write its `image` with both in Git first"
                ))),
                None => Ok(wanted.repository.to_string()),
            },
            _ => Ok(wanted.repository.to_string()),
        };
    };
    if let Some(Ok(_)) = read {
        return Err(ValuesError(twice(apart, line)));
    }
    let path = wanted.repository.as_str().strip_prefix(apart.registry.as_str());
    match path.and_then(|path| path.strip_prefix('/')) {
        Some(path) if !path.is_empty() => Ok(path.to_owned()),
        _ => Err(ValuesError(format!(
            "{} stands beside `repository` and says {}, and the image is {}; change the registry in Git first",
            apart.place(),
            apart.registry,
            wanted.repository
        ))),
    }
}

/// A service of the file whose image has its registry in a key of its own, and the line.
fn neighbour_with_registry(document: &Document<'_>, prefix: &str) -> Option<(String, usize)> {
    let services = super::services_path(prefix)
        .iter()
        .try_fold(document.root?, |at, key| document.lookup(at, key))?;
    document.entries(services)?.iter().find_map(|entry| {
        let image = document.lookup(entry.value, "image")?;
        let registry = document.lookup(image, REGISTRY)?;
        written(document, registry)?;
        let (name, _) = document.scalar(document.resolve(entry.key))?;
        Some((name.to_owned(), document.node_at(registry).line))
    })
}

/// A scalar's text; `None` for what is missing, null or no scalar.
fn text_at(document: &Document<'_>, mapping: NodeId, key: &str) -> Option<String> {
    let value = document.lookup(mapping, key)?;
    if document.is_null(value) {
        return None;
    }
    document.scalar(value).map(|(text, _)| text.to_owned())
}
