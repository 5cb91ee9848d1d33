//! One copy from beginning to end: look at both ends, carry the blobs, push the manifests, settle the tags, prove.

use super::{
    CopyError, CopyPlan, CopyProof, CopyRequest, CopyWatch,
    blob::Carrier,
    carriage::{Carriage, Done, Seen, Tally},
    closure::{Blob, Bounds, Closure, Manifests as _, Node},
    document::add,
    end::End,
    lanes::{Lanes, Slot},
    prove::{Expected, count, prove},
    referrers::{Hanging, Piece, gather},
    settings::CopySettings,
    tags::{Claim, Settled},
};
use domain::{
    artifact::Digest,
    copy::{Attached, Attachments},
};
use futures::{StreamExt as _, TryStreamExt as _, stream, try_join};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool},
};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

/// Manifests of an image, and of what hangs on it.
const MOST_NODES: usize = 1_000;
/// Bytes of the manifests of each.
const MOST_MANIFEST_BYTES: usize = 32 * 1024 * 1024;
/// What the target is asked for at the same time.
const PARALLEL: usize = 16;

/// One copy.
pub(super) struct Job<'a> {
    pub(super) from: End,
    pub(super) to: End,
    /// The target, signed in to for both repositories, where both are of one registry.
    pub(super) mount: Option<End>,
    pub(super) lanes: &'a Lanes,
    pub(super) settings: &'a CopySettings,
    pub(super) request: &'a CopyRequest,
}

/// Manifests as the target has them.
pub(super) type SeenManifests = BTreeMap<Digest, SeenManifest>;

/// A manifest as the target has it.
pub(super) struct SeenManifest {
    /// By host: all its repositories share what it keeps. Taken before the target was asked.
    pub(super) slot: Arc<Slot>,
    /// Whether it was read, byte for byte.
    pub(super) is_there: bool,
}

/// What couldn't be brought to the target, and a sentence for each.
#[derive(Default)]
struct Lost {
    roots: BTreeSet<Digest>,
    notes: Vec<String>,
}

impl Lost {
    fn lose(&mut self, root: &Digest, error: &CopyError) {
        if self.roots.insert(root.clone()) {
            self.notes.push(format!("{root}, which refers to the image: {error}"));
        }
    }
}

