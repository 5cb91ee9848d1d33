//! `make bench`: the figures that Waybill promises, measured in one run on one machine.
//!
//! Everything is real: the released server as a process of its own, Git over smart HTTP, a registry; only Argo CD is the
//! stand-in. [`figure`] says what is promised, `figures` measures it, a file each; what they stand on is [`world`] (the parts
//! and the server), [`person`] (who approves), [`repository`] (large repositories, and when which commit came to them) and
//! [`seed`] (large databases).
//!
//! Each figure is printed as `name value unit` as soon as it is known; [`report`] writes the table.

mod clock;
mod figure;
mod figures;
mod machine;
mod person;
mod report;
mod repository;
mod scale;
mod section;
mod seed;
mod world;

use clap::Parser;
use report::Report;
use scale::Scale;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
use world::Ground;

/// What goes wrong is told, not handled.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures how fast Waybill is, and writes what it found as a table.
#[derive(Parser)]
struct Arguments {
    /// Smaller numbers: under two minutes
    #[arg(long)]
    quick: bool,
    /// Only groups whose name contains this: promote, burst, contended, follow, fanout, approve, hooks, board, inbox, live,
    /// memory, history
    #[arg(long, default_value = "")]
    only: String,
    /// Where the site was built; without it the browser's figure is skipped
    #[arg(long, default_value = "target/site")]
    site: PathBuf,
    /// Where the table goes; the short form writes none unless told
    #[arg(long)]
    table: Option<PathBuf>,
    /// Keep what was made and print where it lies
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("The benchmark can't be run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// False when a figure could not be measured; one that misses its target was.
async fn run(arguments: &Arguments) -> Outcome<bool> {
    let scale = if arguments.quick { Scale::quick() } else { Scale::full() };
    let began = clock::now();
    let ground = Ground::start(&arguments.site, arguments.keep).await?;
    let mut report = Report::new(&scale);
    figures::measure(&ground, &scale, &arguments.only, &mut report).await;
    report.took(clock::now() - began);
    let whole = arguments.only.is_empty() && !arguments.quick;
    let usual = whole.then(|| Path::new("docs/benchmarks.md").to_owned());
    if let Some(path) = arguments.table.clone().or(usual) {
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, section::keep(&old, &report.markdown()))?;
        eprintln!("The table is in {}.", path.display());
    }
    eprintln!("{}", report.summary());
    Ok(report.is_complete())
}
