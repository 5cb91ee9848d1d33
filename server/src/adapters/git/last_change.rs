//! Who changed a service last.

use super::{
    DeclaredService, ServiceChange, ServicePlace, fault::LocalError, history::trailer, reader::Reader, removal, values,
    view,
};
use git2::Oid;
use std::collections::{BinaryHeap, HashSet};

/// Commits that are looked at, at most.
const LOOK_BACK: usize = 500;
/// Versions of a file that are read, at most.
const MOST_FILES: usize = 100;
/// Who commits for Waybill.
const OURS: &[u8] = b"waybill@waybill.invalid";

/// The newest commit after `since`, up to `tip`, with which somebody else changed a service: its image, its block or its switch. It is judged
/// by what the file says: a commit of Waybill's that somebody picked is theirs.
pub(super) fn last_change(
    reader: &Reader<'_>,
    since: Oid,
    tip: Oid,
    place: &ServicePlace,
) -> Result<Option<ServiceChange>, LocalError> {
    let mut below: Option<HashSet<Oid>> = None;
    let (mut next, mut files) = (Some(tip), 0);
    for _ in 0..LOOK_BACK {
        let Some(id) = next.filter(|id| *id != since) else {
            break;
        };
        let commit = reader.commit(id)?;
        next = commit.parent_ids().next();
        let (here, there) = (
            reader.entry(commit.tree_id(), &place.path)?,
            match next {
                None => None,
                Some(parent) => reader.entry(reader.commit(parent)?.tree_id(), &place.path)?,
            },
        );
        if here == there {
            continue;
        }
        files += 1;
        if files > MOST_FILES {
            break;
        }
        let before = match next {
            Some(parent) => said(reader, parent, place)?,
            None => None,
        };
        let is_picked = trailer(commit.message_bytes()).is_some() || removal::trailer(commit.message_bytes()).is_some();
        let is_own = is_picked && commit.committer().email_bytes() == OURS;
        if is_own || said(reader, id, place)? == before {
            continue;
        }
        // A merge may have put what was read before on the other side: then these are older commits.
        if below.is_none() {
            below = Some(history(reader, since)?);
        }
        if below.as_ref().is_some_and(|below| below.contains(&id)) {
            break;
        }
        // The author of what was picked is Waybill's, or who asked then.
        let who = if is_picked { commit.committer() } else { commit.author() };
        return Ok(Some(ServiceChange {
            commit: commit.id().to_string(),
            author: String::from_utf8_lossy(who.name_bytes()).into_owned(),
            subject: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
        }));
    }
    Ok(None)
}

/// What a service says in a commit; `None` where it isn't there, or can't be read.
fn said(reader: &Reader<'_>, commit: Oid, place: &ServicePlace) -> Result<Option<DeclaredService>, LocalError> {
    let bytes = match view::read_file(reader, commit, &place.path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) | Err(LocalError::Values { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let services = values::services(&bytes, &place.prefix).unwrap_or_default();
    Ok(services.into_iter().find(|service| service.name == place.service))
}

/// A commit and those before it, as far as they are looked at; none when the branch was rewritten, and what was read before is gone.
fn history(reader: &Reader<'_>, tip: Oid) -> Result<HashSet<Oid>, LocalError> {
    let (mut history, mut open) = (HashSet::new(), BinaryHeap::from([(i64::MAX, tip)]));
    while history.len() < LOOK_BACK
        && let Some((_, id)) = open.pop()
    {
        let Some(commit) = reader.find_commit(id)? else {
            continue;
        };
        if history.insert(id) {
            for parent in commit.parent_ids() {
                if let Some(parent) = reader.find_commit(parent)? {
                    open.push((parent.time().seconds(), parent.id()));
                }
            }
        }
    }
    Ok(history)
}
