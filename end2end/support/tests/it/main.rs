//! The real parts, tested for themselves: what other tests stand on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by unwrapping"
)]

mod git;
mod postgres;
mod registry;
mod waybill;

use std::{future::Future, time::Duration};

/// Fails loudly instead of waiting forever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("waited 30 s for {what}"))
}
