//! Compares a document with what is stored and says what to write, and the changes in words. Pure: no I/O, so that `--dry-run`
//! and the real thing can't differ.

use crate::{
    ports::clock::Ids,
    service::{
        configure::apply::{
            absent::{Absent, in_order, words},
            check::{
                Checked, CheckedCredentials, CheckedEnvironment, CheckedProject, CheckedResource, CheckedSource,
                path_of,
            },
            differences::Differences,
            document::SecretText,
            people::{PlannedPeople, StoredPeople},
        },
        gates,
        reach::{SealedCredentials, credentials_context},
    },
    store::{ClusterRecord, ProjectRecord, RegistryRecord},
};
use contract::error::AppError;
use domain::{
    artifact::Digest,
    draft::taken_key,
    environment::{Environment, Project, Workspace},
    field::FieldErrors,
    follow,
    id::{ClusterId, EnvironmentId, ProjectId, ResourceId, WorkspaceId},
    key::Key,
    name::Name,
    policy::Policy,
    removal::Removable,
    resource::{Binding, Kind, Resource, Runtime, Source},
    tag_rule::TagRule,
    time::Timestamp,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// One changed thing, in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedChange {
    /// Whether it is new.
    pub sign: Sign,
    /// What it is, and what changes about it: `cluster local: argocd url a → b`.
    pub what: String,
}

/// What happens to a thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// It is new.
    Create,
    /// It is there already and becomes different.
    Change,
    /// It goes away.
    Remove,
}

impl fmt::Display for PlannedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.sign {
            Sign::Create => "create",
            Sign::Change => "change",
            Sign::Remove => "remove",
        };
        write!(f, "{verb} {}", self.what)
    }
}

/// What is stored, with its secrets open. A secret that can't be opened (the key was replaced) is `None` and so is sealed anew.
pub(crate) struct Stored {
    pub(crate) workspace: Option<Workspace>,
    pub(crate) registries: Vec<StoredRegistry>,
    pub(crate) clusters: Vec<StoredCluster>,
    pub(crate) projects: Vec<StoredProject>,
    pub(crate) people: StoredPeople,
    pub(crate) roots: Vec<Name>,
}

pub(crate) struct StoredCluster {
    pub(crate) record: ClusterRecord,
    pub(crate) argocd_token: Option<SecretString>,
}

pub(crate) struct StoredRegistry {
    pub(crate) record: RegistryRecord,
    pub(crate) pull_password: Option<SecretString>,
    pub(crate) push_password: Option<SecretString>,
}

pub(crate) struct StoredProject {
    pub(crate) record: ProjectRecord,
    pub(crate) credentials: Option<SecretString>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) resources: Vec<Resource>,
}

/// What a plan is made with.
pub(crate) struct PlanContext<'a> {
    pub(crate) ids: &'a dyn Ids,
    pub(crate) now: Timestamp,
    /// The names of the workspace's own trusted roots.
    pub(crate) roots: &'a [Name],
    pub(crate) seal: &'a super::Seal<'a>,
}

/// What to write, in this order.
pub(crate) struct Plan {
    pub(crate) changes: Vec<PlannedChange>,
    pub(crate) workspace: Workspace,
    pub(crate) creates_workspace: bool,
    pub(crate) registries: Vec<RegistryRecord>,
    pub(crate) clusters: Vec<ClusterRecord>,
    pub(crate) projects: Vec<ProjectRecord>,
    pub(crate) environments: Vec<Environment>,
    /// Sources before their followers.
    pub(crate) new_resources: Vec<(ProjectId, Resource)>,
    pub(crate) changed_resources: Vec<(ProjectId, Resource)>,
    pub(crate) pins: Vec<(ProjectId, EnvironmentId, ResourceId, Digest)>,
    /// Environments whose policy is another than before.
    pub(crate) policies: Vec<(ProjectId, EnvironmentId)>,
    /// Resources of the document: id, whether they are new or follow something else now.
    pub(crate) resources: Vec<(ResourceId, bool)>,
    /// Resources for which other tags count than before.
    pub(crate) counts_otherwise: Vec<ResourceId>,
    /// Clusters for whose resources images of other platforms count than before.
    pub(crate) counts_otherwise_on: Vec<ClusterId>,
    /// Groups, roles in projects, restrictions.
    pub(crate) people: PlannedPeople,
    /// The projects of the document.
    pub(crate) project_ids: HashMap<Name, ProjectId>,
    /// The environments of those.
    pub(crate) environment_ids: HashMap<(ProjectId, Name), EnvironmentId>,
    /// Those whose values file may be made.
    pub(crate) create_file: HashSet<EnvironmentId>,
    /// What is deleted after all of that, in this order, each with its place among the changes: those who follow before those whom
    /// they follow.
    pub(crate) removals: Vec<(Absent, usize)>,
    /// Project and name of the environments that are deleted.
    leaving: HashSet<(Name, Name)>,
}

