//! When a mirror is made anew: only when it is proven to be broken. See [`super::fault`] for what clears it.

use std::io::ErrorKind;

use super::{GitError, commit, fault, mirror::Mirror};

/// Failures in a row, on a machine that lacks nothing, that prove a mirror to be broken.
const FAILURES_OF_A_BROKEN_ONE: u32 = 2;

impl Mirror {
    /// What a try came to; `None` when there is to be another one. A mirror is proven to be broken, and made anew for the last try, when one
    /// try fails by it, the next one does, and the machine lacks nothing either time. The turn must be held.
    pub(super) async fn settled<T>(
        &self,
        done: Result<T, GitError>,
        failures: &mut u32,
    ) -> Option<Result<T, GitError>> {
        let reason = match &done {
            Err(GitError::Mirror { reason, .. }) if *failures < FAILURES_OF_A_BROKEN_ONE => reason,
            _ => return Some(done),
        };
        *failures += 1;
        let checked = match self.check_machine(reason).await {
            Ok(()) if *failures == FAILURES_OF_A_BROKEN_ONE => self.discard().await,
            checked => checked,
        };
        checked.err().map(Err)
    }

    /// Whether the machine is well, so that what failed was not its fault.
    async fn check_machine(&self, reason: &str) -> Result<(), GitError> {
        let path = self.path.clone();
        let checked = tokio::task::spawn_blocking(move || fault::check_machine(&path)).await;
        let checked = checked.map_err(|error| self.machine(error))?;
        tracing::debug!(url = %self.url, reason, ?checked, "a Git mirror failed");
        checked.map_err(|error| self.machine(error))
    }

    /// Puts a mirror that failed away; the next use makes it anew.
    async fn discard(&self) -> Result<(), GitError> {
        let path = self.path.clone();
        let removed = tokio::task::spawn_blocking(move || commit::put_away(&path)).await;
        let removed = removed.map_err(|error| self.machine(error))?;
        tracing::warn!(url = %self.url, ?removed, "a Git mirror is broken and is made anew");
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.machine(error)),
            _ => Ok(()),
        }
    }
}
