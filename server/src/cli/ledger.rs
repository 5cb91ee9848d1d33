//! `waybill ledger verify` and `waybill ledger export`: on the database itself, beside a running server or without one.

use super::{Failure, chain, load_config, token};
use crate::{
    config::Database,
    service::views::{self, Checked},
    store::{Store, StoreError},
};
use domain::environment::Workspace;
use futures::{StreamExt as _, pin_mut};
use std::{io::Write as _, path::Path, sync::Arc};

/// Checks every chain, says what was found, and fails when one is broken.
pub(super) async fn verify(workspace: Option<&str>, config: Option<&Path>) -> Result<(), Failure> {
    let (store, workspaces) = open(workspace, config).await?;
    let mut broken = Vec::new();
    for workspace in workspaces {
        let found = views::check_ledger(&*store, workspace.id)
            .await
            .map_err(|e| unread(&e))?;
        match &found.broken {
            None => print(&format!("{}: {}", workspace.name, whole(&found)))?,
            Some(place) => broken.push(format!("{}: {place}.", workspace.name)),
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    broken.push("The ledger is broken. Compare it with an export or a back-up from before.".into());
    Err(Failure::Failed(broken.join("\n")))
}

/// Writes the ledgers to the standard output, as JSON lines.
pub(super) async fn export(workspace: Option<&str>, config: Option<&Path>) -> Result<(), Failure> {
    let (store, workspaces) = open(workspace, config).await?;
    for workspace in workspaces {
        let lines = views::ledger_lines(store.clone(), workspace.id);
        pin_mut!(lines);
        while let Some(some) = lines.next().await {
            write(&some.map_err(|e| unread(&e))?)?;
        }
    }
    Ok(())
}

fn whole(found: &Checked) -> String {
    let before = match found.unchained {
        0 => String::new(),
        some => format!(" {some} older entries are from before the chain, and nothing proves them."),
    };
    format!(
        "{} entries, unbroken; the newest hash is {}.{before}",
        found.chained, found.newest_hash
    )
}

async fn open(workspace: Option<&str>, config: Option<&Path>) -> Result<(Arc<dyn Store>, Vec<Workspace>), Failure> {
    let config = load_config(config)?;
    if let Database::Sqlite(file) = &config.database
        && !file.exists()
    {
        let why = format!(
            "There is no database {}. Say where it is: --config, or WAYBILL_DATA_DIR.",
            file.display()
        );
        return Err(Failure::Usage(why));
    }
    let store = token::open(&config).await?;
    let workspaces = views::ledger_workspaces(&*store, workspace)
        .await
        .map_err(|e| Failure::Failed(e.to_string()))?;
    Ok((store, workspaces))
}

fn unread(error: &StoreError) -> Failure {
    Failure::Failed(format!("The ledger could not be read: {}.", chain(error)))
}

fn print(line: &str) -> Result<(), Failure> {
    write(&format!("{line}\n"))
}

fn write(text: &str) -> Result<(), Failure> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|e| Failure::Failed(format!("The output could not be written: {e}.")))
}