pub(crate) fn plan(
    document: &Checked<'_, SecretText>,
    stored: &Stored,
    means: &PlanContext<'_>,
) -> Result<Plan, AppError> {
    let workspace = stored.workspace.clone().unwrap_or_else(|| Workspace {
        id: WorkspaceId(means.ids.next()),
        name: document.workspace.clone(),
    });
    let mut plan = Plan {
        changes: Vec::new(),
        creates_workspace: stored.workspace.is_none() && !document.is_absent(),
        registries: Vec::new(),
        clusters: Vec::new(),
        projects: Vec::new(),
        environments: Vec::new(),
        new_resources: Vec::new(),
        changed_resources: Vec::new(),
        pins: Vec::new(),
        policies: Vec::new(),
        resources: Vec::new(),
        counts_otherwise: Vec::new(),
        counts_otherwise_on: Vec::new(),
        people: PlannedPeople::default(),
        project_ids: HashMap::new(),
        environment_ids: HashMap::new(),
        create_file: HashSet::new(),
        removals: Vec::new(),
        leaving: (document.absent.iter())
            .filter(|absent| absent.what == Removable::Environment)
            .filter_map(|absent| Some((absent.project.clone()?, absent.name.clone())))
            .collect(),
        workspace,
    };
    if plan.creates_workspace {
        plan.create(format!("workspace {}", document.workspace));
    }
    let mut errors = FieldErrors::default();
    let clusters = plan.connections(document, stored, means, &mut errors)?;
    for project in &document.projects {
        plan.project(project, stored, &clusters, means, &mut errors)?;
    }
    for absent in in_order(&document.absent, stored) {
        plan.removals.push((absent.clone(), plan.changes.len()));
        plan.changes.push(PlannedChange {
            sign: Sign::Remove,
            what: words(absent),
        });
    }
    plan.check_repositories(document, stored, &mut errors);
    plan.people(document, &stored.people, means.ids, &mut errors);
    errors.into_result()?;
    Ok(plan)
}

pub(crate) fn same(a: Option<&SecretString>, b: Option<&SecretString>) -> bool {
    a.map(ExposeSecret::expose_secret) == b.map(ExposeSecret::expose_secret)
}

impl Plan {
    pub(crate) fn create(&mut self, what: String) {
        self.changes.push(PlannedChange {
            sign: Sign::Create,
            what,
        });
    }

    /// Notes the differences; whether there are any.
    pub(crate) fn change(&mut self, what: &str, differences: &Differences) -> bool {
        let words = differences.words();
        if words.is_empty() {
            return false;
        }
        let what = format!("{what}: {words}");
        self.changes.push(PlannedChange {
            sign: Sign::Change,
            what,
        });
        true
    }

