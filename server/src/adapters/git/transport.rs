//! Fetch and push: directly where a server speaks HTTP ([`super::smart`]), and with the `git` program, which has the last word.
//!
//! The program knows every way to sign in and says when a server rejects a reference. It gets a clean environment: no configuration
//! but ours, no prompts, no agent. Secrets travel in environment variables and files of mode 0600 only: never in
//! arguments, addresses or the mirror's configuration. It also gets limits of memory and of what it writes: what a server sends may unpack to
//! a thousand times its size. Texts are those of git 2.39 with `LC_ALL=C`.

use std::{
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use git2::Oid;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::adapters::guard;

use super::{
    Credentials, GitError, RepositoryAccess,
    address::{Address, without_logins},
    fault,
    local::Remote,
    packs,
    smart::{Begun, Fetched, Moved, Server, ServerAnswer, Wire},
};

/// A fetch or push that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first fetch brings the whole history; within it, a stalled connection is given up sooner.
const FIRST_PATIENCE: Duration = Duration::from_secs(600);
/// Memory that the program may take, in KiB: receiving, it holds what others are differences from.
const MOST_MEMORY: u64 = 512 << 10;
/// The largest file that it may write, in units of 512 bytes: 4 GiB.
const LARGEST_FILE: u64 = 8 << 20;
/// Larger files are written as they come in, and not held.
const BIG_FILE: &str = "4m";
/// As much of a server's words as is shown.
const LONGEST_REASON: usize = 800;

/// How the shell says that there is no such program.
const NOT_FOUND: i32 = 127;

/// What a push came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The remote's branch is at the commit.
    Done,
    /// Somebody else moved the branch first.
    Overtaken,
}

/// A repository's remote side, and the mirror that stands for it here.
pub(super) struct Transport<'a> {
    access: &'a RepositoryAccess,
    mirror: &'a Path,
    remote: &'a Remote,
    wire: Option<&'a Wire>,
    address: Address,
}

impl<'a> Transport<'a> {
    pub(super) fn new(
        access: &'a RepositoryAccess,
        mirror: &'a Path,
        remote: &'a Remote,
        wire: Option<&'a Wire>,
    ) -> Self {
        let address = Address::parse(&access.url);
        Self {
            access,
            mirror,
            remote,
            wire,
            address,
        }
    }

    /// The mirror's reference for the branch.
    pub(super) fn tracking_ref(&self) -> String {
        format!("refs/remotes/o/{}", self.access.branch)
    }

