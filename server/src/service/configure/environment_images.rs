//! *Images* of an environment: where they are copied to before they run there, which tags they get in the registry, and how those stand.

use crate::{
    service::{
        configure::apply::{Differences, PlannedChange, Sign, check_mirror},
        context::Services,
        reach::{self, Caller, EnvironmentPlace},
        sources::{self, TagsClash},
        views,
    },
    store::{NewEvent, Tx},
};
use contract::{
    backend::At,
    environment_images::{EnvironmentImagesView, ImagesDraft},
    error::AppError,
};
use domain::{
    copy::Mirror,
    environment::Environment,
    environment_tags::{EnvironmentTags, Keep, OnDrift},
    event::{Happened, Subject},
    field::FieldErrors,
    resource::Resource,
    rights::{self, Right},
};

/// The images of an environment.
///
/// # Errors
/// When there is no such environment for the caller.
pub async fn environment_images(
    services: &Services,
    caller: &Caller,
    at: &At,
) -> Result<EnvironmentImagesView, AppError> {
    let mut tx = services.store.read().await?;
    let EnvironmentPlace { project, environment } = reach::environment_place(&mut *tx, caller, at).await?;
    let resources = tx.resources(project.record.project.id).await?;
    let tags = (tx.tags_of_project(project.record.project.id).await?.into_iter())
        .filter(|tag| tag.wanted.environment == environment.id)
        .map(|tag| views::tag_view(tag, &resources, environment.tags.on_drift))
        .collect();
    let of_cluster = project
        .cluster(&environment)
        .and_then(|record| record.cluster.mirror.clone());
    Ok(EnvironmentImagesView {
        draft: draft_of(&environment),
        of_cluster: of_cluster.map(|mirror| mirror.repository),
        may_edit: rights::check(project.role, Right::Administer).is_ok(),
        may_change: project.may_change(&environment).is_ok(),
        tags,
        now: services.now(),
    })
}

fn draft_of(environment: &Environment) -> ImagesDraft {
    let EnvironmentTags { marker, keep, on_drift } = &environment.tags;
    ImagesDraft {
        mirror: environment
            .mirror
            .as_ref()
            .map(|mirror| mirror.repository.clone())
            .unwrap_or_default(),
        attachments: environment
            .mirror
            .as_ref()
            .map(|mirror| mirror.attachments)
            .unwrap_or_default(),
        marker: marker.clone().unwrap_or_default(),
        leave: *on_drift == OnDrift::Report,
        prefix: keep.as_ref().map(|keep| keep.prefix.clone()).unwrap_or_default(),
        last: keep.as_ref().map(|keep| keep.last.to_string()).unwrap_or_default(),
    }
}

/// Writes where images of an environment are copied to, and which tags they get.
///
/// # Errors
/// All that is wrong, by field (`images[…]`); when the caller may not.
pub async fn set_environment_images(
    services: &Services,
    caller: &Caller,
    at: &At,
    draft: &ImagesDraft,
) -> Result<(), AppError> {
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let place = reach::environment_place(&mut *tx, &caller, at).await?;
    rights::check(place.project.role, Right::Administer)?;
    let mut errors = FieldErrors::default();
    let (mirror, tags) = read(draft, &mut errors);
    errors.into_result()?;
    let before = &place.environment;
    let after = Environment {
        mirror,
        tags,
        ..before.clone()
    };
    let mut differences = Differences::default();
    differences.mirror(before.mirror.as_ref(), after.mirror.as_ref());
    differences.tags(&before.tags, &after.tags);
    let words = differences.words();
    if words.is_empty() {
        return Ok(());
    }
    check_repositories(&mut *tx, &place, &after).await?;
    tx.put_environment(&after).await?;
    tx.retry_refused_tags(place.project.workspace.id, services.now())
        .await?;
    // The ledger tells of it in the words of `waybill apply`.
    let change = PlannedChange {
        sign: Sign::Change,
        what: format!(
            "environment {}/{}: {words}",
            place.project.record.project.name, after.name
        ),
    };
    let event = NewEvent {
        workspace: place.project.workspace.id,
        subject: Subject {
            project: Some(after.project),
            environment: Some(after.id),
            ..Subject::default()
        },
        actor: caller.actor.clone(),
        happened: Happened::Applied {
            changes: vec![change.to_string()],
        },
    };
    tx.append_event(&event, services.now()).await?;
    tx.commit().await?;
    services.wrote();
    services.wake.tags.notify_one();
    services.connections_changed();
    Ok(())
}

