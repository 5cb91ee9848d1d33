//! What the form *Create resource* offers, and what is wrong with what it says.

use crate::{
    ports::git::{Difference, PlaceEdit},
    service::{
        context::Services,
        observe,
        reach::{self, Caller, EnvironmentPlace},
        sources::{self, RECENT, image_edit, none_counts},
    },
    store::Tx,
};
use contract::{backend::At, error::AppError};
use domain::{
    artifact::{Artifact, DeclaredImage, ExactImage, Repository},
    draft::{FormOptions, NewResource, NewSource, ResourceDraft, SourceEnvironment, SourceResource},
    environment::Environment,
    field::FieldErrors,
    promotion::Origin,
    resource::{Binding, Resource, Source},
    tag_rule::TagRule,
};

/// Holds a draft against every rule that needs no outside world.
pub(crate) fn check_draft(draft: &ResourceDraft, options: &FormOptions) -> Result<NewResource, FieldErrors> {
    let new = draft.check(options);
    // Whatever else is wrong: all mistakes are said at once.
    let rule = match draft.source.as_str() {
        "image" => draft.check_tags(&mut FieldErrors::default()),
        _ => None,
    };
    match (new, rule.map_or(Ok(()), |rule| check_tags(&rule))) {
        (Ok(new), Ok(())) => Ok(new),
        (Err(mut errors), Err(of_tags)) => {
            errors.0.extend(of_tags.0);
            Err(errors)
        }
        (Err(errors), Ok(())) | (Ok(_), Err(errors)) => Err(errors),
    }
}

/// Holds which tags count against what only the server reads, in the form's fields.
pub(crate) fn check_tags(tags: &TagRule) -> Result<(), FieldErrors> {
    sources::check_tag_rule(tags).map_err(|mut errors| {
        for error in errors.0.iter_mut().filter(|error| error.field != "leave_out") {
            "tags_value".clone_into(&mut error.field);
        }
        errors
    })
}

/// Whether the caller may know of everything in the workspace of `place`.
pub(crate) async fn sees_all(tx: &mut dyn Tx, caller: &Caller, place: &EnvironmentPlace) -> Result<bool, AppError> {
    let workspace = place.project.workspace.id;
    Ok(place.project.only.is_none() && caller.sees_all(tx, workspace).await?)
}

/// The image repositories that resources take images from, as far as the caller may know of the resources.
async fn known_repositories(
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &EnvironmentPlace,
) -> Result<Vec<Repository>, AppError> {
    let workspace = place.project.workspace.id;
    let mut known: Vec<Repository> = Vec::new();
    if sees_all(tx, caller, place).await? {
        let all = tx.image_repositories().await?;
        known.extend(
            all.into_iter()
                .filter(|(of, _)| *of == workspace)
                .map(|(_, known)| known),
        );
        return Ok(known);
    }
    for record in tx.projects(workspace).await? {
        if caller.role_in_project(workspace, record.project.id).is_none() {
            continue;
        }
        for resource in tx.resources(record.project.id).await? {
            let shown = place.project.only.is_none_or(|only| only == resource.environment);
            if let (true, Source::Image { repository, .. }) = (shown, resource.source) {
                known.push(repository);
            }
        }
    }
    known.sort_unstable();
    known.dedup();
    Ok(known)
}

/// What the form offers in an environment.
///
/// # Errors
/// When there is no such environment, the caller may not change it, or its repository can't be read.
pub async fn form_options(services: &Services, caller: &Caller, at: &At) -> Result<FormOptions, AppError> {
    let mut tx = services.store.read().await?;
    let place = reach::environment_place(&mut *tx, caller, at).await?;
    place.project.may_change(&place.environment)?;
    drop(tx);
    form_options_in(services, caller, &place, false, None).await
}

/// As much of what the form offers as it takes to check a draft.
pub(crate) async fn options_for(
    services: &Services,
    caller: &Caller,
    place: &EnvironmentPlace,
    draft: &ResourceDraft,
) -> Result<FormOptions, AppError> {
    form_options_in(services, caller, place, false, Some(draft)).await
}

