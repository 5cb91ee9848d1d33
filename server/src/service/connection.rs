//! From what is stored to how something is reached: secrets are unsealed here and nowhere else.

use super::{Services, internal, notification::draft::Target};
use crate::{
    adapters::{
        argocd::{AppRef, ArgoCdAccess},
        git::{Credentials, RepositoryAccess},
        registry::RegistryAccess,
    },
    store::{Channel, ClusterRecord, ProjectRecord},
};
use app::error::AppError;
use domain::{
    artifact::Repository,
    id::{ChannelId, ClusterId, ProjectId},
    name::Name,
    outside,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// A project's credentials as they are sealed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SealedCredentials {
    /// User and token, over HTTPS.
    UserToken {
        /// The user.
        user: String,
        /// The token.
        token: String,
    },
    /// A key, over SSH.
    SshKey {
        /// The private key.
        private_key: String,
        /// Lines for `known_hosts`.
        known_hosts: Option<String>,
    },
}

/// What a project's credentials are sealed with, so that they open in no other row.
#[must_use]
pub fn credentials_context(project: ProjectId) -> String {
    format!("project/{project}/credentials")
}

/// What a cluster's Argo CD token is sealed with.
#[must_use]
pub fn argocd_token_context(cluster: ClusterId) -> String {
    format!("cluster/{cluster}/argocd-token")
}

/// What a cluster's registry password is sealed with.
#[must_use]
pub fn registry_password_context(cluster: ClusterId) -> String {
    format!("cluster/{cluster}/registry-password")
}

/// What a channel's target is sealed with.
#[must_use]
pub fn channel_context(channel: ChannelId) -> String {
    format!("channel/{channel}/target")
}

impl Services {
    fn unseal(&self, context: &str, sealed: &str) -> Result<SecretString, AppError> {
        self.sealer.open(context, sealed).map_err(|e| internal(&e))
    }

    /// How a project's repository is reached.
    pub(crate) fn repository_access(&self, record: &ProjectRecord) -> Result<RepositoryAccess, AppError> {
        let credentials = match &record.credentials {
            None => Credentials::None,
            Some(sealed) => {
                let json = self.unseal(&credentials_context(record.project.id), sealed)?;
                let credentials = serde_json::from_str(json.expose_secret()).map_err(|e| internal(&e))?;
                match credentials {
                    SealedCredentials::UserToken { user, token } => Credentials::UserToken {
                        user,
                        token: token.into(),
                    },
                    SealedCredentials::SshKey {
                        private_key,
                        known_hosts,
                    } => Credentials::SshKey {
                        private_key: private_key.into(),
                        known_hosts,
                    },
                }
            }
        };
        Ok(RepositoryAccess {
            tenant: record.project.workspace.to_string(),
            url: record.project.repository_url.clone(),
            branch: record.project.branch.clone(),
            credentials,
        })
    }

    /// How a repository of images is reached: with the credentials of the cluster that pulls from its registry, if one does.
    pub(crate) fn registry_access(
        &self,
        clusters: &[ClusterRecord],
        repository: &Repository,
    ) -> Result<RegistryAccess, AppError> {
        // Anybody who may create a resource names a registry.
        let registry = repository.registry();
        if outside::is_forbidden(registry) {
            return Err(AppError::Conflict(format!("{registry}: {}", outside::WHY)));
        }
        let Some(record) = clusters
            .iter()
            .find(|record| record.cluster.registry == repository.registry())
        else {
            return Ok(RegistryAccess::default());
        };
        self.access_of(record)
    }

    /// How a cluster's registry is reached.
    pub(crate) fn access_of(&self, record: &ClusterRecord) -> Result<RegistryAccess, AppError> {
        let credentials = match (&record.registry_user, &record.registry_password) {
            (Some(user), Some(sealed)) => Some((
                user.clone(),
                self.unseal(&registry_password_context(record.cluster.id), sealed)?,
            )),
            _ => None,
        };
        Ok(RegistryAccess {
            plain_http: record.cluster.registry_plain_http,
            credentials,
        })
    }

    /// Where a channel for notifications leads.
    pub(crate) fn channel_target(&self, channel: &Channel) -> Result<Target, AppError> {
        let json = self.unseal(&channel_context(channel.id), &channel.target)?;
        serde_json::from_str(json.expose_secret()).map_err(|e| internal(&e))
    }

    /// How a cluster's Argo CD is reached; `None` when it has none.
    pub(crate) fn argocd_access(&self, record: &ClusterRecord) -> Result<Option<ArgoCdAccess>, AppError> {
        let Some(settings) = &record.cluster.argocd else {
            return Ok(None);
        };
        let token = match &record.argocd_token {
            Some(sealed) => self.unseal(&argocd_token_context(record.cluster.id), sealed)?,
            None => SecretString::default(),
        };
        Ok(Some(ArgoCdAccess {
            url: settings.url.clone(),
            token,
            ca: record.argocd_ca.clone(),
        }))
    }
}

/// The Application of an environment; `None` when its cluster has no Argo CD.
#[must_use]
pub fn application(record: &ClusterRecord, project: &Name, environment: &Name) -> Option<AppRef> {
    let settings = record.cluster.argocd.as_ref()?;
    Some(AppRef {
        name: settings.application(project, environment),
        project: settings.application_project(project, environment),
        namespace: settings.namespace.clone(),
    })
}
