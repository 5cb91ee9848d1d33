//! What lies between two commits of a copy: pure reading, no network.

use domain::{
    source::{Changes, Commits, MOST_COMMITS, Revision, SourceCommit},
    time::Timestamp,
};
use git2::{Commit, ErrorCode, ObjectType, Oid, Repository, Sort};

/// Characters of a subject or a name that are kept.
const LONGEST: usize = 200;

/// What a revision names in a copy.
pub(super) enum Resolved {
    /// This commit.
    Commit(Oid),
    /// Nothing that is there.
    Missing,
    /// One of several.
    Ambiguous,
}

/// Finds the commit that a revision names.
pub(super) fn resolve(repository: &Repository, revision: &Revision) -> Result<Resolved, git2::Error> {
    let odb = repository.odb()?;
    let found = match revision.is_whole() {
        true => Oid::from_str(revision.as_str()),
        false => Oid::from_str(revision.as_str()).and_then(|short| odb.exists_prefix(short, revision.as_str().len())),
    };
    let id = match found {
        Ok(id) => id,
        Err(error) if error.code() == ErrorCode::Ambiguous => return Ok(Resolved::Ambiguous),
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Resolved::Missing),
        Err(error) => return Err(error),
    };
    match odb.read_header(id) {
        Ok((_, ObjectType::Commit)) => Ok(Resolved::Commit(id)),
        Ok(_) => Ok(Resolved::Missing),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(Resolved::Missing),
        Err(error) => Err(error),
    }
}

/// The commits between two.
pub(super) fn between(repository: &Repository, before: Oid, after: Oid) -> Result<Changes, git2::Error> {
    if before == after {
        return Ok(Changes::Same);
    }
    let base = match repository.merge_base(before, after) {
        Ok(base) => Some(base),
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    let new = || only_in(repository, after, before);
    let gone = || only_in(repository, before, after);
    Ok(match base {
        Some(base) if base == before => Changes::Known {
            commits: new()?,
            is_forward: true,
        },
        Some(base) if base == after => Changes::Known {
            commits: gone()?,
            is_forward: false,
        },
        base => Changes::BothWays {
            base: base.and_then(revision),
            new: new()?,
            gone: gone()?,
        },
    })
}

/// The newest commits in the history of one that aren't in the other's.
fn only_in(repository: &Repository, this: Oid, other: Oid) -> Result<Commits, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    walk.push(this)?;
    walk.hide(other)?;
    let mut found = Commits::default();
    for id in walk {
        if found.commits.len() == MOST_COMMITS {
            found.has_more = true;
            break;
        }
        let commit = repository.find_commit(id?)?;
        found.commits.extend(shown(&commit));
    }
    Ok(found)
}

fn shown(commit: &Commit<'_>) -> Option<SourceCommit> {
    let subject = commit.summary_bytes().unwrap_or_default();
    let author = commit.author();
    Some(SourceCommit {
        id: revision(commit.id())?,
        subject: line(subject),
        author: line(author.name_bytes()),
        at: Timestamp(commit.time().seconds().saturating_mul(1000)),
        url: None,
    })
}

fn revision(id: Oid) -> Option<Revision> {
    Revision::parse(&id.to_string())
}

/// A line of text for people, whatever its encoding was: no control characters, and not longer than is read.
fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        plain.push('…');
    }
    plain.trim().to_owned()
}
