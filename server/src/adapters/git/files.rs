//! The files of one tree: read once, when they are asked for, and changed in memory.
//!
//! This is the door through which every file of a commit is read or replaced. It refuses paths that can't be used, links and submodules on
//! the way, directories in place of files, names that differ in case only, and (through [`Reader`]) files that are too large.

use std::collections::{HashMap, hash_map};

use domain::repository_path;
use git2::{ObjectType, Oid};

use super::{fault::LocalError, pack::Objects, reader::Reader};

/// What of a mode says whether it is a file, a directory or a link; the rest is permissions.
const KIND: i32 = 0o170_000;
const DIRECTORY: i32 = 0o040_000;
const FILE: i32 = 0o100_644;
const PROGRAM: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// The files of a tree, with the changes made so far.
pub(super) struct Files<'a> {
    reader: &'a Reader<'a>,
    /// Directories by path, the root's is empty.
    directories: HashMap<String, Directory>,
    /// What was asked for, by path; `None` where there is no file.
    files: HashMap<String, Option<File>>,
}

/// A file as it is by now.
#[derive(Debug)]
pub(super) struct File {
    pub(super) text: Vec<u8>,
    /// The object name of the content.
    pub(super) id: Oid,
    mode: i32,
    /// Where the newest version stands among the new objects; `None` for a file as it was read.
    newest: Option<usize>,
}

#[derive(Debug, Default)]
struct Directory {
    entries: Vec<Entry>,
    newest: Option<Version>,
}

#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    mode: i32,
    id: Oid,
}

/// A version among the new objects.
#[derive(Debug)]
struct Version {
    place: usize,
    bytes: Vec<u8>,
}

impl File {
    /// Whether it is what the commit holds that the files are of.
    pub(super) fn is_as_read(&self) -> bool {
        self.newest.is_none()
    }
}

impl<'a> Files<'a> {
    /// The files of a commit; none without one.
    pub(super) fn of(reader: &'a Reader<'a>, commit: Option<Oid>) -> Result<Self, LocalError> {
        let root = match commit {
            Some(commit) => read_directory(reader, reader.commit(commit)?.tree_id())?,
            None => Directory::default(),
        };
        Ok(Self {
            reader,
            directories: HashMap::from([(String::new(), root)]),
            files: HashMap::new(),
        })
    }

    /// The file at `path`; `None` when there is none.
    pub(super) fn read(&mut self, path: &str) -> Result<Option<&File>, LocalError> {
        repository_path::check(path).map_err(|why| LocalError::Values {
            path: path.to_owned(),
            reason: format!("this path can't be used: {why}; correct the project's path template"),
        })?;
        if !self.files.contains_key(path) {
            let file = match self.locate(path)? {
                Some((id, mode)) => Some(File {
                    text: self.reader.file(id, path)?,
                    id,
                    mode,
                    newest: None,
                }),
                None => None,
            };
            self.files.insert(path.to_owned(), file);
        }
        Ok(self.files.get(path).and_then(Option::as_ref))
    }

    /// Puts a new version of a file in its place, and new versions of the directories around it, except for the root's, which
    /// [`Files::root`] makes once for all. Returns the object name of the content.
    pub(super) fn put(&mut self, objects: &mut Objects, path: &str, text: Vec<u8>) -> Result<Oid, LocalError> {
        // What stands around it must be known.
        self.read(path)?;
        let before = self.files.get(path).and_then(Option::as_ref);
        let before_is_none = before.is_none();
        let mode = before.map_or(FILE, |file| file.mode);
        let version = before.and_then(|file| Some((file.newest?, file.text.as_slice())));
        let (place, content) = objects.add(ObjectType::Blob, &text, version)?;
        let file = File {
            text,
            id: content,
            mode,
            newest: Some(place),
        };
        if before_is_none {
            // What was not there may stand in the way of this one now, or this one in its way.
            self.files.retain(|_, file| file.is_some());
        }
        self.files.insert(path.to_owned(), Some(file));
        let (mut id, mut mode, mut path) = (content, mode, path);
        while !path.is_empty() {
            let (parent, name) = split(path);
            let around = self.directories.entry(parent.to_owned()).or_default();
            around.set(name, mode, id);
            if parent.is_empty() {
                break;
            }
            (id, mode, path) = (self.directory_object(objects, parent)?, DIRECTORY, parent);
        }
        Ok(content)
    }

    /// The tree of the files as they are by now.
    pub(super) fn root(&mut self, objects: &mut Objects) -> Result<Oid, git2::Error> {
        self.directory_object(objects, "")
    }

