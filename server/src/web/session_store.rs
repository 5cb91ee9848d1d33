//! Sessions in our own database. The table holds a hash of the session's id, so that reading it gives nobody a session.

use super::auth;
use crate::{
    ports::clock::Clock,
    service::Services,
    store::{Store, StoreError, sessions::SessionRecord},
};
use async_trait::async_trait;
use domain::time::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::HashMap, fmt, sync::Arc};
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

/// How exactly it is remembered when a session was last used.
const SEEN_EVERY_MILLIS: i64 = 60_000;

/// What the table knows a session by.
pub(super) fn key(id: &Id) -> String {
    hex::encode(Sha256::digest(id.to_string().as_bytes()))
}

fn expires(record: &Record) -> Timestamp {
    Timestamp(record.expiry_date.unix_timestamp().saturating_mul(1000))
}

fn failed(error: StoreError) -> Error {
    match error.trouble() {
        Some(trouble) => Error::Backend(trouble.to_string()),
        None => Error::Backend(error.to_string()),
    }
}

#[async_trait]
impl SessionStore for StoredSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let data = serde_json::to_string(&record.data).map_err(|e| Error::Encode(e.to_string()))?;
        let text = |key: &str| record.data.get(key)?.as_str().map(str::to_owned);
        let now = self.clock.now();
        let session = SessionRecord {
            id: key(&record.id),
            user: text(auth::USER).and_then(|id| id.parse().ok()),
            user_agent: text(auth::AGENT).filter(|agent| !agent.is_empty()),
            address: text(auth::ADDRESS),
            created_at: Some(now),
            seen_at: Some(now),
            expires_at: expires(record),
        };
        // 128 random bits don't collide; if they ever did, nobody may be given another's session.
        let mut tx = self.store.write().await.map_err(failed)?;
        tx.insert_session(&session, &data).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// A session that ended meanwhile (signed out everywhere, for example) stays ended.
    async fn save(&self, record: &Record) -> Result<()> {
        let data = serde_json::to_string(&record.data).map_err(|e| Error::Encode(e.to_string()))?;
        let mut tx = self.store.write().await.map_err(failed)?;
        tx.save_session(&key(&record.id), &data, expires(record))
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let now = self.clock.now();
        let found = {
            let mut tx = self.store.read().await.map_err(failed)?;
            tx.session(&key(id), now).await.map_err(failed)?
        };
        let Some((session, data)) = found else {
            return Ok(None);
        };
        let data: HashMap<String, Value> = serde_json::from_str(&data).map_err(|e| Error::Decode(e.to_string()))?;
        if session
            .seen_at
            .is_none_or(|at| now.millis_since(at) >= SEEN_EVERY_MILLIS)
        {
            let user = data.get(auth::USER).and_then(Value::as_str);
            let noted = async {
                let mut tx = self.store.write().await?;
                tx.session_seen(&session.id, user.and_then(|id| id.parse().ok()), now)
                    .await?;
                tx.commit().await
            };
            // Pages can be read while nothing can be written.
            match noted.await {
                Err(error) if error.trouble().is_none() => return Err(failed(error)),
                _ => {}
            }
        }
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
