//! What lies in the mirror's packs as a difference from something large.
//!
//! The header of an object tells its own size; a difference is unpacked by unpacking what it is a difference from, however large that is.
//! So each pack is looked through once, when it is first seen: only at the headers of its entries and the beginnings of its
//! differences. What was found stands in a file beside the mirror's objects. Formats: gitformat-pack(5), versions 2.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use flate2::{Decompress, FlushDecompress, Status, read::ZlibDecoder};
use git2::Oid;

/// What a difference may be from, in bytes, for its object to be read.
pub(super) const LARGEST_BASE: usize = 32 << 20;
/// What a commit of a source repository may be, in bytes.
const LARGEST_COMMIT: usize = 1 << 20;
/// What all of those commits that come at once may be.
const LARGEST_HISTORY: u64 = 2 << 30;
/// Where it stands in the mirror which packs were looked through.
const SEEN: &str = "waybill-packs";
/// Bytes of a name.
const NAME: usize = 20;
/// Compressed bytes after which the beginning of a difference must have been told.
const LONGEST_BEGINNING: u64 = 64 << 10;

/// The objects of the mirror in `directory` that can't be unpacked without something larger than [`LARGEST_BASE`].
pub(super) fn heavy(directory: &Path) -> io::Result<HashSet<Oid>> {
    let (packs, seen) = (directory.join("objects/pack"), directory.join(SEEN));
    let known: HashSet<String> = match fs::read_dir(&seen) {
        Ok(entries) => entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            // Not what somebody else is just writing.
            .filter(|name| name.ends_with(".light") || name.ends_with(".heavy"))
            .collect(),
        Err(_) => HashSet::new(),
    };
    let (mut heavy, mut present) = (HashSet::new(), HashSet::new());
    let entries = match fs::read_dir(&packs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(heavy),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(pack) = name.strip_suffix(".idx") else {
            continue;
        };
        let (light, listed) = (format!("{pack}.light"), format!("{pack}.heavy"));
        present.extend([light.clone(), listed.clone()]);
        if known.contains(&light) {
            continue;
        }
        if known.contains(&listed) {
            let text = fs::read_to_string(seen.join(&listed))?;
            heavy.extend(text.lines().filter_map(|line| Oid::from_str(line).ok()));
            continue;
        }
        let found = match look_through(&packs.join(pack)) {
            // Git may have put it into another one meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        fs::create_dir_all(&seen)?;
        if found.is_empty() {
            fs::write(seen.join(light), "")?;
        } else {
            let text: String = found.iter().map(|id| format!("{id}\n")).collect();
            // Whole or not at all: a server that ends here looks once more.
            let beside = tempfile::NamedTempFile::new_in(&seen)?;
            fs::write(beside.path(), text)?;
            beside.persist(seen.join(listed))?;
            heavy.extend(found);
        }
    }
    for gone in known.difference(&present) {
        // Whoever else looks does the same.
        let _ = fs::remove_file(seen.join(gone));
    }
    Ok(heavy)
}

/// Removes what was received of packs that never became whole. The turn must be held.
pub(super) fn sweep(packs: &Path) -> io::Result<()> {
    for entry in fs::read_dir(packs)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether everything in a pack that came over the network is smaller than [`LARGEST_BASE`], differences unpacked. Nothing is kept of what
/// is unpacked for that. `false` also for what is no pack.
pub(super) fn is_light(pack: &[u8]) -> bool {
    light(pack, LARGEST_BASE, u64::MAX).unwrap_or(false)
}

/// The same of a pack that should hold nothing but commits: each at most of [`LARGEST_COMMIT`], and all of [`LARGEST_HISTORY`] together.
pub(super) fn is_of_commits(pack: &[u8]) -> bool {
    light(pack, LARGEST_COMMIT, LARGEST_HISTORY).unwrap_or(false)
}

fn light(pack: &[u8], largest: usize, altogether: u64) -> io::Result<bool> {
    let Some(count) = pack.get(8..12).and_then(|bytes| bytes.try_into().ok()) else {
        return Ok(false);
    };
    let (mut at, mut total) = (12_usize, 0_u64);
    let mut buffer = vec![0; 16 << 10];
    for _ in 0..u32::from_be_bytes(count) {
        let rest = pack.get(at..).unwrap_or_default();
        let Some(entry) = Entry::read(rest) else {
            return Ok(false);
        };
        if entry.size > largest {
            return Ok(false);
        }
        let mut decoder = ZlibDecoder::new(rest.get(entry.head..).unwrap_or_default());
        let (mut unpacked, mut sizes) = (0, Vec::new());
        loop {
            let read = decoder.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            unpacked += read;
            // A header that says less than follows.
            if unpacked > largest {
                return Ok(false);
            }
            if sizes.len() < Difference::LONGEST {
                sizes.extend_from_slice(&buffer[..read.min(Difference::LONGEST)]);
            }
        }
        let becomes = match entry.base {
            Some(_) => Difference::read(&sizes).map_or(usize::MAX, |difference| difference.from.max(difference.to)),
            None => unpacked,
        };
        total = total.saturating_add(becomes as u64);
        if becomes > largest || total > altogether {
            return Ok(false);
        }
        let Ok(length) = usize::try_from(decoder.total_in()) else {
            return Ok(false);
        };
        at += entry.head + length;
    }
    Ok(true)
}

/// The beginning of an entry of a pack.
struct Entry {
    /// Bytes of it before what is compressed.
    head: usize,
    /// Of the object, or of the difference.
    size: usize,
    /// For a difference: from what.
    base: Option<Base>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Base {
    /// From the entry so many bytes before.
    Before(u64),
    Named(Oid),
}

impl Entry {
    /// Of the bytes at an entry's place; `None` for what is no entry.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut head = 1;
        let first = *bytes.first()?;
        let (mut size, mut shift, mut byte) = (usize::from(first & 15), 4, first);
        while byte & 0x80 != 0 {
            byte = *bytes.get(head)?;
            head += 1;
            let part = usize::from(byte & 0x7f);
            size |= part.checked_shl(shift).filter(|_| shift < 57)?;
            shift += 7;
        }
        let base = match (first >> 4) & 7 {
            1..=4 => None,
            6 => {
                let mut byte = *bytes.get(head)?;
                head += 1;
                let mut back = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = *bytes.get(head)?;
                    head += 1;
                    back = back.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
                }
                Some(Base::Before(back))
            }
            7 => {
                let name = bytes.get(head..head + NAME)?;
                head += NAME;
                Some(Base::Named(Oid::from_bytes(name).ok()?))
            }
            _ => return None,
        };
        Some(Self { head, size, base })
    }
}

/// The beginning of a difference: what it is from, and what it makes of it, in bytes.
struct Difference {
    from: usize,
    to: usize,
}

impl Difference {
    /// Two numbers of up to ten bytes.
    const LONGEST: usize = 20;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = bytes.iter();
        let mut number = || {
            let (mut number, mut shift) = (0_usize, 0_u32);
            loop {
                let byte = *bytes.next()?;
                number |= usize::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 57)?;
                shift += 7;
                if byte & 0x80 == 0 {
                    return Some(number);
                }
            }
        };
        Some(Self {
            from: number()?,
            to: number()?,
        })
    }

    fn is_heavy(&self) -> bool {
        self.from > LARGEST_BASE || self.to > LARGEST_BASE
    }
}

