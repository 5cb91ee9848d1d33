//! Why a database can't be opened, named so that whoever runs the server knows what to do.

use sqlx::migrate::{MigrateError, Migrator};
use std::{error::Error, path::PathBuf};

/// What to do about a damaged database.
pub const DAMAGED: &str = "the database is damaged: stop all servers on it, keep a copy of it as it is, look at the disk, and restore \
     the newest back-up (operations.md, \"Back-up and restore\")";

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such database, or it can't be reached or used.
    #[error("the database could not be opened")]
    Database(#[source] sqlx::Error),
    /// The file holds something else.
    #[error("{} is not a SQLite database. Check database.url and data_dir; the file was left as it is", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// What is in it can't be read any more.
    #[error("{DAMAGED}")]
    Damaged(#[source] sqlx::Error),
    /// A newer release changed the tables.
    #[error(
        "the database was changed by a newer release of Waybill: it is at migration {found}, and this release knows those up to {known}. \
         Start the newer release again, or restore the back-up from before the upgrade; nothing was changed"
    )]
    Newer {
        /// The newest migration that ran on it.
        found: i64,
        /// The newest one that this release has.
        known: i64,
    },
    /// A migration that ran on it isn't the one that this release has.
    #[error(
        "migration {version} ran on the database in another form than this release has it: another build of Waybill wrote it. Start that \
         build again, or restore a back-up that this release wrote; nothing was changed"
    )]
    Differs {
        /// The migration.
        version: i64,
    },
    /// A migration failed.
    #[error("the database could not be brought up to date")]
    Migrate(#[source] MigrateError),
    /// The role that the server connects with may not change the tables, and they have to be.
    #[error(
        "the database has to be brought up to date, which this role may not do: run waybill migrate with the address of the role that owns the tables, and --grant-to this one"
    )]
    MayNot(#[source] MigrateError),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        match is_of_damage(&error) {
            true => Self::Damaged(error),
            false => Self::Database(error),
        }
    }
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => Self::Differs { version },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if is_of_damage(&error) => {
                Self::Damaged(error)
            }
            other => Self::Migrate(other),
        }
    }
}

/// SQLite's primary result codes (sqlite.org/rescode.html).
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// PostgreSQL's `data_corrupted` and `index_corrupted`.
const POSTGRES_CORRUPTED: [&str; 2] = ["XX001", "XX002"];

/// The primary code of an error of SQLite.
fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?;
    let code = code.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    let code: i32 = sqlx::error::DatabaseError::code(code)?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether a file is no database at all.
pub(super) fn is_no_database(error: &sqlx::Error) -> bool {
    sqlite_code(error) == Some(SQLITE_NOTADB)
}

fn is_of_damage(error: &sqlx::Error) -> bool {
    let is_postgres = || {
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| POSTGRES_CORRUPTED.contains(&&*code))
    };
    matches!(sqlite_code(error), Some(SQLITE_CORRUPT | SQLITE_NOTADB)) || is_postgres()
}

/// Whether a damaged database is at the bottom of an error.
#[must_use]
pub fn tells_of_damage(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<sqlx::Error>().is_some_and(is_of_damage) {
            return true;
        }
        next = error.source();
    }
    false
}

/// A migration that ran: version, checksum, and whether it ended.
pub(super) type Ran = (i64, Vec<u8>, bool);

/// What ran, in order.
pub(super) const RAN: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";

/// Holds the migrations that ran on a database against those of this release; whether nothing is left to do.
pub(super) fn is_up_to_date(ran: &[Ran], ours: &Migrator) -> Result<bool, OpenError> {
    let known = ours.iter().map(|one| one.version).max().unwrap_or_default();
    if let Some((found, ..)) = ran.iter().rev().find(|(version, ..)| *version > known) {
        return Err(OpenError::Newer { found: *found, known });
    }
    for (version, checksum, _) in ran {
        let is_same = ours
            .iter()
            .any(|one| one.version == *version && *one.checksum == **checksum);
        if !is_same {
            return Err(OpenError::Differs { version: *version });
        }
    }
    let ended = ran.iter().filter(|(_, _, ended)| *ended).count();
    Ok(ended == ours.iter().count())
}
