//! Pushing manifests: by digest, with the exact bytes, children before what names them.
//!
//! distribution writes a manifest in place: whoever pushes one that is just being pushed by somebody else may be told that the digest is
//! wrong. Within the process one waits for the other; a refusal for that reason is tried again.

use super::{
    super::{client::content_digest, push::MOST_BROKEN, transport::RegistryAnswer},
    CopyError,
    closure::{Closure, Node},
    end::End,
    job::{SeenManifest, SeenManifests},
};
use domain::artifact::Digest;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hyper::body::Bytes;
use reqwest::StatusCode;

/// Bytes of a manifest that every registry takes.
const USUAL_LIMIT: usize = 4 * 1024 * 1024;
/// Pushed at the same time.
const PARALLEL: usize = 4;

impl End {
    /// Pushes the manifests of an image that weren't there, all but `left` (which is pushed under a tag). Returns how many were pushed.
    pub(super) async fn push_all(
        &self,
        closure: &Closure,
        left: Option<&Digest>,
        seen: &SeenManifests,
    ) -> Result<u32, CopyError> {
        let mut pushed = 0;
        for step in closure.steps() {
            let nodes: Vec<(&Node, &SeenManifest)> = (step.into_iter())
                .filter(|node| Some(&node.digest) != left)
                .filter_map(|node| Some((node, seen.get(&node.digest)?)))
                .filter(|(_, seen)| !seen.is_there)
                .collect();
            let pushing = nodes.into_iter().map(|(node, seen)| async move {
                let mut was_pushed = seen.slot.lock().await;
                // Somebody else may have pushed it meanwhile, if to another repository perhaps.
                let is_there = *was_pushed && self.has_manifest(&node.digest).await?;
                if !is_there {
                    self.push(node).await?;
                }
                *was_pushed = true;
                Ok::<_, CopyError>(!is_there)
            });
            let new: Vec<bool> = stream::iter(pushing.collect::<Vec<_>>())
                .buffer_unordered(PARALLEL)
                .try_collect()
                .await?;
            pushed += new.into_iter().map(u32::from).sum::<u32>();
        }
        Ok(pushed)
    }

    /// Pushes a manifest by its digest.
    pub(super) async fn push(&self, node: &Node) -> Result<(), CopyError> {
        let answer = self.put(node.digest.as_str(), &node.bytes, &node.kind).await?;
        if !answer.status.is_success() {
            let what = format!("the manifest {}", node.digest);
            return Err(self.refused_manifest(&answer, &what, node.bytes.len()));
        }
        match content_digest(&answer.headers) {
            Some(other) if other != node.digest => Err(CopyError::Changed {
                registry: self.place.registry.clone(),
                what: format!("the manifest {}, which it calls {other}", node.digest),
            }),
            _ => Ok(()),
        }
    }

    /// Puts a manifest under a tag or its digest; whatever the answer's status.
    pub(super) async fn put(&self, reference: &str, bytes: &Bytes, kind: &str) -> Result<RegistryAnswer, CopyError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = (self.client)
                .put_manifest(&self.place, reference, bytes.clone(), kind, &self.pace)
                .await
                .map_err(|error| self.error(error))?;
            // Somebody else is just writing the same bytes.
            if !is_digest_refused(&answer) || tries >= MOST_BROKEN {
                return Ok(answer);
            }
            tokio::time::sleep(self.pace.after(tries)).await;
        }
    }

    /// As [`End::refused`], of a manifest with so many bytes.
    pub(super) fn refused_manifest(&self, answer: &RegistryAnswer, what: &str, bytes: usize) -> CopyError {
        match self.refused(answer, what) {
            CopyError::Refused {
                registry, what, said, ..
            } if bytes > USUAL_LIMIT => CopyError::Refused {
                registry,
                what: format!("{what} with its {bytes} bytes"),
                said,
                remedy: "Registries take manifests of up to 4 MiB. Build the image with fewer entries or annotations."
                    .into(),
            },
            error => error,
        }
    }
}

/// Whether a registry says that the bytes aren't what their digest says. They were right here.
pub(super) fn is_digest_refused(answer: &RegistryAnswer) -> bool {
    answer.status == StatusCode::BAD_REQUEST && answer.message().is_some_and(|said| said.starts_with("DIGEST_INVALID"))
}
