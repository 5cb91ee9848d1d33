//! The ledger's tail: what was written becomes a message to every open page.
//!
//! Writers only wake the tail; what happened it reads from the store, so that nothing is told that was not committed, and
//! nothing that was committed is missed.

use crate::{service::Services, store::StoreError};
use domain::event::Event;
use std::{sync::Arc, time::Duration};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Events that a slow reader may lag behind before it must read everything again.
const BACKLOG: usize = 1024;

/// How often the ledger is looked at without being woken: another process may have written.
const LOOK: Duration = Duration::from_secs(1);

/// Hands events to open pages.
#[derive(Clone, Debug)]
pub struct Events {
    sender: broadcast::Sender<Arc<Event>>,
    /// How far the ledger is known to go.
    newest: watch::Sender<i64>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(BACKLOG).0,
            newest: watch::channel(0).0,
        }
    }
}

impl Events {
    /// Everything from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }

    /// Changes whenever the ledger grew, however much: for who reads it for themselves.
    #[must_use]
    pub fn ledger(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    /// Follows the ledger until told to stop.
    pub async fn tail(self, services: Services, stop: CancellationToken) {
        let mut at = loop {
            match newest(&services).await {
                Ok(at) => break at,
                Err(error) if error.trouble().is_some() => {}
                Err(error) => tracing::error!(%error, "the ledger could not be read"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        loop {
            match self.pass_on(&services, at).await {
                Ok(to) if to > at => at = to,
                Ok(_) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = services.wake.events.notified() => {}
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                Err(error) => {
                    if error.trouble().is_none() {
                        tracing::error!(%error, "the ledger could not be read");
                    }
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
            }
        }
    }

    async fn pass_on(&self, services: &Services, after: i64) -> Result<i64, StoreError> {
        let events = services.store.read().await?.events_after(after, 500).await?;
        let newest = events.last().map_or(after, |event| event.sequence);
        for event in events {
            // Nobody listening is fine.
            let _ = self.sender.send(Arc::new(event));
        }
        if newest > after {
            self.newest.send_replace(newest);
        }
        Ok(newest)
    }
}

async fn newest(services: &Services) -> Result<i64, StoreError> {
    services.store.read().await?.newest_event().await
}