    /// Brings the branch into the mirror. `first` when the mirror has nothing yet. That there is no such branch only a whole list of the
    /// branches says.
    pub(super) async fn fetch(&self, first: bool) -> Result<(), GitError> {
        self.check()?;
        let refspec = format!("+refs/heads/{}:{}", self.access.branch, self.tracking_ref());
        let arguments = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            &self.remote.address,
            &refspec,
        ];
        let patience = if first { FIRST_PATIENCE } else { PATIENCE };
        let output = self.run(&arguments, patience).await;
        if let Ok(output) = &output
            && output.status.success()
        {
            return Ok(());
        }
        // What a program that was stopped had received is of no use to the next.
        let packs = self.mirror.join("objects/pack");
        let swept = tokio::task::spawn_blocking(move || packs::sweep(&packs)).await;
        tracing::debug!(url = %self.address.url, ?swept, "a fetch failed");
        let error = self.failed(&output?).await;
        if !is_of_the_branch(&error) {
            return Err(error);
        }
        let listed = self.list(&[], PATIENCE).await?;
        if self.branches_in(&listed).contains(&self.access.branch) {
            let reason = format!(
                "it said that there is no branch {}, and then that there is",
                self.access.branch
            );
            return Err(self.unreachable(reason));
        }
        Err(match listed.is_empty() {
            true => GitError::Empty {
                url: self.address.url.clone(),
                branch: self.access.branch.clone(),
            },
            false => error,
        })
    }

    /// Brings the newest commit of the branch alone into a repository that has nothing yet.
    pub(super) async fn fetch_newest(&self, patience: Duration) -> Result<(), GitError> {
        self.check()?;
        let refspec = format!("+refs/heads/{}:{}", self.access.branch, self.tracking_ref());
        let arguments = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--depth=1",
            "--",
            &self.remote.address,
            &refspec,
        ];
        let output = self.run(&arguments, patience).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(self.failed(&output).await)
    }

    /// Names of the remote's branches; [`GitError::Empty`] when it has neither branch nor tag.
    pub(super) async fn branches(&self, patience: Duration) -> Result<Vec<String>, GitError> {
        let listed = self.list(&[], patience).await?;
        match listed.is_empty() {
            true => Err(GitError::Empty {
                url: self.address.url.clone(),
                branch: self.access.branch.clone(),
            }),
            false => Ok(self.branches_in(&listed)),
        }
    }

    fn branches_in(&self, listed: &str) -> Vec<String> {
        let names = listed.lines().filter_map(|line| line.split_once("\trefs/heads/"));
        names.map(|(_, name)| self.presentable(name)).collect()
    }

    /// The remote's references, as `git ls-remote` prints them, when the server listed them to the end.
    ///
    /// Git itself insists on the flush packet that ends a list (gitprotocol-v2(5), gitprotocol-pack(5)). But where the answer isn't one of a
    /// Git server at all, a proxy's page or nothing, it takes it for the list of files of the dumb protocol, which has no end, and finds
    /// no reference in it. So it is told to say which packets it read: where there was no flush, nothing was listed.
    async fn list(&self, which: &[&str], patience: Duration) -> Result<String, GitError> {
        let arguments = [&["ls-remote", "--quiet"], which, &["--", &self.remote.address]].concat();
        let output = self
            .run_with(&arguments, patience, &[("GIT_TRACE_PACKET", "1")])
            .await?;
        if !output.status.success() {
            return Err(self.failed(&output).await);
        }
        let trace = String::from_utf8_lossy(&output.stderr);
        // Of an empty repository nothing else says so before a push.
        if is_sha256(&trace) {
            return Err(self.sha256());
        }
        if !is_ended(&trace) {
            let reason = "what it answered is no whole list of the repository's branches; a proxy on the way may have cut or replaced it";
            return Err(self.unreachable(reason.to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Signs in to push `commit`, which the branch is at, and sends nothing.
    pub(super) async fn may_push(&self, commit: Oid, patience: Duration) -> Result<(), GitError> {
        let destination = format!("refs/heads/{}", self.access.branch);
        let refspec = format!("{commit}:{destination}");
        let arguments = [
            "push",
            "--dry-run",
            "--porcelain",
            "--no-verify",
            "--no-recurse-submodules",
            "--",
            &self.remote.address,
            &refspec,
        ];
        let output = self.run(&arguments, patience).await?;
        // Somebody may have pushed since: that they were told is all that was asked.
        if output.status.success() || rejection(&String::from_utf8_lossy(&output.stdout), &destination).is_some() {
            return Ok(());
        }
        Err(self.failed(&output).await)
    }

    /// The repository's address without credentials.
    pub(super) fn url(&self) -> &str {
        &self.address.url
    }

    /// Puts the branch at `commit`, when it is at an ancestor of it.
    pub(super) async fn push(&self, commit: Oid) -> Result<Pushed, GitError> {
        self.check()?;
        let destination = format!("refs/heads/{}", self.access.branch);
        let refspec = format!("{commit}:{destination}");
        let arguments = [
            "push",
            "--porcelain",
            "--no-verify",
            "--no-recurse-submodules",
            "--",
            &self.remote.address,
            &refspec,
        ];
        let output = self.run(&arguments, PATIENCE).await?;
        match rejection(&String::from_utf8_lossy(&output.stdout), &destination) {
            Some(reason) => self.judge(&reason, &output),
            // Silence is no yes.
            None if output.status.success() && is_taken(&output.stdout, &destination) => Ok(Pushed::Done),
            None => Err(self.failed(&output).await),
        }
    }

    /// Tells "somebody was faster" from "you may not".
    fn judge(&self, reason: &str, output: &Output) -> Result<Pushed, GitError> {
        if is_overtaken(reason) {
            return Ok(Pushed::Overtaken);
        }
        let lower = reason.to_ascii_lowercase();
        let said = String::from_utf8_lossy(&output.stderr);
        // The connection broke before the answer: nobody knows.
        if lower.contains("remote failed to report status") || lower.contains("remote failure") {
            return Err(self.failure(output));
        }
        Err(self.refused(reason, said.lines().filter_map(|line| line.strip_prefix("remote:"))))
    }

    /// The server's policy, in its own words.
    fn refused<'t>(&self, reason: &str, said: impl Iterator<Item = &'t str>) -> GitError {
        let said: Vec<_> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
        let reason = match said.is_empty() {
            true => reason.to_owned(),
            false => format!("{reason}: {}", said.join(" ")),
        };
        GitError::Refused {
            reason: self.presentable(&reason),
        }
    }

    /// The repository's own server, when it can be spoken to directly.
    fn server(&self) -> Option<Server<'_>> {
        self.address.origin()?;
        let wire = self
            .wire
            .filter(|wire| wire.serves(&self.address.url) && self.check().is_ok())?;
        let url = self.address.url.trim_end_matches('/');
        let login = self.login();
        Some(Server { wire, url, login })
    }

    /// As [`Transport::push`], in one request, with the objects that the mirror need not have yet; `None` when only the program
    /// can tell.
    pub(super) async fn push_directly(
        &self,
        old: Option<Oid>,
        new: Oid,
        pack: impl FnOnce() -> Result<Vec<u8>, git2::Error>,
    ) -> Result<Option<Pushed>, GitError> {
        let Some(server) = self.server() else { return Ok(None) };
        let Ok(pack) = pack() else { return Ok(None) };
        self.judge_directly(server.push(&self.access.branch, old, new, pack).await)
    }

    /// Whether the server says at once that the branch is at `known`. `false` says nothing: the program finds out.
    pub(super) async fn is_at(&self, known: Oid) -> bool {
        match self.server() {
            Some(server) => server.tip(&self.access.branch).await == ServerAnswer::Done(known),
            None => false,
        }
    }

    /// As [`Transport::fetch`], in two requests and without a program; `None` when only the program can tell.
    pub(super) async fn fetch_directly(&self, known: Oid) -> Result<Option<Fetched>, GitError> {
        let Some(server) = self.server() else { return Ok(None) };
        match server.fetch(&self.access.branch, known).await {
            ServerAnswer::Done(fetched) => Ok(Some(fetched)),
            ServerAnswer::Down(reason) => Err(self.busy(reason)),
            _ => Ok(None),
        }
    }

    /// The beginnings of a race for the branch; `None` where only the program can race.
    pub(super) fn begin(&self) -> Option<Begun> {
        Some(self.server()?.begin())
    }

    /// As [`Transport::fetch_directly`], with requests that were begun.
    pub(super) async fn fetch_begun(&self, begun: &mut Begun, known: Oid) -> Result<Option<Fetched>, GitError> {
        match begun.fetch(&self.access.branch, known).await {
            ServerAnswer::Done(fetched) => Ok(Some(fetched)),
            ServerAnswer::Down(reason) => Err(self.busy(reason)),
            _ => Ok(None),
        }
    }

    /// As [`Transport::push_directly`], with a request that was begun.
    pub(super) async fn push_begun(
        &self,
        begun: Begun,
        old: Oid,
        new: Oid,
        pack: &[u8],
    ) -> Result<Option<Pushed>, GitError> {
        self.judge_directly(begun.push(&self.access.branch, old, new, pack).await)
    }

    fn judge_directly(&self, answer: ServerAnswer<()>) -> Result<Option<Pushed>, GitError> {
        match answer {
            ServerAnswer::Done(()) => Ok(Some(Pushed::Done)),
            ServerAnswer::Rejected { reason, .. } if is_overtaken(&reason) => Ok(Some(Pushed::Overtaken)),
            ServerAnswer::Rejected { reason, said } if reason.contains("declined") => {
                Err(self.refused(&reason, said.lines()))
            }
            // Anything else may be either, in other words: the program asks again.
            ServerAnswer::Rejected { reason, said } => {
                tracing::debug!(url = %self.address.url, reason, said = self.presentable(&said), "a push was rejected");
                Ok(None)
            }
            ServerAnswer::Down(reason) => Err(self.busy(reason)),
            ServerAnswer::Unclear => Ok(None),
        }
    }

    fn unreachable(&self, reason: String) -> GitError {
        GitError::Unreachable {
            url: self.address.url.clone(),
            reason,
        }
    }

    fn busy(&self, reason: String) -> GitError {
        GitError::Busy {
            url: self.address.url.clone(),
            reason,
        }
    }

    /// User and password for HTTP.
    fn login(&self) -> Option<(&str, &SecretString)> {
        match &self.access.credentials {
            Credentials::UserToken { user, token } => Some((user.as_str(), token)),
            Credentials::None => self
                .address
                .login
                .as_ref()
                .map(|(user, password)| (user.as_str(), password)),
            Credentials::SshKey { .. } => None,
        }
    }

    fn check(&self) -> Result<(), GitError> {
        let branch = format!("refs/heads/{}", self.access.branch);
        if self.access.branch.is_empty() || !git2::Reference::is_valid_name(&branch) {
            return Err(GitError::NotFound {
                what: format!("Branch {:?}", self.access.branch),
                url: self.address.url.clone(),
            });
        }
        let is_odd = self.address.url.is_empty()
            || self.address.url.starts_with('-')
            || self.address.url.contains(|c: char| c.is_control());
        if is_odd {
            return Err(GitError::NotFound {
                what: "The repository".to_owned(),
                url: self.address.url.clone(),
            });
        }
        Ok(())
    }

    async fn run(&self, arguments: &[&str], patience: Duration) -> Result<Output, GitError> {
        self.run_with(arguments, patience, &[]).await
    }

    /// The same with further variables.
    async fn run_with(
        &self,
        arguments: &[&str],
        patience: Duration,
        variables: &[(&str, &str)],
    ) -> Result<Output, GitError> {
        // A program that can't be started, or a file that can't be written for it, says nothing about the mirror, unless it isn't there.
        let machine_error = |error: std::io::Error| {
            let (url, reason) = (self.address.url.clone(), error.to_string());
            match self.mirror.try_exists() {
                Ok(false) => GitError::Mirror { url, reason },
                _ => GitError::Machine { url, reason },
            }
        };
        let resolved = self.resolved().await?;
        // The shell sets the limits and becomes the program; where it can't, there is a lower limit already.
        let mut command = Command::new("/bin/sh");
        let limited =
            format!("ulimit -d {MOST_MEMORY} 2>/dev/null; ulimit -f {LARGEST_FILE} 2>/dev/null; exec git \"$@\"");
        command
            .args(["-c", &limited, "git", "--git-dir"])
            .arg(self.mirror)
            .args(arguments)
            .current_dir(self.mirror)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        // The key's file lives as long as the program runs.
        let _key = self.surroundings(&mut command, resolved).map_err(machine_error)?;
        command.envs(variables.iter().copied());
        let running = tokio::time::timeout(patience, command.output());
        match running.await {
            Ok(Ok(output)) if output.status.code() == Some(NOT_FOUND) => Err(GitError::Unreachable {
                url: self.address.url.clone(),
                reason: "the program git was not found where Waybill runs; install it".to_owned(),
            }),
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(machine_error(error)),
            Err(_) => Err(GitError::Unreachable {
                url: self.address.url.clone(),
                reason: format!("no answer within {} s", patience.as_secs_f32()),
            }),
        }
    }

    /// What the server's name leads to, as curl is told it (`http.curloptResolve`, since Git 2.37; older ones ask for the name again).
    async fn resolved(&self) -> Result<Option<String>, GitError> {
        let Some(to) = self.address.destination() else {
            return Ok(None);
        };
        let found = guard::addresses(to.host)
            .await
            .map_err(|refused| GitError::Unreachable {
                url: self.address.url.clone(),
                reason: refused.to_string(),
            })?;
        let is_name = to.host.parse::<IpAddr>().is_err();
        let Some(port) = to.http_port.filter(|_| is_name && !found.is_empty()) else {
            return Ok(None);
        };
        let found: Vec<String> = found
            .iter()
            .map(|address| match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            })
            .collect();
        Ok(Some(format!("{}:{port}:{}", to.host, found.join(","))))
    }

    /// Everything git is to know, and nothing else.
    fn surroundings(&self, command: &mut Command, resolved: Option<String>) -> std::io::Result<Option<NamedTempFile>> {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let is_kept = name.starts_with("GIT_SSL_CA") || name == "GIT_EXEC_PATH";
            if (name.starts_with("GIT_") && !is_kept) || name.starts_with("SSH_") {
                command.env_remove(name.as_ref());
            }
        }
        command
            .env("HOME", self.mirror)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ALLOW_PROTOCOL", self.remote.protocols);
        let mut settings: Vec<(String, String)> = [
            ("core.askPass", ""),
            ("core.hooksPath", "/dev/null"),
            ("credential.helper", ""),
            ("safe.directory", "*"),
            ("core.bigFileThreshold", BIG_FILE),
            // Each thread takes memory for itself.
            ("pack.threads", "2"),
            // Less than a byte a second for half a minute is a dead connection.
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", "30"),
            // Git would go wherever a redirect leads, and take its credentials along.
            ("http.followRedirects", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
        let mut key_file = None;
        if let Credentials::SshKey {
            private_key,
            known_hosts,
        } = &self.access.credentials
        {
            let key = self.write_key(private_key)?;
            let known = self.write_known_hosts(known_hosts.as_deref())?;
            command.env(
                "GIT_SSH_COMMAND",
                ssh_command(key.path(), &known, known_hosts.is_some()),
            );
            command.env("GIT_SSH_VARIANT", "ssh");
            key_file = Some(key);
        }
        if key_file.is_none() {
            let known = self.write_known_hosts(None)?;
            command.env("GIT_SSH_COMMAND", ssh_command(Path::new("/dev/null"), &known, false));
            command.env("GIT_SSH_VARIANT", "ssh");
        }
        if let (Some((user, token)), Some(origin)) = (self.login(), self.address.origin()) {
            let basic = BASE64.encode(format!("{user}:{}", token.expose_secret()));
            settings.push((
                format!("http.{origin}/.extraHeader"),
                format!("Authorization: Basic {basic}"),
            ));
        }
        settings.extend(resolved.map(|resolved| ("http.curloptResolve".to_owned(), resolved)));
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.into_iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{index}"), key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        Ok(key_file)
    }

    fn write_key(&self, key: &SecretString) -> std::io::Result<NamedTempFile> {
        let directory = self.mirror.parent().unwrap_or(self.mirror);
        // tempfile makes files of mode 0600.
        let mut file = tempfile::Builder::new().prefix(".key-").tempfile_in(directory)?;
        file.write_all(key.expose_secret().trim_end().as_bytes())?;
        file.write_all(b"\n")?;
        file.flush()?;
        Ok(file)
    }

    /// Beside the mirror, so that a mirror made anew still knows its host.
    fn write_known_hosts(&self, given: Option<&str>) -> std::io::Result<PathBuf> {
        let Some(given) = given else {
            return Ok(self.mirror.with_extension("seen_hosts"));
        };
        let path = self.mirror.with_extension("known_hosts");
        let text = format!("{}\n", given.trim_end());
        if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            std::fs::write(&path, text)?;
        }
        Ok(path)
    }

    fn sha256(&self) -> GitError {
        GitError::Sha256 {
            url: self.address.url.clone(),
        }
    }

    /// What a failed program means. Where a server redirects, it is asked where to: the program doesn't say.
    async fn failed(&self, output: &Output) -> GitError {
        let error = self.failure(output);
        if !is_redirect(&String::from_utf8_lossy(&output.stderr)) {
            return error;
        }
        let Some(server) = self.server() else { return error };
        let url = self.address.url.clone();
        match server.moved().await {
            Some(Moved::To(to)) => GitError::Moved {
                url,
                to: self.presentable(&to),
            },
            Some(Moved::Elsewhere(to)) => {
                let what = format!(
                    "The repository (the server redirects to {}, which is no Git repository)",
                    self.presentable(&to)
                );
                GitError::NotFound { what, url }
            }
            None => error,
        }
    }

    /// Why a server lets nobody in, in words for people: the program's own are about a terminal that isn't there.
    fn refusal(&self, said: &str) -> String {
        let lower = said.to_ascii_lowercase();
        let is_of_http = self.address.origin().is_some();
        let is_plain = ["could not read", "authentication failed", "returned error: 40"]
            .iter()
            .any(|text| lower.contains(text));
        if !is_of_http || !is_plain {
            return self.presentable(said);
        }
        let why = match self.login() {
            None => "it asks for a sign-in, and there are no user and token",
            Some(_) if lower.contains("returned error: 403") => "user and token may not do this there",
            Some(_) => "it rejected user and token",
        };
        let remarks: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("remote:")).collect();
        match remarks.iter().all(|remark| remark.trim().is_empty()) {
            true => why.to_owned(),
            false => format!("{why} ({})", self.presentable(&remarks.join("\n"))),
        }
    }

    /// What a failed program means, by its words alone.
    fn failure(&self, output: &Output) -> GitError {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said
            .split_inclusive('\n')
            .filter(|line| packet(line).is_none())
            .collect();
        let lower = said.to_ascii_lowercase();
        let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
        let url = self.address.url.clone();
        let reason = self.presentable(&said);
        // Before the machine is blamed: these are the limits that the program was given. It names what it wanted at once.
        let limits = [
            "tried to allocate",
            "file too large",
            "died of signal 25",
            "file size limit exceeded",
        ];
        // What the other side says of its own memory and repository says nothing about this one.
        let mut here = lower.lines().filter(|line| !line.trim_start().starts_with("remote:"));
        if here.clone().any(|line| limits.iter().any(|text| line.contains(text))) {
            let reason = format!(
                "what it sends needs more than {} MiB of memory or {} GiB of disk to be received ({reason}); take large files out \
                 of the branch and its history, or pack the repository anew on its server with core.bigFileThreshold={BIG_FILE}",
                MOST_MEMORY >> 10,
                LARGEST_FILE >> 21
            );
            return GitError::TooLarge { url, reason };
        }
        if self.is_of_the_machine(&said) {
            return GitError::Machine { url, reason };
        }
        if has(&["cannot run ssh"]) {
            let reason = "the program ssh was not found where Waybill runs; install it".to_owned();
            return GitError::Unreachable { url, reason };
        }
        if has(&["' not allowed", "remote helper", "remote-helper"]) {
            let what = "The repository (write its address with https, http, ssh or file, or as a path)".to_owned();
            return GitError::NotFound { what, url };
        }
        if has(&["couldn't find remote ref", "could not find remote ref"]) {
            let what = format!("Branch {}", self.access.branch);
            return GitError::NotFound { what, url };
        }
        if has(&[
            "authentication failed",
            "could not read username",
            "could not read password",
            "returned error: 401",
            "returned error: 403",
            "permission denied",
            "access denied",
            "host key verification failed",
            "invalid format",
            "error in libcrypto",
        ]) {
            let reason = self.refusal(&said);
            return GitError::Unauthorized { url, reason };
        }
        if has(&["mismatched algorithms", "repository's hash algorithm"]) {
            return self.sha256();
        }
        for (status, what) in [
            ("429", "too many requests"),
            ("500", "an error of its own"),
            ("502", "no answer from behind its proxy"),
            ("503", "temporarily unavailable"),
            ("504", "no answer in time from behind its proxy"),
        ] {
            if has(&[&format!("returned error: {status}")]) {
                return self.busy(format!("answered with status {status} ({what})"));
            }
        }
        if is_redirect(&said) {
            let what = "The repository (the server redirects to another address: use that one)".to_owned();
            return GitError::NotFound { what, url };
        }
        if has(&[
            "returned error: 404",
            "not found",
            "does not appear to be a git repository",
            "does not exist",
            "could not be found",
            "no such file or directory",
        ]) {
            let what = "The repository".to_owned();
            return GitError::NotFound { what, url };
        }
        let is_broken = |line: &str| {
            let words = [
                "is corrupt",
                "object file",
                "bad object",
                "not a git repository",
                "unable to write file",
                ".lock'",
            ];
            words.iter().any(|words| line.contains(words))
        };
        if here.any(is_broken) {
            return GitError::Mirror { url, reason };
        }
        GitError::Unreachable { url, reason }
    }

    /// Whether the program failed by a fault of this machine. The other side's words are not this machine's, and those of ssh about a key
    /// sound the same as those about a file: the file's name the mirror.
    fn is_of_the_machine(&self, said: &str) -> bool {
        let mirror = self.mirror.to_string_lossy();
        let is_denied = |line: &str| line.to_ascii_lowercase().contains("permission denied");
        said.lines()
            .filter(|line| !line.trim_start().starts_with("remote:"))
            .filter(|line| !is_denied(line) || line.contains(&*mirror) || line.contains("unable to create"))
            .any(fault::is_of_the_machine)
    }

    /// One line, without secrets, not too long.
    fn presentable(&self, text: &str) -> String {
        let mut text = text
            .lines()
            .map(|line| line.trim().trim_start_matches("fatal: ").trim_start_matches("error: "))
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        let secrets = [
            match &self.access.credentials {
                Credentials::UserToken { token, .. } => Some(token),
                _ => None,
            },
            self.address.login.as_ref().map(|(_, password)| password),
        ];
        for secret in secrets.into_iter().flatten() {
            let secret = secret.expose_secret();
            if !secret.is_empty() {
                text = text.replace(secret, "***");
            }
        }
        let text = without_logins(&text);
        let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
        match text.trim_end_matches(['.', ';', ' ']) {
            "" => "it gave no reason".to_owned(),
            text => text.to_owned(),
        }
    }
}