    fn project(
        &mut self,
        spec: &CheckedProject<'_, SecretText>,
        stored: &Stored,
        clusters: &HashMap<Name, ClusterId>,
        means: &PlanContext<'_>,
        errors: &mut FieldErrors,
    ) -> Result<(), AppError> {
        let before = stored.projects.iter().find(|p| p.record.project.name == spec.name);
        let id = before.map_or_else(|| ProjectId(means.ids.next()), |p| p.record.project.id);
        self.project_ids.insert(spec.name.clone(), id);
        let credentials = spec.credentials.as_ref().map(credentials_json);
        let known = before.and_then(|b| b.credentials.as_ref());
        let kept = before.and_then(|b| b.record.credentials.clone());
        let same_credentials = same(known, credentials.as_ref()) && kept.is_some() == credentials.is_some();
        let project = Project {
            id,
            workspace: self.workspace.id,
            name: spec.name.clone(),
            repository_url: spec.repository_url.clone(),
            branch: spec.branch.clone(),
            path_template: spec.path_template.clone(),
            values_prefix: spec.values_prefix.clone(),
            commit_subject: spec.commit_subject.clone(),
            author_address: spec.author_address.clone(),
        };
        let sealed = match &credentials {
            _ if same_credentials => kept,
            Some(json) => Some((means.seal)(&credentials_context(id), json)?),
            None => None,
        };
        let record = ProjectRecord {
            project,
            credentials: sealed,
            tip: None,
            problem: None,
        };
        let changed = if let Some(before) = before {
            let (old, new) = (&before.record.project, &record.project);
            let mut differences = Differences::default();
            differences.compare("repository", &old.repository_url, &new.repository_url);
            differences.compare("branch", &old.branch, &new.branch);
            differences.compare("path template", &old.path_template, &new.path_template);
            differences.compare("values prefix", &old.values_prefix, &new.values_prefix);
            differences.option(
                "commit subject",
                old.commit_subject.as_ref(),
                new.commit_subject.as_ref(),
            );
            differences.option(
                "author address",
                old.author_address.as_ref(),
                new.author_address.as_ref(),
            );
            differences.hidden("credentials", !same_credentials);
            self.change(&format!("project {}", spec.name), &differences)
        } else {
            self.create(format!("project {}", spec.name));
            true
        };
        // Those of the document were held against the template with it.
        let kept = before.map(|before| before.environments.iter()).into_iter().flatten();
        for kept in kept.filter(|kept| spec.environments.iter().all(|e| e.name != kept.name || e.key.is_none())) {
            if let Err(why) = path_of(&spec.path_template, &kept.key) {
                errors.add(
                    format!("{}.pathTemplate", spec.at),
                    format!("Environment {}: {why}", kept.name),
                );
            }
        }
        let (environments, resources) = (self.environments.len(), self.new_resources.len());
        let changes = self.changed_resources.len();
        self.environments(spec, id, before, clusters, means, errors);
        let known = before.map(|before| before.resources.as_slice()).unwrap_or_default();
        let is_rekeyed = self.changed_resources[changes..]
            .iter()
            .any(|(_, after)| known.iter().any(|r| r.id == after.id && r.key != after.key));
        // Git may declare already what is new here. Writing the project makes its repository be read again.
        if changed || self.environments.len() > environments || self.new_resources.len() > resources || is_rekeyed {
            self.projects.push(record);
        }
        Ok(())
    }

