//! The proof: what was to be copied is read again at the target, after its last push.
//!
//! Every manifest comes back byte for byte, and every blob has its size. Lists and tags were read by whoever wrote them (`tags`).

use super::{
    CopyError,
    closure::{Blob, Closure, Manifests as _, Node},
    end::End,
};
use domain::artifact::Digest;
use futures::{StreamExt as _, TryStreamExt as _, stream, try_join};
use std::collections::{BTreeMap, BTreeSet};

/// Asked for at the same time, of manifests and of blobs.
const PARALLEL: usize = 16;

/// What is to be there.
pub(super) struct Expected<'a> {
    pub(super) closures: Vec<&'a Closure>,
    /// Manifests that may have been merged into another one under their tag.
    pub(super) tagged: BTreeSet<&'a Digest>,
}

impl<'a> Expected<'a> {
    /// An image alone.
    pub(super) fn of(image: &'a Closure) -> Self {
        Self {
            closures: vec![image],
            tagged: BTreeSet::new(),
        }
    }

    fn nodes(&self) -> BTreeMap<&'a Digest, &'a Node> {
        let all = self.closures.iter().flat_map(|closure| &closure.nodes);
        all.filter(|(digest, _)| !self.tagged.contains(digest)).collect()
    }

    fn blobs(&self) -> BTreeMap<&'a Digest, &'a Blob> {
        self.closures.iter().flat_map(|closure| &closure.blobs).collect()
    }

    /// How many manifests and blobs that are.
    pub(super) fn counted(&self) -> (u32, u32) {
        (count(self.nodes().len() + self.tagged.len()), count(self.blobs().len()))
    }
}

/// Reads all of it at the target.
pub(super) async fn prove(to: &End, expected: &Expected<'_>) -> Result<(), CopyError> {
    let unproven = |what: String| CopyError::Unproven {
        repository: to.place.repository.clone(),
        what,
    };
    let (nodes, blobs) = (expected.nodes(), expected.blobs());
    let unproven = &unproven;
    let reading = nodes.into_values().map(|node| async move {
        match to.manifest(&node.digest).await? {
            Some(raw) if raw.bytes == node.bytes => Ok(()),
            _ => Err(unproven(format!("the manifest {}", node.digest))),
        }
    });
    let asking = blobs.into_values().map(|Blob { digest, size }| async move {
        match to.blob(digest).await?.is(*size) {
            true => Ok(()),
            false => Err(unproven(format!("the blob {digest}"))),
        }
    });
    let reading = stream::iter(reading.collect::<Vec<_>>()).buffer_unordered(PARALLEL);
    let asking = stream::iter(asking.collect::<Vec<_>>()).buffer_unordered(PARALLEL);
    try_join!(reading.try_collect::<()>(), asking.try_collect::<()>())?;
    Ok(())
}

pub(super) fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
