//! `state: absent`: what a document says is to be deleted, and in which order.

use crate::service::configure::apply::{
    check::parse,
    connection_specs::{ClusterSpec, RegistrySpec},
    document::{EnvironmentSpec, ProjectSpec, ResourceSpec},
    plan::Stored,
};
use domain::{
    field::FieldErrors,
    id::ResourceId,
    name::Name,
    removal::{Removable, RemovalChoices},
    resource::Source,
};

/// What is to be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Absent {
    /// Where it stands.
    pub at: String,
    /// What it is.
    pub what: Removable,
    /// The project, of an environment or resource.
    pub project: Option<Name>,
    /// The environment, of a resource.
    pub environment: Option<Name>,
    /// Its name.
    pub name: Name,
    /// What goes with it.
    pub choices: RemovalChoices,
}

/// What is deleted is only named.
pub(crate) const ALONE: &str = "With state: absent, leave out everything but its name.";

pub(crate) fn absent_cluster<S>(spec: &ClusterSpec<S>, at: &str, errors: &mut FieldErrors) -> Option<Absent> {
    // By name, here and below: what a document can newly say can't be overlooked.
    let ClusterSpec {
        name: _,
        state: _,
        argocd,
        registry,
        mirror,
        platforms,
    } = spec;
    if argocd.is_some() || registry.is_some() || mirror.is_some() || !platforms.is_empty() {
        errors.add(format!("{at}.state"), ALONE);
    }
    Some(Absent {
        at: format!("{at}.state"),
        what: Removable::Cluster,
        project: None,
        environment: None,
        name: parse(&format!("{at}.name"), &spec.name, errors)?,
        choices: RemovalChoices::default(),
    })
}

pub(crate) fn absent_registry<S>(spec: &RegistrySpec<S>, at: &str, errors: &mut FieldErrors) -> Option<Absent> {
    let RegistrySpec {
        name: _,
        state: _,
        host,
        plain_http,
        ca,
        pull,
        push,
    } = spec;
    if host.is_some() || *plain_http || ca.is_some() || pull.is_some() || push.is_some() {
        errors.add(format!("{at}.state"), ALONE);
    }
    Some(Absent {
        at: format!("{at}.state"),
        what: Removable::Registry,
        project: None,
        environment: None,
        name: parse(&format!("{at}.name"), &spec.name, errors)?,
        choices: RemovalChoices::default(),
    })
}

pub(crate) fn absent_project<S>(spec: &ProjectSpec<S>, at: &str, errors: &mut FieldErrors) -> Option<Absent> {
    let ProjectSpec {
        name: _,
        state: _,
        repository,
        path_template,
        values_prefix,
        commit_subject,
        author_address,
        roles,
        environments,
    } = spec;
    let says_more = repository.is_some()
        || path_template.is_some()
        || values_prefix.is_some()
        || commit_subject.is_some()
        || author_address.is_some()
        || roles.is_some()
        || !environments.is_empty();
    if says_more {
        errors.add(format!("{at}.state"), ALONE);
    }
    Some(Absent {
        at: format!("{at}.state"),
        what: Removable::Project,
        project: None,
        environment: None,
        name: parse(&format!("{at}.name"), &spec.name, errors)?,
        choices: RemovalChoices::default(),
    })
}

pub(crate) fn absent_environment(
    spec: &EnvironmentSpec,
    project: Option<&Name>,
    at: &str,
    errors: &mut FieldErrors,
) -> Option<Absent> {
    let EnvironmentSpec {
        name: _,
        key,
        state: _,
        remove_from_git: _,
        pin_followers: _,
        cluster,
        protected,
        policy,
        restricted_to,
        mirror,
        tags,
        create_file,
        resources,
    } = spec;
    let says_more = key.is_some()
        || cluster.is_some()
        || *protected
        || policy.is_some()
        || !restricted_to.is_empty()
        || mirror.is_some()
        || !tags.is_none()
        || *create_file
        || !resources.is_empty();
    if says_more {
        errors.add(format!("{at}.state"), ALONE);
    }
    Some(Absent {
        at: format!("{at}.state"),
        what: Removable::Environment,
        project: project.cloned(),
        environment: None,
        name: parse(&format!("{at}.name"), &spec.name, errors)?,
        choices: RemovalChoices {
            from_git: spec.remove_from_git,
            pin_followers: spec.pin_followers,
        },
    })
}

