//! *Test connection*: tries what is typed, or what is stored, and says exactly what is wrong. Saves nothing.
//!
//! What is typed is planned like a change (`apply/pages.rs`), and what would be stored is tried: so a test can't find well what saving
//! refuses. What is outside is asked with no transaction open, each part for as long as a person waits. What comes of it is steps;
//! a failure is an answer, not an error.

use contract::{
    connection::{ClusterDraft, ConnectionTest, Finding, RepositoryDraft, TestStep},
    error::AppError,
};

mod argocd;
mod git;
mod registry;

use crate::{
    service::{
        configure::apply::{self, Page, TypedSecrets},
        context::Services,
        observe,
        reach::{self, Caller, not_found},
    },
    store::{ClusterRecord, Tx},
};
use domain::{
    artifact::{Digest, Repository},
    environment::{Environment, Project, Workspace},
    name::Name,
    resource::Source,
};
use std::time::Duration;
use tokio::time::{error::Elapsed, timeout};

/// What a person waits for one of the things that are tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// The steps of a test, as they are found.
pub(crate) type Steps = Vec<TestStep>;

pub(crate) fn fine(steps: &mut Steps, what: impl Into<String>, detail: impl Into<String>) {
    add(steps, what, Finding::Fine, detail);
}

pub(crate) fn unsure(steps: &mut Steps, what: impl Into<String>, detail: impl Into<String>) {
    add(steps, what, Finding::Unsure, detail);
}

pub(crate) fn failed(steps: &mut Steps, what: impl Into<String>, detail: impl Into<String>) {
    add(steps, what, Finding::Failed, detail);
}

pub(crate) fn add(steps: &mut Steps, what: impl Into<String>, finding: Finding, detail: impl Into<String>) {
    steps.push(TestStep {
        what: what.into(),
        finding,
        detail: detail.into(),
    });
}

/// Says that time is up, when it is; what was found until then stays.
fn in_time(steps: &mut Steps, looked: Result<(), Elapsed>) {
    if looked.is_err() {
        let why = format!(
            "The test was ended after {} s; what isn't listed above was not looked at. Try again, or look at why it is slow.",
            PATIENCE.as_secs()
        );
        failed(steps, "Time", why);
    }
}

/// What runs on a cluster.
pub(crate) struct OnCluster {
    /// Each environment with its project.
    environments: Vec<(Project, Environment)>,
    /// Image repositories that its resources take images from, with one that is known to be there.
    images: Vec<(Repository, Option<Digest>)>,
}

/// Tries a cluster's Argo CD and registry.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn test_cluster(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &ClusterDraft,
    typed: &TypedSecrets,
) -> Result<ConnectionTest, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let name = if draft.was.is_empty() {
        draft.name.trim()
    } else {
        &draft.was
    };
    let record = if draft.stored {
        let mut all = tx.clusters(workspace.id).await?.into_iter();
        all.find(|record| record.cluster.name.as_str() == name)
    } else {
        let planned = apply::plan_page(services, &mut *tx, caller, workspace, &Page::Cluster(draft, typed)).await?;
        planned.cluster(name).cloned()
    };
    let record = record.ok_or_else(|| not_found("cluster", name))?;
    let on = on_cluster(&mut *tx, caller, workspace, &record).await?;
    let sign_in_of = whose_sign_in(&tx.clusters(workspace.id).await?, &record);
    drop(tx);
    let argocd = reach::argocd_access(services, &record)?;
    let registry = reach::cluster_registry_access(services, &record)?;
    let mut argocd_steps = Vec::new();
    let mut registry_steps = Vec::new();
    let of_argocd = async {
        match &argocd {
            Some(access) => argocd::look(&*services.argocd, access, &record, &on, &mut argocd_steps).await,
            None => unsure(
                &mut argocd_steps,
                "Argo CD",
                "The cluster has none: a promotion ends at the push.",
            ),
        }
    };
    let of_registry = registry::look(&*services.registry, &registry, &record, &on, &mut registry_steps);
    let (argocd_ended, registry_ended) = tokio::join!(timeout(PATIENCE, of_argocd), timeout(PATIENCE, of_registry));
    in_time(&mut argocd_steps, argocd_ended);
    in_time(&mut registry_steps, registry_ended);
    if let Some(other) = sign_in_of {
        let words = format!(
            "Cluster {other} names the same registry, and its sign-in is the one that Waybill reads images with. Give both the same user."
        );
        unsure(&mut registry_steps, "Whose sign-in", words);
    }
    // Whoever presses the button has reason to think that something is better now.
    services.try_again();
    for (_, environment) in &on.environments {
        observe::wake_waiting_in(services, environment).await?;
    }
    argocd_steps.append(&mut registry_steps);
    Ok(ConnectionTest {
        what: format!("Cluster {name}"),
        steps: argocd_steps,
    })
}

