//! What belongs to an image: every manifest that its index names, however deep, and every blob that those name, each once.
//!
//! A walk over a reader of manifests, level by level. Nothing is left out quietly: an entry that the source lacks ends the walk with its
//! name, and so does what can't be copied by digest. Only layers that their registry may not pass on may stay behind, since those who run
//! the image get them elsewhere; the addresses that a manifest names for them are never asked.

use super::{
    CopyError,
    document::{self, Document},
};
use async_trait::async_trait;
use domain::artifact::Digest;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hyper::body::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How deep indexes may lie in indexes.
const MOST_LEVELS: usize = 8;
/// Asked for at the same time.
pub(super) const PARALLEL: usize = 8;

/// A manifest as it was served.
#[derive(Clone, Debug)]
pub(in super::super) struct Raw {
    pub(super) digest: Digest,
    /// `Content-Type` without parameters.
    pub(super) kind: Option<String>,
    pub(super) bytes: Bytes,
}

impl Raw {
    /// The media type to put it with: that with which it was served. What no other part of Waybill can read is put all the same.
    pub(super) fn kind_to_put(&self) -> String {
        let served = self.kind.as_deref();
        match document::read(&self.bytes) {
            Ok(document) => document.kind(served).to_owned(),
            Err(_) => served.unwrap_or(document::MANIFEST).to_owned(),
        }
    }
}

/// How large a registry says that a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Not,
    /// Of so many bytes; `None` when it doesn't say.
    OfSize(Option<u64>),
}

impl Held {
    /// Whether it is there, as large as it should be.
    pub(super) fn is(self, size: u64) -> bool {
        match self {
            Self::Not => false,
            Self::OfSize(held) => held.is_none_or(|held| held == size),
        }
    }
}

/// Reads manifests by digest.
#[async_trait]
pub(super) trait Manifests: Send + Sync {
    /// The manifest, whose bytes are what its digest says; `None` when there is none.
    async fn manifest(&self, digest: &Digest) -> Result<Option<Raw>, CopyError>;
    /// Whether a blob is there.
    async fn blob(&self, digest: &Digest) -> Result<Held, CopyError>;
    /// The repository, for errors.
    fn repository(&self) -> &str;
}

/// How much an image may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Manifests and indexes.
    pub(super) nodes: usize,
    /// Bytes of all blobs.
    pub(super) bytes: u64,
    /// Bytes of all manifests, which are kept in memory.
    pub(super) manifest_bytes: usize,
}

/// A manifest or index of an image.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) digest: Digest,
    /// The media type to push it with.
    pub(super) kind: String,
    pub(super) bytes: Bytes,
    pub(super) document: Document,
    /// Entries that are manifests.
    children: Vec<Digest>,
}

/// A blob of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// All that an image consists of.
#[derive(Debug, Default)]
pub(super) struct Closure {
    pub(super) nodes: BTreeMap<Digest, Node>,
    pub(super) blobs: BTreeMap<Digest, Blob>,
    /// What stays behind, a sentence each.
    pub(super) left_out: Vec<String>,
    pub(super) bytes: u64,
    pub(super) manifest_bytes: usize,
}

/// An entry of an index that is still to be read.
struct Entry {
    digest: Digest,
    size: u64,
    /// As errors name it.
    name: String,
    /// Whether it can't be anything but a manifest.
    is_manifest: bool,
    withdrawn: bool,
}

/// What an entry turned out to be.
enum Found {
    Node(Raw),
    Blob,
}

