//! What Git says: read from the repository, kept in the resources, and told to those who follow.

use crate::{
    ports::git::GitError,
    service::{
        context::Services,
        gates,
        observe::{others, seen},
        queue,
        reach::{self, ProjectPlace, find_told_workspace},
        sources::{exact_image, whereabouts},
    },
    store::{NewEvent, ProjectRecord},
};
use contract::error::AppError;
use domain::{
    artifact::{DeclaredImage, ExactImage},
    door::Entrance,
    event::{Happened, Subject},
    id::{EnvironmentId, ProjectId, ResourceId},
    promotion::Actor,
    resource::{Binding, HoldCause, Outside, Resource, Source},
};
use std::collections::{HashMap, HashSet};

/// The projects of a workspace that a push to one of these addresses concerns: none where there is no such workspace.
///
/// # Errors
/// When the database fails.
pub async fn projects_of_push(
    services: &Services,
    workspace: &str,
    addresses: &[String],
    branch: &str,
) -> Result<Vec<ProjectId>, AppError> {
    let mut tx = services.store.read().await?;
    let Some(workspace) = find_told_workspace(&mut *tx, workspace).await? else {
        return Ok(Vec::new());
    };
    let addresses: Vec<String> = addresses.iter().map(|address| whereabouts(address)).collect();
    let concerns = |record: &ProjectRecord| {
        let project = &record.project;
        project.branch == branch && addresses.contains(&whereabouts(&project.repository_url))
    };
    let projects = tx.projects(workspace.id).await?.into_iter().filter(concerns);
    Ok(projects.map(|record| record.project.id).collect())
}

/// Brings the stored desired state of a project up to the tip of its branch; followers of what changed are promoted.
///
/// # Errors
/// When the repository can't be read; the reason is stored with the project too.
pub async fn read_desired(services: &Services, id: ProjectId) -> Result<(), AppError> {
    read_desired_through(services, id, &Entrance::default()).await
}

