//! The server's own folder, and the lock that keeps it to one server.
//!
//! Two servers on one folder would share mirrors, and on one SQLite file take each other's leases. So `waybill serve` holds an advisory lock
//! (flock(2)) on `lock` in `data_dir`, and beside a SQLite file on `<file>.lock`, as long as it lives: the system takes it away with the
//! process, however that ends. Commands that only use the database need no lock.

use crate::config::{Config, Database};
use domain::time::Timestamp;
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The folder's lock.
const LOCK: &str = "lock";
/// More than a holder says of itself.
const MOST_OF_HOLDER: u64 = 512;

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It can't be made, or its lock can't be written.
    #[error("the data directory {} can't be made or used", path.display())]
    Unusable {
        /// What can't be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server has it.
    #[error(
        "another server is running on {what}: {holder}. Stop that one, or give this one a data_dir and database of its own; on PostgreSQL \
         several servers share the database, each with its own data_dir"
    )]
    Held {
        /// The folder, or the SQLite file.
        what: String,
        /// What it says of itself.
        holder: String,
    },
}

/// A server's claim on its folder and its SQLite file; it ends with this value, or with the process.
#[derive(Debug)]
pub struct DataLock(Vec<File>);

impl Drop for DataLock {
    fn drop(&mut self) {
        for file in &self.0 {
            // Closing it does the same a moment later.
            let _ = file.unlock();
        }
    }
}

/// Makes the folder when it isn't there. It holds hashes of passwords, sealed secrets and mirrors: nobody else's to read.
///
/// # Errors
/// When it can't be made.
pub fn make(path: &Path) -> Result<(), DataDirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(unusable(path))
}

impl DataLock {
    /// Takes the folder and the SQLite file of a server.
    ///
    /// # Errors
    /// When another server has one of them, with what that one says of itself; when a lock can't be written.
    pub fn take(config: &Config, now: Timestamp) -> Result<Self, DataDirError> {
        make(&config.data_dir)?;
        let holder = format!(
            "process {} on host {}, since {}",
            std::process::id(),
            host(),
            now.exact()
        );
        let shown = config.data_dir.display().to_string();
        let mut files = vec![lock(&config.data_dir.join(LOCK), &shown, &holder)?];
        if let Database::Sqlite(file) = &config.database
            && let Some(place) = lock_of_file(file)
        {
            files.push(lock(&place, &file.display().to_string(), &holder)?);
        }
        Ok(Self(files))
    }
}

/// Beside the file that a path leads to; `None` where its folder isn't there, so that the database can't be opened either.
fn lock_of_file(file: &Path) -> Option<PathBuf> {
    let real = file.canonicalize().ok().or_else(|| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(file.file_name()?))
    })?;
    let mut name = real.into_os_string();
    name.push(".lock");
    Some(name.into())
}

fn lock(path: &Path, what: &str, holder: &str) -> Result<File, DataDirError> {
    let failed = unusable(path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(&failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut said = String::new();
            // Whoever has it may be about to write.
            let _ = file.take(MOST_OF_HOLDER).read_to_string(&mut said);
            let said: String = said.trim().chars().filter(|c| !c.is_control()).collect();
            return Err(DataDirError::Held {
                what: what.to_owned(),
                holder: if said.is_empty() {
                    "a process that has just begun".into()
                } else {
                    said
                },
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{holder}"))
        .map_err(&failed)?;
    Ok(file)
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> DataDirError {
    move |source| DataDirError::Unusable {
        path: path.to_owned(),
        source,
    }
}

/// The machine's name, as it knows itself.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(data_dir: &Path, database: &str) -> Config {
        let variables = [
            ("WAYBILL_DATA_DIR", data_dir.display().to_string()),
            ("WAYBILL_DATABASE_URL", database.to_owned()),
        ];
        Config::load(None, variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
    }

    #[test]
    fn a_folder_and_a_file_are_one_servers() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (root.path().join("one"), root.path().join("other"));
        let file = format!("sqlite://{}", one.join("waybill.db").display());
        let postgres = "postgres://waybill@db.example.com/waybill";
        let now = Timestamp(1_800_000_000_000);
        let first = DataLock::take(&config(&one, &file), now).unwrap();
        for (again, what) in [
            (config(&one, &file), "one"),
            (config(&one, postgres), "one"),
            (config(&other, &file), "one/waybill.db"),
        ] {
            let refused = DataLock::take(&again, now).unwrap_err().to_string();
            let me = format!(
                "process {} on host {}, since 2027-01-15 08:00:00 UTC",
                std::process::id(),
                host()
            );
            assert!(refused.contains(&me), "{refused}");
            assert!(
                refused.contains(&format!("{}:", root.path().join(what).display())),
                "{refused}"
            );
        }
        let beside = DataLock::take(&config(&other, postgres), now).unwrap();
        drop(first);
        drop(DataLock::take(&config(&one, &file), now).unwrap());
        drop(beside);
    }

    #[test]
    fn a_file_by_another_way_is_the_same_file() {
        let root = tempfile::tempdir().unwrap();
        let one = root.path().join("one");
        std::fs::create_dir(&one).unwrap();
        std::fs::write(one.join("waybill.db"), "").unwrap();
        std::os::unix::fs::symlink(one.join("waybill.db"), root.path().join("link.db")).unwrap();
        let by = |name: &str| format!("sqlite://{}", root.path().join(name).display());
        let _first = DataLock::take(&config(&one, &by("one/waybill.db")), Timestamp(0)).unwrap();
        let other = config(&root.path().join("other"), &by("link.db"));
        assert!(matches!(
            DataLock::take(&other, Timestamp(0)),
            Err(DataDirError::Held { .. })
        ));
    }
}
