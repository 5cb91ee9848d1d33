//! Registries and clusters of a document: the rules that they keep, and what to write of them.

use crate::{
    service::{
        configure::apply::{
            check::{Checked, allowed, missing, parse},
            connection_specs::{ClusterRegistrySpec, ClusterSpec, OwnRegistrySpec, RegistrySpec, RegistryUserSpec},
            differences::Differences,
            document::{EnvironmentSpec, SecretText},
            plan::{Plan, PlanContext, Stored, same},
        },
        reach::{argocd_token_context, pull_password_context, push_password_context},
        sources::{self, TagsClash},
    },
    store::{ClusterRecord, RegistryRecord},
};
use contract::error::AppError;
use domain::{
    artifact::Repository,
    copy::Mirror,
    environment::{ArgoCdSettings, Cluster, Registry},
    field::FieldErrors,
    id::{ClusterId, EnvironmentId, RegistryId},
    name::Name,
    outside,
    removal::Removable,
};
use secrecy::SecretString;
use std::collections::HashMap;

/// A registry.
#[derive(Debug)]
pub struct CheckedRegistry<'a, S> {
    /// Where its host stands.
    pub at: String,
    /// Its name.
    pub name: Name,
    /// Its host.
    pub host: String,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
    /// Who pulls, with the password.
    pub pull: Option<(String, &'a S)>,
    /// Certificates, and who pushes; `None` leaves them as they are.
    pub rest: Option<RegistryRest<'a, S>>,
}

/// What a registry that is written down with its cluster doesn't say.
#[derive(Debug)]
pub struct RegistryRest<'a, S> {
    /// Certificates to trust.
    pub ca: Option<&'a S>,
    /// Who pushes, with the password.
    pub push: Option<(String, &'a S)>,
}

/// A cluster.
#[derive(Debug)]
pub struct CheckedCluster<'a, S> {
    /// Where it stands.
    pub at: String,
    /// Its name.
    pub name: Name,
    /// Its Argo CD.
    pub argocd: Option<ArgoCdSettings>,
    /// Argo CD's token.
    pub argocd_token: Option<&'a S>,
    /// Certificates to trust.
    pub argocd_ca: Option<&'a S>,
    /// The registry it pulls from, by name.
    pub registry: Option<Name>,
    /// Where images are copied to.
    pub mirror: Option<Mirror>,
    /// Platforms of which an image needs one.
    pub platforms: Vec<String>,
}

pub(crate) fn check_registry<'a, S>(
    spec: &'a RegistrySpec<S>,
    at: &str,
    errors: &mut FieldErrors,
) -> Option<CheckedRegistry<'a, S>> {
    let name = parse(&format!("{at}.name"), &spec.name, errors);
    let Some(host) = &spec.host else {
        missing(at, "host", errors);
        return None;
    };
    check_host(host, &format!("{at}.host"), errors);
    let mut user = |field: &str, spec: &'a Option<RegistryUserSpec<S>>| {
        let spec = spec.as_ref()?;
        if let Err(why) = registry_user(&spec.user) {
            errors.add(format!("{at}.{field}.user"), why);
        }
        Some((spec.user.clone(), &spec.password))
    };
    let (pull, push) = (user("pull", &spec.pull), user("push", &spec.push));
    Some(CheckedRegistry {
        at: format!("{at}.host"),
        name: name?,
        host: host.clone(),
        plain_http: spec.plain_http,
        pull,
        rest: Some(RegistryRest {
            ca: spec.ca.as_ref(),
            push,
        }),
    })
}

/// The registry that a cluster is written down with: it is called as the cluster is.
pub(crate) fn check_own_registry<'a, S>(
    cluster: &ClusterSpec<S>,
    own: &'a OwnRegistrySpec<S>,
    at: &str,
    others: &[RegistrySpec<S>],
    errors: &mut FieldErrors,
) -> Option<CheckedRegistry<'a, S>> {
    check_host(&own.host, &format!("{at}.registry.host"), errors);
    let mut pull = None;
    match (&own.user, &own.password) {
        (Some(user), Some(password)) => pull = Some((user.clone(), password)),
        (Some(_), None) => errors.add(format!("{at}.registry.user"), "Give the user's password too."),
        (None, Some(_)) => errors.add(format!("{at}.registry.password"), "Name the user of this password too."),
        (None, None) => {}
    }
    if others.iter().any(|other| other.name == cluster.name) {
        let why = format!(
            "There is a registry {} in this document. Name it here, registry: {}, or leave it out there.",
            cluster.name, cluster.name
        );
        errors.add(format!("{at}.registry"), why);
    }
    Some(CheckedRegistry {
        at: format!("{at}.registry.host"),
        // What is wrong with it is said of the cluster.
        name: cluster.name.parse().ok()?,
        host: own.host.clone(),
        plain_http: own.plain_http,
        pull,
        rest: None,
    })
}

