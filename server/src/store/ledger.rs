//! The ledger: entries chained one to the next, and what is read of them.

use super::{
    StoreError,
    activity::{self, Along, Search},
    chain::{Entry, Head},
    dialect::{Dialect, Stored},
    rows::{from_json, parse, parse_if, text, to_json},
    tx::{SqlTx, all},
};
use async_trait::async_trait;
use domain::{
    door::Entrance,
    event::{Event, Happened, Subject},
    id::{ProjectId, PromotionId, ResourceId, WorkspaceId},
    promotion::Actor,
    time::Timestamp,
    told::EventKind,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// An event to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// What it is about.
    pub subject: Subject,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub happened: Happened,
}

/// The ledger: entries chained one to the next, and what is read of them.
#[async_trait]
pub trait Ledger: Send {
    /// Says how whoever writes in this transaction came in; events are written with it. Until then it is Waybill itself.
    fn entered_by(&mut self, entrance: &Entrance);
    /// Adds to the ledger, chained to the workspace's entry before; returns its place.
    async fn append_event(&mut self, event: &NewEvent, at: Timestamp) -> Result<i64, StoreError>;
    /// Events after a place, oldest first.
    async fn events_after(&mut self, sequence: i64, limit: i64) -> Result<Vec<Event>, StoreError>;
    /// The newest place; 0 when the ledger is empty.
    async fn newest_event(&mut self) -> Result<i64, StoreError>;
    /// The kinds of events after `sequence` that are a project's, or nobody's in its workspace.
    async fn kinds_after(
        &mut self,
        sequence: i64,
        workspace: WorkspaceId,
        project: ProjectId,
    ) -> Result<Vec<EventKind>, StoreError>;
    /// Resources of a project of which entries after `sequence` tell that Git declares another image, whoever wrote it there.
    async fn declared_after(&mut self, project: ProjectId, sequence: i64) -> Result<Vec<ResourceId>, StoreError>;
    /// All events of a promotion, oldest first.
    async fn events_of_promotion(&mut self, id: PromotionId) -> Result<Vec<Event>, StoreError>;
    /// Rows of a workspace's ledger after a place as they are stored, oldest first: for who checks or exports them.
    async fn ledger_entries(
        &mut self,
        workspace: WorkspaceId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Entry>, StoreError>;
    /// Newest first.
    async fn search_events(&mut self, search: &Search) -> Result<Vec<Event>, StoreError>;
    /// Everybody who ever did something in a workspace, by name, in lower case: `ada <ada@example.com>`, `token ci`, `waybill`.
    async fn actors(&mut self, workspace: WorkspaceId) -> Result<Vec<String>, StoreError>;
    /// Where a workspace's chain ends; at its beginning, when nothing was chained yet.
    async fn ledger_head(&mut self, workspace: WorkspaceId) -> Result<Head, StoreError>;
}

const APPEND_EVENT: &str = "INSERT INTO events (at, workspace_id, project_id, environment_id, resource_id, \
     promotion_id, actor, happened, door, address, previous_hash, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING sequence";
const LEDGER_HEAD: &str = "SELECT hash, entries FROM ledger_heads WHERE workspace_id = $1";
// In the order in which they were written: no index that would have to be sorted may be chosen for the workspace.
pub(super) const LEDGER_ENTRIES: &str = "SELECT sequence, at, workspace_id, project_id, environment_id, resource_id, \
     promotion_id, actor, door, address, happened, previous_hash, hash FROM events \
     WHERE sequence > $2 AND COALESCE(workspace_id, '') = $1 ORDER BY sequence LIMIT $3";
const EVENTS_AFTER: &str = "SELECT * FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2";
const NEWEST_EVENT: &str = "SELECT COALESCE(MAX(sequence), 0) FROM events";
const KINDS_AFTER: &str = "SELECT DISTINCT kind FROM events \
     WHERE sequence > $1 AND workspace_id = $2 AND (project_id = $3 OR project_id IS NULL)";
const DECLARED_AFTER: &str = "SELECT DISTINCT resource_id FROM events WHERE sequence > $1 \
     AND project_id = $2 AND kind IN ('committed', 'desired_changed')";
const EVENTS_OF_PROMOTION: &str = "SELECT * FROM events WHERE promotion_id = $1 ORDER BY sequence";

#[derive(FromRow)]
pub(crate) struct EventRow {
    pub(crate) sequence: i64,
    at: i64,
    workspace_id: String,
    project_id: Option<String>,
    environment_id: Option<String>,
    resource_id: Option<String>,
    promotion_id: Option<String>,
    actor: String,
    door: Option<String>,
    address: Option<String>,
    happened: String,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            sequence: row.sequence,
            at: Timestamp(row.at),
            workspace: parse("workspace id", &row.workspace_id)?,
            subject: Subject {
                project: parse_if("project id", row.project_id.as_ref())?,
                environment: parse_if("environment id", row.environment_id.as_ref())?,
                resource: parse_if("resource id", row.resource_id.as_ref())?,
                promotion: parse_if("promotion id", row.promotion_id.as_ref())?,
            },
            actor: from_json("actor", &row.actor)?,
            door: parse_if("door", row.door.as_ref())?,
            address: row.address,
            happened: from_json("event", &row.happened)?,
        })
    }
}

