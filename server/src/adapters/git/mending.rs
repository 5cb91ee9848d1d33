//! When a mirror is made anew: only when it is proven to be broken. See [`super::fault`] for what clears it.

use std::io::ErrorKind;

use super::{
    GitError,
    commit::Memory,
    directory, fault,
    fault::LocalError,
    mirror::{GitMirrors, Mirror},
    reader::Reader,
};

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
        let removed = tokio::task::spawn_blocking(move || directory::put_away(&path)).await;
        let removed = removed.map_err(|error| self.machine(error))?;
        tracing::warn!(url = %self.url, ?removed, "a Git mirror is broken and is made anew");
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.machine(error)),
            _ => Ok(()),
        }
    }
}

impl GitMirrors {
    /// Reads what the branch has now. A mirror that is proven to be broken by that is made anew, as one that is written to.
    pub(super) async fn read_branch<T, W>(&self, mirror: &Mirror, work: W) -> Result<T, GitError>
    where
        T: Send + 'static,
        W: FnOnce(&Reader<'_>) -> Result<T, LocalError> + Clone + Send + 'static,
    {
        let mut done = mirror.local(work.clone()).await;
        if !matches!(done, Err(GitError::Mirror { .. })) {
            return done;
        }
        let mut turn = self.turns.wait(&mirror.path).await;
        turn.forget_look();
        let mut failures = 0;
        loop {
            if let Some(done) = mirror.settled(done, &mut failures).await {
                return done;
            }
            turn.memory = Memory::default();
            done = match mirror.fetch_into_it().await {
                Ok(_) => mirror.local(work.clone()).await,
                Err(error) => Err(error),
            };
        }
    }
}
