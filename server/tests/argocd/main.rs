//! The Argo CD client and the decision about "live", against the stand-in for Argo CD over a real Git repository.
//!
//! `story` follows promotions to their end, also where things go wrong; `client` looks at single calls and their errors;
//! `watch` at the stream.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod client;
mod harness;
mod story;
mod watch;