/// The same, because somebody told that it may have changed.
///
/// # Errors
/// As [`read_desired`].
pub(super) async fn read_desired_through(
    services: &Services,
    id: ProjectId,
    entrance: &Entrance,
) -> Result<(), AppError> {
    let Some(record) = services.store.read().await?.project(id).await? else {
        return Ok(());
    };
    let outcome = read_declarations(services, &record).await;
    let problem = match &outcome {
        Ok(Some(read)) => read.problem.clone(),
        Ok(None) => None,
        // That is no problem of the repository.
        Err(AppError::Unavailable(_)) => record.problem.clone(),
        Err(error) => Some(error.to_string()),
    };
    if problem != record.problem {
        let mut tx = services.store.write().await?;
        tx.set_tip(id, None, problem.as_deref()).await?;
        tx.commit().await?;
    }
    let Some(Declarations {
        tip,
        declared,
        began,
        problem,
        off,
    }) = outcome?
    else {
        return Ok(());
    };
    let (by_tag, all_resolved) = resolve_declared_tags(services, &record, &declared).await?;
    let offered = learn_offered(services, &record, &declared, &by_tag).await?;
    let switched_off = services.store.read().await?.switched_off(id).await?;
    let others = others::find_others_changes(services, &record, &tip, &declared, &off, &switched_off, &by_tag).await?;

    let mut tx = services.write_through(entrance).await?;
    let Some(current) = tx.project(id).await? else {
        return Ok(());
    };
    // Another read was faster, or the project is another now: what this one saw may be older.
    if current.tip != record.tip || current.project != record.project {
        return Ok(());
    }
    let place = reach::place_for_waybill(&mut *tx, current).await?;
    let recorded = tx.declared_after(id, began).await?;
    let committing = tx.committing(id).await?;
    let mut complete = problem.is_none() && all_resolved && offered.all;
    let mut changed = Vec::new();
    let mut learned = Vec::new();
    let mut went_off = HashSet::new();
    let (mut held, mut switched) = (false, false);
    for resource in tx.resources(id).await? {
        let Some(here) = declared.get(&resource.environment) else {
            continue;
        };
        let declared = here.get(resource.key.as_str());
        let (image, unclear) = match (declared.and_then(exact_image), declared) {
            (None, Some(by)) if is_by_tag(by) => match by_tag.get(&resource.id) {
                Some(image) => (Some(image.clone()), None),
                // What it ran last is known, and stays until the registry says otherwise.
                None if resource.desired.is_some() => continue,
                None => (None, Some(unresolved(by))),
            },
            (image, declared) => (image, declared.and_then(|declared| declared.unclear.clone())),
        };
        let unclear = unclear.as_deref();
        let is_off = off.contains(&(resource.environment, resource.key.to_string()));
        let was_off = switched_off.contains(&resource.id);
        // What its commit says is recorded soon. What somebody did since is read then, a switch too: until then a commit that is being made
        // must not take it for known.
        if committing.contains(&resource.id) {
            complete = false;
            continue;
        }
        if image == resource.desired && unclear == resource.unclear.as_deref() {
            if is_off != was_off {
                tx.set_switched_off(resource.id, is_off).await?;
            }
            let goes_off = is_off && !was_off && others.is_some_of(resource.id);
            if goes_off && resource.follows_by_itself() {
                let mut resource = resource;
                let (cause, outside) = (HoldCause::DisabledInGit, others.of(resource.id).cloned());
                queue::hold_for_git(services, &mut *tx, &place, &mut resource, cause, outside, None).await?;
                held = true;
                continue;
            }
            if is_off != was_off {
                let event = switched_in_git(&place, &resource, is_off, &tip, others.of(resource.id));
                tx.append_event(&event, services.now()).await?;
                switched = true;
            }
            if let Some(image) = image.filter(|_| offered.learned.contains(&resource.id)) {
                learned.push((resource, Some(image)));
            }
            continue;
        }
        // A promotion that recorded its commit after this read began knows better.
        if recorded.contains(&resource.id) {
            complete = false;
            continue;
        }
        let now = services.now();
        if is_off != was_off {
            tx.set_switched_off(resource.id, is_off).await?;
            let event = switched_in_git(&place, &resource, is_off, &tip, others.of(resource.id));
            tx.append_event(&event, now).await?;
        }
        if is_off && !was_off && others.is_some_of(resource.id) {
            went_off.insert(resource.id);
        }
        tx.set_desired(resource.id, image.as_ref(), now).await?;
        if let Some(unclear) = unclear {
            tx.set_unclear(resource.id, unclear).await?;
        }
        let outside = others.of(resource.id);
        if let Some(outside) = outside {
            tx.set_outside(resource.id, outside).await?;
        }
        if let Some(image) = &image {
            tx.see_artifact(place.workspace.id, image, now).await?;
        }
        let event = NewEvent {
            workspace: place.workspace.id,
            subject: Subject::resource(id, &resource),
            actor: Actor::Waybill,
            happened: Happened::DesiredChanged {
                image: image.clone(),
                commit: outside.map_or_else(|| tip.clone(), |outside| outside.commit.clone()),
                by: outside.map(|outside| outside.author.clone()),
            },
        };
        tx.append_event(&event, now).await?;
        changed.push((resource, image));
    }
    // What a person does in Git counts like what they do here, unless it is where automation would go.
    let mut is_first = false;
    for (resource, image) in &mut changed {
        let was = std::mem::replace(&mut resource.desired, image.clone());
        // What Git declares of it is known for the first time: what its Application runs can be told by it now.
        is_first |= was.is_none() && image.is_some();
        gates::soak_went_on(&mut *tx, (place.workspace.id, id), resource, services.now()).await?;
        let by_others = was.is_some() && record.tip.is_some() && !others::is_ours(&mut *tx, resource).await?;
        let is_off = went_off.contains(&resource.id);
        if !(by_others || is_off) || resource.binding != Binding::TrackLatest {
            continue;
        }
        let is_there = declared
            .get(&resource.environment)
            .is_some_and(|declared| declared.contains_key(resource.key.as_str()));
        let (cause, renamed) = match (is_there, &was) {
            (false, Some(was)) => {
                let renamed = others::renamed(&mut *tx, &place, resource, was, &declared).await?;
                (HoldCause::RemovedFromGit, renamed)
            }
            _ => (HoldCause::MovedInGit, None),
        };
        let recall = match &*image {
            Some(image) => tx.recall_of(place.workspace.id, &image.digest).await?,
            None => None,
        };
        // A recalled image comes back through Git: what it was held for before is over, and the hold says so.
        if is_there && by_others && recall.is_some() {
            let (cause, outside) = (HoldCause::RecalledInGit, others.of(resource.id).cloned());
            queue::hold_for_git(services, &mut *tx, &place, resource, cause, outside, None).await?;
            continue;
        }
        let stays = is_there
            && (!by_others
                || resource.hold.is_some()
                || others::is_offered(&mut *tx, &place, resource, was.as_ref()).await?);
        let cause = match stays {
            true if is_off && resource.hold.is_none() => HoldCause::DisabledInGit,
            true => continue,
            false => cause,
        };
        let outside = others.of(resource.id).cloned();
        queue::hold_for_git(services, &mut *tx, &place, resource, cause, outside, renamed).await?;
    }
    // Once all of them say what Git says: a follower that the same commits moved along is where it should be.
    for (resource, image) in changed.iter().chain(&learned) {
        if let Some(image) = image {
            queue::follow(services, &mut *tx, &place, resource, image).await?;
        }
    }
    if complete {
        tx.set_tip(id, Some(&tip), None).await?;
    }
    tx.commit().await?;
    if is_first {
        services.wake.adopted.notify_one();
    }
    if !changed.is_empty() || !learned.is_empty() || held || switched {
        services.wrote();
    }
    Ok(())
}

