//! Configuration as code: makes a workspace as a document says, all of it or nothing.
//!
//! [`document`] is the shape ([`connection_specs`] of registries and clusters), [`check`] holds it against the rules that need nothing else ([`absent`] for what is to be deleted), [`plan`]
//! compares it with what is stored ([`connections`] does both for registries and clusters). Here the plan is made and written in one transaction. Afterwards resources that should run something are
//! started; that may need Git and registries, so it happens outside of the transaction, and applying again catches up.
//!
//! [`pages`] makes documents of what people type on pages, one thing at a time.

use contract::{
    error::AppError,
    removal::{Removed, Removing},
};

mod absent;
mod check;
mod connection_specs;
mod connections;
mod differences;
mod document;
mod in_form;
mod outlook;
mod pages;
mod people;
mod plan;

use crate::{
    service::{
        access,
        configure::{
            apply::{
                absent::Absent,
                check::Checked,
                outlook::Outlook,
                people::StoredPeople,
                plan::{Plan, PlanContext, Stored, StoredCluster, StoredProject, StoredRegistry},
            },
            start,
        },
        context::{Services, internal},
        gates, observe, queue,
        reach::{
            self, Caller, ProjectPlace, argocd_token_context, credentials_context, not_yours, pull_password_context,
            push_password_context,
        },
        removal,
    },
    store::{NewEvent, ProjectRecord, Tx, Waiting},
};

pub use check::check_document;
pub use document::{Document, SecretRef, SecretText, SecretUse};

use domain::{
    environment::{Environment, Workspace},
    event::{Happened, Subject},
    field::FieldErrors,
    id::{EnvironmentId, ProjectId, ResourceId},
    key::Key,
    name::Name,
    removal::Removable,
    resource::HoldCause,
    rights::{self, Right, Role},
};

pub(super) use connections::check_mirror;
pub(super) use differences::Differences;
pub use pages::TypedSecrets;
pub(super) use pages::{Page, carry_out_page, plan_page};
pub use plan::{PlannedChange, Sign};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, hash_map::Entry};

/// What came of applying a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The workspace.
    pub workspace: Name,
    /// Whether it was only looked at.
    pub dry_run: bool,
    /// What changed, one line per thing; empty when everything was as it should be.
    pub changes: Vec<PlannedChange>,
    /// What could not be started yet although the configuration is in place, and what will fail as things are, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Of a dry run: what would be adopted as it is, and what would be started, a sentence for each resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlook: Vec<String>,
}

