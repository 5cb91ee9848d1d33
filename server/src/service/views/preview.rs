//! What a decision would do, before anybody takes it: the change in Git, the source code in between, what Argo CD syncs.
//!
//! The decision itself keeps the same change with its promotion, so that the promotion's page can say when the commit came
//! out differently because others changed the file meanwhile.

use crate::{
    ports::git::Difference,
    service::{
        context::Services,
        observe, promotion, queue,
        reach::{self, Caller, EnvironmentPlace},
        sources::{
            self, TagCounts, WhatCounts, course, edit_for_resource, exact_image, newest_that_counts, none_counts,
        },
        views::{
            cells, copy,
            form::{self, check_draft, sees_all},
        },
    },
    store::{StoreError, Tx},
};
use contract::{backend::At, error::AppError, preview::Preview};
use domain::{
    artifact::{Artifact, ExactImage, Repository, Tag},
    draft::{NewSource, ResourceDraft},
    environment::Environment,
    field::FieldErrors,
    follow::Course,
    id::WorkspaceId,
    key::Key,
    resource::{Binding, Resource},
    tag_rule::TagRule,
    tags::looks_like_a_branch,
};
use std::time::Duration;

/// Characters of a revision that are shown.
const REVISION: usize = 12;
/// For so long a form waits for a registry that nobody has looked at yet.
const MOMENT: Duration = Duration::from_secs(3);

/// What is foretold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PreviewOf {
    /// What a person is about to decide: registries are asked what a copy would take.
    Decision,
    /// The same, shown beside everything else.
    Page,
    /// Going back to what ran.
    Rollback,
}

/// What Create Resource would do with a draft, as far as Waybill knows: forms ask while somebody types, so nothing is written,
/// Git is not fetched, and no repository is looked through; a registry is asked about a digest or tag that the form names.
///
/// # Errors
/// What creating it would be refused for, or why that can't be said.
pub async fn preview_create(
    services: &Services,
    caller: &Caller,
    at: &At,
    draft: ResourceDraft,
) -> Result<Preview, AppError> {
    let mut tx = services.store.read().await?;
    let place = reach::environment_place(&mut *tx, caller, at).await?;
    place.project.may_change(&place.environment)?;
    drop(tx);
    let options = form::options_for(services, caller, &place, &draft).await?;
    let new = check_draft(&draft, &options)?;
    let (image, tags) = match (&new.source, &new.binding) {
        (NewSource::Image { repository, tags }, Binding::TrackLatest) => {
            let is_offered = options.repositories.contains(repository);
            newest_known(services, caller, &place, repository, tags, is_offered).await?
        }
        _ => (form::first_image(services, &place, &new).await?.1, Vec::new()),
    };
    let declared = sources::declared_services(services, &place.project, &place.environment, false).await;
    let stands = (declared.as_ref().ok()).and_then(|declared| declared.get(new.key.as_str()).cloned());
    let runs = stands.as_ref().and_then(exact_image);
    // What is wrong with the file is said by what would change in it.
    let difference = form::check_values(services, &place, &new, runs.as_ref(), &image).await?;
    declared?;
    let order = match &new.source {
        NewSource::Image { tags, .. } => tags.clone(),
        NewSource::Promote { .. } => TagRule::default(),
    };
    let mut tx = services.store.read().await?;
    let workspace = place.project.workspace.id;
    let leads = course(&mut *tx, workspace, &TagCounts::of(&order), runs.as_ref(), &image).await?;
    drop(tx);
    let placed = form::as_created(&place, &new, runs.as_ref(), &image);
    let adopts = stands.map(|_| adopted(&place.environment, &new.key, runs.as_ref(), &image, &placed, leads));
    let preview = preview_with(services, &place, &order, runs.as_ref(), &image, difference).await?;
    let cluster = place.project.cluster(&place.environment);
    let project = &place.project.record.project;
    let besides =
        cluster.and_then(|cluster| observe::brought_besides(services, cluster, project, &place.environment, true));
    let copy = copy::foretold(services, &place, &image, &placed.repository, true).await;
    Ok(Preview {
        image: placed,
        tags,
        adopts,
        besides,
        copy,
        ..preview
    })
}