/// Whether it is the branch that isn't there, as far as a fetch can tell.
pub(super) fn is_of_the_branch(error: &GitError) -> bool {
    matches!(error, GitError::NotFound { what, .. } if what.starts_with("Branch"))
}

/// Whether the program met a redirect, which it doesn't follow.
fn is_redirect(said: &str) -> bool {
    ["301", "302", "303", "307", "308"]
        .iter()
        .any(|status| said.contains(&format!("returned error: {status}")))
}

/// Whether a rejection says that somebody else moved the branch first, in the words of any server.
fn is_overtaken(reason: &str) -> bool {
    let lower = reason.to_ascii_lowercase();
    [
        "fetch first",
        "non-fast-forward",
        "needs force",
        "stale info",
        "failed to update ref",
        "cannot lock ref",
        "failed to lock",
        "unable to lock",
        "lock failure",
        "incorrect old value",
        "reference already exists",
        "remote ref updated",
    ]
    .iter()
    .any(|text| lower.contains(text))
}

/// What a line of `GIT_TRACE_PACKET` says: which way a packet went, and what is in it.
fn packet(line: &str) -> Option<(char, &str)> {
    let (_, traced) = line.split_once(" packet: ")?;
    let at = traced.find(['<', '>'])?;
    let text = traced.get(at + 1..)?.trim();
    Some((traced[at..].chars().next()?, text))
}

