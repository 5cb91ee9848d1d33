//! A look at a whole image repository: what nobody told of.
//!
//! - It costs one list of tags, and a question for each tag that is new, that a resource runs, or whose turn it is: of the others one in
//!   [`ROUNDS`] is asked about at each look, so that one that moved is found within as many looks.
//! - Tags have nothing to do with each other. One that can't be read is passed over, remembered, and named once; the repository fails only
//!   when its list does, or all of its tags.
//! - What was found together is written and decided on together (`deploy_newest`). A look that finds nothing new writes nothing.

use crate::{
    ports::registry::{RegistryAccess, RegistryError},
    service::{
        context::{Services, Sighting},
        observe::{
            arrivals, pushed,
            seen::{self, show_best_tag},
        },
        reach,
    },
    store::{Found, KnownTag},
};
use contract::error::AppError;
use domain::{
    arrival::Heard,
    artifact::{ArtifactDetails, Digest, ExactImage, Repository, Tag},
    door::Entrance,
    id::WorkspaceId,
    tags::{TagKind, is_of_a_tool, kind},
};
use futures::{StreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Looks after which every tag was asked about once more.
const ROUNDS: usize = 60;
/// Looks after which a tag is asked about again for which the registry had no answer.
const ROUNDS_OF_FAILING: usize = 3;
/// Questions to one registry at the same time, of one look.
const SIDE_BY_SIDE: usize = 4;
/// Registries that are looked at at the same time; none waits for another as long as there are no more.
const REGISTRIES: usize = 16;
/// Tags in a row for which the registry has no answer, until the look is given up; the next one goes on behind them.
const MOST_FAILURES: usize = 20;
/// Tags that are asked about to find a better name for an image.
const MOST_NAMES: usize = 16;

/// Which tags a look asks about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent<'a> {
    /// Those that are new, run, or whose turn it is.
    Whole,
    /// Those that are new, but for these.
    New {
        /// What is asked about right after it.
        but: &'a [Tag],
    },
}

/// What a look found.
#[derive(Debug)]
pub(crate) struct Look {
    sightings: Vec<Sighting>,
    /// Tags that are passed over, where that is new.
    passed_over: Vec<KnownTag>,
    /// Tags that are there no more.
    gone: Vec<Tag>,
    /// Whether all tags were listed, and asked about as far as they were to be.
    is_complete: bool,
}

/// Looks at a repository: remembers what is new, and deploys what is to be deployed.
///
/// # Errors
/// When the registry can't be asked.
pub async fn look_at_repository(
    services: &Services,
    workspace: WorkspaceId,
    repository: &Repository,
) -> Result<(), AppError> {
    let _turn = pushed::turn_at(services, workspace, repository).await;
    let found = find_in_repository(services, workspace, repository, Extent::Whole).await?;
    settle_tags(services, workspace, repository, found, &Entrance::default()).await
}

/// Looks at all image repositories; what fails is logged and tried at the next round.
pub async fn poll_registries(services: &Services) {
    let repositories = match services.store.read().await {
        Ok(mut tx) => tx.image_repositories().await,
        Err(e) => Err(e),
    };
    let repositories = match repositories {
        Ok(repositories) => repositories,
        Err(error) if error.trouble().is_some() => return,
        Err(error) => {
            tracing::error!(%error, "the image repositories could not be read");
            return;
        }
    };
    let mut by_registry: BTreeMap<String, Vec<(WorkspaceId, Repository)>> = BTreeMap::new();
    for (workspace, repository) in repositories {
        let registry = repository.registry().to_owned();
        by_registry.entry(registry).or_default().push((workspace, repository));
    }
    stream::iter(by_registry.into_values())
        .for_each_concurrent(REGISTRIES, |repositories| async move {
            for (workspace, repository) in repositories {
                if let Err(error) = look_at_repository(services, workspace, &repository).await
                    && !matches!(error, AppError::Unavailable(_))
                {
                    tracing::warn!(%repository, %error, "a registry could not be polled");
                }
            }
        })
        .await;
}

