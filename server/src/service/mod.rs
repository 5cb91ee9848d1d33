//! The use cases. Every door (pages, GraphQL, REST, command line, webhooks) calls these and nothing else.
//!
//! A use case authorises its [`Caller`], reads, asks the outside world where it must, and then writes the change, the next step and the event
//! in one transaction. The rooms stand one upon the other, from the ground up: `context`, `reach`, `access`, `sources`, `gates`, `statements`,
//! `queue`, `removal`, `observe`, `promotion`, `views`, `configure`, `notification`. Each may call those before it, and none after it;
//! a room's `mod.rs` is its only door. `tests/house.rs` keeps it so.

pub mod access;
pub mod configure;
pub mod context;
pub mod gates;
pub mod notification;
pub mod observe;
pub mod promotion;
pub mod queue;
pub mod reach;
pub mod removal;
pub mod sources;
pub mod statements;
pub mod views;

pub use context::{Services, Wake};
pub use reach::Caller;
