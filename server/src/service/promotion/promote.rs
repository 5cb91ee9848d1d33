//! *Promote*: a person or a program brings a resource to what its source runs now.

use super::pin;
use crate::service::{
    context::{Services, unrecorded},
    observe,
    queue::{self, Request},
    reach::{self, Caller, EnvironmentPlace, not_found},
    sources::{self, TagCounts, WhatCounts, course, newest_that_counts, none_counts},
};
use contract::{backend::At, error::AppError};
use domain::{
    artifact::ExactImage,
    field::FieldErrors,
    follow::Course,
    id::{PromotionId, ResourceId},
    promotion::{Origin, Promotion, Purpose},
    resource::{HoldCause, Resource, Source},
};

/// Promotes a resource to its source's latest artifact; moves the pin of a pinned one.
/// With `create_file` the values file is made where there is none: a person said so.
///
/// # Errors
/// When the caller may not, there is nothing to promote, or the outside world can't be asked.
pub async fn promote(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    create_file: bool,
) -> Result<PromotionId, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let (image, origin) = match &resource.source {
        Source::Promote { from } => {
            let (image, origin) = sources::resolve_source(services, &place.project, *from)
                .await
                .map_err(unrecorded)?;
            (image, Some(origin))
        }
        Source::Image { repository, tags } => {
            let newest = observe::newest_artifact(services, &place, repository, tags)
                .await
                .map_err(unrecorded)?;
            let why = || AppError::Conflict(none_counts(repository, tags));
            (newest.ok_or_else(why)?, None)
        }
    };
    promote_to(services, caller, &place, &resource, image, origin, create_file).await
}

/// Promotes what `service` runs in `from` to `service` in `to`, both environments of one project.
/// With `create_file` the values file is made where there is none: a person said so.
///
/// # Errors
/// By field (`projectId`, `service`, `fromEnvironment`, `toEnvironment`) where a name is wrong.
pub async fn promote_between(
    services: &Services,
    caller: &Caller,
    [project, service, from, to]: [&str; 4],
    create_file: bool,
) -> Result<Promotion, AppError> {
    let (place, source, target) = pair(services, caller, project, service, from, to).await?;
    let (image, origin) = sources::resolve_source(services, &place.project, source)
        .await
        .map_err(unrecorded)?;
    let id = promote_to(services, caller, &place, &target, image, Some(origin), create_file).await?;
    let promotion = services.store.read().await?.promotion(id).await?;
    promotion.ok_or_else(|| not_found("promotion", &id.to_string()))
}

async fn pair(
    services: &Services,
    caller: &Caller,
    project: &str,
    service: &str,
    from: &str,
    to: &str,
) -> Result<(EnvironmentPlace, ResourceId, Resource), AppError> {
    let field = |name: &str, message: String| AppError::from(FieldErrors::one(name, message));
    let mut tx = services.store.read().await?;
    let mut found = None;
    for (workspace, _) in &caller.access {
        match reach::project_place(&mut *tx, caller, workspace.name.as_str(), project).await {
            Ok(_) if found.is_some() => {
                let why = format!("Several of your workspaces have a project {project}. Give its id instead.");
                return Err(field("projectId", why));
            }
            Ok(place) => found = Some(place),
            Err(AppError::NotFound(_)) => {}
            Err(other) => return Err(other),
        }
    }
    let place = found.ok_or_else(|| {
        field(
            "projectId",
            format!("There is no project {project:?}, or you may not see it. Check its name."),
        )
    })?;
    if from == to {
        return Err(field(
            "toEnvironment",
            format!("{to} can't be promoted from itself. Choose another environment of the project."),
        ));
    }
    let environment = |name: &str, label: &str| {
        let known = place.environments.iter().find(|e| e.name.as_str() == name).cloned();
        known.ok_or_else(|| {
            let shown = place.environments.iter().filter(|e| place.shows(e));
            let names: Vec<&str> = shown.map(|e| e.name.as_str()).collect();
            field(
                label,
                format!("The project has no environment {name:?}. It has {}.", names.join(", ")),
            )
        })
    };
    let (source_environment, target_environment) =
        (environment(from, "fromEnvironment")?, environment(to, "toEnvironment")?);
    if !place.shows(&target_environment) {
        return Err(not_found("environment", to));
    }
    place.may_change(&target_environment)?;
    let source = tx
        .resource_by_name(source_environment.id, service)
        .await?
        .ok_or_else(|| {
            field(
                "service",
                format!("{from} has no resource {service:?}. Check its name."),
            )
        })?;
    let target = tx
        .resource_by_name(target_environment.id, service)
        .await?
        .ok_or_else(|| {
            field(
                "service",
                format!(
                    "{to} has no resource {service:?}. Create it there once, with source Promote from environment."
                ),
            )
        })?;
    if !target.is_promotable() {
        let why = target.kind.refusal(&format!("{to}/{service}"));
        return Err(field("service", why));
    }
    Ok((
        EnvironmentPlace {
            project: place,
            environment: target_environment,
        },
        source.id,
        target,
    ))
}

