//! `make bench-mirror`: copying images between registries, measured beside the tools that people copy with.
//!
//! Two real registries on this machine. Before each run the target is fresh, or holds exactly what the case says ([`scene`]). Each tool
//! copies the same digest with everything that it copies ([`tool`]), in a process of its own, in turn with the others; Waybill's copier runs
//! in this program started again with `copy`. What a run took and asked for is counted the same way for all ([`run`]). A second series puts
//! [`distance`] between the tools and the registries. [`table`] writes what was found.

mod case;
#[path = "../../clock.rs"]
mod clock;
mod distance;
mod image;
#[path = "../../machine.rs"]
mod machine;
mod ours;
mod run;
mod scene;
#[path = "../../section.rs"]
mod section;
mod table;
mod tool;

use case::{CASES, Case, SERIES};
use clap::{Parser, Subcommand};
use run::Run;
use scene::Scene;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
};
use table::{Found, Table};
use tool::Tool;

/// What goes wrong is told, not handled.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Where the table goes.
const DOCUMENT: &str = "docs/benchmarks.md";

/// Measures how fast Waybill copies images, beside skopeo, crane and oras.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The folder that crane and oras were built into
    #[arg(long, default_value = "target/supply")]
    tools: PathBuf,
    /// Only these cases, by their letters; writes no table then
    #[arg(long, default_value = "")]
    only: String,
    /// Only this series: near or far; writes no table then
    #[arg(long, default_value = "")]
    series: String,
    /// Runs of each tool in each case; writes no table with fewer than five
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// A file that is locked while a case is measured, for machines where others wait with their builds for it
    #[arg(long)]
    lock: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Copies one image over plain HTTP; what is measured as Waybill
    #[command(hide = true)]
    Copy {
        /// The repository to copy from
        from: String,
        /// The repository to copy to
        to: String,
        /// What to copy
        digest: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match &arguments.command {
        Some(Command::Copy { from, to, digest }) => ours::copy(from, to, digest).await,
        None => measure(&arguments).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Outcome<()> {
    let began = clock::now();
    let cases: Vec<&Case> = (CASES.iter())
        .filter(|case| arguments.only.is_empty() || arguments.only.contains(case.letter))
        .collect();
    let tools = Tool::all(&arguments.tools)?;
    eprintln!("Building the images");
    let scene = Scene::set(&cases).await?;
    let mut found = Vec::new();
    for series in SERIES
        .iter()
        .filter(|series| series.name.starts_with(&arguments.series))
    {
        for case in &cases {
            eprintln!("{} {}: {}", series.name, case.letter, case.what);
            let _alone = arguments.lock.as_deref().map(locked).transpose()?;
            let mut runs: Vec<Vec<Run>> = tools.iter().map(|_| Vec::new()).collect();
            for turn in 0..arguments.runs {
                // Another begins each time: who comes first or last has no advantage.
                for n in 0..tools.len() {
                    let n = (n + turn) % tools.len();
                    let (Some(tool), Some(runs)) = (tools.get(n), runs.get_mut(n)) else {
                        continue;
                    };
                    runs.push(scene.run(case, series, tool).await?);
                }
            }
            let of = Found {
                series,
                case,
                manifests: scene.image(case)?.manifests.len() + scene.image(case)?.hanging,
                tools: tools.iter().cloned().zip(runs).collect(),
            };
            print!("{}", of.lines());
            found.push(of);
        }
    }
    if arguments.only.is_empty() && arguments.series.is_empty() && arguments.runs >= 5 {
        let table = Table {
            found: &found,
            runs: arguments.runs,
            seconds: clock::now() - began,
        };
        let old = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
        std::fs::write(DOCUMENT, section::put(&old, &table.markdown()))?;
        eprintln!("The tables are in {DOCUMENT}.");
    }
    Ok(())
}

/// The file, locked until it is dropped.
fn locked(path: &Path) -> Outcome<File> {
    let file = File::create(path)?;
    file.lock()?;
    Ok(file)
}