    fn environments(
        &mut self,
        spec: &CheckedProject<'_, SecretText>,
        project: ProjectId,
        stored: Option<&StoredProject>,
        clusters: &HashMap<Name, ClusterId>,
        means: &PlanContext<'_>,
        errors: &mut FieldErrors,
    ) {
        // What is deleted leaves no gap.
        let existing = stored.map(|s| s.environments.iter()).into_iter().flatten();
        let existing = existing.filter(|e| !self.leaving.contains(&(spec.name.clone(), e.name.clone())));
        let existing: Vec<Environment> = existing.cloned().collect();
        let positions = order(&existing, &spec.environments);
        let mut ids: HashMap<Name, EnvironmentId> = existing.iter().map(|e| (e.name.clone(), e.id)).collect();
        let mut written = HashSet::new();
        let mut keys = Keys::new(
            stored
                .map(|s| s.environments.iter())
                .into_iter()
                .flatten()
                .map(|e| (&e.name, &e.key)),
        );
        let names: Vec<Name> = (existing.iter().map(|e| &e.name))
            .chain(spec.environments.iter().map(|e| &e.name))
            .cloned()
            .collect();
        for environment in &spec.environments {
            let Some(cluster) = clusters.get(&environment.cluster).copied() else {
                let why = format!(
                    "There is no cluster {}. Add it under clusters, or correct the name.",
                    environment.cluster
                );
                errors.add(format!("{}.cluster", environment.at), why);
                continue;
            };
            let before = existing.iter().find(|e| e.name == environment.name);
            let id = before.map_or_else(|| EnvironmentId(means.ids.next()), |e| e.id);
            ids.insert(environment.name.clone(), id);
            if environment.create_file {
                self.create_file.insert(id);
            }
            let policy = match &environment.policy {
                Some(policy) => policy.clone(),
                None => before.map(|old| old.policy.clone()).unwrap_or_default(),
            };
            let at = format!("{}.policy", environment.at);
            gates::check_policy(&policy, &at, &environment.name, &names, means.roots, errors);
            let key = keys.take(&environment.name, environment.key.as_ref());
            let key = match key {
                Ok(key) => key,
                Err((key, other)) => {
                    let why = format!("Environment {other} has the key {key} in Git already. Choose another key.");
                    errors.add(format!("{}.key", environment.at), why);
                    continue;
                }
            };
            let new = Environment {
                id,
                project,
                cluster,
                name: environment.name.clone(),
                key,
                position: positions.get(&environment.name).copied().unwrap_or_default(),
                protected: environment.protected,
                policy,
                mirror: environment.mirror.clone(),
                tags: environment.tags.clone(),
            };
            let what = format!("environment {}/{}", spec.name, environment.name);
            match before {
                None => self.create(what),
                Some(old) => {
                    let mut differences = Differences::default();
                    // Each part by name, so that a new one can't be left out.
                    let Environment {
                        id: _,
                        project: _,
                        cluster,
                        name: _,
                        key,
                        position,
                        protected,
                        policy,
                        mirror,
                        tags,
                    } = old;
                    let cluster_name = |id: ClusterId| {
                        clusters
                            .iter()
                            .find(|(_, c)| **c == id)
                            .map(|(name, _)| name.to_string())
                            .unwrap_or_default()
                    };
                    differences.compare("key", key, &new.key);
                    differences.compare("cluster", &cluster_name(*cluster), &cluster_name(new.cluster));
                    differences.compare("protected", &yes_no(*protected), &yes_no(new.protected));
                    let json = |policy: &Policy| serde_json::to_string(policy).unwrap_or_default();
                    differences.told("policy", *policy != new.policy, &json(policy), &json(&new.policy));
                    differences.mirror(mirror.as_ref(), new.mirror.as_ref());
                    differences.tags(tags, &new.tags);
                    differences.compare("place", &(position + 1), &(new.position + 1));
                    if !self.change(&what, &differences) {
                        continue;
                    }
                }
            }
            if before.map(|old| &old.policy).unwrap_or(&Policy::default()) != &new.policy {
                self.policies.push((project, id));
            }
            written.insert(environment.name.clone());
            self.environments.push(new);
        }
        // Those that the document doesn't name may still have had to make room.
        for old in existing.iter().filter(|e| !written.contains(&e.name)) {
            let position = positions.get(&old.name).copied().unwrap_or(old.position);
            if position != old.position {
                self.environments.push(Environment {
                    position,
                    ..old.clone()
                });
            }
        }
        // Those that leave go last: their own removal then moves nobody up once more.
        let all = stored.map(|s| s.environments.iter()).into_iter().flatten();
        let leaving = all.filter(|e| self.leaving.contains(&(spec.name.clone(), e.name.clone())));
        let last = i64::try_from(positions.len()).unwrap_or(i64::MAX);
        let leaving: Vec<Environment> = (last..)
            .zip(leaving)
            .filter(|(position, old)| *position != old.position)
            .map(|(position, old)| Environment {
                position,
                ..old.clone()
            })
            .collect();
        self.environments.extend(leaving);
        for (name, id) in &ids {
            self.environment_ids.insert((project, name.clone()), *id);
        }
        if errors.is_empty() {
            self.resources(spec, project, stored, &ids, means, errors);
        }
    }

