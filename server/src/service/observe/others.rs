//! What others did in Git: who changed a service, and whether it was Waybill itself, or where automation would have gone.

use crate::{
    ports::git::ServicePlace,
    service::{
        context::Services,
        reach::{self, ProjectPlace},
        sources::{TagCounts, WhatCounts, course, exact_image, newest_that_counts},
    },
    store::ProjectRecord,
};
use contract::error::AppError;
use domain::{
    artifact::{DeclaredImage, ExactImage},
    follow::Course,
    id::{EnvironmentId, ResourceId},
    promotion::State,
    resource::{Outside, Resource, Source},
};
use std::collections::{HashMap, HashSet};

/// Services about which Git is asked who changed them, in one read.
const MOST_ASKED: usize = 100;
/// Promotions of a resource among which one may be whose push nobody heard of.
const LAST_ASKED: i64 = 10;

/// Whose services others changed since Git was read last.
#[derive(Default)]
pub(crate) struct Others {
    /// Who did, and how.
    known: HashMap<ResourceId, Outside>,
    /// Those about which Git was not asked, because there were too many, or could not say.
    unasked: HashSet<ResourceId>,
}

impl Others {
    /// Who changed a service, where Git said.
    pub(crate) fn of(&self, resource: ResourceId) -> Option<&Outside> {
        self.known.get(&resource)
    }

    /// Whether a service was changed, as far as is known. What nobody could say counts: a person's act is not to be undone.
    pub(crate) fn is_some_of(&self, resource: ResourceId) -> bool {
        self.known.contains_key(&resource) || self.unasked.contains(&resource)
    }
}

/// Who changed services in Git since it was read last, asked for each that says something else now, or is switched off or on.
pub(crate) async fn find_others_changes(
    services: &Services,
    record: &ProjectRecord,
    tip: &str,
    declared: &HashMap<EnvironmentId, HashMap<String, DeclaredImage>>,
    off: &HashSet<(EnvironmentId, String)>,
    switched_off: &HashSet<ResourceId>,
    by_tag: &HashMap<ResourceId, ExactImage>,
) -> Result<Others, AppError> {
    let mut others = Others::default();
    // Nobody changed what is read for the first time.
    let Some(since) = &record.tip else {
        return Ok(others);
    };
    let mut tx = services.store.read().await?;
    let resources = tx.resources(record.project.id).await?;
    let environments = tx.environments(record.project.id).await?;
    drop(tx);
    let access = reach::repository_access(services, record)?;
    let mut asked = 0;
    for resource in resources.iter().filter(|resource| resource.desired.is_some()) {
        let (Some(blocks), Some(environment)) = (
            declared.get(&resource.environment),
            environments.iter().find(|e| e.id == resource.environment),
        ) else {
            continue;
        };
        let image = blocks.get(resource.key.as_str()).and_then(exact_image);
        let image = image.as_ref().or_else(|| by_tag.get(&resource.id));
        let is_off = off.contains(&(resource.environment, resource.key.to_string()));
        if image == resource.desired.as_ref() && is_off == switched_off.contains(&resource.id) {
            continue;
        }
        asked += 1;
        if asked > MOST_ASKED {
            others.unasked.insert(resource.id);
            continue;
        }
        let place = ServicePlace {
            path: record.project.values_path(&environment.key),
            prefix: record.project.values_prefix.clone(),
            service: resource.key.to_string(),
        };
        match services.git.last_change(&access, since, tip, &place).await {
            Ok(Some(change)) => {
                let outside = Outside {
                    author: change.author,
                    commit: change.commit,
                    subject: change.subject,
                };
                others.known.insert(resource.id, outside);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(resource = %resource.name, %error, "Git could not say who changed a service");
                others.unasked.insert(resource.id);
            }
        }
    }
    Ok(others)
}

/// Whether what Git declares now is what Waybill itself was about to write: a push went through, and nobody heard of it.
pub(crate) async fn is_ours(tx: &mut dyn crate::store::Tx, resource: &Resource) -> Result<bool, AppError> {
    let history = tx.promotions_of(resource.id, LAST_ASKED).await?;
    let unheard = history.iter().take_while(|p| p.state != State::Succeeded);
    // Of the others it was recorded that they were pushed, or they never were.
    let mut pushed = unheard.filter(|p| p.commit.is_none() && matches!(p.state, State::Committing | State::Failed));
    Ok(pushed.any(|p| resource.declares(&p.image.digest)))
}

/// Whether what Git declares now is what the resource's source offers, and newer than what it `was`: where automation would take it.
pub(crate) async fn is_offered(
    tx: &mut dyn crate::store::Tx,
    place: &ProjectPlace,
    resource: &Resource,
    was: Option<&ExactImage>,
) -> Result<bool, AppError> {
    let offered = match &resource.source {
        // As this read left it.
        Source::Promote { from } => tx.resource(*from).await?.and_then(|source| source.desired),
        Source::Image { repository, tags } => {
            let what = WhatCounts::new(tags, place.platforms(resource.environment));
            newest_that_counts(tx, place.workspace.id, repository, &what).await?
        }
    };
    let Some(offered) = offered.filter(|image| resource.declares(&image.digest)) else {
        return Ok(false);
    };
    let order = TagCounts::of(&tx.order_of(resource.id).await?);
    Ok(course(tx, place.workspace.id, &order, was, &offered).await? == Course::Newer)
}

/// The key that a removed service may have now: one that no resource has, with an image of the same repository.
pub(crate) async fn renamed(
    tx: &mut dyn crate::store::Tx,
    place: &ProjectPlace,
    resource: &Resource,
    was: &ExactImage,
    declared: &HashMap<EnvironmentId, HashMap<String, DeclaredImage>>,
) -> Result<Option<String>, AppError> {
    let mut keys: Vec<&String> = declared
        .get(&resource.environment)
        .into_iter()
        .flatten()
        .filter(|(_, image)| image.repository.as_ref() == Some(&was.repository))
        .map(|(key, _)| key)
        .collect();
    keys.sort();
    let resources = tx.resources(place.record.project.id).await?;
    let is_free = |key: &&&String| {
        let mut here = resources
            .iter()
            .filter(|other| other.environment == resource.environment);
        here.all(|other| other.key.as_str() != key.as_str())
    };
    Ok(keys.iter().find(is_free).map(|key| (*key).clone()))
}
