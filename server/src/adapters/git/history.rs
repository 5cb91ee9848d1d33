//! Which promotion's commit is where: the trailers of a branch's history, read once and remembered.
//!
//! A promotion's commit is found again by its trailer. Walking the history for every promotion would cost more than the
//! commit itself, so what was read stays: a later look reads only what came on top, and goes further down only for
//! promotions older than any before. What is found is believed only while the tip descends from it: branches may be rewritten.

use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    str::FromStr as _,
};

use domain::id::PromotionId;
use git2::Oid;

use super::{fault::LocalError, reader::Reader};

/// The trailer that finds a promotion's commit again.
pub(super) const PROMOTION_TRAILER: &str = "Waybill-Promotion";
/// Commits that one look reads at most.
const LOOK_BACK: usize = 5_000;
/// Clocks of committers may be off by this much, in seconds.
const CLOCK_SKEW: i64 = 24 * 60 * 60;
/// So many older commits in a row end the search; a single one may merely have a wrong date.
const OLD_IN_A_ROW: usize = 100;
/// Commits that are remembered before everything is read anew.
const MOST_REMEMBERED: usize = 100_000;

/// Commits by time, the newest first.
type Newest = BinaryHeap<(i64, Oid)>;

/// What is known of a branch's history.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Commits that were read.
    seen: HashSet<Oid>,
    found: HashMap<PromotionId, Oid>,
    /// Parents that were not read yet, below what was.
    below: Newest,
    /// How far back it was read, in seconds since the epoch; `None` before the first look.
    back_to: Option<i64>,
}

impl History {
    /// Reads what is needed to know of promotions asked for at `since` or later.
    pub(super) fn read(&mut self, reader: &Reader<'_>, tip: Oid, since: i64) -> Result<(), LocalError> {
        if self.seen.len() > MOST_REMEMBERED {
            *self = Self::default();
        }
        let back_to = self.back_to.map_or(since, |known| known.min(since));
        if !self.seen.contains(&tip) {
            let top = Newest::from([(time(reader, tip)?, tip)]);
            let rest = self.walk(reader, top, back_to)?;
            self.below.extend(rest);
        }
        if self.back_to.is_some_and(|known| since < known) {
            let below = std::mem::take(&mut self.below);
            self.below = self.walk(reader, below, back_to)?;
        }
        self.back_to = Some(back_to);
        Ok(())
    }

    /// The newest commit of `promotion` that `tip` is or comes after.
    pub(super) fn find(
        &mut self,
        reader: &Reader<'_>,
        tip: Oid,
        promotion: PromotionId,
        since: i64,
    ) -> Result<Option<Oid>, LocalError> {
        let holds = |found: Oid| reader.descends(tip, found);
        match self.found.get(&promotion).copied() {
            None => Ok(None),
            Some(found) if holds(found)? => Ok(Some(found)),
            // The branch was rewritten: what is on it now is read from the start.
            Some(_) => {
                *self = Self::default();
                self.read(reader, tip, since)?;
                Ok(self.found.get(&promotion).copied())
            }
        }
    }

    /// Reads downwards, newest first; returns what it left unread.
    fn walk(&mut self, reader: &Reader<'_>, mut open: Newest, since: i64) -> Result<Newest, LocalError> {
        let mut found: HashMap<PromotionId, Oid> = HashMap::new();
        let (mut read, mut old_in_a_row) = (0, 0);
        while read < LOOK_BACK
            && old_in_a_row < OLD_IN_A_ROW
            && let Some((at, id)) = open.pop()
        {
            if !self.seen.insert(id) {
                continue;
            }
            read += 1;
            let commit = reader.commit(id)?;
            if let Some(promotion) = trailer(commit.message_bytes()) {
                found.entry(promotion).or_insert(id);
            }
            for parent in commit.parent_ids().filter(|parent| !self.seen.contains(parent)) {
                open.push((time(reader, parent)?, parent));
            }
            old_in_a_row = if at < since.saturating_sub(CLOCK_SKEW) {
                old_in_a_row + 1
            } else {
                0
            };
        }
        for (promotion, commit) in found {
            let known = self.found.get(&promotion).copied();
            // Of two, the one on top: a walk further down finds older ones only.
            let is_newer = match known {
                None => true,
                Some(known) => reader.descends(commit, known)?,
            };
            if is_newer {
                self.found.insert(promotion, commit);
            }
        }
        Ok(open)
    }
}

fn time(reader: &Reader<'_>, commit: Oid) -> Result<i64, LocalError> {
    Ok(reader.commit(commit)?.time().seconds())
}

/// The promotion that a message's last paragraph names; a trailer quoted further up is somebody else's text.
pub(super) fn trailer(message: &[u8]) -> Option<PromotionId> {
    let message = String::from_utf8_lossy(message);
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let value = |line: &str| {
        Some(
            line.strip_prefix(PROMOTION_TRAILER)?
                .strip_prefix(": ")?
                .trim_end()
                .to_owned(),
        )
    };
    let named = last.lines().rev().find_map(value)?;
    PromotionId::from_str(&named).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_paragraph_speaks() {
        let id = "01900000-0000-7000-8000-000000000001";
        let wanted = PromotionId::from_str(id).unwrap();
        let read = |text: String| trailer(text.as_bytes());
        assert_eq!(
            read(format!("Subject\n\nX: y\nWaybill-Promotion: {id}\n")),
            Some(wanted)
        );
        assert_eq!(
            read(format!("Subject\n\nWaybill-Promotion: {id}\n\nSigned-off-by: x\n")),
            None
        );
        assert_eq!(read("Subject\n\nWaybill-Promotion: nonsense\n".to_owned()), None);
    }
}
