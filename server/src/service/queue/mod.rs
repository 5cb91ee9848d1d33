//! Promotions as they are written: asked for, following a source, taking the place of others, held, withdrawn. Nothing is promoted to a recalled digest.

mod ahead;
mod follow;
mod holds;
mod recalled;
mod request;

pub use ahead::bring_forward;
pub(crate) use follow::{describe_followers, follow, is_withdrawn, withdraw};
pub(crate) use holds::{hold_for_git, lift_hold, put_on_hold, renamed_key};
pub(crate) use recalled::check_recall;
pub(crate) use request::{Request, request};
