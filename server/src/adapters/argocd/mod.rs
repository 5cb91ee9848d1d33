//! Argo CD: what an Application runs, asking it to refresh and sync, and following its changes.
//!
//! [`ArgoCd`] is what steps use; [`ArgoCdClient`] implements it over Argo CD's REST interface. What it reports is
//! [`domain::plan::AppSnapshot`]; what to do about it is decided there, without I/O.
//!
//! `client` speaks HTTP, `answer` tells what an odd answer means, `watch` reads the stream, `wire` knows Argo CD's JSON, `workloads`, `events` and `logs` what
//! it says of pods.

mod answer;
mod client;
mod events;
mod logs;
mod watch;
mod window;
mod wire;
mod workloads;

pub use client::{ArgoCdClient, Timeouts};

use crate::ports::argocd::{
    AppRef, ArgoCd, ArgoCdAccess, ArgoCdError, Checked, Inspected, Refresh, SyncRequest, WatchEvent, Window, Workloads,
};
