//! Finds what is to be removed: who may, what goes with it, what is in the way.

use crate::{
    service::{
        context::Services,
        reach::{self, Caller, EnvironmentPlace, ProjectPlace, not_found},
        removal::remove::{Blocks, Follower, Removal, Thing},
    },
    store::{StoreError, Tx},
};
use contract::{backend::At, error::AppError, removal::Removing};
use domain::{
    copy::Mirror,
    environment::{Environment, Workspace},
    event::Subject,
    id::{EnvironmentId, ResourceId, WorkspaceId},
    promotion::{Phase, Promotion},
    removal::Removable,
    resource::{Resource, Source},
    rights::{self, Right, Role},
};
use std::collections::HashSet;

/// What is to be removed, for a caller who may.
pub(crate) async fn find_removal(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    target: &Removing,
) -> Result<Removal, AppError> {
    let what: Removable = target
        .what
        .parse()
        .map_err(|e: domain::removal::UnknownRemovable| AppError::BadRequest(e.to_string()))?;
    match what {
        Removable::Resource => resource_to_remove(services, tx, caller, target).await,
        Removable::Environment => environment_to_remove(services, tx, caller, target).await,
        Removable::Project => project_to_remove(services, tx, caller, target).await,
        Removable::Cluster => cluster_to_remove(tx, caller, target).await,
        Removable::Registry => registry_to_remove(tx, caller, target).await,
        Removable::Workspace => workspace_to_remove(services, tx, caller, target).await,
    }
}

async fn resource_to_remove(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    target: &Removing,
) -> Result<Removal, AppError> {
    let EnvironmentPlace { project, environment } =
        reach::environment_place(tx, caller, &at(target, &target.environment)).await?;
    rights::check(project.role, Right::Administer)?;
    let resource = tx.resource_by_name(environment.id, &target.name).await?;
    let resource = resource.ok_or_else(|| not_found("resource", &target.name))?;
    let mut removal = Removal {
        workspace: project.workspace.clone(),
        subject: Subject::resource(project.record.project.id, &resource),
        thing: Thing::Resource(resource.id),
        name: resource.name.clone(),
        path: format!("{}/{}/{}", project.record.project.name, environment.name, resource.name),
        with: Vec::new(),
        refusals: Vec::new(),
        followers: Vec::new(),
        cancels: Vec::new(),
        channels: Vec::new(),
        leaving: Vec::new(),
        blocks: Some(blocks(&project, &environment, [&resource])),
    };
    for follower in tx.followers(resource.id).await? {
        removal.followers.push(follower_of(tx, &project, follower).await?);
    }
    let open = tx.open_promotions(resource.id).await?;
    end_promotions(services, tx, &mut removal, &[(&project, open)]).await?;
    Ok(removal)
}

async fn environment_to_remove(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    target: &Removing,
) -> Result<Removal, AppError> {
    let EnvironmentPlace { project, environment } =
        reach::environment_place(tx, caller, &at(target, &target.name)).await?;
    rights::check(project.role, Right::Administer)?;
    if project.only.is_some() {
        caller.check_whole()?;
    }
    let id = project.record.project.id;
    let (here, others): (Vec<Resource>, Vec<Resource>) =
        (tx.resources(id).await?.into_iter()).partition(|resource| resource.environment == environment.id);
    let mut removal = Removal {
        workspace: project.workspace.clone(),
        subject: Subject {
            project: Some(id),
            environment: Some(environment.id),
            ..Subject::default()
        },
        thing: Thing::Environment(environment.id),
        name: environment.name.clone(),
        path: format!("{}/{}", project.record.project.name, environment.name),
        with: (here.iter())
            .map(|resource| format!("resource {}", resource.name))
            .collect(),
        refusals: Vec::new(),
        followers: Vec::new(),
        cancels: Vec::new(),
        channels: Vec::new(),
        leaving: Vec::new(),
        blocks: Some(blocks(&project, &environment, &here)),
    };
    let ids: HashSet<ResourceId> = here.iter().map(|resource| resource.id).collect();
    for other in others {
        if matches!(other.source, Source::Promote { from } if ids.contains(&from)) {
            removal.followers.push(follower_of(tx, &project, other).await?);
        }
    }
    for other in project.environments.iter().filter(|other| other.id != environment.id) {
        if other
            .policy
            .ran_in
            .iter()
            .any(|ran| ran.environment == environment.name)
        {
            removal.refusals.push(format!(
                "The policy of {} asks that an image ran in {}. Change that policy first.",
                other.name, environment.name
            ));
        }
    }
    for channel in tx.channels(project.workspace.id).await? {
        let is_there = |one: &&EnvironmentId| project.environments.iter().any(|e| e.id == **one);
        let told: Vec<_> = channel.environments.iter().filter(is_there).collect();
        if channel.project == id && told == [&environment.id] {
            removal.with.push(format!(
                "channel {}, which told of {} only",
                channel.name, environment.name
            ));
            removal.channels.push(channel.id);
        }
    }
    let tokens = tx.tokens(project.workspace.id).await?.into_iter();
    let tokens = tokens.filter(|token| token.environment == Some(environment.id));
    removal.with.extend(tokens.map(|token| format!("token {}", token.name)));
    let open = tx.open_promotions_in(id).await?.into_iter();
    let open = open
        .filter(|promotion| promotion.environment == environment.id)
        .collect();
    end_promotions(services, tx, &mut removal, &[(&project, open)]).await?;
    Ok(removal)
}

