//! Commits made in memory, one on top of the other; nothing is written before all of them are made.
//!
//! Files and directories that a batch touches are read once and kept: a later commit of the batch changes what an
//! earlier one left. What is written then are the new versions only.

use std::collections::HashMap;

use domain::artifact::{DeclaredImage, ExactImage};
use git2::{ObjectType, Oid};

use super::{
    CommitRequest, DeclaredService, Expected, ValuesEdit,
    commit::{self, LocalError},
    pack::Objects,
    reader::Reader,
    values::{self, Outline},
};

/// Modes of directory entries that matter here.
const DIRECTORY: i32 = 0o040_000;
const FILE: i32 = 0o100_644;
const PROGRAM: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;
/// So many outlines are kept from batch to batch.
const MOST_OUTLINES: usize = 200;

/// Outlines of values files by the name of their content.
#[derive(Debug, Default)]
pub(super) struct Outlines(HashMap<Oid, Outline>);

impl Outlines {
    /// The outline of the file with this content.
    fn of(&mut self, id: Oid, text: &[u8], prefix: &str) -> Outline {
        match self.0.get(&id) {
            Some(known) => known.clone(),
            None => {
                let outline = Outline::of(text, prefix);
                self.keep(id, outline.clone());
                outline
            }
        }
    }

    fn keep(&mut self, id: Oid, outline: Outline) {
        if self.0.len() >= MOST_OUTLINES {
            self.0.clear();
        }
        self.0.insert(id, outline);
    }
}

/// Commits that are being made.
pub(super) struct Draft<'a> {
    reader: &'a Reader<'a>,
    outlines: &'a mut Outlines,
    objects: Objects,
    /// The newest commit, the mirror's or one made here.
    pub(super) head: Option<Oid>,
    /// Directories by path, the root's is empty.
    directories: HashMap<String, Directory>,
    files: HashMap<String, File>,
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

#[derive(Debug)]
struct File {
    text: Vec<u8>,
    mode: i32,
    outline: Option<Outline>,
    /// The content's name; `None` for a file that isn't there yet.
    id: Option<Oid>,
    newest: Option<usize>,
}

/// A version among the new objects.
#[derive(Debug)]
struct Version {
    place: usize,
    bytes: Vec<u8>,
}

impl<'a> Draft<'a> {
    /// Begins on `tip`; `packed` when many commits are to come.
    pub(super) fn new(
        reader: &'a Reader<'a>,
        outlines: &'a mut Outlines,
        tip: Option<Oid>,
        packed: bool,
    ) -> Result<Self, LocalError> {
        let root = match tip {
            Some(tip) => read_directory(reader, reader.commit(tip)?.tree_id())?,
            None => Directory::default(),
        };
        Ok(Self {
            reader,
            outlines,
            objects: Objects::new(packed),
            head: tip,
            directories: HashMap::from([(String::new(), root)]),
            files: HashMap::new(),
        })
    }

    /// Whether `edit` would change its file.
    pub(super) fn would_change(&mut self, edit: &ValuesEdit) -> Result<bool, LocalError> {
        let file = self.file(edit)?;
        let (new, old) = (values::edit_with(&mut file.outline, &file.text, edit), &file.text);
        // The outline may be that of the new text now.
        let changed = new.map_err(|error| refused(edit, &error.to_string()))? != *old;
        if changed {
            file.outline = None;
        }
        Ok(changed)
    }

    /// Whether the service of an edit says something else than expected, was switched off, or is gone. What can't be read is the edit's to
    /// refuse.
    pub(super) fn is_moved(&mut self, edit: &ValuesEdit, expected: &Expected) -> Result<bool, LocalError> {
        let is_one_of =
            |image: &DeclaredImage| says(image, &edit.image) || expected.images.iter().any(|one| says(image, one));
        Ok(match self.said(edit)? {
            Said::Unreadable => false,
            Said::Nothing => true,
            Said::Service(service) => !is_one_of(&service.image) || !(service.enabled || expected.switched_off),
        })
    }

    /// Whether the service of an edit has the image that the edit would write, whatever else there is to write.
    pub(super) fn has_image(&mut self, edit: &ValuesEdit) -> Result<bool, LocalError> {
        Ok(matches!(self.said(edit)?, Said::Service(service) if says(&service.image, &edit.image)))
    }

    fn said(&mut self, edit: &ValuesEdit) -> Result<Said, LocalError> {
        let file = self.file(edit)?;
        let outline = file.outline.as_ref();
        let alone = outline.and_then(|outline| outline.alone(&file.text, &edit.prefix, &edit.service));
        let services = match alone {
            Some(alone) => values::services(&alone, ""),
            None => values::services(&file.text, &edit.prefix),
        };
        Ok(match services {
            Err(_) => Said::Unreadable,
            Ok(services) => {
                (services.into_iter().find(|service| service.name == edit.service)).map_or(Said::Nothing, Said::Service)
            }
        })
    }

    /// Makes the request's commit; `None` when its file says so already.
    pub(super) fn commit(&mut self, request: &CommitRequest) -> Result<Option<Oid>, LocalError> {
        let edit = &request.edit;
        let file = self.file(edit)?;
        let text = values::edit_with(&mut file.outline, &file.text, edit)
            .map_err(|error| refused(edit, &error.to_string()))?;
        if text == file.text {
            return Ok(None);
        }
        self.put(&edit.path, text)?;
        let root = self.directory_object("")?;
        let text = commit::text(request, root, self.head)?;
        let (_, id) = self.objects.add(ObjectType::Commit, &text, None)?;
        self.head = Some(id);
        Ok(Some(id))
    }

