//! What `waybill apply` is given: a workspace's registries, clusters, projects, environments and resources.
//!
//! The same shape is written twice. People write it as YAML, with every secret as a reference ([`SecretRef`]) to a file or an
//! environment variable. The command line reads those where it runs and sends the server JSON, in which a secret is a
//! text ([`SecretText`]). `S` is the one or the other; [`Document::resolve`] goes from the first to the second.
//!
//! ```yaml
//! workspace: demo
//! registries:
//!   - name: local
//!     host: 127.0.0.1:5000
//!     plainHttp: true
//! clusters:
//!   - name: local
//!     argocd:                       # left out: Git only, a promotion ends at the push
//!       url: http://127.0.0.1:8080
//!       token: { env: ARGOCD_TOKEN }
//!     registry: local
//! groups:
//!   - name: release
//!     members: [ada@example.com]
//! projects:
//!   - name: myapp
//!     repository:
//!       url: https://git.example.com/gitops.git
//!       credentials: { user: x, token: { file: ./git-token } }
//!     environments:
//!       - name: development
//!         cluster: local
//!         resources:
//!           - name: api
//!             source: { image: 127.0.0.1:5000/myapp/api, tags: { semver: ^1.4, leaveOut: [pr-*] } }
//!       - name: staging
//!         cluster: local
//!         resources:
//!           - name: api
//!             source: { promote: { environment: development, resource: api } }
//!             binding: latest
//! ```

use crate::service::configure::apply::connection_specs::{ClusterSpec, RegistrySpec};
use domain::{
    copy::Mirror,
    environment_tags::EnvironmentTags,
    policy::Policy,
    resource::{Kind, Size},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap,
};
use std::fmt;

/// Whether something is to be there. Nothing is deleted for not being named: only what is said to be absent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It is to be there.
    #[default]
    Present,
    /// It is to be deleted, if it is there.
    Absent,
}

impl Presence {
    /// Whether it is to be there.
    #[must_use]
    pub fn is_present(&self) -> bool {
        *self == Self::Present
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The whole of it, about one workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document<S> {
    /// The workspace's name; it is created when there is none.
    pub workspace: String,
    /// `absent` deletes it, with its history kept; nothing else is said of it then.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub state: Presence,
    /// Registries to create or change. Those that aren't named here are left alone; so it is with every list.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<RegistrySpec<S>>,
    /// Clusters to create or change.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterSpec<S>>,
    /// Groups to create or change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupSpec>,
    /// Projects to create or change.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ProjectSpec<S>>,
}

/// A group as it should be: members that are left out are taken out of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GroupSpec {
    /// Its name, unique in the workspace.
    pub name: String,
    /// Addresses of the members who are in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// A project as it should be; environments that aren't named are left alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ProjectSpec<S> {
    /// Its name, unique in the workspace.
    pub name: String,
    /// `absent` deletes it, with its history kept; nothing else is said of it then.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub state: Presence,
    /// Its GitOps repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositorySpec<S>>,
    /// Path of an environment's values file. Default `environments/{environment}/values.yaml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_template: Option<String>,
    /// Dotted keys above `services` in the values files. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_prefix: Option<String>,
    /// The template of commits' subjects, with `{verb}`, `{environment}`, `{resource}`, `{tag}`, `{digest}` and `{source}`. Default Waybill's
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_subject: Option<String>,
    /// The template of authors' addresses, with `{user}`. Default their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_address: Option<String>,
    /// What members are in this project, whatever they are in the workspace: `{ ada@example.com: approver }`; `none` hides
    /// the project from them. Left out, everything stays; given, it replaces all that was before.
    #[serde(default, with = "roles", skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<(String, String)>>,
    /// Environments to create or change, in the order in which they are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<EnvironmentSpec>,
}

/// A GitOps repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RepositorySpec<S> {
    /// `https://…`, `http://…`, `ssh://…`, `user@host:path`, `file://…` or an absolute path; without credentials.
    pub url: String,
    /// The branch that is read and written. Default `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// How to sign in; left out: without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsSpec<S>>,
}

/// Either `user` and `token` (HTTPS), or `sshKey` with or without `knownHosts` (SSH).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialsSpec<S> {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's token or password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<S>,
    /// A private key in OpenSSH format, without a passphrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<S>,
    /// Lines for `known_hosts`; left out: the host's key is accepted at first sight and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<S>,
}

