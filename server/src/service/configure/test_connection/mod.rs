//! *Test connection*: tries what is typed, or what is stored, and says exactly what is wrong. Saves nothing.
//!
//! What is typed is planned like a change (`apply/pages.rs`), and what would be stored is tried: so a test can't find well what saving
//! refuses. What is outside is asked with no transaction open, each part for as long as a person waits. What comes of it is steps;
//! a failure is an answer, not an error.

use contract::{
    connection::{ClusterDraft, ConnectionTest, Finding, RegistryDraft, RepositoryDraft, TestStep},
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
        sources,
    },
    store::{ClusterRecord, RegistryRecord, Tx},
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

/// What depends on a connection.
pub(crate) struct Connected {
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
    let registries = tx.registries(workspace.id).await?;
    drop(tx);
    let argocd = reach::argocd_access(services, &record)?;
    let registry = registries
        .iter()
        .find(|known| Some(known.registry.id) == record.cluster.registry);
    let registry = match registry {
        Some(known) => Some((reach::pull_access(services, known)?, known.registry.host.as_str())),
        None => None,
    };
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
    let of_registry = async {
        match &registry {
            Some((access, host)) => {
                let images: Vec<_> = (on.images.iter())
                    .filter(|(repository, _)| repository.registry() == *host)
                    .cloned()
                    .collect();
                registry::look(&*services.registry, access, host, &images, &mut registry_steps).await;
                if images.is_empty() {
                    let words = "No resource on this cluster takes its image from it, so no repository was read.";
                    unsure(&mut registry_steps, "Images", words);
                }
            }
            None => unsure(
                &mut registry_steps,
                "Registry",
                "The cluster names none, so none was tried.",
            ),
        }
    };
    let (argocd_ended, registry_ended) = tokio::join!(timeout(PATIENCE, of_argocd), timeout(PATIENCE, of_registry));
    in_time(&mut argocd_steps, argocd_ended);
    in_time(&mut registry_steps, registry_ended);
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

/// Tries a registry.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn test_registry(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &RegistryDraft,
    typed: &TypedSecrets,
) -> Result<ConnectionTest, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let name = if draft.was.is_empty() {
        draft.name.trim()
    } else {
        &draft.was
    };
    let registries = if draft.stored {
        tx.registries(workspace.id).await?
    } else {
        let planned = apply::plan_page(services, &mut *tx, caller, workspace, &Page::Registry(draft, typed)).await?;
        planned.registries()
    };
    let record = registries.iter().find(|record| record.registry.name.as_str() == name);
    let record = record.ok_or_else(|| not_found("registry", name))?;
    let host = record.registry.host.as_str();
    let here = in_registry(&mut *tx, caller, workspace, host).await?;
    let targets = copied_to(&mut *tx, caller, workspace, host).await?;
    drop(tx);
    let pull = reach::pull_access(services, record)?;
    let push = reach::push_access(services, record)?;
    let (mut steps, mut pushes) = (Vec::new(), Vec::new());
    let looked = registry::look(&*services.registry, &pull, host, &here.images, &mut steps);
    let pushed = registry::try_to_push(&*services.copier, push.as_ref(), &targets, &mut pushes);
    let (looked, pushed) = tokio::join!(timeout(PATIENCE, looked), timeout(PATIENCE, pushed));
    in_time(&mut steps, looked);
    in_time(&mut pushes, pushed);
    steps.append(&mut pushes);
    if here.images.is_empty() && push.is_none() {
        let words = "No resource takes its image from it, so no repository was read.";
        unsure(&mut steps, "Images", words);
    }
    if let Some(other) = whose_sign_in(&registries, record) {
        let words = format!(
            "Registry {other} has the same host, and its sign-in is the one that Waybill reads images with. Give both the same user."
        );
        unsure(&mut steps, "Whose sign-in", words);
    }
    // Whoever presses the button has reason to think that something is better now.
    services.try_again();
    for (_, environment) in &here.environments {
        observe::wake_waiting_in(services, environment).await?;
    }
    Ok(ConnectionTest {
        what: format!("Registry {name}"),
        steps,
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

/// The registry whose sign-in images are read with, where that is another one of the same host: the first by name.
fn whose_sign_in(registries: &[RegistryRecord], tried: &RegistryRecord) -> Option<Name> {
    let first = registries
        .iter()
        .map(|record| &record.registry)
        .filter(|other| other.host == tried.registry.host)
        .min_by(|one, other| one.name.as_str().cmp(other.name.as_str()))?;
    (first.name.as_str() < tried.registry.name.as_str()).then(|| first.name.clone())
}

/// What runs on a cluster, as far as the caller may know of it.
async fn on_cluster(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    record: &ClusterRecord,
) -> Result<Connected, AppError> {
    connected(tx, caller, workspace, |environment| {
        environment.cluster == record.cluster.id
    })
    .await
}

/// What takes its images from a registry, as far as the caller may know of it.
async fn in_registry(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    host: &str,
) -> Result<Connected, AppError> {
    let mut connected = connected(tx, caller, workspace, |_| true).await?;
    connected.images.retain(|(repository, _)| repository.registry() == host);
    Ok(connected)
}

/// The repositories of a registry that images are copied to, as far as the caller may know of them.
async fn copied_to(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    host: &str,
) -> Result<Vec<Repository>, AppError> {
    let clusters = tx.clusters(workspace.id).await?;
    let mut targets = Vec::new();
    for project in tx.projects(workspace.id).await? {
        if caller.role_in_project(workspace.id, project.project.id).is_none() {
            continue;
        }
        let environments = tx.environments(project.project.id).await?;
        let resources = tx.resources(project.project.id).await?;
        for target in sources::copy_targets(&environments, &clusters, &resources) {
            if target.registry() == host && !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    Ok(targets)
}

async fn connected(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    is_here: impl Fn(&Environment) -> bool,
) -> Result<Connected, AppError> {
    let mut on = Connected {
        environments: Vec::new(),
        images: Vec::new(),
    };
    for project in tx.projects(workspace.id).await? {
        if caller.role_in_project(workspace.id, project.project.id).is_none() {
            continue;
        }
        let environments = tx.environments(project.project.id).await?;
        let here: Vec<Environment> = environments.into_iter().filter(&is_here).collect();
        for resource in tx.resources(project.project.id).await? {
            let Source::Image { repository, .. } = resource.source else {
                continue;
            };
            let is_known = on.images.iter().any(|(known, _)| *known == repository);
            if !is_known && here.iter().any(|environment| environment.id == resource.environment) {
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