    /// All that is new.
    pub(super) fn finish(self) -> Objects {
        for file in self.files.into_values() {
            if let (Some(id), Some(outline)) = (file.id, file.outline) {
                self.outlines.keep(id, outline);
            }
        }
        self.objects
    }

    /// The file that an edit is about, as it is by now. Refused: links and submodules on the way, a directory at the end.
    fn file(&mut self, edit: &ValuesEdit) -> Result<&mut File, LocalError> {
        commit::check_path(&edit.path).map_err(|reason| refused(edit, &reason))?;
        if !self.files.contains_key(&edit.path) {
            let file = match self.locate(edit)? {
                Some((id, mode)) => {
                    let text = self.reader.file(id, &edit.path)?;
                    File {
                        mode,
                        outline: Some(self.outlines.of(id, &text, &edit.prefix)),
                        id: Some(id),
                        newest: None,
                        text,
                    }
                }
                None => File {
                    text: Vec::new(),
                    mode: FILE,
                    outline: None,
                    id: None,
                    newest: None,
                },
            };
            self.files.insert(edit.path.clone(), file);
        }
        let lost = || LocalError::Mirror(git2::Error::from_str("a file was lost"));
        let file = self.files.get_mut(&edit.path).ok_or_else(lost)?;
        match file.id {
            None if !edit.may_create => Err(LocalError::NoFile {
                path: edit.path.clone(),
            }),
            _ => Ok(file),
        }
    }

    fn locate(&mut self, edit: &ValuesEdit) -> Result<Option<(Oid, i32)>, LocalError> {
        let refuse = |what: &str| {
            Err(refused(
                edit,
                &format!("{what}; point the project's path template at a plain file"),
            ))
        };
        let parts: Vec<_> = edit.path.split('/').collect();
        let mut path = String::new();
        for (depth, part) in parts.iter().enumerate() {
            let Some(directory) = self.directory(&path)? else {
                return Ok(None);
            };
            let Some((id, mode)) = directory.get(part) else {
                let names = directory.entries.iter().map(|entry| entry.name.clone());
                return match commit::in_other_case(names, part) {
                    Some(other) => refuse(&commit::case(&parts[..=depth], &other)),
                    None => Ok(None),
                };
            };
            let is_last = depth + 1 == parts.len();
            // Whoever reads it is told the whole path already.
            let here = match is_last {
                true => "it".to_owned(),
                false => parts[..=depth].join("/"),
            };
            match (mode, is_last) {
                (LINK, _) => return refuse(&format!("{here} is a symbolic link")),
                (SUBMODULE, _) => return refuse(&format!("{here} is a submodule")),
                (DIRECTORY, true) => return refuse("it is a directory"),
                (DIRECTORY, false) => path = here,
                (mode, true) => return Ok(Some((id, if mode & 0o100 == 0 { FILE } else { PROGRAM }))),
                (_, false) => return refuse(&format!("{here} is a file, not a directory")),
            }
        }
        Ok(None)
    }

    /// The directory at `path`, read when it wasn't yet; `None` when there is none.
    fn directory(&mut self, path: &str) -> Result<Option<&mut Directory>, LocalError> {
        if !self.directories.contains_key(path) {
            let (parent, name) = split(path);
            let Some((id, DIRECTORY)) = self.directories.get(parent).and_then(|d| d.get(name)) else {
                return Ok(None);
            };
            let read = read_directory(self.reader, id)?;
            self.directories.insert(path.to_owned(), read);
        }
        Ok(self.directories.get_mut(path))
    }

    /// Puts a new version of a file in its place, and new versions of the directories around it.
    fn put(&mut self, path: &str, text: Vec<u8>) -> Result<(), git2::Error> {
        let Some(file) = self.files.get_mut(path) else {
            return Ok(());
        };
        let before = file.newest.map(|place| (place, file.text.as_slice()));
        let (place, id) = self.objects.add(ObjectType::Blob, &text, before)?;
        (file.text, file.newest, file.id) = (text, Some(place), Some(id));
        let (mut id, mut mode, mut path) = (id, file.mode, path);
        while !path.is_empty() {
            let (parent, name) = split(path);
            self.directories
                .entry(parent.to_owned())
                .or_default()
                .set(name, mode, id);
            // The root's object is made once, by the commit.
            if parent.is_empty() {
                break;
            }
            (id, mode, path) = (self.directory_object(parent)?, DIRECTORY, parent);
        }
        Ok(())
    }

    fn directory_object(&mut self, path: &str) -> Result<Oid, git2::Error> {
        let directory = self.directories.entry(path.to_owned()).or_default();
        let bytes = directory.bytes();
        let before = directory.newest.as_ref().map(|v| (v.place, v.bytes.as_slice()));
        let (place, id) = self.objects.add(ObjectType::Tree, &bytes, before)?;
        directory.newest = Some(Version { place, bytes });
        Ok(id)
    }
}

impl Directory {
    fn get(&self, name: &str) -> Option<(Oid, i32)> {
        let entry = self.entries.iter().find(|entry| entry.name == name.as_bytes())?;
        Some((entry.id, entry.mode))
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

fn refused(edit: &ValuesEdit, reason: &str) -> LocalError {
    LocalError::Values {
        path: edit.path.clone(),
        reason: reason.to_owned(),
    }
}

/// What a file says of a service.
enum Said {
    Unreadable,
    Nothing,
    Service(DeclaredService),
}

/// Whether a declaration names an image; by its tag, where it has no digest.
fn says(declared: &DeclaredImage, image: &ExactImage) -> bool {
    declared.repository.as_ref() == Some(&image.repository)
        && match &declared.digest {
            Some(digest) => *digest == image.digest,
            None => declared.tag.is_some() && declared.tag == image.tag,
        }
}