/// Asks the registry what there is.
///
/// # Errors
/// When the registry can't be asked.
pub(crate) async fn find_in_repository(
    services: &Services,
    workspace: WorkspaceId,
    repository: &Repository,
    extent: Extent<'_>,
) -> Result<Look, AppError> {
    let mut tx = services.store.read().await?;
    let registries = tx.registries(workspace).await?;
    let known: HashMap<Tag, KnownTag> = (tx.tags_of_repository(workspace, repository).await?.into_iter())
        .map(|known| (known.tag.clone(), known))
        .collect();
    let running = tx.running_tags(workspace, repository).await?;
    let own = tx.own_tags(workspace, repository).await?;
    drop(tx);
    let access = reach::registry_access(services, &registries, repository)?;
    let mut listed: BTreeSet<Tag> = services.registry.tags(&access, repository).await?.into_iter().collect();
    // An empty list is what registries answer, too, that lost a repository or hide it: that says nothing about the tags.
    let is_empty = listed.is_empty();
    // What Waybill tags itself was there before.
    listed.retain(|tag| !own.contains(tag));
    let gone = match is_empty {
        true => Vec::new(),
        false => known.keys().filter(|tag| !listed.contains(tag)).cloned().collect(),
    };
    let asked = match extent {
        Extent::Whole => {
            let round = services.pushes.rounds.next(workspace, repository);
            to_ask(&listed, &known, &running, round)
        }
        Extent::New { but } => (listed.iter())
            .filter(|tag| !known.contains_key(tag) && !but.contains(tag) && !is_of_a_tool(tag))
            .cloned()
            .collect(),
    };

    let mut look = Look {
        sightings: Vec::new(),
        passed_over: Vec::new(),
        gone,
        is_complete: true,
    };
    let (named, failed) = resolve_all(services, &access, repository, asked, &mut look).await;
    let is_answered = !named.is_empty() || known.values().any(|known| known.found == Found::Image);
    if !is_answered && let Some((_, error)) = failed.into_iter().next() {
        return Err(error.into());
    }
    describe_all(services, workspace, &access, repository, named, &known, &mut look).await?;
    // What is passed over is remembered where that is new; a failure says nothing about an image that is known.
    look.passed_over.retain(|passed| match known.get(&passed.tag) {
        None => true,
        Some(before) if passed.found == Found::Failing => before.found == Found::Failing && before != passed,
        Some(before) => before != passed,
    });
    Ok(look)
}

/// What each tag names, and what failed.
async fn resolve_all(
    services: &Services,
    access: &RegistryAccess,
    repository: &Repository,
    asked: Vec<Tag>,
    look: &mut Look,
) -> (Vec<(Tag, Digest)>, Vec<(Tag, RegistryError)>) {
    let (mut named, mut failed, mut in_a_row) = (Vec::new(), Vec::new(), 0);
    let mut answers = stream::iter(asked)
        .map(|tag| async move {
            let named = services.registry.resolve(access, repository, &tag).await;
            (tag, named)
        })
        .buffered(SIDE_BY_SIDE);
    while let Some((tag, answer)) = answers.next().await {
        match answer {
            Ok(Some(digest)) => {
                in_a_row = 0;
                named.push((tag, digest));
            }
            Ok(None) => {
                in_a_row = 0;
                let why =
                    "The list names this tag, but the registry has nothing under it. Push it again, or delete it.";
                look.passed_over.push(passed(tag, None, Found::Failing, why.into()));
            }
            Err(error) => {
                in_a_row += usize::from(error.is_passing());
                let gives_up = matches!(error, RegistryError::Throttled { .. }) || in_a_row >= MOST_FAILURES;
                if !matches!(error, RegistryError::Throttled { .. }) {
                    look.passed_over.push(unread(tag.clone(), None, &error));
                }
                failed.push((tag, error));
                if gives_up {
                    look.is_complete = false;
                    break;
                }
            }
        }
    }
    (named, failed)
}