impl Closure {
    /// Walks from a digest. The walk reads what `known` (read before) doesn't give.
    pub(super) async fn walk(
        reader: &dyn Manifests,
        root: &Digest,
        known: Option<Raw>,
        bounds: Bounds,
    ) -> Result<Self, CopyError> {
        let mut closure = Self::default();
        let first = match known {
            Some(raw) => raw,
            None => match reader.manifest(root).await? {
                Some(raw) => raw,
                None => return Err(missing(reader, format!("the image {root}"))),
            },
        };
        let mut absent = BTreeMap::new();
        let mut next = closure.add(first, bounds, &mut absent)?;
        let mut levels = 1;
        while !next.is_empty() {
            levels += 1;
            if levels > MOST_LEVELS {
                return Err(CopyError::Unfit(format!(
                    "{root} has indexes in indexes with more than {MOST_LEVELS} levels, which Waybill doesn't copy."
                )));
            }
            let mut seen = HashSet::new();
            next.retain(|entry| !closure.nodes.contains_key(&entry.digest) && seen.insert(entry.digest.clone()));
            if closure.nodes.len() + next.len() > bounds.nodes {
                return Err(CopyError::Unfit(format!(
                    "{root} names more than {} manifests, which Waybill doesn't copy.",
                    bounds.nodes
                )));
            }
            let found: Vec<(Entry, Found)> = stream::iter(next)
                .map(|entry| async move {
                    let found = find(reader, &entry).await?;
                    Ok::<_, CopyError>((entry, found))
                })
                .buffered(PARALLEL)
                .try_collect()
                .await?;
            next = Vec::new();
            for (entry, found) in found {
                match found {
                    Found::Node(raw) => next.extend(closure.add(raw, bounds, &mut absent)?),
                    Found::Blob => closure.add_blob(entry.digest, entry.size, bounds)?,
                }
            }
        }
        closure.look_for(reader, absent, bounds).await?;
        closure.keep_children();
        Ok(closure)
    }

    /// Adds a manifest; what comes back is still to be read.
    fn add(&mut self, raw: Raw, bounds: Bounds, absent: &mut BTreeMap<Digest, u64>) -> Result<Vec<Entry>, CopyError> {
        let Raw { digest, kind, bytes } = raw;
        let unfit = |reason: String| CopyError::Unfit(format!("{digest} can't be copied by digest: it is {reason}."));
        if kind.as_deref().is_some_and(document::is_withdrawn) {
            return Err(unfit(
                "a manifest of the withdrawn schema 1. Push the image again with a current tool".into(),
            ));
        }
        let document = document::read(&bytes).map_err(unfit)?;
        self.manifest_bytes += bytes.len();
        if self.manifest_bytes > bounds.manifest_bytes {
            return Err(unfit(format!(
                "one of manifests that have more than {} bytes together",
                bounds.manifest_bytes
            )));
        }
        let named = |digest: Result<Digest, String>| {
            digest.map_err(|_| unfit("a manifest that names something by no SHA-256 digest".into()))
        };
        let mut entries = Vec::new();
        for entry in document.manifests.iter().flatten() {
            let of = named(entry.digest())?;
            let shown = entry.platform().and_then(super::super::manifest::Platform::shown);
            entries.push(Entry {
                name: match shown {
                    Some(platform) => format!("{platform} ({of}), which the index {digest} names"),
                    None => format!("{of}, which the index {digest} names"),
                },
                size: entry.size,
                is_manifest: document::is_manifest(&entry.media_type),
                withdrawn: document::is_withdrawn(&entry.media_type),
                digest: of,
            });
        }
        if let Some(entry) = entries.iter().find(|entry| entry.withdrawn) {
            let of = &entry.digest;
            return Err(unfit(format!(
                "an index with {of}, a manifest of the withdrawn schema 1. Push the image again with a current tool"
            )));
        }
        let mut blobs = Vec::new();
        for blob in document.blobs() {
            let of = named(blob.digest())?;
            match document::may_be_absent(&blob.media_type) {
                true => drop(absent.insert(of, blob.size)),
                false => blobs.push((of, blob.size)),
            }
        }
        for (of, size) in blobs {
            self.add_blob(of, size, bounds)?;
        }
        let node = Node {
            kind: document.kind(kind.as_deref()).to_owned(),
            children: entries.iter().map(|entry| entry.digest.clone()).collect(),
            digest: digest.clone(),
            bytes,
            document,
        };
        self.nodes.insert(digest, node);
        Ok(entries)
    }

