//! The command line: `waybill serve`, `waybill apply`, `waybill token create`, `waybill ledger verify` and `export`, `waybill migrate`,
//! `waybill key replace`, `waybill keys generate`, `import` and `public`.
//!
//! Exit codes: 0 when it is done, 1 when it failed, 2 when what was given can't be used (arguments, configuration, a file).
//! What a command is asked for goes to the standard output, everything else to the standard error.

pub mod apply;
mod key;
mod keys;
mod ledger;
mod migrate;
mod serve;
mod token;

use crate::store::open;
use clap::{Args, Parser, Subcommand};
use domain::rights::Role;
use secrecy::SecretString;
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Promotes the exact container image, by digest, from one environment to another.
#[derive(Debug, Parser)]
#[command(name = "waybill", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Create or change a workspace's clusters, projects, environments and resources as a YAML file says
    Apply {
        /// The file; - reads the standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// API tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// The record of all that happened
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Bring the database that the configuration names up to date, as the server does at its start
    Migrate {
        /// PostgreSQL: let the server connect with this role, which doesn't own the tables and so can't change what stands in the
        /// ledger
        #[arg(long, value_name = "ROLE")]
        grant_to: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// The encryption key of stored secrets
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// The keys that sign what Waybill states about promotions
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a signing key and print its public half. Works on the database that the configuration names; the server may
    /// be running
    Generate {
        /// Replace the current key; what that one signed stays valid
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Import a signing key: PKCS#8 in PEM, on P-256, not encrypted
    Import {
        /// The private key's file; - reads the standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replace the current key; what that one signed stays valid
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print the public half of the key that signs
    Public {
        /// Of every key there ever was
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Go on with the key that the configuration names, or a new one, after the old one was lost: names the stored secrets that have to
    /// be entered again. Works on the database that the configuration names, with the server stopped
    Replace {
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it, once. Works on the database that the configuration names; the server may be running
    Create {
        #[command(flatten)]
        new: token::New,
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check that no entry was changed, removed or put in; names the first that was, and ends with 1. Works on the database
    /// that the configuration names; the server may be running
    Verify {
        /// Only this workspace
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Write all entries to the standard output, one JSON object a line, oldest first
    Export {
        /// Only this workspace
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration, TOML; without one the WAYBILL_ variables and defaults count
    #[arg(long, value_name = "FILE", env = "WAYBILL_CONFIG")]
    config: Option<PathBuf>,
}

/// Which server to talk to.
#[derive(Debug, Args)]
struct Remote {
    /// The server's address
    #[arg(
        long,
        value_name = "URL",
        env = "WAYBILL_SERVER",
        default_value = "http://127.0.0.1:3000"
    )]
    server: String,
    /// An API token with the role admin
    #[arg(long, value_name = "TOKEN", env = "WAYBILL_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
}

/// Why a command stops.
#[derive(Debug)]
enum Failure {
    /// What was given can't be used.
    Usage(String),
    /// It could not be done.
    Failed(String),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report(&Failure::Failed(format!(
                "The system gave no threads to work with: {error}."
            )));
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve { config } => serve::run(config.config.as_deref()).await,
            Command::Apply { file, dry_run, remote } => apply::run(&file, dry_run, &remote).await,
            Command::Token {
                command: TokenCommand::Create { new, config },
            } => token::create(&new, config.config.as_deref()).await,
            Command::Ledger {
                command: LedgerCommand::Verify { workspace, config },
            } => ledger::verify(workspace.as_deref(), config.config.as_deref()).await,
            Command::Ledger {
                command: LedgerCommand::Export { workspace, config },
            } => ledger::export(workspace.as_deref(), config.config.as_deref()).await,
            Command::Key {
                command: KeyCommand::Replace { config },
            } => key::replace(config.config.as_deref()).await,
            Command::Keys {
                command: KeysCommand::Generate { replace, config },
            } => keys::generate(replace, config.config.as_deref()).await,
            Command::Keys {
                command: KeysCommand::Import { file, replace, config },
            } => keys::import(&file, replace, config.config.as_deref()).await,
            Command::Keys {
                command: KeysCommand::Public { all, config },
            } => keys::public(all, config.config.as_deref()).await,
            Command::Migrate { grant_to, config } => migrate::run(grant_to.as_deref(), config.config.as_deref()).await,
        }
    });
    // What still runs in the background (a slow name look-up) must not hold up the end.
    runtime.shutdown_background();
    outcome.map_or_else(|failure| report(&failure), |()| ExitCode::SUCCESS)
}

fn report(failure: &Failure) -> ExitCode {
    let (code, text) = match failure {
        Failure::Usage(text) => (2, text),
        Failure::Failed(text) => (1, text),
    };
    for line in text.lines() {
        // Nobody is left to tell when the output is closed.
        let _ = writeln!(std::io::stderr(), "waybill: {line}");
    }
    ExitCode::from(code)
}

fn load_config(file: Option<&Path>) -> Result<crate::config::Config, Failure> {
    crate::config::Config::load(file, std::env::vars_os()).map_err(|e| Failure::Usage(e.to_string()))
}

/// What went wrong with all its causes, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // Not every page of a damaged database is read when it is opened.
    if open::tells_of_damage(error) && !text.contains(open::DAMAGED) {
        text = format!("{text}; {}", open::DAMAGED);
    }
    text
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|e: domain::rights::UnknownRole| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_arguments_end_with_2() {
        for arguments in [
            &["waybill", "apply"][..],
            &["waybill", "token", "create", "--name", "ci", "--role", "boss"],
            &[
                "waybill",
                "token",
                "create",
                "--name",
                "ci",
                "--role",
                "viewer",
                "--expires",
                "soon",
            ],
            &["waybill", "fly"],
        ] {
            assert_eq!(
                Cli::try_parse_from(arguments).unwrap_err().exit_code(),
                2,
                "{arguments:?}"
            );
        }
        let good = [
            "waybill",
            "token",
            "create",
            "--name",
            "ci",
            "--role",
            "developer",
            "--expires",
            "90d",
        ];
        assert!(Cli::try_parse_from(good).is_ok());
    }
}
