//! Trying an Argo CD: reach it, sign in, and look at the Application of each environment on the cluster.

use crate::{
    ports::argocd::{ArgoCd, ArgoCdAccess, ArgoCdError, Inspected},
    service::{
        configure::test_connection::{Connected, Steps, add, failed, fine, unsure},
        reach::application,
    },
    store::ClusterRecord,
};
use contract::connection::Finding;
use domain::{
    environment::Project,
    plan::source::{AppSource, Committed, Follows, Readers, address, follows, other_branch, readers},
};
use futures::{StreamExt as _, stream};

/// Applications that are looked at at once.
const PARALLEL: usize = 8;
/// Applications that are looked at: one test is for a person to read.
const MOST: usize = 60;
const REACH: &str = "Reach Argo CD";
const TOKEN: &str = "Argo CD's token";

pub(crate) async fn look(
    argocd: &dyn ArgoCd,
    access: &ArgoCdAccess,
    record: &ClusterRecord,
    on: &Connected,
    steps: &mut Steps,
) {
    match argocd.check(access).await {
        Ok(checked) => {
            let words = match checked.version {
                Some(version) => format!("It is {version} at {}.", access.url),
                None => format!("It answers at {}, and does not tell its version.", access.url),
            };
            fine(steps, REACH, words);
            match checked.says_valid {
                true => fine(steps, TOKEN, "It is valid."),
                false => unsure(
                    steps,
                    TOKEN,
                    "Argo CD doesn't say whether it is valid. An application that can be read proves it.",
                ),
            }
        }
        Err(error) => {
            not_reached(&error, steps);
            return;
        }
    }
    if on.environments.is_empty() {
        let words = "No environment runs on this cluster yet, so there is no application to look at.";
        unsure(steps, "Applications", words);
    }
    let mut apps = Vec::new();
    for (project, environment) in on.environments.iter().take(MOST) {
        if let Some(app) = application(record, &project.name, &environment.name) {
            apps.push((project.clone(), project.values_path(&environment.key), app));
        }
    }
    let looks = stream::iter(apps).map(|(project, file, app)| async move {
        let found = argocd.inspect(access, &app).await;
        (project, file, app.name, found)
    });
    let mut looks = looks.buffered(PARALLEL);
    while let Some((project, file, name, found)) = looks.next().await {
        let what = format!("Application {name}");
        match found {
            Ok(found) => {
                let (finding, detail) = judge(&found, &project, &file, &name);
                add(steps, what, finding, detail);
            }
            Err(error) => failed(steps, what, missing(&error, record)),
        }
    }
    let more = on.environments.len().saturating_sub(MOST);
    if more > 0 {
        unsure(steps, "Applications", format!("{more} more were not looked at."));
    }
}

fn not_reached(error: &ArgoCdError, steps: &mut Steps) {
    match error {
        ArgoCdError::Unreachable { url, reason } => {
            let advice = if reason.contains("certificate") || reason.contains("UnknownIssuer") {
                "If its certificate is signed by an authority of your own, give that authority's certificate below Certificates."
            } else {
                "Check the address and the network."
            };
            failed(steps, REACH, format!("{url} could not be reached: {reason}. {advice}"));
        }
        ArgoCdError::Unauthorized { reason, .. } => {
            fine(steps, REACH, "It answers.");
            let words = format!("It was refused: {reason}. Make a new token in Argo CD and give it here.");
            failed(steps, TOKEN, words);
        }
        other => failed(steps, REACH, other.to_string()),
    }
}

fn missing(error: &ArgoCdError, record: &ClusterRecord) -> String {
    let template = record
        .cluster
        .argocd
        .as_ref()
        .map(|argocd| argocd.application_template.as_str())
        .unwrap_or_default();
    match error {
        ArgoCdError::NotFound { .. } => {
            format!("Argo CD has no application of this name. Create it, or correct the name template ({template}).")
        }
        ArgoCdError::Forbidden { reason, .. } => format!(
            "The token may not see it: {reason}. Check the name template ({template}) and Argo CD's project, and give the token \
             the rights applications get and sync on it."
        ),
        other => other.to_string(),
    }
}