fn check_host(host: &str, at: &str, errors: &mut FieldErrors) {
    if host.contains('/') || format!("{host}/x").parse::<Repository>().is_err() {
        let why = "Write the registry's host, with the port if there is one and without scheme or path, for example registry.example.com or 127.0.0.1:5000.";
        errors.add(at, why);
    } else if outside::is_forbidden(host) {
        errors.add(at, outside::WHY);
    }
}

fn registry_user(user: &str) -> Result<(), &'static str> {
    // Basic authentication ends the user at the first colon.
    let fits = !user.is_empty() && !user.contains(':') && !user.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err("Enter a user name without a colon.")
    }
}

pub(crate) fn check_mirror(mirror: Option<&Mirror>, at: &str, errors: &mut FieldErrors) {
    let Some(mirror) = mirror else { return };
    let at = format!("{at}.mirror.repository");
    match mirror.check() {
        Err(why) => errors.add(at, why),
        Ok(()) if outside::is_forbidden(mirror.registry()) => errors.add(at, outside::WHY),
        Ok(()) => {}
    }
}

/// Where images of an environment are copied to, and their tags.
pub(crate) fn check_images(spec: &EnvironmentSpec, at: &str, errors: &mut FieldErrors) {
    check_mirror(spec.mirror.as_ref(), at, errors);
    for (part, why) in spec.tags.faults() {
        errors.add(format!("{at}.tags.{part}"), why);
    }
}

pub(crate) fn check_cluster<'a, S>(
    spec: &'a ClusterSpec<S>,
    at: &str,
    errors: &mut FieldErrors,
) -> Option<CheckedCluster<'a, S>> {
    let name = parse(&format!("{at}.name"), &spec.name, errors);
    let argocd = spec.argocd.as_ref().map(|argocd| {
        let at = format!("{at}.argocd");
        let url = argocd.url.trim_end_matches('/').to_owned();
        if let Err(why) = http_url(&url) {
            errors.add(format!("{at}.url"), why);
        }
        let application = argocd
            .application
            .clone()
            .unwrap_or_else(|| "{project}-{environment}".to_owned());
        for (field, template) in [
            ("application", Some(&application)),
            ("project", argocd.project.as_ref()),
            ("namespace", argocd.namespace.as_ref()),
        ] {
            if let Some(Err(why)) = template.map(|template| kubernetes_name(template, field == "namespace")) {
                errors.add(format!("{at}.{field}"), why);
            }
        }
        ArgoCdSettings {
            url,
            application_template: application,
            project: argocd.project.clone(),
            namespace: argocd.namespace.clone(),
            may_end_sync: argocd.may_end_sync.unwrap_or(true),
        }
    });
    let registry = match &spec.registry {
        None => Some(None),
        Some(ClusterRegistrySpec::Own(_)) => name.clone().map(Some),
        Some(ClusterRegistrySpec::Named(registry)) => parse(&format!("{at}.registry"), registry, errors).map(Some),
    };
    check_mirror(spec.mirror.as_ref(), at, errors);
    Some(CheckedCluster {
        at: at.to_owned(),
        name: name?,
        argocd,
        argocd_token: spec.argocd.as_ref().map(|argocd| &argocd.token),
        argocd_ca: spec.argocd.as_ref().and_then(|argocd| argocd.ca.as_ref()),
        registry: registry?,
        mirror: spec.mirror.clone(),
        platforms: platforms(&spec.platforms, at, errors),
    })
}

/// Platforms, each once.
fn platforms(given: &[String], at: &str, errors: &mut FieldErrors) -> Vec<String> {
    let mut platforms: Vec<String> = Vec::new();
    for (i, platform) in given.iter().enumerate() {
        let parts: Vec<&str> = platform.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let fits = matches!(parts.len(), 2 | 3) && parts[0] == "linux" && parts.iter().all(is_word);
        if !fits {
            let why = "Write a platform of Linux, for example linux/amd64 or linux/arm64.";
            errors.add(format!("{at}.platforms[{i}]"), why);
        } else if !platforms.contains(platform) {
            platforms.push(platform.clone());
        }
    }
    platforms
}