/// As it is stored: what can't be read is kept too, and only named by who checks it.
#[derive(FromRow)]
pub(crate) struct EntryRow {
    sequence: i64,
    at: i64,
    workspace_id: String,
    project_id: Option<String>,
    environment_id: Option<String>,
    resource_id: Option<String>,
    promotion_id: Option<String>,
    actor: String,
    door: Option<String>,
    address: Option<String>,
    happened: String,
    previous_hash: Option<String>,
    hash: Option<String>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            sequence: row.sequence,
            at: row.at,
            workspace: row.workspace_id,
            project: row.project_id,
            environment: row.environment_id,
            resource: row.resource_id,
            promotion: row.promotion_id,
            actor: row.actor,
            door: row.door,
            address: row.address,
            happened: row.happened,
            previous_hash: row.previous_hash,
            hash: row.hash,
        }
    }
}

#[derive(FromRow)]
pub(crate) struct HeadRow {
    hash: String,
    entries: i64,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        Self {
            hash: row.hash,
            entries: row.entries,
        }
    }
}

#[async_trait]
impl<D: Dialect> Ledger for SqlTx<D>
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
    fn entered_by(&mut self, entrance: &Entrance) {
        self.entrance = entrance.clone();
    }

    async fn append_event(&mut self, event: &NewEvent, at: Timestamp) -> Result<i64, StoreError> {
        let entry = Entry {
            sequence: 0,
            at: at.0,
            workspace: event.workspace.to_string(),
            project: event.subject.project.map(|id| id.to_string()),
            environment: event.subject.environment.map(|id| id.to_string()),
            resource: event.subject.resource.map(|id| id.to_string()),
            promotion: event.subject.promotion.map(|id| id.to_string()),
            actor: to_json("actor", &event.actor)?,
            door: Some(self.entrance.door.to_string()),
            address: self.entrance.address.as_deref().map(text),
            happened: to_json("event", &event.happened)?,
            previous_hash: None,
            hash: None,
        };
        // Writers take turns, so nobody else adds to the chain until the end of this transaction.
        let previous = match self.heads.get(&event.workspace) {
            Some(head) => head.hash.clone(),
            None => self.ledger_head(event.workspace).await?.hash,
        };
        let hash = entry.hash_after(&previous);
        let sequence = sqlx::query_scalar::<D, _>(APPEND_EVENT)
            .bind(entry.at)
            .bind(entry.workspace)
            .bind(entry.project)
            .bind(entry.environment)
            .bind(entry.resource)
            .bind(entry.promotion)
            .bind(entry.actor)
            .bind(entry.happened)
            .bind(entry.door)
            .bind(entry.address)
            .bind(previous)
            .bind(&hash)
            .fetch_one(&mut self.tx)
            .await?;
        let grown = self.heads.entry(event.workspace).or_default();
        grown.hash = hash;
        grown.entries += 1;
        Ok(sequence)
    }

    async fn events_after(&mut self, sequence: i64, limit: i64) -> Result<Vec<Event>, StoreError> {
        all!(self, EventRow, EVENTS_AFTER, sequence, limit)
    }

    async fn newest_event(&mut self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(NEWEST_EVENT).fetch_one(&mut self.tx).await?)
    }

    async fn kinds_after(
        &mut self,
        sequence: i64,
        workspace: WorkspaceId,
        project: ProjectId,
    ) -> Result<Vec<EventKind>, StoreError> {
        let kinds = sqlx::query_scalar::<D, String>(KINDS_AFTER)
            .bind(sequence)
            .bind(workspace.to_string())
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        kinds.iter().map(|kind| parse("kind of event", kind)).collect()
    }

    async fn declared_after(&mut self, project: ProjectId, sequence: i64) -> Result<Vec<ResourceId>, StoreError> {
        let ids = sqlx::query_scalar::<D, Option<String>>(DECLARED_AFTER)
            .bind(sequence)
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        ids.iter().flatten().map(|id| parse("resource id", id)).collect()
    }

    async fn events_of_promotion(&mut self, id: PromotionId) -> Result<Vec<Event>, StoreError> {
        all!(self, EventRow, EVENTS_OF_PROMOTION, id.to_string())
    }

    async fn ledger_entries(
        &mut self,
        workspace: WorkspaceId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows = sqlx::query_as::<D, EntryRow>(LEDGER_ENTRIES)
            .bind(workspace.to_string())
            .bind(after)
            .bind(limit)
            .fetch_all(&mut self.tx)
            .await?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }

    async fn search_events(&mut self, search: &Search) -> Result<Vec<Event>, StoreError> {
        let workspace = search.workspace.to_string();
        let (statement, leads) = match &search.along {
            Along::Time => (D::SEARCH.by_time, workspace.clone()),
            Along::Kind(kind) => (D::SEARCH.by_kind, kind.to_string()),
            Along::Actor(actor) => (D::SEARCH.by_actor, actor.clone()),
            Along::Environment(id) => (D::SEARCH.by_environment, id.to_string()),
            Along::Resource(id) => (D::SEARCH.by_resource, id.to_string()),
        };
        let query = sqlx::query_as::<D, EventRow>(statement)
            .bind(leads)
            .bind(search.before.at.0)
            .bind(search.before.sequence)
            .bind(search.from.0)
            .bind(search.kind.map(EventKind::as_str))
            .bind(search.environment.map(|id| id.to_string()))
            .bind(search.actors.as_deref().map(activity::listed))
            .bind(search.limit);
        let query = match search.along {
            Along::Kind(_) | Along::Actor(_) => query.bind(workspace),
            Along::Time | Along::Environment(_) | Along::Resource(_) => query,
        };
        let rows = query.fetch_all(&mut self.tx).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn actors(&mut self, workspace: WorkspaceId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(activity::ACTORS)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?)
    }

    async fn ledger_head(&mut self, workspace: WorkspaceId) -> Result<Head, StoreError> {
        let row = sqlx::query_as::<D, HeadRow>(LEDGER_HEAD)
            .bind(workspace.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        Ok(row.map_or_else(Head::default, Head::from))
    }
}
