//! The pages *Clusters* and *Git*: what a workspace is connected to, for its administrators.
//!
//! Saving is applying a document of one thing ([`super::apply`]); what secrets there are is told, and none of them is.

use super::{
    Caller, Services,
    apply::{
        pages::{Page, TypedSecrets},
        plan::{Change, Sign},
    },
    connection::{SealedCredentials, credentials_context},
    place::not_found,
};
use crate::store::{ClusterRecord, ProjectRecord};
use app::{
    api::connection::{
        ClusterDraft, ClusterView, ClustersView, EnvironmentDraft, RepositoriesView, RepositoryDraft, RepositoryView,
    },
    error::AppError,
};
use domain::{event::Happened, id::ClusterId, name::Name};
use secrecy::ExposeSecret as _;
use std::collections::HashMap;

impl Services {
    /// The clusters of a workspace.
    ///
    /// # Errors
    /// When the caller isn't an administrator there.
    pub async fn clusters(&self, caller: &Caller, workspace: &str) -> Result<ClustersView, AppError> {
        let workspace = caller.administered(workspace)?;
        let mut tx = self.store.read().await?;
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
        let clusters = tx.clusters(workspace.id).await?.into_iter();
        Ok(ClustersView {
            workspace: workspace.name.clone(),
            clusters: clusters
                .map(|record| {
                    let environments = on.remove(&record.cluster.id).unwrap_or_default();
                    cluster_view(record, environments)
                })
                .collect(),
        })
    }

    /// Adds or changes a cluster; says what is so now.
    ///
    /// # Errors
    /// When the caller isn't an administrator there; all that is wrong with the draft, by field.
    pub async fn save_cluster(
        &self,
        caller: &Caller,
        workspace: &str,
        draft: &ClusterDraft,
        typed: &TypedSecrets,
    ) -> Result<String, AppError> {
        let changes = self
            .carry_out_page(caller, workspace, &Page::Cluster(draft, typed))
            .await?;
        Ok(said(&changes))
    }

    /// Takes a cluster away that no environment runs on.
    ///
    /// # Errors
    /// When the caller isn't an administrator there, there is no such cluster, or it is used.
    pub async fn remove_cluster(&self, caller: &Caller, workspace: &str, cluster: &str) -> Result<(), AppError> {
        let (mut tx, caller, workspace) = self.administer(caller, workspace).await?;
        let mut all = tx.clusters(workspace.id).await?.into_iter();
        let record = all
            .find(|record| record.cluster.name.as_str() == cluster)
            .ok_or_else(|| not_found("cluster", cluster))?;
        let (mut used, mut is_used_unseen) = (Vec::new(), false);
        for project in tx.projects(workspace.id).await? {
            let environments = tx.environments(project.project.id).await?.into_iter();
            let here = environments.filter(|e| e.cluster == record.cluster.id);
            let mut here = here.map(|e| format!("{}/{}", project.project.name, e.name));
            match caller.role_in_project(workspace.id, project.project.id) {
                Some(_) => used.extend(here),
                None => is_used_unseen |= here.next().is_some(),
            }
        }
        if is_used_unseen {
            used.push("something that you may not see".to_owned());
        }
        if !used.is_empty() {
            return Err(AppError::Conflict(format!(
                "Cluster {cluster} stays: {} run{} on it. Move them to another cluster with waybill apply first.",
                used.join(", "),
                if used.len() == 1 { "s" } else { "" }
            )));
        }
        tx.delete_cluster(record.cluster.id).await?;
        let change = Change {
            sign: Sign::Remove,
            what: format!("cluster {cluster}"),
        };
        let happened = Happened::Applied {
            changes: vec![change.to_string()],
        };
        self.tell(&mut *tx, &caller, workspace.id, happened).await?;
        tx.commit().await?;
        self.wrote();
        self.connections_changed();
        Ok(())
    }

    /// The projects of a workspace that the caller administers, with their repositories.
    ///
    /// # Errors
    /// When the caller isn't an administrator there.
    pub async fn repositories(&self, caller: &Caller, workspace: &str) -> Result<RepositoriesView, AppError> {
        let workspace = caller.administered(workspace)?;
        let mut tx = self.store.read().await?;
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
            projects.push(self.repository_view(record, environments.collect()));
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
        &self,
        caller: &Caller,
        workspace: &str,
        draft: &RepositoryDraft,
        typed: &TypedSecrets,
    ) -> Result<String, AppError> {
        let changes = self
            .carry_out_page(caller, workspace, &Page::Repository(draft, typed))
            .await?;
        Ok(said(&changes))
    }

    /// Adds an environment to a project, behind the others; says what is so now.
    ///
    /// # Errors
    /// When the caller isn't an administrator there; all that is wrong with the draft, by field.
    pub async fn add_environment(
        &self,
        caller: &Caller,
        workspace: &str,
        draft: &EnvironmentDraft,
    ) -> Result<String, AppError> {
        let changes = self
            .carry_out_page(caller, workspace, &Page::Environment(draft))
            .await?;
        Ok(said(&changes))
    }

    fn repository_view(&self, record: ProjectRecord, environments: Vec<(Name, Name)>) -> RepositoryView {
        let project = record.project;
        let mut draft = RepositoryDraft {
            was: project.name.to_string(),
            name: project.name.to_string(),
            url: project.repository_url,
            branch: project.branch,
            path_template: project.path_template,
            values_prefix: project.values_prefix,
            sign_in: "none".into(),
            ..RepositoryDraft::default()
        };
        let credentials = self.open(&credentials_context(project.id), record.credentials.as_ref());
        match credentials.and_then(|json| serde_json::from_str(json.expose_secret()).ok()) {
            Some(SealedCredentials::UserToken { user, .. }) => {
                draft.sign_in = "token".into();
                draft.user = user;
            }
            Some(SealedCredentials::SshKey { known_hosts, .. }) => {
                draft.sign_in = "key".into();
                draft.known_hosts = known_hosts.unwrap_or_default();
            }
            None => {}
        }
        RepositoryView {
            draft,
            has_secret: record.credentials.is_some(),
            environments,
            problem: record.problem,
        }
    }
}

fn cluster_view(record: ClusterRecord, environments: Vec<String>) -> ClusterView {
    let cluster = record.cluster;
    let mut draft = ClusterDraft {
        was: cluster.name.to_string(),
        name: cluster.name.to_string(),
        registry: cluster.registry,
        plain_http: cluster.registry_plain_http,
        registry_user: record.registry_user.unwrap_or_default(),
        argocd_ca: record.argocd_ca.unwrap_or_default(),
        ..ClusterDraft::default()
    };
    if let Some(argocd) = cluster.argocd {
        draft.argocd_url = argocd.url;
        draft.application = argocd.application_template;
        draft.argocd_project = argocd.project.unwrap_or_default();
        draft.namespace = argocd.namespace.unwrap_or_default();
    }
    ClusterView {
        draft,
        has_token: record.argocd_token.is_some(),
        has_password: record.registry_password.is_some(),
        environments,
    }
}

/// What is so now, in sentences.
fn said(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "It was stored like this already; nothing is different.".into();
    }
    let sentence = |change: &Change| {
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
