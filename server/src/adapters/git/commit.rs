//! Commits for the bare mirror: each a tree with one file changed, and none when nothing would change.
//!
//! Everything here blocks and touches no network; [`super::mirror`] calls it off the async threads. The commit is not put
//! on any reference: it is pushed by its name, and the mirror's reference moves when the remote has it.

use std::{path::Path, time::Duration};

use domain::repository_path;
use git2::{
    DiffFormat, DiffOptions, ErrorCode, FileMode, ObjectType, Oid, Repository, Time, Tree, build::TreeUpdateBuilder,
};
use tempfile::TempDir;

use super::{
    CommitRequest, CommitView, DeclaredService, GitError, Signature, ValuesEdit,
    draft::{Draft, Outlines},
    fault,
    history::{self, History, PROMOTION_TRAILER},
    pack::Objects,
    reader::Reader,
    values,
};

/// Batches up to this size are written as single files, larger ones as a pack.
const MOST_LOOSE: usize = 8;
/// Larger diffs are cut: nobody reads them.
const LARGEST_DIFF: usize = 512 * 1024;

/// Why a blocking operation failed: the file's fault, the repository's, or else the mirror's or the machine's.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocalError {
    #[error("{path}: {reason}")]
    Values { path: String, reason: String },
    #[error("{path} is not there")]
    NoFile { path: String },
    #[error("{0}")]
    TooLarge(String),
    #[error(transparent)]
    Mirror(#[from] git2::Error),
}

impl LocalError {
    pub(super) fn at(self, url: &str) -> GitError {
        match self {
            Self::Values { path, reason } => GitError::Values { path, reason },
            Self::NoFile { path } => GitError::NoFile { path },
            Self::TooLarge(reason) => GitError::TooLarge {
                url: url.to_owned(),
                reason,
            },
            Self::Mirror(error) => {
                let (url, reason) = (url.to_owned(), error.message().to_owned());
                match fault::is_of_the_machine_below(&error) {
                    true => GitError::Machine { url, reason },
                    false => GitError::Mirror { url, reason },
                }
            }
        }
    }
}

/// What there is to do for a request on a given tip.
#[derive(Debug)]
pub(super) enum Prepared {
    /// The branch holds a commit of this promotion; `stands` as long as the file says what it wrote.
    Found { commit: Oid, stands: bool },
    /// This commit says so already: the tip, or one that goes out with this batch. `None` without a branch.
    Unchanged(Option<Oid>),
    /// This commit is to be pushed.
    Commit(Oid),
    /// The branch holds none, and none is to be made.
    Absent,
    /// The service says something else than it may, and none is made.
    Moved,
}

/// What there is to do for a batch on a given tip.
#[derive(Debug)]
pub(super) struct Batch {
    /// For each request in turn; a file's fault stops its own request only.
    pub(super) prepared: Vec<Result<Prepared, LocalError>>,
    /// The newest of the commits to be pushed, when there are any: the others are below it.
    pub(super) head: Option<Oid>,
    /// All that is new. It is in nobody's hands yet: not the mirror's either.
    pub(super) objects: Objects,
}

/// What is remembered of a repository from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Memory {
    history: History,
    outlines: Outlines,
}

/// Looks for each promotion's commit below `tip`, else makes it on top of the one before.
pub(super) fn prepare(
    reader: &Reader<'_>,
    memory: &mut Memory,
    tip: Option<Oid>,
    requests: &[CommitRequest],
) -> Result<Batch, LocalError> {
    let mut since = requests.iter().map(|request| request.at).min().unwrap_or_default();
    if let Some(tip) = tip {
        // Back from the tip at least: a clock that runs ahead must not make all that is there look old.
        since = since.min(reader.commit(tip)?.time().seconds());
        memory.history.read(reader, tip, since)?;
    }
    let mut draft = Draft::new(reader, &mut memory.outlines, tip, requests.len() > MOST_LOOSE)?;
    let mut prepared = Vec::with_capacity(requests.len());
    for request in requests {
        let found = match tip {
            Some(tip) => memory.history.find(reader, tip, request.promotion, since)?,
            None => None,
        };
        prepared.push(match prepare_one(&mut draft, found, request) {
            Err(error @ (LocalError::Mirror(_) | LocalError::TooLarge(_))) => return Err(error),
            done => done,
        });
    }
    let head = draft.head.filter(|head| Some(*head) != tip);
    let objects = draft.finish();
    Ok(Batch {
        prepared,
        head,
        objects,
    })
}