    fn add_blob(&mut self, digest: Digest, size: u64, bounds: Bounds) -> Result<(), CopyError> {
        if self.blobs.contains_key(&digest) {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > bounds.bytes {
            return Err(CopyError::Unfit(format!(
                "The image has more than {} of layers, the most that Waybill copies. Copy it with another tool, then promote it again.",
                gib(bounds.bytes)
            )));
        }
        self.blobs.insert(digest.clone(), Blob { digest, size });
        Ok(())
    }

    /// Takes of the layers that may be absent those that are there.
    async fn look_for(
        &mut self,
        reader: &dyn Manifests,
        absent: BTreeMap<Digest, u64>,
        bounds: Bounds,
    ) -> Result<(), CopyError> {
        for (digest, size) in absent {
            if self.blobs.contains_key(&digest) {
                continue;
            }
            match reader.blob(&digest).await? {
                Held::OfSize(_) => self.add_blob(digest, size, bounds)?,
                Held::Not => self.left_out.push(format!(
                    "The layer {digest} may not be passed on, and {} doesn't hold it. Who runs the image gets the layer elsewhere.",
                    reader.repository()
                )),
            }
        }
        Ok(())
    }

    /// Entries that turned out to be blobs are no children.
    fn keep_children(&mut self) {
        let known: BTreeSet<Digest> = self.nodes.keys().cloned().collect();
        for node in self.nodes.values_mut() {
            node.children.retain(|child| known.contains(child));
        }
    }

    /// The manifests in the order in which they are to be pushed: those of one step may go at the same time, and each step names only what
    /// went before.
    pub(super) fn steps(&self) -> Vec<Vec<&Node>> {
        let (mut steps, mut done) = (Vec::new(), BTreeSet::new());
        while done.len() < self.nodes.len() {
            let step: Vec<&Node> = (self.nodes.values())
                .filter(|node| !done.contains(&node.digest))
                .filter(|node| node.children.iter().all(|child| done.contains(child)))
                .collect();
            if step.is_empty() {
                // Only a digest that names itself could do this.
                break;
            }
            done.extend(step.iter().map(|node| node.digest.clone()));
            steps.push(step);
        }
        steps
    }
}

/// Reads an entry: what isn't certainly a manifest may be a blob.
async fn find(reader: &dyn Manifests, entry: &Entry) -> Result<Found, CopyError> {
    match reader.manifest(&entry.digest).await? {
        Some(raw) => Ok(Found::Node(raw)),
        None if !entry.is_manifest && reader.blob(&entry.digest).await? != Held::Not => Ok(Found::Blob),
        None => Err(missing(reader, entry.name.clone())),
    }
}

fn missing(reader: &dyn Manifests, what: String) -> CopyError {
    CopyError::Missing {
        repository: reader.repository().to_owned(),
        what,
    }
}

fn gib(bytes: u64) -> String {
    const GIB: u64 = 1024 * 1024 * 1024;
    match bytes {
        bytes if bytes >= GIB => format!("{} GiB", bytes / GIB),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::client::sha256, *};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    const BOUNDS: Bounds = Bounds {
        nodes: 10,
        bytes: 1000,
        manifest_bytes: 100_000,
    };
    const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

    #[derive(Default)]
    struct Source {
        manifests: BTreeMap<Digest, String>,
        blobs: BTreeSet<Digest>,
    }

    #[async_trait]
    impl Manifests for Source {
        async fn manifest(&self, digest: &Digest) -> Result<Option<Raw>, CopyError> {
            Ok(self.manifests.get(digest).map(|text| Raw {
                digest: digest.clone(),
                kind: None,
                bytes: Bytes::from(text.clone()),
            }))
        }

        async fn blob(&self, digest: &Digest) -> Result<Held, CopyError> {
            Ok(match self.blobs.contains(digest) {
                true => Held::OfSize(None),
                false => Held::Not,
            })
        }

        fn repository(&self) -> &'static str {
            "reg.example/api"
        }
    }

    fn digest(text: &str) -> Digest {
        sha256(text.as_bytes()).unwrap()
    }

    fn blob(kind: &str, text: &str) -> Value {
        json!({"mediaType": kind, "digest": digest(text), "size": text.len()})
    }

    impl Source {
        fn put(&mut self, kind: &str, value: &Value) -> Value {
            let text = value.to_string();
            let of = digest(&text);
            let descriptor = json!({"mediaType": kind, "digest": of, "size": text.len()});
            self.manifests.insert(of, text);
            descriptor
        }

        fn image(&mut self, layers: &[Value]) -> Value {
            let value = json!({"schemaVersion": 2, "config": blob("c", "{}"), "layers": layers});
            self.put(document::MANIFEST, &value)
        }

        fn index(&mut self, entries: &[&Value]) -> Value {
            self.put(document::INDEX, &json!({"schemaVersion": 2, "manifests": entries}))
        }

