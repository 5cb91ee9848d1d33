//! One resource with its history.

use crate::{
    service::{
        context::Services,
        queue,
        reach::{self, Caller, EnvironmentPlace, ProjectPlace, not_found},
        sources::{self, RECENT, WhatCounts},
        views::{
            board::{environment_head, hide_other_environments},
            cells, presence, preview, recall,
        },
    },
    store::{Adoption, PresenceRecord, Tx},
};
use contract::{
    backend::At,
    connection::PassedOver,
    error::AppError,
    preview::Preview,
    resource::{AdoptedImage, EarlierImage, PromotionRow, ResourceView},
};
use domain::{
    artifact::{Artifact, Digest, ExactImage},
    promotion::Promotion,
    resource::{Resource, Source},
    rights::{self, Right},
};

/// Promotions that a resource's page lists.
const HISTORY: i64 = 50;
/// What was passed over that a page lists, of each sort.
const MOST_PASSED_OVER: i64 = 10;
/// Images of the history that a page offers to roll back to.
const MOST_ROLLBACKS: usize = 10;

/// One resource with its history.
///
/// # Errors
/// When there is no such resource for the caller.
pub async fn resource(services: &Services, caller: &Caller, at: &At, name: &str) -> Result<ResourceView, AppError> {
    let mut tx = services.store.read().await?;
    let EnvironmentPlace {
        project: place,
        environment,
    } = reach::environment_place(&mut *tx, caller, at).await?;
    let resource = tx.resource_by_name(environment.id, name).await?;
    let resource = resource.ok_or_else(|| not_found("resource", name))?;
    let cells = cells::cells(services, &mut *tx, &place).await?;
    let cell = cells
        .cell(resource.id)
        .map(|cell| hide_other_environments(&place, cell))
        .ok_or_else(|| not_found("resource", name))?;
    let latest = cells::latest(&cells, &mut *tx, &resource).await?;
    let history = tx.promotions_of(resource.id, HISTORY).await?;
    // What its source offers can be pinned; where it runs a copy, that is in another repository.
    let repository = match (&resource.source, &latest, &resource.desired) {
        (Source::Image { repository, .. }, ..) => Some(repository.clone()),
        (Source::Promote { .. }, Some(image), _) | (Source::Promote { .. }, None, Some(image)) => {
            Some(image.repository.clone())
        }
        (Source::Promote { .. }, None, None) => None,
    };
    let mut recent = Vec::new();
    if let Some(repository) = &repository {
        let records = tx.recent_artifacts(place.workspace.id, repository, RECENT).await?;
        recent.extend(records);
    }
    let mut tags = Vec::new();
    if let Some(runs) = &resource.desired {
        tags = tx
            .tags_of_image(place.workspace.id, &runs.repository, &runs.digest)
            .await?;
    }
    let (backdated, passed_over) = passed_over(&mut *tx, &place, &resource).await?;
    let (workspace, project) = (place.workspace.id, place.record.project.id);
    let (incomplete, unseen) = presence::incomplete_view(&mut *tx, workspace, project, &resource).await?;
    let gone = tx.incomplete(workspace).await?;
    let recalls = recall::notices(&mut *tx, workspace, &resource, latest.as_ref()).await?;
    let recalled = tx.recalled_digests(workspace).await?;
    let unpromoted = tx.unpromoted(environment.id).await?;
    let adopted = tx.adoptions_of(resource.id).await?;
    let followers = tx.followers(resource.id).await?;
    let followers = followers
        .into_iter()
        .filter(|f| place.only.is_none_or(|only| only == f.environment))
        .filter_map(|f| cells.name_of(f.id))
        .collect();
    drop(tx);

    let at = EnvironmentPlace {
        project: place,
        environment,
    };
    let denied = at.project.may_change(&at.environment).err();
    let (preview, earlier) = if denied.is_none() {
        outlook(services, &at, &resource, latest.as_ref(), &history, (&gone, &recalled)).await
    } else {
        (None, Vec::new())
    };
    let EnvironmentPlace {
        project: place,
        environment,
    } = at;
    Ok(ResourceView {
        head: environment_head(&place, &environment),
        new_key: queue::renamed_key(&resource).ok(),
        name: resource.name,
        key: resource.key,
        denied: denied.map(|denied| denied.to_string()),
        may_remove: rights::check(place.role, Right::Administer).is_ok(),
        cell,
        incomplete,
        unseen,
        recalls,
        repository,
        latest,
        preview,
        recent,
        tags,
        backdated,
        counts: resource.source.tags().cloned(),
        passed_over,
        runtime: resource.runtime,
        followers,
        history: history.into_iter().map(row).collect(),
        adopted: adopted.into_iter().map(adopted_image).collect(),
        is_unpromoted: unpromoted.iter().any(|one| one.resource.id == resource.id),
        earlier,
        now: services.now(),
        workspace: place.workspace.name,
        project: place.record.project.name,
    })
}