/// Makes a workspace as `document` says. What the document doesn't name is left alone; applied again it changes
/// nothing. With `dry_run` it only says what it would change.
///
/// # Errors
/// When the document breaks a rule (nothing is changed then), when the caller isn't an administrator of the workspace
/// (for a new one: when they aren't among `creators`), or when the database fails.
pub async fn apply(
    services: &Services,
    caller: &Caller,
    document: &Document<SecretText>,
    dry_run: bool,
) -> Result<Applied, AppError> {
    let checked = check::check_document(document)?;
    // A dry run promises nothing, so it need not make writers wait.
    may_apply_somewhere(services, caller, &checked.workspace)?;
    let repositories = document.projects.iter().map(|project| project.repository.as_ref());
    check_addresses(
        services,
        repositories.map(|repository| repository.map(|it| it.url.as_str())),
    )
    .await?;
    if !dry_run {
        read_before(services, caller, &checked).await?;
    }
    // What would be deleted is tried, and taken back.
    let mut tx = if dry_run && checked.absent.is_empty() {
        services.store.read().await?
    } else {
        services.write_through(&caller.entrance).await?
    };
    let caller = &reach::as_of(services, &mut *tx, caller).await?;
    let workspace = tx.workspace_by_name(checked.workspace.as_str()).await?;
    may_apply(services, caller, workspace.as_ref(), &checked.workspace)?;
    let stored = stored(services, &mut *tx, workspace).await?;
    for project in &checked.projects {
        may_apply_to(caller, &stored, &project.name)?;
    }
    for absent in checked.absent.iter().filter(|absent| absent.what == Removable::Project) {
        may_apply_to(caller, &stored, &absent.name)?;
    }
    let seal = |context: &str, secret: &SecretString| seal(services, context, secret);
    let means = means(services, &stored, &seal);
    let plan = plan::plan(&checked, &stored, &means)?;
    let mut applied = Applied {
        workspace: checked.workspace.clone(),
        dry_run,
        changes: plan.changes.clone(),
        warnings: Vec::new(),
        outlook: Vec::new(),
    };
    applied.warnings = other_branches(services, &plan, &stored);
    check_new_names(&mut *tx, &plan, &stored).await?;
    let outlook = match dry_run {
        true => Some(Outlook::of(&mut *tx, &plan).await?),
        false => None,
    };
    if dry_run && plan.removals.is_empty() {
        // Git may take its time.
        drop(tx);
        applied.outlook = outlook::foretell(services, outlook).await;
        return Ok(applied);
    }
    let start = to_start(&mut *tx, &plan).await?;
    if plan.changes.is_empty() {
        drop(tx);
    } else {
        write_plan(services, &mut *tx, caller, &plan).await?;
        for (absent, place) in &plan.removals {
            let removed = remove_absent(services, &mut *tx, caller, &plan, absent, dry_run).await?;
            if let Some(change) = applied.changes.get_mut(*place) {
                change.what = detailed(&change.what, &removed);
            }
        }
        if dry_run {
            drop(tx);
            applied.outlook = outlook::foretell(services, outlook).await;
            return Ok(applied);
        }
        tx.commit().await?;
        services.wrote();
        services.connections_changed();
        services.wake.removals.notify_one();
        services.wake.tags.notify_one();
    }
    if !start.is_empty() {
        let caller = with_workspace(caller, &plan);
        let warnings = match start::start_after_apply(services, &caller, start, &plan.create_file).await {
            Ok(warnings) => warnings,
            Err(error) => vec![error.to_string()],
        };
        applied.warnings.extend(warnings.into_iter().map(|why| {
            format!(
                "The configuration is in place, but not everything could be started: {why} Apply again to try again."
            )
        }));
    }
    Ok(applied)
}

/// Where an Application of the document's environments follows another branch than what is committed to.
fn other_branches(services: &Services, plan: &Plan, stored: &Stored) -> Vec<String> {
    let known = stored.projects.iter().map(|project| &project.record);
    let warning = |environment: &Environment| {
        let of = |record: &&ProjectRecord| record.project.id == environment.project;
        let project = plan.projects.iter().find(of).or_else(|| known.clone().find(of))?;
        let changed = plan
            .clusters
            .iter()
            .find(|record| record.cluster.id == environment.cluster);
        let before = stored.clusters.iter().map(|stored| &stored.record);
        let cluster = changed.or_else(|| before.clone().find(|record| record.cluster.id == environment.cluster))?;
        observe::other_branch_warning(services, cluster, &project.project, environment)
    };
    let named = (stored.projects.iter().flat_map(|project| &project.environments))
        .filter(|environment| plan.environments.iter().all(|planned| planned.id != environment.id))
        .filter(|environment| plan.environment_ids.values().any(|id| *id == environment.id));
    plan.environments.iter().chain(named).filter_map(warning).collect()
}

/// Refuses who may neither change nor create a workspace, before they make writers wait.
fn may_apply_somewhere(services: &Services, caller: &Caller, name: &Name) -> Result<(), AppError> {
    caller.check_whole()?;
    match caller.access.iter().find(|(workspace, _)| workspace.name == *name) {
        Some((_, role)) => Ok(rights::check(*role, Right::Administer)?),
        None if services.creators.include(caller) => Ok(()),
        None => Err(not_yours(caller, name)),
    }
}

fn may_apply(services: &Services, caller: &Caller, workspace: Option<&Workspace>, name: &Name) -> Result<(), AppError> {
    may_apply_somewhere(services, caller, name)?;
    match workspace {
        // Names are unique: who may create workspaces learns that this one can't be, as who may not is always told.
        Some(workspace) if caller.role_in(workspace.id).is_none() => Err(not_yours(caller, name)),
        _ => Ok(()),
    }
}

/// Refuses addresses that lead to where nothing may be read: paths of this machine that the configuration doesn't list.
pub(crate) async fn check_addresses(
    services: &Services,
    urls: impl Iterator<Item = Option<&str>>,
) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::default();
    for (i, url) in urls.enumerate() {
        // What is to be deleted needs no address.
        let Some(url) = url else { continue };
        if let Err(refused) = services.git.admit(url).await {
            errors.add(format!("projects[{i}].repository.url"), refused.to_string());
        }
    }
    errors.into_result()
}

