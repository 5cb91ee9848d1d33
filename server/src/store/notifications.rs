//! Channels for notifications, and what is on its way through them.
//!
//! The ledger is the outbox: what goes out is read from it behind a cursor, and becomes a row for each channel in the transaction that moves
//! the cursor. A row is claimed under a lease, sent outside any transaction, and what came of it is written with the time of the next try.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    ledger::EventRow,
    rows::{from_json, parse, text, to_json},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    event::Event,
    id::{ChannelId, DeliveryId, EnvironmentId, ProjectId, PromotionId, WorkspaceId},
    notification::{ChannelKind, DeliveryState, Occasion},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// Where a project's people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its project.
    pub project: ProjectId,
    /// Its name, unique in the project.
    pub name: String,
    /// How it tells.
    pub kind: ChannelKind,
    /// What people see of where it leads.
    pub shown: String,
    /// Where it leads, and the key to sign with, sealed.
    pub target: String,
    /// What it tells.
    pub occasions: Vec<Occasion>,
    /// Of which environments; empty for all.
    pub environments: Vec<EnvironmentId>,
    /// Whether it tells just now.
    pub active: bool,
    /// What stands in the ledger up to here is not told.
    pub since: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Channel {
    /// Whether an entry of the ledger is told through it, if it is this occasion.
    #[must_use]
    pub fn tells(&self, occasion: Occasion, event: &Event) -> bool {
        let subject = &event.subject;
        let here = self.environments.is_empty() || subject.environment.is_some_and(|e| self.environments.contains(&e));
        here && event.sequence > self.since
            && subject.project == Some(self.project)
            && self.occasions.contains(&occasion)
    }
}

/// A notification for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id: the same each time it is sent.
    pub id: DeliveryId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Through which channel.
    pub channel: ChannelId,
    /// The entry of the ledger; `None` for a test.
    pub event: Option<i64>,
    /// The promotion that it is about.
    pub promotion: Option<PromotionId>,
    /// What it tells; `None` for a test.
    pub occasion: Option<Occasion>,
    /// What is told, JSON.
    pub message: String,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: u32,
    /// What the other side answered last, a number.
    pub status: Option<u16>,
    /// And in words.
    pub answer: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was sent last.
    pub tried_at: Option<Timestamp>,
    /// When it is sent next.
    pub next_at: Option<Timestamp>,
}

/// Channels and deliveries, as a part of a transaction.
#[async_trait]
pub trait Notifications: Send {
    /// Channels of a workspace, by project and name.
    async fn channels(&mut self, workspace: WorkspaceId) -> Result<Vec<Channel>, StoreError>;
    /// The channel with this id.
    async fn channel(&mut self, id: ChannelId) -> Result<Option<Channel>, StoreError>;
    /// The channels of all workspaces that tell just now.
    async fn active_channels(&mut self) -> Result<Vec<Channel>, StoreError>;
    /// Fails with [`StoreError::Exists`] when the project has a channel of this name.
    async fn insert_channel(&mut self, channel: &Channel) -> Result<(), StoreError>;
    /// Has a channel tell from a place in the ledger on, or be silent.
    async fn set_channel(&mut self, id: ChannelId, active: bool, since: i64) -> Result<(), StoreError>;
    /// Removes a channel, with its deliveries.
    async fn remove_channel(&mut self, id: ChannelId) -> Result<(), StoreError>;

    /// How far the ledger was gone through.
    async fn notification_cursor(&mut self) -> Result<i64, StoreError>;
    /// Moves it; `false` when it wasn't at `from` any more: somebody else went on.
    async fn move_notification_cursor(&mut self, from: i64, to: i64) -> Result<bool, StoreError>;
    /// Entries after one place, up to another, that may have to be told: of projects with a channel. With them how far they go, where there
    /// are more than `limit`. What can't be read (a newer server's) is left out: it must not hold back what comes after it.
    async fn events_to_tell(
        &mut self,
        after: i64,
        upto: i64,
        limit: i64,
    ) -> Result<(Vec<Event>, Option<i64>), StoreError>;
    /// Whether an occasion of a promotion was told through a channel.
    async fn was_told(
        &mut self,
        channel: ChannelId,
        promotion: PromotionId,
        occasion: Occasion,
    ) -> Result<bool, StoreError>;