    fn resources(
        &mut self,
        spec: &CheckedProject<'_, SecretText>,
        project: ProjectId,
        stored: Option<&StoredProject>,
        environments: &HashMap<Name, EnvironmentId>,
        means: &PlanContext<'_>,
        errors: &mut FieldErrors,
    ) {
        let existing = stored.map(|s| s.resources.as_slice()).unwrap_or_default();
        let mut known = KnownResources::new(existing, environments);
        let mut keys: HashMap<EnvironmentId, Keys> = HashMap::new();
        let mut wanted: Vec<(&CheckedEnvironment, &CheckedResource, EnvironmentId, ResourceId)> = Vec::new();
        for environment in &spec.environments {
            let Some(at) = environments.get(&environment.name).copied() else {
                continue;
            };
            for resource in &environment.resources {
                let before = existing.iter().find(|r| r.environment == at && r.name == resource.name);
                let id = before.map_or_else(|| ResourceId(means.ids.next()), |r| r.id);
                known.add(id, environment, resource, before);
                wanted.push((environment, resource, at, id));
            }
        }
        let mut new = Vec::new();
        for (environment, resource, at, id) in wanted {
            let before = existing.iter().find(|r| r.id == id);
            let Some(source) = known.source(resource, id, before, errors) else {
                continue;
            };
            let here = keys.entry(at).or_insert_with(|| {
                let here = existing.iter().filter(|r| r.environment == at);
                Keys::new(here.map(|r| (&r.name, &r.key)))
            });
            let key = match here.take(&resource.name, resource.key.as_ref()) {
                Ok(key) => key,
                Err((key, other)) => {
                    let why = taken_key(&environment.name, &other, &key);
                    errors.add(format!("{}.key", resource.at), why);
                    continue;
                }
            };
            let what = format!("resource {}/{}/{}", spec.name, environment.name, resource.name);
            let Some(before) = before else {
                self.create(what);
                self.resources.push((id, true));
                let resource = Resource {
                    id,
                    environment: at,
                    name: resource.name.clone(),
                    key,
                    kind: resource.kind.clone().unwrap_or(Kind::Deployment),
                    source,
                    binding: resource.binding.clone().unwrap_or(Binding::TrackLatest),
                    hold: None,
                    runtime: resource.runtime.clone().unwrap_or_default(),
                    desired: None,
                    desired_at: None,
                    outside: None,
                    unclear: None,
                    live: None,
                    created_at: means.now,
                };
                new.push(resource);
                continue;
            };
            let after = Resource {
                key,
                kind: resource.kind.clone().unwrap_or_else(|| before.kind.clone()),
                source,
                binding: match &resource.binding {
                    // A person held it, and resumes it: a document that is applied again and again doesn't undo that.
                    Some(Binding::TrackLatest) if before.hold.is_some() => before.binding.clone(),
                    Some(binding) => binding.clone(),
                    None => before.binding.clone(),
                },
                runtime: resource.runtime.clone().unwrap_or_else(|| before.runtime.clone()),
                ..before.clone()
            };
            let mut differences = Differences::default();
            differences.compare("key", &before.key, &after.key);
            differences.compare("kind", &before.kind, &after.kind);
            let is_same_place = before.source.is_same_place(&after.source);
            differences.told(
                "source",
                !is_same_place,
                &known.describe(&before.source),
                &known.describe(&after.source),
            );
            let words = |source: &Source| source.tags().map(TagRule::words).unwrap_or_default();
            // Where the image comes from elsewhere, that says it.
            if is_same_place && before.source != after.source {
                differences.told("tags that count", true, &words(&before.source), &words(&after.source));
                self.counts_otherwise.push(id);
            }
            differences.told(
                "binding",
                before.binding != after.binding,
                &binding_words(&before.binding),
                &binding_words(&after.binding),
            );
            for part in runtime_differences(&before.runtime, &after.runtime) {
                differences.hidden(part, true);
            }
            let follows_otherwise = !is_same_place || before.binding != after.binding;
            self.resources.push((id, follows_otherwise));
            if self.change(&what, &differences) {
                if let (Some(digest), true) = (after.pin(), before.pin() != after.pin()) {
                    self.pins.push((project, at, id, digest.clone()));
                }
                self.changed_resources.push((project, after));
            }
        }
        self.new_resources
            .extend(sources_first(new).into_iter().map(|resource| (project, resource)));
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn binding_words(binding: &Binding) -> String {
    match binding {
        Binding::TrackLatest => "latest".into(),
        Binding::Pin(digest) => format!("pin {}", digest.short()),
    }
}

/// Which parts differ; values of environment variables are not shown, people put secrets there.
fn runtime_differences(from: &Runtime, to: &Runtime) -> Vec<&'static str> {
    // Named one by one: a new part doesn't compile until it is compared.
    let Runtime {
        replicas,
        ports,
        env,
        ingress_host,
        size,
        health_path,
    } = from;
    [
        ("replicas", *replicas != to.replicas),
        ("ports", *ports != to.ports),
        ("environment variables", *env != to.env),
        ("ingress host", *ingress_host != to.ingress_host),
        ("size", *size != to.size),
        ("health path", *health_path != to.health_path),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// The place of every environment: in the document's order, with those it doesn't name kept behind the one they followed.
fn order(existing: &[Environment], wanted: &[CheckedEnvironment]) -> HashMap<Name, i64> {
    let mut names: Vec<&Name> = wanted.iter().map(|e| &e.name).collect();
    let mut previous: Option<&Name> = None;
    for environment in existing {
        if !names.contains(&&environment.name) {
            let after = previous
                .and_then(|p| names.iter().position(|n| *n == p))
                .map_or(0, |i| i + 1);
            names.insert(after, &environment.name);
        }
        previous = Some(&environment.name);
    }
    (0_i64..)
        .zip(names)
        .map(|(position, name)| (name.clone(), position))
        .collect()
}

/// The foreign key wants a source to be there before who follows it. There is no circle: that was checked.
fn sources_first(mut waiting: Vec<Resource>) -> Vec<Resource> {
    let mut sorted: Vec<Resource> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let ids: HashSet<ResourceId> = waiting.iter().map(|r| r.id).collect();
        let follows_waiting = |r: &Resource| matches!(r.source, Source::Promote { from } if ids.contains(&from));
        let (later, ready): (Vec<_>, Vec<_>) = waiting.into_iter().partition(follows_waiting);
        if ready.is_empty() {
            sorted.extend(later);
            break;
        }
        sorted.extend(ready);
        waiting = later;
    }
    sorted
}

fn credentials_json(credentials: &CheckedCredentials<'_, SecretText>) -> SecretString {
    let sealed = match credentials {
        CheckedCredentials::UserToken(user, token) => SealedCredentials::UserToken {
            user: user.clone(),
            token: token.expose().to_owned(),
        },
        CheckedCredentials::SshKey(key, known_hosts) => SealedCredentials::SshKey {
            private_key: key.expose().to_owned(),
            known_hosts: known_hosts.map(|lines| lines.expose().to_owned()),
        },
    };
    // Strings in an enum always make JSON.
    serde_json::to_string(&sealed).unwrap_or_default().into()
}

/// Keys in Git of environments, or of an environment's resources: as they are, and as the document wants them.
///
/// A key that something has, or is to have, is taken for all others: things are written one after another, so that what one leaves
/// another can't have at once.
struct Keys {
    had: HashMap<Name, Key>,
    owners: HashMap<Key, Name>,
}

impl Keys {
    fn new<'a>(existing: impl Iterator<Item = (&'a Name, &'a Key)>) -> Self {
        let had: HashMap<Name, Key> = existing.map(|(name, key)| (name.clone(), key.clone())).collect();
        let owners = had.iter().map(|(name, key)| (key.clone(), name.clone())).collect();
        Self { had, owners }
    }

    /// The key of the thing with this name: the one that is given, else the one that it has, else its name. `Err` when it is another's,
    /// with whose.
    fn take(&mut self, name: &Name, given: Option<&Key>) -> Result<Key, (Key, Name)> {
        let key = given.or_else(|| self.had.get(name)).cloned();
        let key = key.unwrap_or_else(|| Key::from(name));
        match self.owners.entry(key.clone()).or_insert_with(|| name.clone()) {
            owner if owner == name => Ok(key),
            other => Err((key, other.clone())),
        }
    }
}

/// All resources of a project as they will be: what sources may name.
struct KnownResources {
    /// Environment, name and kind.
    resources: HashMap<ResourceId, (Name, Name, Kind)>,
    by_name: HashMap<(Name, Name), ResourceId>,
    follows: HashMap<ResourceId, ResourceId>,
    /// Sources of the document that are still to be looked up.
    wanted: Vec<(ResourceId, Name, Name)>,
    linked: bool,
    environments: HashSet<Name>,
    /// Those that others may follow until now.
    were_promotable: HashSet<ResourceId>,
}

impl KnownResources {
    fn new(existing: &[Resource], environments: &HashMap<Name, EnvironmentId>) -> Self {
        let mut known = Self {
            resources: HashMap::new(),
            by_name: HashMap::new(),
            follows: HashMap::new(),
            wanted: Vec::new(),
            linked: false,
            environments: environments.keys().cloned().collect(),
            were_promotable: existing.iter().filter(|r| r.is_promotable()).map(|r| r.id).collect(),
        };
        for resource in existing {
            let environment = environments
                .iter()
                .find(|(_, id)| **id == resource.environment)
                .map(|(name, _)| name);
            let Some(environment) = environment else { continue };
            known
                .by_name
                .insert((environment.clone(), resource.name.clone()), resource.id);
            known.resources.insert(
                resource.id,
                (environment.clone(), resource.name.clone(), resource.kind.clone()),
            );
            if let Source::Promote { from } = resource.source {
                known.follows.insert(resource.id, from);
            }
        }
        known
    }

