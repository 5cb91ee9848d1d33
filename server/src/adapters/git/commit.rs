//! Commits made in the bare mirror: a tree with one file changed, and nothing when nothing would change.
//!
//! Everything here blocks and touches no network; [`super::mirror`] calls it off the async threads. The commit is not put
//! on any reference: it is pushed by its name, and the mirror's reference moves when the remote has it.

use std::path::Path;

use domain::id::PromotionId;
use git2::{
    DiffFormat, DiffOptions, ErrorCode, FileMode, ObjectType, Oid, Repository, Sort, Time, Tree,
    build::TreeUpdateBuilder,
};

use super::{CommitRequest, CommitView, GitError, Signature, ValuesEdit, values};

/// The trailer that finds a promotion's commit again.
const PROMOTION_TRAILER: &str = "Waybill-Promotion";
/// Commits that are looked at, at most, for an earlier commit of the same promotion.
const LOOK_BACK: usize = 5_000;
/// Clocks of committers may be off by this much, in seconds.
const CLOCK_SKEW: i64 = 24 * 60 * 60;
/// So many older commits in a row end the search; a single one may merely have a wrong date.
const OLD_IN_A_ROW: usize = 100;
/// Larger diffs are cut: nobody reads them.
const LARGEST_DIFF: usize = 512 * 1024;

/// Why a blocking operation failed: the file's fault, or the mirror's.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocalError {
    #[error("{path}: {reason}")]
    Values { path: String, reason: String },
    #[error(transparent)]
    Mirror(#[from] git2::Error),
}

impl LocalError {
    pub(super) fn at(self, url: &str) -> GitError {
        match self {
            Self::Values { path, reason } => GitError::Values { path, reason },
            Self::Mirror(error) => GitError::Mirror {
                url: url.to_owned(),
                reason: error.message().to_owned(),
            },
        }
    }
}

/// What there is to do for a request on a given tip.
#[derive(Debug)]
pub(super) enum Prepared {
    /// The branch holds a commit of this promotion.
    Found(Oid),
    /// The tip says so already.
    Unchanged,
    /// This commit is to be pushed.
    Commit(Oid),
}

/// Looks for the promotion's commit below `tip`, else makes it on top of it.
pub(super) fn prepare(
    repository: &Repository,
    tip: Option<Oid>,
    request: &CommitRequest,
) -> Result<Prepared, LocalError> {
    if let Some(tip) = tip
        && let Some(found) = find(repository, tip, request.promotion, request.at)?
    {
        let undone = || -> Result<bool, LocalError> {
            let tree = repository.find_commit(tip)?.tree()?;
            Ok(edited_tree(repository, Some(&tree), &request.edit)?.is_some())
        };
        if !request.again || !undone()? {
            return Ok(Prepared::Found(found));
        }
    }
    let parent = tip.map(|tip| repository.find_commit(tip)).transpose()?;
    let tree = parent.as_ref().map(git2::Commit::tree).transpose()?;
    let Some(tree) = edited_tree(repository, tree.as_ref(), &request.edit)? else {
        return Ok(Prepared::Unchanged);
    };
    let tree = repository.find_tree(tree)?;
    let parents: Vec<_> = parent.iter().collect();
    let commit = repository.commit(
        None,
        &signature(&request.author, request.at)?,
        &signature(&request.committer, request.at)?,
        &message(request),
        &tree,
        &parents,
    )?;
    Ok(Prepared::Commit(commit))
}

/// The newest commit of `promotion` in the history of `tip`. Looks back to a day before `since`.
fn find(repository: &Repository, tip: Oid, promotion: PromotionId, since: i64) -> Result<Option<Oid>, git2::Error> {
    let wanted = format!("{PROMOTION_TRAILER}: {promotion}");
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TIME)?;
    walk.push(tip)?;
    let mut old_in_a_row = 0;
    for id in walk.take(LOOK_BACK) {
        let id = id?;
        let commit = repository.find_commit(id)?;
        if has_trailer(&commit, |line| line == wanted) {
            return Ok(Some(id));
        }
        if commit.time().seconds() < since.saturating_sub(CLOCK_SKEW) {
            old_in_a_row += 1;
            if old_in_a_row >= OLD_IN_A_ROW {
                break;
            }
        } else {
            old_in_a_row = 0;
        }
    }
    Ok(None)
}

/// Whether a promotion made this commit.
pub(super) fn is_by_waybill(commit: &git2::Commit<'_>) -> bool {
    let prefix = format!("{PROMOTION_TRAILER}: ");
    has_trailer(commit, |line| line.starts_with(&prefix))
}

/// Whether a line among the trailers `is_it`. They are the last paragraph; a quoted one further up is somebody else's text.
fn has_trailer(commit: &git2::Commit<'_>, is_it: impl Fn(&str) -> bool) -> bool {
    let message = String::from_utf8_lossy(commit.message_bytes());
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.lines().any(|line| is_it(line.trim_end()))
}

fn signature(who: &Signature, at: i64) -> Result<git2::Signature<'static>, git2::Error> {
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

