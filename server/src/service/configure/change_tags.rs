//! *Tags that count*: a person says which tags of its repository count for a resource, and sees first what that picks. What is there
//! already starts nothing.

use crate::{
    service::{
        configure::{
            apply::{PlannedChange, Sign},
            create_resource::check_new_repository,
        },
        context::Services,
        observe,
        reach::{self, Caller, EnvironmentPlace},
        sources::{WhatCounts, newest_that_counts},
        views::{check_tags, preview_picked},
    },
    store::NewEvent,
};
use contract::{backend::At, error::AppError};
use domain::{
    artifact::Repository,
    draft::ResourceDraft,
    event::{Happened, Subject},
    field::FieldErrors,
    resource::{Resource, Source},
    tag_rule::TagRule,
};

/// What a rule for tags would pick for a resource, and what becomes of what runs, a sentence each. Nothing is written, and the
/// registry is not asked; of the draft only the rule is read.
///
/// # Errors
/// As [`change_tags`].
pub async fn preview_tags(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    draft: &ResourceDraft,
) -> Result<Vec<String>, AppError> {
    let (place, mut resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let rule = rule_of(draft)?;
    let (repository, _) = rule_to_change(&place, &mut resource)?;
    let repository = repository.clone();
    let mut tx = services.store.read().await?;
    let workspace = place.project.workspace.id;
    let what = WhatCounts::new(&rule, place.project.platforms(place.environment.id));
    let newest = newest_that_counts(&mut *tx, workspace, &repository, &what).await?;
    let mut said = preview_picked(&mut *tx, workspace, &repository, &what, newest.as_ref()).await?;
    if let Some(runs) = &resource.desired {
        let runs_newest = newest.is_some_and(|newest| newest.digest == runs.digest);
        let runs = runs.short_label();
        said.push(match (runs_newest, &resource.hold) {
            (true, _) => "That one runs already.".to_owned(),
            (false, Some(_)) => format!("{runs} stays until somebody resumes it."),
            (false, None) => {
                format!("{runs} stays until a newer image that counts arrives, or somebody promotes one.")
            }
        });
    }
    Ok(said)
}

/// Says which tags count for a resource whose source is an image; of the draft only that is read.
///
/// # Errors
/// By field where the rule can't be read; else when the caller may not, or its image comes from another resource.
pub async fn change_tags(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    draft: &ResourceDraft,
) -> Result<(), AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let rule = rule_of(draft)?;
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let mut resource = reach::reread(&mut *tx, &resource).await?;
    let (_, tags) = rule_to_change(&place, &mut resource)?;
    if *tags == rule {
        return Ok(());
    }
    let before = std::mem::replace(tags, rule);
    let words = resource.source.tags().map(|now| now.words()).unwrap_or_default();
    check_new_repository(&mut *tx, &place, &resource, "tags_value").await?;
    tx.update_resource(&resource).await?;
    let platforms = place.project.platforms(place.environment.id);
    observe::relearn_after_rule_change(services, &mut *tx, place.project.workspace.id, &resource, platforms).await?;
    // The ledger tells of it in the words of `waybill apply`.
    let change = PlannedChange {
        sign: Sign::Change,
        what: format!(
            "resource {}/{}/{}: tags that count {} → {words}",
            place.project.record.project.name,
            place.environment.name,
            resource.name,
            before.words()
        ),
    };
    let event = NewEvent {
        workspace: place.project.workspace.id,
        subject: Subject::resource(place.project.record.project.id, &resource),
        actor: caller.actor.clone(),
        happened: Happened::Applied {
            changes: vec![change.to_string()],
        },
    };
    tx.append_event(&event, services.now()).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// The rule that a form says.
fn rule_of(draft: &ResourceDraft) -> Result<TagRule, FieldErrors> {
    let mut errors = FieldErrors::default();
    let rule = draft.check_tags(&mut errors).ok_or(errors)?;
    check_tags(&rule)?;
    Ok(rule)
}

/// The repository of a resource whose source is an image, and its rule.
fn rule_to_change<'a>(
    place: &EnvironmentPlace,
    resource: &'a mut Resource,
) -> Result<(&'a Repository, &'a mut TagRule), AppError> {
    match &mut resource.source {
        Source::Image { repository, tags } => Ok((repository, tags)),
        _ => Err(AppError::Conflict(format!(
            "{}/{} takes its image from another resource. Say which tags count where that one's source is an image.",
            place.environment.name, resource.name
        ))),
    }
}