impl Job<'_> {
    /// What a copy would have to do.
    pub(super) async fn plan(&self) -> Result<CopyPlan, CopyError> {
        let image = self.image().await?;
        let looking = async {
            let hanging = self.gather(&image).await?;
            let more = self.see(more(&image, &hanging), false).await?;
            Ok((hanging, more))
        };
        let needed = image.blobs.values().cloned().collect();
        let (own, (hanging, more)) = try_join!(self.see(needed, true), looking)?;
        Ok(plan(&image, &hanging, Tally::of(&own) + Tally::of(&more)))
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            nodes: MOST_NODES,
            bytes: self.settings.most_bytes,
            manifest_bytes: MOST_MANIFEST_BYTES,
        }
    }

    /// Reads what the image consists of at the source.
    async fn image(&self) -> Result<Closure, CopyError> {
        let digest = &self.request.digest;
        // Whoever looks for what hangs on the image then knows whether the registry keeps lists.
        let probe = async {
            if self.request.attachments != Attachments::None {
                self.from.referrers(digest).await.ok();
            }
            Ok(())
        };
        let (image, ()) = try_join!(Closure::walk(&self.from, digest, None, self.bounds()), probe)?;
        Ok(image)
    }

    /// Reads what hangs on it.
    async fn gather(&self, image: &Closure) -> Result<Hanging, CopyError> {
        gather(&self.from, image, self.request.attachments, self.bounds()).await
    }

    /// Asks the target for blobs.
    async fn see(&self, blobs: Vec<Blob>, is_needed: bool) -> Result<Vec<Seen>, CopyError> {
        let asking = blobs.into_iter().map(|blob| async move {
            let slot = self.slot(blob.digest.as_str());
            let is_there = self.to.blob(&blob.digest).await?.is(blob.size);
            Ok::<_, CopyError>(Seen {
                blob,
                slot,
                is_there,
                is_needed,
            })
        });
        stream::iter(asking.collect::<Vec<_>>())
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// Reads manifests at the target.
    async fn see_manifests(&self, nodes: Vec<&Node>) -> Result<SeenManifests, CopyError> {
        let reading = nodes.into_iter().map(|node| async move {
            let slot = self.lanes.slot(&self.to.host(), node.digest.as_str());
            let raw = self.to.named(node.digest.as_str()).await?;
            let is_there = raw.is_some_and(|raw| raw.bytes == node.bytes);
            Ok::<_, CopyError>((node.digest.clone(), SeenManifest { slot, is_there }))
        });
        stream::iter(reading.collect::<Vec<_>>())
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        self.lanes.slot(&self.to.place.repository, name)
    }

    /// The whole copy.
    pub(super) async fn run(&self, watch: &dyn CopyWatch, stop: &CancellationToken) -> Result<CopyProof, CopyError> {
        let began = Instant::now();
        let image = self.image().await?;
        let carriage = Carriage {
            carrier: Carrier {
                from: &self.from,
                to: &self.to,
                mount: self.mount.clone(),
                lanes: self.lanes,
                settings: self.settings,
                stop,
                moved: Arc::default(),
                mounts_nothing: AtomicBool::new(false),
            },
            done: Done::default(),
            watch,
            is_planned: AtomicBool::new(false),
        };
        // What hangs on the image is looked for while its blobs are on their way.
        let (tell, told) = oneshot::channel();
        let own = async {
            let needed = image.blobs.values().cloned().collect();
            let (blobs, manifests) = try_join!(
                self.see(needed, true),
                self.see_manifests(image.nodes.values().collect())
            )?;
            tell.send(Tally::of(&blobs)).ok();
            carriage.carry(&blobs, self.settings).await?;
            let was_there = is_all_there(&blobs, &manifests);
            let new = self.to.push_all(&image, None, &manifests).await?;
            Ok::<_, CopyError>((manifests, was_there && new == 0))
        };
        let others = async {
            let hanging = self.gather(&image).await?;
            let (blobs, manifests) = try_join!(
                self.see(more(&image, &hanging), false),
                self.see_manifests(more_nodes(&image, &hanging))
            )?;
            // Nobody tells only where the other half failed: then this one is dropped.
            let tally = told.await.unwrap_or_default() + Tally::of(&blobs);
            let plan = plan(&image, &hanging, tally);
            carriage.planned(&plan);
            let missing = carriage.carry(&blobs, self.settings).await?;
            let were_there = is_all_there(&blobs, &manifests);
            Ok((hanging, manifests, plan, missing, were_there))
        };
        let ((mut manifests, is_known), (mut hanging, more, plan, missing, were_there)) = try_join!(own, others)?;
        manifests.extend(more);

        let mut lost = Lost::default();
        for piece in &hanging.pieces {
            if let Some((_, error)) = missing.iter().find(|(blob, _)| piece.closure.blobs.contains_key(blob)) {
                lost.lose(&piece.root, error);
            }
        }
        let proving = async {
            match is_known {
                true => Ok(()),
                false => prove(&self.to, &Expected::of(&image)).await,
            }
        };
        let hang = async {
            let mut pushed = self.hang(&hanging, &manifests, &mut lost).await?;
            for claim in &mut hanging.claims {
                claim.forget(&lost.roots);
            }
            (hanging.claims).retain(|claim| claim.manifest().is_none_or(|of| !lost.roots.contains(of)));
            pushed += self.settle(&mut hanging, &mut lost).await?;
            Ok::<_, CopyError>(pushed)
        };
        let ((), pushed) = try_join!(proving, hang)?;

        let arrived: Vec<&Piece> = (hanging.pieces.iter())
            .filter(|piece| !lost.roots.contains(&piece.root))
            .collect();
        let mut expected = Expected {
            closures: arrived.iter().map(|piece| &piece.closure).collect(),
            tagged: (arrived.iter())
                .filter(|piece| piece.tag.is_some())
                .map(|piece| &piece.root)
                .collect(),
        };
        if pushed > 0 || !were_there {
            prove(&self.to, &expected).await?;
        }
        expected.closures.push(&image);
        let (manifests, blobs) = expected.counted();
        let mut left_out = plan.left_out;
        left_out.extend(lost.notes);
        let done = carriage.done;
        Ok(CopyProof {
            manifests,
            blobs,
            sent: done.sent.into_inner(),
            mounted: done.mounted.into_inner(),
            present: done.present.into_inner(),
            attached: attached(&image, arrived.into_iter()),
            left_out,
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Pushes what hangs on the image, what is nearer first. What the registry refuses is lost, and named.
    async fn hang(&self, hanging: &Hanging, manifests: &SeenManifests, lost: &mut Lost) -> Result<u32, CopyError> {
        let mut pushed = 0;
        let last = hanging.pieces.iter().map(|piece| piece.level).max().unwrap_or_default();
        for level in 1..=last {
            let pieces: Vec<&Piece> = (hanging.pieces.iter())
                .filter(|piece| piece.level == level && !lost.roots.contains(&piece.root))
                .collect();
            let pushing = pieces.into_iter().map(|piece| async move {
                let under_tag = piece.tag.is_some().then_some(&piece.root);
                let pushed = self.to.push_all(&piece.closure, under_tag, manifests).await;
                (&piece.root, pushed)
            });
            let results: Vec<(&Digest, Result<u32, CopyError>)> = stream::iter(pushing.collect::<Vec<_>>())
                .buffered(self.settings.streams.max(1))
                .collect()
                .await;
            for (root, result) in results {
                match result {
                    Ok(new) => pushed += new,
                    Err(error @ CopyError::Refused { .. }) => lost.lose(root, &error),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(pushed)
    }

    /// Sees to it that the target lists what hangs on the image, and reads it there. Claims that can't be met are named and dropped.
    async fn settle(&self, hanging: &mut Hanging, lost: &mut Lost) -> Result<u32, CopyError> {
        let claims = std::mem::take(&mut hanging.claims);
        if let Some(first) = claims.iter().find(|claim| claim.manifest().is_none()) {
            // Once it is known that the registry keeps no lists, nobody asks for the others.
            first.unlisted(&self.to).await?;
        }
        let pieces = &hanging.pieces;
        let settling = claims.into_iter().map(|claim| async move {
            let mut lost = Lost::default();
            let written = self.settle_one(&claim, pieces, &mut lost).await?;
            Ok::<_, CopyError>((claim, written, lost))
        });
        let settled: Vec<(Claim, Option<u32>, Lost)> = stream::iter(settling.collect::<Vec<_>>())
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let mut all = 0;
        for (claim, written, of) in settled {
            lost.roots.extend(of.roots);
            lost.notes.extend(of.notes);
            if let Some(written) = written {
                all += written;
                hanging.claims.push(claim);
            }
        }
        Ok(all)
    }

    /// How often something was written so that the claim holds; `None` when it doesn't.
    async fn settle_one(&self, claim: &Claim, pieces: &[Piece], lost: &mut Lost) -> Result<Option<u32>, CopyError> {
        let Some(mut unlisted) = claim.unlisted(&self.to).await? else {
            let note = match claim.settle(&self.to, &self.slot(&claim.tag)).await? {
                Settled::Holds(times) => return Ok(Some(times)),
                Settled::Unfit(reason) => format!("{} in {}: {reason}.", claim.tag, self.to.place.repository),
                Settled::NotTaken(answer, size) => {
                    let what = format!("the tag {}", claim.tag);
                    match self.to.refused_manifest(&answer, &what, size) {
                        error @ CopyError::Refused { .. } => error.to_string(),
                        error => return Err(error),
                    }
                }
            };
            lost.roots.extend(claim.manifest().cloned());
            lost.notes.push(note);
            return Ok(None);
        };
        let mut written = 0;
        // Some registries list a manifest only if it was pushed after its subject.
        for digest in &unlisted {
            let found = pieces.iter().find_map(|piece| piece.closure.nodes.get(digest));
            let Some(node) = found.filter(|node| node.document.subject.is_some()) else {
                continue;
            };
            match self.to.push(node).await {
                Ok(()) => written += 1,
                Err(error @ CopyError::Refused { .. }) => lost.notes.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        if !unlisted.is_empty() {
            unlisted = claim.unlisted(&self.to).await?.unwrap_or_default();
        }
        lost.notes.extend(unlisted.iter().map(|digest| {
            format!(
                "{digest} is in {}, but that registry doesn't list it: it may name no subject.",
                self.to.place.repository
            )
        }));
        // What is left of it is written all the same: the manifests are there.
        Ok(unlisted.is_empty().then_some(written))
    }
}

fn is_all_there(blobs: &[Seen], manifests: &SeenManifests) -> bool {
    blobs.iter().all(|seen| seen.is_there) && manifests.values().all(|seen| seen.is_there)
}

/// Blobs of what hangs on an image that the image itself has not.
fn more(image: &Closure, hanging: &Hanging) -> Vec<Blob> {
    let all = hanging.pieces.iter().flat_map(|piece| &piece.closure.blobs);
    let more: BTreeMap<&Digest, &Blob> = all.filter(|(digest, _)| !image.blobs.contains_key(digest)).collect();
    more.into_values().cloned().collect()
}

/// Manifests of what hangs on an image that are pushed by their digests and that the image itself has not.
fn more_nodes<'a>(image: &Closure, hanging: &'a Hanging) -> Vec<&'a Node> {
    let all = (hanging.pieces.iter()).flat_map(|piece| {
        let nodes = piece.closure.nodes.iter();
        nodes.filter(|(digest, _)| !piece.is_under_tag(digest))
    });
    let more: BTreeMap<&Digest, &Node> = all.filter(|(digest, _)| !image.nodes.contains_key(digest)).collect();
    more.into_values().collect()
}

/// What is to do.
fn plan(image: &Closure, hanging: &Hanging, tally: Tally) -> CopyPlan {
    let pieces = &hanging.pieces;
    let nodes: BTreeSet<&Digest> = (pieces.iter())
        .flat_map(|piece| piece.closure.nodes.keys())
        .chain(image.nodes.keys())
        .collect();
    CopyPlan {
        manifests: count(nodes.len()),
        blobs: count(tally.blobs),
        bytes: tally.bytes,
        present: count(tally.present),
        present_bytes: tally.present_bytes,
        attached: attached(image, pieces.iter()),
        left_out: (image.left_out.iter()).chain(&hanging.left_out).cloned().collect(),
    }
}

fn attached<'a>(image: &Closure, pieces: impl Iterator<Item = &'a Piece>) -> Attached {
    let mut counted = Attached {
        attestations: image.nodes.values().map(|node| node.document.attestations()).sum(),
        ..Attached::default()
    };
    for piece in pieces {
        add(&mut counted, piece.counted);
    }
    counted
}
