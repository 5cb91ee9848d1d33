//! Who changed a file last.

use super::{Change, history::trailer};
use git2::{Oid, Repository, Sort, Tree};
use std::path::Path;

/// Commits that are looked at, at most.
const LOOK_BACK: usize = 500;

/// The newest commit at or below `tip` that changed the file at `path`; `None` when it is older than what is looked at, or
/// Waybill's own.
pub(super) fn last_change(repository: &Repository, tip: Oid, path: &str) -> Result<Option<Change>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.simplify_first_parent()?;
    walk.push(tip)?;
    for id in walk.take(LOOK_BACK) {
        let commit = repository.find_commit(id?)?;
        let before = match commit.parent_count() {
            0 => None,
            _ => file(&commit.parent(0)?.tree()?, path),
        };
        if file(&commit.tree()?, path) == before {
            continue;
        }
        if trailer(commit.message_bytes()).is_some() {
            return Ok(None);
        }
        return Ok(Some(Change {
            commit: commit.id().to_string(),
            author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
            subject: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
        }));
    }
    Ok(None)
}

fn file(tree: &Tree<'_>, path: &str) -> Option<Oid> {
    tree.get_path(Path::new(path)).ok().map(|entry| entry.id())
}