        async fn walk(&self, root: &Value, bounds: Bounds) -> Result<Closure, CopyError> {
            let root = root["digest"].as_str().unwrap().parse().unwrap();
            Closure::walk(self, &root, None, bounds).await
        }
    }

    fn texts(closure: &Closure) -> Vec<u64> {
        let mut sizes: Vec<u64> = closure.blobs.values().map(|blob| blob.size).collect();
        sizes.sort_unstable();
        sizes
    }

    #[tokio::test]
    async fn every_entry_counts_whatever_it_is_and_each_blob_once() {
        let mut source = Source::default();
        let (one, two) = (
            source.image(&[blob("l", "shared"), blob("l", "x")]),
            source.image(&[blob("l", "shared")]),
        );
        let layer = blob("application/vnd.oci.image.layer.v1.tar", "a layer");
        source.blobs.insert(digest("a layer"));
        let mut odd = source.image(&[blob("l", "four")]);
        odd["mediaType"] = "application/x".into();
        let inner = source.index(&[&two, &one]);
        let root = source.index(&[&one, &inner, &layer, &odd]);
        let closure = source.walk(&root, BOUNDS).await.unwrap();
        assert_eq!(closure.nodes.len(), 5);
        assert_eq!(texts(&closure), [1, 2, 4, 6, 7]);
        let steps: Vec<usize> = closure.steps().iter().map(Vec::len).collect();
        assert_eq!(steps, [3, 1, 1], "images, the inner index, the outer one");
    }

    #[tokio::test]
    async fn an_entry_that_the_source_lacks_is_named() {
        let mut source = Source::default();
        let mut gone = blob(document::MANIFEST, "gone");
        gone["platform"] = json!({"os": "linux", "architecture": "s390x"});
        let root = source.index(&[&gone]);
        let error = source.walk(&root, BOUNDS).await.unwrap_err().to_string();
        let want = format!("linux/s390x ({}), which the index", digest("gone"));
        assert!(error.contains(&want) && error.contains("reg.example/api"), "{error}");
        let odd = blob("application/x", "gone too");
        let root = source.index(&[&odd]);
        assert!(matches!(
            source.walk(&root, BOUNDS).await,
            Err(CopyError::Missing { .. })
        ));
    }

    #[tokio::test]
    async fn a_layer_that_may_not_be_passed_on_goes_along_when_it_is_there() {
        let mut source = Source::default();
        source.blobs.insert(digest("here"));
        let root = source.image(&[blob(FOREIGN, "here"), blob(FOREIGN, "not here")]);
        let closure = source.walk(&root, BOUNDS).await.unwrap();
        assert_eq!(texts(&closure), [2, 4]);
        assert_eq!(closure.left_out.len(), 1);
        assert!(closure.left_out[0].contains(digest("not here").as_str()));
    }

    #[tokio::test]
    async fn what_is_too_much_or_too_old_is_refused_with_a_sentence() {
        let mut source = Source::default();
        let root = source.image(&[blob("l", &"x".repeat(999))]);
        let error = source.walk(&root, BOUNDS).await.unwrap_err().to_string();
        assert!(error.contains("more than 1000 bytes"), "{error}");

        let images: Vec<Value> = (0..10).map(|n| source.image(&[blob("l", &n.to_string())])).collect();
        let root = source.index(&images.iter().collect::<Vec<_>>());
        let error = source.walk(&root, BOUNDS).await.unwrap_err().to_string();
        assert!(error.contains("more than 10 manifests"), "{error}");

        let mut root = source.image(&[]);
        for _ in 0..MOST_LEVELS {
            root = source.index(&[&root]);
        }
        let error = source.walk(&root, BOUNDS).await.unwrap_err().to_string();
        assert!(error.contains("more than 8 levels"), "{error}");

        let root = source.put("x", &json!({"schemaVersion": 1, "fsLayers": []}));
        let error = source.walk(&root, BOUNDS).await.unwrap_err().to_string();
        assert!(error.contains("schema 1"), "{error}");
        let old = blob("application/vnd.docker.distribution.manifest.v1+prettyjws", "old");
        let root = source.index(&[&old]);
        let error = source.walk(&root, BOUNDS).await.unwrap_err().to_string();
        assert!(error.contains("schema 1"), "{error}");
    }
}
