//! Whose turn it is with a repository's mirror, and what goes from one turn to the next.
//!
//! Everybody who promotes looks at the remote first. Whoever waited for the turn while others looked need not look once more
//! when that look began after they asked, and nothing was pushed from here since. So a hundred who ask at once cost the remote two looks.

use super::{CommitId, GitError, RepositoryAccess, commit::Memory};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The turns of all mirrors, by where the mirror lies.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<PathBuf, Arc<AsyncMutex<Turn>>>>);

impl Turns {
    /// Waits for the turn to change a mirror.
    pub(super) async fn wait(&self, path: &Path) -> OwnedMutexGuard<Turn> {
        let lock = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(path.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}

/// What goes from one turn to the next.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What the commits remember.
    pub(super) memory: Memory,
    /// The newest look at the remote.
    look: Option<Look>,
}

#[derive(Debug)]
struct Look {
    began: Instant,
    access: RepositoryAccess,
    found: Result<CommitId, GitError>,
}

impl Turn {
    /// What a look at the remote found that began at `since` or later, at the same branch and with the same credentials.
    pub(super) fn looked(&self, access: &RepositoryAccess, since: Instant) -> Option<Result<CommitId, GitError>> {
        let look = self.look.as_ref()?;
        let serves = look.began >= since
            && look.access.branch == access.branch
            && look.access.credentials.are(&access.credentials);
        serves.then(|| look.found.clone())
    }

    /// The remote may be elsewhere than where it was seen.
    pub(super) fn forget_look(&mut self) {
        self.look = None;
    }

    /// Keeps what a look at the remote found that began at `began`.
    pub(super) fn keep(&mut self, access: &RepositoryAccess, began: Instant, found: Result<CommitId, GitError>) {
        self.look = Some(Look {
            began,
            access: access.clone(),
            found,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::git::Credentials;
    use std::time::Duration;

    #[test]
    fn a_look_serves_who_asked_before_it_with_the_same_rights_until_a_push() {
        let token = |token: &str| RepositoryAccess {
            tenant: "demo".into(),
            url: "https://git.example/deploy.git".into(),
            branch: "main".into(),
            credentials: Credentials::UserToken {
                user: "waybill".into(),
                token: token.into(),
            },
        };
        let (began, mut turn) = (Instant::now(), Turn::default());
        let (earlier, later) = (began - Duration::from_millis(1), began + Duration::from_millis(1));
        turn.keep(&token("a"), began, Ok("c0ffee".into()));
        let looked = |turn: &Turn, access: &RepositoryAccess, since| turn.looked(access, since).and_then(Result::ok);
        assert_eq!(looked(&turn, &token("a"), earlier).as_deref(), Some("c0ffee"));
        assert_eq!(looked(&turn, &token("a"), later), None, "it began before they asked");
        assert_eq!(looked(&turn, &token("b"), earlier), None, "with other credentials");
        let release = RepositoryAccess {
            branch: "release".into(),
            ..token("a")
        };
        assert_eq!(looked(&turn, &release, earlier), None, "at another branch");
        turn.forget_look();
        assert_eq!(looked(&turn, &token("a"), earlier), None, "somebody pushed from here");
    }
}
