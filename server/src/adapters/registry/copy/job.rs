//! One copy from beginning to end: look at both ends, carry the blobs, push the manifests, settle the tags, prove.

use super::{
    CopyError, CopyPlan, CopyProof, CopyRequest, CopyWatch,
    blob::{Carried, Carrier},
    closure::{Blob, Bounds, Closure, Manifests as _, PARALLEL},
    document::add,
    end::End,
    lanes::{Lanes, Slot},
    prove::{Expected, count, prove},
    referrers::{Hanging, Piece, gather},
    settings::CopySettings,
};
use domain::{
    artifact::Digest,
    copy::{Attached, CopyProgress},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
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
    /// Reads what belongs to the image at the source, and asks the target which blobs it has.
    pub(super) async fn survey(&self) -> Result<Survey, CopyError> {
        let bounds = Bounds {
            nodes: MOST_NODES,
            bytes: self.settings.most_bytes,
            manifest_bytes: MOST_MANIFEST_BYTES,
        };
        let image = Closure::walk(&self.from, &self.request.digest, None, bounds).await?;
        let hanging = gather(&self.from, &image, self.request.attachments, bounds).await?;
        let mut all: BTreeMap<&Digest, (&Blob, bool)> = BTreeMap::new();
        for blob in hanging.pieces.iter().flat_map(|piece| piece.closure.blobs.values()) {
            all.insert(&blob.digest, (blob, false));
        }
        all.extend(image.blobs.values().map(|blob| (&blob.digest, (blob, true))));
        let all: Vec<(Blob, bool)> = all
            .into_values()
            .map(|(blob, is_needed)| (blob.clone(), is_needed))
            .collect();
        let asking = all.into_iter().map(|(blob, is_needed)| async move {
            let slot = self.slot(blob.digest.as_str());
            let is_there = self.to.blob(&blob.digest).await?.is(blob.size);
            Ok::<_, CopyError>(Seen {
                blob,
                slot,
                is_there,
                is_needed,
            })
        });
        let blobs = stream::iter(asking.collect::<Vec<_>>())
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(Survey { image, hanging, blobs })
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
        let mut pushed = self.to.push_all(self.lanes, &survey.image, None).await?;
        pushed += self.hang(&survey.hanging, &mut lost).await?;
        for claim in &mut survey.hanging.claims {
            claim.forget(&lost.roots);
        }
        survey
            .hanging
            .claims
            .retain(|claim| claim.manifest().is_none_or(|of| !lost.roots.contains(of)));
        pushed += self.settle(&mut survey.hanging, &mut lost).await?;

        let has_sent = pushed > 0 || done.sent.load(Ordering::Relaxed) + done.mounted.load(Ordering::Relaxed) > 0;
        self.prove(survey, lost, done, has_sent, plan.left_out, began).await
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
        let carrying = absent.into_iter().map(|seen| async move {
            let Seen { blob, slot, .. } = seen;
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
        });
        let carrying = stream::iter(carrying.collect::<Vec<_>>())
            .buffer_unordered(self.settings.streams.max(1))
            .try_filter_map(|missing| std::future::ready(Ok(missing)))
            .try_collect();
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
    async fn hang(&self, hanging: &Hanging, lost: &mut Lost) -> Result<u32, CopyError> {
        let mut pushed = 0;
        let last = hanging.pieces.iter().map(|piece| piece.level).max().unwrap_or_default();
        for level in 1..=last {
            let pieces: Vec<&Piece> = (hanging.pieces.iter())
                .filter(|piece| piece.level == level && !lost.roots.contains(&piece.root))
                .collect();
            let pushing = pieces.into_iter().map(|piece| async move {
                let under_tag = piece.tag.is_some().then_some(&piece.root);
                (
                    &piece.root,
                    self.to.push_all(self.lanes, &piece.closure, under_tag).await,
                )
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

    /// Sees to it that the target lists what hangs on the image. Claims that can't be met are named and dropped.
    async fn settle(&self, hanging: &mut Hanging, lost: &mut Lost) -> Result<u32, CopyError> {
        let (mut written, mut kept) = (0, Vec::new());
        for claim in std::mem::take(&mut hanging.claims) {
            match claim.unlisted(&self.to).await? {
                Some(mut unlisted) => {
                    // Some registries list a manifest only if it was pushed after its subject.
                    for digest in &unlisted {
                        let found = (hanging.pieces.iter()).find_map(|piece| piece.closure.nodes.get(digest));
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
                    if unlisted.is_empty() {
                        kept.push(claim);
                    }
                }
                None => match claim.settle(&self.to, &self.slot(&claim.tag)).await? {
                    Ok(times) => {
                        written += times;
                        kept.push(claim);
                    }
                    Err(note) => {
                        lost.roots.extend(claim.manifest().cloned());
                        lost.notes.push(note);
                    }
                },
            }
        }
        hanging.claims = kept;
        Ok(written)
    }

    async fn prove(
        &self,
        survey: Survey,
        lost: Lost,
        done: Done,
        has_sent: bool,
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
            claims: &hanging.claims,
            tagged: (arrived.iter())
                .filter(|piece| piece.tag.is_some())
                .map(|piece| &piece.root)
                .collect(),
            blobs_are_known: !has_sent,
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

impl Survey {
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