/// Deletes what a document says is absent. What is in the way is said at its place in the document.
async fn remove_absent(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    plan: &Plan,
    absent: &Absent,
    dry_run: bool,
) -> Result<Removed, AppError> {
    let text = |name: Option<&Name>| name.map(Name::to_string).unwrap_or_default();
    let target = Removing {
        what: absent.what.to_string(),
        workspace: plan.workspace.name.to_string(),
        project: text(absent.project.as_ref()),
        environment: text(absent.environment.as_ref()),
        name: absent.name.to_string(),
    };
    let removed = removal::remove_in(services, tx, caller, &target, absent.choices, dry_run).await;
    removed.map_err(|error| match error {
        AppError::Conflict(why) => FieldErrors::one(&absent.at, why).into(),
        other => other,
    })
}

/// Refuses names and keys whose blocks are still being removed from Git.
pub(crate) async fn check_new_names(tx: &mut dyn Tx, plan: &Plan, stored: &Stored) -> Result<(), AppError> {
    let known: HashSet<(EnvironmentId, &Key)> = (stored.projects.iter())
        .flat_map(|project| project.environments.iter().map(|e| (e.id, &e.key)))
        .collect();
    for environment in plan.environments.iter().filter(|e| !known.contains(&(e.id, &e.key))) {
        removal::check_is_out_of_git(tx, environment.project, environment, None).await?;
    }
    let rekeyed = plan.changed_resources.iter().filter(|(_, resource)| {
        let mut before = stored.projects.iter().flat_map(|project| &project.resources);
        before.all(|before| before.id != resource.id || before.key != resource.key)
    });
    for (project, resource) in plan.new_resources.iter().chain(rekeyed) {
        let before = stored.projects.iter().flat_map(|project| &project.environments);
        let mut environments = plan.environments.iter().chain(before);
        if let Some(environment) = environments.find(|e| e.id == resource.environment) {
            removal::check_is_out_of_git(tx, *project, environment, Some(resource)).await?;
        }
    }
    Ok(())
}

pub(crate) fn seal(services: &Services, context: &str, secret: &SecretString) -> Result<String, AppError> {
    services.sealer.seal(context, secret).map_err(|e| internal(&e))
}

/// Seals a secret in a context.
pub(crate) type Seal<'a> = dyn Fn(&str, &SecretString) -> Result<String, AppError> + Sync + 'a;

/// What a plan is made with.
pub(crate) fn means<'a>(services: &'a Services, stored: &'a Stored, seal: &'a Seal<'a>) -> PlanContext<'a> {
    PlanContext {
        ids: &*services.ids,
        now: services.now(),
        roots: &stored.roots,
        seal,
    }
}

/// `None` also when it can't be opened: it is then sealed anew from the document.
pub(crate) fn open(services: &Services, context: &str, sealed: Option<&String>) -> Option<SecretString> {
    let opened = services.sealer.open(context, sealed?);
    if opened.is_err() {
        tracing::warn!(%context, "a stored secret can't be opened with the key that is configured");
    }
    opened.ok()
}

pub(crate) async fn stored(
    services: &Services,
    tx: &mut dyn Tx,
    workspace: Option<Workspace>,
) -> Result<Stored, AppError> {
    let mut stored = Stored {
        registries: Vec::new(),
        clusters: Vec::new(),
        projects: Vec::new(),
        people: StoredPeople::default(),
        roots: Vec::new(),
        workspace,
    };
    let Some(workspace) = &stored.workspace else {
        return Ok(stored);
    };
    stored.roots = gates::own_roots(tx, workspace.id).await?;
    for record in tx.clusters(workspace.id).await? {
        let id = record.cluster.id;
        stored.clusters.push(StoredCluster {
            argocd_token: open(services, &argocd_token_context(id), record.argocd_token.as_ref()),
            record,
        });
    }
    for record in tx.registries(workspace.id).await? {
        let id = record.registry.id;
        stored.registries.push(StoredRegistry {
            pull_password: open(services, &pull_password_context(id), record.pull_password.as_ref()),
            push_password: open(services, &push_password_context(id), record.push_password.as_ref()),
            record,
        });
    }
    for record in tx.projects(workspace.id).await? {
        let id = record.project.id;
        stored.projects.push(StoredProject {
            credentials: open(services, &credentials_context(id), record.credentials.as_ref()),
            environments: tx.environments(id).await?,
            resources: tx.resources(id).await?,
            record,
        });
    }
    let projects = stored.projects.iter().map(|project| project.record.project.id);
    stored.people = StoredPeople::read(tx, workspace.id, projects).await?;
    Ok(stored)
}

