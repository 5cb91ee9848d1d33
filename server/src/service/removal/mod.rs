//! *Delete*: what goes with a thing, who must be asked, and what leaves Git.

mod find;
mod git;
mod remove;

pub(crate) use git::{check_is_out_of_git, find_same_block, git_removal_event};
pub(crate) use remove::remove_in;
pub use remove::{removal, remove};