/// What the form offers; of sources only the one that `of` names, without its artifacts.
pub(crate) async fn form_options_in(
    services: &Services,
    caller: &Caller,
    place: &EnvironmentPlace,
    fetch: bool,
    of: Option<&ResourceDraft>,
) -> Result<FormOptions, AppError> {
    let EnvironmentPlace {
        project,
        environment: target,
    } = place;
    let mut tx = services.store.read().await?;
    let resources = tx.resources(project.record.project.id).await?;
    let repositories = known_repositories(&mut *tx, caller, place).await?;
    drop(tx);
    let mut environments = Vec::new();
    let is_asked_for = |e: &&Environment| of.is_none_or(|draft| *e.name.as_str() == draft.source_environment);
    for environment in project
        .environments
        .iter()
        .filter(|e| e.id != target.id && project.shows(e))
        .filter(is_asked_for)
    {
        let here: Vec<&Resource> = resources.iter().filter(|r| r.environment == environment.id).collect();
        let (promotable, rest): (Vec<&Resource>, Vec<&Resource>) = here.into_iter().partition(|r| r.is_promotable());
        if promotable.is_empty() {
            continue;
        }
        let mut declared = sources::declared_services(services, project, environment, fetch).await?;
        let mut tx = services.store.read().await?;
        let mut sources = Vec::new();
        for resource in promotable {
            let declared = declared.remove(resource.key.as_str()).unwrap_or_default();
            sources.push(SourceResource {
                name: resource.name.clone(),
                kind: resource.kind.clone(),
                recent: match of {
                    Some(_) => Vec::new(),
                    None => recent(&mut *tx, place, &declared, resource).await?,
                },
                declared,
                since: resource.desired_at,
            });
        }
        environments.push(SourceEnvironment {
            name: environment.name.clone(),
            resources: sources,
            not_promotable: rest.into_iter().map(|r| (r.name.clone(), r.kind.clone())).collect(),
        });
    }
    let offered = |name: &domain::name::Name| environments.iter().any(|e| e.name == *name);
    Ok(FormOptions {
        environment: target.name.clone(),
        taken: resources
            .iter()
            .filter(|r| r.environment == target.id)
            .map(|r| r.name.clone())
            .collect(),
        taken_keys: resources
            .iter()
            .filter(|r| r.environment == target.id)
            .map(|r| (r.key.clone(), r.name.clone()))
            .collect(),
        creates_file: sources::lacks_file(services, project, target, fetch).await,
        values_path: project.record.project.values_path(&target.key),
        values_prefix: project.record.project.values_prefix.clone(),
        other_environments: project
            .environments
            .iter()
            .filter(|e| e.id != target.id && project.shows(e) && !offered(&e.name))
            .map(|e| e.name.clone())
            .collect(),
        environments,
        repositories,
        gates: place.environment.policy.words(),
    })
}

async fn recent(
    tx: &mut dyn Tx,
    place: &EnvironmentPlace,
    declared: &DeclaredImage,
    resource: &Resource,
) -> Result<Vec<Artifact>, AppError> {
    let repository = match (&declared.repository, &resource.source) {
        (Some(repository), _) | (None, Source::Image { repository, .. }) => repository,
        (None, Source::Promote { .. }) => return Ok(Vec::new()),
    };
    let records = tx
        .recent_artifacts(place.project.workspace.id, repository, RECENT)
        .await?;
    Ok(records)
}

/// The exact image that a new resource runs first.
pub(crate) async fn first_image(
    services: &Services,
    place: &EnvironmentPlace,
    new: &NewResource,
) -> Result<(Source, ExactImage, Option<Origin>), AppError> {
    match &new.source {
        NewSource::Image { repository, tags } => {
            let image = match &new.binding {
                Binding::Pin(digest) => sources::pinned_image(services, &place.project, repository, digest).await?,
                Binding::TrackLatest => {
                    let newest = observe::newest_artifact(services, place, repository, tags).await?;
                    newest.ok_or_else(|| {
                        let field = if tags.is_default() { "image" } else { "tags" };
                        FieldErrors::one(field, none_counts(repository, tags))
                    })?
                }
            };
            Ok((
                Source::Image {
                    repository: repository.clone(),
                    tags: tags.clone(),
                },
                image,
                None,
            ))
        }
        NewSource::Promote {
            environment,
            resource,
            image,
        } => {
            let missing = || FieldErrors::one("source_resource", "The source no longer exists. Choose another.");
            let from = place.project.environments.iter().find(|e| e.name == *environment);
            let from = from.ok_or_else(missing)?;
            let found = services
                .store
                .read()
                .await?
                .resource_by_name(from.id, resource.as_str())
                .await?;
            let source = found.ok_or_else(missing)?;
            let repository = match image {
                domain::draft::SourceImage::Exact(image) => image.repository.clone(),
                domain::draft::SourceImage::ByTag(repository, _) => repository.clone(),
            };
            let image = match &new.binding {
                Binding::Pin(digest) => sources::pinned_image(services, &place.project, &repository, digest).await?,
                Binding::TrackLatest => {
                    let who = format!("{environment}/{resource}");
                    sources::resolve_image(services, &place.project, &source, &who, image.clone())
                        .await
                        .map_err(|why| FieldErrors::one("source_resource", why))?
                }
            };
            Ok((
                Source::Promote { from: source.id },
                image,
                place.project.origin(&source),
            ))
        }
    }
}

/// The image of a new resource as Git will say it, where `stands` is what Git says already.
pub(crate) fn as_created(
    place: &EnvironmentPlace,
    new: &NewResource,
    stands: Option<&ExactImage>,
    image: &ExactImage,
) -> ExactImage {
    let declared = match new.source {
        NewSource::Promote { .. } => stands.map(|image| &image.repository),
        NewSource::Image { .. } => None,
    };
    let mirror = sources::mirror_of(&place.environment, &place.project.clusters);
    match sources::copied_to(mirror, declared, &image.repository) {
        Some(repository) => image.in_repository(&repository),
        None => image.clone(),
    }
}

/// Makes sure that the values file can take the change, before anything is saved; returns what would change.
pub(crate) async fn check_values(
    services: &Services,
    place: &EnvironmentPlace,
    new: &NewResource,
    stands: Option<&ExactImage>,
    image: &ExactImage,
) -> Result<Difference, AppError> {
    let placed = as_created(place, new, stands, image);
    let access = reach::repository_access(services, &place.project.record)?;
    let edit = PlaceEdit {
        runtime: Some(new.runtime.clone()),
        may_create: new.creates_file,
        ..image_edit(&place.project, &place.environment, &new.key, &placed)
    };
    match services.git.preview(&access, &[edit]).await {
        Ok(difference) => Ok(difference),
        Err(error) if error.is_of_the_file() => Err(AppError::Conflict(error.to_string())),
        Err(other) => Err(other.into()),
    }
}