    /// A new delivery, due at once. One of the same entry for the same channel stays as it is, and a channel that is gone gets none.
    async fn insert_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError>;
    /// The delivery with this id.
    async fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
    /// Deliveries of a workspace, newest first.
    async fn deliveries(&mut self, workspace: WorkspaceId, limit: i64) -> Result<Vec<Delivery>, StoreError>;
    /// When the next delivery becomes due.
    async fn next_delivery(&mut self) -> Result<Option<Timestamp>, StoreError>;
    /// Channels with deliveries that are due, those due longest first; not those that somebody is sending through.
    async fn due_channels(&mut self, now: Timestamp, limit: i64) -> Result<Vec<ChannelId>, StoreError>;
    /// Takes leases until `until` on the deliveries of a channel that are due, the oldest first. Each claim has an `owner` of its own.
    async fn claim_deliveries(
        &mut self,
        owner: &str,
        channel: ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// Writes what came of sending one, and ends the lease; nothing, when the lease is no longer `owner`'s.
    async fn record_delivery(&mut self, owner: &str, delivery: &Delivery) -> Result<(), StoreError>;
    /// Gives back the lease on one that was not sent.
    async fn release_delivery(&mut self, owner: &str, id: DeliveryId) -> Result<(), StoreError>;
    /// Makes a delivery due at once, as if it had never been tried; whoever is sending it is not waited for.
    async fn redeliver(&mut self, id: DeliveryId, now: Timestamp) -> Result<(), StoreError>;
    /// Makes those due now that are put off beyond `beyond`, or leased beyond `leased_beyond`.
    async fn recall_deliveries(
        &mut self,
        beyond: Timestamp,
        leased_beyond: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Forgets deliveries that ended and are older than `before`, `limit` at most; how many.
    async fn forget_deliveries(&mut self, before: Timestamp, limit: i64) -> Result<u64, StoreError>;
}

const CHANNELS: &str = "SELECT * FROM channels WHERE workspace_id = $1 ORDER BY project_id, name";
const CHANNEL: &str = "SELECT * FROM channels WHERE id = $1";
const ACTIVE_CHANNELS: &str = "SELECT * FROM channels WHERE active ORDER BY project_id, name";
const INSERT_CHANNEL: &str = "INSERT INTO channels (id, workspace_id, project_id, name, kind, shown, target, occasions, \
     environments, active, since, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const SET_CHANNEL: &str = "UPDATE channels SET active = $2, since = $3 WHERE id = $1";
const REMOVE_DELIVERIES: &str = "DELETE FROM deliveries WHERE channel_id = $1";
const REMOVE_CHANNEL: &str = "DELETE FROM channels WHERE id = $1";
const CURSOR: &str = "SELECT sequence FROM notification_cursor";
const MOVE_CURSOR: &str = "UPDATE notification_cursor SET sequence = $2 WHERE sequence = $1";
const EVENTS_TO_TELL: &str = "SELECT * FROM events WHERE sequence > $1 AND sequence <= $2 \
     AND project_id IN (SELECT project_id FROM channels WHERE active) ORDER BY sequence LIMIT $3";
const WAS_TOLD: &str = "SELECT COUNT(*) FROM deliveries WHERE promotion_id = $2 AND channel_id = $1 AND occasion = $3";
const INSERT_DELIVERY: &str = "INSERT INTO deliveries (id, workspace_id, channel_id, event, promotion_id, occasion, \
     message, state, attempts, created_at, next_at, ordinal) \
     SELECT $1, $2, c.id, $4, $5, $6, $7, 'waiting', 0, $8, $8, \
     (SELECT COALESCE(MAX(d.ordinal), 0) + 1 FROM deliveries d WHERE d.workspace_id = $2) FROM channels c WHERE c.id = $3 \
     ON CONFLICT (channel_id, event) DO NOTHING";
const DELIVERY: &str = "SELECT * FROM deliveries WHERE id = $1";
const DELIVERIES: &str = "SELECT * FROM deliveries WHERE workspace_id = $1 ORDER BY ordinal DESC LIMIT $2";
const DUE_CHANNELS: &str = "SELECT d.channel_id FROM deliveries d JOIN channels c ON c.id = d.channel_id \
     WHERE d.next_at <= $1 AND c.active AND (d.lease_until IS NULL OR d.lease_until <= $1) \
     AND d.channel_id NOT IN (SELECT channel_id FROM deliveries WHERE next_at IS NOT NULL AND lease_until > $1) \
     GROUP BY d.channel_id ORDER BY MIN(d.next_at), d.channel_id LIMIT $2";
const RECORD_DELIVERY: &str = "UPDATE deliveries SET state = $3, attempts = $4, status = $5, answer = $6, tried_at = $7, \
     next_at = $8, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2";
const RELEASE_DELIVERY: &str =
    "UPDATE deliveries SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2";
const REDELIVER: &str = "UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = $2, lease_owner = NULL, \
     lease_until = NULL WHERE id = $1";
const RECALL_DELIVERIES: &str = "UPDATE deliveries SET next_at = $2, lease_owner = NULL, lease_until = NULL \
     WHERE next_at IS NOT NULL AND (next_at > $1 OR lease_until > $3)";
const FORGET_DELIVERIES: &str = "DELETE FROM deliveries WHERE id IN (\
     SELECT id FROM deliveries WHERE next_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)";

#[async_trait]
impl<D: Dialect> Notifications for SqlTx<D>
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
    async fn channels(&mut self, workspace: WorkspaceId) -> Result<Vec<Channel>, StoreError> {
        all!(self, ChannelRow, CHANNELS, workspace.to_string())
    }

    async fn channel(&mut self, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        one!(self, ChannelRow, CHANNEL, id.to_string())
    }

    async fn active_channels(&mut self) -> Result<Vec<Channel>, StoreError> {
        all!(self, ChannelRow, ACTIVE_CHANNELS)
    }

    async fn insert_channel(&mut self, channel: &Channel) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_CHANNEL,
            channel.id.to_string(),
            channel.workspace.to_string(),
            channel.project.to_string(),
            &channel.name,
            channel.kind.as_str(),
            &channel.shown,
            &channel.target,
            to_json("occasions", &channel.occasions)?,
            to_json("environments", &channel.environments)?,
            channel.active,
            channel.since,
            channel.created_at.0,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn set_channel(&mut self, id: ChannelId, active: bool, since: i64) -> Result<(), StoreError> {
        run!(self, SET_CHANNEL, id.to_string(), active, since)?;
        Ok(())
    }

    async fn remove_channel(&mut self, id: ChannelId) -> Result<(), StoreError> {
        for statement in [REMOVE_DELIVERIES, REMOVE_CHANNEL] {
            run!(self, statement, id.to_string())?;
        }
        Ok(())
    }

    async fn notification_cursor(&mut self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(CURSOR).fetch_one(&mut self.tx).await?)
    }