fn one_line(text: &str) -> String {
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
pub(super) fn edited_tree(
    repository: &Repository,
    tree: Option<&Tree<'_>>,
    edit: &ValuesEdit,
) -> Result<Option<Oid>, LocalError> {
    let values = |reason: String| LocalError::Values {
        path: edit.path.clone(),
        reason,
    };
    check_path(&edit.path).map_err(values)?;
    let found = tree
        .map(|tree| find_file(repository, tree, &edit.path))
        .transpose()?
        .flatten();
    let (old, mode) = match &found {
        Some((id, mode)) => (repository.find_blob(*id)?.content().to_vec(), *mode),
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

fn check_path(path: &str) -> Result<(), String> {
    let is_bad = |part: &str| {
        part.is_empty()
            || part == "."
            || part == ".."
            || part.eq_ignore_ascii_case(".git")
            || part.contains(['\\', '\0'])
    };
    if path.split('/').any(is_bad) {
        return Err("this is no path within the repository; correct the project's path template".to_owned());
    }
    Ok(())
}

/// The file at `path`; `None` when there is none. Refused: links and submodules on the way, a directory at the end.
fn find_file(repository: &Repository, tree: &Tree<'_>, path: &str) -> Result<Option<(Oid, FileMode)>, LocalError> {
    let refuse = |what: &str| {
        Err(LocalError::Values {
            path: path.to_owned(),
            reason: format!("{what}; point the project's path template at a plain file"),
        })
    };
    let parts: Vec<_> = path.split('/').collect();
    let mut tree = repository.find_tree(tree.id())?;
    for (depth, part) in parts.iter().enumerate() {
        let Some(entry) = tree.get_name(part) else {
            return Ok(None);
        };
        let (id, kind, mode) = (entry.id(), entry.kind(), entry.filemode());
        drop(entry);
        let is_last = depth + 1 == parts.len();
        let here = parts[..=depth].join("/");
        match (kind, is_last) {
            _ if mode == i32::from(FileMode::Link) => return refuse(&format!("{here} is a symbolic link")),
            (Some(ObjectType::Commit), _) => return refuse(&format!("{here} is a submodule")),
            (Some(ObjectType::Tree), false) => tree = repository.find_tree(id)?,
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

/// The bytes of the file at `path` in `commit`; `None` without commit or file.
pub(super) fn read_file(repository: &Repository, commit: Oid, path: &str) -> Result<Option<Vec<u8>>, LocalError> {
    check_path(path).map_err(|reason| LocalError::Values {
        path: path.to_owned(),
        reason,
    })?;
    let tree = repository.find_commit(commit)?.tree()?;
    match find_file(repository, &tree, path)? {
        Some((id, _)) => Ok(Some(repository.find_blob(id)?.content().to_vec())),
        None => Ok(None),
    }
}

/// The unified diff between two trees.
pub(super) fn diff(
    repository: &Repository,
    old: Option<&Tree<'_>>,
    new: Option<&Tree<'_>>,
) -> Result<String, git2::Error> {
    let mut options = DiffOptions::new();
    options.context_lines(3);
    let diff = repository.diff_tree_to_tree(old, new, Some(&mut options))?;
    let mut text = Vec::new();
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.extend(line.origin().to_string().bytes());
        }
        text.extend_from_slice(line.content());
        text.len() < LARGEST_DIFF
    });
    match printed {
        Err(error) if error.code() != ErrorCode::User => return Err(error),
        Err(_) => text.extend_from_slice(b"\n... the rest is left out\n"),
        Ok(()) => {}
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The diff that `edit` would make on `tip`.
pub(super) fn preview(repository: &Repository, tip: Option<Oid>, edit: &ValuesEdit) -> Result<String, LocalError> {
    let tree = match tip {
        Some(tip) => Some(repository.find_commit(tip)?.tree()?),
        None => None,
    };
    let Some(new) = edited_tree(repository, tree.as_ref(), edit)? else {
        return Ok(String::new());
    };
    let new = repository.find_tree(new)?;
    Ok(diff(repository, tree.as_ref(), Some(&new))?)
}

/// A commit as people see it; `None` when the mirror lacks it.
pub(super) fn show(repository: &Repository, commit: Oid) -> Result<Option<CommitView>, git2::Error> {
    let commit = match repository.find_commit(commit) {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        commit => commit?,
    };
    let parent = match commit.parent_count() {
        0 => None,
        _ => Some(commit.parent(0)?.tree()?),
    };
    let diff = diff(repository, parent.as_ref(), Some(&commit.tree()?))?;
    let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
    let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
    Ok(Some(CommitView {
        commit: commit.id().to_string(),
        subject,
        author,
        at: commit.time().seconds(),
        diff,
    }))
}

/// Whether `descendant` is `ancestor` or comes after it; `None` when the mirror lacks one of them.
pub(super) fn contains(repository: &Repository, descendant: Oid, ancestor: Oid) -> Result<Option<bool>, git2::Error> {
    for id in [descendant, ancestor] {
        match repository.find_commit(id) {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            found => found?,
        };
    }
    if descendant == ancestor {
        return Ok(Some(true));
    }
    repository.graph_descendant_of(descendant, ancestor).map(Some)
}

/// Opens the mirror in `directory`, or makes one where there is none or a broken one.
pub(super) fn open(directory: &Path) -> Result<Repository, git2::Error> {
    match Repository::open_bare(directory) {
        Ok(repository) => return Ok(repository),
        Err(error) if directory.exists() => {
            tracing::warn!(%error, directory = %directory.display(), "making a broken Git mirror anew");
            std::fs::remove_dir_all(directory).map_err(|e| git2::Error::from_str(&e.to_string()))?;
        }
        Err(_) => {}
    }
    Repository::init_bare(directory)
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
    fn paths_stay_within_the_repository() {
        assert!(check_path("environments/staging/values.yaml").is_ok());
        for bad in [
            "",
            "/etc/passwd",
            "a/../b",
            "..",
            "./a",
            "a//b",
            "a/",
            ".git/config",
            "a/.GIT/x",
            "a\\b",
        ] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
