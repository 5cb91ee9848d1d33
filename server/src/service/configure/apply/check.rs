//! Holds a document against every rule that needs nothing but the document, and says it in the domain's types.
//!
//! The command line checks before it sends, to name lines; the server checks again, because it trusts nobody.

use crate::service::{
    access::normalised_email,
    configure::apply::{
        absent::{
            ALONE, Absent, absent_cluster, absent_environment, absent_project, absent_registry, absent_resource,
            only_when_absent,
        },
        connection_specs::ClusterRegistrySpec,
        connections::{
            CheckedCluster, CheckedRegistry, check_cluster, check_images, check_own_registry, check_registry,
        },
        document::{
            BindingSpec, CredentialsSpec, Document, EnvironmentSpec, GroupSpec, Presence, ProjectSpec, ResourceSpec,
            RuntimeSpec, SourceSpec, TagsSpec,
        },
    },
    sources,
};
use domain::{
    artifact::Repository,
    commit_template,
    copy::Mirror,
    draft::{ResourceDraft, VariableDraft},
    environment_tags::EnvironmentTags,
    field::FieldErrors,
    key::Key,
    name::Name,
    outside,
    policy::Policy,
    removal::{Removable, RemovalChoices},
    repository_path::{self, is_invisible},
    resource::{Binding, Kind, Runtime},
    rights::Role,
    tag_rule::{TagOrder, TagRule},
};
use std::{collections::HashSet, str::FromStr};

/// A document that keeps the rules; `at` is where each part stands in it.
#[derive(Debug)]
pub struct Checked<'a, S> {
    /// The workspace.
    pub workspace: Name,
    /// Its registries.
    pub registries: Vec<CheckedRegistry<'a, S>>,
    /// Its clusters.
    pub clusters: Vec<CheckedCluster<'a, S>>,
    /// Its groups.
    pub groups: Vec<CheckedGroup>,
    /// Its projects.
    pub projects: Vec<CheckedProject<'a, S>>,
    /// What is to be deleted.
    pub absent: Vec<Absent>,
}

impl<S> Checked<'_, S> {
    /// Whether the workspace itself is to be deleted.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.absent.iter().any(|absent| absent.what == Removable::Workspace)
    }
}

/// A group.
#[derive(Debug)]
pub struct CheckedGroup {
    /// Where it stands.
    pub at: String,
    /// Its name.
    pub name: Name,
    /// Addresses of its members, as they are stored.
    pub members: Vec<String>,
}

/// A project.
#[derive(Debug)]
pub struct CheckedProject<'a, S> {
    /// Where it stands.
    pub at: String,
    /// Its name.
    pub name: Name,
    /// Address of its repository.
    pub repository_url: String,
    /// The branch.
    pub branch: String,
    /// Path of the values files.
    pub path_template: String,
    /// Keys above `services`.
    pub values_prefix: String,
    /// The template of commits' subjects.
    pub commit_subject: Option<String>,
    /// The template of authors' addresses.
    pub author_address: Option<String>,
    /// How to sign in.
    pub credentials: Option<CheckedCredentials<'a, S>>,
    /// What members are in it, by address, when given; `None` hides it.
    pub roles: Option<Vec<(String, Option<Role>)>>,
    /// Its environments.
    pub environments: Vec<CheckedEnvironment>,
}

/// How to sign in to a Git server.
#[derive(Debug)]
pub enum CheckedCredentials<'a, S> {
    /// Over HTTPS.
    UserToken(String, &'a S),
    /// Over SSH: the key, and lines for `known_hosts`.
    SshKey(&'a S, Option<&'a S>),
}

/// An environment.
#[derive(Debug)]
pub struct CheckedEnvironment {
    /// Where it stands.
    pub at: String,
    /// Its name.
    pub name: Name,
    /// Its key in Git, when given.
    pub key: Option<Key>,
    /// Its cluster.
    pub cluster: Name,
    /// Whether it is protected.
    pub protected: bool,
    /// Its policy; `None` leaves it as it is.
    pub policy: Option<Policy>,
    /// The groups that may change it; none means everybody with the role.
    pub restricted_to: Vec<Name>,
    /// Where images are copied to.
    pub mirror: Option<Mirror>,
    /// Its tags in the registry.
    pub tags: EnvironmentTags,
    /// Whether its values file may be made.
    pub create_file: bool,
    /// Its resources.
    pub resources: Vec<CheckedResource>,
}

