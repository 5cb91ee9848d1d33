//! Asking once for all who want to know at about the same time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::Mutex as AsyncMutex;

/// Something that many want at about the same time: one asks, one after another, and who waited meanwhile shares an answer that was
/// asked for after they began to want it.
#[derive(Debug)]
pub(crate) struct Shared<T>(AsyncMutex<Option<(Instant, T)>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(AsyncMutex::default())
    }
}

impl<T: Clone> Shared<T> {
    /// The answer: shared, or what `ask` finds now.
    pub(crate) async fn get<E>(&self, ask: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let since = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((asked, found)) = &*last
            && *asked >= since
        {
            return Ok(found.clone());
        }
        let asked = Instant::now();
        let found = ask().await?;
        *last = Some((asked, found.clone()));
        Ok(found)
    }
}

/// The same by what it is about.
#[derive(Debug)]
pub(crate) struct SharedBy<K, T>(Mutex<HashMap<K, Arc<Shared<T>>>>);

impl<K, T> Default for SharedBy<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> SharedBy<K, T> {
    /// That of one key.
    pub(crate) fn of(&self, key: K) -> Arc<Shared<T>> {
        Arc::clone(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key)
                .or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn who_waits_while_somebody_asks_is_answered_by_the_next_question() {
        let (shared, gate, asked) = (Shared::<usize>::default(), Semaphore::new(0), AtomicUsize::new(0));
        let get = || {
            shared.get(async || {
                let n = asked.fetch_add(1, Ordering::SeqCst);
                let _ = gate.acquire().await;
                Ok::<_, ()>(n)
            })
        };
        let mut first = Box::pin(get());
        assert!(futures::poll!(&mut first).is_pending());
        let mut others: Vec<_> = (0..10).map(|_| Box::pin(get())).collect();
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        gate.close();
        assert_eq!(first.await, Ok(0));
        assert_eq!(futures::future::join_all(others).await, [Ok(1); 10]);
        assert_eq!(get().await, Ok(2), "what was asked before holds for nobody later");
    }
}