/// Whether a server's list of references was read to its end, by the packets that came in.
fn is_ended(trace: &str) -> bool {
    trace.lines().filter_map(packet).any(|packet| packet == ('<', "0000"))
}

/// Whether a server said that the names of its objects are SHA-256, by the packets that came in.
fn is_sha256(trace: &str) -> bool {
    let mut words = trace.lines().filter_map(packet).filter(|(way, _)| *way == '<');
    // A capability of its own in protocol version 2, and one among others before.
    words.any(|(_, text)| text.split([' ', '\0']).any(|word| word == "object-format=sha256"))
}

/// Whether the output of `git push --porcelain` says that the reference is where it was meant to be.
fn is_taken(porcelain: &[u8], destination: &str) -> bool {
    String::from_utf8_lossy(porcelain).lines().any(|line| {
        let mut fields = line.split('\t');
        let flag = fields.next();
        let reference = fields.next().unwrap_or_default();
        matches!(flag, Some(" " | "*" | "=")) && reference.ends_with(&format!(":{destination}"))
    })
}

/// The reason of a rejected reference in the output of `git push --porcelain`; `None` when it wasn't rejected.
fn rejection(porcelain: &str, destination: &str) -> Option<String> {
    porcelain.lines().find_map(|line| {
        let mut fields = line.strip_prefix("!\t")?.split('\t');
        let reference = fields.next()?;
        reference.ends_with(&format!(":{destination}")).then(|| {
            let summary = fields.next().unwrap_or_default();
            // "[remote rejected] (pre-receive hook declined)"
            match (summary.find('('), summary.rfind(')')) {
                (Some(from), Some(to)) if from < to => summary[from + 1..to].to_owned(),
                _ => summary.to_owned(),
            }
        })
    })
}

