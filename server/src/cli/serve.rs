//! `waybill serve`: logs, a port, and the server until somebody ends it.

use super::{Failure, chain, load_config};
use crate::{
    adapters::system::System,
    config::{Config, LogFormat},
    data_dir::{DataDirError, DataLock},
    ports::clock::Clock as _,
};
use std::{io::IsTerminal as _, path::Path};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

pub(super) async fn run(config: Option<&Path>) -> Result<(), Failure> {
    let config = load_config(config)?;
    log(&config)?;
    let listener = match TcpListener::bind(config.listen).await {
        Ok(listener) => listener,
        Err(error) => return Err(not_bound(&config, &error)),
    };
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|e| Failure::Failed(format!("Signals can't be received: {e}.")))?;
    let shutdown = async move {
        let interrupt = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = interrupt => {}
            _ = terminate.recv() => {}
        }
    };
    crate::run(config, listener, shutdown)
        .await
        .map_err(|e| Failure::Failed(chain(&e)))
}

/// Why there is no port: most often because the same server was started twice.
fn not_bound(config: &Config, error: &std::io::Error) -> Failure {
    if let Err(held @ DataDirError::Held { .. }) = DataLock::take(config, System.now()) {
        return Failure::Failed(chain(&held));
    }
    Failure::Failed(format!(
        "{} can't be listened on: {error}. Set another address with listen or WAYBILL_LISTEN, or end what uses it.",
        config.listen
    ))
}

fn log(config: &Config) -> Result<(), Failure> {
    let filter =
        EnvFilter::try_new(&config.log_level).map_err(|e| Failure::Usage(format!("log.level can't be used: {e}.")))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are for eyes: in a file they stand between the words that somebody searches for.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Failure::Failed(format!("The log can't be written: {e}.")))
}