    fn add(&mut self, id: ResourceId, at: &CheckedEnvironment, spec: &CheckedResource, before: Option<&Resource>) {
        let before = before.map(|r| r.kind.clone());
        let kind = spec.kind.clone().or(before).unwrap_or(Kind::Deployment);
        self.by_name.insert((at.name.clone(), spec.name.clone()), id);
        self.resources.insert(id, (at.name.clone(), spec.name.clone(), kind));
        self.follows.remove(&id);
        if let CheckedSource::Promote(environment, resource) = &spec.source {
            self.wanted.push((id, environment.clone(), resource.clone()));
        }
    }

    /// Links every source of the document, once all are known.
    fn link(&mut self) {
        if std::mem::replace(&mut self.linked, true) {
            return;
        }
        for (id, environment, resource) in std::mem::take(&mut self.wanted) {
            if let Some(from) = self.by_name.get(&(environment, resource)) {
                self.follows.insert(id, *from);
            }
        }
    }

    fn name(&self, id: ResourceId) -> String {
        self.resources
            .get(&id)
            .map(|(e, r, _)| format!("{e}/{r}"))
            .unwrap_or_default()
    }

    fn describe(&self, source: &Source) -> String {
        match source {
            Source::Image { repository, tags: _ } => repository.to_string(),
            Source::Promote { from } => self.name(*from),
        }
    }

