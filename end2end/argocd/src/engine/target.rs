//! What Git wants: the revisions of the sources and the objects rendered at them.
//!
//! A source with Helm values, or with a `values.yaml` in its path, is a chart: `manifest::values` makes its services, and
//! what lies under `templates` beside them is rendered as far as it is plain. Any other source is a directory of YAML files.

use super::cache;
use crate::{
    app::{Application, Source},
    git::{GitError, is_full_sha},
    manifest::{Manifest, plain, values},
    world::Shared,
};
use serde_json::{Value, json};

/// What gRPC says while nobody listens at the repo-server.
pub(crate) const REPO_SERVER_DOWN: &str = "connection error: desc = \"transport: Error while dialing: dial tcp 10.96.72.11:8081: connect: connection refused\"";

/// The outcome of one look at Git.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// One per source. The unresolved target where it could not be resolved, so not always a commit.
    pub(crate) revisions: Vec<String>,
    /// The objects, or the text of the ComparisonError.
    pub(crate) manifests: Result<Vec<Manifest>, String>,
    /// What they were rendered from beside the revisions; nothing, when they were not.
    pub(super) of: Option<String>,
}

/// Resolves the sources and renders them. `wanted` overrides the target revisions, in the order of the sources; an empty
/// one overrides nothing. `before` is what the cache may know.
pub(crate) async fn load(
    shared: &Shared,
    app: &Application,
    sources: &[Source],
    wanted: &[String],
    before: Option<&Target>,
) -> Target {
    if shared.world().faults.repo_server_down {
        let revisions = sources.iter().map(|source| source.target_revision.clone()).collect();
        let failed = load_failure(0, sources.len(), "").replace("Unknown desc = ", "Unavailable desc = ");
        return Target {
            revisions,
            manifests: Err(format!("{failed}{REPO_SERVER_DOWN}")),
            of: None,
        };
    }
    let mut revisions = Vec::new();
    let mut failure = None;
    for (index, source) in sources.iter().enumerate() {
        let asked = wanted
            .get(index)
            .filter(|revision| !revision.is_empty())
            .unwrap_or(&source.target_revision);
        match shared.repos.resolve(&source.repo_url, asked).await {
            Ok(sha) => revisions.push(sha),
            Err(error) => {
                revisions.push(asked.clone());
                failure = Some(load_failure(index, sources.len(), &error.to_string()));
            }
        }
    }
    if failure.is_none()
        && let Some(before) = before
        && let Some(cached) = cache::reuse(shared, app, sources, &revisions, before).await
    {
        return cached;
    }
    let manifests = match failure {
        Some(failure) => Err(failure),
        None => render(shared, app, sources, &revisions).await,
    };
    Target {
        revisions,
        manifests,
        of: Some(cache::fingerprint(app, sources)),
    }
}

/// The target while manifests cannot be made: nothing is resolved.
pub(crate) fn broken(sources: &[Source], message: &str) -> Target {
    let revisions = sources.iter().map(|source| source.target_revision.clone()).collect();
    Target {
        revisions,
        manifests: Err(load_failure(0, sources.len(), message)),
        of: None,
    }
}

fn load_failure(index: usize, count: usize, detail: &str) -> String {
    format!(
        "Failed to load target state: failed to generate manifest for source {} of {count}: rpc error: code = Unknown desc = {detail}",
        index + 1
    )
}

async fn render(
    shared: &Shared,
    app: &Application,
    sources: &[Source],
    revisions: &[String],
) -> Result<Vec<Manifest>, String> {
    let mut out = Vec::new();
    for (index, (source, revision)) in sources.iter().zip(revisions).enumerate() {
        if source.path.is_empty() && !source.reference.is_empty() {
            continue;
        }
        let rendered = render_source(shared, app, (index, source, revision), sources, revisions).await;
        out.extend(rendered.map_err(|detail| load_failure(index, sources.len(), &detail))?);
    }
    Ok(out)
}

async fn render_source(
    shared: &Shared,
    app: &Application,
    (index, source, revision): (usize, &Source, &str),
    sources: &[Source],
    revisions: &[String],
) -> Result<Vec<Manifest>, String> {
    let namespace = &app.spec.destination.namespace;
    let helm = source.rest.get("helm").cloned().unwrap_or_else(|| json!({}));
    // The last values file wins in Helm; the stand-in reads that one.
    let named = helm["valueFiles"]
        .as_array()
        .and_then(|files| files.last())
        .and_then(Value::as_str);
    let (at, file) = locate(index, source, sources, named);
    let (Some(source_of_values), Some(revision_of_values)) = (sources.get(at), revisions.get(at)) else {
        return Ok(Vec::new());
    };
    let failed = |error: GitError, revision: &str| match error {
        error @ GitError::Unresolved(_) if is_full_sha(revision) => {
            format!("failed to checkout revision {revision}: {error}")
        }
        error => error.to_string(),
    };
    let repos = &shared.repos;
    let yaml = repos
        .read(&source_of_values.repo_url, revision_of_values, &file)
        .await
        .map_err(|error| failed(error, revision_of_values))?;
    let folder = async |path: &str, recurse: bool| {
        let files = repos.folder(&source.repo_url, revision, path, recurse).await;
        files.map_err(|error| failed(error, revision))
    };
    let yaml = match yaml {
        Some(yaml) => yaml,
        None if named.is_none() && !source.rest.contains_key("helm") => {
            let recurse = source
                .rest
                .get("directory")
                .is_some_and(|directory| directory["recurse"] == true);
            let files = folder(&normal("", &source.path), recurse).await?;
            return plain::render(&files, &Value::Null, namespace);
        }
        None if named.is_none() || helm["ignoreMissingValueFiles"] == json!(true) => String::new(),
        None => {
            return Err(format!(
                "failed to execute helm template command: Error: open {file}: no such file or directory"
            ));
        }
    };
    let parameters = helm["parameters"].as_array().cloned().unwrap_or_default();
    let helm_failed = |error: String| format!("failed to execute helm template command: {error}");
    let values = values::read(&yaml, &parameters).map_err(helm_failed)?;
    let mut out = values::render(&values, app.values_prefix().as_deref(), namespace).map_err(helm_failed)?;
    let templates = folder(&normal(&source.path, "templates"), true).await?;
    out.extend(plain::render(&templates, &values, namespace).map_err(helm_failed)?);
    Ok(out)
}

/// Which source holds a values file, and its path from the root of that repository.
fn locate(index: usize, source: &Source, sources: &[Source], file: Option<&str>) -> (usize, String) {
    let Some(file) = file else {
        return (index, normal(&source.path, "values.yaml"));
    };
    if let Some((name, path)) = file.strip_prefix('$').and_then(|rest| rest.split_once('/')) {
        let holder = sources.iter().position(|source| source.reference == name);
        return (holder.unwrap_or(index), normal("", path));
    }
    match file.strip_prefix('/') {
        Some(absolute) => (index, normal("", absolute)),
        None => (index, normal(&source.path, file)),
    }
}

/// A path from the root of the repository, without `.` and `..`.
pub(super) fn normal(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