fn http_url(url: &str) -> Result<(), &'static str> {
    const WHY: &str = "Write an address that begins with https:// or http://, for example https://argocd.example.com.";
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or(WHY)?;
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err("Leave user and password out of the address; the token has a field of its own.");
    }
    if host.is_empty() || url.parse::<http::Uri>().is_err() || rest.contains(['?', '#']) {
        return Err(WHY);
    }
    allowed(host)
}

/// An Application, AppProject or namespace: a DNS name once its placeholders are filled.
fn kubernetes_name(template: &str, fixed: bool) -> Result<(), String> {
    let filled = if fixed {
        template.to_owned()
    } else {
        template.replace("{project}", "p").replace("{environment}", "e")
    };
    if filled.len() <= 253 && !filled.is_empty() && filled.split('.').all(|part| part.parse::<Name>().is_ok()) {
        Ok(())
    } else if fixed {
        Err("Use lower-case letters, digits and hyphens.".into())
    } else {
        Err("Use lower-case letters, digits, hyphens and the placeholders {project} and {environment}.".into())
    }
}

/// A secret as it is stored: sealed anew only where it is another.
fn sealed(
    means: &PlanContext<'_>,
    context: &str,
    new: Option<&SecretString>,
    old: Option<&SecretString>,
    kept: Option<&String>,
) -> Result<Option<String>, AppError> {
    match (new, kept) {
        (None, _) => Ok(None),
        (Some(_), Some(kept)) if same(new, old) => Ok(Some(kept.clone())),
        (Some(new), _) => (means.seal)(context, new).map(Some),
    }
}

fn protocol(plain_http: bool) -> &'static str {
    if plain_http { "http" } else { "https" }
}

/// What is planned, and what is stored of the rest.
fn newest<'a, T: Clone + 'a, I: PartialEq>(
    planned: &'a [T],
    stored: impl Iterator<Item = &'a T>,
    id: impl Fn(&T) -> I,
) -> Vec<T> {
    let kept = stored.filter(|kept| planned.iter().all(|planned| id(planned) != id(kept)));
    planned.iter().chain(kept).cloned().collect()
}

impl Plan {
    /// Plans registries, then the clusters that refer to them; the clusters there are then, by name.
    pub(crate) fn connections(
        &mut self,
        document: &Checked<'_, SecretText>,
        stored: &Stored,
        means: &PlanContext<'_>,
        errors: &mut FieldErrors,
    ) -> Result<HashMap<Name, ClusterId>, AppError> {
        let mut registries: HashMap<Name, RegistryId> = (stored.registries.iter())
            .map(|r| (r.record.registry.name.clone(), r.record.registry.id))
            .collect();
        for registry in &document.registries {
            let id = self.registry(registry, stored, means, errors)?;
            registries.insert(registry.name.clone(), id);
        }
        let mut clusters: HashMap<Name, ClusterId> = (stored.clusters.iter())
            .map(|c| (c.record.cluster.name.clone(), c.record.cluster.id))
            .collect();
        for cluster in &document.clusters {
            if let Some(registry) = &cluster.registry
                && !registries.contains_key(registry)
            {
                let why = format!("There is no registry {registry}. Add it under registries, or name another.");
                errors.add(format!("{}.registry", cluster.at), why);
                continue;
            }
            let id = self.cluster(cluster, stored, &registries, means)?;
            clusters.insert(cluster.name.clone(), id);
        }
        Ok(clusters)
    }

