//! Large repositories made in seconds, Git as other people use it, and when which commit came to a repository.

use crate::{
    Outcome,
    clock::now,
    world::{GIT_TOKEN, GIT_USER, tag},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{
    collections::HashMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often the branch is looked at.
const LOOK: Duration = Duration::from_micros(200);

/// Path of an environment's values file.
pub(crate) fn values_path(environment: &str) -> String {
    format!("environments/{environment}/values.yaml")
}

/// A values file: services with what they run (host and path of the image, build, digest).
pub(crate) fn values<'a>(services: impl Iterator<Item = (String, &'a str, usize, &'a str)>) -> String {
    let mut text =
        String::from("# What runs here. Waybill moves tags and digests; everything else is ours.\nservices:\n");
    for (name, image, build, digest) in services {
        let tag = tag(build);
        let _ = writeln!(
            text,
            "  {name}:\n    image:\n      repository: {image}\n      tag: {tag} # moved by Waybill\n      digest: {digest}\n    \
             replicas: 2\n    port: 8080\n    env:\n      LOG_LEVEL: info"
        );
    }
    text
}

/// Makes a bare repository whose branch `main` has these files, and before them `history` commits that each change one of
/// `others` further files.
pub(crate) fn create(path: &Path, files: &[(String, String)], others: usize, history: usize) -> Outcome<()> {
    git(
        path.parent().ok_or("a repository lies in a folder")?,
        &[
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            &path.display().to_string(),
        ],
    )?;
    let mut import = Command::new("git")
        .current_dir(path)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()?;
    let input = import.stdin.take().ok_or("no pipe to git fast-import")?;
    let mut input = std::io::BufWriter::new(input);
    let mut commit = |at: usize, message: &str, files: &mut dyn Iterator<Item = (String, String)>| -> Outcome<()> {
        let when = 1_750_000_000 + at * 60;
        write!(
            input,
            "commit refs/heads/main\ncommitter Bench <bench@example.com> {when} +0000\ndata {}\n{message}\n",
            message.len()
        )?;
        for (path, content) in files {
            write!(input, "M 100644 inline {path}\ndata {}\n{content}\n", content.len())?;
        }
        Ok(())
    };
    let other = |n: usize, at: usize| {
        let path = format!("services/{:03}/service-{n:05}/deployment.yaml", n % 200);
        let content = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: service-{n:05}\n  annotations:\n    changed: \"{at}\"\nspec:\n  replicas: {}\n",
            1 + n % 5
        );
        (path, content)
    };
    commit(0, "Begin", &mut (0..others).map(|n| other(n, 0)))?;
    for at in 1..history {
        let n = at * 7919 % others.max(1);
        commit(at, &format!("Change service {n}"), &mut std::iter::once(other(n, at)))?;
    }
    commit(history + 1, "Declare what runs where", &mut files.iter().cloned())?;
    input.flush()?;
    drop(input);
    if !import.wait()?.success() {
        return Err("git fast-import failed".into());
    }
    // As a Git host keeps it.
    git(path, &["repack", "-adq", "--write-bitmap-index"])?;
    Ok(())
}