/// A resource.
#[derive(Debug)]
pub struct CheckedResource {
    /// Where it stands.
    pub at: String,
    /// Its name.
    pub name: Name,
    /// Its key in Git, when given.
    pub key: Option<Key>,
    /// What it is, when given.
    pub kind: Option<Kind>,
    /// Where its image comes from.
    pub source: CheckedSource,
    /// How it follows that, when given.
    pub binding: Option<Binding>,
    /// How it runs, when given.
    pub runtime: Option<Runtime>,
}

/// A source, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckedSource {
    /// A repository, and which of its tags count; `None` leaves that as it is.
    Image(Repository, Option<TagRule>),
    /// Environment and resource.
    Promote(Name, Name),
}

/// Holds `document` against the rules.
///
/// # Errors
/// All that is wrong; a field is a path, `projects[0].environments[1].resources[0].source`.
pub fn check_document<S>(document: &Document<S>) -> Result<Checked<'_, S>, FieldErrors> {
    let mut errors = FieldErrors::default();
    let workspace: Option<Name> = parse("workspace", &document.workspace, &mut errors);
    let mut absent = Vec::new();
    if document.state == Presence::Absent {
        if !document.registries.is_empty()
            || !document.clusters.is_empty()
            || !document.groups.is_empty()
            || !document.projects.is_empty()
        {
            errors.add("state", ALONE);
        }
        absent.extend(workspace.clone().map(|name| Absent {
            at: "state".into(),
            what: Removable::Workspace,
            project: None,
            environment: None,
            name,
            choices: RemovalChoices::default(),
        }));
    }
    let mut registries = Vec::new();
    for (i, spec) in document.registries.iter().enumerate() {
        let at = format!("registries[{i}]");
        match spec.state {
            Presence::Present => registries.push(check_registry(spec, &at, &mut errors)),
            Presence::Absent => absent.extend(absent_registry(spec, &at, &mut errors)),
        }
    }
    let mut clusters = Vec::new();
    for (i, spec) in document.clusters.iter().enumerate() {
        let at = format!("clusters[{i}]");
        match spec.state {
            Presence::Present => {
                if let Some(ClusterRegistrySpec::Own(own)) = &spec.registry {
                    registries.push(check_own_registry(spec, own, &at, &document.registries, &mut errors));
                }
                clusters.push(check_cluster(spec, &at, &mut errors));
            }
            Presence::Absent => absent.extend(absent_cluster(spec, &at, &mut errors)),
        }
    }
    let groups: Vec<_> = (document.groups.iter().enumerate())
        .map(|(i, spec)| group(spec, format!("groups[{i}]"), &mut errors))
        .collect();
    let mut projects = Vec::new();
    for (i, spec) in document.projects.iter().enumerate() {
        let at = format!("projects[{i}]");
        match spec.state {
            Presence::Present => projects.push(project(spec, &at, &mut absent, &mut errors)),
            Presence::Absent => absent.extend(absent_project(spec, &at, &mut errors)),
        }
    }
    distinct(
        "registries",
        "registry",
        document.registries.iter().map(|r| r.name.as_str()),
        &mut errors,
    );
    distinct(
        "clusters",
        "cluster",
        document.clusters.iter().map(|c| c.name.as_str()),
        &mut errors,
    );
    distinct(
        "groups",
        "group",
        document.groups.iter().map(|g| g.name.as_str()),
        &mut errors,
    );
    distinct(
        "projects",
        "project",
        document.projects.iter().map(|p| p.name.as_str()),
        &mut errors,
    );
    let connections = whole(registries).zip(whole(clusters));
    match (workspace, connections, whole(groups), whole(projects)) {
        (Some(workspace), Some((registries, clusters)), Some(groups), Some(projects)) if errors.is_empty() => {
            Ok(Checked {
                workspace,
                registries,
                clusters,
                groups,
                projects,
                absent,
            })
        }
        _ => Err(errors),
    }
}

pub(crate) fn missing(at: &str, field: &str, errors: &mut FieldErrors) {
    errors.add(at, format!("The field {field} is missing."));
}

fn whole<T>(parts: Vec<Option<T>>) -> Option<Vec<T>> {
    parts.into_iter().collect()
}

pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(at: &str, text: &str, errors: &mut FieldErrors) -> Option<T> {
    text.parse().map_err(|e: T::Err| errors.add(at, e.to_string())).ok()
}

fn distinct<'a>(at: &str, what: &str, names: impl Iterator<Item = &'a str>, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for (i, name) in names.enumerate() {
        if !seen.insert(name) {
            errors.add(
                format!("{at}[{i}].name"),
                format!("There are two entries for {what} {name}. Join them into one."),
            );
        }
    }
}

fn group(spec: &GroupSpec, at: String, errors: &mut FieldErrors) -> Option<CheckedGroup> {
    let name = parse(&format!("{at}.name"), &spec.name, errors)?;
    Some(CheckedGroup {
        members: spec.members.iter().map(|email| normalised_email(email)).collect(),
        at,
        name,
    })
}

/// Roles in a project, by address.
fn roles(given: &[(String, String)], at: &str, errors: &mut FieldErrors) -> Vec<(String, Option<Role>)> {
    let mut roles: Vec<(String, Option<Role>)> = Vec::new();
    for (email, role) in given {
        let at = format!("{at}.roles.{email}");
        let email = normalised_email(email);
        if roles.iter().any(|(known, _)| *known == email) {
            errors.add(&at, format!("There are two entries for {email}. Join them into one."));
        }
        match role.as_str() {
            "none" => roles.push((email, None)),
            role => match role.parse() {
                Ok(role) => roles.push((email, Some(role))),
                Err(_) => errors.add(at, "Choose one of viewer, developer, approver, admin and none."),
            },
        }
    }
    roles
}

fn project<'a, S>(
    spec: &'a ProjectSpec<S>,
    at: &str,
    absent: &mut Vec<Absent>,
    errors: &mut FieldErrors,
) -> Option<CheckedProject<'a, S>> {
    let name: Option<Name> = parse(&format!("{at}.name"), &spec.name, errors);
    let Some(repository) = &spec.repository else {
        missing(at, "repository", errors);
        return None;
    };
    let branch = repository.branch.clone().unwrap_or_else(|| "main".into());
    let path_template = spec
        .path_template
        .clone()
        .unwrap_or_else(|| "environments/{environment}/values.yaml".into());
    let values_prefix = spec.values_prefix.clone().unwrap_or_default();
    let is_path = path(&path_template);
    if is_path.is_ok() {
        for (i, environment) in spec.environments.iter().enumerate() {
            // What is no name or no key is told where it is read.
            let (field, key) = match &environment.key {
                Some(key) => ("key", key.parse::<Key>().ok()),
                None => (
                    "name",
                    environment.name.parse::<Name>().ok().map(|name| Key::from(&name)),
                ),
            };
            if let Some(Err(why)) = key.map(|key| path_of(&path_template, &key)) {
                errors.add(format!("{at}.environments[{i}].{field}"), why);
            }
        }
    }
    for (field, outcome) in [
        ("repository.url", repository_url(&repository.url).map_err(str::to_owned)),
        ("repository.branch", branch_name(&branch).map_err(str::to_owned)),
        ("pathTemplate", is_path),
        ("valuesPrefix", prefix(&values_prefix).map_err(str::to_owned)),
        (
            "commitSubject",
            spec.commit_subject
                .as_deref()
                .map_or(Ok(()), commit_template::check_subject),
        ),
        (
            "authorAddress",
            spec.author_address
                .as_deref()
                .map_or(Ok(()), commit_template::check_author),
        ),
    ] {
        if let Err(why) = outcome {
            errors.add(format!("{at}.{field}"), why);
        }
    }
    let credentials = match &repository.credentials {
        Some(spec) => Some(credentials(spec, &format!("{at}.repository.credentials"), errors)),
        None => None,
    };
    let roles = spec.roles.as_ref().map(|given| roles(given, at, errors));
    let mut environments = Vec::new();
    for (i, spec) in spec.environments.iter().enumerate() {
        let at = format!("{at}.environments[{i}]");
        match spec.state {
            Presence::Present => environments.push(environment(spec, name.as_ref(), &at, absent, errors)),
            Presence::Absent => absent.extend(absent_environment(spec, name.as_ref(), &at, errors)),
        }
    }
    let names = spec.environments.iter().map(|e| e.name.as_str());
    distinct(&format!("{at}.environments"), "environment", names, errors);
    let credentials = match credentials {
        Some(None) => return None,
        Some(some) => some,
        None => None,
    };
    Some(CheckedProject {
        at: at.to_owned(),
        name: name?,
        repository_url: repository.url.clone(),
        branch,
        path_template,
        values_prefix,
        commit_subject: spec.commit_subject.clone(),
        author_address: spec.author_address.clone(),
        credentials,
        roles,
        environments: whole(environments)?,
    })
}

