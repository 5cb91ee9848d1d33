//! A child process whose output goes to a file, and which does not outlive its owner.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::TestbedError;

/// How often a condition is looked at again while waiting for it.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// A child that is killed, and waited for, when this is dropped: its port is free again then.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both outputs appended to the file `log`.
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> Result<Self, TestbedError> {
        let program = command.get_program().to_string_lossy().into_owned();
        if let Some(directory) = log.parent() {
            std::fs::create_dir_all(directory).map_err(TestbedError::file(directory))?;
        }
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(TestbedError::file(log))?;
        let same = file.try_clone().map_err(TestbedError::file(log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(same)
            .spawn()
            .map_err(|source| TestbedError::Spawn { program, source })?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Everything it has printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines it has printed, for error messages.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, then waits up to `patience` for the exit; kills what has not ended by then and returns none.
    pub(crate) async fn terminate(&mut self, patience: Duration) -> Option<ExitStatus> {
        // The shell's own `kill` sends a signal without unsafe code and without another package.
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.id())])
            .status();
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            sleep(POLL).await;
        }
        self.kill();
        None
    }

    /// Looks again and again until `ready` finds something; an error with the log when the process ends, or time does.
    pub(crate) async fn wait_for<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut ready: impl AsyncFnMut(&str) -> Option<T>,
    ) -> Result<T, TestbedError> {
        let deadline = Instant::now() + patience;
        loop {
            let log = self.log();
            if let Some(status) = self.exited() {
                let output = self.log_tail();
                return Err(TestbedError::Program {
                    command: what.to_owned(),
                    status: status.to_string(),
                    output,
                });
            }
            if let Some(found) = ready(&log).await {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                let log = self.log_tail();
                return Err(TestbedError::NotReady {
                    what: what.to_owned(),
                    seconds: patience.as_secs(),
                    log,
                });
            }
            sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
