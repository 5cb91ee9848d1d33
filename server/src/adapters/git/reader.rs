//! The one door to the mirror's objects: what they come to is asked of their headers before they are unpacked.
//!
//! Somebody else wrote them. A megabyte of a pack may unpack to a gigabyte, here and in each look again, so nothing is unpacked that is
//! larger than it can be for its use. [`packs`] knows the small objects that Git stores as differences from large ones.

use std::collections::{BinaryHeap, HashSet};

use git2::{Commit, ErrorCode, ObjectType, Odb, Oid, Repository, Tree};

use super::{
    fault::LocalError,
    packs::{self, LARGEST_BASE},
    values,
};

/// The largest commit or directory that is read, in bytes: a message of this size, or a hundred thousand entries.
const LARGEST: usize = 4 << 20;
/// Directories and files that are looked at for one difference, at most.
const MOST_DIFFERENT: usize = 300;

/// Reads what is in a mirror.
pub(super) struct Reader<'r> {
    repository: &'r Repository,
    odb: Odb<'r>,
    /// Small objects that can't be unpacked without large ones.
    heavy: HashSet<Oid>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(repository: &'r Repository) -> Result<Self, git2::Error> {
        Ok(Self {
            repository,
            odb: repository.odb()?,
            heavy: packs::heavy(repository.path()).map_err(|error| git2::Error::from_str(&error.to_string()))?,
        })
    }

    /// The mirror, to write to and to ask for references.
    pub(super) fn repository(&self) -> &'r Repository {
        self.repository
    }

    /// Whether the mirror has an object.
    pub(super) fn has(&self, id: Oid) -> bool {
        self.odb.exists(id)
    }

    /// A commit; `None` when the mirror lacks it.
    pub(super) fn find_commit(&self, id: Oid) -> Result<Option<Commit<'r>>, LocalError> {
        match self.commit(id) {
            Err(LocalError::Mirror(error)) if error.code() == ErrorCode::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    pub(super) fn commit(&self, id: Oid) -> Result<Commit<'r>, LocalError> {
        self.measure(id, ObjectType::Commit, LARGEST, |why| {
            LocalError::TooLarge(format!("commit {id} {why}; rewrite the branch without it"))
        })?;
        Ok(self.repository.find_commit(id)?)
    }

    pub(super) fn tree(&self, id: Oid) -> Result<Tree<'r>, LocalError> {
        self.measure(id, ObjectType::Tree, LARGEST, |why| {
            LocalError::TooLarge(format!("directory {id} {why}; put its files into several directories"))
        })?;
        Ok(self.repository.find_tree(id)?)
    }

    /// The tree of a commit.
    pub(super) fn tree_of(&self, commit: Oid) -> Result<Tree<'r>, LocalError> {
        self.tree(self.commit(commit)?.tree_id())
    }

    /// The content of the file at `path`, which `id` names.
    pub(super) fn file(&self, id: Oid, path: &str) -> Result<Vec<u8>, LocalError> {
        self.measure(id, ObjectType::Blob, values::LARGEST, |why| LocalError::Values {
            path: path.to_owned(),
            reason: format!("it {why}; is it a values file? Check the path template"),
        })?;
        Ok(self.repository.find_blob(id)?.content().to_vec())
    }

    /// What the entry at `path` of a tree is; `None` when there is none.
    pub(super) fn entry(&self, mut tree: Oid, path: &str) -> Result<Option<Oid>, LocalError> {
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let here = self.tree(tree)?;
            let Some(entry) = here.get_name(part) else {
                return Ok(None);
            };
            match (parts.peek(), entry.kind()) {
                (None, _) => return Ok(Some(entry.id())),
                (Some(_), Some(ObjectType::Tree)) => tree = entry.id(),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether `descendant` is `ancestor` or comes after it. Dates only say where to look first: they may be wrong.
    pub(super) fn descends(&self, descendant: Oid, ancestor: Oid) -> Result<bool, LocalError> {
        let mut open = BinaryHeap::from([(i64::MAX, descendant)]);
        let mut seen = HashSet::from([descendant]);
        while let Some((_, id)) = open.pop() {
            if id == ancestor {
                return Ok(true);
            }
            for parent in self.commit(id)?.parent_ids() {
                if seen.insert(parent) {
                    open.push((self.commit(parent)?.time().seconds(), parent));
                }
            }
        }
        Ok(false)
    }

    /// Refuses when the difference of two trees can't be told without reading what is too large, or too much.
    pub(super) fn check_difference(&self, old: Option<Oid>, new: Option<Oid>) -> Result<(), LocalError> {
        let mut open = vec![(old, new)];
        let mut looked_at = 0;
        while let Some((old, new)) = open.pop() {
            let trees = [old, new].map(|id| id.map(|id| self.tree(id)).transpose());
            let [old, new] = trees;
            let (old, new) = (old?, new?);
            let own = |tree: &Option<Tree<'_>>, other: &Option<Tree<'_>>| {
                let mut own = Vec::new();
                for entry in tree.iter().flat_map(Tree::iter) {
                    let beside = other
                        .as_ref()
                        .and_then(|other| other.get_name_bytes(entry.name_bytes()));
                    let beside = beside.map(|beside| (beside.id(), beside.filemode(), beside.kind()));
                    if beside.is_none_or(|(id, mode, _)| (id, mode) != (entry.id(), entry.filemode())) {
                        own.push((entry.id(), entry.kind(), beside));
                    }
                }
                own
            };
            let (was, is) = (own(&old, &new), own(&new, &old));
            looked_at += was.len() + is.len();
            if looked_at > MOST_DIFFERENT {
                return Err(LocalError::TooLarge(format!(
                    "it changes more than {MOST_DIFFERENT} files"
                )));
            }
            for (id, kind, beside) in was {
                self.check_weight(id)?;
                // With a directory on both sides, the pair is looked at from the new one.
                let has_pair = beside.is_some_and(|(_, _, kind)| kind == Some(ObjectType::Tree));
                if kind == Some(ObjectType::Tree) && !has_pair {
                    open.push((Some(id), None));
                }
            }
            for (id, kind, beside) in is {
                self.check_weight(id)?;
                if kind == Some(ObjectType::Tree) {
                    let pair = beside.filter(|(_, _, kind)| *kind == Some(ObjectType::Tree));
                    open.push((pair.map(|(id, ..)| id), Some(id)));
                }
            }
        }
        Ok(())
    }

    fn check_weight(&self, id: Oid) -> Result<(), LocalError> {
        match self.heavy.contains(&id) {
            true => Err(LocalError::TooLarge(format!("object {id} {}", weight()))),
            false => Ok(()),
        }
    }

    /// Asks an object's header; `refuse` says what it means that the object can't be read.
    fn measure(
        &self,
        id: Oid,
        kind: ObjectType,
        largest: usize,
        refuse: impl Fn(String) -> LocalError,
    ) -> Result<(), LocalError> {
        let (size, found) = self.odb.read_header(id)?;
        if found != kind {
            let message = format!("object {id} is no {kind} but a {found}");
            return Err(git2::Error::from_str(&message).into());
        }
        if size > largest {
            return Err(refuse(format!("is larger than {} MiB", largest >> 20)));
        }
        if self.heavy.contains(&id) {
            return Err(refuse(weight()));
        }
        Ok(())
    }
}

fn weight() -> String {
    format!(
        "is stored as a difference from what is larger than {} MiB, so that the repository has to be packed anew",
        LARGEST_BASE >> 20
    )
}