fn prepare_one(draft: &mut Draft<'_>, found: Option<Oid>, request: &CommitRequest) -> Result<Prepared, LocalError> {
    if let Some(commit) = found
        && (!request.again || !draft.would_change(&request.edit)?)
    {
        let stands = match draft.has_image(&request.edit) {
            // What can't be read any more is somebody else's; the commit is there all the same.
            Err(LocalError::Values { .. } | LocalError::NoFile { .. }) => false,
            has => has?,
        };
        return Ok(Prepared::Found { commit, stands });
    }
    if request.held {
        return Ok(Prepared::Absent);
    }
    if let Some(expected) = &request.expects
        && draft.is_moved(&request.edit, expected)?
    {
        return Ok(Prepared::Moved);
    }
    Ok(match draft.commit(request)? {
        Some(commit) => Prepared::Commit(commit),
        None => Prepared::Unchanged(draft.head),
    })
}

/// A commit's bytes: the request's, with `tree` on top of `parent`.
pub(super) fn text(request: &CommitRequest, tree: Oid, parent: Option<Oid>) -> Result<Vec<u8>, git2::Error> {
    let mut text = format!("tree {tree}\n").into_bytes();
    if let Some(parent) = parent {
        text.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    for (role, who) in [("author", &request.author), ("committer", &request.committer)] {
        let who = signature(who, request.at)?;
        text.extend_from_slice(format!("{role} ").as_bytes());
        text.extend_from_slice(who.name_bytes());
        text.extend_from_slice(b" <");
        text.extend_from_slice(who.email_bytes());
        text.extend_from_slice(format!("> {} +0000\n", request.at).as_bytes());
    }
    text.push(b'\n');
    text.extend_from_slice(message(request).as_bytes());
    Ok(text)
}

pub(super) fn signature(who: &Signature, at: i64) -> Result<git2::Signature<'static>, git2::Error> {
    let name = clean(&who.name, "Waybill");
    let email = clean(&who.email, "waybill@localhost");
    git2::Signature::new(&name, &email, &Time::new(at, 0))
}

/// What Git accepts in a signature: one line, no angle brackets, not empty.
fn clean(text: &str, otherwise: &str) -> String {
    let kept: String = one_line(text).chars().filter(|c| !matches!(c, '<' | '>')).collect();
    // Git strips these at the ends, and a name of nothing else would be empty.
    let is_crud = |c: char| c.is_whitespace() || ".,:;\"\\'".contains(c);
    match kept.trim() {
        kept if kept.chars().all(is_crud) => otherwise.to_owned(),
        kept => kept.to_owned(),
    }
}

