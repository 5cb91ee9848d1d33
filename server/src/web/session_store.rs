//! Sessions in our own database. The table holds a hash of the session's id, so that reading it gives nobody a session.

use crate::{
    clock::Clock,
    service::Services,
    store::{Store, StoreError},
};
use async_trait::async_trait;
use domain::time::Timestamp;
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// Keeps sessions.
#[derive(Clone)]
pub struct StoredSessions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl StoredSessions {
    /// Keeps them in the services' database.
    #[must_use]
    pub fn new(services: &Services) -> Self {
        Self {
            store: services.store.clone(),
            clock: services.clock.clone(),
        }
    }
}

impl fmt::Debug for StoredSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredSessions")
    }
}

fn key(id: &Id) -> String {
    use std::fmt::Write;
    Sha256::digest(id.to_string().as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn failed(error: StoreError) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for StoredSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        // 128 random bits don't collide; if they ever did, nobody may be given another's session.
        while self.load(&record.id).await?.is_some() {
            record.id = Id::default();
        }
        self.save(record).await
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let data = serde_json::to_string(&record.data).map_err(|e| Error::Encode(e.to_string()))?;
        let expires = Timestamp(record.expiry_date.unix_timestamp().saturating_mul(1000));
        let mut tx = self.store.write().await.map_err(failed)?;
        tx.save_session(&key(&record.id), &data, expires)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let mut tx = self.store.read().await.map_err(failed)?;
        let now = self.clock.now();
        let Some(data) = tx.session(&key(id), now).await.map_err(failed)? else {
            return Ok(None);
        };
        let data = serde_json::from_str(&data).map_err(|e| Error::Decode(e.to_string()))?;
        // The row's own expiry was checked above; the record wants one too, and sets it anew when it is saved.
        let expiry_date =
            time::OffsetDateTime::from_unix_timestamp(now.0 / 1000 + 3600).map_err(|e| Error::Decode(e.to_string()))?;
        Ok(Some(Record {
            id: *id,
            data,
            expiry_date,
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let mut tx = self.store.write().await.map_err(failed)?;
        tx.delete_session(&key(id)).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}
