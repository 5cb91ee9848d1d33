//! Large databases, written with SQL while the server is stopped.
//!
//! Rows are copies of rows that the server itself wrote, with some columns changed: whatever else a migration adds to a table
//! stays as the server would have it.

use crate::Outcome;
use sqlx::{
    AssertSqlSafe, Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use std::{fmt::Write as _, path::Path, time::Duration};

/// The server's database.
pub(crate) struct Database {
    pool: SqlitePool,
}

/// A batch of copies: `count` of the row that `template` (a condition) finds, numbered `n` from `first`.
pub(crate) struct Copies<'a> {
    pub(crate) table: &'a str,
    pub(crate) template: String,
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Columns and what they become: SQL in which `n` is the number, `t` the template, and `x` a row of `beside`.
    pub(crate) columns: Vec<(&'a str, String)>,
    /// A further table or subquery, and on what it is joined.
    pub(crate) beside: Option<(String, String)>,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Outcome<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(60))
            .foreign_keys(false);
        // One connection: temporary tables stay, and there is one writer anyway.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// Runs statements as one transaction.
    pub(crate) async fn run(&self, statements: &[String]) -> Outcome<()> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement.clone()))
                .execute(&mut *tx)
                .await
                .map_err(|error| format!("{error} in {statement}"))?;
        }
        tx.commit().await?;
        // A server that wrote as much would have moved it into the file long since. As one transaction it lies in the log, where finding each
        // page takes longer the longer the log is.
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The first column of each row, as text.
    pub(crate) async fn texts(&self, query: &str) -> Outcome<Vec<String>> {
        let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// One text.
    pub(crate) async fn text(&self, query: &str) -> Outcome<String> {
        let found = self.texts(query).await?.into_iter().next();
        found.ok_or_else(|| format!("nothing was found: {query}").into())
    }

    /// One number.
    pub(crate) async fn number(&self, query: &str) -> Outcome<i64> {
        let row = sqlx::query(AssertSqlSafe(query.to_owned()))
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Promotions under way.
    pub(crate) async fn open_promotions(&self) -> Outcome<i64> {
        self.number("SELECT COUNT(*) FROM promotions WHERE ended_at IS NULL")
            .await
    }

    /// When a promotion was recorded, in seconds since the epoch.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
    pub(crate) async fn recorded_at(&self, promotion: &str) -> Outcome<f64> {
        let query = format!("SELECT created_at FROM promotions WHERE id = '{promotion}'");
        Ok(self.number(&query).await? as f64 / 1000.0)
    }

    /// The statement that makes copies.
    pub(crate) async fn copies(&self, copies: &Copies<'_>) -> Outcome<String> {
        let table = copies.table;
        let columns = self
            .texts(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"))
            .await?;
        let (mut names, mut values) = (String::new(), String::new());
        for column in columns {
            let given = copies.columns.iter().find(|(name, _)| *name == column);
            let comma = if names.is_empty() { "" } else { ", " };
            let _ = write!(names, "{comma}{column}");
            match given {
                Some((_, sql)) => write!(values, "{comma}{sql}")?,
                None => write!(values, "{comma}t.{column}")?,
            }
        }
        let (first, last) = (copies.first, copies.first + copies.count);
        let beside = copies
            .beside
            .as_ref()
            .map(|(what, on)| format!(" JOIN {what} x ON {on}"))
            .unwrap_or_default();
        Ok(format!(
            "WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {last}) \
             INSERT INTO {table} ({names}) SELECT {values} FROM s JOIN (SELECT * FROM {table} WHERE {}) t{beside} \
             WHERE n < {last} ORDER BY n",
            copies.template
        ))
    }
}

/// SQL for an id that is a UUIDv7 of long ago, of its own in `kind`, and rises with `n`.
pub(crate) fn old_id(kind: usize, n: &str) -> String {
    format!("printf('01900000-%04x-7{kind:03x}-8000-%012x', ({n}) / 65536, {n})")
}

/// SQL for the number of the next promotion of a resource.
pub(crate) fn next_number(resource: &str) -> String {
    format!("(SELECT COALESCE(MAX(q.number), 0) + 1 FROM promotions q WHERE q.resource_id = {resource})")
}

/// SQL for an id that is a UUIDv7 of this moment.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds of this century fit"
)]
pub(crate) fn new_id(seconds: f64, n: &str) -> String {
    let millis = (seconds * 1000.0) as u64;
    format!(
        "printf('{:08x}-{:04x}-7%03x-8000-%012x', ({n}) % 4096, {n})",
        millis >> 16,
        millis & 0xffff
    )
}
