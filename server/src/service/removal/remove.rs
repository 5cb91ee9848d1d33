//! *Delete*: a resource, an environment, a project, a cluster, a workspace. The row stays for its history, the name is free again,
//! secrets are erased in the same transaction. What runs goes on running: Waybill deletes nothing in a cluster, and Git is left
//! alone unless a person chooses otherwise ([`super::git`]).
//!
//! What is to be removed is found first, with all that goes with it and all that is in the way ([`Removal`]); the page shows that, and
//! carrying it out begins with the same look in its own transaction.

use crate::{
    service::{
        context::{Services, internal},
        reach::{self, Caller},
        removal::{
            find,
            git::{self, find_same_block},
        },
    },
    store::{GitRemoval, NewEvent, Tx},
};
use contract::{
    error::AppError,
    removal::{FollowerView, RemovalView, Removed, Removing},
};
use domain::{
    artifact::ExactImage,
    environment::{Environment, Project, Workspace},
    event::{Happened, Subject},
    field::FieldErrors,
    id::{ChannelId, ClusterId, EnvironmentId, GitRemovalId, ProjectId, RegistryId, ResourceId, UserId},
    name::Name,
    promotion::{Promotion, State},
    removal::{Removable, RemovalChoices},
    resource::{Binding, Resource, Source},
    time::Timestamp,
};

/// Something that is to be removed, with all that it means.
pub(crate) struct Removal {
    pub(super) workspace: Workspace,
    pub(super) subject: Subject,
    pub(super) thing: Thing,
    pub(super) name: Name,
    /// With what it is in: `myapp/staging/api`.
    pub(super) path: String,
    /// What goes with it, `resource api`.
    pub(super) with: Vec<String>,
    /// What is in the way, sentences.
    pub(super) refusals: Vec<String>,
    pub(super) followers: Vec<Follower>,
    /// Promotions that wait, and end with it.
    pub(super) cancels: Vec<Promotion>,
    /// Channels that told of nothing else.
    pub(super) channels: Vec<ChannelId>,
    /// Members who belong nowhere else.
    pub(super) leaving: Vec<UserId>,
    /// Its blocks in Git.
    pub(super) blocks: Option<Blocks>,
}

/// The thing itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Thing {
    Resource(ResourceId),
    Environment(EnvironmentId),
    Project(ProjectId),
    Cluster(ClusterId),
    Registry(RegistryId),
    Workspace,
}

/// A resource elsewhere that follows what is to be removed.
pub(crate) struct Follower {
    pub(super) resource: Resource,
    pub(super) project: ProjectId,
    /// `production/api`.
    pub(super) name: String,
    /// What it would be pinned to.
    pub(super) image: Option<ExactImage>,
    /// Why the caller may not pin it.
    pub(super) refused: Option<AppError>,
}

/// Blocks in a values file.
pub(crate) struct Blocks {
    pub(super) project: Project,
    pub(super) environment: Environment,
    pub(super) services: Vec<String>,
    /// Why the caller may not have them removed: it changes what runs.
    pub(super) refused: Option<AppError>,
}

impl Removal {
    fn what(&self) -> Removable {
        match self.thing {
            Thing::Resource(_) => Removable::Resource,
            Thing::Environment(_) => Removable::Environment,
            Thing::Project(_) => Removable::Project,
            Thing::Cluster(_) => Removable::Cluster,
            Thing::Registry(_) => Removable::Registry,
            Thing::Workspace => Removable::Workspace,
        }
    }