fn repository_url(url: &str) -> Result<(), &'static str> {
    const WHY: &str =
        "Write the repository's address: https://…, http://…, ssh://…, user@host:path, file://… or an absolute path.";
    if url.chars().any(|c| is_invisible(c) || c.is_whitespace()) {
        return Err(WHY);
    }
    if let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) {
        let host = rest.split('/').next().unwrap_or_default();
        if host.contains('@') || rest.contains(['?', '#']) {
            return Err("Leave user, password and token out of the address and write them under credentials.");
        }
        return if !is_host(host) || !rest.contains('/') {
            Err(WHY)
        } else {
            allowed(host)
        };
    }
    if let Some(rest) = url.strip_prefix("ssh://") {
        let (authority, path) = rest.split_once('/').ok_or(WHY)?;
        if authority
            .split('@')
            .next()
            .is_some_and(|user| user.contains(':') && authority.contains('@'))
        {
            return Err("Leave the password out of the address; SSH signs in with a key, under credentials.");
        }
        let host = authority.rsplit('@').next().unwrap_or_default();
        return if !is_host(host) || authority.starts_with('-') || path.is_empty() {
            Err(WHY)
        } else {
            allowed(host)
        };
    }
    if url.strip_prefix("file://").unwrap_or(url).starts_with('/') {
        return Ok(());
    }
    // What remains is scp's form. `name::address` would be a transport helper of Git's, a program to run.
    let (host, path) = url.split_once(':').ok_or(WHY)?;
    let (user, host) = host.split_once('@').ok_or(WHY)?;
    let word = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    let fine = word(user) && word(host) && !path.is_empty() && !path.starts_with([':', '-']);
    if fine { allowed(host) } else { Err(WHY) }
}

/// Characters of a host with its port. Others are read as something else by some: `%` as an escape, `\` as a slash.
fn is_host(host: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !host.is_empty() && !host.starts_with('-') && host.bytes().all(fine)
}

pub(crate) fn allowed(host: &str) -> Result<(), &'static str> {
    if outside::is_forbidden(host) {
        Err(outside::WHY)
    } else {
        Ok(())
    }
}

/// The rules of `git check-ref-format` that a branch name can break.
fn branch_name(branch: &str) -> Result<(), &'static str> {
    let bad = branch.is_empty()
        || branch == "@"
        || branch.starts_with(['-', '/'])
        || branch.ends_with(['/', '.'])
        || ["..", "//", "@{"].iter().any(|bad| branch.contains(bad))
        || branch
            .split('/')
            .any(|part| part.starts_with('.') || part.ends_with(".lock"))
        || branch
            .chars()
            .any(|c| is_invisible(c) || c.is_whitespace() || "~^:?*[\\".contains(c));
    if bad {
        Err("Write the name of a branch, for example main.")
    } else {
        Ok(())
    }
}

fn path(template: &str) -> Result<(), String> {
    let filled = template.replace("{environment}", "e");
    if filled == template {
        return Err("Write {environment} where the environment's name goes, for example environments/{environment}/values.yaml.".into());
    }
    if filled.contains(['{', '}']) {
        return Err("The only placeholder here is {environment}.".into());
    }
    if template.len() > 512 {
        return Err("Write a path of at most 512 characters.".into());
    }
    repository_path::check(&filled).map_err(|why| format!("This path can't be used: {why}."))
}

/// A template may be fine by itself, and the path that an environment's key makes of it be Git's own: `.g{environment}` with `it`.
pub(crate) fn path_of(template: &str, environment: &Key) -> Result<(), String> {
    environment.check_in_path().map_err(|why| why.to_string())?;
    let path = template.replace("{environment}", environment.as_str());
    repository_path::check(&path).map_err(|why| {
        format!("The path of its values file, {path}, can't be used: {why}. Choose another name, key or path template.")
    })
}