/// The newest image of a repository that Waybill has seen. Who may not see all projects is told only of what they are offered: what
/// was seen for another project isn't theirs to know.
async fn newest_known(
    services: &Services,
    caller: &Caller,
    place: &EnvironmentPlace,
    repository: &Repository,
    tags: &TagRule,
    is_offered: bool,
) -> Result<(ExactImage, Vec<String>), AppError> {
    let workspace = place.project.workspace.id;
    let mut tx = services.store.read().await?;
    let unknown =
        format!("Waybill has seen no image of {repository} yet. It looks for one when the resource is created.");
    if !is_offered && !sees_all(&mut *tx, caller, place).await? {
        return Err(AppError::Conflict(unknown));
    }
    let what = WhatCounts::new(tags, place.project.platforms(place.environment.id));
    let Some(newest) = newest_that_counts(&mut *tx, workspace, repository, &what).await? else {
        if !tx.named_tags(workspace, repository).await?.is_empty() {
            return Err(FieldErrors::one("tags", none_counts(repository, tags)).into());
        }
        let environments = tx.environment_names(workspace).await?;
        drop(tx);
        let listed = listed(services, place, repository, &what, &environments).await;
        let said: Vec<String> = [unknown].into_iter().chain(listed).collect();
        return Err(AppError::Conflict(said.join(" ")));
    };
    let picked = preview_picked(&mut *tx, workspace, repository, &what, Some(&newest)).await?;
    Ok((newest, picked))
}

/// What a rule for tags picks of a repository that nobody has looked at yet, by the names that its registry lists; nothing where it can't be
/// asked in a moment.
async fn listed(
    services: &Services,
    place: &EnvironmentPlace,
    repository: &Repository,
    what: &WhatCounts,
    environments: &[String],
) -> Vec<String> {
    let Ok(access) = reach::registry_access(services, &place.project.registries, repository) else {
        return Vec::new();
    };
    let Ok(Ok(tags)) = tokio::time::timeout(MOMENT, services.registry.tags(&access, repository)).await else {
        return Vec::new();
    };
    let newest = tags.iter().filter_map(|tag| Some((what.tags.key(tag)?, tag))).max();
    let newest = match newest {
        Some((_, tag)) => format!("{tag} counts as newest"),
        None => "Which is newest is found then".to_owned(),
    };
    counting(&newest, &tags.iter().collect::<Vec<_>>(), what, environments)
}

/// What promoting a resource, or resuming a held one, would do, as far as Waybill knows its source.
///
/// # Errors
/// When the caller may not, there is nothing newer, or Git can't say what would change.
pub async fn preview_promote(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
) -> Result<Preview, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let mut tx = services.store.read().await?;
    let cells = cells::cells(services, &mut *tx, &place.project).await?;
    let latest = cells::latest(&cells, &mut *tx, &resource).await?;
    drop(tx);
    let runs = resource.desired.as_ref().map(|image| &image.digest);
    let nothing = || {
        AppError::Conflict(format!(
            "{}/{} runs what its source offers already; there is nothing to promote.",
            place.environment.name, resource.name
        ))
    };
    let image = latest.filter(|image| Some(&image.digest) != runs).ok_or_else(nothing)?;
    preview_image(services, &place, &resource, &image, PreviewOf::Decision).await
}

/// What pinning a resource to a digest would do.
///
/// # Errors
/// What the pin would be refused for, or why Git can't say what would change.
pub async fn preview_pin(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    digest: &str,
) -> Result<Preview, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let (image, _) = promotion::image_to_pin(services, &place.project, &resource, digest).await?;
    preview_image(services, &place, &resource, &image, PreviewOf::Decision).await
}

/// What running `image` would do, or why Git can't say.
async fn preview_image(
    services: &Services,
    place: &EnvironmentPlace,
    resource: &Resource,
    image: &ExactImage,
    kind: PreviewOf,
) -> Result<Preview, AppError> {
    let access = reach::repository_access(services, &place.project.record)?;
    let placed = match kind {
        // What ran before is written as it ran.
        PreviewOf::Rollback => image.clone(),
        PreviewOf::Decision | PreviewOf::Page => sources::placed_in(services, place, resource, image).await?,
    };
    let edit = edit_for_resource(place, resource, &placed);
    let difference = services.git.preview(&access, &[edit]).await?;
    let order = services.store.read().await?.order_of(resource.id).await?;
    let preview = preview_with(services, place, &order, resource.desired.as_ref(), image, difference).await?;
    let mut tx = services.store.read().await?;
    let followers = queue::describe_followers(&mut *tx, &place.project, resource.id, &placed).await?;
    drop(tx);
    let asks = kind == PreviewOf::Decision;
    let copy = copy::foretold(services, place, image, &placed.repository, asks).await;
    Ok(Preview {
        image: placed,
        followers,
        copy,
        ..preview
    })
}

/// What running `image` would do; `None` when Git can't say.
pub(crate) async fn preview_of(
    services: &Services,
    place: &EnvironmentPlace,
    resource: &Resource,
    image: &ExactImage,
    kind: PreviewOf,
) -> Option<Preview> {
    preview_image(services, place, resource, image, kind).await.ok()
}

