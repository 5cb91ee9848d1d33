//! Two registries, the images at the source, and the target as each case wants it before each run.

use crate::{
    Outcome,
    case::{Before, Case, Series},
    distance::Distance,
    image::{self, Image},
    ours,
    run::{Requests, Run, measured},
    tool::Tool,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use testbed::{OciRegistry, RegistryOptions};
use tokio::process::Command;

/// Where everything is copied to.
const TARGET: &str = "prod/app";
/// How long a registry may take to log its last request.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Everything that runs are made with.
pub(crate) struct Scene {
    // Before its folder: values are dropped in this order.
    source: OciRegistry,
    images: BTreeMap<&'static str, Image>,
    client: reqwest::Client,
    directory: TempDir,
}

impl Scene {
    /// Pushes the images of the cases, and prepares what their targets hold before.
    pub(crate) async fn set(cases: &[&Case]) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::create_dir_all(directory.path().join("home"))?;
        let mut scene = Self {
            source: OciRegistry::start(RegistryOptions::new(directory.path().join("source"))).await?,
            images: BTreeMap::new(),
            client: reqwest::Client::new(),
            directory,
        };
        for case in cases {
            scene.push(case.image).await?;
            let (image, to) = match case.before {
                Before::Nothing => continue,
                Before::Holds(image) => (image, TARGET),
                Before::Source => (case.image, case.image),
            };
            scene.push(image).await?;
            let held = OciRegistry::start(RegistryOptions::new(scene.before(case))).await?;
            let [from, to] =
                [(&scene.source, image), (&held, to)].map(|(registry, path)| named(&registry.host(), path));
            ours::copy(&from, &to, &scene.pushed(image)?.root).await?;
        }
        Ok(scene)
    }

    async fn push(&mut self, repository: &'static str) -> Outcome<()> {
        if !self.images.contains_key(repository) {
            let pushed = image::push(&self.source, repository).await?;
            self.images.insert(repository, pushed);
        }
        Ok(())
    }

    fn pushed(&self, repository: &str) -> Outcome<&Image> {
        self.images
            .get(repository)
            .ok_or_else(|| format!("{repository} was not pushed").into())
    }

    /// What a case copies.
    pub(crate) fn image(&self, case: &Case) -> Outcome<&Image> {
        self.pushed(case.image)
    }

    /// Where the registry lies that a case's target begins as.
    fn before(&self, case: &Case) -> PathBuf {
        self.directory.path().join(format!("before-{}", case.letter))
    }

    /// One run of one tool.
    pub(crate) async fn run(&self, case: &Case, series: &Series, tool: &Tool) -> Outcome<Run> {
        let image = self.image(case)?;
        let fresh = self.directory.path().join("target");
        self.refresh(case, &fresh).await?;
        let target = OciRegistry::start(RegistryOptions::new(&fresh)).await?;
        let source = match case.before {
            Before::Source => &target,
            Before::Nothing | Before::Holds(_) => &self.source,
        };
        let mut hosts = [source.host(), target.host()];
        let mut distances = Vec::new();
        if let Some(delay) = series.delay {
            let to_target = Distance::to(target.port(), delay).await?;
            hosts = [to_target.host(), to_target.host()];
            distances.push(to_target);
            if case.before != Before::Source {
                let to_source = Distance::to(source.port(), delay).await?;
                hosts[0] = to_source.host();
                distances.push(to_source);
            }
        }
        let [from, to] = [named(&hosts[0], case.image), named(&hosts[1], TARGET)];
        let logged = [self.source.log().len(), target.log().len()];

        let times = self.directory.path().join("times");
        let home = self.directory.path().join("home");
        let mut command = tool.command(&from, &to, &image.root, &times, &home);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let began = Instant::now();
        let ended = command.output().await?;
        let seconds = began.elapsed().as_secs_f64();
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            return Err(format!("{} failed: {said}", tool.name).into());
        }
        let (work, memory) = measured(&std::fs::read_to_string(&times)?).ok_or("`time` wrote something else")?;
        tokio::time::sleep(LAST_WORDS).await;
        let asked = [&self.source, &target].map(OciRegistry::log);
        let [at_source, at_target] = [0, 1].map(|n| Requests::of(asked[n].get(logged[n]..).unwrap_or_default()));

        self.check(&target, image, tool).await?;
        let mut arrived = 0;
        for (tag, digest) in &image.referrers {
            let is_there = target.digest(TARGET, digest).await?.is_some();
            arrived += usize::from(is_there && self.lists(&target, tag, digest).await?);
        }
        let signature = match &image.signature {
            Some((tag, digest)) => Some(target.digest(TARGET, tag).await?.as_ref() == Some(digest)),
            None => None,
        };
        Ok(Run {
            seconds,
            work,
            memory,
            at_source,
            at_target,
            referrers: (arrived, image.referrers.len()),
            signature,
        })
    }

    /// A target that nobody has copied to, on a disk that has nothing else to write.
    async fn refresh(&self, case: &Case, fresh: &Path) -> Outcome<()> {
        if fresh.exists() {
            std::fs::remove_dir_all(fresh)?;
        }
        if case.before == Before::Nothing {
            std::fs::create_dir_all(fresh)?;
        } else {
            succeed(Command::new("cp").arg("-r").arg(self.before(case)).arg(fresh)).await?;
        }
        succeed(&mut Command::new("sync")).await
    }

    /// Fails unless all of the image is at the target.
    async fn check(&self, target: &OciRegistry, image: &Image, tool: &Tool) -> Outcome<()> {
        for manifest in &image.manifests {
            if target.digest(TARGET, manifest).await?.as_ref() != Some(manifest) {
                return Err(format!("{} did not copy the manifest {manifest}", tool.name).into());
            }
        }
        for blob in &image.blobs {
            let url = format!("{}/v2/{TARGET}/blobs/{blob}", target.base_url());
            if !self.client.head(url).send().await?.status().is_success() {
                return Err(format!("{} did not copy the blob {blob}", tool.name).into());
            }
        }
        Ok(())
    }

    /// Whether the list under a tag has this entry.
    async fn lists(&self, target: &OciRegistry, tag: &str, digest: &str) -> Outcome<bool> {
        let url = format!("{}/v2/{TARGET}/manifests/{tag}", target.base_url());
        let accept = "application/vnd.oci.image.index.v1+json";
        let answer = self.client.get(url).header("accept", accept).send().await?;
        Ok(answer.status().is_success() && answer.text().await?.contains(digest))
    }
}

fn named(host: &str, path: &str) -> String {
    format!("{host}/{path}")
}

async fn succeed(command: &mut Command) -> Outcome<()> {
    let ended = command.status().await?;
    match ended.success() {
        true => Ok(()),
        false => Err(format!("{:?} failed: {ended}", command.as_std().get_program()).into()),
    }
}
