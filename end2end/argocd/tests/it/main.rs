//! The stand-in over HTTP, against a real bare repository: what a promotion server meets.

// Helpers of tests say what they expect by unwrapping, as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod applications;
mod auto_sync;
mod cache;
mod cluster;
mod faults;
mod hooks;
mod manual_sync;
mod namespaces;
mod outages;
mod rights;
mod rules;
mod stream;
mod support;
mod windows;
