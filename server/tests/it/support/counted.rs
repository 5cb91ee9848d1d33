//! A store that counts the transactions that may write.

use async_trait::async_trait;
use futures::stream::BoxStream;
use server::store::{DatabaseFault, Store, StoreChange, StoreError, Tx};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub(crate) struct Counted {
    store: Arc<dyn Store>,
    writes: AtomicUsize,
}

impl Counted {
    pub(crate) fn new(store: Arc<dyn Store>) -> Arc<Self> {
        let writes = AtomicUsize::new(0);
        Arc::new(Self { store, writes })
    }

    /// How many began since the last time.
    pub(crate) fn writes(&self) -> usize {
        self.writes.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Counted {
    async fn read(&self) -> Result<Box<dyn Tx>, StoreError> {
        self.store.read().await
    }

    async fn write(&self) -> Result<Box<dyn Tx>, StoreError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.store.write().await
    }

    fn changes(&self) -> BoxStream<'static, StoreChange> {
        self.store.changes()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    fn trouble(&self) -> Option<DatabaseFault> {
        self.store.trouble()
    }

    async fn check_writable(&self) -> Result<(), DatabaseFault> {
        self.store.check_writable().await
    }
}
