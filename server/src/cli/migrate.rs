//! `waybill migrate`: brings the database up to date, as a server does at its start; and lets the server's role be another than the one
//! that owns the tables.

use super::{Failure, chain, load_config, token};
use crate::{config::Database, store::postgres::PostgresStore};
use std::{io::Write as _, path::Path};

pub(super) async fn run(grant_to: Option<&str>, config: Option<&Path>) -> Result<(), Failure> {
    let config = load_config(config)?;
    if let (Database::Sqlite(_), Some(_)) = (&config.database, grant_to) {
        let why = "--grant-to is for PostgreSQL: a database in a file has no roles.";
        return Err(Failure::Usage(why.into()));
    }
    drop(token::open(&config).await?);
    say("The database is up to date.");
    if let (Database::Postgres(address), Some(role)) = (&config.database, grant_to) {
        let granted = PostgresStore::grant(address, role).await;
        granted.map_err(|e| Failure::Failed(format!("--grant-to: {}.", chain(&e))))?;
        say(&format!(
            "{role} may run a server on it: it may add to the ledger, and change or remove nothing there."
        ));
    }
    Ok(())
}

fn say(line: &str) {
    // Nobody is left to tell when the output is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