/// A pack and its index.
struct Pack {
    pack: File,
    index: File,
    /// Places of the entries, in the order of their names.
    places: Vec<u64>,
}

impl Pack {
    fn open(path: &Path) -> io::Result<Self> {
        let odd = || {
            io::Error::other(format!(
                "{} is no index of a pack",
                path.with_extension("idx").display()
            ))
        };
        let index = File::open(path.with_extension("idx"))?;
        let mut head = [0; 8];
        index.read_exact_at(&mut head, 0)?;
        if head != *b"\xfftOc\0\0\0\x02" {
            return Err(odd());
        }
        let count = number(&index, 8 + 255 * 4)?;
        let names = 8 + 256 * 4;
        let places_at = names + u64::from(count) * (NAME as u64 + 4);
        let length = index.metadata()?.len();
        if length < places_at + u64::from(count) * 4 {
            return Err(odd());
        }
        let mut bytes = vec![0; count as usize * 4];
        index.read_exact_at(&mut bytes, places_at)?;
        let mut places = Vec::with_capacity(count as usize);
        for place in bytes.as_chunks::<4>().0 {
            let place = u32::from_be_bytes(*place);
            places.push(match place.checked_sub(1 << 31) {
                None => u64::from(place),
                // Beyond two gigabytes: the number of a place of eight bytes.
                Some(row) => {
                    let at = places_at + u64::from(count) * 4 + u64::from(row) * 8;
                    (u64::from(number(&index, at)?) << 32) | u64::from(number(&index, at + 4)?)
                }
            });
        }
        Ok(Self {
            pack: File::open(path.with_extension("pack"))?,
            index,
            places,
        })
    }