    async fn move_notification_cursor(&mut self, from: i64, to: i64) -> Result<bool, StoreError> {
        Ok(run!(self, MOVE_CURSOR, from, to)? > 0)
    }

    async fn events_to_tell(
        &mut self,
        after: i64,
        upto: i64,
        limit: i64,
    ) -> Result<(Vec<Event>, Option<i64>), StoreError> {
        let rows = sqlx::query_as::<D, EventRow>(EVENTS_TO_TELL)
            .bind(after)
            .bind(upto)
            .bind(limit)
            .fetch_all(&mut self.tx)
            .await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|many| many >= limit);
        let last = rows.last().filter(|_| is_full).map(|row| row.sequence);
        let readable = |row: EventRow| {
            let sequence = row.sequence;
            let event = Event::try_from(row);
            if let Err(error) = &event {
                tracing::warn!(sequence, %error, "an entry of the ledger can't be read: nobody is notified of it");
            }
            event.ok()
        };
        Ok((rows.into_iter().filter_map(readable).collect(), last))
    }

    async fn was_told(
        &mut self,
        channel: ChannelId,
        promotion: PromotionId,
        occasion: Occasion,
    ) -> Result<bool, StoreError> {
        let told: i64 = sqlx::query_scalar::<D, _>(WAS_TOLD)
            .bind(channel.to_string())
            .bind(promotion.to_string())
            .bind(occasion.as_str())
            .fetch_one(&mut self.tx)
            .await?;
        Ok(told > 0)
    }

    async fn insert_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_DELIVERY,
            delivery.id.to_string(),
            delivery.workspace.to_string(),
            delivery.channel.to_string(),
            delivery.event,
            delivery.promotion.map(|id| id.to_string()),
            delivery.occasion.map(Occasion::as_str),
            text(&delivery.message),
            delivery.created_at.0,
        )?;
        Ok(())
    }

    async fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        one!(self, DeliveryRow, DELIVERY, id.to_string())
    }

    async fn deliveries(&mut self, workspace: WorkspaceId, limit: i64) -> Result<Vec<Delivery>, StoreError> {
        all!(self, DeliveryRow, DELIVERIES, workspace.to_string(), limit)
    }

    async fn next_delivery(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar::<D, _>(D::NEXT_DELIVERY)
            .fetch_one(&mut self.tx)
            .await?;
        Ok(due.map(Timestamp))
    }

    async fn due_channels(&mut self, now: Timestamp, limit: i64) -> Result<Vec<ChannelId>, StoreError> {
        let ids = sqlx::query_scalar::<D, String>(DUE_CHANNELS)
            .bind(now.0)
            .bind(limit)
            .fetch_all(&mut self.tx)
            .await?;
        ids.iter().map(|id| parse("channel id", id)).collect()
    }

    async fn claim_deliveries(
        &mut self,
        owner: &str,
        channel: ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut claimed = sqlx::query_as::<D, DeliveryRow>(D::CLAIM_DELIVERIES)
            .bind(owner)
            .bind(until.0)
            .bind(now.0)
            .bind(channel.to_string())
            .bind(limit)
            .fetch_all(&mut self.tx)
            .await?;
        claimed.sort_by_key(|row| row.ordinal);
        claimed.into_iter().map(TryInto::try_into).collect()
    }

    async fn record_delivery(&mut self, owner: &str, delivery: &Delivery) -> Result<(), StoreError> {
        run!(
            self,
            RECORD_DELIVERY,
            delivery.id.to_string(),
            owner,
            delivery.state.as_str(),
            i64::from(delivery.attempts),
            delivery.status.map(i64::from),
            delivery.answer.as_deref().map(text),
            delivery.tried_at.map(|at| at.0),
            delivery.next_at.map(|at| at.0),
        )?;
        Ok(())
    }

    async fn release_delivery(&mut self, owner: &str, id: DeliveryId) -> Result<(), StoreError> {
        run!(self, RELEASE_DELIVERY, id.to_string(), owner)?;
        Ok(())
    }

    async fn redeliver(&mut self, id: DeliveryId, now: Timestamp) -> Result<(), StoreError> {
        run!(self, REDELIVER, id.to_string(), now.0)?;
        Ok(())
    }

    async fn recall_deliveries(
        &mut self,
        beyond: Timestamp,
        leased_beyond: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        run!(self, RECALL_DELIVERIES, beyond.0, now.0, leased_beyond.0)?;
        Ok(())
    }

    async fn forget_deliveries(&mut self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        Ok(run!(self, FORGET_DELIVERIES, before.0, limit)?)
    }
}