async fn project_to_remove(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    target: &Removing,
) -> Result<Removal, AppError> {
    caller.administered(&target.workspace)?;
    let project = reach::project_place(tx, caller, &target.workspace, &target.name).await?;
    rights::check(project.role, Right::Administer)?;
    let id = project.record.project.id;
    let mut removal = Removal {
        workspace: project.workspace.clone(),
        subject: Subject {
            project: Some(id),
            ..Subject::default()
        },
        thing: Thing::Project(id),
        name: project.record.project.name.clone(),
        path: project.record.project.name.to_string(),
        with: contents(tx, &project).await?,
        refusals: Vec::new(),
        followers: Vec::new(),
        cancels: Vec::new(),
        channels: Vec::new(),
        leaving: Vec::new(),
        blocks: None,
    };
    removal.refusals.extend(still_in_git(services, tx, &project).await?);
    let open = tx.open_promotions_in(id).await?;
    end_promotions(services, tx, &mut removal, &[(&project, open)]).await?;
    Ok(removal)
}

async fn cluster_to_remove(tx: &mut dyn Tx, caller: &Caller, target: &Removing) -> Result<Removal, AppError> {
    let workspace = caller.administered(&target.workspace)?.clone();
    let mut all = tx.clusters(workspace.id).await?.into_iter();
    let record = all
        .find(|record| record.cluster.name.as_str() == target.name)
        .ok_or_else(|| not_found("cluster", &target.name))?;
    let (mut used, mut is_used_unseen) = (Vec::new(), false);
    for project in tx.projects(workspace.id).await? {
        let environments = tx.environments(project.project.id).await?.into_iter();
        let here = environments.filter(|e| e.cluster == record.cluster.id);
        let mut here = here.map(|e| format!("{}/{}", project.project.name, e.name));
        match caller.role_in_project(workspace.id, project.project.id) {
            Some(_) => used.extend(here),
            None => is_used_unseen |= here.next().is_some(),
        }
    }
    if is_used_unseen {
        used.push("something that you may not see".to_owned());
    }
    let mut refusals = Vec::new();
    if !used.is_empty() {
        refusals.push(format!(
            "Cluster {} stays: {} run{} on it. Move them to another cluster with waybill apply, or delete them, first.",
            target.name,
            used.join(", "),
            if used.len() == 1 { "s" } else { "" }
        ));
    }
    Ok(Removal {
        workspace,
        subject: Subject::default(),
        thing: Thing::Cluster(record.cluster.id),
        path: record.cluster.name.to_string(),
        name: record.cluster.name,
        with: Vec::new(),
        refusals,
        followers: Vec::new(),
        cancels: Vec::new(),
        channels: Vec::new(),
        leaving: Vec::new(),
        blocks: None,
    })
}

async fn registry_to_remove(tx: &mut dyn Tx, caller: &Caller, target: &Removing) -> Result<Removal, AppError> {
    let workspace = caller.administered(&target.workspace)?.clone();
    let mut all = tx.registries(workspace.id).await?.into_iter();
    let record = all
        .find(|record| record.registry.name.as_str() == target.name)
        .ok_or_else(|| not_found("registry", &target.name))?;
    let clusters = tx.clusters(workspace.id).await?.into_iter();
    let used: Vec<String> = clusters
        .filter(|cluster| cluster.cluster.registry == Some(record.registry.id))
        .map(|cluster| cluster.cluster.name.to_string())
        .collect();
    let mut refusals = Vec::new();
    let has_another = tx.registries(workspace.id).await?.iter().any(|other| {
        other.registry.id != record.registry.id
            && other.registry.host == record.registry.host
            && other.push_user.is_some()
    });
    if !has_another && copies_to(tx, &workspace, &record.registry.host).await? {
        refusals.push(format!(
            "Registry {} stays: images are copied to it. Take it out of the mirrors of clusters and environments first.",
            target.name
        ));
    }
    if !used.is_empty() {
        refusals.push(format!(
            "Registry {} stays: cluster {} pull{} from it. Choose another registry for them, or delete them, first.",
            target.name,
            used.join(", "),
            if used.len() == 1 { "s" } else { "" }
        ));
    }
    Ok(Removal {
        workspace,
        subject: Subject::default(),
        thing: Thing::Registry(record.registry.id),
        path: record.registry.name.to_string(),
        name: record.registry.name,
        with: Vec::new(),
        refusals,
        followers: Vec::new(),
        cancels: Vec::new(),
        channels: Vec::new(),
        leaving: Vec::new(),
        blocks: None,
    })
}

