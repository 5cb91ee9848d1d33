//! What can go wrong while starting or asking one of the real parts.

use std::path::PathBuf;

/// An error of the test bed. It names the program or the address, so that a failed test says which part failed.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// A program could not be started at all: most often it is not installed.
    #[error("cannot start `{program}` (is it installed? `scripts/setup` installs it)")]
    Spawn {
        /// The program as it was called.
        program: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A program ran and reported failure.
    #[error("`{command}` failed with {status}:\n{output}")]
    Program {
        /// Program and arguments.
        command: String,
        /// The exit status in words.
        status: String,
        /// What it printed, mostly on standard error.
        output: String,
    },
    /// A file or a directory could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// No socket could be bound on the address.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address and port.
        address: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// An HTTP request did not get an answer.
    #[error("no answer from {url}")]
    Request {
        /// The address asked.
        url: String,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
    /// An HTTP request got an answer that was not the hoped for one.
    #[error("{url} answered {status}: {body}")]
    Answer {
        /// The address asked.
        url: String,
        /// The status code.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// Something for a test could not be made.
    #[error("it can't be made: {0}")]
    Odd(String),
    /// A part that several share could not be started by the first.
    #[error("it failed before: {0}")]
    Earlier(String),
    /// A part did not become ready, or not what was waited for, within its time.
    #[error("{what} was not ready within {seconds} s\n{log}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: u64,
        /// The end of its log, where it has one.
        log: String,
    },
}

impl TestbedError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