    /// Refuses mirrors that would put images of two sources into one repository, and tags that two environments would set, or that a rule counts.
    pub(crate) fn check_repositories(
        &self,
        document: &Checked<'_, SecretText>,
        stored: &Stored,
        errors: &mut FieldErrors,
    ) {
        let clusters = newest(&self.clusters, stored.clusters.iter().map(|c| &c.record), |c| {
            c.cluster.id
        });
        let absent = |project: &Name, environment: &Name, resource: Option<&Name>| {
            document.absent.iter().any(|absent| match absent.what {
                Removable::Project => absent.name == *project,
                Removable::Environment => absent.project.as_ref() == Some(project) && absent.name == *environment,
                Removable::Resource => {
                    absent.project.as_ref() == Some(project)
                        && absent.environment.as_ref() == Some(environment)
                        && Some(&absent.name) == resource
                }
                Removable::Cluster | Removable::Registry | Removable::Workspace => false,
            })
        };
        let known = stored.projects.iter().flat_map(|project| &project.environments);
        let environments = newest(&self.environments, known, |e| e.id);
        let planned: Vec<_> = (self.new_resources.iter().chain(&self.changed_resources))
            .map(|(_, resource)| resource.clone())
            .collect();
        let known = stored.projects.iter().flat_map(|project| {
            let name = &project.record.project.name;
            project.resources.iter().filter(move |resource| {
                let here = project.environments.iter().find(|e| e.id == resource.environment);
                here.is_some_and(|here| !absent(name, &here.name, Some(&resource.name)))
            })
        });
        let resources = newest(&planned, known, |r| r.id);
        let in_document = |id: EnvironmentId| {
            document.projects.iter().find_map(|project| {
                let of = self.project_ids.get(&project.name)?;
                (project.environments.iter())
                    .find(|named| self.environment_ids.get(&(*of, named.name.clone())) == Some(&id))
            })
        };
        if let Some(TagsClash {
            environment, part, why, ..
        }) = sources::tags_clash(&environments, &clusters, &resources)
        {
            let at = match in_document(environment) {
                Some(named) => format!("{}.tags.{part}", named.at),
                None => "projects".to_owned(),
            };
            errors.add(at, why);
        }
        let Some(collision) = sources::collision(&environments, &clusters, &resources) else {
            return;
        };
        let environment = collision.environment;
        let why = collision.to_string();
        // Said where the mirror stands in the document, or else where the environment does.
        let mut clusters = document.clusters.iter();
        let at = match (
            in_document(environment.id),
            clusters.find(|cluster| cluster.mirror.is_some()),
        ) {
            (Some(environment), _) if environment.mirror.is_some() => format!("{}.mirror", environment.at),
            (_, Some(cluster)) => format!("{}.mirror", cluster.at),
            (Some(environment), None) => environment.at.clone(),
            (None, None) => "projects".to_owned(),
        };
        errors.add(at, why);
    }

    fn registry(
        &mut self,
        spec: &CheckedRegistry<'_, SecretText>,
        stored: &Stored,
        means: &PlanContext<'_>,
        errors: &mut FieldErrors,
    ) -> Result<RegistryId, AppError> {
        let before = stored.registries.iter().find(|r| r.record.registry.name == spec.name);
        let id = before.map_or_else(|| RegistryId(means.ids.next()), |r| r.record.registry.id);
        let pull = spec.pull.as_ref().map(|(_, password)| &password.0);
        let old = before.map(|before| &before.record);
        let (ca, push_user, push_password, push) = match &spec.rest {
            Some(rest) => {
                let push = rest.push.as_ref().map(|(_, password)| &password.0);
                let sealed = sealed(
                    means,
                    &push_password_context(id),
                    push,
                    before.and_then(|b| b.push_password.as_ref()),
                    old.and_then(|old| old.push_password.as_ref()),
                )?;
                (
                    rest.ca.map(|ca| ca.expose().to_owned()),
                    rest.push.as_ref().map(|(user, _)| user.clone()),
                    sealed,
                    push,
                )
            }
            None => (
                // A document that doesn't say who pushes must not send their password elsewhere.
                old.and_then(|old| old.ca.clone()),
                old.and_then(|old| old.push_user.clone()),
                old.and_then(|old| old.push_password.clone()),
                before.and_then(|b| b.push_password.as_ref()),
            ),
        };
        let goes_elsewhere =
            |old: &RegistryRecord| old.registry.host != spec.host || (spec.plain_http && !old.registry.plain_http);
        if spec.rest.is_none()
            && let Some(old) = old.filter(|old| old.push_user.is_some() && goes_elsewhere(old))
        {
            let why = format!(
                "The registry {} has a push user, whose password goes to {} and nowhere else. Write the registry under registries, with its push user.",
                spec.name, old.registry.host
            );
            errors.add(&spec.at, why);
        }
        let record = RegistryRecord {
            registry: Registry {
                id,
                workspace: self.workspace.id,
                name: spec.name.clone(),
                host: spec.host.clone(),
                plain_http: spec.plain_http,
            },
            ca,
            pull_user: spec.pull.as_ref().map(|(user, _)| user.clone()),
            pull_password: sealed(
                means,
                &pull_password_context(id),
                pull,
                before.and_then(|b| b.pull_password.as_ref()),
                old.and_then(|old| old.pull_password.as_ref()),
            )?,
            push_user,
            push_password,
        };
        let Some(before) = before else {
            self.create(format!("registry {}", spec.name));
            self.registries.push(record);
            return Ok(id);
        };
        let (old, new) = (&before.record, &record);
        let mut differences = Differences::default();
        differences.compare("host", &old.registry.host, &new.registry.host);
        let (a, b) = (protocol(old.registry.plain_http), protocol(new.registry.plain_http));
        differences.compare("protocol", &a, &b);
        differences.hidden("certificates", old.ca != new.ca);
        differences.option("pull user", old.pull_user.as_ref(), new.pull_user.as_ref());
        differences.hidden("pull password", !same(before.pull_password.as_ref(), pull));
        differences.option("push user", old.push_user.as_ref(), new.push_user.as_ref());
        differences.hidden("push password", !same(before.push_password.as_ref(), push));
        if self.change(&format!("registry {}", spec.name), &differences) {
            self.registries.push(record);
        }
        Ok(id)
    }

