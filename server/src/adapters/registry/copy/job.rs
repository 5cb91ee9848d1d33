//! One copy from beginning to end: look at both ends, carry the blobs, push the manifests, settle the tags, prove.

use super::{
    CopyError, CopyPlan, CopyProof, CopyRequest, CopyWatch,
    blob::{Carried, Carrier, SMALL},
    closure::{Blob, Bounds, Closure, Manifests as _, Node},
    document::add,
    end::End,
    lanes::{Lanes, Slot},
    prove::{Expected, count, prove},
    referrers::{Hanging, Piece, gather},
    settings::CopySettings,
    tags::Claim,
};
use domain::{
    artifact::Digest,
    copy::{Attached, Attachments, CopyProgress},
};
use futures::{StreamExt as _, TryStreamExt as _, stream, try_join};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Manifests of an image, and of what hangs on it.
const MOST_NODES: usize = 1_000;
/// Bytes of the manifests of each.
const MOST_MANIFEST_BYTES: usize = 32 * 1024 * 1024;
/// What the target is asked for at the same time.
const PARALLEL: usize = 16;
/// How often a copy says how far it is.
const REPORT: Duration = Duration::from_millis(250);

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

/// A blob as the target has it.
struct Seen {
    blob: Blob,
    /// Taken before the target was asked, so that what another copy sends from then on is noticed.
    slot: Arc<Slot>,
    is_there: bool,
    /// Whether the image itself needs it.
    is_needed: bool,
}

/// What both ends have.
pub(super) struct Survey {
    image: Closure,
    hanging: Hanging,
    blobs: Vec<Seen>,
    manifests: SeenManifests,
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

/// What a copy has done so far.
#[derive(Default)]
struct Done {
    blobs: AtomicU32,
    sent: AtomicU64,
    mounted: AtomicU64,
    present: AtomicU64,
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
    /// Reads what belongs to the image at the source, and asks the target what it has of that.
    pub(super) async fn survey(&self) -> Result<Survey, CopyError> {
        let bounds = Bounds {
            nodes: MOST_NODES,
            bytes: self.settings.most_bytes,
            manifest_bytes: MOST_MANIFEST_BYTES,
        };
        let (digest, attachments) = (&self.request.digest, self.request.attachments);
        // Whoever looks for what hangs on the image then knows whether the registry keeps lists.
        let probe = async {
            if attachments != Attachments::None {
                self.from.referrers(digest).await.ok();
            }
            Ok(())
        };
        let (image, ()) = try_join!(Closure::walk(&self.from, digest, None, bounds), probe)?;
        let needed = image.blobs.values().cloned().collect();
        let (hanging, mut blobs, mut manifests) = try_join!(
            gather(&self.from, &image, attachments, bounds),
            self.see(needed, true),
            self.see_manifests(image.nodes.values().collect())
        )?;
        let pieces = || hanging.pieces.iter();
        let more: BTreeMap<&Digest, &Blob> = (pieces().flat_map(|piece| &piece.closure.blobs))
            .filter(|(digest, _)| !image.blobs.contains_key(digest))
            .collect();
        let more = more.into_values().cloned().collect();
        let nodes: BTreeMap<&Digest, &Node> = (pieces())
            .flat_map(|piece| (piece.closure.nodes.iter()).filter(|(digest, _)| !piece.is_under_tag(digest)))
            .filter(|(digest, _)| !image.nodes.contains_key(digest))
            .collect();
        let (more, others) = try_join!(self.see(more, false), self.see_manifests(nodes.into_values().collect()))?;
        blobs.extend(more);
        manifests.extend(others);
        Ok(Survey {
            image,
            hanging,
            blobs,
            manifests,
        })
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
        let mut survey = self.survey().await?;
        let plan = survey.plan();
        watch.planned(&plan);
        let (mut lost, done) = (Lost::default(), Done::default());
        let missing = self.carry_all(&survey, &plan, &done, watch, stop).await?;
        for piece in &survey.hanging.pieces {
            if let Some((_, error)) = missing.iter().find(|(blob, _)| piece.closure.blobs.contains_key(blob)) {
                lost.lose(&piece.root, error);
            }
        }
        let mut pushed = self.to.push_all(&survey.image, None, &survey.manifests).await?;
        pushed += self.hang(&survey, &mut lost).await?;
        for claim in &mut survey.hanging.claims {
            claim.forget(&lost.roots);
        }
        survey
            .hanging
            .claims
            .retain(|claim| claim.manifest().is_none_or(|of| !lost.roots.contains(of)));
        pushed += self.settle(&mut survey.hanging, &mut lost).await?;

        let is_known = pushed == 0 && survey.is_all_there();
        self.prove(survey, lost, done, is_known, plan.left_out, began).await
    }

