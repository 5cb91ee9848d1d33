//! What a document says of registries and clusters.

use crate::service::configure::apply::document::{Presence, SecretUse, optional};
use domain::copy::Mirror;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// A cluster as it should be: what is left out is taken away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterSpec<S> {
    /// Its name, unique in the workspace.
    pub name: String,
    /// `absent` deletes it, with its history kept; nothing else is said of it then.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub state: Presence,
    /// Its Argo CD; left out: Git only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argocd: Option<ArgoCdSpec<S>>,
    /// The registry it pulls from: the name of one, or one of its own, which is called as the cluster is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<ClusterRegistrySpec<S>>,
    /// Where images are copied to before they run on it. Default: it pulls them from where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Platforms of which an image needs one to run on it: `linux/amd64`. Default: some platform of Linux.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
}

/// An Argo CD.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ArgoCdSpec<S> {
    /// Its address: `https://argocd.example.com`, with the path prefix if it is served under one.
    pub url: String,
    /// A token that may get and sync the Applications.
    pub token: S,
    /// Certificates to trust beside the system's, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<S>,
    /// Name of an environment's Application; `{project}` and `{environment}` stand for their names.
    /// Default `{project}-{environment}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The Argo CD project of the Applications; may hold the same placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The Applications' namespace, where it isn't Argo CD's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whether a rollback, or a promotion that takes another's place, may end a sync that applies what it leaves. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_end_sync: Option<bool>,
}

/// A registry as it should be: what is left out is taken away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RegistrySpec<S> {
    /// Its name, unique in the workspace.
    pub name: String,
    /// `absent` deletes it, with its history kept; nothing else is said of it then.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub state: Presence,
    /// Its host, with the port if there is one: `registry.example.com`, `127.0.0.1:5000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whether it speaks plain HTTP. Default false.
    #[serde(default)]
    pub plain_http: bool,
    /// Certificates to trust beside the system's, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<S>,
    /// Who pulls; left out: without signing in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<RegistryUserSpec<S>>,
    /// Who pushes; left out: nothing is copied to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<RegistryUserSpec<S>>,
}

/// A user of a registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RegistryUserSpec<S> {
    /// The user.
    pub user: String,
    /// The user's password or token.
    pub password: S,
}

/// The registry of a cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum ClusterRegistrySpec<S> {
    /// The name of a registry of the workspace.
    Named(String),
    /// One of its own.
    Own(OwnRegistrySpec<S>),
}

// Untagged enums say of every mistake only that no variant fits.
impl<'de, S: Deserialize<'de>> Deserialize<'de> for ClusterRegistrySpec<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NameOrMap<S>(PhantomData<S>);
        impl<'de, S: Deserialize<'de>> Visitor<'de> for NameOrMap<S> {
            type Value = ClusterRegistrySpec<S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a registry, or a registry with its host")
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(ClusterRegistrySpec::Named(name.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                OwnRegistrySpec::deserialize(MapAccessDeserializer::new(map)).map(ClusterRegistrySpec::Own)
            }
        }
        from.deserialize_any(NameOrMap(PhantomData))
    }
}

/// A registry that is written down with its cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OwnRegistrySpec<S> {
    /// Its host, with the port if there is one: `registry.example.com`, `127.0.0.1:5000`.
    pub host: String,
    /// Whether it speaks plain HTTP. Default false.
    #[serde(default)]
    pub plain_http: bool,
    /// The user to pull as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// That user's password or token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<S>,
}

impl<S> RegistrySpec<S> {
    pub(crate) fn resolve<T>(
        self,
        path: &str,
        read: &mut impl FnMut(&str, SecretUse, S) -> Option<T>,
    ) -> Option<RegistrySpec<T>> {
        let ca = optional(self.ca, |ca| read(&format!("{path}.ca"), SecretUse::Content, ca));
        let mut user = |field: &str, spec: Option<RegistryUserSpec<S>>| {
            optional(spec, |spec| {
                let at = format!("{path}.{field}.password");
                Some(RegistryUserSpec {
                    user: spec.user,
                    password: read(&at, SecretUse::Word, spec.password)?,
                })
            })
        };
        let (pull, push) = (user("pull", self.pull), user("push", self.push));
        Some(RegistrySpec {
            name: self.name,
            state: self.state,
            host: self.host,
            plain_http: self.plain_http,
            ca: ca?,
            pull: pull?,
            push: push?,
        })
    }
}

impl<S> ClusterSpec<S> {
    pub(crate) fn resolve<T>(
        self,
        path: &str,
        read: &mut impl FnMut(&str, SecretUse, S) -> Option<T>,
    ) -> Option<ClusterSpec<T>> {
        let argocd = optional(self.argocd, |argocd| {
            let token = read(&format!("{path}.argocd.token"), SecretUse::Word, argocd.token);
            let ca = optional(argocd.ca, |ca| {
                read(&format!("{path}.argocd.ca"), SecretUse::Content, ca)
            });
            Some(ArgoCdSpec {
                url: argocd.url,
                token: token?,
                ca: ca?,
                application: argocd.application,
                project: argocd.project,
                namespace: argocd.namespace,
                may_end_sync: argocd.may_end_sync,
            })
        });
        let registry = optional(self.registry, |registry| {
            let own = match registry {
                ClusterRegistrySpec::Named(name) => return Some(ClusterRegistrySpec::Named(name)),
                ClusterRegistrySpec::Own(own) => own,
            };
            let at = format!("{path}.registry.password");
            let password = optional(own.password, |password| read(&at, SecretUse::Word, password));
            Some(ClusterRegistrySpec::Own(OwnRegistrySpec {
                host: own.host,
                plain_http: own.plain_http,
                user: own.user,
                password: password?,
            }))
        });
        Some(ClusterSpec {
            name: self.name,
            state: self.state,
            argocd: argocd?,
            registry: registry?,
            mirror: self.mirror,
            platforms: self.platforms,
        })
    }
}