fn adopted_image(adoption: Adoption) -> AdoptedImage {
    AdoptedImage {
        digest: adoption.digest,
        by: adoption.by.name().to_owned(),
        at: adoption.at,
        reason: adoption.reason,
    }
}

/// What promoting it, and rolling it back to what ran before, would do.
async fn outlook(
    services: &Services,
    at: &EnvironmentPlace,
    resource: &Resource,
    latest: Option<&ExactImage>,
    history: &[Promotion],
    (gone, recalled): (&[PresenceRecord], &[Digest]),
) -> (Option<Preview>, Vec<EarlierImage>) {
    let runs = resource.desired.as_ref().map(|image| &image.digest);
    let preview = match latest.filter(|image| Some(&image.digest) != runs) {
        Some(image) => preview::preview_of(services, at, resource, image, preview::PreviewOf::Page).await,
        None => None,
    };
    let mut earlier: Vec<EarlierImage> = Vec::new();
    for image in sources::that_ran(history) {
        let known = earlier.iter().any(|e| e.image.digest == image.digest);
        let is_recalled = recalled.contains(&image.digest);
        if known || is_recalled || Some(&image.digest) == runs || earlier.len() == MOST_ROLLBACKS {
            continue;
        }
        earlier.push(EarlierImage {
            image: image.clone(),
            missing: presence::missing_of(gone, &image),
            preview: preview::preview_of(services, at, resource, &image, preview::PreviewOf::Rollback).await,
        });
    }
    (preview, earlier)
}

/// What the repository that a resource follows holds, and automation passes over: what was built before what runs, and what names no
/// image to deploy.
async fn passed_over(
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    resource: &Resource,
) -> Result<(Vec<Artifact>, Vec<PassedOver>), AppError> {
    let workspace = place.workspace.id;
    let Source::Image { repository, tags } = &resource.source else {
        return Ok((Vec::new(), Vec::new()));
    };
    if resource.pin().is_some() {
        return Ok((Vec::new(), Vec::new()));
    }
    let what = WhatCounts::new(tags, place.platforms(resource.environment));
    let tags = &what.tags;
    let mut backdated = Vec::new();
    // Where it is known by another name, it is a copy.
    if let Some(runs) = resource.desired.as_ref().filter(|_| tags.is_by_age())
        && let Some(age) = tx.artifact_age(workspace, repository, &runs.digest).await?
    {
        let learned = tx
            .learned(repository)
            .await?
            .get(&resource.id)
            .map_or(0, |learned| learned.upto);
        backdated = tx
            .backdated(workspace, repository, age, learned, MOST_PASSED_OVER)
            .await?;
        backdated.retain(|artifact| what.runs(artifact));
    }
    let known = tx.tags_of_repository(workspace, repository).await?.into_iter();
    let most = usize::try_from(MOST_PASSED_OVER).unwrap_or(usize::MAX);
    let mut passed: Vec<PassedOver> = known
        .filter_map(|known| {
            Some(PassedOver {
                image: known.tag.to_string(),
                why: known.why?,
            })
        })
        .take(most)
        .collect();
    if !tags.is_by_age_alone() {
        let mut named = tx.named_tags(workspace, repository).await?;
        // Of an image that is not the newest of what doesn't count, nobody asks why it was not deployed.
        named.sort_by_key(|named| std::cmp::Reverse(named.age.arrived));
        backdated.retain(|artifact| {
            let mut of_it = named.iter().filter(|named| named.digest == artifact.image.digest);
            of_it.any(|named| tags.passes_over(&named.tag).is_none())
        });
        let by_rule = named.into_iter().filter_map(|named| {
            Some(PassedOver {
                image: named.tag.to_string(),
                why: tags.passes_over(&named.tag)?,
            })
        });
        passed.extend(by_rule.take(most));
    }
    Ok((backdated, passed))
}

fn row(promotion: Promotion) -> PromotionRow {
    let overtaken = promotion.is_overtaken();
    PromotionRow {
        id: promotion.id,
        purpose: promotion.purpose,
        image: promotion.image,
        state: promotion.state,
        overtaken,
        reason: match overtaken {
            true => promotion.waits_for,
            false => promotion.failure.map(|failure| failure.words()),
        },
        requested_by: promotion.requested_by.name().to_owned(),
        created_at: promotion.created_at,
        ended_at: promotion.ended_at,
    }
}
