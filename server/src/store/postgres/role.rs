//! A server's role that doesn't own the tables: it finds them up to date, and is given what a server needs and no more.
//!
//! Who owns a table may switch its triggers off, and with them what keeps the ledger as it was written. Another role can't; and what it
//! isn't granted, no trigger has to refuse.

use super::MIGRATIONS;
use crate::store::open::{self, OpenError, RAN, Ran};
use sqlx::{AssertSqlSafe, PgPool, Row as _, migrate::MigrateError};

/// Whether nothing is to be brought up to date. Migrations begin by making a table, which not every role may, even when it is there.
pub(super) async fn is_up_to_date(pool: &PgPool) -> Result<bool, OpenError> {
    const IS_NEW: &str = "SELECT to_regclass('_sqlx_migrations') IS NULL";
    if sqlx::query_scalar::<_, bool>(IS_NEW).fetch_one(pool).await? {
        return Ok(false);
    }
    let ran: Vec<Ran> = sqlx::query_as(RAN).fetch_all(pool).await?;
    open::is_up_to_date(&ran, &MIGRATIONS)
}

/// Whether a migration failed because the role may not change the tables.
pub(super) fn may_not(error: &MigrateError) -> bool {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error
            .as_database_error()
            .is_some_and(|error| error.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE)),
        _ => false,
    }
}

/// Why a role can't be given what a server needs.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There is no such role.
    #[error("there is no role {0}: make it first, with CREATE ROLE … LOGIN")]
    Unknown(String),
    /// It may do anything to the tables already.
    #[error("the role {0} owns the tables, or may act as who does: give the server a role that doesn't")]
    Owner(String),
    /// The database failed.
    #[error("the rights could not be granted")]
    Database(#[from] sqlx::Error),
}

/// Whether a role may act as who owns the ledger.
const IS_OWNER: &str = "SELECT r.rolsuper OR pg_has_role(r.oid, e.relowner, 'MEMBER') FROM pg_roles r, pg_class e \
     WHERE r.rolname = $1 AND e.oid = 'events'::regclass";
/// For each table what is taken back and then granted. The ledger is only added to, its head moves on, and which migrations ran is only
/// read.
const GRANTS: &str = "SELECT format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), $1) UNION ALL \
     SELECT format('REVOKE ALL ON %1$I.%2$I FROM %3$I; GRANT %4$s ON %1$I.%2$I TO %3$I', schemaname, tablename, $1, \
     CASE tablename WHEN 'events' THEN 'SELECT, INSERT' WHEN 'ledger_heads' THEN 'SELECT, INSERT, UPDATE' \
     WHEN '_sqlx_migrations' THEN 'SELECT' ELSE 'SELECT, INSERT, UPDATE, DELETE' END) \
     FROM pg_tables WHERE schemaname = current_schema() AND pg_has_role(tableowner, 'USAGE')";

/// Gives a role what a server needs.
pub(super) async fn grant(pool: &PgPool, role: &str) -> Result<(), GrantError> {
    let mut tx = pool.begin().await?;
    match sqlx::query(IS_OWNER).bind(role).fetch_optional(&mut *tx).await? {
        None => return Err(GrantError::Unknown(role.to_owned())),
        Some(row) if row.try_get(0)? => return Err(GrantError::Owner(role.to_owned())),
        Some(_) => {}
    }
    let grants: Vec<String> = sqlx::query_scalar(GRANTS).bind(role).fetch_all(&mut *tx).await?;
    for statement in grants {
        // Written by the database, which quotes the names.
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}