/// Every environment's declarations at the tip; `None` when the tip was read before. A values file that can't be read is a problem of
/// its environment, not of the others.
async fn read_declarations(services: &Services, record: &ProjectRecord) -> Result<Option<Declarations>, AppError> {
    let began = services.store.read().await?.newest_event().await?;
    let access = reach::repository_access(services, record)?;
    let tip = services.git.fetch(&access).await?;
    if record.tip.as_deref() == Some(tip.as_str()) {
        return Ok(None);
    }
    let environments = services.store.read().await?.environments(record.project.id).await?;
    let mut declared = HashMap::new();
    let mut problems = Vec::new();
    let mut off = HashSet::new();
    for environment in environments {
        let path = record.project.values_path(&environment.key);
        match services
            .git
            .services(&access, &tip, &path, &record.project.values_prefix)
            .await
        {
            Ok(blocks) => {
                let blocks = blocks.unwrap_or_default();
                let switched_off = blocks.iter().filter(|service| !service.enabled);
                off.extend(switched_off.map(|service| (environment.id, service.name.clone())));
                let by_key = blocks.into_iter().map(|s| (s.name, s.image)).collect();
                declared.insert(environment.id, by_key);
            }
            Err(error @ GitError::Values { .. }) => problems.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(Declarations {
        tip,
        declared,
        began,
        problem: (!problems.is_empty()).then(|| problems.join(" ")),
        off,
    }))
}

/// The exact images of resources for which Git holds only a tag: what was resolved once stays, a new tag is asked of the registry.
/// The flag is false when a registry could not say.
async fn resolve_declared_tags(
    services: &Services,
    record: &ProjectRecord,
    declared: &HashMap<EnvironmentId, HashMap<String, DeclaredImage>>,
) -> Result<(HashMap<ResourceId, ExactImage>, bool), AppError> {
    let mut tx = services.store.read().await?;
    let resources = tx.resources(record.project.id).await?;
    let registries = tx.registries(record.project.workspace).await?;
    drop(tx);
    let mut images = HashMap::new();
    let mut all = true;
    for resource in resources {
        let image = declared
            .get(&resource.environment)
            .and_then(|declared| declared.get(resource.key.as_str()));
        let Some(image) = image.filter(|image| is_by_tag(image)) else {
            continue;
        };
        let (Some(repository), Some(tag)) = (&image.repository, &image.tag) else {
            continue;
        };
        let stored = resource
            .desired
            .filter(|d| d.repository == *repository && d.tag.as_ref() == Some(tag));
        if let Some(stored) = stored {
            images.insert(resource.id, stored);
            continue;
        }
        // One registry that can't be asked says nothing about the others.
        let resolved = match reach::registry_access(services, &registries, repository) {
            Ok(access) => (services.registry.resolve(&access, repository, tag).await).map_err(AppError::from),
            Err(error) => Err(error),
        };
        match resolved {
            Ok(Some(digest)) => {
                let image = ExactImage {
                    repository: repository.clone(),
                    tag: Some(tag.clone()),
                    digest,
                };
                images.insert(resource.id, image);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(resource = %resource.name, %error, "a declared tag could not be resolved");
                all = false;
            }
        }
    }
    Ok((images, all))
}

/// Asks registries about images that Git declares and that would move followers, where nothing is known of them yet: followers only go
/// to what is newer.
async fn learn_offered(
    services: &Services,
    record: &ProjectRecord,
    declared: &HashMap<EnvironmentId, HashMap<String, DeclaredImage>>,
    by_tag: &HashMap<ResourceId, ExactImage>,
) -> Result<Offered, AppError> {
    let workspace = record.project.workspace;
    let mut tx = services.store.read().await?;
    let resources = tx.resources(record.project.id).await?;
    let mut followers: HashMap<ResourceId, Vec<&Resource>> = HashMap::new();
    for resource in &resources {
        if let Source::Promote { from } = resource.source {
            followers.entry(from).or_default().push(resource);
        }
    }
    let mut unknown: Vec<(ResourceId, ExactImage)> = Vec::new();
    for source in resources.iter().filter(|source| source.is_promotable()) {
        let there = declared.get(&source.environment);
        let image = there.and_then(|there| exact_image(there.get(source.key.as_str())?));
        let Some(image) = image.or_else(|| by_tag.get(&source.id).cloned()) else {
            continue;
        };
        let would_move = |follower: &&Resource| {
            let runs = follower.desired.as_ref();
            follower.follows_by_itself() && runs.is_some_and(|runs| runs.digest != image.digest)
        };
        if followers.get(&source.id).is_some_and(|all| all.iter().any(would_move)) {
            let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
            if known.is_none_or(|known| known.details.is_none()) {
                unknown.push((source.id, image));
            }
        }
    }
    drop(tx);
    let mut offered = Offered {
        learned: HashSet::new(),
        all: true,
    };
    for (source, image) in unknown {
        let mut tx = services.store.write().await?;
        tx.see_artifact(workspace, &image, services.now()).await?;
        tx.commit().await?;
        match seen::learn_details(services, workspace, &image).await {
            Ok(()) => {
                offered.learned.insert(source);
            }
            Err(error) => {
                tracing::warn!(digest = %image.digest, %error, "nothing is known of an image that Git declares");
                offered.all = false;
            }
        }
    }
    Ok(offered)
}

/// What is known of images that others may follow to.
struct Offered {
    /// The resources of whose images it was learned just now.
    learned: HashSet<ResourceId>,
    /// Whether all registries answered.
    all: bool,
}

/// What Git declared at a tip.
struct Declarations {
    tip: String,
    declared: HashMap<EnvironmentId, HashMap<String, DeclaredImage>>,
    /// How far the ledger went when the read began.
    began: i64,
    /// Why environments' values files can't be read, a sentence each.
    problem: Option<String>,
    /// Services that are switched off.
    off: HashSet<(EnvironmentId, String)>,
}

/// Whether Git names an image by a tag only, and by one that says something.
fn is_by_tag(image: &DeclaredImage) -> bool {
    image.unclear.is_none()
        && image.repository.is_some()
        && image.digest.is_none()
        && image.tag.as_ref().is_some_and(|tag| tag.as_str() != "latest")
}

/// Why an image that Git names by a tag only isn't known, a sentence without its full stop.
fn unresolved(by: &DeclaredImage) -> String {
    let tag = by.tag.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("Its registry doesn't say which image the tag {tag} names; correct it in Git, or add the digest")
}

/// That Git switches a service off, or on again, for the ledger.
fn switched_in_git(
    place: &ProjectPlace,
    resource: &Resource,
    off: bool,
    tip: &str,
    outside: Option<&Outside>,
) -> NewEvent {
    NewEvent {
        workspace: place.workspace.id,
        subject: Subject::resource(place.record.project.id, resource),
        actor: Actor::Waybill,
        happened: Happened::SwitchedInGit {
            off,
            commit: outside.map_or_else(|| tip.to_owned(), |outside| outside.commit.clone()),
            by: outside.map(|outside| outside.author.clone()),
        },
    }
}