    /// The name of an entry by its row in the index.
    fn name(&self, row: usize) -> io::Result<Oid> {
        let mut name = [0; NAME];
        self.index.read_exact_at(&mut name, 8 + 256 * 4 + (row * NAME) as u64)?;
        Oid::from_bytes(&name).map_err(io::Error::other)
    }

    fn entry(&self, place: u64) -> io::Result<Entry> {
        let mut bytes = [0; 64];
        let read = read_at(&self.pack, &mut bytes, place)?;
        Entry::read(&bytes[..read]).ok_or_else(|| io::Error::other("an entry of a pack can't be read"))
    }

    /// Whether the difference at `place` is from something large, or makes something large. What doesn't say so soon counts as large.
    fn is_heavy(&self, place: u64, entry: &Entry, inflater: &mut Decompress) -> io::Result<bool> {
        inflater.reset(true);
        let (mut at, end) = (place + entry.head as u64, place + LONGEST_BEGINNING);
        let (mut compressed, mut sizes) = ([0; 1024], Vec::with_capacity(Difference::LONGEST));
        while at < end {
            let read = read_at(&self.pack, &mut compressed, at)?;
            let before = inflater.total_in();
            let status = inflater.decompress_vec(&compressed[..read], &mut sizes, FlushDecompress::Sync);
            let taken = inflater.total_in() - before;
            if let Some(difference) = Difference::read(&sizes) {
                return Ok(difference.is_heavy());
            }
            if taken == 0 || !matches!(status, Ok(Status::Ok)) {
                break;
            }
            at += taken;
        }
        Ok(true)
    }
}

/// The heavy ones of a pack; `path` is without an extension.
fn look_through(path: &Path) -> io::Result<HashSet<Oid>> {
    let pack = Pack::open(path)?;
    let mut inflater = Decompress::new(true);
    let mut rows: Vec<usize> = (0..pack.places.len()).collect();
    rows.sort_unstable_by_key(|row| pack.places[*row]);
    let mut heavy = HashSet::new();
    for row in &rows {
        let place = pack.places[*row];
        let entry = pack.entry(place)?;
        if entry.base.is_some() && pack.is_heavy(place, &entry, &mut inflater)? {
            heavy.insert(*row);
        }
    }
    if heavy.is_empty() {
        return Ok(HashSet::new());
    }
    // Differences from those are heavy as well, and so on.
    let by_place: HashMap<u64, usize> = rows.iter().map(|row| (pack.places[*row], *row)).collect();
    let mut above: HashMap<Base, Vec<usize>> = HashMap::new();
    for row in &rows {
        let place = pack.places[*row];
        let from = match pack.entry(place)?.base {
            Some(Base::Before(back)) => {
                let from = place.checked_sub(back).and_then(|place| by_place.get(&place));
                Base::Named(match from {
                    Some(row) => pack.name(*row)?,
                    None => continue,
                })
            }
            Some(named) => named,
            None => continue,
        };
        above.entry(from).or_default().push(*row);
    }
    let mut open: Vec<usize> = heavy.iter().copied().collect();
    while let Some(row) = open.pop() {
        for above in above.get(&Base::Named(pack.name(row)?)).into_iter().flatten() {
            if heavy.insert(*above) {
                open.push(*above);
            }
        }
    }
    heavy.into_iter().map(|row| pack.name(row)).collect()
}

fn number(file: &File, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_be_bytes(bytes))
}