pub(super) fn one_line(text: &str) -> String {
    let spaced = text.replace(|c: char| c.is_control(), " ");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn message(request: &CommitRequest) -> String {
    let mut message = one_line(&request.subject);
    message.push_str("\n\n");
    for (key, value) in &request.trailers {
        let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        if !key.is_empty() && key != PROMOTION_TRAILER {
            message.push_str(&format!("{key}: {}\n", one_line(value)));
        }
    }
    message.push_str(&format!("{PROMOTION_TRAILER}: {}\n", request.promotion));
    message
}

/// The tree with the edit in it; `None` when it is the same tree.
fn edited_tree(reader: &Reader<'_>, tree: Option<&Tree<'_>>, edit: &ValuesEdit) -> Result<Option<Oid>, LocalError> {
    let repository = reader.repository();
    let values = |reason: String| LocalError::Values {
        path: edit.path.clone(),
        reason,
    };
    check_path(&edit.path).map_err(values)?;
    let found = tree
        .map(|tree| find_file(reader, tree.id(), &edit.path))
        .transpose()?
        .flatten();
    let (old, mode) = match &found {
        Some((id, mode)) => (reader.file(*id, &edit.path)?, *mode),
        None if !edit.may_create => {
            return Err(LocalError::NoFile {
                path: edit.path.clone(),
            });
        }
        None => (Vec::new(), FileMode::Blob),
    };
    let new = values::edit(&old, edit).map_err(|error| values(error.to_string()))?;
    if new == old {
        return Ok(None);
    }
    let blob = repository.blob(&new)?;
    let empty;
    let base = match tree {
        Some(tree) => tree,
        None => {
            empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
            &empty
        }
    };
    let mut update = TreeUpdateBuilder::new();
    update.upsert(edit.path.as_str(), blob, mode);
    Ok(Some(update.create_updated(repository, base)?))
}

/// Holds a path against the domain's rule.
pub(super) fn check_path(path: &str) -> Result<(), String> {
    repository_path::check(path)
        .map_err(|why| format!("this path can't be used: {why}; correct the project's path template"))
}

/// The file at `path`; `None` when there is none. Refused: links and submodules on the way, a directory at the end.
pub(super) fn find_file(reader: &Reader<'_>, tree: Oid, path: &str) -> Result<Option<(Oid, FileMode)>, LocalError> {
    let refuse = |what: &str| {
        Err(LocalError::Values {
            path: path.to_owned(),
            reason: format!("{what}; point the project's path template at a plain file"),
        })
    };
    let parts: Vec<_> = path.split('/').collect();
    let mut tree = reader.tree(tree)?;
    for (depth, part) in parts.iter().enumerate() {
        let Some(entry) = tree.get_name(part) else {
            let names = tree.iter().map(|entry| entry.name_bytes().to_vec());
            return match in_other_case(names, part) {
                Some(other) => refuse(&case(&parts[..=depth], &other)),
                None => Ok(None),
            };
        };
        let (id, kind, mode) = (entry.id(), entry.kind(), entry.filemode());
        drop(entry);
        let is_last = depth + 1 == parts.len();
        // Whoever reads it is told the whole path already.
        let here = match is_last {
            true => "it".to_owned(),
            false => parts[..=depth].join("/"),
        };
        match (kind, is_last) {
            _ if mode == i32::from(FileMode::Link) => return refuse(&format!("{here} is a symbolic link")),
            (Some(ObjectType::Commit), _) => return refuse(&format!("{here} is a submodule")),
            (Some(ObjectType::Tree), false) => tree = reader.tree(id)?,
            (Some(ObjectType::Blob), true) => {
                let executable = mode == i32::from(FileMode::BlobExecutable);
                let mode = if executable {
                    FileMode::BlobExecutable
                } else {
                    FileMode::Blob
                };
                return Ok(Some((id, mode)));
            }
            (_, true) => return refuse("it is a directory"),
            (_, false) => return refuse(&format!("{here} is a file, not a directory")),
        }
    }
    Ok(None)
}

/// The name among `names` that differs from `wanted` in the case of its letters only.
pub(super) fn in_other_case(names: impl Iterator<Item = Vec<u8>>, wanted: &str) -> Option<String> {
    let lower = wanted.to_lowercase();
    names
        .filter_map(|name| String::from_utf8(name).ok())
        .find(|name| name != wanted && name.to_lowercase() == lower)
}

/// That `other` is there, and not the last of `parts`.
pub(super) fn case(parts: &[&str], other: &str) -> String {
    let (last, around) = parts.split_last().unwrap_or((&"", &[]));
    let mut there = around.to_vec();
    there.push(other);
    format!(
        "there is no {last}, but {}, which differs in the case of letters only; the names must be the same",
        there.join("/")
    )
}

/// The bytes of the file at `path` in `commit`; `None` without commit or file.
pub(super) fn read_file(reader: &Reader<'_>, commit: Oid, path: &str) -> Result<Option<Vec<u8>>, LocalError> {
    check_path(path).map_err(|reason| LocalError::Values {
        path: path.to_owned(),
        reason,
    })?;
    let tree = reader.commit(commit)?.tree_id();
    match find_file(reader, tree, path)? {
        Some((id, _)) => Ok(Some(reader.file(id, path)?)),
        None => Ok(None),
    }
}

/// What the file at `path` declares in `commit`; `None` when there is no such file.
pub(super) fn services(
    reader: &Reader<'_>,
    commit: Oid,
    path: &str,
    prefix: &str,
) -> Result<Option<Vec<DeclaredService>>, LocalError> {
    let Some(bytes) = read_file(reader, commit, path)? else {
        return Ok(None);
    };
    let mut services = values::services(&bytes, prefix).map_err(|error| LocalError::Values {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    for service in &mut services {
        // Who is told of it may see many files.
        service.image.unclear = service.image.unclear.take().map(|why| format!("{path}, {why}"));
    }
    Ok(Some(services))
}

/// The unified diff between two trees.
fn diff(reader: &Reader<'_>, old: Option<&Tree<'_>>, new: Option<&Tree<'_>>) -> Result<String, LocalError> {
    reader.check_difference(old.map(Tree::id), new.map(Tree::id))?;
    let mut options = DiffOptions::new();
    // Larger files are told as binary ones, and not read.
    options.context_lines(3).max_size(values::LARGEST as i64);
    let diff = reader.repository().diff_tree_to_tree(old, new, Some(&mut options))?;
    let mut text = Vec::new();
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.extend(line.origin().to_string().bytes());
        }
        text.extend_from_slice(line.content());
        text.len() < LARGEST_DIFF
    });
    match printed {
        Err(error) if error.code() != ErrorCode::User => return Err(error.into()),
        Err(_) => text.extend_from_slice(b"\n... the rest is left out\n"),
        Ok(()) => {}
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The diff that `edit` would make on `tip`.
pub(super) fn preview(reader: &Reader<'_>, tip: Option<Oid>, edit: &ValuesEdit) -> Result<String, LocalError> {
    let tree = match tip {
        Some(tip) => Some(reader.tree_of(tip)?),
        None => None,
    };
    let Some(new) = edited_tree(reader, tree.as_ref(), edit)? else {
        return Ok(String::new());
    };
    diff(reader, tree.as_ref(), Some(&reader.tree(new)?))
}

/// A commit as people see it; `None` when the mirror lacks it.
pub(super) fn show(reader: &Reader<'_>, commit: Oid) -> Result<Option<CommitView>, LocalError> {
    let Some(commit) = reader.find_commit(commit)? else {
        return Ok(None);
    };
    let parent = match commit.parent_ids().next() {
        None => None,
        Some(parent) => Some(reader.tree_of(parent)?),
    };
    let diff = match diff(reader, parent.as_ref(), Some(&reader.tree(commit.tree_id())?)) {
        // The rest of it can be shown.
        Err(LocalError::TooLarge(reason)) => format!("The difference is not shown: {reason}.\n"),
        diff => diff?,
    };
    let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
    let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
    Ok(Some(CommitView {
        commit: commit.id().to_string(),
        promotion: history::trailer(commit.message_bytes()),
        subject,
        author,
        at: commit.time().seconds(),
        diff,
    }))
}

/// Whether `descendant` is `ancestor` or comes after it; `None` when the mirror lacks one of them.
pub(super) fn contains(reader: &Reader<'_>, descendant: Oid, ancestor: Oid) -> Result<Option<bool>, LocalError> {
    if !reader.has(descendant) || !reader.has(ancestor) {
        return Ok(None);
    }
    reader.descends(descendant, ancestor).map(Some)
}

/// Opens the mirror in `directory`, or makes one where there is none. Who reads meanwhile without waiting for the turn finds
/// none, or a whole one: it is made beside its place, and then put there.
pub(super) fn open(directory: &Path) -> Result<Repository, git2::Error> {
    // Whether it is there is asked in a way that can fail: what can't be looked at is not missing.
    if directory.try_exists().map_err(|error| of_files(&error))? {
        return Repository::open_bare(directory);
    }
    let new = beside(directory).map_err(|error| of_files(&error))?;
    Repository::init_bare(new.path())?;
    if let Err(error) = std::fs::rename(new.path(), directory) {
        // Another server with the same directory was faster, unless there is none now.
        return Repository::open_bare(directory).map_err(|_| of_files(&error));
    }
    Repository::open_bare(directory)
}

/// Takes a mirror away at once, for whoever reads without waiting for the turn, and then removes it.
pub(super) fn put_away(directory: &Path) -> std::io::Result<()> {
    let away = beside(directory)?;
    std::fs::rename(directory, away.path())?;
    away.close()
}

/// An empty directory beside another one, which is removed with this value, whatever is in it then.
fn beside(directory: &Path) -> std::io::Result<TempDir> {
    let parent = directory.parent().unwrap_or(directory);
    tempfile::Builder::new().prefix(BESIDE).tempdir_in(parent)
}

/// How the names of directories begin that are no mirrors: new ones, and those put away.
const BESIDE: &str = ".mirror-";
/// Nobody works that long in such a directory.
const LEFT: Duration = Duration::from_secs(3600);

/// Removes what servers left beside their mirrors that were killed at it.
pub(super) fn sweep(mirrors: &Path) {
    // Before the first mirror there is nothing.
    let Ok(entries) = std::fs::read_dir(mirrors) else {
        return;
    };
    for entry in entries.flatten() {
        let is_beside = entry.file_name().to_string_lossy().starts_with(BESIDE);
        let since = entry.metadata().and_then(|about| about.modified()).ok();
        let is_left = since
            .and_then(|since| since.elapsed().ok())
            .is_some_and(|age| age > LEFT);
        if is_beside
            && is_left
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, directory = %entry.path().display(), "a directory that is no mirror can't be removed");
        }
    }
}

fn of_files(error: &std::io::Error) -> git2::Error {
    git2::Error::from_str(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_hold_one_line_without_brackets() {
        assert_eq!(clean("Ada\n<ada>\u{0} Lovelace ", "x"), "Ada ada Lovelace");
        assert_eq!(clean("", "x"), "x");
        assert_eq!(clean("..", "x"), "x");
        assert!(
            signature(
                &Signature {
                    name: "<>".into(),
                    email: "\n".into()
                },
                1
            )
            .is_ok()
        );
    }

    #[test]
    fn paths_are_held_against_the_rule_before_anything_is_read_or_written() {
        assert_eq!(check_path("environments/staging/values.yaml"), Ok(()));
        for bad in ["", "a/../b", "a/.GIT/x", "git~1/x", ".g\u{200c}it/x", "values.yaml "] {
            let why = check_path(bad).unwrap_err();
            assert!(why.ends_with("correct the project's path template"), "{bad:?}: {why}");
        }
    }
}
