//! `waybill key replace`: goes on after the encryption key was lost.

use super::{Failure, chain, load_config, token};
use crate::{adapters::system::System, data_dir::DataLock, ports::clock::Clock as _, startup};
use std::{io::Write as _, path::Path};

pub(super) async fn replace(config: Option<&Path>) -> Result<(), Failure> {
    let config = load_config(config)?;
    // A server that runs would go on with the old key, and seal with it.
    let _lock = DataLock::take(&config, System.now()).map_err(|e| Failure::Failed(chain(&e)))?;
    let store = token::open(&config).await?;
    let unopened = startup::key::replace(&config, &*store).await;
    let unopened = unopened.map_err(|e| Failure::Failed(chain(&e)))?;
    say("The database goes on with this encryption key. Back it up, apart from the database.");
    if !unopened.is_empty() {
        say("These stored secrets don't open with it and have to be entered again:");
    }
    for value in unopened {
        let whose = match value.workspace {
            Some(workspace) => format!(" in workspace {workspace}"),
            None => String::new(),
        };
        say(&format!("  {} of {}{whose}", value.column.name(), value.of));
    }
    Ok(())
}

fn say(line: &str) {
    // Nobody is left to tell when the output is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