/// What the registry says of each image that is named, once however many tags name it.
async fn describe_all(
    services: &Services,
    workspace: WorkspaceId,
    access: &RegistryAccess,
    repository: &Repository,
    named: Vec<(Tag, Digest)>,
    known: &HashMap<Tag, KnownTag>,
    look: &mut Look,
) -> Result<(), AppError> {
    let mut by_digest: Vec<(Digest, Vec<Tag>)> = Vec::new();
    for (tag, digest) in named {
        // What is passed over stays so as long as it is the same.
        let same = known.get(&tag).filter(|known| known.digest.as_ref() == Some(&digest));
        if same.is_some_and(|known| matches!(known.found, Found::Odd | Found::Other)) {
            continue;
        }
        match by_digest.iter_mut().find(|(known, _)| *known == digest) {
            Some((_, tags)) => tags.push(tag),
            None => by_digest.push((digest, vec![tag])),
        }
    }
    let mut described = stream::iter(by_digest)
        .map(|(digest, tags)| async move {
            let details = details_of(services, workspace, access, repository, &digest).await;
            (digest, tags, details)
        })
        .buffered(SIDE_BY_SIDE);
    let mut found: Vec<(ExactImage, ArtifactDetails)> = Vec::new();
    while let Some((digest, tags, details)) = described.next().await {
        let details = match details {
            Ok(details) => details,
            Err(NotDescribed::Here(error)) => return Err(error),
            Err(NotDescribed::There(error)) => {
                if matches!(error, RegistryError::Throttled { .. }) {
                    look.is_complete = false;
                    break;
                }
                for tag in tags {
                    look.passed_over.push(unread(tag, Some(digest.clone()), &error));
                }
                continue;
            }
        };
        for tag in tags {
            match &details {
                None => {
                    let why = "The registry has no manifest with the digest that this tag names. Push it again.";
                    look.passed_over
                        .push(passed(tag, Some(digest.clone()), Found::Odd, why.into()));
                }
                Some(details) if !details.runs_on_linux() => {
                    let why = no_image(details);
                    look.passed_over
                        .push(passed(tag, Some(digest.clone()), Found::Other, why));
                }
                Some(details) => {
                    let image = ExactImage {
                        repository: repository.clone(),
                        tag: Some(tag),
                        digest: digest.clone(),
                    };
                    found.push((image, details.clone()));
                }
            }
        }
    }
    // Tags come in no order of time; what was built later is newer, and else what is named higher.
    found.sort_by(|(image, details), (other, of_other)| {
        let by_time = details.created_at.cmp(&of_other.created_at);
        by_time.then_with(|| match (&image.tag, &other.tag) {
            (Some(tag), Some(other)) => tag.natural_cmp(other),
            (tag, other) => tag.is_some().cmp(&other.is_some()),
        })
    });
    look.sightings
        .extend(found.into_iter().map(|(image, details)| Sighting {
            workspace,
            image,
            details,
            entrance: Entrance::default(),
        }));
    Ok(())
}

