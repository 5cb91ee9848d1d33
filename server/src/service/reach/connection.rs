//! From what is stored to how something is reached: secrets are unsealed here and nowhere else.

use crate::{
    ports::{
        argocd::{AppRef, ArgoCdAccess},
        git::{Credentials, RepositoryAccess},
        registry::RegistryAccess,
        source_history::SourceAccess,
    },
    service::{
        context::{Services, internal},
        reach::place::ProjectPlace,
    },
    store::{ClusterRecord, ProjectRecord, RegistryRecord, SealedColumn, SourceHostRecord},
};
use contract::error::AppError;
use domain::{
    artifact::Repository,
    environment::Environment,
    id::{ChannelId, ClusterId, ProjectId, RegistryId, SourceHostId},
    name::Name,
    outside,
    source::SourceRepository,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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

/// What a registry's password for pulling is sealed with. The words are those of the releases in which it was a cluster's: what they
/// sealed opens still, because such a registry has the cluster's id.
#[must_use]
pub fn pull_password_context(registry: RegistryId) -> String {
    format!("cluster/{registry}/registry-password")
}

/// What a registry's password for pushing is sealed with.
#[must_use]
pub fn push_password_context(registry: RegistryId) -> String {
    format!("registry/{registry}/push-password")
}

/// What a channel's target is sealed with.
#[must_use]
pub fn channel_context(channel: ChannelId) -> String {
    format!("channel/{channel}/target")
}

/// What the token for a host of source repositories is sealed with.
#[must_use]
pub fn source_token_context(host: SourceHostId) -> String {
    format!("source-host/{host}/token")
}

/// What the private half of a signing key is sealed with, by its fingerprint.
#[must_use]
pub fn signing_key_context(fingerprint: &str) -> String {
    format!("signing-key/{fingerprint}/private-key")
}

/// What the values of a column are sealed with, by the row's id as it is stored.
#[must_use]
pub fn sealed_context(column: SealedColumn, of: &str) -> String {
    // An id that isn't one opens nothing.
    let id = Uuid::parse_str(of).unwrap_or_default();
    match column {
        SealedColumn::SigningKey => signing_key_context(of),
        SealedColumn::ProjectCredentials => credentials_context(ProjectId(id)),
        SealedColumn::ArgoCdToken => argocd_token_context(ClusterId(id)),
        SealedColumn::PullPassword => pull_password_context(RegistryId(id)),
        SealedColumn::PushPassword => push_password_context(RegistryId(id)),
        SealedColumn::ChannelTarget => channel_context(ChannelId(id)),
        SealedColumn::SourceToken => source_token_context(SourceHostId(id)),
    }
}

pub(crate) fn unseal(services: &Services, context: &str, sealed: &str) -> Result<SecretString, AppError> {
    services.sealer.open(context, sealed).map_err(|e| internal(&e))
}

/// How a project's repository is reached.
pub(crate) fn repository_access(services: &Services, record: &ProjectRecord) -> Result<RepositoryAccess, AppError> {
    let credentials = match &record.credentials {
        None => Credentials::None,
        Some(sealed) => {
            let json = unseal(services, &credentials_context(record.project.id), sealed)?;
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

/// How a repository of images is read: as the registry of its host says, if the workspace has one; of several the first by name.
pub(crate) fn registry_access(
    services: &Services,
    registries: &[RegistryRecord],
    repository: &Repository,
) -> Result<RegistryAccess, AppError> {
    // Anybody who may create a resource names a registry.
    let host = repository.registry();
    if outside::is_forbidden(host) {
        return Err(AppError::Conflict(format!("{host}: {}", outside::WHY)));
    }
    match registries.iter().find(|record| record.registry.host == host) {
        Some(record) => pull_access(services, record),
        None => Ok(RegistryAccess::default()),
    }
}

/// How a registry is read.
pub(crate) fn pull_access(services: &Services, record: &RegistryRecord) -> Result<RegistryAccess, AppError> {
    let context = pull_password_context(record.registry.id);
    let login = (record.pull_user.as_ref(), record.pull_password.as_ref());
    access_as(services, record, &context, login)
}

/// How images are pushed to a registry; `None` when nobody may.
pub(crate) fn push_access(services: &Services, record: &RegistryRecord) -> Result<Option<RegistryAccess>, AppError> {
    let login = (record.push_user.as_ref(), record.push_password.as_ref());
    if login.0.is_none() {
        return Ok(None);
    }
    let context = push_password_context(record.registry.id);
    access_as(services, record, &context, login).map(Some)
}

/// How images are pushed to a repository for an environment: by the registry that its cluster pulls from, or else the first by name of that
/// host that has a user for it; `None` when there is none.
pub(crate) fn push_access_to(
    services: &Services,
    place: &ProjectPlace,
    environment: &Environment,
    repository: &Repository,
) -> Result<Option<RegistryAccess>, AppError> {
    let host = repository.registry();
    if outside::is_forbidden(host) {
        return Err(AppError::Conflict(format!("{host}: {}", outside::WHY)));
    }
    let own = place.cluster(environment).and_then(|record| record.cluster.registry);
    let mut may = (place.registries.iter())
        .filter(|record| record.registry.host == host && record.push_user.is_some())
        .collect::<Vec<_>>();
    may.sort_by_key(|record| Some(record.registry.id) != own);
    match may.first() {
        Some(record) => push_access(services, record),
        None => Ok(None),
    }
}

fn access_as(
    services: &Services,
    record: &RegistryRecord,
    context: &str,
    login: (Option<&String>, Option<&String>),
) -> Result<RegistryAccess, AppError> {
    let credentials = match login {
        (Some(user), Some(sealed)) => Some((user.clone(), unseal(services, context, sealed)?)),
        _ => None,
    };
    Ok(RegistryAccess {
        plain_http: record.registry.plain_http,
        ca: record.ca.clone(),
        credentials,
    })
}

/// How a source repository on a listed host is reached. The scheme and the port are the administrator's; only the path is the label's.
pub(crate) fn source_access(
    services: &Services,
    record: &SourceHostRecord,
    repository: &SourceRepository,
) -> Result<SourceAccess, AppError> {
    let credentials = match (&record.user, &record.token) {
        (Some(user), Some(sealed)) => Some((
            user.clone(),
            unseal(services, &source_token_context(record.id), sealed)?,
        )),
        _ => None,
    };
    Ok(SourceAccess {
        tenant: record.workspace.to_string(),
        host: record.host.clone(),
        plain_http: record.plain_http,
        path: repository.path.clone(),
        credentials,
    })
}

/// How a cluster's Argo CD is reached; `None` when it has none.
pub(crate) fn argocd_access(services: &Services, record: &ClusterRecord) -> Result<Option<ArgoCdAccess>, AppError> {
    let Some(settings) = &record.cluster.argocd else {
        return Ok(None);
    };
    let token = match &record.argocd_token {
        Some(sealed) => unseal(services, &argocd_token_context(record.cluster.id), sealed)?,
        None => SecretString::default(),
    };
    Ok(Some(ArgoCdAccess {
        url: settings.url.clone(),
        token,
        ca: record.argocd_ca.clone(),
    }))
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

/// Where Argo CD shows an Application to people; `None` when the cluster has no Argo CD.
#[must_use]
pub fn application_page(record: &ClusterRecord, app: &AppRef) -> Option<String> {
    let settings = record.cluster.argocd.as_ref()?;
    let base = settings.url.trim_end_matches('/');
    Some(match &app.namespace {
        Some(namespace) => format!("{base}/applications/{namespace}/{}", app.name),
        None => format!("{base}/applications/{}", app.name),
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    /// All sources of the server, with their paths.
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.display().to_string(), text));
            }
        }
    }

    /// Whoever seals something new finds out here that it belongs into `SealedColumn`: else a lost key goes unnoticed.
    #[test]
    fn nothing_is_sealed_that_the_list_does_not_know() {
        let mut all = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        let own = include_str!("connection.rs");
        let listed = own
            .split("pub fn sealed_context")
            .nth(1)
            .unwrap()
            .split("\n}\n")
            .next()
            .unwrap();
        let mut contexts = BTreeSet::new();
        for (path, text) in &all {
            for line in text.lines().map(str::trim) {
                let defined = line
                    .split_once("fn ")
                    .and_then(|(_, rest)| rest.split_once("_context("));
                if let Some((name, _)) = defined.filter(|(name, _)| *name != "sealed") {
                    contexts.insert(name.to_owned());
                    assert!(
                        listed.contains(&format!("{name}_context(")),
                        "{path}: {name}_context is not in the list"
                    );
                }
            }
        }
        assert_eq!(contexts.len(), crate::store::SealedColumn::ALL.len(), "{contexts:?}");
        let uses = |text: &str| {
            let code = text.split("#[cfg(test)]").next().unwrap();
            [".seal(", " seal(services,", "::seal(services,"]
                .iter()
                .map(|call| code.matches(call).count())
                .sum::<usize>()
        };
        let mut sealing: Vec<(&str, usize)> = all
            .iter()
            .map(|(path, text)| (path.rsplit("/src/").next().unwrap(), uses(text)))
            .filter(|(_, uses)| *uses > 0)
            .collect();
        sealing.sort_unstable();
        let known = [
            // Lies in a cookie, never in the database.
            ("service/access/known_browser.rs", 1),
            ("service/configure/apply/mod.rs", 2),
            ("service/configure/apply/pages.rs", 1),
            ("service/configure/source_hosts.rs", 1),
            ("service/notification/channels.rs", 1),
            ("service/statements/signing_keys.rs", 1),
            ("startup/key.rs", 1),
        ];
        assert_eq!(
            sealing, known,
            "does what is sealed here have a column in SealedColumn?"
        );
    }
}
