//! All blobs of a copy on their way: those that the target lacks, the largest first, small ones beside large ones.

use super::{
    CopyError, CopyPlan, CopyWatch,
    blob::{Carried, Carrier, SMALL},
    closure::Blob,
    lanes::Slot,
    settings::CopySettings,
};
use domain::{artifact::Digest, copy::CopyProgress};
use futures::{StreamExt as _, TryStreamExt as _, stream, try_join};
use std::{
    cmp::Reverse,
    ops::Add,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often a copy says how far it is.
const REPORT: Duration = Duration::from_millis(250);

/// A blob as the target has it.
pub(super) struct Seen {
    pub(super) blob: Blob,
    /// Taken before the target was asked, so that what another copy sends from then on is noticed.
    pub(super) slot: Arc<Slot>,
    pub(super) is_there: bool,
    /// Whether the image itself needs it.
    pub(super) is_needed: bool,
}

/// Blobs, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) blobs: usize,
    pub(super) bytes: u64,
    /// Of those, what the target has.
    pub(super) present: usize,
    pub(super) present_bytes: u64,
}

impl Tally {
    pub(super) fn of(blobs: &[Seen]) -> Self {
        let there = || blobs.iter().filter(|seen| seen.is_there);
        Self {
            blobs: blobs.len(),
            bytes: blobs.iter().map(|seen| seen.blob.size).sum(),
            present: there().count(),
            present_bytes: there().map(|seen| seen.blob.size).sum(),
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            blobs: self.blobs + other.blobs,
            bytes: self.bytes + other.bytes,
            present: self.present + other.present,
            present_bytes: self.present_bytes + other.present_bytes,
        }
    }
}

/// What a copy has done so far.
#[derive(Default)]
pub(super) struct Done {
    blobs: AtomicU32,
    pub(super) sent: AtomicU64,
    pub(super) mounted: AtomicU64,
    pub(super) present: AtomicU64,
}

/// What carries them, and tells of it.
pub(super) struct Carriage<'a> {
    pub(super) carrier: Carrier<'a>,
    pub(super) done: Done,
    pub(super) watch: &'a dyn CopyWatch,
    /// Whether it was told what there is to do: before, nobody is told how far it is.
    pub(super) is_planned: AtomicBool,
}

impl Carriage<'_> {
    /// Tells what there is to do.
    pub(super) fn planned(&self, plan: &CopyPlan) {
        self.watch.planned(plan);
        self.is_planned.store(true, Ordering::Relaxed);
        self.report();
    }

    fn report(&self) {
        let done = &self.done;
        if self.is_planned.load(Ordering::Relaxed) {
            let linked = done.mounted.load(Ordering::Relaxed) + done.present.load(Ordering::Relaxed);
            self.watch.moved(CopyProgress {
                blobs: done.blobs.load(Ordering::Relaxed),
                bytes: linked + self.carrier.moved.load(Ordering::Relaxed),
            });
        }
    }

    /// Carries those of the blobs that the target lacks. Returns those that the image doesn't need and that couldn't be had or were refused.
    pub(super) async fn carry(
        &self,
        blobs: &[Seen],
        settings: &CopySettings,
    ) -> Result<Vec<(Digest, CopyError)>, CopyError> {
        let found = Tally::of(blobs);
        let present = u32::try_from(found.present).unwrap_or(u32::MAX);
        self.done.blobs.fetch_add(present, Ordering::Relaxed);
        self.done.present.fetch_add(found.present_bytes, Ordering::Relaxed);
        let mut absent: Vec<&Seen> = blobs.iter().filter(|seen| !seen.is_there).collect();
        absent.sort_by_key(|seen| (Reverse(seen.blob.size), seen.blob.digest.clone()));
        let (small, large): (Vec<&Seen>, Vec<&Seen>) = absent.into_iter().partition(|seen| seen.blob.size <= SMALL);
        let carrying = async {
            let (mut missing, more) = try_join!(
                self.together(large, settings.streams),
                self.together(small, settings.small_streams)
            )?;
            missing.extend(more);
            Ok(missing)
        };
        let reporting = async {
            loop {
                tokio::time::sleep(REPORT).await;
                self.report();
            }
        };
        tokio::select! {
            biased;
            carried = carrying => carried,
            never = reporting => never,
        }
    }

    async fn together(&self, blobs: Vec<&Seen>, streams: usize) -> Result<Vec<(Digest, CopyError)>, CopyError> {
        let carrying = blobs.into_iter().map(|seen| self.one(seen));
        stream::iter(carrying.collect::<Vec<_>>())
            .buffer_unordered(streams.max(1))
            .try_filter_map(|missing| std::future::ready(Ok(missing)))
            .try_collect()
            .await
    }

    async fn one(&self, seen: &Seen) -> Result<Option<(Digest, CopyError)>, CopyError> {
        let Seen { blob, slot, .. } = seen;
        match self.carrier.carry(blob, slot).await {
            Ok(carried) => {
                let counted = match carried {
                    Carried::Sent => &self.done.sent,
                    Carried::Mounted => &self.done.mounted,
                    Carried::Present => &self.done.present,
                };
                counted.fetch_add(blob.size, Ordering::Relaxed);
                self.done.blobs.fetch_add(1, Ordering::Relaxed);
                self.report();
                Ok(None)
            }
            Err(error @ (CopyError::Refused { .. } | CopyError::Missing { .. })) if !seen.is_needed => {
                Ok(Some((blob.digest.clone(), error)))
            }
            Err(error) => Err(error),
        }
    }
}