    /// Carries all blobs that the target lacks, the largest first. Returns those of what hangs on the image that couldn't be had or were refused.
    async fn carry_all(
        &self,
        survey: &Survey,
        plan: &CopyPlan,
        done: &Done,
        watch: &dyn CopyWatch,
        stop: &CancellationToken,
    ) -> Result<Vec<(Digest, CopyError)>, CopyError> {
        done.present.store(plan.present_bytes, Ordering::Relaxed);
        let moved = Arc::new(AtomicU64::new(0));
        let carrier = Carrier {
            from: &self.from,
            to: &self.to,
            mount: self.mount.clone(),
            lanes: self.lanes,
            settings: self.settings,
            stop,
            moved: Arc::clone(&moved),
            mounts_nothing: AtomicBool::new(false),
        };
        let mut absent: Vec<&Seen> = survey.blobs.iter().filter(|seen| !seen.is_there).collect();
        absent.sort_by_key(|seen| (Reverse(seen.blob.size), seen.blob.digest.clone()));
        let report = || {
            let linked = done.mounted.load(Ordering::Relaxed) + done.present.load(Ordering::Relaxed);
            watch.moved(CopyProgress {
                blobs: plan.present + done.blobs.load(Ordering::Relaxed),
                bytes: linked + moved.load(Ordering::Relaxed),
            });
        };
        let (carrier, report) = (&carrier, &report);
        let carry = |seen| async move {
            let Seen { blob, slot, .. }: &Seen = seen;
            match carrier.carry(blob, slot).await {
                Ok(carried) => {
                    let counted = match carried {
                        Carried::Sent => &done.sent,
                        Carried::Mounted => &done.mounted,
                        Carried::Present => &done.present,
                    };
                    counted.fetch_add(blob.size, Ordering::Relaxed);
                    done.blobs.fetch_add(1, Ordering::Relaxed);
                    report();
                    Ok(None)
                }
                Err(error @ (CopyError::Refused { .. } | CopyError::Missing { .. })) if !seen.is_needed => {
                    Ok(Some((blob.digest.clone(), error)))
                }
                Err(error) => Err(error),
            }
        };
        let (small, large): (Vec<&Seen>, Vec<&Seen>) = absent.into_iter().partition(|seen| seen.blob.size <= SMALL);
        let (small, large) = (small.into_iter().map(carry), large.into_iter().map(carry));
        let carrying = async {
            let (mut missing, more) = try_join!(
                together(large.collect(), self.settings.streams),
                together(small.collect(), self.settings.small_streams)
            )?;
            missing.extend(more);
            Ok(missing)
        };
        let reporting = async {
            loop {
                tokio::time::sleep(REPORT).await;
                report();
            }
        };
        tokio::select! {
            biased;
            carried = carrying => carried,
            never = reporting => never,
        }
    }

    /// Pushes what hangs on the image, what is nearer first. What the registry refuses is lost, and named.
    async fn hang(&self, survey: &Survey, lost: &mut Lost) -> Result<u32, CopyError> {
        let (mut pushed, hanging) = (0, &survey.hanging);
        let last = hanging.pieces.iter().map(|piece| piece.level).max().unwrap_or_default();
        for level in 1..=last {
            let pieces: Vec<&Piece> = (hanging.pieces.iter())
                .filter(|piece| piece.level == level && !lost.roots.contains(&piece.root))
                .collect();
            let pushing = pieces.into_iter().map(|piece| async move {
                let under_tag = piece.tag.is_some().then_some(&piece.root);
                let pushed = self.to.push_all(&piece.closure, under_tag, &survey.manifests).await;
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
            return match claim.settle(&self.to, &self.slot(&claim.tag)).await? {
                Ok(times) => Ok(Some(times)),
                Err(note) => {
                    lost.roots.extend(claim.manifest().cloned());
                    lost.notes.push(note);
                    Ok(None)
                }
            };
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

    async fn prove(
        &self,
        survey: Survey,
        lost: Lost,
        done: Done,
        is_known: bool,
        mut left_out: Vec<String>,
        began: Instant,
    ) -> Result<CopyProof, CopyError> {
        let Survey { image, hanging, .. } = survey;
        let arrived: Vec<&Piece> = (hanging.pieces.iter())
            .filter(|piece| !lost.roots.contains(&piece.root))
            .collect();
        let expected = Expected {
            closures: std::iter::once(&image)
                .chain(arrived.iter().map(|piece| &piece.closure))
                .collect(),
            tagged: (arrived.iter())
                .filter(|piece| piece.tag.is_some())
                .map(|piece| &piece.root)
                .collect(),
            is_known,
        };
        let (manifests, blobs) = prove(&self.to, &expected).await?;
        left_out.extend(lost.notes);
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
}

/// Does so many at the same time, and collects what they return.
async fn together<T>(
    tasks: Vec<impl Future<Output = Result<Option<T>, CopyError>>>,
    streams: usize,
) -> Result<Vec<T>, CopyError> {
    stream::iter(tasks)
        .buffer_unordered(streams.max(1))
        .try_filter_map(|done| std::future::ready(Ok(done)))
        .try_collect()
        .await
}

impl Survey {
    /// Whether the target had all blobs and manifests when it was asked.
    fn is_all_there(&self) -> bool {
        self.blobs.iter().all(|seen| seen.is_there) && self.manifests.values().all(|seen| seen.is_there)
    }

    /// What is to do.
    pub(super) fn plan(&self) -> CopyPlan {
        let pieces = &self.hanging.pieces;
        let nodes: BTreeSet<&Digest> = (pieces.iter())
            .flat_map(|piece| piece.closure.nodes.keys())
            .chain(self.image.nodes.keys())
            .collect();
        let there = || self.blobs.iter().filter(|seen| seen.is_there);
        CopyPlan {
            manifests: count(nodes.len()),
            blobs: count(self.blobs.len()),
            bytes: self.blobs.iter().map(|seen| seen.blob.size).sum(),
            present: count(there().count()),
            present_bytes: there().map(|seen| seen.blob.size).sum(),
            attached: attached(&self.image, pieces.iter()),
            left_out: (self.image.left_out.iter())
                .chain(&self.hanging.left_out)
                .cloned()
                .collect(),
        }
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