/// Whether promotions of a project can go through the Application.
fn judge(found: &Inspected, project: &Project, file: &str, name: &str) -> (Finding, String) {
    let mut finding = Finding::Fine;
    let mut words: Vec<String> = Vec::new();
    let mut note = |worse: Finding, sentence: String| {
        finding = worst(finding, worse);
        words.push(sentence);
    };
    if found.app.deleting {
        note(Finding::Failed, "Argo CD is deleting it.".into());
    }
    let object = format!("{}/{name}", found.app.project);
    match found.may_sync {
        Some(true) => {}
        Some(false) if found.app.auto_sync => note(
            Finding::Unsure,
            format!(
                "The token may not sync it; Argo CD syncs it by itself. Give the token applications sync on {object} to be able to."
            ),
        ),
        Some(false) => note(
            Finding::Failed,
            format!("The token may see it, but not sync it. Give it the right applications sync on {object}."),
        ),
        None => note(
            Finding::Unsure,
            "Argo CD didn't say whether the token may sync it: that is known when it is tried.".into(),
        ),
    }
    let (worse, sentence) = source(&found.app.sources, project, file);
    note(worse, sentence);
    (finding, words.join(" "))
}

/// Whether what the Application deploys is what Waybill commits to. Servers have several names, so only what can't be the same is wrong.
fn source(sources: &[AppSource], project: &Project, file: &str) -> (Finding, String) {
    let files = [file.to_owned()];
    let committed = Committed {
        repository: &project.repository_url,
        branch: &project.branch,
        files: &files,
    };
    let (Readers::These(readers) | Readers::AnyOf(readers)) = readers(sources, committed) else {
        let theirs: Vec<&str> = sources.iter().map(|source| source.repository.as_str()).collect();
        let words = match theirs.as_slice() {
            [] => "It has no Git source.".to_owned(),
            theirs => format!(
                "It deploys {}, but Waybill commits to {}: what is promoted would never run. Point one at the other's repository.",
                theirs.join(" and "),
                project.repository_url
            ),
        };
        return (Finding::Failed, words);
    };
    if let Some(revision) = other_branch(sources, committed) {
        let words = format!(
            "It follows {revision}, but Waybill commits to branch {}: what is promoted would never run. Let both be the same.",
            project.branch
        );
        return (Finding::Failed, words);
    }
    let read: Vec<&AppSource> = readers.iter().filter_map(|at| sources.get(*at)).collect();
    let ours = address(&project.repository_url);
    if let Some(source) = read.iter().find(|source| address(&source.repository) != ours) {
        let words = format!(
            "It deploys {}, and Waybill commits to {}: make sure that both are the same repository.",
            source.repository, project.repository_url
        );
        return (Finding::Unsure, words);
    }
    if read
        .iter()
        .all(|source| follows(&source.revision, &project.branch) == Follows::Default)
    {
        let words = format!(
            "It follows the repository's default branch: make sure that this is {}.",
            project.branch
        );
        return (Finding::Unsure, words);
    }
    (
        Finding::Fine,
        format!("It deploys branch {} of the project's repository.", project.branch),
    )
}

fn worst(one: Finding, other: Finding) -> Finding {
    match (one, other) {
        (Finding::Failed, _) | (_, Finding::Failed) => Finding::Failed,
        (Finding::Unsure, _) | (_, Finding::Unsure) => Finding::Unsure,
        _ => Finding::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{ProjectId, WorkspaceId};

    fn found(url: &str, revision: &str) -> Finding {
        let project = Project {
            id: ProjectId(uuid::Uuid::nil()),
            workspace: WorkspaceId(uuid::Uuid::nil()),
            name: "shop".parse().unwrap(),
            repository_url: "https://git.example.com/team/deploy.git".into(),
            branch: "main".into(),
            path_template: "{environment}.yaml".into(),
            values_prefix: String::new(),
            commit_subject: None,
            author_address: None,
        };
        let sources = [AppSource {
            repository: url.into(),
            revision: revision.into(),
            ..AppSource::default()
        }];
        source(&sources, &project, "production.yaml").0
    }

    #[test]
    fn one_repository_has_many_addresses() {
        for url in [
            "https://git.example.com/team/deploy",
            "https://GIT.example.com/team/deploy.git/",
            "git@git.example.com:team/deploy.git",
            "ssh://git@git.example.com/team/deploy.git",
        ] {
            assert_eq!(found(url, "main"), Finding::Fine, "{url}");
        }
        let inner = "http://git.internal/team/deploy.git";
        assert_eq!(found(inner, "main"), Finding::Unsure);
        assert_eq!(found("https://git.example.com/team/other.git", "main"), Finding::Failed);
    }

    #[test]
    fn another_branch_is_wrong_and_the_default_one_is_asked_about() {
        let url = "https://git.example.com/team/deploy.git";
        assert_eq!(found(url, "refs/heads/main"), Finding::Fine);
        assert_eq!(found(url, "HEAD"), Finding::Unsure);
        assert_eq!(found(url, ""), Finding::Unsure);
        assert_eq!(found(url, "release"), Finding::Failed);
    }
}