#[derive(FromRow)]
struct ChannelRow {
    id: String,
    workspace_id: String,
    project_id: String,
    name: String,
    kind: String,
    shown: String,
    target: String,
    occasions: String,
    environments: String,
    active: bool,
    since: i64,
    created_at: i64,
}

impl TryFrom<ChannelRow> for Channel {
    type Error = StoreError;

    fn try_from(row: ChannelRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("channel id", &row.id)?,
            workspace: parse("workspace id", &row.workspace_id)?,
            project: parse("project id", &row.project_id)?,
            name: row.name,
            kind: parse("kind of channel", &row.kind)?,
            shown: row.shown,
            target: row.target,
            occasions: from_json("occasions", &row.occasions)?,
            environments: from_json("environments", &row.environments)?,
            active: row.active,
            since: row.since,
            created_at: Timestamp(row.created_at),
        })
    }
}

#[derive(FromRow)]
struct DeliveryRow {
    id: String,
    ordinal: i64,
    workspace_id: String,
    channel_id: String,
    event: Option<i64>,
    promotion_id: Option<String>,
    occasion: Option<String>,
    message: String,
    state: String,
    attempts: i64,
    status: Option<i64>,
    answer: Option<String>,
    created_at: i64,
    tried_at: Option<i64>,
    next_at: Option<i64>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("delivery id", &row.id)?,
            workspace: parse("workspace id", &row.workspace_id)?,
            channel: parse("channel id", &row.channel_id)?,
            event: row.event,
            promotion: row.promotion_id.map(|id| parse("promotion id", &id)).transpose()?,
            occasion: row.occasion.map(|word| parse("occasion", &word)).transpose()?,
            message: row.message,
            state: parse("state of a delivery", &row.state)?,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            answer: row.answer,
            created_at: Timestamp(row.created_at),
            tried_at: row.tried_at.map(Timestamp),
            next_at: row.next_at.map(Timestamp),
        })
    }
}
