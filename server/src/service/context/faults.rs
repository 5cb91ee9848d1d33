//! What goes wrong in the store or behind a port, as the one error that people see.

use crate::store::{StoreError, open};
use contract::error::AppError;

/// A fault of our own: the cause goes to the log under a number, the person gets the number. A damaged database is no secret, and nobody
/// else can do anything about it.
pub fn internal(error: &(dyn std::error::Error + 'static)) -> AppError {
    let number = fault_number();
    let mut causes = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        causes = format!("{causes}: {e}");
        cause = e.source();
    }
    tracing::error!(fault = %number, error = %causes, "a use case failed");
    if open::tells_of_damage(error) {
        return AppError::Upstream(format!("Fault {number}: {}.", open::DAMAGED));
    }
    AppError::Internal(number)
}

/// Eight random characters: unique enough to be found in a log.
fn fault_number() -> String {
    let mut bytes = [0_u8; 4];
    // Without random numbers the number is 00000000, which is still found in the log.
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale => {
                Self::Conflict("It was changed by somebody else in the meantime. Reload to see how it stands.".into())
            }
            StoreError::Exists => Self::Conflict("It exists already. Reload to see it.".into()),
            other => match other.trouble() {
                Some(trouble) => Self::Unavailable(trouble.to_string()),
                None => internal(&other),
            },
        }
    }
}

impl From<crate::ports::git::GitError> for AppError {
    fn from(error: crate::ports::git::GitError) -> Self {
        // Who asked is told; whoever runs this may want to know how often.
        tracing::warn!(%error, "Git kept a request from being carried out");
        Self::Upstream(error.to_string())
    }
}

/// Of what somebody asked for, before anything of it is written: when another system is what keeps it from being done, it doesn't wait
/// either, and whoever asked must know.
pub(crate) fn unrecorded(error: AppError) -> AppError {
    match error {
        AppError::Upstream(why) => AppError::Upstream(format!("{why} Nothing was recorded.")),
        other => other,
    }
}

impl From<crate::ports::registry::RegistryError> for AppError {
    fn from(error: crate::ports::registry::RegistryError) -> Self {
        // Who asked is told; whoever runs this may want to know how often.
        tracing::warn!(%error, "a registry kept a request from being carried out");
        Self::Upstream(error.to_string())
    }
}
