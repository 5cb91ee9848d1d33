//! The proof: what was to be copied is read again at the target, after the last push.
//!
//! Every manifest comes back byte for byte, every blob has its size, and whatever is listed or tagged at the source is so at the target.

use super::{
    CopyError,
    closure::{Blob, Closure, Manifests as _},
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
    /// Whether nothing was pushed since all of it was found at the target.
    pub(super) is_known: bool,
}

/// Reads all of it at the target. Returns how many manifests and blobs that are.
pub(super) async fn prove(to: &End, expected: &Expected<'_>) -> Result<(u32, u32), CopyError> {
    let unproven = |what: String| CopyError::Unproven {
        repository: to.place.repository.clone(),
        what,
    };
    let (mut nodes, mut blobs) = (BTreeMap::new(), BTreeMap::new());
    for closure in &expected.closures {
        nodes.extend(
            closure
                .nodes
                .iter()
                .filter(|(digest, _)| !expected.tagged.contains(digest)),
        );
        blobs.extend(&closure.blobs);
    }
    let counted = (count(nodes.len() + expected.tagged.len()), count(blobs.len()));

    if expected.is_known {
        return Ok(counted);
    }
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
    Ok(counted)
}

pub(super) fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
