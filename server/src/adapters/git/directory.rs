//! The directories of mirrors: each appears whole and goes at once, whoever reads meanwhile.

use std::{path::Path, time::Duration};

use git2::Repository;
use tempfile::TempDir;

/// Opens the mirror in `directory`, or makes one where there is none. Who reads meanwhile without waiting for the turn finds
/// none, or a whole one: it is made beside its place, and then put there.
pub(super) fn open(directory: &Path) -> Result<Repository, git2::Error> {
    // Whether it is there is asked in a way that can fail: what can't be looked at is not missing.
    if directory.try_exists().map_err(|error| of_files(&error))? {
        return Repository::open_bare(directory);
    }
    let new = beside(directory).map_err(|error| of_files(&error))?;
    Repository::init_bare(new.path())?;
    if let Err(error) = std::fs::rename(new.path(), directory) {
        // Another server with the same directory was faster, unless there is none now.
        return Repository::open_bare(directory).map_err(|_| of_files(&error));
    }
    Repository::open_bare(directory)
}

/// Takes a mirror away at once, for whoever reads without waiting for the turn, and then removes it.
pub(super) fn put_away(directory: &Path) -> std::io::Result<()> {
    let away = beside(directory)?;
    std::fs::rename(directory, away.path())?;
    away.close()
}

/// An empty directory beside another one, which is removed with this value, whatever is in it then.
fn beside(directory: &Path) -> std::io::Result<TempDir> {
    let parent = directory.parent().unwrap_or(directory);
    tempfile::Builder::new().prefix(BESIDE).tempdir_in(parent)
}

/// How the names of directories begin that are no mirrors: new ones, and those put away.
const BESIDE: &str = ".mirror-";
/// Nobody works that long in such a directory.
const LEFT: Duration = Duration::from_secs(3600);

/// Removes what servers left beside their mirrors that were killed at it.
pub(super) fn sweep(mirrors: &Path) {
    // Before the first mirror there is nothing.
    let Ok(entries) = std::fs::read_dir(mirrors) else {
        return;
    };
    for entry in entries.flatten() {
        let is_beside = entry.file_name().to_string_lossy().starts_with(BESIDE);
        let since = entry.metadata().and_then(|about| about.modified()).ok();
        let is_left = since
            .and_then(|since| since.elapsed().ok())
            .is_some_and(|age| age > LEFT);
        if is_beside
            && is_left
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, directory = %entry.path().display(), "a directory that is no mirror can't be removed");
        }
    }
}

fn of_files(error: &std::io::Error) -> git2::Error {
    git2::Error::from_str(&error.to_string())
}