/// An environment as it should be; resources that aren't named are left alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvironmentSpec {
    /// Its name, unique in the project.
    pub name: String,
    /// What stands for `{environment}` in the path template, unique in the project. Left out, it stays as it is; of a new one it is the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `absent` deletes it, with its history kept; nothing else is said of it then.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub state: Presence,
    /// With `state: absent`: its blocks are removed from the values file, too. Default false: Git is left alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub remove_from_git: bool,
    /// With `state: absent`: who follows it from another environment becomes pinned to what it runs. Default false: it stays then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pin_followers: bool,
    /// Name of the cluster it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whether only approvers may change it. Default false.
    #[serde(default)]
    pub protected: bool,
    /// What it asks for before an image may run in it; left out, that stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The groups whose members may change what runs here. Default: everybody with the role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restricted_to: Vec<String>,
    /// Where images are copied to before they run in it. Default: as its cluster says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Tags that Waybill sets in the registry for it. Default: none.
    #[serde(default, skip_serializing_if = "EnvironmentTags::is_none")]
    pub tags: EnvironmentTags,
    /// Whether what is started may make the values file, where there is none. Default false: nothing is started there then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub create_file: bool,
    /// Resources to create or change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceSpec>,
}

/// A resource. `key`, `kind`, `binding` and `runtime` that are left out stay as they are, so that applying a file again doesn't undo
/// what a person did in the browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResourceSpec {
    /// Its name, unique in the environment.
    pub name: String,
    /// Its key below `services`, unique in the environment. Of a new one it is the name unless this says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `absent` deletes it, with its history kept; nothing else is said of it then.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub state: Presence,
    /// With `state: absent`: its blocks are removed from the values file, too. Default false: Git is left alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub remove_from_git: bool,
    /// With `state: absent`: who follows it from another environment becomes pinned to what it runs. Default false: it stays then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pin_followers: bool,
    /// What it is. A new one is a deployment unless this says otherwise.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "known_kind", default)]
    pub kind: Option<Kind>,
    /// Where its image comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceSpec>,
    /// How it follows its source. A new one tracks the latest artifact unless this says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingSpec>,
    /// How it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeSpec>,
}

/// `{ image: REPOSITORY }`, with or without `tags`, or `{ promote: { environment: …, resource: … } }`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SourceSpec {
    /// A repository, with its registry and without tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Which tags of the repository count. Left out, that stays as it is; `{}`: all, newest by build time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagsSpec>,
    /// A resource of another environment of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote: Option<PromoteSpec>,
}

/// Which tags count: at most one of `semver`, `pattern` and `only`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TagsSpec {
    /// Versions, the highest is newest: a range, `^1.4` or `>=1.4, <2`; `*` for every release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// Tags that match a regular expression as a whole, newest by what its one group captures: `build-(\d+)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The image that this tag names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// Tags that never count; `*` stands for any characters, `?` for one: `pr-*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<String>,
}

/// What is promoted from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PromoteSpec {
    /// Name of the environment.
    pub environment: String,
    /// Name of the resource there.
    pub resource: String,
}

/// `latest` or `{ pin: DIGEST }`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BindingSpec {
    /// Track latest.
    Latest,
    /// Pin to this digest.
    Pin(String),
}

/// How a resource runs: given, it replaces all that was before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuntimeSpec {
    /// Copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Ports it listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Environment variables, by name.
    #[serde(default, with = "variables", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// Host under which it is reached from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_host: Option<String>,
    /// How much it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Path that answers when it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
}

/// A mapping whose order counts.
mod variables {
    use super::{Deserializer, MapAccess, SerializeMap, Serializer, Visitor, fmt};

    pub(crate) fn serialize<T: Serializer>(env: &[(String, String)], to: T) -> Result<T::Ok, T::Error> {
        let mut map = to.serialize_map(Some(env.len()))?;
        for (name, value) in env {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, String)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, NAME: value")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// Like [`variables`], when it may be left out.
mod roles {
    use super::{Deserializer, Serializer, variables};

    pub(crate) fn serialize<T: Serializer>(roles: &Option<Vec<(String, String)>>, to: T) -> Result<T::Ok, T::Error> {
        variables::serialize(roles.as_deref().unwrap_or_default(), to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<(String, String)>>, D::Error> {
        variables::deserialize(from).map(Some)
    }
}

/// Where a secret is read, on the machine where the command runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretRef {
    /// `{ env: NAME }`.
    Env(String),
    /// `{ file: PATH }`, relative to the YAML file.
    File(String),
}

const REFERENCE: &str =
    "write a secret as a reference, { env: NAME } or { file: PATH }; a secret does not belong into this file itself";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reference;
        /// Whatever text stands in a secret's place stays out of the message.
        impl<'de> Visitor<'de> for Reference {
            type Value = SecretRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference, { env: NAME } or { file: PATH }")
            }
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<SecretRef, E> {
                Err(E::custom(REFERENCE))
            }
            fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<SecretRef, E> {
                Err(E::custom(REFERENCE))
            }
            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<SecretRef, E> {
                Err(E::custom(REFERENCE))
            }
            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<SecretRef, E> {
                Err(E::custom(REFERENCE))
            }
            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<SecretRef, E> {
                Err(E::custom(REFERENCE))
            }
            fn visit_unit<E: serde::de::Error>(self) -> Result<SecretRef, E> {
                Err(E::custom(REFERENCE))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
                let reference = match map.next_key::<String>()?.as_deref() {
                    Some("env") => SecretRef::Env(map.next_value()?),
                    Some("file") => SecretRef::File(map.next_value()?),
                    Some(other) => return Err(A::Error::unknown_field(other, &["env", "file"])),
                    None => return Err(A::Error::custom(REFERENCE)),
                };
                if map.next_key::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom("name either env or file, not both"));
                }
                Ok(reference)
            }
        }
        from.deserialize_any(Reference)
    }
}

