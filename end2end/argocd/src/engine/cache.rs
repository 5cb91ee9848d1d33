//! When manifests are taken from the cache instead of being rendered again.
//!
//! Argo CD keeps what it rendered for a revision. With the annotation `argocd.argoproj.io/manifest-generate-paths` it
//! also keeps it for a later revision that changed nothing under those paths: the Application is then Synced at a commit
//! that it never rendered. A hard refresh asks for everything anew.

use super::Target;
use crate::{
    app::{Application, Source},
    git::is_full_sha,
    options::glob,
    world::Shared,
};

/// Paths of a source whose changes call for new manifests, separated by `;`: relative to the source, `/` is the root of
/// the repository.
pub(crate) const GENERATE_PATHS: &str = "argocd.argoproj.io/manifest-generate-paths";

/// The manifests of before, when they are good for these revisions too.
pub(super) async fn reuse(
    shared: &Shared,
    app: &Application,
    sources: &[Source],
    revisions: &[String],
    before: &Target,
) -> Option<Target> {
    let rendered = before.manifests.is_ok() && before.of.as_deref() == Some(fingerprint(app, sources).as_str());
    if !rendered || before.revisions.len() != revisions.len() {
        return None;
    }
    for ((source, old), new) in sources.iter().zip(&before.revisions).zip(revisions) {
        if old != new && !unaffected(shared, app, source, old, new).await {
            return None;
        }
    }
    Some(Target {
        revisions: revisions.to_vec(),
        ..before.clone()
    })
}

/// What manifests depend on beside the revision.
pub(super) fn fingerprint(app: &Application, sources: &[Source]) -> String {
    let parts = serde_json::json!([sources, app.values_prefix(), app.spec.destination]);
    parts.to_string()
}

async fn unaffected(shared: &Shared, app: &Application, source: &Source, old: &str, new: &str) -> bool {
    let Some(paths) = app.metadata.annotations.get(GENERATE_PATHS) else {
        return false;
    };
    if paths.is_empty() || !is_full_sha(old) || !is_full_sha(new) {
        return false;
    }
    match shared.repos.changed(&source.repo_url, old, new).await {
        Ok(files) => !touches(paths, &source.path, &files),
        // It cannot be told, so it is rendered.
        Err(_) => false,
    }
}

/// Whether a changed file lies under one of the paths.
pub(crate) fn touches(paths: &str, source_path: &str, files: &[String]) -> bool {
    let wanted: Vec<String> = paths
        .split(';')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .map(|path| match path.strip_prefix('/') {
            Some(absolute) => super::target::normal("", absolute),
            None => super::target::normal(source_path, path),
        })
        .collect();
    files.iter().any(|file| {
        wanted.iter().any(|path| {
            let below = file
                .strip_prefix(path.as_str())
                .is_some_and(|rest| rest.starts_with('/'));
            path.is_empty() || file == path || below || (path.contains(['*', '?']) && glob(path, file))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::touches;

    #[test]
    fn paths_are_relative_to_the_source() {
        let changed = |paths: &str, file: &str| touches(paths, "charts/web", &[file.to_owned()]);
        assert!(changed(".", "charts/web/templates/a.yaml"));
        assert!(!changed(".", "charts/website/a.yaml"));
        assert!(!changed(".", "environments/staging/values.yaml"));
        assert!(changed(".;/environments/staging", "environments/staging/values.yaml"));
        assert!(changed("../shared", "charts/shared/a.yaml"));
        assert!(changed(
            "/environments/*/values.yaml",
            "environments/staging/values.yaml"
        ));
        assert!(changed("/", "anything"));
    }
}
