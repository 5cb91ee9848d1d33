//! The program `waybill` as a person runs it, when it is expected to end by itself.

use super::world::PATIENCE;
use tokio::process::Command;

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// What it printed, both ways.
    pub(crate) said: String,
}

/// The program with these arguments and nothing in its environment.
pub(crate) fn waybill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).env_clear().kill_on_drop(true);
    command
}

/// Runs it to its end; one that goes on fails the test, and is ended.
pub(crate) async fn run(command: &mut Command) -> Ended {
    let output = tokio::time::timeout(PATIENCE, command.output());
    let output = output.await.expect("the program went on").unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ended {
        code: output.status.code().unwrap(),
        said: String::from_utf8(said).unwrap(),
    }
}
