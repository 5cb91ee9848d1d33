//! The pages *Registries*, *Clusters* and *Git*: what a workspace is connected to, for its administrators.
//!
//! Saving is applying a document of one thing ([`mod@super::apply`]); what secrets there are is told, and none of them is.

use super::trusted_roots;
use crate::{
    service::{
        configure::apply::{self, Page, PlannedChange, Sign, TypedSecrets},
        context::Services,
        reach::{Caller, SealedCredentials, credentials_context},
        statements,
    },
    store::{ClusterRecord, ProjectRecord, RegistryRecord},
};
use contract::{
    connection::{
        ClusterDraft, ClusterView, ClustersView, EnvironmentDraft, PassedOver, RegistriesView, RegistryDraft,
        RegistryView, RepositoriesView, RepositoryDraft, RepositoryView, SigningKeyView,
    },
    error::AppError,
};
use domain::{
    copy::{Attachments, Mirror},
    environment::ArgoCdSettings,
    id::ClusterId,
    name::Name,
};
use secrecy::ExposeSecret as _;
use std::collections::HashMap;

/// The clusters of a workspace.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn clusters(services: &Services, caller: &Caller, workspace: &str) -> Result<ClustersView, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let mut on: HashMap<ClusterId, Vec<String>> = HashMap::new();
    for project in tx.projects(workspace.id).await? {
        if caller.role_in_project(workspace.id, project.project.id).is_none() {
            continue;
        }
        for environment in tx.environments(project.project.id).await? {
            let name = format!("{}/{}", project.project.name, environment.name);
            on.entry(environment.cluster).or_default().push(name);
        }
    }
    let registries = tx.registries(workspace.id).await?;
    let clusters = tx.clusters(workspace.id).await?.into_iter();
    Ok(ClustersView {
        workspace: workspace.name.clone(),
        clusters: clusters
            .map(|record| {
                let environments = on.remove(&record.cluster.id).unwrap_or_default();
                cluster_view(record, environments, &registries)
            })
            .collect(),
        registries: registries.into_iter().map(|record| record.registry.name).collect(),
    })
}

/// The registries of a workspace.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn registries(services: &Services, caller: &Caller, workspace: &str) -> Result<RegistriesView, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let mut unread: HashMap<String, Vec<PassedOver>> = HashMap::new();
    for (repository, known) in tx.unread_tags(workspace.id).await? {
        let passed = PassedOver {
            image: format!("{repository}:{}", known.tag),
            why: known.why.unwrap_or_default(),
        };
        unread.entry(repository.registry().to_owned()).or_default().push(passed);
    }
    let clusters = tx.clusters(workspace.id).await?;
    let mut mirrors: Vec<(String, Mirror)> = (clusters.iter())
        .filter_map(|record| {
            Some((
                format!("cluster {}", record.cluster.name),
                record.cluster.mirror.clone()?,
            ))
        })
        .collect();
    for project in tx.projects(workspace.id).await? {
        if caller.role_in_project(workspace.id, project.project.id).is_none() {
            continue;
        }
        for environment in tx.environments(project.project.id).await? {
            if let Some(mirror) = environment.mirror {
                mirrors.push((format!("{}/{}", project.project.name, environment.name), mirror));
            }
        }
    }
    let signing_keys = tx.signing_keys().await?.into_iter();
    let registries = tx.registries(workspace.id).await?.into_iter();
    Ok(RegistriesView {
        workspace: workspace.name.clone(),
        trusted_roots: trusted_roots::trusted_roots(&mut *tx, workspace.id).await?,
        signing_keys: signing_keys
            .map(|key| {
                let name = statements::shortened(&key.fingerprint);
                SigningKeyView {
                    address: format!("{}/.well-known/waybill/keys/{name}.pub", services.public_url),
                    name,
                    public_key: key.public_key,
                    retired_at: key.retired_at,
                }
            })
            .collect(),
        registries: registries
            .map(|record| {
                let here = record.registry.id;
                let pull = clusters.iter().filter(|cluster| cluster.cluster.registry == Some(here));
                let copied = mirrors
                    .iter()
                    .filter(|(_, mirror)| mirror.registry() == record.registry.host);
                RegistryView {
                    clusters: pull.map(|cluster| cluster.cluster.name.clone()).collect(),
                    mirrors: copied
                        .map(|(of, mirror)| format!("{of} → {}", mirror.repository))
                        .collect(),
                    // Once, with the registry as which they are read.
                    passed_over: unread.remove(&record.registry.host).unwrap_or_default(),
                    has_pull_password: record.pull_password.is_some(),
                    has_push_password: record.push_password.is_some(),
                    draft: registry_draft(record),
                }
            })
            .collect(),
    })
}

/// Adds or changes a registry; says what is so now.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn save_registry(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &RegistryDraft,
    typed: &TypedSecrets,
) -> Result<String, AppError> {
    let changes = apply::carry_out_page(services, caller, workspace, &Page::Registry(draft, typed)).await?;
    Ok(said(&changes))
}

/// Adds or changes a cluster; says what is so now.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn save_cluster(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &ClusterDraft,
    typed: &TypedSecrets,
) -> Result<String, AppError> {
    let changes = apply::carry_out_page(services, caller, workspace, &Page::Cluster(draft, typed)).await?;
    Ok(said(&changes))
}

