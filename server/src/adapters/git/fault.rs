//! Whose fault it is when work on a mirror fails: the machine's, which passes, or the mirror's, which is then made anew.
//!
//! libgit2 and the program `git` say what the system said, in its own words, and sometimes hide it: a pack that can't be opened is
//! "object not found". So what they say only clears the mirror. What condemns it is a second try that fails too, while files
//! beside it can be opened and written ([`check_machine`]); see [`super::mending`].

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use git2::{ErrorClass, ErrorCode};

use super::GitError;

/// What a system says (strerror(3) of glibc and musl, in lower case) when it lacks something or is not allowed to do it, and what
/// `git` says then.
const OF_THE_MACHINE: [&str; 24] = [
    "too many open files",
    "no file descriptors available",
    "file table overflow",
    "no space left",
    "disk quota exceeded",
    "quota exceeded",
    "file too large",
    "permission denied",
    "operation not permitted",
    "read-only file system",
    "input/output error",
    "i/o error",
    "cannot allocate memory",
    "out of memory",
    "resource temporarily unavailable",
    "interrupted system call",
    "device or resource busy",
    "stale file handle",
    "transport endpoint is not connected",
    "unable to create temporary",
    "unable to create thread",
    "unable to fork",
    "cannot fork",
    "insufficient permission",
];

/// Why a blocking operation failed: the file's fault, the repository's, or else the mirror's or the machine's.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocalError {
    #[error("{path}: {reason}")]
    Values { path: String, reason: String },
    #[error("{path} is not there")]
    NoFile { path: String },
    #[error("{0}")]
    TooLarge(String),
    #[error(transparent)]
    Mirror(#[from] git2::Error),
}

impl LocalError {
    pub(super) fn at(self, url: &str) -> GitError {
        match self {
            Self::Values { path, reason } => GitError::Values { path, reason },
            Self::NoFile { path } => GitError::NoFile { path },
            Self::TooLarge(reason) => GitError::TooLarge {
                url: url.to_owned(),
                reason,
            },
            Self::Mirror(error) => {
                let (url, reason) = (url.to_owned(), error.message().to_owned());
                match is_of_the_machine_below(&error) {
                    true => GitError::Machine { url, reason },
                    false => GitError::Mirror { url, reason },
                }
            }
        }
    }
}

/// Descriptors that the machine must be able to give for its faults to be ruled out: as many as a large mirror takes at once.
const DESCRIPTORS: usize = 32;

/// Whether a text of this machine tells of a fault of the machine.
pub(super) fn is_of_the_machine(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    OF_THE_MACHINE.iter().any(|words| lower.contains(words))
}

/// Whether libgit2 failed by a fault of the machine.
pub(super) fn is_of_the_machine_below(error: &git2::Error) -> bool {
    // What a killed server locked stays locked: that is the mirror's, and so are files that are missing in it.
    let is_of_files = matches!(
        error.code(),
        ErrorCode::Locked | ErrorCode::NotFound | ErrorCode::Exists | ErrorCode::Directory
    );
    let is_of_the_system = matches!(
        error.class(),
        ErrorClass::NoMemory | ErrorClass::Os | ErrorClass::Thread | ErrorClass::Filesystem
    );
    is_of_the_machine(error.message()) || (is_of_the_system && !is_of_files)
}

/// Whether all files of `mirror` can be opened now, and files opened and written beside it, as many as work on a mirror takes.
///
/// # Errors
/// What the machine lacks, or doesn't let Waybill do.
pub(super) fn check_machine(mirror: &Path) -> io::Result<()> {
    let directory = mirror.parent().unwrap_or(mirror);
    let open: Vec<File> = (0..DESCRIPTORS)
        .map(|_| File::open(directory))
        .collect::<io::Result<_>>()?;
    let mut file = tempfile::Builder::new().prefix(".check-").tempfile_in(directory)?;
    file.write_all(&[0; 4096])?;
    file.as_file().sync_data()?;
    drop(open);
    match open_all(mirror) {
        // What is missing in it may be what is broken.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened,
    }
}

fn open_all(directory: &Path) -> io::Result<()> {
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                left.push(entry.path());
            } else {
                File::open(entry.path())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_not_the_mirrors_fault() {
        for (errno, is_machine) in [
            (1, true),   // EPERM
            (5, true),   // EIO
            (11, true),  // EAGAIN
            (12, true),  // ENOMEM
            (13, true),  // EACCES
            (23, true),  // ENFILE
            (24, true),  // EMFILE
            (27, true),  // EFBIG
            (28, true),  // ENOSPC
            (30, true),  // EROFS
            (122, true), // EDQUOT
            (2, false),  // ENOENT
            (17, false), // EEXIST
        ] {
            let text = io::Error::from_raw_os_error(errno).to_string();
            assert_eq!(is_of_the_machine(&text), is_machine, "{text}");
        }
        for text in [
            "failed to open '/data/git/a.git/config': Too many open files in system",
            "fatal: unable to create thread: Resource temporarily unavailable",
            "error: unable to write file objects/ab: No space left on device",
        ] {
            assert!(is_of_the_machine(text), "{text}");
        }
        for text in [
            "object not found - no match for id (ab)",
            "error: object file objects/ab is empty",
        ] {
            assert!(!is_of_the_machine(text), "{text}");
        }
        let error = |code, class, text: &str| git2::Error::new(code, class, text);
        let sick = error(ErrorCode::GenericError, ErrorClass::Os, "could not read: unheard of");
        assert!(is_of_the_machine_below(&sick));
        for (code, class) in [
            (ErrorCode::NotFound, ErrorClass::Odb),
            (ErrorCode::Locked, ErrorClass::Os),
            (ErrorCode::GenericError, ErrorClass::Zlib),
        ] {
            assert!(!is_of_the_machine_below(&error(code, class, "x")), "{code:?} {class:?}");
        }
    }

    #[test]
    fn a_directory_that_takes_no_file_is_found_out() {
        let directory = tempfile::tempdir().unwrap();
        check_machine(&directory.path().join("mirror.git")).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(check_machine(&directory.path().join("none/mirror.git")).is_err());
    }
}