async fn details_of(
    services: &Services,
    workspace: WorkspaceId,
    access: &RegistryAccess,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<ArtifactDetails>, NotDescribed> {
    let here = |error: crate::store::StoreError| NotDescribed::Here(error.into());
    let mut tx = services.store.read().await.map_err(here)?;
    let known = tx.artifact(workspace, repository, digest).await.map_err(here)?;
    drop(tx);
    match known.and_then(|artifact| artifact.details) {
        Some(details) => Ok(Some(details)),
        None => (services.registry.describe(access, repository, digest).await).map_err(NotDescribed::There),
    }
}

/// Writes what a look found, and decides what comes of it.
pub(crate) async fn settle_tags(
    services: &Services,
    workspace: WorkspaceId,
    repository: &Repository,
    look: Look,
    entrance: &Entrance,
) -> Result<(), AppError> {
    let Look {
        mut sightings,
        passed_over,
        gone,
        is_complete,
    } = look;
    for sighting in &mut sightings {
        sighting.entrance = entrance.clone();
    }
    seen::record_seen(services, sightings).await?;
    if !passed_over.is_empty() || !gone.is_empty() {
        pass_over(services, workspace, repository, &passed_over, &gone).await?;
    }
    if is_complete {
        services.pushes.note_looked_at(workspace, repository);
        arrivals::deploy_newest(services, workspace, repository, Heard::Listed, entrance).await?;
    }
    Ok(())
}

async fn pass_over(
    services: &Services,
    workspace: WorkspaceId,
    repository: &Repository,
    passed_over: &[KnownTag],
    gone: &[Tag],
) -> Result<(), AppError> {
    let mut tx = services.store.write().await?;
    let mut left = Vec::new();
    for passed in passed_over {
        let before = tx.known_tag(workspace, repository, &passed.tag).await?;
        left.extend(before.filter(|b| b.found == Found::Image).and_then(|b| b.digest));
        tx.put_tag(workspace, repository, passed).await?;
        if matches!(passed.found, Found::Odd | Found::Failing) {
            let why = passed.why.as_deref().unwrap_or_default();
            tracing::warn!(%repository, tag = %passed.tag, why, "a tag is passed over");
        }
    }
    for tag in gone {
        tx.forget_tag(workspace, repository, tag).await?;
    }
    // A tag that names something else now no longer belongs to the image that it named.
    for digest in left {
        show_best_tag(&mut *tx, workspace, repository, &digest).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The image that a tag names now, with what the registry says about it; `None` for what is no image to run (signatures, charts) or gone.
pub(crate) async fn look_at(
    services: &Services,
    workspace: WorkspaceId,
    access: &RegistryAccess,
    repository: &Repository,
    tag: &Tag,
) -> Result<Option<(ExactImage, ArtifactDetails)>, AppError> {
    if is_of_a_tool(tag) {
        return Ok(None);
    }
    let Some(digest) = services.registry.resolve(access, repository, tag).await? else {
        return Ok(None);
    };
    let details = match details_of(services, workspace, access, repository, &digest).await {
        Ok(details) => details,
        Err(NotDescribed::Here(error)) => return Err(error),
        Err(NotDescribed::There(error)) => return Err(error.into()),
    };
    let image = ExactImage {
        repository: repository.clone(),
        tag: Some(tag.clone()),
        digest,
    };
    Ok(details
        .filter(ArtifactDetails::runs_on_linux)
        .map(|details| (image, details)))
}

/// Whether an image has a name that may be written. Its registry may not have told of all its tags yet: where it isn't called by a version,
/// those that would say more are asked about. `false` for one that only has tags that move by custom; then it is looked again in a moment.
pub(crate) async fn is_newest_by_all_tags(
    services: &Services,
    workspace: WorkspaceId,
    image: &ExactImage,
) -> Result<bool, AppError> {
    let repository = &image.repository;
    let mut tx = services.store.read().await?;
    let environments = tx.environment_names(workspace).await?;
    let Some(called) = image.tag.as_ref().map(|tag| kind(tag, &environments)) else {
        return Ok(true);
    };
    if called == TagKind::Version {
        return Ok(true);
    }
    if called == TagKind::Moving {
        return Ok(false);
    }
    let registries = tx.registries(workspace).await?;
    let known: HashSet<Tag> = (tx.tags_of_repository(workspace, repository).await?.into_iter())
        .map(|known| known.tag)
        .chain(tx.own_tags(workspace, repository).await?)
        .collect();
    drop(tx);
    let access = reach::registry_access(services, &registries, repository)?;
    // Where the registry doesn't answer, the name that is known will do.
    let Ok(listed) = services.registry.tags(&access, repository).await else {
        return Ok(true);
    };
    let mut better: Vec<Tag> = listed
        .into_iter()
        .filter(|tag| !known.contains(tag) && !is_of_a_tool(tag) && kind(tag, &environments) > called)
        .collect();
    better.sort_by_key(|tag| kind(tag, &environments));
    for tag in better.into_iter().rev().take(MOST_NAMES) {
        let named = services.registry.resolve(&access, repository, &tag).await;
        if named.ok().flatten().as_ref() != Some(&image.digest) {
            continue;
        }
        let mut tx = services.store.read().await?;
        let known = tx.artifact(workspace, repository, &image.digest).await?;
        drop(tx);
        let Some(details) = known.and_then(|known| known.details) else {
            break;
        };
        let sighting = Sighting {
            workspace,
            image: ExactImage {
                tag: Some(tag),
                ..image.clone()
            },
            details,
            entrance: Entrance::default(),
        };
        seen::record_seen(services, vec![sighting]).await?;
    }
    Ok(true)
}

/// Why nothing is known of a digest.
enum NotDescribed {
    /// It could not be looked up here.
    Here(AppError),
    /// The registry didn't say.
    There(RegistryError),
}

/// Which of the listed tags are asked about at this look.
fn to_ask(listed: &BTreeSet<Tag>, known: &HashMap<Tag, KnownTag>, running: &[Tag], round: usize) -> Vec<Tag> {
    let mut asked = Vec::new();
    let mut others = 0;
    for tag in listed.iter().filter(|tag| !is_of_a_tool(tag)) {
        let is_asked = match known.get(tag) {
            None => true,
            Some(_) if running.contains(tag) => true,
            Some(known) if known.found == Found::Failing => round.is_multiple_of(ROUNDS_OF_FAILING),
            Some(_) => {
                others += 1;
                others % ROUNDS == round % ROUNDS
            }
        };
        if is_asked {
            asked.push(tag.clone());
        }
    }
    asked
}

fn passed(tag: Tag, digest: Option<Digest>, found: Found, why: String) -> KnownTag {
    KnownTag {
        tag,
        digest,
        found,
        why: Some(why),
    }
}

/// A tag that could not be read, and what to do about that one.
fn unread(tag: Tag, digest: Option<Digest>, error: &RegistryError) -> KnownTag {
    let (found, why) = match error {
        RegistryError::Unauthorized { .. } => (
            Found::Failing,
            "The registry refuses this tag. One of its rules may block the image.".to_owned(),
        ),
        RegistryError::Protocol { reason, .. } => (Found::Odd, format!("Waybill can't read it: {reason}.")),
        RegistryError::Unreachable { reason, .. } => (
            Found::Failing,
            format!("The registry could not give it: {reason}. Waybill asks again later."),
        ),
        RegistryError::Throttled { .. } => (
            Found::Failing,
            "The registry asked to slow down. Waybill asks again later.".to_owned(),
        ),
    };
    passed(tag, digest, found, why)
}

fn no_image(details: &ArtifactDetails) -> String {
    if details.platforms.is_empty() {
        return "It is no image: it has no platform to run on.".into();
    }
    format!("It does not run on Linux, only on {}.", details.platforms.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_asks_about_what_is_new_what_runs_and_one_in_sixty_of_the_others() {
        let name = |n: usize| -> Tag { format!("1.{n}.0").parse().unwrap() };
        let listed: BTreeSet<Tag> = (0..200).map(name).chain(["buildcache".parse().unwrap()]).collect();
        let known: HashMap<Tag, KnownTag> = (0..199)
            .map(|n| {
                let known = passed(name(n), None, Found::Image, String::new());
                (name(n), known)
            })
            .collect();
        let mut all = BTreeSet::new();
        for round in 0..ROUNDS {
            let asked = to_ask(&listed, &known, &[name(7)], round);
            assert!(asked.contains(&name(199)), "new");
            assert!(asked.contains(&name(7)), "running");
            assert!(asked.len() <= 2 + 4, "{}", asked.len());
            all.extend(asked);
        }
        assert_eq!(all.len(), 200, "each had its turn, but for those of tools");
    }
}