fn ssh_command(key: &Path, known_hosts: &Path, is_given: bool) -> String {
    let quoted = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"));
    // Within an -o option, ssh splits at blanks unless they stand in double quotes.
    let option = |name: &str, path: &Path| quoted(Path::new(&format!("{name}=\"{}\"", path.to_string_lossy())));
    let checking = if is_given { "yes" } else { "accept-new" };
    format!(
        "ssh -F /dev/null -i {} -o {} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking={checking} \
         -o BatchMode=yes -o ConnectTimeout=10 -o IdentitiesOnly=yes -o IdentityAgent=none -o ServerAliveInterval=15",
        quoted(key),
        option("UserKnownHostsFile", known_hosts),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str, credentials: Credentials) -> RepositoryAccess {
        RepositoryAccess {
            tenant: String::new(),
            url: url.to_owned(),
            branch: "main".to_owned(),
            credentials,
        }
    }

    fn remote() -> Remote {
        Remote {
            address: "https://git.example.com/x".to_owned(),
            protocols: "http:https",
        }
    }

    #[test]
    fn only_a_flush_ends_a_list() {
        let flush = "10:00:00.000000 pkt-line.c:80           packet:    ls-remote< 0000\n";
        let line = "10:00:00.000000 pkt-line.c:80           packet:          git< # service=git-upload-pack\n";
        assert!(is_ended(&format!("{line}{flush}")));
        let ours = flush.replace('<', ">");
        for not in ["", line, &ours, "fatal: 0000\n", "<html>packet: 0000"] {
            assert!(!is_ended(not), "{not}");
        }
    }

    fn failed(stderr: &str) -> Output {
        use std::os::unix::process::ExitStatusExt as _;
        Output {
            status: std::process::ExitStatus::from_raw(1 << 8),
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
        }
    }

    #[test]
    fn rejections_are_told_apart() {
        let access = access("https://git.example.com/x", Credentials::None);
        let remote = remote();
        let transport = Transport::new(&access, Path::new("/nowhere"), &remote, None);
        let judge = |summary: &str, stderr: &str| {
            let porcelain = format!("To https://git.example.com/x\n!\tabc:refs/heads/main\t{summary}\nDone\n");
            let reason = rejection(&porcelain, "refs/heads/main").unwrap();
            transport.judge(&reason, &failed(stderr))
        };
        for summary in [
            "[rejected] (fetch first)",
            "[rejected] (non-fast-forward)",
            "[remote rejected] (failed to update ref)",
            "[remote rejected] (cannot lock ref 'refs/heads/main': is at a but expected b)",
            "[remote rejected] (incorrect old value provided)",
        ] {
            assert_eq!(judge(summary, "").unwrap(), Pushed::Overtaken, "{summary}");
        }
        for summary in [
            "[remote rejected] (pre-receive hook declined)",
            "[remote rejected] (hook declined)",
            "[remote rejected] (protected branch hook declined)",
            "[remote rejected] (push declined due to repository rule violations)",
        ] {
            let error = judge(summary, "remote: GH006: Protected branch update failed\n").unwrap_err();
            assert!(matches!(&error, GitError::Refused { .. }), "{summary}: {error}");
            assert!(error.to_string().contains("GH006"), "{error}");
        }
        let lost = judge(
            "[remote failure] (remote failed to report status)",
            "fatal: the remote end hung up",
        );
        assert!(matches!(lost, Err(GitError::Unreachable { .. })));
        assert_eq!(
            rejection("To x\n*\tabc:refs/heads/main\t[new branch]\nDone\n", "refs/heads/main"),
            None
        );
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        let taken = |line: &str| is_taken(format!("To x\n{line}\nDone\n").as_bytes(), "refs/heads/main");
        assert!(taken(" \tabc:refs/heads/main\ta..b"));
        assert!(taken("*\tabc:refs/heads/main\t[new branch]"));
        assert!(taken("=\tabc:refs/heads/main\t[up to date]"));
        assert!(!taken("!\tabc:refs/heads/main\t[rejected] (fetch first)"));
        assert!(!taken(" \tabc:refs/heads/other\ta..b") && !taken(""));
    }

    #[test]
    fn failures_say_whose_they_are_and_keep_secrets() {
        let token = SecretString::from("hunter2".to_owned());
        let credentials = Credentials::UserToken {
            user: "bob".to_owned(),
            token,
        };
        let access = access("https://git.example.com/x", credentials);
        let remote = remote();
        let transport = Transport::new(&access, Path::new("/nowhere"), &remote, None);
        let failure = |stderr: &str| transport.failure(&failed(stderr));
        let error = failure("fatal: Authentication failed for 'https://bob:hunter2@git.example.com/x'\n");
        assert!(matches!(&error, GitError::Unauthorized { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert!(matches!(
            failure("remote: Repository not found.\n"),
            GitError::NotFound { .. }
        ));
        assert!(matches!(
            failure("fatal: couldn't find remote ref refs/heads/main"),
            GitError::NotFound { .. }
        ));
        assert!(matches!(
            failure("fatal: Could not resolve host: x"),
            GitError::Unreachable { .. }
        ));
        assert!(matches!(
            failure("The requested URL returned error: 503"),
            GitError::Busy { .. }
        ));
        assert!(matches!(
            failure("error: object file objects/ab is empty"),
            GitError::Mirror { .. }
        ));
        for machine in [
            "fatal: write error: No space left on device",
            "error: unable to create temporary file: Permission denied",
            "fatal: cannot open '/nowhere/objects/pack/p.idx': Permission denied",
            "error: unable to open /nowhere/packed-refs: Too many open files",
            "fatal: Out of memory, malloc failed",
            "fatal: cannot fork to run index-pack: Resource temporarily unavailable",
        ] {
            assert!(matches!(failure(machine), GitError::Machine { .. }), "{machine}");
        }
        let wanted = "fatal: Out of memory, malloc failed (tried to allocate 629145601 bytes)";
        assert!(matches!(failure(wanted), GitError::TooLarge { .. }));
        // The other side's disk is full, and its objects are broken; a key is refused.
        for theirs in [
            "remote: fatal: write error: No space left on device\nfatal: the remote end hung up unexpectedly",
            "remote: error: object file objects/ab is empty\nfatal: early EOF",
            "remote: fatal: Out of memory, malloc failed (tried to allocate 629145601 bytes)\nfatal: early EOF",
        ] {
            assert!(matches!(failure(theirs), GitError::Unreachable { .. }), "{theirs}");
        }
        assert!(matches!(
            failure("git@git.example.com: Permission denied (publickey)."),
            GitError::Unauthorized { .. }
        ));
    }
}
