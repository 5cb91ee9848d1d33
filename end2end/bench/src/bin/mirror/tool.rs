//! The tools: each is told to copy one digest, for all platforms, and not to change it.

use crate::Outcome;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// One way to copy.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// As the table calls it.
    pub(crate) name: &'static str,
    program: PathBuf,
    before: &'static [&'static str],
    /// What stands in front of a reference.
    scheme: &'static str,
}

/// How Waybill is called in the table.
pub(crate) const WAYBILL: &str = "Waybill";

impl Tool {
    /// All of them; those that were built lie in a folder.
    pub(crate) fn all(folder: &Path) -> Outcome<Vec<Self>> {
        let crane = std::path::absolute(folder.join("crane-0.22.1"))?;
        let oras = std::path::absolute(folder.join("oras-1.3.6"))?;
        for program in [&crane, &oras] {
            if !program.exists() {
                return Err("crane and oras are not built yet: scripts/bench-mirror builds them.".into());
            }
        }
        let tool = |name, program, before| Self {
            name,
            program,
            before,
            scheme: "",
        };
        Ok(vec![
            tool(WAYBILL, std::env::current_exe()?, &["copy"]),
            Self {
                scheme: "docker://",
                ..tool(
                    "skopeo copy --all --preserve-digests",
                    "skopeo".into(),
                    &[
                        "copy",
                        "--all",
                        "--preserve-digests",
                        "--insecure-policy",
                        "--src-tls-verify=false",
                        "--dest-tls-verify=false",
                    ],
                )
            },
            tool("crane copy", crane.clone(), &["copy", "--insecure"]),
            tool("crane copy -j 4", crane, &["copy", "--insecure", "-j", "4"]),
            tool(
                "oras cp -r",
                oras,
                &["cp", "-r", "--no-tty", "--from-plain-http", "--to-plain-http"],
            ),
        ])
    }

    pub(crate) fn is_waybill(&self) -> bool {
        self.name == WAYBILL
    }

    /// Copies, measured: seconds of processors and KiB of memory come into the file `measured`.
    pub(crate) fn command(&self, from: &str, to: &str, digest: &str, measured: &Path, home: &Path) -> Command {
        let mut command = Command::new("/usr/bin/time");
        command
            .args(["-f", "%U %S %M", "-o"])
            .arg(measured)
            .arg(&self.program)
            .args(self.before);
        match self.is_waybill() {
            true => command.args([from, to, digest]),
            false => {
                let scheme = self.scheme;
                command.args([from, to].map(|repository| format!("{scheme}{repository}@{digest}")))
            }
        };
        command
            // Nobody's own credentials or settings.
            .env("HOME", home)
            .env_remove("DOCKER_CONFIG")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("GOMAXPROCS");
        command
    }
}