/// Tries a project's repository.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn test_repository(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &RepositoryDraft,
    typed: &TypedSecrets,
) -> Result<ConnectionTest, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let name = if draft.was.is_empty() {
        draft.name.trim()
    } else {
        &draft.was
    };
    let found = if draft.stored {
        let mut all = tx.projects(workspace.id).await?.into_iter();
        match all.find(|record| record.project.name.as_str() == name) {
            Some(record) => {
                caller.check_administers(&record.project)?;
                let environments = tx.environments(record.project.id).await?;
                Some((record, environments))
            }
            None => None,
        }
    } else {
        let page = Page::Repository(draft, typed);
        let planned = apply::plan_page(services, &mut *tx, caller, workspace, &page).await?;
        planned
            .project(name)
            .map(|(record, environments)| (record.clone(), environments.to_vec()))
    };
    drop(tx);
    let (record, environments) = found.ok_or_else(|| not_found("project", name))?;
    let access = reach::repository_access(services, &record)?;
    let mut steps = Vec::new();
    let look = git::look(&*services.git, &access, &record.project, &environments, &mut steps);
    let ended = timeout(PATIENCE, look).await;
    in_time(&mut steps, ended);
    Ok(ConnectionTest {
        what: format!("Repository of {name}"),
        steps,
    })
}

/// The cluster whose sign-in images are read with, where that is another one of the same registry: the first by name.
fn whose_sign_in(stored: &[ClusterRecord], tried: &ClusterRecord) -> Option<Name> {
    let first = stored
        .iter()
        .map(|record| &record.cluster)
        .filter(|other| !other.registry.is_empty() && other.registry == tried.cluster.registry)
        .filter(|other| other.id != tried.cluster.id)
        .min_by(|one, other| one.name.as_str().cmp(other.name.as_str()))?;
    (first.name.as_str() < tried.cluster.name.as_str()).then(|| first.name.clone())
}

/// What runs on a cluster, as far as the caller may know of it.
async fn on_cluster(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    record: &ClusterRecord,
) -> Result<OnCluster, AppError> {
    let mut on = OnCluster {
        environments: Vec::new(),
        images: Vec::new(),
    };
    for project in tx.projects(workspace.id).await? {
        if caller.role_in_project(workspace.id, project.project.id).is_none() {
            continue;
        }
        let environments = tx.environments(project.project.id).await?;
        let here: Vec<Environment> = environments
            .into_iter()
            .filter(|environment| environment.cluster == record.cluster.id)
            .collect();
        for resource in tx.resources(project.project.id).await? {
            let Source::Image { repository, .. } = resource.source else {
                continue;
            };
            let is_here = here.iter().any(|environment| environment.id == resource.environment)
                && repository.registry() == record.cluster.registry;
            if is_here && !on.images.iter().any(|(known, _)| *known == repository) {
                let held = resource.desired.filter(|image| image.repository == repository);
                on.images.push((repository, held.map(|image| image.digest)));
            }
        }
        on.environments.extend(
            here.into_iter()
                .map(|environment| (project.project.clone(), environment)),
        );
    }
    Ok(on)
}