async fn preview_with(
    services: &Services,
    place: &EnvironmentPlace,
    order: &TagRule,
    runs: Option<&ExactImage>,
    image: &ExactImage,
    difference: Difference,
) -> Result<Preview, AppError> {
    let EnvironmentPlace { project, environment } = place;
    let mut tx = services.store.read().await?;
    let workspace = project.workspace.id;
    let then = tx.artifact(workspace, &image.repository, &image.digest).await?;
    let now = match runs {
        Some(runs) => tx.artifact(workspace, &runs.repository, &runs.digest).await?,
        None => None,
    };
    // A range of commits to an older image would read backwards, and be empty.
    let leads = course(&mut *tx, workspace, &TagCounts::of(order), runs, image).await?;
    let revisions = now
        .as_ref()
        .zip(then.as_ref())
        .filter(|_| leads == Course::Newer)
        .and_then(|(now, then)| range(now, then));
    Ok(Preview {
        image: image.clone(),
        details: then.and_then(|artifact| artifact.details),
        previous: runs.cloned(),
        previous_details: now.and_then(|artifact| artifact.details),
        path: project.record.project.values_path(&environment.key),
        creates_file: difference.creates_file,
        diff: difference.text,
        revisions,
        application: project
            .cluster(environment)
            .and_then(|cluster| reach::application(cluster, &project.record.project.name, &environment.name))
            .map(|application| application.name),
        adopts: None,
        besides: project.cluster(environment).and_then(|cluster| {
            observe::brought_besides(services, cluster, &project.record.project, environment, false)
        }),
        copy: None,
        followers: Vec::new(),
        tags: Vec::new(),
    })
}

/// What becomes of a block that Git has already, where a resource is created for it.
fn adopted(
    environment: &Environment,
    key: &Key,
    runs: Option<&ExactImage>,
    image: &ExactImage,
    placed: &ExactImage,
    leads: Course,
) -> String {
    let said = |image: &ExactImage| format!("{} ({})", image.short_label(), image.digest.short());
    let with = match runs {
        Some(runs) => format!("with {}", said(runs)),
        None => "without an exact image".to_owned(),
    };
    let then = match runs {
        Some(runs) if runs == image || runs == placed => "leaves its image as it is".to_owned(),
        Some(runs) if runs.repository != image.repository && runs.repository != placed.repository => {
            format!(
                "starts a promotion to another image, {} of {}",
                said(image),
                image.repository
            )
        }
        Some(_) if leads == Course::Older => format!("starts a promotion back to {}, which is older", said(image)),
        _ => format!("starts a promotion to {}", said(image)),
    };
    format!(
        "Git declares {key} in {} already, {with}. Creating it here takes it over and {then}. Configuration that Git has for it already stays as it is.",
        environment.name
    )
}

/// What a rule for tags picks now, a sentence each: the newest and how many count, and those among them that look like branches.
pub(crate) async fn preview_picked(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    what: &WhatCounts,
    newest: Option<&ExactImage>,
) -> Result<Vec<String>, StoreError> {
    let known = tx.named_tags(workspace, repository).await?;
    let environments = tx.environment_names(workspace).await?;
    let newest = match newest {
        Some(image) => format!("{} counts as newest", image.short_label()),
        None => "No image counts yet".to_owned(),
    };
    let tags: Vec<&Tag> = known.iter().map(|named| &named.tag).collect();
    Ok(counting(&newest, &tags, what, &environments))
}

/// How many of these tags count, and which of them look like branches, a sentence each; `newest` begins the first.
fn counting(newest: &str, all: &[&Tag], what: &WhatCounts, environments: &[String]) -> Vec<String> {
    let counting: Vec<&&Tag> = (all.iter())
        .filter(|tag| what.tags.passes_over(tag).is_none())
        .collect();
    let mut sentences = vec![match (counting.len(), all.len()) {
        (_, 0) => "It has no tags yet.".to_owned(),
        (0, all) => format!("0 of {all} tags count."),
        (some, all) => format!("{newest}; {some} of {all} tags count."),
    }];
    // Who names one tag, a pattern or versions means those.
    let branches: Vec<&str> = (counting.iter())
        .filter(|tag| what.tags.is_by_age() && looks_like_a_branch(tag, environments))
        .map(|tag| tag.as_str())
        .collect();
    if let Some(first) = branches.first() {
        let others = match branches.len() {
            1 => String::new(),
            2 => " and 1 other".to_owned(),
            many => format!(" and {} others", many - 1),
        };
        let look = if branches.len() == 1 {
            "looks like a branch"
        } else {
            "look like branches"
        };
        sentences.push(format!(
            "{first}{others} {look}, and would be deployed when built last. Leave such tags out, or choose which count."
        ));
    }
    sentences
}

/// From which commit of the source code to which, shortened, if the builders said so.
fn range(now: &Artifact, then: &Artifact) -> Option<(String, String)> {
    let revision = |artifact: &Artifact| Some(artifact.details.as_ref()?.revision()?.chars().take(REVISION).collect());
    let (from, to): (String, String) = (revision(now)?, revision(then)?);
    (from != to).then_some((from, to))
}
