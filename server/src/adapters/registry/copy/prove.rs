//! The proof: what was to be copied is read again at the target, after the last push.
//!
//! Every manifest comes back byte for byte, every blob has its size, and whatever is listed or tagged at the source is so at the target.

use super::{
    CopyError,
    closure::{Blob, Closure, Manifests as _, PARALLEL},
    end::End,
    tags::Claim,
};
use domain::artifact::Digest;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be there.
pub(super) struct Expected<'a> {
    pub(super) closures: Vec<&'a Closure>,
    pub(super) claims: &'a [Claim],
    /// Manifests that may have been merged into another one under their tag.
    pub(super) tagged: BTreeSet<&'a Digest>,
    /// Whether nothing was pushed since the blobs were looked at.
    pub(super) blobs_are_known: bool,
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

    let unproven = &unproven;
    let reading = nodes.into_values().map(|node| async move {
        match to.manifest(&node.digest).await? {
            Some(raw) if raw.bytes == node.bytes => Ok(()),
            _ => Err(unproven(format!("the manifest {}", node.digest))),
        }
    });
    stream::iter(reading.collect::<Vec<_>>())
        .buffer_unordered(PARALLEL)
        .try_collect::<()>()
        .await?;
    if !expected.blobs_are_known {
        let asking = blobs.into_values().map(|Blob { digest, size }| async move {
            match to.blob(digest).await?.is(*size) {
                true => Ok(()),
                false => Err(unproven(format!("the blob {digest}"))),
            }
        });
        stream::iter(asking.collect::<Vec<_>>())
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
    }
    let claims = expected.claims.iter().map(|claim| async move {
        let is_held = match claim.unlisted(to).await? {
            Some(unlisted) => unlisted.is_empty(),
            None => claim.is_held(to).await?,
        };
        match is_held {
            true => Ok(()),
            false => Err(unproven(format!("what belongs to {}", claim.tag))),
        }
    });
    stream::iter(claims.collect::<Vec<_>>())
        .buffer_unordered(PARALLEL)
        .try_collect::<()>()
        .await?;
    Ok(counted)
}

pub(super) fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