async fn promote_to(
    services: &Services,
    caller: &Caller,
    place: &EnvironmentPlace,
    resource: &Resource,
    image: ExactImage,
    origin: Option<Origin>,
    create_file: bool,
) -> Result<PromotionId, AppError> {
    let placed = sources::placed_in(services, place, resource, &image).await?;
    let preview = sources::change_of(services, place, resource, &placed, create_file).await?;
    let (mut tx, caller, place) = reach::write_change(services, caller, place).await?;
    let mut resource = reach::reread(&mut *tx, resource).await?;
    let open = tx.open_promotions(resource.id).await?;
    // Where Git names only a tag, what it names now is pinned: nothing else would keep it there.
    let pins_digest = preview.as_deref().is_some_and(|diff| adds_digest(diff, &image));
    if open.is_empty() && resource.declares(&image.digest) && !pins_digest {
        return Err(AppError::Conflict(format!(
            "{}/{} runs {} already; there is nothing to promote.",
            place.environment.name,
            resource.name,
            image.short_label()
        )));
    }
    if resource.pin().is_some() {
        pin::move_pin(
            services,
            &mut *tx,
            &caller,
            &place.project,
            &mut resource,
            &image.digest,
        )
        .await?;
    }
    // Its registry would take it on again at once, unless this is the newest that counts; a source that is a resource went back itself.
    if let (None, Source::Image { repository, tags }) = (resource.pin(), &resource.source) {
        let order = TagCounts::of(&tx.order_of(resource.id).await?);
        let workspace = place.project.workspace.id;
        let what = WhatCounts::new(tags, place.project.platforms(place.environment.id));
        let newest = newest_that_counts(&mut *tx, workspace, repository, &what).await?;
        let is_newest = newest.is_some_and(|newest| newest.digest == image.digest);
        if !is_newest && course(&mut *tx, workspace, &order, resource.desired.as_ref(), &image).await? == Course::Older
        {
            queue::put_on_hold(
                services,
                &mut *tx,
                &caller,
                &place.project,
                &mut resource,
                HoldCause::RolledBack,
            )
            .await?;
        }
    }
    let request = Request {
        purpose: Purpose::of_origin(origin.as_ref()),
        actor: caller.actor.clone(),
        origin,
        image,
        creates: false,
        preview,
    };
    let promotion = queue::request(services, &mut *tx, &place.project, &resource, request).await?;
    if create_file {
        tx.may_create_file(promotion.id).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(promotion.id)
}

/// Whether a change writes the image's digest where none stood.
fn adds_digest(diff: &str, image: &ExactImage) -> bool {
    let is_digest = |line: &str, sign: char| {
        let text = line.strip_prefix(sign).filter(|rest| !rest.starts_with(sign));
        text.is_some_and(|text| text.contains("sha256:"))
    };
    let digest = image.digest.as_str();
    diff.lines().any(|line| is_digest(line, '+') && line.contains(digest))
        && !diff.lines().any(|line| is_digest(line, '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_added_only_where_none_stood() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let image = ExactImage {
            repository: "r.example/api".parse().unwrap(),
            tag: "1.5.0".parse().ok(),
            digest: digest.parse().unwrap(),
        };
        let other = format!("sha256:{}", "cd".repeat(32));
        for (diff, adds) in [
            (format!("--- a/x\n+++ b/x\n   tag: 1.5.0\n+  digest: {digest}\n"), true),
            (
                format!("--- a/x\n+++ b/x\n-  digest: {other}\n+  digest: {digest}\n"),
                false,
            ),
            ("--- a/x\n+++ b/x\n-  tag: 1.4.0\n+  tag: 1.5.0\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(adds_digest(&diff, &image), adds, "{diff}");
        }
    }
}