fn prefix(prefix: &str) -> Result<(), &'static str> {
    let key = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if prefix.is_empty() || (prefix.len() <= 253 && prefix.split('.').all(key)) {
        Ok(())
    } else {
        Err("Write keys of letters, digits, hyphens and underscores, joined by dots, for example lucity-app.")
    }
}

fn credentials<'a, S>(
    spec: &'a CredentialsSpec<S>,
    at: &str,
    errors: &mut FieldErrors,
) -> Option<CheckedCredentials<'a, S>> {
    match (&spec.user, &spec.token, &spec.ssh_key, &spec.known_hosts) {
        (Some(user), Some(token), None, None) => {
            if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
                errors.add(
                    format!("{at}.user"),
                    "Write a user name without a colon, for example x-access-token.",
                );
                return None;
            }
            Some(CheckedCredentials::UserToken(user.clone(), token))
        }
        (None, None, Some(key), known_hosts) => Some(CheckedCredentials::SshKey(key, known_hosts.as_ref())),
        _ => {
            errors.add(at, "Give either user and token, or sshKey with or without knownHosts.");
            None
        }
    }
}

/// A key that may be left out.
fn key(given: Option<&String>, at: &str, errors: &mut FieldErrors) -> Option<Option<Key>> {
    given.map_or(Some(None), |key| parse(&format!("{at}.key"), key, errors).map(Some))
}

fn environment(
    spec: &EnvironmentSpec,
    project: Option<&Name>,
    at: &str,
    absent: &mut Vec<Absent>,
    errors: &mut FieldErrors,
) -> Option<CheckedEnvironment> {
    let name: Option<Name> = parse(&format!("{at}.name"), &spec.name, errors);
    let key = key(spec.key.as_ref(), at, errors);
    only_when_absent(spec.remove_from_git, spec.pin_followers, at, errors);
    check_images(spec, at, errors);
    let cluster = match &spec.cluster {
        Some(cluster) => parse(&format!("{at}.cluster"), cluster, errors),
        None => {
            missing(at, "cluster", errors);
            None
        }
    };
    let restricted_to: Vec<_> = (spec.restricted_to.iter().enumerate())
        .map(|(i, group)| parse(&format!("{at}.restrictedTo[{i}]"), group, errors))
        .collect();
    let mut resources = Vec::new();
    for (i, resource) in spec.resources.iter().enumerate() {
        let at = format!("{at}.resources[{i}]");
        match resource.state {
            Presence::Present => resources.push(check_resource(resource, &spec.name, &at, errors)),
            Presence::Absent => absent.extend(absent_resource(resource, project, name.as_ref(), &at, errors)),
        }
    }
    distinct(
        &format!("{at}.resources"),
        "resource",
        spec.resources.iter().map(|r| r.name.as_str()),
        errors,
    );
    Some(CheckedEnvironment {
        at: at.to_owned(),
        name: name?,
        key: key?,
        cluster: cluster?,
        protected: spec.protected,
        policy: spec.policy.clone(),
        restricted_to: whole(restricted_to)?,
        mirror: spec.mirror.clone(),
        tags: spec.tags.clone(),
        create_file: spec.create_file,
        resources: whole(resources)?,
    })
}

