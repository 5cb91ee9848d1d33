//! Writing together what comes at about the same time: a commit of the database is what costs, not what is in it.
//!
//! Whoever has something to write adds it and waits for the turn; who gets the turn writes all that has gathered, and the others
//! find theirs written. Alone, nobody waits.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, oneshot};

/// Things that wait to be written, each with an answer `A` to who added it.
pub(crate) struct Gather<T, A> {
    queue: Mutex<Vec<Waiting<T, A>>>,
    turn: AsyncMutex<()>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Waiting<T, A> {
    /// What is to be written.
    pub(crate) item: T,
    /// Who waits for it, and may be gone.
    pub(crate) written: oneshot::Sender<A>,
}

/// The turn to write; the next one's begins when this is dropped.
pub(crate) struct Turn<'a, T, A> {
    gather: &'a Gather<T, A>,
    _guard: MutexGuard<'a, ()>,
}

impl<T, A> Default for Gather<T, A> {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            turn: AsyncMutex::default(),
        }
    }
}

impl<T, A> fmt::Debug for Gather<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gather")
    }
}

impl<T, A> Gather<T, A> {
    /// Adds things. Each answer comes from whoever wrote it; none comes when they were cut off.
    pub(crate) fn add(&self, items: impl IntoIterator<Item = T>) -> Vec<oneshot::Receiver<A>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |item| {
            let (written, answer) = oneshot::channel();
            queue.push(Waiting { item, written });
            answer
        };
        items.into_iter().map(one).collect()
    }

    /// Waits for the turn.
    pub(crate) async fn turn(&self) -> Turn<'_, T, A> {
        Turn {
            gather: self,
            _guard: self.turn.lock().await,
        }
    }
}

impl<T, A> Turn<'_, T, A> {
    /// What has gathered until now, `most` of it; `None` when that is nothing, because others wrote it.
    pub(crate) fn next(&mut self, most: usize) -> Option<Vec<Waiting<T, A>>> {
        let mut queue = self.gather.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let many = queue.len().min(most);
        (many > 0).then(|| queue.drain(..many).collect())
    }
}