/// As many bytes as there are, up to all of `bytes`.
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], at + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::ZlibEncoder};
    use git2::{ObjectType, Repository};
    use sha1::{Digest as _, Sha1};
    use std::io::Write as _;

    /// A pack of entries: kind, size as its head says it, what stands between head and content, content.
    fn pack(entries: &[(u8, usize, Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend_from_slice(&u32::try_from(entries.len()).unwrap().to_be_bytes());
        for (kind, size, base, content) in entries {
            let (mut byte, mut rest) = ((kind << 4) | (size & 15) as u8, size >> 4);
            while rest > 0 {
                pack.push(byte | 0x80);
                byte = (rest & 0x7f) as u8;
                rest >>= 7;
            }
            pack.push(byte);
            pack.extend_from_slice(base);
            let mut encoder = ZlibEncoder::new(pack, Compression::fast());
            encoder.write_all(content).unwrap();
            pack = encoder.finish().unwrap();
        }
        let sum = Sha1::digest(&pack);
        pack.extend_from_slice(&sum);
        pack
    }

    /// The difference that makes `to` of anything of size `from`.
    fn difference(from: usize, to: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mut size in [from, to.len()] {
            while size > 0x7f {
                bytes.push((size & 0x7f) as u8 | 0x80);
                size >>= 7;
            }
            bytes.push(size as u8);
        }
        bytes.push(u8::try_from(to.len()).unwrap());
        bytes.extend_from_slice(to);
        bytes
    }

    fn blob(content: Vec<u8>) -> (u8, usize, Vec<u8>, Vec<u8>) {
        (3, content.len(), Vec::new(), content)
    }

    fn named(of: Oid, content: Vec<u8>) -> (u8, usize, Vec<u8>, Vec<u8>) {
        (7, content.len(), of.as_bytes().to_vec(), content)
    }

    fn name(content: &[u8]) -> Oid {
        Oid::hash_object(ObjectType::Blob, content).unwrap()
    }

    #[test]
    fn differences_from_large_ones_and_from_those_are_heavy() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path()).unwrap();
        let large = vec![0; LARGEST_BASE + 1];
        let small = b"small".to_vec();
        let bytes = pack(&[
            blob(small.clone()),
            // The one above comes first: it may.
            named(name(b"one"), difference(3, b"two")),
            named(name(&large), difference(large.len(), b"one")),
            blob(large.clone()),
            named(name(&small), difference(5, b"light")),
        ]);
        assert!(!is_light(&bytes));
        let database = repository.odb().unwrap();
        let mut writer = database.packwriter().unwrap();
        writer.write_all(&bytes).unwrap();
        writer.commit().unwrap();
        assert!(repository.odb().unwrap().exists(name(b"two")));
        let wanted = HashSet::from([name(b"one"), name(b"two")]);
        assert_eq!(heavy(directory.path()).unwrap(), wanted);
        assert_eq!(heavy(directory.path()).unwrap(), wanted, "as it was written down");
        let written = fs::read_dir(directory.path().join(SEEN)).unwrap().count();
        assert_eq!(written, 1);
        fs::remove_dir_all(directory.path().join("objects/pack")).unwrap();
        fs::create_dir(directory.path().join("objects/pack")).unwrap();
        assert_eq!(heavy(directory.path()).unwrap(), HashSet::new());
        assert_eq!(fs::read_dir(directory.path().join(SEEN)).unwrap().count(), 0);
    }

    #[test]
    fn what_comes_over_the_network_is_light_only_when_all_of_it_is() {
        let small = b"small".to_vec();
        let light = pack(&[blob(small.clone()), named(name(&small), difference(5, b"light"))]);
        assert!(is_light(&light));
        assert!(is_light(&pack(&[])));
        assert!(!is_light(&pack(&[blob(vec![0; LARGEST_BASE + 1])])));
        assert!(!is_light(&pack(&[named(
            name(&small),
            difference(LARGEST_BASE + 1, b"x")
        )])));
        // A head that says less than follows, and what is cut or no pack.
        assert!(!is_light(&pack(&[(3, 5, Vec::new(), vec![0; LARGEST_BASE + 1])])));
        assert!(!is_light(&light[..light.len() - 25]) && !is_light(b"") && !is_light(b"PACK"));
        // The size of a difference may be put off by empty pieces.
        for end in 0..light.len() {
            let _ = is_light(&light[..end]);
        }
    }
}