    /// The source in the domain's words, when it may be followed.
    fn source(
        &mut self,
        spec: &CheckedResource,
        id: ResourceId,
        before: Option<&Resource>,
        errors: &mut FieldErrors,
    ) -> Option<Source> {
        self.link();
        let own_kind = self.resources.get(&id).map(|(_, _, kind)| kind.clone());
        if let Some(kind) = own_kind.as_ref().filter(|kind| !kind.is_promotable())
            && self.were_promotable.contains(&id)
            && let Some(follower) = self.follows.iter().find(|(_, from)| **from == id).map(|(f, _)| *f)
        {
            let why = format!(
                "{} follows it, and {} Keep the kind that it has.",
                self.name(follower),
                kind.refusal("this")
            );
            errors.add(format!("{}.kind", spec.at), why);
            return None;
        }
        let (environment, resource) = match &spec.source {
            CheckedSource::Image(repository, tags) => {
                let kept = before.and_then(|before| before.source.tags());
                return Some(Source::Image {
                    repository: repository.clone(),
                    tags: tags.as_ref().or(kept).cloned().unwrap_or_default(),
                });
            }
            CheckedSource::Promote(environment, resource) => (environment, resource),
        };
        let at = format!("{}.source", spec.at);
        if let Some(kind) = own_kind.as_ref().filter(|kind| !kind.is_promotable()) {
            let why = format!("{} Give it an image as its source.", kind.refusal(&self.name(id)));
            errors.add(at, why);
            return None;
        }
        let Some(from) = self.by_name.get(&(environment.clone(), resource.clone())).copied() else {
            let (field, why) = if self.environments.contains(environment) {
                (
                    "resource",
                    format!("{environment} has no resource {resource}. Correct the name, or add it."),
                )
            } else {
                (
                    "environment",
                    format!("The project has no environment {environment}. Correct the name, or add it."),
                )
            };
            errors.add(format!("{at}.promote.{field}"), why);
            return None;
        };
        if let Some((_, _, kind)) = self.resources.get(&from).filter(|(_, _, kind)| !kind.is_promotable()) {
            let why = format!(
                "{} Name another resource.",
                kind.refusal(&format!("{environment}/{resource}"))
            );
            errors.add(format!("{at}.promote.resource"), why);
            return None;
        }
        if let Err(cycle) = follow::check(&self.follows, id, from) {
            let circle = cycle.describe(|id| self.name(id));
            errors.add(
                at,
                format!("This would go round in a circle: {circle}. Let one of them take its image from elsewhere."),
            );
            return None;
        }
        Some(Source::Promote { from })
    }
}
