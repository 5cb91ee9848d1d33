//! The stand-in over HTTP, against a real bare repository: what a promotion server meets.

// Helpers of tests say what they expect by unwrapping, as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod applications;
mod auto_sync;
mod cluster;
mod faults;
mod manual_sync;
mod rules;
mod stream;
mod support;