/// The projects of a workspace that the caller administers, with their repositories.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn repositories(services: &Services, caller: &Caller, workspace: &str) -> Result<RepositoriesView, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let clusters: Vec<(ClusterId, Name)> = (tx.clusters(workspace.id).await?.into_iter())
        .map(|record| (record.cluster.id, record.cluster.name))
        .collect();
    let mut projects = Vec::new();
    for record in tx.projects(workspace.id).await? {
        if caller.check_administers(&record.project).is_err() {
            continue;
        }
        let environments = tx.environments(record.project.id).await?.into_iter();
        let environments = environments.filter_map(|environment| {
            let cluster = clusters.iter().find(|(id, _)| *id == environment.cluster)?;
            Some((environment.name, cluster.1.clone()))
        });
        projects.push(repository_view(services, record, environments.collect()));
    }
    Ok(RepositoriesView {
        workspace: workspace.name.clone(),
        projects,
        clusters: clusters.into_iter().map(|(_, name)| name).collect(),
    })
}

/// Adds a project, or changes the repository of one; says what is so now.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn save_repository(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &RepositoryDraft,
    typed: &TypedSecrets,
) -> Result<String, AppError> {
    let changes = apply::carry_out_page(services, caller, workspace, &Page::Repository(draft, typed)).await?;
    Ok(said(&changes))
}

/// Adds an environment to a project, behind the others; says what is so now.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn add_environment(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &EnvironmentDraft,
) -> Result<String, AppError> {
    let changes = apply::carry_out_page(services, caller, workspace, &Page::Environment(draft)).await?;
    Ok(said(&changes))
}

fn repository_view(services: &Services, record: ProjectRecord, environments: Vec<(Name, Name)>) -> RepositoryView {
    let project = record.project;
    let credentials = apply::open(services, &credentials_context(project.id), record.credentials.as_ref());
    let credentials = credentials.and_then(|json| serde_json::from_str(json.expose_secret()).ok());
    let (sign_in, user, known_hosts) = match credentials {
        Some(SealedCredentials::UserToken { user, .. }) => ("token", user, None),
        Some(SealedCredentials::SshKey { known_hosts, .. }) => ("key", String::new(), known_hosts),
        None => ("none", String::new(), None),
    };
    // A field that is left out here is emptied the next time somebody saves the form.
    let draft = RepositoryDraft {
        was: project.name.to_string(),
        name: project.name.to_string(),
        url: project.repository_url,
        branch: project.branch,
        path_template: project.path_template,
        values_prefix: project.values_prefix,
        commit_subject: project.commit_subject.unwrap_or_default(),
        author_address: project.author_address.unwrap_or_default(),
        sign_in: sign_in.into(),
        user,
        known_hosts: known_hosts.unwrap_or_default(),
        stored: false,
    };
    RepositoryView {
        draft,
        has_secret: record.credentials.is_some(),
        environments,
        problem: record.problem,
    }
}

fn cluster_view(record: ClusterRecord, environments: Vec<String>, registries: &[RegistryRecord]) -> ClusterView {
    let cluster = record.cluster;
    let (argocd_url, application, argocd_project, namespace, keep_syncs) = match cluster.argocd {
        Some(ArgoCdSettings {
            url,
            application_template,
            project,
            namespace,
            may_end_sync,
        }) => (url, application_template, project, namespace, !may_end_sync),
        None => (String::new(), String::new(), None, None, false),
    };
    let registry = registries
        .iter()
        .find(|known| Some(known.registry.id) == cluster.registry);
    let (mirror, attachments) = match cluster.mirror {
        Some(mirror) => (mirror.repository, mirror.attachments),
        None => (String::new(), Attachments::All),
    };
    // A field that is left out here is emptied the next time somebody saves the form.
    let draft = ClusterDraft {
        was: cluster.name.to_string(),
        name: cluster.name.to_string(),
        argocd_url,
        argocd_ca: record.argocd_ca.unwrap_or_default(),
        application,
        argocd_project: argocd_project.unwrap_or_default(),
        namespace: namespace.unwrap_or_default(),
        keep_syncs,
        registry: registry
            .map(|known| known.registry.name.to_string())
            .unwrap_or_default(),
        mirror,
        attachments,
        platforms: cluster.platforms.join(" "),
        stored: false,
    };
    ClusterView {
        draft,
        has_token: record.argocd_token.is_some(),
        environments,
    }
}

fn registry_draft(record: RegistryRecord) -> RegistryDraft {
    let registry = record.registry;
    // A field that is left out here is emptied the next time somebody saves the form.
    RegistryDraft {
        was: registry.name.to_string(),
        name: registry.name.to_string(),
        host: registry.host,
        plain_http: registry.plain_http,
        ca: record.ca.unwrap_or_default(),
        pull_user: record.pull_user.unwrap_or_default(),
        anonymous: false,
        push_user: record.push_user.unwrap_or_default(),
        no_push: false,
        stored: false,
    }
}

/// What is so now, in sentences.
fn said(changes: &[PlannedChange]) -> String {
    if changes.is_empty() {
        return "It was stored like this already; nothing is different.".into();
    }
    let sentence = |change: &PlannedChange| {
        let what = capital(&change.what);
        match (change.sign, what.split_once(": ")) {
            (Sign::Create, _) => format!("{what} is added."),
            (Sign::Remove, _) => format!("{what} is removed."),
            (Sign::Change, Some((what, how))) => format!("{what} is changed: {how}. Waybill connects anew."),
            (Sign::Change, None) => format!("{what} is changed."),
        }
    };
    changes.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
