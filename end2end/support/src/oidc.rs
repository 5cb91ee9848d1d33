//! A real provider of OpenID Connect: the certified npm package `oidc-provider`, run by Node.js from `end2end/node_modules`.

use crate::{TestbedError, process::Process};
use serde_json::Value;
use std::{path::Path, process::Command, time::Duration};

/// What runs it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oidc-provider.mjs");
/// What Waybill is called there.
pub const OIDC_CLIENT: &str = "waybill";
/// What Waybill proves itself with there.
pub const OIDC_SECRET: &str = "a secret of the test, with + and %";

/// A running provider. It is killed when this is dropped.
#[derive(Debug)]
pub struct OidcProvider {
    _process: Process,
    issuer: String,
}

impl OidcProvider {
    /// Starts it, on a free port or where it was before; its log lies in `directory`.
    pub async fn start(directory: &Path, port: Option<u16>) -> Result<Self, TestbedError> {
        let mut command = Command::new("node");
        command.arg(SCRIPT).args(port.map(|port| port.to_string()));
        let log = directory.join(format!("oidc-provider-{}.log", port.unwrap_or_default()));
        let mut process = Process::spawn(&mut command, &log)?;
        let what = "the OpenID Connect provider (`scripts/setup` installs it)";
        let issuer = process
            .wait_for(what, Duration::from_secs(30), async |log| {
                let said = log.lines().find_map(|line| serde_json::from_str::<Value>(line).ok())?;
                Some(said.get("issuer")?.as_str()?.to_owned())
            })
            .await?;
        Ok(Self {
            _process: process,
            issuer,
        })
    }

    /// What it calls itself, and where it is.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The port that it has.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.issuer.rsplit_once(':')?.1.parse().ok()
    }

    /// What it says of somebody from now on.
    pub async fn account(&self, name: &str, claims: &Value) -> Result<(), TestbedError> {
        let url = format!("{}/test/accounts/{name}", self.issuer);
        ask(reqwest::Client::new().put(&url).json(claims), url).await
    }

    /// Signs with another key from now on, and publishes that one only; with `name`, or a new name.
    pub async fn rotate(&self, name: Option<&str>) -> Result<(), TestbedError> {
        let query = name.map(|name| format!("?kid={name}")).unwrap_or_default();
        let url = format!("{}/test/rotate{query}", self.issuer);
        ask(reqwest::Client::new().post(&url), url).await
    }
}

async fn ask(request: reqwest::RequestBuilder, url: String) -> Result<(), TestbedError> {
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    answer
        .map(|_| ())
        .map_err(|source| TestbedError::Request { url, source })
}
