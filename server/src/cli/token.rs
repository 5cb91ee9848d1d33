//! `waybill token create`: on the database itself, for the first token and for who runs the server.

use super::{Failure, chain, load_config, role};
use crate::{
    adapters::system::System,
    config::{Config, Database},
    service::access::{NewToken, create_token_here, parse_span},
    startup,
    store::Store,
};
use clap::Args;
use contract::error::AppError;
use domain::rights::Role;
use secrecy::ExposeSecret;
use std::{io::Write as _, path::Path, sync::Arc};

/// The token to be made.
#[derive(Debug, Args)]
pub(super) struct New {
    /// Its name, unique in the workspace
    #[arg(long)]
    name: String,
    /// What it may do: viewer, developer, approver or admin
    #[arg(long, value_parser = role)]
    role: Role,
    /// Its workspace; may be left out when there is only one
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Make the workspace when there is none of this name
    #[arg(long, requires = "workspace")]
    create_workspace: bool,
    /// When it ends, counted from now: 90d, 12h. Never, when left out
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    expires: Option<i64>,
}

pub(super) async fn create(new: &New, config: Option<&Path>) -> Result<(), Failure> {
    let config = load_config(config)?;
    let store = open(&config).await?;
    let token = NewToken {
        name: &new.name,
        role: new.role,
        expires_in_millis: new.expires,
    };
    let made = create_token_here(
        &*store,
        &System,
        &System,
        new.workspace.as_deref(),
        new.create_workspace,
        &token,
    )
    .await;
    let (workspace, text) = made.map_err(|error| match error {
        AppError::Invalid(errors) => {
            let lines: Vec<_> = errors
                .0
                .iter()
                .map(|e| format!("--{}: {}", e.field, e.message))
                .collect();
            Failure::Usage(lines.join("\n"))
        }
        other => Failure::Failed(other.to_string()),
    })?;
    let _ = writeln!(
        std::io::stderr(),
        "Token {} with the role {} in workspace {}. It is shown only now:",
        new.name,
        new.role,
        workspace.name
    );
    let printed = writeln!(std::io::stdout(), "{}", text.expose_secret());
    printed.map_err(|e| Failure::Failed(format!("The token could not be printed: {e}. Make another one.")))
}

/// Opens the database; a file is made when it isn't there: the first token may come before the server's first start.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let what = match &config.database {
        Database::Sqlite(file) => {
            if let Some(directory) = file.parent() {
                std::fs::create_dir_all(directory).map_err(|e| {
                    Failure::Failed(format!("The directory {} can't be made: {e}.", directory.display()))
                })?;
            }
            file.display().to_string()
        }
        // The address may hold a password.
        Database::Postgres(_) => "database.url".into(),
    };
    startup::open(&config.database)
        .await
        .map_err(|e| Failure::Failed(format!("{what}: {}", chain(&e))))
}
