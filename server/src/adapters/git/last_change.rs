//! Who changed a file last.

use super::{Change, history, removal};
use git2::{ErrorCode, Oid, Repository, Sort, Tree};
use std::path::Path;

/// Commits that are looked at, at most.
const LOOK_BACK: usize = 500;

/// The newest commit after `since`, up to `tip`, with which somebody else than Waybill changed the file at `path`; `None`
/// when there is none among those that are looked at.
pub(super) fn last_change(
    repository: &Repository,
    since: Oid,
    tip: Oid,
    path: &str,
) -> Result<Option<Change>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.simplify_first_parent()?;
    walk.push(tip)?;
    match walk.hide(since) {
        // The branch was rewritten, and what was read before is gone.
        Err(error) if error.code() == ErrorCode::NotFound => {}
        hidden => hidden?,
    }
    for id in walk.take(LOOK_BACK) {
        let commit = repository.find_commit(id?)?;
        let before = match commit.parent_count() {
            0 => None,
            _ => file(&commit.parent(0)?.tree()?, path),
        };
        let message = commit.message_bytes();
        let is_own = history::trailer(message).is_some() || removal::trailer(message).is_some();
        // Waybill's own may be on top of it by now.
        if file(&commit.tree()?, path) == before || is_own {
            continue;
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
