//! The GitOps repository: read a values file at a commit, and put one small commit on the tip of a branch.
//!
//! [`Git`] is what services and steps use; [`GitMirrors`] implements it with one warm bare mirror per repository: objects
//! and trees with libgit2, transport over HTTP directly where the server is clear, else with the `git` program (it knows
//! every credential scheme, and says when a server rejects a ref). Of the repositories that images are built from, [`SourceMirrors`] fetches the
//! history alone.

mod address;
mod commit;
mod directory;
mod edit;
mod fault;
mod files;
mod history;
mod last_change;
mod local;
mod mending;
mod mirror;
mod pack;
mod packs;
mod probe;
mod reader;
mod removal;
mod smart;
mod sources;
mod transport;
mod turns;
pub mod values;
mod view;

pub use local::LocalPaths;
pub use mirror::GitMirrors;
pub use sources::SourceMirrors;

use crate::ports::git::{
    BlockRemoval, CommitId, CommitRequest, CommitView, Committed, Credentials, DeclaredService, Difference, Expected,
    Git, GitError, PlaceEdit, Probe, RepositoryAccess, ServiceChange, ServicePlace, Signature, Unprobed,
};
