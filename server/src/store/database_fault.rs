//! What makes a database useless for a while, and whether that is over.
//!
//! A write that fails tells at once; that it would work again is only told by a write. So what failed last is remembered
//! ([`Health`]), and whoever asks has a write tried while it is remembered, and now and then while nothing is known.

use super::{Store, StoreError};
use sqlx::{
    error::{DatabaseError, Error},
    postgres::PgDatabaseError,
    sqlite::SqliteError,
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Why a database can't be used. The words are for the person whose change was not saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DatabaseFault {
    /// `SQLITE_FULL`; PostgreSQL's class 53.
    #[error(
        "The database has no room left, so this was not saved. Whoever runs Waybill has to free space for it; then try again."
    )]
    Full,
    /// `SQLITE_READONLY`; PostgreSQL's 25006.
    #[error(
        "The database can only be read, so this was not saved. Whoever runs Waybill has to make it writable; then try again."
    )]
    ReadOnly,
    /// Faults of input and output, of memory, and damage: SQLite's; PostgreSQL's classes 58 and XX.
    #[error(
        "The database reports a fault of its disk or its memory. Whoever runs Waybill finds more in the log; then try again."
    )]
    Broken,
    /// The connection was lost or is refused: PostgreSQL's classes 08 and 57P.
    #[error("The connection to the database was lost. See whether this was saved, and try again in a moment.")]
    Gone,
    /// Others hold its locks, or it has too much to do.
    #[error("The database did not answer in time. Try again in a moment.")]
    Busy,
}

impl DatabaseFault {
    const ALL: [Self; 5] = [Self::Full, Self::ReadOnly, Self::Broken, Self::Gone, Self::Busy];

    /// What an error says about the database itself; `None` for one of a statement or a value.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Io(_) | Error::Tls(_) | Error::WorkerCrashed | Error::PoolClosed => Some(Self::Gone),
            Error::PoolTimedOut => Some(Self::Busy),
            Error::Database(error) => Self::of_database(error.as_ref()),
            _ => None,
        }
    }

    fn of_database(error: &dyn DatabaseError) -> Option<Self> {
        let code = error.code()?;
        if error.try_downcast_ref::<SqliteError>().is_some() {
            // https://www.sqlite.org/rescode.html: the low byte is the primary code.
            return match code.parse::<u32>().ok()? & 0xff {
                5 | 6 => Some(Self::Busy),
                8 => Some(Self::ReadOnly),
                // Damage of the file itself (11, 26) passes by no waiting: whoever asked is told.
                7 | 10 | 14 => Some(Self::Broken),
                13 => Some(Self::Full),
                _ => None,
            };
        }
        error.try_downcast_ref::<PgDatabaseError>()?;
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        match (&*code, code.get(..2)?) {
            ("25006", _) => Some(Self::ReadOnly),
            ("53300", _) => Some(Self::Gone),
            ("57014" | "55P03" | "40001" | "40P01", _) => Some(Self::Busy),
            // Damaged tables or indexes pass by no waiting: whoever asked is told.
            ("XX001" | "XX002", _) => None,
            (_, "53") => Some(Self::Full),
            (_, "08" | "57") => Some(Self::Gone),
            (_, "58" | "XX") => Some(Self::Broken),
            _ => None,
        }
    }

    /// For the end of a sentence about a database that can't be written.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Full => "it has no room left; free space on its disk",
            Self::ReadOnly => "it can only be read; make it writable",
            Self::Broken => "it reports a fault of its disk or memory; the log says which",
            Self::Gone => "it ended the connection, or takes none",
            Self::Busy => "it does not answer in time",
        }
    }

    /// The trouble whose words these are.
    #[must_use]
    pub fn told_as(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trouble| trouble.to_string() == text)
    }
}

/// Between two tries while something is wrong.
const AGAIN: Duration = Duration::from_secs(1);

/// For so long it is believed that a write which worked would work again.
const PROVEN: Duration = Duration::from_secs(60);

/// A try that takes longer says nothing about the disk: others write.
const LONGEST: Duration = Duration::from_secs(3);

/// What is known of a database.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    trouble: Option<DatabaseFault>,
    tried: Option<Instant>,
    proven: Option<Instant>,
}

impl Health {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong, as far as is known.
    pub(crate) fn trouble(&self) -> Option<DatabaseFault> {
        self.known().trouble
    }

    /// A statement failed. What makes the database useless is logged once, not for each statement.
    pub(crate) fn failed(&self, error: &Error) {
        let Some(trouble) = DatabaseFault::of(error) else {
            return;
        };
        let before = self.known().trouble.replace(trouble);
        if before != Some(trouble) {
            tracing::error!(%error, "the database can't be written: {}", trouble.cause());
        }
    }

    /// Tries a write, when nothing newer is known.
    pub(crate) async fn check(&self, store: &dyn Store) -> Result<(), DatabaseFault> {
        {
            let mut known = self.known();
            let is_known = match known.trouble {
                Some(_) => known.tried.is_some_and(|at| at.elapsed() < AGAIN),
                None => known.proven.is_some_and(|at| at.elapsed() < PROVEN),
            };
            if is_known {
                return known.trouble.map_or(Ok(()), Err);
            }
            known.tried = Some(Instant::now());
        }
        match tokio::time::timeout(LONGEST, try_write(store)).await {
            Ok(Ok(())) => {
                let mut known = self.known();
                known.proven = Some(Instant::now());
                if known.trouble.take().is_some() {
                    tracing::info!("the database can be written again");
                }
            }
            // What says something about the database was noted by the transaction; anything else is a fault of this try alone.
            Ok(Err(error)) if error.trouble().is_none() => {
                tracing::error!(%error, "a write that was tried failed");
                self.known().trouble = Some(DatabaseFault::Broken);
            }
            Ok(Err(_)) | Err(_) => {}
        }
        self.trouble().map_or(Ok(()), Err)
    }

    /// A transaction that wrote was committed: whatever was not there is there again. Whether there is room, only a try says.
    pub(crate) fn wrote(&self) {
        let mut known = self.known();
        if matches!(known.trouble, Some(DatabaseFault::Gone | DatabaseFault::Busy)) {
            known.trouble = None;
            tracing::info!("the database can be written again");
        }
    }
}

/// As much room as no single change needs, taken and given back; each for good, because only that reaches the disk.
async fn try_write(store: &dyn Store) -> Result<(), StoreError> {
    let mut tx = store.write().await?;
    tx.take_room(&"waybill ".repeat(16_384)).await?;
    tx.commit().await?;
    let mut tx = store.write().await?;
    tx.give_room_back().await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_words_of_its_own() {
        for trouble in DatabaseFault::ALL {
            assert_eq!(DatabaseFault::told_as(&trouble.to_string()), Some(trouble));
        }
        assert_eq!(DatabaseFault::told_as("something else"), None);
    }

    #[test]
    fn a_fault_of_a_value_says_nothing_about_the_database() {
        assert_eq!(DatabaseFault::of(&Error::RowNotFound), None);
        assert_eq!(DatabaseFault::of(&Error::PoolTimedOut), Some(DatabaseFault::Busy));
    }
}
