//! Commits made in memory, one on top of the other: each changes a few files, and none is made when nothing would change.
//!
//! Everything here blocks and touches no network; [`super::mirror`] calls it off the async threads. Nothing is written to the mirror
//! before the remote has it, except where the program `git` pushes: a batch's objects are pushed by their names, and the mirror's
//! reference moves when the remote has them. (A preview's objects are, too: [`super::view`] compares them with those that are there.)

use git2::{ObjectType, Oid, Time};

use super::{
    CommitRequest, PlaceEdit, Signature,
    edit::{self, Outlines},
    fault::LocalError,
    files::Files,
    history::{History, PROMOTION_TRAILER},
    pack::Objects,
    reader::Reader,
};

/// Batches up to this size are written as single files, larger ones as a pack.
const MOST_LOOSE: usize = 8;

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
    let batch = draft.finish(tip, prepared);
    memory.outlines.limit();
    Ok(batch)
}

fn prepare_one(draft: &mut Draft<'_>, found: Option<Oid>, request: &CommitRequest) -> Result<Prepared, LocalError> {
    let edits = &request.edits;
    if let Some(commit) = found
        && (!request.again || !draft.would_change(edits)?)
    {
        let stands = match edit::has_images(&mut draft.files, draft.outlines, edits) {
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
        && edit::is_moved(&mut draft.files, draft.outlines, edits, expected)?
    {
        return Ok(Prepared::Moved);
    }
    Ok(match draft.commit(request)? {
        Some(commit) => Prepared::Commit(commit),
        None => Prepared::Unchanged(draft.head),
    })
}

/// Commits that are being made.
pub(super) struct Draft<'a> {
    pub(super) files: Files<'a>,
    outlines: &'a mut Outlines,
    objects: Objects,
    /// The newest commit, the mirror's or one made here.
    head: Option<Oid>,
}

impl<'a> Draft<'a> {
    /// Begins on `tip`; `packed` when many commits are to come.
    pub(super) fn new(
        reader: &'a Reader<'a>,
        outlines: &'a mut Outlines,
        tip: Option<Oid>,
        packed: bool,
    ) -> Result<Self, LocalError> {
        Ok(Self {
            files: Files::of(reader, tip)?,
            outlines,
            objects: Objects::new(packed),
            head: tip,
        })
    }

    fn would_change(&mut self, edits: &[PlaceEdit]) -> Result<bool, LocalError> {
        Ok(!edit::edit(&mut self.files, self.outlines, edits)?.is_empty())
    }

    /// Makes the request's commit; `None` when its files say so already.
    fn commit(&mut self, request: &CommitRequest) -> Result<Option<Oid>, LocalError> {
        let edited = edit::edit(&mut self.files, self.outlines, &request.edits)?;
        if edited.is_empty() {
            return Ok(None);
        }
        for file in edited {
            let id = self.files.put(&mut self.objects, &file.path, file.text)?;
            self.outlines.keep(&file.path, id, file.outline);
        }
        let message = Message {
            author: &request.author,
            committer: &request.committer,
            at: request.at,
            text: message(request),
        };
        self.add_commit(&message).map(Some)
    }

    /// Makes a commit of the files as they are by now.
    pub(super) fn add_commit(&mut self, message: &Message<'_>) -> Result<Oid, LocalError> {
        let root = self.files.root(&mut self.objects)?;
        let (_, id) = self
            .objects
            .add(ObjectType::Commit, &message.commit(root, self.head)?, None)?;
        self.head = Some(id);
        Ok(id)
    }

    /// Puts a file in its place for the next commit.
    pub(super) fn put(&mut self, path: &str, text: Vec<u8>) -> Result<(), LocalError> {
        self.files.put(&mut self.objects, path, text)?;
        Ok(())
    }

    /// What came of it on `tip`.
    pub(super) fn finish(self, tip: Option<Oid>, prepared: Vec<Result<Prepared, LocalError>>) -> Batch {
        Batch {
            prepared,
            head: self.head.filter(|head| Some(*head) != tip),
            objects: self.objects,
        }
    }
}

/// What a commit says beside its files.
pub(super) struct Message<'a> {
    pub(super) author: &'a Signature,
    pub(super) committer: &'a Signature,
    /// Seconds since the epoch, for both.
    pub(super) at: i64,
    pub(super) text: String,
}

impl Message<'_> {
    /// The commit's bytes: `tree` on top of `parent`.
    fn commit(&self, tree: Oid, parent: Option<Oid>) -> Result<Vec<u8>, git2::Error> {
        let mut text = format!("tree {tree}\n").into_bytes();
        if let Some(parent) = parent {
            text.extend_from_slice(format!("parent {parent}\n").as_bytes());
        }
        for (role, who) in [("author", self.author), ("committer", self.committer)] {
            let who = signature(who, self.at)?;
            text.extend_from_slice(format!("{role} ").as_bytes());
            text.extend_from_slice(who.name_bytes());
            text.extend_from_slice(b" <");
            text.extend_from_slice(who.email_bytes());
            text.extend_from_slice(format!("> {} +0000\n", self.at).as_bytes());
        }
        text.push(b'\n');
        text.extend_from_slice(self.text.as_bytes());
        Ok(text)
    }
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
}