/// What a form says; what is wrong with it, by field.
fn read(draft: &ImagesDraft, errors: &mut FieldErrors) -> (Option<Mirror>, EnvironmentTags) {
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let mirror = filled(&draft.mirror).map(|repository| Mirror {
        repository,
        attachments: draft.attachments,
    });
    let mut found = FieldErrors::default();
    check_mirror(mirror.as_ref(), "images", &mut found);
    for error in found.0 {
        errors.add("images[mirror]", error.message);
    }
    let usual = Keep::default().last;
    let last = match (filled(&draft.prefix), filled(&draft.last)) {
        (_, None) => usual,
        (prefix, Some(last)) => last.parse().unwrap_or_else(|_| {
            if prefix.is_some() {
                errors.add("images[last]", format!("Write a whole number, for example {usual}."));
            }
            usual
        }),
    };
    let tags = EnvironmentTags {
        marker: filled(&draft.marker),
        keep: filled(&draft.prefix).map(|prefix| Keep { prefix, last }),
        on_drift: match draft.leave {
            true => OnDrift::Report,
            false => OnDrift::Reset,
        },
    };
    for (part, why) in tags.faults() {
        errors.add(field_of(part), why);
    }
    // Without a marker there is nothing to leave.
    let tags = match tags.marker {
        Some(_) => tags,
        None => EnvironmentTags {
            on_drift: OnDrift::default(),
            ..tags
        },
    };
    (mirror, tags)
}

/// Where the form has a part of the tags.
fn field_of(part: &str) -> &'static str {
    match part {
        "marker" => "images[marker]",
        "keep.last" => "images[last]",
        _ => "images[prefix]",
    }
}

/// Refuses what would put images of two sources into one repository, set one tag for two environments, or be counted by a rule for tags.
async fn check_repositories(tx: &mut dyn Tx, place: &EnvironmentPlace, after: &Environment) -> Result<(), AppError> {
    let (mut environments, resources) = sources::all_of_workspace(tx, place.project.workspace.id).await?;
    for environment in &mut environments {
        if environment.id == after.id {
            environment.clone_from(after);
        }
    }
    let clusters = &place.project.clusters;
    // What other projects have is not told to who may not know of them.
    let own = |resource: &&Resource| place.project.environments.iter().any(|e| e.id == resource.environment);
    let of_project: Vec<Resource> = resources.iter().filter(own).cloned().collect();
    let others = "Another project's images lie in the same repository. Choose another one here, or another tag.";
    let mut errors = FieldErrors::default();
    if let Some(own) = sources::collision(&environments, clusters, &of_project) {
        errors.add("images[mirror]", own.to_string());
    } else if sources::collision(&environments, clusters, &resources).is_some() {
        errors.add("images[mirror]", others);
    }
    // A clash that others have is theirs to mend.
    let is_ours = |clash: &TagsClash| clash.environment == after.id || clash.other == Some(after.id);
    if let Some(own) = sources::tags_clash(&environments, clusters, &of_project).filter(is_ours) {
        errors.add(field_of(own.part), own.why);
    } else if let Some(clash) = sources::tags_clash(&environments, clusters, &resources).filter(is_ours) {
        errors.add(field_of(clash.part), others);
    }
    errors.into_result()?;
    Ok(())
}

/// Has all tags of an environment set again, whatever they name now: also those that somebody else moved, and those that a registry refused.
///
/// # Errors
/// When the caller may not.
pub async fn set_tags_again(services: &Services, caller: &Caller, at: &At) -> Result<(), AppError> {
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let place = reach::environment_place(&mut *tx, &caller, at).await?;
    place.project.may_change(&place.environment)?;
    tx.set_tags_again(place.environment.id, services.now()).await?;
    let (project, environment) = (&place.project.record.project, &place.environment);
    let event = NewEvent {
        workspace: place.project.workspace.id,
        subject: Subject {
            project: Some(project.id),
            environment: Some(environment.id),
            ..Subject::default()
        },
        actor: caller.actor.clone(),
        happened: Happened::TagsSetAgain,
    };
    tx.append_event(&event, services.now()).await?;
    tx.commit().await?;
    services.wrote();
    services.wake.tags.notify_one();
    Ok(())
}