/// Whether a cluster or an environment has its images copied to this host.
async fn copies_to(tx: &mut dyn Tx, workspace: &Workspace, host: &str) -> Result<bool, AppError> {
    let is_there = |mirror: Option<&Mirror>| mirror.is_some_and(|mirror| mirror.registry() == host);
    let mut clusters = tx.clusters(workspace.id).await?.into_iter();
    if clusters.any(|record| is_there(record.cluster.mirror.as_ref())) {
        return Ok(true);
    }
    for project in tx.projects(workspace.id).await? {
        let environments = tx.environments(project.project.id).await?;
        if environments
            .iter()
            .any(|environment| is_there(environment.mirror.as_ref()))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn workspace_to_remove(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    target: &Removing,
) -> Result<Removal, AppError> {
    let workspace = caller.administered(&target.name)?.clone();
    let mut removal = Removal {
        subject: Subject::default(),
        thing: Thing::Workspace,
        name: workspace.name.clone(),
        path: workspace.name.to_string(),
        with: Vec::new(),
        refusals: Vec::new(),
        followers: Vec::new(),
        cancels: Vec::new(),
        channels: Vec::new(),
        leaving: Vec::new(),
        blocks: None,
        workspace: workspace.clone(),
    };
    let mut places = Vec::new();
    for record in tx.projects(workspace.id).await? {
        // Who deletes all of it must be who may delete each.
        if caller.role_in_project(workspace.id, record.project.id).is_none() {
            let why = "The workspace has a project that you may not see. Ask an administrator of it.";
            return Err(AppError::Forbidden(why.into()));
        }
        caller.check_administers(&record.project)?;
        let id = record.project.id;
        let Some(place) = reach::complete_place(tx, caller, &workspace, record).await? else {
            continue;
        };
        removal.with.push(format!("project {}", place.record.project.name));
        removal.refusals.extend(still_in_git(services, tx, &place).await?);
        let open = tx.open_promotions_in(id).await?;
        places.push((place, open));
    }
    let clusters = tx.clusters(workspace.id).await?.into_iter();
    (removal.with).extend(clusters.map(|record| format!("cluster {}", record.cluster.name)));
    let registries = tx.registries(workspace.id).await?.into_iter();
    (removal.with).extend(registries.map(|record| format!("registry {}", record.registry.name)));
    let tokens = tx.tokens(workspace.id).await?.into_iter();
    (removal.with).extend(tokens.map(|token| format!("token {}", token.name)));
    let open: Vec<_> = places.iter().map(|(place, open)| (place, open.clone())).collect();
    end_promotions(services, tx, &mut removal, &open).await?;
    if !somebody_administers_another(tx, workspace.id).await? {
        removal.refusals.push(format!(
            "{} is the only workspace that anybody administers. Create another one first.",
            workspace.name
        ));
    }
    for member in tx.members(workspace.id).await? {
        if tx.memberships(member.user.id).await?.len() == 1 {
            removal.leaving.push(member.user.id);
        }
    }
    Ok(removal)
}

/// Why a project stays while a worker removes blocks of it from Git: its outcome could be told nowhere.
async fn still_in_git(services: &Services, tx: &mut dyn Tx, place: &ProjectPlace) -> Result<Option<String>, AppError> {
    let project = &place.record.project;
    let is_removing = tx.is_removing_from_git(project.id, services.now()).await?;
    Ok(is_removing.then(|| {
        format!(
            "Blocks of {} are being removed from Git right now. Wait a minute, then delete it again.",
            project.name
        )
    }))
}

/// Promotions of what is removed: those that wait are to be cancelled, and those that are committed are in the way.
async fn end_promotions(
    services: &Services,
    tx: &mut dyn Tx,
    removal: &mut Removal,
    open: &[(&ProjectPlace, Vec<Promotion>)],
) -> Result<(), AppError> {
    for (place, promotions) in open {
        for promotion in promotions {
            // Whoever commits may have pushed already, also when its lease has run out.
            if promotion.state.phase() == Phase::BeforeCommit {
                removal.cancels.push(promotion.clone());
                continue;
            }
            let environment = place.environments.iter().find(|e| e.id == promotion.environment);
            let resource = tx.resource(promotion.resource).await?;
            let name = match (environment, resource) {
                (Some(environment), Some(resource)) => format!("{}/{}", environment.name, resource.name),
                _ => removal.path.clone(),
            };
            removal.refusals.push(format!(
                "A promotion of {name} to {} is {}: its commit is on its way or on the branch. Wait until it has ended: {}/promotions/{}",
                promotion.image.short_label(),
                promotion.state,
                services.public_url,
                promotion.id
            ));
        }
    }
    Ok(())
}

fn at(target: &Removing, environment: &str) -> At {
    At {
        workspace: target.workspace.clone(),
        project: target.project.clone(),
        environment: environment.to_owned(),
    }
}

/// The blocks of resources in their environment's values file.
fn blocks<'a>(
    place: &ProjectPlace,
    environment: &Environment,
    resources: impl IntoIterator<Item = &'a Resource>,
) -> Blocks {
    Blocks {
        project: place.record.project.clone(),
        environment: environment.clone(),
        services: resources.into_iter().map(|resource| resource.key.to_string()).collect(),
        refused: place.may_change(environment).err().map(AppError::from),
    }
}

/// A resource that follows what is removed. It would be pinned to what it is to run next, else to what it runs.
async fn follower_of(tx: &mut dyn Tx, place: &ProjectPlace, resource: Resource) -> Result<Follower, AppError> {
    let environment = place.environments.iter().find(|e| e.id == resource.environment);
    let (name, refused) = match environment {
        Some(environment) if place.shows(environment) => (
            format!("{}/{}", environment.name, resource.name),
            place.may_change(environment).err().map(AppError::from),
        ),
        _ => (
            "A resource that you may not see".to_owned(),
            Some(AppError::Forbidden(
                "A resource that you may not see follows it. Ask an administrator.".into(),
            )),
        ),
    };
    let next = tx.open_promotions(resource.id).await?.into_iter().next();
    let mut image = next
        .map(|promotion| promotion.image)
        .or_else(|| resource.desired.clone());
    if let (Some(image), Some(pin)) = (&mut image, resource.pin())
        && image.digest != *pin
    {
        (image.digest, image.tag) = (pin.clone(), None);
    }
    Ok(Follower {
        project: place.record.project.id,
        resource,
        name,
        image,
        refused,
    })
}

/// What is in a project, in words.
async fn contents(tx: &mut dyn Tx, place: &ProjectPlace) -> Result<Vec<String>, AppError> {
    let id = place.record.project.id;
    let resources = tx.resources(id).await?;
    let mut with = Vec::new();
    for environment in &place.environments {
        let here = resources
            .iter()
            .filter(|resource| resource.environment == environment.id);
        let names: Vec<&str> = here.map(|resource| resource.name.as_str()).collect();
        let protected = if environment.protected { "protected " } else { "" };
        with.push(match names.as_slice() {
            [] => format!("{protected}environment {}", environment.name),
            names => format!("{protected}environment {} with {}", environment.name, names.join(", ")),
        });
    }
    let channels = tx.channels(place.workspace.id).await?.into_iter();
    let channels = channels.filter(|channel| channel.project == id);
    with.extend(channels.map(|channel| format!("channel {}", channel.name)));
    let tokens = tx.tokens(place.workspace.id).await?.into_iter();
    let tokens = tokens.filter(|token| token.project == Some(id));
    with.extend(tokens.map(|token| format!("token {}", token.name)));
    for left in tx.open_git_removals(id).await? {
        let services = left.services.join(", ");
        with.push(format!(
            "what is not removed from Git yet and then stays there: {services} in {}",
            left.path
        ));
    }
    Ok(with)
}

/// Whether another workspace has an administrator who can sign in: where nobody administers anything, nobody could make one.
async fn somebody_administers_another(tx: &mut dyn Tx, but: WorkspaceId) -> Result<bool, StoreError> {
    for Workspace { id, .. } in tx.workspaces().await? {
        if id != but && (tx.members(id).await?.iter()).any(|m| m.role == Role::Admin && m.user.active) {
            return Ok(true);
        }
    }
    Ok(false)
}
