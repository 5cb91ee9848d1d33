//! Objects for the mirror: a few as single files, many as one pack.
//!
//! A thousand commits are several thousand objects. As files they cost a file each, here and in every later look; as a pack
//! they cost two files, and `git push` sends what lies in it as it lies there. Each new version of a file or directory
//! is written as its difference from the version before: a tag and a digest, not the whole file again.

use std::{collections::HashMap, io::Write as _};

use flate2::{Compression, write::ZlibEncoder};
use git2::{ObjectType, Oid, Repository};
use sha1::{Digest as _, Sha1};

/// Differences upon differences are slow to read, and `git push` makes longer rows shorter by itself.
const LONGEST_ROW: u32 = 40;

/// Objects that are not in the mirror yet.
#[derive(Debug)]
pub(super) struct Objects {
    /// Whether differences are written; not when the objects become single files.
    packed: bool,
    list: Vec<Object>,
    /// Their places by name: none is written twice.
    places: HashMap<Oid, usize>,
}

#[derive(Debug)]
struct Object {
    kind: ObjectType,
    body: Body,
    /// Differences below it.
    row: u32,
}

#[derive(Debug)]
enum Body {
    Whole(Vec<u8>),
    /// The object it builds on, and what differs.
    Difference(usize, Vec<u8>),
}