pub(crate) async fn write_plan(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    plan: &Plan,
) -> Result<(), AppError> {
    let now = services.now();
    let workspace = &plan.workspace;
    if plan.creates_workspace {
        access::create_workspace(tx, workspace, caller.person, now).await?;
    }
    for registry in &plan.registries {
        tx.put_registry(registry).await?;
    }
    for cluster in &plan.clusters {
        tx.put_cluster(cluster).await?;
    }
    for project in &plan.projects {
        tx.put_project(project).await?;
    }
    for environment in &plan.environments {
        tx.put_environment(environment).await?;
    }
    if !plan.registries.is_empty() || !plan.environments.is_empty() {
        // What a registry refused may be allowed by now.
        tx.retry_refused_tags(workspace.id, now).await?;
    }
    plan.people.write(tx, now).await?;
    let event = |subject, happened| NewEvent {
        workspace: workspace.id,
        subject,
        actor: caller.actor.clone(),
        happened,
    };
    let changes = plan.changes.iter().map(ToString::to_string).collect();
    tx.append_event(&event(Subject::default(), Happened::Applied { changes }), now)
        .await?;
    for (project, resource) in &plan.new_resources {
        tx.insert_resource(resource).await?;
        let subject = Subject {
            project: Some(*project),
            environment: Some(resource.environment),
            resource: Some(resource.id),
            promotion: None,
        };
        tx.append_event(&event(subject, Happened::ResourceCreated), now).await?;
    }
    for (_, resource) in &plan.changed_resources {
        tx.update_resource(resource).await?;
    }
    learn_all_anew(services, tx, plan).await?;
    for (project, environment) in &plan.policies {
        let Some(new) = plan.environments.iter().find(|e| e.id == *environment) else {
            continue;
        };
        let subject = Subject {
            project: Some(*project),
            environment: Some(*environment),
            ..Subject::default()
        };
        let policy = Box::new(new.policy.clone());
        tx.append_event(&event(subject, Happened::PolicyChanged { policy }), now)
            .await?;
        tx.wake_waiting(Waiting::Project(*project), now).await?;
    }
    for (project, environment, resource, digest) in &plan.pins {
        let subject = Subject {
            project: Some(*project),
            environment: Some(*environment),
            resource: Some(*resource),
            promotion: None,
        };
        tx.append_event(&event(subject, Happened::PinChanged { to: digest.clone() }), now)
            .await?;
    }
    hold_what_others_start(services, tx, &with_workspace(caller, plan), plan).await
}

/// Reads the repositories of the document's projects. What is applied has them read as if for the first time, when nobody can tell any
/// more what others changed: that is told apart before.
async fn read_before(services: &Services, caller: &Caller, checked: &Checked<'_, SecretText>) -> Result<(), AppError> {
    let mut tx = services.store.read().await?;
    let Some(workspace) = tx.workspace_by_name(checked.workspace.as_str()).await? else {
        return Ok(());
    };
    may_apply(services, caller, Some(&workspace), &checked.workspace)?;
    let known = tx.projects(workspace.id).await?;
    drop(tx);
    for record in known {
        let is_named = checked
            .projects
            .iter()
            .any(|project| project.name == record.project.name);
        // One that was never read has nothing to be told apart.
        if is_named
            && record.tip.is_some()
            && let Err(error) = observe::read_desired(services, record.project.id).await
        {
            tracing::info!(project = %record.project.name, %error, "a repository could not be read before a document was applied");
        }
    }
    Ok(())
}

