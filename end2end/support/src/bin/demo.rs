//! `make run`: starts the demo and keeps it running. With `--ephemeral --json` it serves the browser tests.

use clap::Parser;
use std::{io::Write, path::PathBuf, process::ExitCode};
use testbed::{
    demo::{Demo, DemoOptions},
    waybill_binary,
};
use tokio::signal::unix::{SignalKind, signal};

/// Starts Waybill with a real GitOps repository, a real registry and a stand-in for Argo CD.
#[derive(Parser)]
struct Arguments {
    /// Where its state lies
    #[arg(long, default_value = ".waybill")]
    directory: PathBuf,
    /// Use a directory that is thrown away, free ports, and an Argo CD that takes milliseconds
    #[arg(long)]
    ephemeral: bool,
    /// A provider of OpenID Connect that people may sign in through; the tests' own (oidc-provider.mjs)
    #[arg(long, value_name = "ISSUER")]
    sso: Option<String>,
    /// Print where everything is as one line of JSON
    #[arg(long)]
    json: bool,
    /// The port of Waybill; Git, the registry, Argo CD and production's registry take the four after it
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Where the site was built
    #[arg(long, default_value = "target/site")]
    site: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The demo can't be started: {error}");
            let mut cause = error.source();
            while let Some(e) = cause {
                eprintln!("  because {e}");
                cause = e.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let thrown_away = arguments.ephemeral.then(tempfile::tempdir).transpose()?;
    let directory = match &thrown_away {
        Some(directory) => directory.path().to_owned(),
        None => std::path::absolute(arguments.directory)?,
    };
    let demo = Demo::start(&DemoOptions {
        directory,
        binary: waybill_binary()?,
        site: std::path::absolute(arguments.site)?,
        first_port: (!arguments.ephemeral).then_some(arguments.port),
        fast: arguments.ephemeral,
        sso: arguments.sso,
    })
    .await?;
    if arguments.json {
        println!("{}", demo.describe());
    } else {
        println!("{}", demo.welcome());
    }
    std::io::stdout().flush()?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    demo.stop().await;
    Ok(())
}