/// A secret's text, as the command line sends it. Never shown.
#[derive(Clone, Debug)]
pub struct SecretText(pub SecretString);

impl SecretText {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Serialize for SecretText {
    /// Only for the request from the command line to the server.
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        to.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        SecretString::deserialize(from)
            .map(Self)
            .map_err(|_| D::Error::custom("a secret is sent as its text; references are for the YAML of waybill apply"))
    }
}

/// A kind that this version knows: what people write with a mistake in it is refused.
fn known_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Kind>, D::Error> {
    let word: Option<String> = Option::deserialize(deserializer)?;
    word.map(|word| word.parse().map_err(|_| D::Error::unknown_variant(&word, &Kind::WORDS)))
        .transpose()
}

/// What kind of text a secret is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecretUse {
    /// A token or password: line breaks at its end are not part of it.
    Word,
    /// The content of a file, as it is.
    Content,
}

impl<S> Document<S> {
    /// The same document with every secret replaced by what `read` gives for it; `read` gets the secret's path in the
    /// document, `clusters[0].argocd.token`.
    pub fn resolve<T>(self, read: &mut impl FnMut(&str, SecretUse, S) -> Option<T>) -> Option<Document<T>> {
        // Every secret is read even when one fails, so that all failures are said at once.
        let registries: Vec<_> = self
            .registries
            .into_iter()
            .enumerate()
            .map(|(i, registry)| registry.resolve(&format!("registries[{i}]"), read))
            .collect();
        let clusters: Vec<_> = self
            .clusters
            .into_iter()
            .enumerate()
            .map(|(i, cluster)| cluster.resolve(&format!("clusters[{i}]"), read))
            .collect();
        let projects: Vec<_> = self
            .projects
            .into_iter()
            .enumerate()
            .map(|(i, project)| project.resolve(&format!("projects[{i}]"), read))
            .collect();
        Some(Document {
            workspace: self.workspace,
            state: self.state,
            registries: registries.into_iter().collect::<Option<_>>()?,
            clusters: clusters.into_iter().collect::<Option<_>>()?,
            groups: self.groups,
            projects: projects.into_iter().collect::<Option<_>>()?,
        })
    }
}

/// `None` when there was a secret and it could not be read.
pub(crate) fn optional<S, T>(secret: Option<S>, read: impl FnOnce(S) -> Option<T>) -> Option<Option<T>> {
    secret.map_or(Some(None), |secret| read(secret).map(Some))
}

impl<S> ProjectSpec<S> {
    fn resolve<T>(self, path: &str, read: &mut impl FnMut(&str, SecretUse, S) -> Option<T>) -> Option<ProjectSpec<T>> {
        let path = format!("{path}.repository.credentials");
        let repository = optional(self.repository, |repository| {
            let credentials = optional(repository.credentials, |credentials| {
                let mut one =
                    |field: &str, kind, secret| optional(secret, |s| read(&format!("{path}.{field}"), kind, s));
                let token = one("token", SecretUse::Word, credentials.token);
                let ssh_key = one("sshKey", SecretUse::Content, credentials.ssh_key);
                let known_hosts = one("knownHosts", SecretUse::Content, credentials.known_hosts);
                Some(CredentialsSpec {
                    user: credentials.user,
                    token: token?,
                    ssh_key: ssh_key?,
                    known_hosts: known_hosts?,
                })
            });
            Some(RepositorySpec {
                url: repository.url,
                branch: repository.branch,
                credentials: credentials?,
            })
        });
        Some(ProjectSpec {
            name: self.name,
            state: self.state,
            repository: repository?,
            path_template: self.path_template,
            values_prefix: self.values_prefix,
            commit_subject: self.commit_subject,
            author_address: self.author_address,
            roles: self.roles,
            environments: self.environments,
        })
    }
}