/// Where other images count than before, what is there already starts nothing.
async fn learn_all_anew(services: &Services, tx: &mut dyn Tx, plan: &Plan) -> Result<(), AppError> {
    if plan.counts_otherwise.is_empty() && plan.counts_otherwise_on.is_empty() {
        return Ok(());
    }
    let workspace = plan.workspace.id;
    let clusters = tx.clusters(workspace).await?;
    for record in tx.projects(workspace).await? {
        let environments = tx.environments(record.project.id).await?;
        for resource in tx.resources(record.project.id).await? {
            let on_changed = environments.iter().any(|environment| {
                environment.id == resource.environment && plan.counts_otherwise_on.contains(&environment.cluster)
            });
            if on_changed || plan.counts_otherwise.contains(&resource.id) {
                let cluster = environments
                    .iter()
                    .find(|e| e.id == resource.environment)
                    .map(|e| e.cluster);
                let platforms = clusters.iter().find(|record| Some(record.cluster.id) == cluster);
                let platforms = platforms.map_or(&[][..], |record| &record.cluster.platforms);
                observe::relearn_after_rule_change(services, tx, workspace, &resource, platforms).await?;
            }
        }
    }
    Ok(())
}

/// Holds what follows its source by itself where the caller may not change what runs: configuring it would start it, sooner or
/// later. Somebody who may resumes it, or applies the same.
async fn hold_what_others_start(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    plan: &Plan,
) -> Result<(), AppError> {
    let follows_otherwise: HashSet<ResourceId> = plan
        .resources
        .iter()
        .filter(|(_, does)| *does)
        .map(|(id, _)| *id)
        .chain(plan.counts_otherwise.iter().copied())
        .collect();
    let mut places: HashMap<ProjectId, ProjectPlace> = HashMap::new();
    for (project, resource) in plan.new_resources.iter().chain(&plan.changed_resources) {
        if !resource.follows_by_itself() || !follows_otherwise.contains(&resource.id) {
            continue;
        }
        let place = match places.entry(*project) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(reach::project_place_by_id(tx, caller, *project).await?),
        };
        let environment = place.environments.iter().find(|e| e.id == resource.environment);
        if environment.is_some_and(|environment| place.may_change(environment).is_err()) {
            let mut resource = resource.clone();
            queue::put_on_hold(services, tx, caller, place, &mut resource, HoldCause::SetUp).await?;
        }
    }
    Ok(())
}

/// Refuses who administers the workspace, but not this project of it.
fn may_apply_to(caller: &Caller, stored: &Stored, name: &Name) -> Result<(), AppError> {
    let mut projects = stored.projects.iter().map(|known| &known.record.project);
    let Some(project) = projects.find(|project| project.name == *name) else {
        return Ok(());
    };
    caller.check_administers(project).map_err(|refused| match refused {
        // Names are unique: who may create projects learns that this one can't be.
        AppError::NotFound(_) => AppError::Forbidden(format!(
            "The name {name} is taken by a project that you may not see. Choose another name, or ask an administrator of it."
        )),
        refused => refused,
    })
}

/// A deletion with what came of it: `resource myapp/staging/api: production/api is pinned to a1b2c3d`.
fn detailed(what: &str, removed: &Removed) -> String {
    let mut more = removed.with.clone();
    if removed.from_git {
        more.push("removed from Git, too".into());
    }
    match more.as_slice() {
        [] => what.to_owned(),
        more => format!("{what}: {}", more.join(", ")),
    }
}

/// The caller as they are after the plan: a new workspace is theirs.
fn with_workspace(caller: &Caller, plan: &Plan) -> Caller {
    let mut caller = caller.clone();
    if plan.creates_workspace {
        caller.access.push((plan.workspace.clone(), Role::Admin));
    }
    caller
}

/// New resources, those that follow something else now, and those that never got anything to run.
async fn to_start(tx: &mut dyn Tx, plan: &Plan) -> Result<Vec<ResourceId>, AppError> {
    let mut start = Vec::new();
    for (id, changed) in &plan.resources {
        let is_idle = match tx.resource(*id).await? {
            _ if *changed => true,
            Some(resource) if resource.desired.is_none() => {
                // What automation couldn't start for want of a file.
                let is_let = resource
                    .hold
                    .as_ref()
                    .is_some_and(|hold| hold.cause == HoldCause::NoFile)
                    && plan.create_file.contains(&resource.environment);
                is_let || tx.promotions_of(*id, 1).await?.is_empty()
            }
            _ => false,
        };
        if is_idle {
            start.push(*id);
        }
    }
    Ok(start)
}
