//! What Git wants: the revisions of the sources and the Deployments rendered at them.

use serde_json::{Value, json};

use crate::{
    app::{Application, Source},
    git::{GitError, is_full_sha},
    manifest::{self, Deployment},
    world::Shared,
};

/// The outcome of one look at Git.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// One per source. The unresolved target where it could not be resolved, so not always a commit.
    pub(crate) revisions: Vec<String>,
    /// The Deployments, or the text of the ComparisonError.
    pub(crate) manifests: Result<Vec<Deployment>, String>,
}

/// Resolves the sources and renders them. `wanted` overrides the target revisions, in the order of the sources; an empty
/// one overrides nothing.
pub(crate) async fn load(shared: &Shared, app: &Application, sources: &[Source], wanted: &[String]) -> Target {
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
    let manifests = match failure {
        Some(failure) => Err(failure),
        None => render(shared, app, sources, &revisions).await,
    };
    Target { revisions, manifests }
}

/// The target while manifests cannot be made: nothing is resolved.
pub(crate) fn broken(sources: &[Source], message: &str) -> Target {
    let revisions = sources.iter().map(|source| source.target_revision.clone()).collect();
    Target {
        revisions,
        manifests: Err(load_failure(0, sources.len(), message)),
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
) -> Result<Vec<Deployment>, String> {
    let mut out = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        if source.path.is_empty() && !source.reference.is_empty() {
            continue;
        }
        let fail = |detail: &str| load_failure(index, sources.len(), detail);
        let helm = source.rest.get("helm").cloned().unwrap_or_else(|| json!({}));
        // The last values file wins in Helm; the stand-in reads that one.
        let named = helm["valueFiles"]
            .as_array()
            .and_then(|files| files.last())
            .and_then(Value::as_str);
        let (at, file) = locate(index, source, sources, named);
        let (Some(source_of_values), Some(revision)) = (sources.get(at), revisions.get(at)) else {
            continue;
        };
        let yaml = match shared.repos.read(&source_of_values.repo_url, revision, &file).await {
            Ok(Some(yaml)) => yaml,
            Ok(None) if named.is_none() || helm["ignoreMissingValueFiles"] == json!(true) => String::new(),
            Ok(None) => {
                return Err(fail(&format!(
                    "failed to execute helm template command: Error: open {file}: no such file or directory"
                )));
            }
            Err(error @ GitError::Unresolved(_)) if is_full_sha(revision) => {
                return Err(fail(&format!("failed to checkout revision {revision}: {error}")));
            }
            Err(error) => return Err(fail(&error.to_string())),
        };
        let parameters = helm["parameters"].as_array().cloned().unwrap_or_default();
        let prefix = app.values_prefix();
        let rendered = manifest::render(&yaml, prefix.as_deref(), &parameters, &app.spec.destination.namespace)
            .map_err(|error| fail(&format!("failed to execute helm template command: {error}")))?;
        out.extend(rendered);
    }
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

fn normal(base: &str, path: &str) -> String {
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
