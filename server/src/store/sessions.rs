//! Sessions of people who are signed in; what else one holds is the web's.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    rows::{parse, text},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{id::UserId, time::Timestamp};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A person's session; what else it holds is the web's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// SHA-256 of its id, hexadecimal.
    pub id: String,
    /// Whose it is; `None` before somebody signed in.
    pub user: Option<UserId>,
    /// What the browser said of itself.
    pub user_agent: Option<String>,
    /// The network address that it began at.
    pub address: Option<String>,
    /// When it began; `None` when nobody remembers.
    pub created_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub seen_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Sessions of people who are signed in; what else one holds is the web's.
#[async_trait]
pub trait Sessions: Send {
    /// A session that has not expired, with its data.
    async fn session(&mut self, id: &str, now: Timestamp) -> Result<Option<(SessionRecord, String)>, StoreError>;
    /// A new session.
    async fn insert_session(&mut self, session: &SessionRecord, data: &str) -> Result<(), StoreError>;
    /// Writes a session's data and end. One that ended meanwhile stays ended.
    async fn save_session(&mut self, id: &str, data: &str, expires_at: Timestamp) -> Result<(), StoreError>;
    /// Remembers that a session was used, and by whom.
    async fn session_seen(&mut self, id: &str, user: Option<UserId>, at: Timestamp) -> Result<(), StoreError>;
    /// A person's sessions, those used last first.
    async fn sessions_of(&mut self, user: UserId, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError>;
    /// Ends a session.
    async fn delete_session(&mut self, id: &str) -> Result<(), StoreError>;
    /// Ends a person's sessions, but for one.
    async fn delete_sessions_of(&mut self, user: UserId, but: Option<&str>) -> Result<(), StoreError>;
    /// Forgets sessions that expired.
    async fn delete_expired_sessions(&mut self, now: Timestamp) -> Result<(), StoreError>;
}

const SESSION: &str = "SELECT * FROM sessions WHERE id = $1 AND expires_at > $2";
const INSERT_SESSION: &str = "INSERT INTO sessions (id, data, expires_at, user_id, user_agent, address, created_at, \
     seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const SAVE_SESSION: &str = "UPDATE sessions SET data = $2, expires_at = $3 WHERE id = $1";
const SESSION_SEEN: &str = "UPDATE sessions SET seen_at = $2, user_id = COALESCE($3, user_id) WHERE id = $1";
const SESSIONS_OF: &str = "SELECT * FROM sessions WHERE user_id = $1 AND expires_at > $2 \
     ORDER BY COALESCE(seen_at, 0) DESC, id";
const DELETE_SESSION: &str = "DELETE FROM sessions WHERE id = $1";
const DELETE_SESSIONS_OF: &str = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2";
const DELETE_EXPIRED_SESSIONS: &str = "DELETE FROM sessions WHERE expires_at <= $1";

#[async_trait]
impl<D: Dialect> Sessions for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn session(&mut self, id: &str, now: Timestamp) -> Result<Option<(SessionRecord, String)>, StoreError> {
        one!(self, SessionRow, SESSION, id, now.0)
    }

    async fn insert_session(&mut self, session: &SessionRecord, data: &str) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_SESSION,
            &session.id,
            data,
            session.expires_at.0,
            session.user.map(|id| id.to_string()),
            session.user_agent.as_deref().map(text),
            &session.address,
            session.created_at.map(|t| t.0),
            session.seen_at.map(|t| t.0),
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn save_session(&mut self, id: &str, data: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        run!(self, SAVE_SESSION, id, data, expires_at.0)?;
        Ok(())
    }

    async fn session_seen(&mut self, id: &str, user: Option<UserId>, at: Timestamp) -> Result<(), StoreError> {
        run!(self, SESSION_SEEN, id, at.0, user.map(|id| id.to_string()))?;
        Ok(())
    }

    async fn sessions_of(&mut self, user: UserId, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let found: Result<Vec<(SessionRecord, String)>, StoreError> =
            all!(self, SessionRow, SESSIONS_OF, user.to_string(), now.0);
        Ok(found?.into_iter().map(|(session, _)| session).collect())
    }

    async fn delete_session(&mut self, id: &str) -> Result<(), StoreError> {
        run!(self, DELETE_SESSION, id)?;
        Ok(())
    }

    async fn delete_sessions_of(&mut self, user: UserId, but: Option<&str>) -> Result<(), StoreError> {
        run!(self, DELETE_SESSIONS_OF, user.to_string(), but.unwrap_or_default())?;
        Ok(())
    }

    async fn delete_expired_sessions(&mut self, now: Timestamp) -> Result<(), StoreError> {
        run!(self, DELETE_EXPIRED_SESSIONS, now.0)?;
        Ok(())
    }
}

#[derive(FromRow)]
struct SessionRow {
    id: String,
    data: String,
    expires_at: i64,
    user_id: Option<String>,
    user_agent: Option<String>,
    address: Option<String>,
    created_at: Option<i64>,
    seen_at: Option<i64>,
}

impl TryFrom<SessionRow> for (SessionRecord, String) {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let session = SessionRecord {
            id: row.id,
            user: row.user_id.map(|id| parse("user id", &id)).transpose()?,
            user_agent: row.user_agent,
            address: row.address,
            created_at: row.created_at.map(Timestamp),
            seen_at: row.seen_at.map(Timestamp),
            expires_at: Timestamp(row.expires_at),
        };
        Ok((session, row.data))
    }
}