impl Objects {
    /// For one pack, or for single files.
    pub(super) fn new(packed: bool) -> Self {
        Self {
            packed,
            list: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Adds an object; `before` is an earlier version of it among these, with its bytes. Returns its place and its name.
    pub(super) fn add(
        &mut self,
        kind: ObjectType,
        bytes: &[u8],
        before: Option<(usize, &[u8])>,
    ) -> Result<(usize, Oid), git2::Error> {
        let id = Oid::hash_object(kind, bytes)?;
        if let Some(place) = self.places.get(&id) {
            return Ok((*place, id));
        }
        let row = before
            .and_then(|(place, _)| self.list.get(place))
            .map_or(0, |o| o.row + 1);
        let (body, row) = match before {
            Some((place, old)) if self.packed && row <= LONGEST_ROW => {
                (Body::Difference(place, difference(old, bytes)), row)
            }
            _ => (Body::Whole(bytes.to_vec()), 0),
        };
        let place = self.list.len();
        self.list.push(Object { kind, body, row });
        self.places.insert(id, place);
        Ok((place, id))
    }

    /// Puts them into the mirror.
    pub(super) fn write(&self, repository: &Repository) -> Result<(), git2::Error> {
        if self.packed {
            return keep(repository, &self.pack()?);
        }
        let odb = repository.odb()?;
        for object in &self.list {
            if let Body::Whole(bytes) = &object.body {
                odb.write(object.kind, bytes)?;
            }
        }
        Ok(())
    }

    /// The pack's bytes: gitformat-pack(5), version 2.
    pub(super) fn pack(&self) -> Result<Vec<u8>, git2::Error> {
        self.packed().map_err(unwritten)
    }

    fn packed(&self) -> std::io::Result<Vec<u8>> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        let count = u32::try_from(self.list.len()).map_err(std::io::Error::other)?;
        pack.extend_from_slice(&count.to_be_bytes());
        let mut places = Vec::with_capacity(self.list.len());
        for object in &self.list {
            let start = pack.len();
            places.push(start);
            let (kind, bytes) = match &object.body {
                Body::Difference(_, bytes) => (6, bytes),
                Body::Whole(bytes) => match object.kind {
                    ObjectType::Commit => (1, bytes),
                    ObjectType::Tree => (2, bytes),
                    _ => (3, bytes),
                },
            };
            head(&mut pack, kind, bytes.len());
            if let Body::Difference(base, _) = &object.body {
                // An object builds on an earlier one.
                back(&mut pack, start - places[*base]);
            }
            let mut encoder = ZlibEncoder::new(pack, Compression::fast());
            encoder.write_all(bytes)?;
            pack = encoder.finish()?;
        }
        let sum = Sha1::digest(&pack);
        pack.extend_from_slice(&sum);
        Ok(pack)
    }
}

/// Puts a pack into the mirror.
pub(super) fn keep(repository: &Repository, pack: &[u8]) -> Result<(), git2::Error> {
    let odb = repository.odb()?;
    let mut writer = odb.packwriter()?;
    writer.write_all(pack).map_err(unwritten)?;
    writer.commit()?;
    Ok(())
}

fn unwritten(error: std::io::Error) -> git2::Error {
    git2::Error::from_str(&format!("the pack could not be written: {error}"))
}

/// An object's kind and size: four bits of size, then seven at a time.
fn head(pack: &mut Vec<u8>, kind: u8, size: usize) {
    let mut byte = (kind << 4) | (size & 15) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        pack.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    pack.push(byte);
}

/// How far back the base lies: seven bits at a time, the highest first, each step counting from one.
fn back(pack: &mut Vec<u8>, distance: usize) {
    let mut bytes = vec![(distance & 0x7f) as u8];
    let mut rest = distance >> 7;
    while rest > 0 {
        rest -= 1;
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.reverse();
    pack.extend_from_slice(&bytes);
}

/// What makes `new` of `old`: the same beginning, something of its own, the same end.
fn difference(old: &[u8], new: &[u8]) -> Vec<u8> {
    let beginning = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[beginning..], &new[beginning..]);
    let end = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let mut out = Vec::new();
    for mut size in [old.len(), new.len()] {
        while size > 0x7f {
            out.push((size & 0x7f) as u8 | 0x80);
            size >>= 7;
        }
        out.push(size as u8);
    }
    copy(&mut out, 0, beginning);
    for own in new_rest[..new_rest.len() - end].chunks(0x7f) {
        out.push(own.len() as u8);
        out.extend_from_slice(own);
    }
    copy(&mut out, old.len() - end, end);
    out
}

fn copy(out: &mut Vec<u8>, mut from: usize, mut length: usize) {
    while length > 0 {
        let part = length.min(0xffff);
        let at = out.len();
        out.push(0x80);
        for (bit, byte) in [from, from >> 8, from >> 16, from >> 24, part, part >> 8]
            .into_iter()
            .enumerate()
        {
            let byte = (byte & 0xff) as u8;
            if byte != 0 {
                out[at] |= 1 << bit;
                out.push(byte);
            }
        }
        from += part;
        length -= part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path()).unwrap();
        let mut objects = Objects::new(true);
        let mut text: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let mut before: Option<(usize, Vec<u8>)> = None;
        let mut wanted = Vec::new();
        for n in 0..100_usize {
            match n % 4 {
                0 => text[n * 1_900] = b'x',
                1 => drop(text.splice(n * 100..n * 100 + 7, std::iter::repeat_n(b'y', 300))),
                2 => text.truncate(text.len() - 3),
                _ => text.splice(0..0, *b"head").for_each(drop),
            }
            let base = before.as_ref().map(|(place, old)| (*place, old.as_slice()));
            let (place, id) = objects.add(ObjectType::Blob, &text, base).unwrap();
            wanted.push((id, text.clone()));
            before = Some((place, text.clone()));
        }
        objects.write(&repository).unwrap();
        let packs = std::fs::read_dir(directory.path().join("objects/pack")).unwrap();
        assert_eq!(packs.count(), 2, "a pack and its index");
        let repository = Repository::open_bare(directory.path()).unwrap();
        for (id, bytes) in wanted {
            assert_eq!(repository.find_blob(id).unwrap().content(), bytes);
        }
    }

    #[test]
    fn nothing_and_the_same_have_a_difference_too() {
        for (old, new) in [
            ("", ""),
            ("", "a"),
            ("a", ""),
            ("aaaa", "aaa"),
            ("aba", "ababa"),
            ("same", "same"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let repository = Repository::init_bare(directory.path()).unwrap();
            let mut objects = Objects::new(true);
            let (base, _) = objects.add(ObjectType::Blob, old.as_bytes(), None).unwrap();
            let (_, id) = objects
                .add(ObjectType::Blob, new.as_bytes(), Some((base, old.as_bytes())))
                .unwrap();
            objects.write(&repository).unwrap();
            assert_eq!(
                repository.find_blob(id).unwrap().content(),
                new.as_bytes(),
                "{old:?} → {new:?}"
            );
        }
    }
}
