//! A transaction, on either database: how it begins and ends. What is read and written in it stands with each noun, once for both
//! databases, but for the few statements that a [`Dialect`] brings.

use super::{
    StoreError, Tx,
    chain::Head,
    database_fault::Health,
    dialect::{Dialect, Stored},
    guarded_tx::GuardedTx,
};
use async_trait::async_trait;
use domain::{door::Entrance, id::WorkspaceId};
use sqlx::{ColumnIndex, Database, Encode, Executor, IntoArguments, Transaction, Type};
use std::{collections::HashMap, sync::Arc};
const TAKE_ROOM: &str = "INSERT INTO room (id, filling) VALUES (0, $1) \
     ON CONFLICT (id) DO UPDATE SET filling = excluded.filling";
const GIVE_ROOM_BACK: &str = "DELETE FROM room";
const GROW_LEDGER: &str = "INSERT INTO ledger_heads (workspace_id, hash, entries) VALUES ($1, $2, $3) \
     ON CONFLICT (workspace_id) DO UPDATE SET hash = excluded.hash, entries = ledger_heads.entries + excluded.entries";

/// A transaction on either database.
pub(crate) struct SqlTx<D: Database> {
    pub(super) tx: GuardedTx<D>,
    /// How whoever writes came in.
    pub(super) entrance: Entrance,
    /// Where the chains end that this transaction adds to, and by how many entries it did: the table learns it once, at the end.
    pub(super) heads: HashMap<WorkspaceId, Head>,
}

impl<D: Database> SqlTx<D> {
    /// What was begun.
    pub(crate) fn new(tx: Transaction<'static, D>, health: &Arc<Health>) -> Self {
        Self {
            tx: GuardedTx::new(tx, Arc::clone(health)),
            entrance: Entrance::default(),
            heads: HashMap::new(),
        }
    }
}

/// Fetches every row of a query and turns each into `$into`.
macro_rules! all {
    ($self:ident, $row:ty, $sql:expr $(, $bind:expr)*) => {
        sqlx::query_as::<D, $row>($sql)$(.bind($bind))*
            .fetch_all(&mut $self.tx)
            .await?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    };
}

/// Fetches at most one row of a query and turns it into what is asked for.
macro_rules! one {
    ($self:ident, $row:ty, $sql:expr $(, $bind:expr)*) => {
        sqlx::query_as::<D, $row>($sql)$(.bind($bind))*
            .fetch_optional(&mut $self.tx)
            .await?
            .map(TryInto::try_into)
            .transpose()
    };
}

/// Runs a statement and gives the number of rows it changed.
macro_rules! run {
    ($self:ident, $sql:expr $(, $bind:expr)* $(,)?) => {
        sqlx::query::<D>($sql)$(.bind($bind))*.execute(&mut $self.tx).await.map(|done| D::changed(&done))
    };
}

/// Fetches one column of JSON of every row of a query.
macro_rules! texts {
    ($self:ident, $what:literal, $sql:expr $(, $bind:expr)*) => {
        sqlx::query_scalar::<D, String>($sql)$(.bind($bind))*
            .fetch_all(&mut $self.tx)
            .await?
            .iter()
            .map(|json| from_json($what, json))
            .collect::<Result<Vec<_>, StoreError>>()
    };
}
pub(super) use {all, one, run, texts};

#[async_trait]
impl<D: Dialect> Tx for SqlTx<D>
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
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        for (workspace, grown) in std::mem::take(&mut self.heads) {
            run!(self, GROW_LEDGER, workspace.to_string(), grown.hash, grown.entries)?;
        }
        Ok(self.tx.commit().await?)
    }

    async fn take_room(&mut self, filling: &str) -> Result<(), StoreError> {
        run!(self, TAKE_ROOM, filling)?;
        Ok(())
    }

    async fn give_room_back(&mut self) -> Result<(), StoreError> {
        run!(self, GIVE_ROOM_BACK)?;
        Ok(())
    }
}
