//! A transaction that is good for nothing once one of its statements failed.
//!
//! SQLite takes a transaction back by itself when its disk is full, and runs what is asked for afterwards outside of any: half of a change
//! would stay. So nothing more is asked of a transaction that failed, and it can't be committed. Its connection is used again
//! only when nothing of it is left on it ([`is_clean`]).

use super::database_fault::Health;
use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _,
    future::{self, BoxFuture},
    stream::{self, BoxStream},
};
use sqlx::{Connection, Database, Describe, Either, Error, Execute, Executor, SqlStr, Transaction};
use std::{fmt, sync::Arc};

/// A transaction, and whether it failed.
pub(crate) struct GuardedTx<D: Database> {
    tx: Transaction<'static, D>,
    failed: bool,
    health: Arc<Health>,
}

impl<D: Database> GuardedTx<D> {
    /// What was begun.
    pub(super) fn new(tx: Transaction<'static, D>, health: Arc<Health>) -> Self {
        Self {
            tx,
            failed: false,
            health,
        }
    }

    /// Makes it count.
    pub(super) async fn commit(self) -> Result<(), Error> {
        if self.failed {
            return Err(useless());
        }
        let Self { tx, health, .. } = self;
        tx.commit().await.inspect_err(|error| health.failed(error))?;
        health.wrote();
        Ok(())
    }
}

fn useless() -> Error {
    Error::Protocol("an earlier statement of this transaction failed".into())
}

/// Whether a connection that comes back holds nothing of its last transaction. What was dropped is rolled back first; when that fails
/// (nothing is left to be rolled back, or the connection is lost), the count of open transactions is wrong, and the next one could
/// not begin: such a connection is closed.
pub(super) async fn is_clean<C: Connection>(connection: &mut C) -> Result<bool, Error> {
    if connection.is_in_transaction() {
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

impl<D: Database> fmt::Debug for GuardedTx<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedTx")
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl<'c, D: Database> Executor<'c> for &'c mut GuardedTx<D>
where
    for<'d> &'d mut D::Connection: Executor<'d, Database = D>,
{
    type Database = D;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<D::QueryResult, D::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, D>,
    {
        let GuardedTx { tx, failed, health } = self;
        if *failed {
            return stream::once(future::ready(Err(useless()))).boxed();
        }
        (**tx)
            .fetch_many(query)
            .inspect_err(|error| note(failed, health, error))
            .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<D::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, D>,
    {
        let GuardedTx { tx, failed, health } = self;
        if *failed {
            return future::ready(Err(useless())).boxed();
        }
        (**tx)
            .fetch_optional(query)
            .inspect_err(|error| note(failed, health, error))
            .boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [D::TypeInfo]) -> BoxFuture<'e, Result<D::Statement, Error>>
    where
        'c: 'e,
    {
        (*self.tx).prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<D>, Error>>
    where
        'c: 'e,
    {
        (*self.tx).describe(sql)
    }
}

fn note(failed: &mut bool, health: &Health, error: &Error) {
    *failed = true;
    health.failed(error);
}