fn check_resource(
    spec: &ResourceSpec,
    environment: &str,
    at: &str,
    errors: &mut FieldErrors,
) -> Option<CheckedResource> {
    let name = parse(&format!("{at}.name"), &spec.name, errors);
    let key = key(spec.key.as_ref(), at, errors);
    only_when_absent(spec.remove_from_git, spec.pin_followers, at, errors);
    let Some(source) = &spec.source else {
        missing(at, "source", errors);
        return None;
    };
    let SourceSpec { image, tags, promote } = source;
    let source = match (image, promote) {
        (Some(repository), None) => {
            let repository = parse(&format!("{at}.source.image"), repository, errors);
            let tags = match tags {
                Some(spec) => check_tags(spec, &format!("{at}.source.tags"), errors).map(Some),
                None => Some(None),
            };
            repository
                .zip(tags)
                .map(|(repository, tags)| CheckedSource::Image(repository, tags))
        }
        (None, None) | (Some(_), Some(_)) => {
            errors.add(format!("{at}.source"), "Give either image or promote.");
            None
        }
        (None, Some(from)) => {
            if tags.is_some() {
                let why = "What is promoted has its image from its source. Say which tags count where that source is an image.";
                errors.add(format!("{at}.source.tags"), why);
            }
            let from_environment = parse(&format!("{at}.source.promote.environment"), &from.environment, errors);
            let from_resource = parse(&format!("{at}.source.promote.resource"), &from.resource, errors);
            if from.environment == environment {
                let why =
                    format!("{environment} can't be promoted from itself. Name another environment of the project.");
                errors.add(format!("{at}.source.promote.environment"), why);
            }
            if let Some(kind) = spec.kind.as_ref().filter(|kind| !kind.is_promotable()) {
                let why = format!("{} Give it an image as its source.", kind.refusal("This"));
                errors.add(format!("{at}.kind"), why);
            }
            from_environment
                .zip(from_resource)
                .map(|(e, r)| CheckedSource::Promote(e, r))
        }
    };
    let binding = match &spec.binding {
        None => Some(None),
        Some(BindingSpec::Latest) => Some(Some(Binding::TrackLatest)),
        Some(BindingSpec::Pin(digest)) => {
            parse(&format!("{at}.binding.pin"), digest, errors).map(|digest| Some(Binding::Pin(digest)))
        }
    };
    let runtime = spec
        .runtime
        .as_ref()
        .map(|spec| runtime(spec, &format!("{at}.runtime"), errors));
    Some(CheckedResource {
        at: at.to_owned(),
        name: name?,
        key: key?,
        kind: spec.kind.clone(),
        source: source?,
        binding: binding?,
        runtime,
    })
}

fn check_tags(spec: &TagsSpec, at: &str, errors: &mut FieldErrors) -> Option<TagRule> {
    let TagsSpec {
        semver,
        pattern,
        only,
        leave_out,
    } = spec;
    let (order, field) = match (semver, pattern, only) {
        (None, None, None) => (TagOrder::BuildTime, "leaveOut"),
        (Some(range), None, None) => {
            let range = (range.trim() != "*").then(|| range.clone());
            (TagOrder::SemVer { range }, "semver")
        }
        (None, Some(pattern), None) => {
            let pattern = pattern.clone();
            (TagOrder::Pattern { pattern }, "pattern")
        }
        (None, None, Some(tag)) => {
            let tag = parse(&format!("{at}.only"), tag, errors)?;
            (TagOrder::Only { tag }, "only")
        }
        _ => {
            errors.add(at, "Give at most one of semver, pattern and only.");
            return None;
        }
    };
    let rule = TagRule {
        order,
        leave_out: leave_out.clone(),
    };
    if let Err(wrong) = sources::check_tag_rule(&rule) {
        for error in wrong.0 {
            let field = if error.field == "leave_out" { "leaveOut" } else { field };
            errors.add(format!("{at}.{field}"), error.message);
        }
        return None;
    }
    Some(rule)
}

/// The form's rules, said about the document's fields.
fn runtime(spec: &RuntimeSpec, at: &str, errors: &mut FieldErrors) -> Runtime {
    let draft = ResourceDraft {
        replicas: spec.replicas.map(|n| n.to_string()).unwrap_or_default(),
        ports: spec.ports.iter().map(u16::to_string).collect(),
        env: (spec.env.iter())
            .map(|(name, value)| VariableDraft {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
        ingress_host: spec.ingress_host.clone().unwrap_or_default(),
        size: spec.size.map(|size| size.as_str().to_owned()).unwrap_or_default(),
        health_path: spec.health_path.clone().unwrap_or_default(),
        ..ResourceDraft::default()
    };
    let mut found = FieldErrors::default();
    let runtime = draft.check_runtime(&mut found);
    for error in found.0 {
        let index = error
            .field
            .strip_prefix("env[")
            .and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
        let field = match (index.and_then(|i| spec.env.get(i)), error.field.as_str()) {
            (Some((name, _)), _) => format!("env.{name}"),
            (None, "ingress_host") => "ingressHost".into(),
            (None, "health_path") => "healthPath".into(),
            (None, other) => other.to_owned(),
        };
        errors.add(format!("{at}.{field}"), error.message);
    }
    runtime
}