    fn cluster(
        &mut self,
        spec: &CheckedCluster<'_, SecretText>,
        stored: &Stored,
        registries: &HashMap<Name, RegistryId>,
        means: &PlanContext<'_>,
    ) -> Result<ClusterId, AppError> {
        let before = stored.clusters.iter().find(|c| c.record.cluster.name == spec.name);
        let id = before.map_or_else(|| ClusterId(means.ids.next()), |c| c.record.cluster.id);
        let token = spec.argocd_token.map(|token| &token.0);
        let record = ClusterRecord {
            cluster: Cluster {
                id,
                workspace: self.workspace.id,
                name: spec.name.clone(),
                argocd: spec.argocd.clone(),
                registry: spec.registry.as_ref().and_then(|name| registries.get(name)).copied(),
                mirror: spec.mirror.clone(),
                platforms: spec.platforms.clone(),
            },
            argocd_token: sealed(
                means,
                &argocd_token_context(id),
                token,
                before.and_then(|b| b.argocd_token.as_ref()),
                before.and_then(|b| b.record.argocd_token.as_ref()),
            )?,
            argocd_ca: spec.argocd_ca.map(|ca| ca.expose().to_owned()),
        };
        let Some(before) = before else {
            self.create(format!("cluster {}", spec.name));
            self.clusters.push(record);
            return Ok(id);
        };
        let (old, new) = (&before.record, &record);
        let mut differences = Differences::default();
        match (&old.cluster.argocd, &new.cluster.argocd) {
            (Some(a), Some(b)) => {
                differences.compare("argocd url", &a.url, &b.url);
                differences.compare("application name", &a.application_template, &b.application_template);
                differences.option("argocd project", a.project.as_ref(), b.project.as_ref());
                differences.option("argocd namespace", a.namespace.as_ref(), b.namespace.as_ref());
                let may = |may: bool| if may { "yes" } else { "no" }.to_owned();
                differences.compare("may end a running sync", &may(a.may_end_sync), &may(b.may_end_sync));
                differences.hidden("argocd token", !same(before.argocd_token.as_ref(), token));
                differences.hidden("argocd certificates", old.argocd_ca != new.argocd_ca);
            }
            (None, Some(b)) => differences.told("argocd", true, "", &b.url),
            (Some(a), None) => differences.told("argocd", true, &a.url, ""),
            (None, None) => {}
        }
        let name_of = |id: Option<RegistryId>| {
            registries
                .iter()
                .find(|(_, known)| Some(**known) == id)
                .map(|(name, _)| name)
        };
        differences.option("registry", name_of(old.cluster.registry), name_of(new.cluster.registry));
        differences.mirror(old.cluster.mirror.as_ref(), new.cluster.mirror.as_ref());
        differences.compare(
            "platforms",
            &old.cluster.platforms.join(" "),
            &new.cluster.platforms.join(" "),
        );
        if old.cluster.platforms != new.cluster.platforms {
            self.counts_otherwise_on.push(id);
        }
        if self.change(&format!("cluster {}", spec.name), &differences) {
            self.clusters.push(record);
        }
        Ok(id)
    }
}
