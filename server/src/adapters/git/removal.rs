//! One commit that removes services from a values file, on the tip of the branch.
//!
//! It is found again by its trailer, like a promotion's; and made twice it changes nothing the second time. It goes out by itself: it is
//! rare, and nobody waits for it.

use std::{
    collections::{HashSet, VecDeque},
    str::FromStr as _,
};

use domain::id::GitRemovalId;
use git2::Oid;

use super::{
    BlockRemoval,
    commit::{self, Batch, Draft, Message, Prepared},
    edit::Outlines,
    fault::LocalError,
    reader::Reader,
    values,
};

/// The trailer that finds the commit again.
const REMOVAL_TRAILER: &str = "Waybill-Removal";
/// Commits that are looked through for one that was made before, at most.
const LOOK_BACK: usize = 500;

/// What there is to do on this tip.
pub(super) fn prepare(reader: &Reader<'_>, tip: Oid, removal: &BlockRemoval) -> Result<Batch, LocalError> {
    let mut outlines = Outlines::default();
    let mut draft = Draft::new(reader, &mut outlines, Some(tip), false)?;
    let new = match draft.files.read(&removal.path)? {
        Some(file) => {
            let new = values::remove(&file.text, &removal.prefix, &removal.services);
            let new = new.map_err(|error| LocalError::Values {
                path: removal.path.clone(),
                reason: error.to_string(),
            })?;
            (new != file.text).then_some(new)
        }
        None => None,
    };
    let Some(new) = new else {
        let prepared = said_already(reader, tip, removal.id)?;
        return Ok(draft.finish(Some(tip), vec![Ok(prepared)]));
    };
    draft.put(&removal.path, new)?;
    let commit = draft.add_commit(&Message {
        author: &removal.author,
        committer: &removal.committer,
        at: removal.at,
        text: message(removal),
    })?;
    Ok(draft.finish(Some(tip), vec![Ok(Prepared::Commit(commit))]))
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
