//! Tags of environments: markers are moved to what runs, keepers are set before the commit and taken away when an image has left the last few.
//!
//! What a tag should name stands in a row. Whoever sets it holds a lease on the row: registries know no compare-and-swap, so one at a time
//! writes a tag. [`run`] takes what is due, looks, sets, and writes what it found: that it is set, that somebody else moved it, or why the
//! registry doesn't let it be set. A promotion that needs its keeper before the commit takes the same way ([`Worker::keep`]). From time to
//! time each tag is looked at again, and what runs is held against the tags ([`follow`]), so that they are right also where no promotion
//! brought the image.

use super::{Outcome, Worker};
use crate::{
    back_off,
    ports::{
        image_tags::{Replace, TagRemoved, TagSet},
        registry::RegistryError,
    },
    service::{
        Services,
        reach::{self, ProjectPlace},
        sources,
    },
    store::{NewEvent, StoreError, TagDrift, TagLease, TagMove, TagWanted, Tx},
    telemetry,
};
use contract::error::AppError;
use domain::{
    artifact::{Digest, ExactImage},
    environment::Environment,
    environment_tags::{OnDrift, TagUse},
    event::{Happened, Subject},
    id::WorkspaceId,
    plan::Health,
    promotion::{Actor, Promotion, State},
    resource::Resource,
    time::Timestamp,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked without being told.
const LOOK: Duration = Duration::from_secs(5);
/// How often what runs is held against the tags, if something happened.
const FOLLOW: Duration = Duration::from_secs(15);
/// How often a marker is looked at: others move tags, too.
const MARKER_MILLIS: i64 = 15 * 60 * 1000;
/// How often a keeper is looked at, and whether its image is still kept.
const KEEPER_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// A try that takes longer hangs, and is made again.
const LONGEST: Duration = Duration::from_secs(50);
/// How long a lease lasts: longer than a try.
const LEASE_MILLIS: i64 = 60_000;
/// Nothing is put off for longer: what is was so by a clock that ran ahead.
const FARTHEST_MILLIS: i64 = 2 * KEEPER_MILLIS;
/// Tries after which a promotion goes on without its keeper: it stays due, and is set when it can be.
const MOST_TRIES: u32 = 3;
/// Tags that are looked at side by side.
const SIDE_BY_SIDE: usize = 4;
/// Promotions of a resource that are looked through for the one that brought an image.
const LOOK_BACK: i64 = 20;

/// Sets what is due until told to stop. `owner` names this life of the server.
pub async fn run(services: Services, owner: String, stop: CancellationToken) {
    let mut followed: Option<tokio::time::Instant> = None;
    let mut seen = None;
    while !stop.is_cancelled() {
        if followed.is_none_or(|at| at.elapsed() >= FOLLOW) {
            followed = Some(tokio::time::Instant::now());
            match follow(&services, seen).await {
                Ok(newest) => seen = newest,
                Err(error) => complain(&error, "what runs could not be held against its tags"),
            }
        }
        // One that hangs holds none of the others up for long.
        let looks = (0..SIDE_BY_SIDE).map(|n| {
            let (services, owner) = (&services, format!("{owner}/{n}"));
            async move {
                let mut looked = false;
                while next(services, &owner).await? {
                    looked = true;
                }
                Ok::<_, AppError>(looked)
            }
        });
        let looked = tokio::select! {
            looked = futures::future::try_join_all(looks) => looked.map(|looked| looked.contains(&true)),
            // Its lease runs out; whoever takes it up looks first.
            () = stop.cancelled() => return,
        };
        match looked {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => complain(&error, "tags could not be looked at"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = services.wake.tags.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn complain(error: &AppError, what: &str) {
    // The database is told of elsewhere while it is away.
    if !matches!(error, AppError::Unavailable(_)) {
        tracing::error!(%error, "{what}");
    }
}

/// Looks at the tag that is due longest; `false` when none is.
///
/// # Errors
/// When the database fails.
pub async fn next(services: &Services, owner: &str) -> Result<bool, AppError> {
    let now = services.now();
    let farthest = now.plus_millis(FARTHEST_MILLIS);
    // Most looks find nothing: they should not take the writer's turn.
    let due = services.store.read().await?.next_tag_due().await?;
    if due.is_none_or(|due| due > now && due <= farthest) {
        return Ok(false);
    }
    let mut tx = services.store.write().await?;
    let claimed = tx.claim_tag(owner, lease(now), farthest).await?;
    let Some(claimed) = claimed else {
        return Ok(false);
    };
    tx.commit().await?;
    settle(services, owner, claimed, false).await?;
    Ok(true)
}

fn lease(now: Timestamp) -> TagLease {
    TagLease {
        now,
        until: now.plus_millis(LEASE_MILLIS),
    }
}

impl Worker {
    /// Sets the tag that keeps a promotion's image, before its commit. Within, a sentence of what came of it, or what keeps the promotion.
    pub(super) async fn keep(
        &self,
        promotion: &Promotion,
        environment: &Environment,
    ) -> Result<Result<Option<String>, Outcome>, AppError> {
        let services = &self.services;
        let Some(wanted) = sources::keeper(promotion, &environment.tags) else {
            return Ok(Ok(None));
        };
        let owner = format!("{}/{}", self.owner, services.ids.next());
        let now = services.now();
        let mut tx = services.store.write().await?;
        let known = tx.tag_move(wanted.workspace, &wanted.repository, &wanted.tag).await?;
        let is_new = known
            .as_ref()
            .is_none_or(|known| known.wanted.promotion != wanted.promotion);
        if is_new {
            tx.want_tag(&wanted, now).await?;
        }
        let is_ours = tx.hold_tag(&wanted, &owner, lease(now)).await?;
        let held = tx.tag_move(wanted.workspace, &wanted.repository, &wanted.tag).await?;
        tx.commit().await?;
        let settled = match held.filter(|_| is_ours) {
            // A fault of our own doesn't keep it from its commit either.
            Some(held) => {
                (settle(services, &owner, held, true).await).unwrap_or_else(|error| Settled::Later(error.to_string()))
            }
            None => Settled::Later(format!("Waybill is setting the tag {}.", wanted.tag)),
        };
        Ok(match settled {
            Settled::Set => Ok(Some(format!(
                "The tag {} keeps it in {}.",
                wanted.tag, wanted.repository
            ))),
            Settled::Not(note) => Ok(Some(note)),
            // The environment no longer wants it.
            Settled::Gone => Ok(None),
            Settled::Later(why) if promotion.attempts + 1 < MOST_TRIES => Err(Outcome::Retry { why }),
            Settled::Later(why) => Ok(Some(format!("The tag {} isn't set yet. {why}", wanted.tag))),
        })
    }
}

/// What came of a look at a tag.
enum Settled {
    /// It names what it should.
    Set,
    /// It can't be set, or names something else and stays so; a sentence.
    Not(String),
    /// It failed in a way that may pass; why.
    Later(String),
    /// Waybill no longer looks after it.
    Gone,
}

/// Looks at a tag that is held, sets it or takes it away, and writes what came of it. `is_needed`: a promotion is on its way to its image.
async fn settle(services: &Services, owner: &str, held: TagMove, is_needed: bool) -> Result<Settled, AppError> {
    let looked = tokio::time::timeout(LONGEST, look(services, &held, is_needed)).await;
    let looked = looked.unwrap_or_else(|_| {
        Ok(Looked::Failed(format!(
            "The registry hung for {} seconds.",
            LONGEST.as_secs()
        )))
    })?;
    telemetry::looked_at_tag(looked.word());
    let now = services.now();
    let TagWanted {
        repository,
        tag,
        digest,
        usage,
        ..
    } = &held.wanted;
    let mut after = TagMove {
        tries: 0,
        next_at: now.plus_millis(match usage {
            TagUse::Marker => MARKER_MILLIS,
            TagUse::Keeper => KEEPER_MILLIS,
        }),
        ..held.clone()
    };
    let mut events = Vec::new();
    let settled = match looked {
        Looked::Names { moved_from } => {
            let since = held.set_at.filter(|_| held.is_set()).unwrap_or(now);
            (after.drift, after.note) = (None, None);
            (after.last_set, after.set_at) = (Some(digest.clone()), Some(since));
            if let Some(from) = moved_from {
                events.push(Happened::TagMoved {
                    repository: repository.clone(),
                    tag: tag.clone(),
                    from,
                    to: digest.clone(),
                });
            }
            Settled::Set
        }
        Looked::Drifted(drift) => {
            let is_new = held.drift.as_ref().is_none_or(|(known, _)| *known != drift);
            let to = match &drift {
                TagDrift::Names(other) => Some(other.clone()),
                TagDrift::Gone => None,
            };
            let what = match &to {
                Some(other) => format!("names {}, which somebody else chose", other.short()),
                None => "is gone".to_owned(),
            };
            if is_new {
                after.drift = Some((drift, now));
                events.push(Happened::TagDrifted {
                    repository: repository.clone(),
                    tag: tag.clone(),
                    to,
                });
            }
            Settled::Not(format!("The tag {tag} of {repository} {what}."))
        }
        Looked::Refused(note) => {
            if held.note.as_ref() != Some(&note) {
                events.push(Happened::TagRefused {
                    repository: repository.clone(),
                    tag: tag.clone(),
                    reason: note.clone(),
                });
            }
            after.note = Some(note.clone());
            Settled::Not(note)
        }
        Looked::Failed(why) => {
            after.tries = held.tries.saturating_add(1);
            let pause = back_off::pause(after.tries, held.wanted.environment.0.as_u128());
            after.next_at = now.plus_millis(i64::try_from(pause.as_millis()).unwrap_or(MARKER_MILLIS));
            tracing::info!(%repository, %tag, %why, "a tag could not be set yet");
            Settled::Later(why)
        }
        Looked::Removed => {
            events.push(Happened::TagRemoved {
                repository: repository.clone(),
                tag: tag.clone(),
            });
            Settled::Gone
        }
        Looked::LetGo => Settled::Gone,
    };
    let mut tx = services.store.write().await?;
    let is_ours = match settled {
        Settled::Gone => tx.forget_tag_move(&held, owner).await?,
        _ => tx.settle_tag(&after, owner, now).await?,
    };
    let told = is_ours && !events.is_empty();
    let environment = tx.tagged_environment(held.wanted.environment).await?;
    let project = environment.map(|environment| environment.project);
    if told {
        for happened in events {
            let event = NewEvent {
                workspace: held.wanted.workspace,
                subject: Subject {
                    project,
                    environment: Some(held.wanted.environment),
                    resource: Some(held.wanted.resource),
                    promotion: held.wanted.promotion,
                },
                actor: Actor::Waybill,
                happened,
            };
            tx.append_event(&event, now).await?;
        }
    }
    tx.commit().await?;
    if let Some(project) = project.filter(|_| held.drift.is_some()) {
        // That it is as it should be again is no event.
        services.kept_cells.forget(project);
    }
    if told {
        services.wrote();
    }
    Ok(settled)
}

/// What a look at a tag found, or made of it.
enum Looked {
    /// It names what it should; where it was moved just now, what it named before.
    Names { moved_from: Option<Option<Digest>> },
    /// Somebody else moved it, and it was left.
    Drifted(TagDrift),
    /// It can't be set, or not be taken away; a sentence.
    Refused(String),
    /// It failed in a way that may pass; a sentence.
    Failed(String),
    /// It was taken away.
    Removed,
    /// It isn't Waybill's any more.
    LetGo,
}

impl Looked {
    /// What it is called in metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Names { moved_from: Some(_) } => "set",
            Self::Names { moved_from: None } | Self::LetGo => "same",
            Self::Drifted(_) => "drifted",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "retry",
            Self::Removed => "removed",
        }
    }
}

async fn look(services: &Services, held: &TagMove, is_needed: bool) -> Result<Looked, AppError> {
    let wanted = &held.wanted;
    let TagWanted {
        repository,
        tag,
        digest,
        ..
    } = wanted;
    let mut tx = services.store.read().await?;
    let Some((place, environment)) = place_of(&mut *tx, wanted).await? else {
        return Ok(Looked::LetGo);
    };
    // It was renamed or switched off: the tag stays as a person's own.
    if !environment.tags.makes(tag) {
        return Ok(Looked::LetGo);
    }
    let is_kept = match wanted.usage {
        // What its resource runs lies elsewhere by now: the old one is nobody's.
        TagUse::Marker => (tx.resource(wanted.resource).await?)
            .is_some_and(|resource| (resource.desired.as_ref()).is_none_or(|runs| runs.repository == *repository)),
        TagUse::Keeper if is_needed => true,
        TagUse::Keeper => sources::is_kept(&mut *tx, &place, &environment, repository, digest).await?,
    };
    drop(tx);
    if !is_kept && wanted.usage == TagUse::Marker {
        return Ok(Looked::LetGo);
    }
    let at = match sources::push_end(services, &place, &environment, repository)? {
        Ok(at) => at,
        Err(why) => return Ok(Looked::Refused(why)),
    };
    if !is_kept {
        // It refused before: that isn't asked for again and again.
        if let Some(note) = &held.note {
            return Ok(Looked::Refused(note.clone()));
        }
        return Ok(match services.tags.remove(&at, tag, digest).await {
            Ok(TagRemoved::Removed | TagRemoved::Absent) => Looked::Removed,
            // Somebody else's by now.
            Ok(TagRemoved::Names(_)) => Looked::LetGo,
            Ok(TagRemoved::Refused(said)) => Looked::Refused(format!(
                "{} doesn't let the tag {tag} be removed: {said}. It stays.",
                repository.registry()
            )),
            Err(error) => failed(error),
        });
    }
    let is_refused = held.note.is_some();
    // A keeper that went is set again; a marker that somebody moved is theirs until the next promotion.
    if is_refused || (held.was_set() && wanted.usage == TagUse::Marker) {
        let named = match services.registry.resolve(&at.access, repository, tag).await {
            Ok(named) => named,
            Err(error) => return Ok(failed(error)),
        };
        return Ok(match (named, &held.note) {
            (Some(named), _) if named == *digest => Looked::Names { moved_from: None },
            (_, Some(note)) => Looked::Refused(note.clone()),
            (Some(named), None) => Looked::Drifted(TagDrift::Names(named)),
            // Some registries err for a moment: it is asked for once more.
            (None, None) if held.tries == 0 && held.drift.is_none() => {
                Looked::Failed(format!("{} says that there is no tag {tag}.", repository.registry()))
            }
            (None, None) => Looked::Drifted(TagDrift::Gone),
        });
    }
    let replace = match (wanted.usage, environment.tags.on_drift, &held.last_set) {
        (TagUse::Keeper, ..) => Replace::Nothing,
        (TagUse::Marker, OnDrift::Report, Some(last)) => Replace::Only(last),
        (TagUse::Marker, ..) => Replace::Anything,
    };
    Ok(match services.tags.set(&at, tag, digest, replace).await {
        Ok(TagSet::Was) => Looked::Names { moved_from: None },
        Ok(TagSet::Moved { from }) => Looked::Names { moved_from: Some(from) },
        Ok(TagSet::Names(other)) => Looked::Drifted(TagDrift::Names(other)),
        Ok(TagSet::Refused(said)) => Looked::Refused(format!(
            "{} doesn't let the tag {tag} name {}: {said}. Let Waybill move this tag there, or choose another name; what runs doesn't depend on it.",
            repository.registry(),
            digest.short()
        )),
        Ok(TagSet::NoImage) => Looked::Refused(format!(
            "{repository} no longer holds {}, so the tag {tag} can't name it.",
            digest.short()
        )),
        Err(error) => failed(error),
    })
}

fn failed(error: RegistryError) -> Looked {
    match error.is_passing() {
        true => Looked::Failed(error.to_string()),
        false => Looked::Refused(error.to_string()),
    }
}

/// The environment of a tag, and its project; `None` when one of them is gone.
async fn place_of(tx: &mut dyn Tx, wanted: &TagWanted) -> Result<Option<(ProjectPlace, Environment)>, AppError> {
    let Some(environment) = tx.tagged_environment(wanted.environment).await? else {
        return Ok(None);
    };
    let Some(record) = tx.project(environment.project).await? else {
        return Ok(None);
    };
    let place = reach::place_for_waybill(tx, record).await?;
    Ok(Some((place, environment)))
}

/// Writes what the tags should name where they don't yet: what ran before an environment had tags, what somebody wrote into Git, and what
/// went live after all. And has those keepers looked at that are more than an environment keeps. Returns the newest event of the ledger that
/// it heeds; where nothing happened since the one `seen` before, nothing is read.
///
/// # Errors
/// When the database fails.
pub async fn follow(services: &Services, seen: Option<i64>) -> Result<Option<i64>, AppError> {
    let mut tx = services.store.read().await?;
    let newest = Some(tx.newest_event().await?);
    if newest == seen {
        return Ok(newest);
    }
    let environments = tx.tagged_environments().await?;
    let (mut wanted, mut beyond) = (Vec::new(), Vec::new());
    for environment in &environments {
        let Some(record) = tx.project(environment.project).await? else {
            continue;
        };
        let workspace = record.project.workspace;
        let clusters = tx.clusters(workspace).await?;
        let own = clusters.iter().find(|known| known.cluster.id == environment.cluster);
        let has_argocd = own.is_some_and(|known| known.cluster.argocd.is_some());
        for resource in tx.resources(environment.project).await? {
            if resource.environment != environment.id {
                continue;
            }
            for one in wanted_for(&mut *tx, workspace, environment, &resource, has_argocd).await? {
                let known = tx.tag_move(workspace, &one.repository, &one.tag).await?;
                // Of several resources that share a repository, the one that was promoted last has the marker.
                let is_right = known
                    .is_some_and(|known| known.wanted.digest == one.digest || known.wanted.resource != one.resource);
                if !is_right {
                    wanted.push(one);
                }
            }
            beyond.extend(too_many(&mut *tx, environment, &resource, services.now()).await?);
        }
    }
    drop(tx);
    if wanted.is_empty() && beyond.is_empty() {
        return Ok(newest);
    }
    let mut tx = services.store.write().await?;
    let now = services.now();
    for one in &wanted {
        tx.want_tag(one, now).await?;
    }
    for one in &beyond {
        let TagWanted {
            workspace,
            repository,
            tag,
            ..
        } = &one.wanted;
        tx.look_at_tag(*workspace, repository, tag, now).await?;
    }
    tx.commit().await?;
    services.wake.tags.notify_one();
    Ok(newest)
}

/// The tags that a resource's image should have by what is verified live.
async fn wanted_for(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    environment: &Environment,
    resource: &Resource,
    has_argocd: bool,
) -> Result<Vec<TagWanted>, StoreError> {
    let history = tx.promotions_of(resource.id, LOOK_BACK).await?;
    let runs = match has_argocd {
        true => verified(resource),
        false => brought_by_git(resource, &history),
    };
    let Some(runs) = runs else {
        return Ok(Vec::new());
    };
    // What is on its way has its tags when it arrives.
    if history
        .iter()
        .any(|promotion| !promotion.state.is_ended() && promotion.commit.is_some())
    {
        return Ok(Vec::new());
    }
    let brought = history
        .iter()
        .find(|promotion| promotion.commit.is_some() && promotion.placed().digest == runs.digest);
    let tag = |tag, usage| TagWanted {
        workspace,
        repository: runs.repository.clone(),
        tag,
        usage,
        environment: environment.id,
        resource: resource.id,
        promotion: brought.map(|promotion| promotion.id),
        digest: runs.digest.clone(),
    };
    let tags = &environment.tags;
    let marker = tags.marker().map(|name| tag(name, TagUse::Marker));
    let keeper = tags.keeper(&runs.digest).map(|name| tag(name, TagUse::Keeper));
    Ok(marker.into_iter().chain(keeper).collect())
}

/// The image that Git declares because a promotion brought it, where nobody says what is live.
fn brought_by_git<'a>(resource: &'a Resource, history: &[Promotion]) -> Option<&'a ExactImage> {
    let declared = resource.desired.as_ref()?;
    let is_it =
        |promotion: &Promotion| promotion.state == State::Succeeded && promotion.placed().digest == declared.digest;
    history.iter().any(is_it).then_some(declared)
}

/// The image that Git declares and that Argo CD reports as healthy, alone.
fn verified(resource: &Resource) -> Option<&ExactImage> {
    let (declared, live) = (resource.desired.as_ref()?, resource.live.as_ref()?);
    let is_alone = live.health == Health::Healthy && live.digests == [declared.digest.clone()];
    is_alone.then_some(declared)
}

/// Keepers of a resource beyond those that its environment keeps, oldest first, that were not looked at lately.
async fn too_many(
    tx: &mut dyn Tx,
    environment: &Environment,
    resource: &Resource,
    now: Timestamp,
) -> Result<Vec<TagMove>, StoreError> {
    let Some(keep) = &environment.tags.keep else {
        return Ok(Vec::new());
    };
    let mut keepers = tx.keepers_of(resource.id).await?;
    keepers.sort_by_key(|keeper| keeper.set_at);
    let beyond = keepers
        .len()
        .saturating_sub(usize::try_from(keep.last).unwrap_or(usize::MAX));
    keepers.truncate(beyond);
    // What its registry doesn't take away stays.
    keepers.retain(|keeper| keeper.note.is_none());
    let lately = now.plus_millis(KEEPER_MILLIS - 60 * 60 * 1000);
    keepers.retain(|keeper| keeper.next_at > now && keeper.next_at <= lately);
    Ok(keepers)
}