    /// Refuses what is in the way, given what the person chose.
    fn check(&mut self, choices: RemovalChoices) -> Result<(), AppError> {
        let mut refusals = std::mem::take(&mut self.refusals);
        for follower in &mut self.followers {
            let name = &follower.name;
            match (&follower.image, choices.pin_followers) {
                (Some(_), true) => {
                    if let Some(refused) = follower.refused.take() {
                        return Err(refused);
                    }
                }
                (Some(_), false) => refusals.push(format!(
                    "{name} follows {}. Have it pinned to what it runs, let it follow something else, or delete it first.",
                    self.path
                )),
                (None, _) => refusals.push(format!(
                    "{name} follows {}, and runs nothing yet that it could be pinned to. Delete it first.",
                    self.path
                )),
            }
        }
        if !refusals.is_empty() {
            return Err(AppError::Conflict(refusals.join(" ")));
        }
        match &mut self.blocks {
            Some(blocks) if choices.from_git => blocks.refused.take().map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    fn view(&self) -> RemovalView {
        let blocks = self.blocks.as_ref().filter(|blocks| !blocks.services.is_empty());
        let key = match self.thing {
            Thing::Resource(_) => blocks.and_then(|blocks| blocks.services.first()),
            Thing::Environment(_) | Thing::Project(_) | Thing::Cluster(_) | Thing::Registry(_) | Thing::Workspace => {
                None
            }
        };
        RemovalView {
            what: self.what(),
            name: self.name.clone(),
            with: self.with.clone(),
            refusals: self.refusals.clone(),
            followers: (self.followers.iter())
                .map(|follower| FollowerView {
                    name: follower.name.clone(),
                    pin: follower.image.as_ref().map(|image| image.digest.short().to_owned()),
                })
                .collect(),
            cancels: self.cancels.len(),
            key: key.filter(|key| *key != self.name.as_str()).cloned(),
            path: blocks.map(|blocks| blocks.project.values_path(&blocks.environment.key)),
            not_from_git: blocks
                .and_then(|blocks| blocks.refused.as_ref())
                .map(ToString::to_string),
        }
    }
}

/// What removing something means.
///
/// # Errors
/// When there is no such thing for the caller, they may not remove it, or the database fails.
pub async fn removal(services: &Services, caller: &Caller, target: &Removing) -> Result<RemovalView, AppError> {
    let mut tx = services.store.read().await?;
    Ok(find::find_removal(services, &mut *tx, caller, target).await?.view())
}

/// Removes something; its history stays. `typed` is a workspace's name once more.
///
/// # Errors
/// When there is no such thing for the caller, they may not remove it, or something is in the way, which is named. In the field
/// `typed` when a workspace's name was typed otherwise.
pub async fn remove(
    services: &Services,
    caller: &Caller,
    target: &Removing,
    choices: RemovalChoices,
    typed: &str,
) -> Result<Removed, AppError> {
    // Who may not is told before they make writers wait.
    let what = removal(services, caller, target).await?.what;
    if what == Removable::Workspace && typed.trim() != target.name {
        let why = format!("Type the workspace's name, {}, to delete it.", target.name);
        return Err(FieldErrors::one("typed", why).into());
    }
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let removed = remove_in(services, &mut *tx, &caller, target, choices, false).await?;
    tx.commit().await?;
    services.wrote();
    services.connections_changed();
    services.wake.removals.notify_one();
    Ok(removed)
}

/// The same in a transaction that the caller has begun. A trial is one that is taken back: promotions are left as they are, since who
/// counts them would count what never was.
pub(crate) async fn remove_in(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    target: &Removing,
    choices: RemovalChoices,
    is_trial: bool,
) -> Result<Removed, AppError> {
    let mut removal = find::find_removal(services, tx, caller, target).await?;
    removal.check(choices)?;
    let now = services.now();
    let from_git = match choices.from_git {
        true => git_removal_of(services, tx, caller, &removal, now).await?,
        false => None,
    };
    let (what, workspace) = (removal.what(), removal.workspace.id);
    let mut with = std::mem::take(&mut removal.with);
    for follower in &removal.followers {
        if let Some(image) = &follower.image {
            pin_follower(services, tx, caller, &removal, follower, image).await?;
            with.push(format!("{} is pinned to {}", follower.name, image.digest.short()));
        }
    }
    match removal.cancels.len() {
        0 => {}
        1 => with.push("1 promotion that waited is cancelled".into()),
        some => with.push(format!("{some} promotions that waited are cancelled")),
    }
    if !is_trial {
        for promotion in std::mem::take(&mut removal.cancels) {
            cancel_with(tx, caller, promotion, &removal.path, now).await?;
        }
    }
    for channel in &removal.channels {
        tx.remove_channel(*channel).await?;
    }
    if let Some(asked) = &from_git {
        tx.insert_git_removal(asked).await?;
    }
    let from_git = from_git.is_some();
    let event = NewEvent {
        workspace,
        subject: removal.subject,
        actor: caller.actor.clone(),
        happened: Happened::Removed {
            what,
            name: removal.path.clone(),
            with: with.clone(),
            from_git,
        },
    };
    tx.append_event(&event, now).await?;
    let by = &caller.actor;
    match removal.thing {
        Thing::Resource(id) => tx.remove_resource(id, by, now).await?,
        Thing::Environment(id) => tx.remove_environment(id, by, now).await?,
        Thing::Project(id) => {
            git::give_up_git_removals(tx, id, now).await?;
            tx.remove_project(id, by, now).await?;
        }
        Thing::Cluster(id) => tx.remove_cluster(id, by, now).await?,
        Thing::Registry(id) => tx.remove_registry(id, by, now).await?,
        Thing::Workspace => {
            for record in tx.projects(workspace).await? {
                git::give_up_git_removals(tx, record.project.id, now).await?;
            }
            tx.remove_workspace(workspace, by, now).await?;
            for user in &removal.leaving {
                tx.delete_sessions_of(*user, None).await?;
            }
        }
    }
    Ok(Removed {
        what,
        name: removal.name,
        with,
        from_git,
    })
}

/// A follower of what is removed stays on what it runs: its source is the image's repository from now on, and it is pinned.
async fn pin_follower(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    removal: &Removal,
    follower: &Follower,
    image: &ExactImage,
) -> Result<(), AppError> {
    let mut resource = follower.resource.clone();
    resource.source = Source::Image {
        repository: image.repository.clone(),
        // What counted for its source counts for it from now on.
        tags: tx.order_of(resource.id).await?,
    };
    let is_pinned_already = resource.pin() == Some(&image.digest);
    resource.binding = Binding::Pin(image.digest.clone());
    tx.update_resource(&resource).await?;
    // What it is held from following is gone.
    tx.set_hold(resource.id, None).await?;
    if is_pinned_already {
        return Ok(());
    }
    let event = NewEvent {
        workspace: removal.workspace.id,
        subject: Subject::resource(follower.project, &resource),
        actor: caller.actor.clone(),
        happened: Happened::PinChanged {
            to: image.digest.clone(),
        },
    };
    tx.append_event(&event, services.now()).await?;
    Ok(())
}

/// Cancels a promotion of what is removed.
async fn cancel_with(
    tx: &mut dyn Tx,
    caller: &Caller,
    promotion: Promotion,
    path: &str,
    now: Timestamp,
) -> Result<(), AppError> {
    let from = promotion.state;
    let why = format!("{} deleted {path}.", caller.actor.name());
    let cancelled = promotion.cancel(why.as_str(), now).map_err(|e| internal(&e))?;
    tx.update_promotion(&cancelled, from, now).await?;
    let event = NewEvent {
        workspace: cancelled.workspace,
        subject: Subject::promotion(&cancelled),
        actor: caller.actor.clone(),
        happened: Happened::PromotionMoved {
            from,
            to: State::Cancelled,
            detail: Some(why),
        },
    };
    tx.append_event(&event, now).await?;
    Ok(())
}

/// How the blocks of what is removed are to leave Git, if there are any. Refused where something else is written to them.
async fn git_removal_of(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    removal: &Removal,
    now: Timestamp,
) -> Result<Option<GitRemoval>, AppError> {
    let Some(blocks) = removal.blocks.as_ref().filter(|blocks| !blocks.services.is_empty()) else {
        return Ok(None);
    };
    let asked = GitRemoval {
        id: GitRemovalId(services.ids.next()),
        workspace: removal.workspace.id,
        project: blocks.project.id,
        environment: blocks.environment.id,
        environment_name: blocks.environment.name.to_string(),
        repository_url: blocks.project.repository_url.clone(),
        branch: blocks.project.branch.clone(),
        path: blocks.project.values_path(&blocks.environment.key),
        prefix: blocks.project.values_prefix.clone(),
        services: blocks.services.clone(),
        requested_by: caller.actor.clone(),
        attempts: 0,
        created_at: now,
    };
    if let Some(shared) = find_same_block(tx, &asked).await? {
        let role = caller.role_in_project(shared.project.workspace, shared.project.id);
        let who = role.map_or("Another project", |_| shared.path.as_str());
        return Err(AppError::Conflict(format!(
            "{who} is written to the same block. Delete without removing it from Git."
        )));
    }
    Ok(Some(asked))
}
