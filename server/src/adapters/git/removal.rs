//! One commit that removes services from a values file, on the tip of the branch.
//!
//! It is found again by its trailer, like a promotion's; and made twice it changes nothing the second time. It goes out by itself: it is
//! rare, and nobody waits for it.

use std::{
    collections::{HashSet, VecDeque},
    str::FromStr as _,
};

use domain::id::GitRemovalId;
use git2::{FileMode, Oid, Repository, build::TreeUpdateBuilder};

use super::{
    BlockRemoval,
    commit::{self, LocalError, Prepared},
    reader::Reader,
    values,
};

/// The trailer that finds the commit again.
const REMOVAL_TRAILER: &str = "Waybill-Removal";
/// Commits that are looked through for one that was made before, at most.
const LOOK_BACK: usize = 500;

/// What there is to do on this tip.
pub(super) fn prepare(reader: &Reader<'_>, tip: Oid, removal: &BlockRemoval) -> Result<Prepared, LocalError> {
    let values = |reason: String| LocalError::Values {
        path: removal.path.clone(),
        reason,
    };
    commit::check_path(&removal.path).map_err(values)?;
    let repository = reader.repository();
    let parent = reader.commit(tip)?;
    let tree = reader.tree_of(tip)?;
    let Some((id, mode)) = commit::find_file(reader, tree.id(), &removal.path)? else {
        return said_already(reader, tip, removal.id);
    };
    let old = reader.file(id, &removal.path)?;
    let new = values::remove(&old, &removal.prefix, &removal.services).map_err(|error| values(error.to_string()))?;
    if new == old {
        return said_already(reader, tip, removal.id);
    }
    let tree = put(repository, &tree, &removal.path, &new, mode)?;
    let made = repository.commit(
        None,
        &commit::signature(&removal.author, removal.at)?,
        &commit::signature(&removal.committer, removal.at)?,
        &message(removal),
        &tree,
        &[&parent],
    )?;
    Ok(Prepared::Commit(made))
}

fn put<'r>(
    repository: &'r Repository,
    tree: &git2::Tree<'r>,
    path: &str,
    text: &[u8],
    mode: FileMode,
) -> Result<git2::Tree<'r>, git2::Error> {
    let mut update = TreeUpdateBuilder::new();
    update.upsert(path, repository.blob(text)?, mode);
    repository.find_tree(update.create_updated(repository, tree)?)
}

/// The file holds none of it: because an earlier try was cut off after its push, or because somebody else removed it.
fn said_already(reader: &Reader<'_>, tip: Oid, id: GitRemovalId) -> Result<Prepared, LocalError> {
    let (mut next, mut seen) = (VecDeque::from([tip]), HashSet::from([tip]));
    for _ in 0..LOOK_BACK {
        let Some(commit) = next.pop_front() else { break };
        let commit = reader.commit(commit)?;
        if trailer(commit.message_bytes()) == Some(id) {
            return Ok(Prepared::Found {
                commit: commit.id(),
                stands: true,
            });
        }
        next.extend(commit.parent_ids().filter(|parent| seen.insert(*parent)));
    }
    Ok(Prepared::Unchanged(Some(tip)))
}

fn message(removal: &BlockRemoval) -> String {
    format!(
        "{}\n\n{REMOVAL_TRAILER}: {}\n",
        commit::one_line(&removal.subject),
        removal.id
    )
}

/// The removal that a message's last paragraph names.
pub(super) fn trailer(message: &[u8]) -> Option<GitRemovalId> {
    let message = String::from_utf8_lossy(message);
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let named = |line: &str| {
        let value = line.strip_prefix(REMOVAL_TRAILER)?.strip_prefix(": ")?;
        GitRemovalId::from_str(value.trim_end()).ok()
    };
    last.lines().rev().find_map(named)
}
