//! The server binary as a child process: for tests that kill it, and for the demo and the browser tests.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Command, ExitStatus},
    time::Duration,
};

use crate::{TestbedError, process::Process};

/// How the server is started.
#[derive(Debug, Clone)]
pub struct WaybillOptions {
    /// The binary; see [`waybill_binary`].
    pub binary: PathBuf,
    /// Arguments, for example `serve --config waybill.toml`.
    pub arguments: Vec<OsString>,
    /// Variables for the server. `WAYBILL_*` variables of the parent do not reach it.
    pub environment: Vec<(String, String)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// The file that takes what it prints; a restart appends.
    pub log: PathBuf,
    /// Where it will listen, for example `http://127.0.0.1:3000`; see [`free_port`].
    pub base_url: String,
    /// How long it may take until `/readyz` answers 200.
    pub patience: Duration,
}

impl WaybillOptions {
    /// `binary` with no arguments in `directory`, logging to `waybill.log` there, with 30 s to become ready.
    pub fn new(binary: impl Into<PathBuf>, directory: impl Into<PathBuf>, base_url: impl Into<String>) -> Self {
        let directory = directory.into();
        Self {
            binary: binary.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: directory.join("waybill.log"),
            directory,
            base_url: base_url.into(),
            patience: Duration::from_secs(30),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct WaybillProcess {
    process: Process,
    base_url: String,
}

impl WaybillProcess {
    /// Starts the server and waits until `/readyz` answers 200. The error of a failed start holds the end of its log.
    pub async fn start(options: &WaybillOptions) -> Result<Self, TestbedError> {
        let mut command = Command::new(&options.binary);
        command.args(&options.arguments).current_dir(&options.directory);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WAYBILL_") {
                command.env_remove(name);
            }
        }
        command.envs(options.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::spawn(&mut command, &options.log)?;
        let mut server = Self {
            process,
            base_url: options.base_url.clone(),
        };
        let client = reqwest::Client::new();
        let ready = format!("{}/readyz", server.base_url);
        let what = format!("{} at {}", options.binary.display(), server.base_url);
        server
            .process
            .wait_for(&what, options.patience, async |_| {
                let answer = client.get(&ready).timeout(Duration::from_secs(2)).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await?;
        Ok(server)
    }

    /// Where it listens.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything it has printed, earlier starts with the same log included.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// SIGKILL: as if the machine had lost power. Gone when this returns.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// SIGTERM: asks it to finish what it does, and gives it `patience`. None when it had to be killed after all.
    pub async fn stop(mut self, patience: Duration) -> Option<ExitStatus> {
        self.process.terminate(patience).await
    }

    /// How it ended, when it has ended by itself; none while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }
}

/// A local port that was free a moment ago, for programs that must be told their port.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The `waybill` binary beside the running program: both are built into one target folder.
pub fn waybill_binary() -> Result<PathBuf, TestbedError> {
    let own = std::env::current_exe().map_err(TestbedError::file("the running program"))?;
    // A test binary lies one level deeper, in `deps`.
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("waybill"))
        .find(|binary| binary.is_file())
        .ok_or_else(|| {
            let missing = io::Error::new(io::ErrorKind::NotFound, "build it with `cargo build -p server`");
            TestbedError::File {
                path: own.with_file_name("waybill"),
                source: missing,
            }
        })
}