/// Runs `git` with no settings but these, and gives what it prints.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> Outcome<String> {
    let output = command("git", directory).args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let shown = arguments.first().copied().unwrap_or_default();
    Err(format!("git {shown} failed: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// A program that calls `git` over HTTP: signed in from the first request on, as with a credential helper that knows.
fn command(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    let basic = BASE64.encode(format!("{GIT_USER}:{GIT_TOKEN}"));
    command
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "http.extraHeader")
        .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {basic}"))
        .env("GIT_CONFIG_KEY_1", "gc.auto")
        .env("GIT_CONFIG_VALUE_1", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Outsider")
            .env(format!("GIT_{role}_EMAIL"), "outsider@example.com");
    }
    command
}

/// Somebody else with a clone, who pushes over HTTP.
pub(crate) struct Outsider {
    clone: PathBuf,
    written: usize,
}

impl Outsider {
    /// Clones `url` to `clone`.
    pub(crate) fn new(url: &str, clone: PathBuf) -> Outcome<Self> {
        let into = clone.display().to_string();
        let parent = clone.parent().ok_or("a clone lies in a folder")?;
        // No work tree: what is timed is the push, and what isn't should not take long either.
        git(parent, &["clone", "--quiet", "--bare", url, &into])?;
        git(
            &clone,
            &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"],
        )?;
        Ok(Self { clone, written: 0 })
    }

    /// Makes a commit on the newest tip, ready to be pushed.
    pub(crate) fn prepare(&mut self) -> Outcome<String> {
        git(&self.clone, &["fetch", "--quiet", "origin", "main"])?;
        let tip = git(&self.clone, &["rev-parse", "FETCH_HEAD"])?.trim().to_owned();
        self.written += 1;
        let content = format!("{}\n", self.written);
        let blob = self.stored(&["hash-object", "-w", "--stdin"], &content)?;
        // A file at the root, by an index of its own.
        let index = self.clone.join("outsider-index");
        let run = |arguments: &[&str]| -> Outcome<String> {
            let output = command("git", &self.clone)
                .env("GIT_INDEX_FILE", &index)
                .args(arguments)
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
            }
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        run(&["read-tree", &tip])?;
        run(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("100644,{blob},OUTSIDER"),
        ])?;
        let tree = run(&["write-tree"])?;
        run(&["commit-tree", &tree, "-p", &tip, "-m", "By hand"])
    }

    fn stored(&self, arguments: &[&str], content: &str) -> Outcome<String> {
        let mut child = command("git", &self.clone)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(content.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Pushes a commit; false when somebody else was faster.
    pub(crate) fn push(&self, commit: &str) -> Outcome<bool> {
        let output = command("git", &self.clone)
            .args(["push", "--quiet", "origin", &format!("{commit}:refs/heads/main")])
            .output()?;
        Ok(output.status.success())
    }
}

/// The script people use: clones, edits, commits, pushes. Returns when it ended.
pub(crate) fn script(url: &str, directory: &Path, environment: &str, service: &str, digest: &str) -> Outcome<f64> {
    let file = values_path(environment);
    let text = format!(
        "set -e\n\
         git clone --quiet --depth 1 {url} work\n\
         cd work\n\
         sed -i '/^  {service}:$/,/digest:/ s|digest: .*|digest: {digest}|' {file}\n\
         git commit --quiet --all --message 'Promote {service}'\n\
         git push --quiet\n"
    );
    let output = command("bash", directory).args(["-c", &text]).output()?;
    let ended = now();
    std::fs::remove_dir_all(directory.join("work"))?;
    if !output.status.success() {
        return Err(format!("the script failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(ended)
}

/// A commit that came to the branch.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// When the branch had it.
    pub(crate) at: f64,
    pub(crate) commit: String,
    /// Its promotion, and the source of that; empty for commits of others.
    pub(crate) promotion: String,
    pub(crate) source: String,
    pub(crate) digest: String,
}

/// Watches the branch `main` of a bare repository.
pub(crate) struct Watch {
    path: PathBuf,
    base: String,
    seen: Arc<Mutex<Vec<(f64, String)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    /// Watches from now on.
    pub(crate) fn start(path: &Path) -> Outcome<Self> {
        let base = git(path, &["rev-parse", "refs/heads/main"])?.trim().to_owned();
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let file = path.join("refs/heads/main");
        let thread = std::thread::spawn({
            let (seen, stop, mut last) = (Arc::clone(&seen), Arc::clone(&stop), base.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    // The branch is a file as soon as it has moved; packed before, and not there for a moment never.
                    if let Ok(text) = std::fs::read_to_string(&file) {
                        let tip = text.trim();
                        if tip.len() >= 40 && tip != last {
                            last = tip.to_owned();
                            seen.lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push((now(), last.clone()));
                        }
                    }
                    std::thread::sleep(LOOK);
                }
            }
        });
        Ok(Self {
            path: path.to_owned(),
            base,
            seen,
            stop,
            thread: Some(thread),
        })
    }

    /// How often the branch moved.
    pub(crate) fn moves(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits for the branch to move beyond `moves`; when it did.
    pub(crate) async fn moved(&self, moves: usize, patience: Duration) -> Outcome<f64> {
        let deadline = now() + patience.as_secs_f64();
        loop {
            let seen = self
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(moves)
                .map(|(at, _)| *at);
            if let Some(at) = seen {
                return Ok(at);
            }
            if now() > deadline {
                return Err("the branch did not move in time".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// All commits that came since the start, oldest first.
    pub(crate) fn arrivals(&self) -> Outcome<Vec<Arrival>> {
        // The last look may have been a moment ago.
        std::thread::sleep(10 * LOOK);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((_, tip)) = seen.last() else {
            return Ok(Vec::new());
        };
        let trailer = |key: &str| format!("%(trailers:key={key},valueonly,separator=%x20)");
        let format = format!(
            "--format=%H%x09{}%x09{}%x09{}",
            trailer("Waybill-Promotion"),
            trailer("Waybill-Source"),
            trailer("Waybill-Digest")
        );
        let log = git(
            &self.path,
            &["log", "--reverse", &format, &format!("{}..{tip}", self.base)],
        )?;
        let times: HashMap<&str, f64> = seen.iter().map(|(at, commit)| (commit.as_str(), *at)).collect();
        let mut arrivals = Vec::new();
        let mut waiting = 0;
        for line in log.lines() {
            let mut fields = line.split('\t').map(|field| field.trim().to_owned());
            let mut field = || fields.next().unwrap_or_default();
            arrivals.push(Arrival {
                at: f64::NAN,
                commit: field(),
                promotion: field(),
                source: field(),
                digest: field(),
            });
            // Commits of one push come together: with the tip that was seen.
            let at = arrivals.last().and_then(|arrival| times.get(arrival.commit.as_str()));
            if let Some(at) = at {
                for arrival in &mut arrivals[waiting..] {
                    arrival.at = *at;
                }
                waiting = arrivals.len();
            }
        }
        Ok(arrivals)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