    fn locate(&mut self, path: &str) -> Result<Option<(Oid, i32)>, LocalError> {
        let refuse = |what: &str| {
            Err(LocalError::Values {
                path: path.to_owned(),
                reason: format!("{what}; point the project's path template at a plain file"),
            })
        };
        let parts: Vec<_> = path.split('/').collect();
        let mut around = String::new();
        for (depth, part) in parts.iter().enumerate() {
            let Some(directory) = self.directory(&around)? else {
                return Ok(None);
            };
            let Some((id, mode)) = directory.get(part) else {
                return match directory.in_other_case(part) {
                    Some(other) => refuse(&differs_in_case(&parts[..=depth], other)),
                    None => Ok(None),
                };
            };
            let is_last = depth + 1 == parts.len();
            // Whoever reads it is told the whole path already.
            let here = match is_last {
                true => "it".to_owned(),
                false => parts[..=depth].join("/"),
            };
            match (mode & KIND, is_last) {
                (LINK, _) => return refuse(&format!("{here} is a symbolic link")),
                (SUBMODULE, _) => return refuse(&format!("{here} is a submodule")),
                (DIRECTORY, true) => return refuse("it is a directory"),
                (DIRECTORY, false) => around = here,
                (_, true) => return Ok(Some((id, if mode & 0o100 == 0 { FILE } else { PROGRAM }))),
                (_, false) => return refuse(&format!("{here} is a file, not a directory")),
            }
        }
        Ok(None)
    }

    /// The directory at `path`, whose parent was read before; `None` when there is none.
    fn directory(&mut self, path: &str) -> Result<Option<&Directory>, LocalError> {
        if !self.directories.contains_key(path) {
            let (parent, name) = split(path);
            let found = self.directories.get(parent).and_then(|d| d.get(name));
            let Some((id, _)) = found.filter(|(_, mode)| mode & KIND == DIRECTORY) else {
                return Ok(None);
            };
            let read = read_directory(self.reader, id)?;
            self.directories.insert(path.to_owned(), read);
        }
        Ok(self.directories.get(path))
    }

    fn directory_object(&mut self, objects: &mut Objects, path: &str) -> Result<Oid, git2::Error> {
        let directory = match self.directories.entry(path.to_owned()) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(new) => new.insert(Directory::default()),
        };
        let bytes = directory.bytes();
        let before = directory.newest.as_ref().map(|v| (v.place, v.bytes.as_slice()));
        let (place, id) = objects.add(ObjectType::Tree, &bytes, before)?;
        directory.newest = Some(Version { place, bytes });
        Ok(id)
    }
}

impl Directory {
    fn get(&self, name: &str) -> Option<(Oid, i32)> {
        let entry = self.entries.iter().find(|entry| entry.name == name.as_bytes())?;
        Some((entry.id, entry.mode))
    }

    /// The name of an entry that differs from `wanted` in the case of its letters only.
    fn in_other_case(&self, wanted: &str) -> Option<&str> {
        let lower = wanted.to_lowercase();
        let names = self.entries.iter();
        names
            .filter_map(|entry| std::str::from_utf8(&entry.name).ok())
            .find(|name| *name != wanted && name.to_lowercase() == lower)
    }

    fn set(&mut self, name: &str, mode: i32, id: Oid) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name.as_bytes()) {
            (entry.mode, entry.id) = (mode, id);
            return;
        }
        let entry = Entry {
            name: name.as_bytes().to_vec(),
            mode,
            id,
        };
        let place = self.entries.partition_point(|other| other.order() < entry.order());
        self.entries.insert(place, entry);
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * 40);
        for entry in &self.entries {
            bytes.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
            bytes.extend_from_slice(&entry.name);
            bytes.push(0);
            bytes.extend_from_slice(entry.id.as_bytes());
        }
        bytes
    }
}

impl Entry {
    /// Git sorts a directory as if its name ended with a slash.
    fn order(&self) -> Vec<u8> {
        let mut name = self.name.clone();
        if self.mode == DIRECTORY {
            name.push(b'/');
        }
        name
    }
}

fn read_directory(reader: &Reader<'_>, id: Oid) -> Result<Directory, LocalError> {
    let tree = reader.tree(id)?;
    let entry = |entry: git2::TreeEntry<'_>| Entry {
        name: entry.name_bytes().to_vec(),
        mode: entry.filemode_raw(),
        id: entry.id(),
    };
    Ok(Directory {
        entries: tree.iter().map(entry).collect(),
        newest: None,
    })
}

/// The directory around `path`, and the last part of it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The sentence for `other` standing where the last of `parts` was looked for.
fn differs_in_case(parts: &[&str], other: &str) -> String {
    let (last, around) = parts.split_last().unwrap_or((&"", &[]));
    let mut there = around.to_vec();
    there.push(other);
    format!(
        "there is no {last}, but {}, which differs in the case of letters only; the names must be the same",
        there.join("/")
    )
}