pub(crate) fn absent_resource(
    spec: &ResourceSpec,
    project: Option<&Name>,
    environment: Option<&Name>,
    at: &str,
    errors: &mut FieldErrors,
) -> Option<Absent> {
    let ResourceSpec {
        name: _,
        key,
        state: _,
        remove_from_git: _,
        pin_followers: _,
        kind,
        source,
        binding,
        runtime,
    } = spec;
    let says_more = key.is_some() || kind.is_some() || source.is_some() || binding.is_some() || runtime.is_some();
    if says_more {
        errors.add(format!("{at}.state"), ALONE);
    }
    Some(Absent {
        at: format!("{at}.state"),
        what: Removable::Resource,
        project: project.cloned(),
        environment: environment.cloned(),
        name: parse(&format!("{at}.name"), &spec.name, errors)?,
        choices: RemovalChoices {
            from_git: spec.remove_from_git,
            pin_followers: spec.pin_followers,
        },
    })
}

/// What only says how something is deleted says nothing of what stays.
pub(crate) fn only_when_absent(from_git: bool, pin_followers: bool, at: &str, errors: &mut FieldErrors) {
    for (field, is_given) in [("removeFromGit", from_git), ("pinFollowers", pin_followers)] {
        if is_given {
            errors.add(
                format!("{at}.{field}"),
                "This goes with state: absent only. Leave it out.",
            );
        }
    }
}

/// A deletion in words: `environment myapp/staging`.
pub(crate) fn words(absent: &Absent) -> String {
    let parts = absent.project.iter().chain(&absent.environment).chain([&absent.name]);
    let path: Vec<&str> = parts.map(Name::as_str).collect();
    format!("{} {}", absent.what, path.join("/"))
}

/// What is there of what is to be deleted: resources first, and of those and of environments who follow before whom they follow.
pub(crate) fn in_order<'a>(absent: &'a [Absent], stored: &Stored) -> Vec<&'a Absent> {
    let mut sorted = Vec::with_capacity(absent.len());
    for what in Removable::ALL {
        let mut waiting: Vec<(&Absent, Vec<ResourceId>)> = (absent.iter())
            .filter(|one| one.what == what)
            .filter_map(|one| Some((one, stored.resources_of(one)?)))
            .collect();
        while !waiting.is_empty() {
            let is_followed = |ids: &[ResourceId], this: &Absent, waiting: &[(&Absent, Vec<ResourceId>)]| {
                let others = waiting.iter().filter(|(other, _)| *other != this);
                let mut followers = others
                    .flat_map(|(_, others)| others)
                    .filter_map(|id| stored.source_of(*id));
                followers.any(|source| ids.contains(&source))
            };
            let ready = (waiting.iter()).position(|(one, ids)| !is_followed(ids, one, &waiting));
            // Where they follow each other in a circle of environments, no order is right.
            let (one, _) = waiting.remove(ready.unwrap_or_default());
            sorted.push(one);
        }
    }
    sorted
}

impl Stored {
    /// The resources that go with something; `None` when it isn't there.
    fn resources_of(&self, absent: &Absent) -> Option<Vec<ResourceId>> {
        let project = |name: &Name| self.projects.iter().find(|p| p.record.project.name == *name);
        let environment = |project: &Name, name: &Name| {
            let project = self.projects.iter().find(|p| p.record.project.name == *project)?;
            let found = project.environments.iter().find(|e| e.name == *name)?;
            Some((project, found.id))
        };
        match absent.what {
            Removable::Workspace => self.workspace.as_ref().map(|_| Vec::new()),
            Removable::Cluster => {
                let mut clusters = self.clusters.iter();
                clusters
                    .find(|c| c.record.cluster.name == absent.name)
                    .map(|_| Vec::new())
            }
            Removable::Registry => {
                let mut registries = self.registries.iter();
                registries
                    .find(|r| r.record.registry.name == absent.name)
                    .map(|_| Vec::new())
            }
            Removable::Project => project(&absent.name).map(|_| Vec::new()),
            Removable::Environment => {
                let (project, id) = environment(absent.project.as_ref()?, &absent.name)?;
                let here = project.resources.iter().filter(|r| r.environment == id);
                Some(here.map(|r| r.id).collect())
            }
            Removable::Resource => {
                let (project, id) = environment(absent.project.as_ref()?, absent.environment.as_ref()?)?;
                let mut here = project.resources.iter().filter(|r| r.environment == id);
                here.find(|r| r.name == absent.name).map(|r| vec![r.id])
            }
        }
    }

    /// Whom a resource follows.
    fn source_of(&self, id: ResourceId) -> Option<ResourceId> {
        let mut all = self.projects.iter().flat_map(|project| &project.resources);
        match all.find(|r| r.id == id)?.source {
            Source::Promote { from } => Some(from),
            Source::Image { .. } => None,
        }
    }
}
