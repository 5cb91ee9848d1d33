//! New artifacts: what was seen is remembered ([`Services::see`]), and then it is decided once what comes of it
//! ([`Services::decide_on`]). [`look`](super::look) and [`pushed`](super::pushed) see them.

use super::{
    Services,
    follow::{course, is_withdrawn},
    internal,
    place::EnvironmentPlace,
    tag_order::{TagCounts, WhatCounts},
};
use crate::{
    gather::Waiting,
    store::{Found, KnownTag, NamedTag, NewEvent, StoreError, Tx},
};
use app::error::AppError;
use domain::{
    arrival::{Heard, counts},
    artifact::{ArtifactDetails, Digest, ExactImage, Repository, Tag},
    door::Entrance,
    event::{Happened, Subject},
    follow::Course,
    id::{ResourceId, WorkspaceId},
    promotion::{Actor, Purpose},
    resource::{Resource, Source},
    tag_rule::TagRule,
    tags::shown,
    time::Timestamp,
};
use std::collections::HashSet;

/// Artifacts that pages offer.
pub(crate) const RECENT: i64 = 20;
/// Artifacts written in one transaction: others who write wait meanwhile.
const MOST_AT_ONCE: usize = 256;

impl Services {
    /// Asks the registry about a remembered artifact, once.
    pub(crate) async fn learn_details(&self, workspace: WorkspaceId, image: &ExactImage) -> Result<(), AppError> {
        let mut tx = self.store.read().await?;
        let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
        let Some(known) = known.filter(|artifact| artifact.details.is_none()) else {
            return Ok(());
        };
        let clusters = tx.clusters(workspace).await?;
        drop(tx);
        let access = self.registry_access(&clusters, &image.repository)?;
        if let Some(details) = self
            .registry
            .describe(&access, &image.repository, &image.digest)
            .await?
        {
            let mut tx = self.store.write().await?;
            let now = self.now();
            tx.set_details(workspace, image, &details, rank(&details, known.seen_at))
                .await?;
            tx.append_event(&seen(workspace, image), now).await?;
            tx.commit().await?;
            self.wrote();
        }
        Ok(())
    }

    /// Remembers artifacts and what tags name. What others see meanwhile is written along, and what is known already is not written again.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn see(&self, sightings: Vec<Sighting>) -> Result<(), AppError> {
        let mut news = Vec::new();
        for sighting in sightings {
            // Most looks find nothing new: they need not take the writer's turn.
            let mut tx = self.store.read().await?;
            if is_news(&mut *tx, &sighting).await? {
                news.push(sighting);
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        let answers = self.pushes.seen.add(news);
        {
            let mut turn = self.pushes.seen.turn().await;
            while let Some(gathered) = turn.next(MOST_AT_ONCE) {
                self.write_seen(gathered).await;
            }
        }
        for answer in answers {
            answer.await.map_err(|e| internal(&e))??;
        }
        Ok(())
    }

    /// Writes what was seen, at once; where that fails, each by itself: one artifact's fault is not the others'.
    async fn write_seen(&self, gathered: Vec<Waiting<Sighting, Result<(), AppError>>>) {
        let sightings: Vec<&Sighting> = gathered.iter().map(|waiting| &waiting.item).collect();
        let together = self.try_write_seen(&sightings).await;
        let mut written = Vec::with_capacity(sightings.len());
        match together {
            Err(error) if sightings.len() > 1 && !matches!(error, AppError::Unavailable(_)) => {
                tracing::warn!(%error, "artifacts could not be recorded together; each is recorded by itself");
                for sighting in &sightings {
                    written.push(self.try_write_seen(std::slice::from_ref(sighting)).await);
                }
            }
            outcome => written.resize(sightings.len(), outcome),
        }
        for (waiting, written) in gathered.into_iter().zip(written) {
            // Who waited may be gone.
            let _ = waiting.written.send(written);
        }
    }

    async fn try_write_seen(&self, sightings: &[&Sighting]) -> Result<(), AppError> {
        let now = self.now();
        let mut tx = self.store.write().await?;
        // Each once, with whether that is news to people; what is shown is chosen when all tags are written.
        let mut named: Vec<(&Sighting, bool)> = Vec::new();
        for sighting in sightings {
            let Sighting {
                workspace,
                image,
                details,
                ..
            } = sighting;
            if !is_news(&mut *tx, sighting).await? {
                continue;
            }
            let known = tx.artifact(*workspace, &image.repository, &image.digest).await?;
            let mut is_told = false;
            if known.as_ref().is_none_or(|known| known.details.is_none()) {
                tx.see_artifact(*workspace, image, now).await?;
                // As it was written: never before one that arrived earlier, whatever this server's clock says.
                let written = tx.artifact(*workspace, &image.repository, &image.digest).await?;
                let seen_at = written.map_or(now, |written| written.seen_at);
                tx.set_details(*workspace, image, details, rank(details, seen_at))
                    .await?;
                is_told = true;
            }
            if let Some(tag) = &image.tag {
                is_told |= self.write_tag(&mut *tx, *workspace, image, tag).await?;
            }
            let same = |(other, _): &&mut (&Sighting, bool)| {
                other.workspace == *workspace
                    && other.image.repository == image.repository
                    && other.image.digest == image.digest
            };
            match named.iter_mut().find(same) {
                Some((_, told)) => *told |= is_told,
                None => named.push((sighting, is_told)),
            }
        }
        for (sighting, is_told) in named {
            let (workspace, image) = (sighting.workspace, &sighting.image);
            let shown = show(&mut *tx, workspace, &image.repository, &image.digest).await?;
            if is_told || shown.is_changed {
                tx.entered_by(&sighting.entrance);
                let image = ExactImage {
                    tag: shown.tag,
                    ..image.clone()
                };
                tx.append_event(&seen(workspace, &image), now).await?;
            }
        }
        tx.commit().await?;
        self.wrote();
        Ok(())
    }

    /// Writes what a tag names; whether it named another image before.
    async fn write_tag(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        image: &ExactImage,
        tag: &Tag,
    ) -> Result<bool, AppError> {
        let repository = &image.repository;
        let before = tx.known_tag(workspace, repository, tag).await?;
        let known = KnownTag {
            tag: tag.clone(),
            digest: Some(image.digest.clone()),
            found: Found::Image,
            why: None,
        };
        tx.put_tag(workspace, repository, &known).await?;
        let moved_from = before
            .filter(|before| before.found == Found::Image)
            .and_then(|before| before.digest)
            .filter(|digest| *digest != image.digest);
        if let Some(old) = &moved_from {
            show(tx, workspace, repository, old).await?;
        }
        Ok(moved_from.is_some())
    }

    /// Deploys the newest artifact of a repository that counts to those who follow it by themselves, where that is to be done: what was found
    /// together is decided on together. After a full list, those for whom it was the first have learned their repository.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn decide_on(
        &self,
        workspace: WorkspaceId,
        repository: &Repository,
        heard: Heard,
        entrance: &Entrance,
    ) -> Result<(), AppError> {
        let mut tx = self.store.read().await?;
        let mut decision = self.decision(&mut *tx, workspace, repository, heard).await?;
        drop(tx);
        if decision.start.is_empty() {
            if decision.learners.is_empty() {
                return Ok(());
            }
            return self.carry_out(workspace, repository, heard, entrance).await;
        }
        if decision.start.iter().any(|(resource, _)| resource.desired.is_none()) {
            if !self.adopt(workspace, repository).await? {
                // Nobody knows what Git declares: the next look decides.
                return Ok(());
            }
            let mut tx = self.store.read().await?;
            decision = self.decision(&mut *tx, workspace, repository, heard).await?;
        }
        if heard == Heard::Told {
            let mut named: Vec<&ExactImage> = Vec::new();
            for (resource, image) in &decision.start {
                // A rule that orders by tags says which one is written, too.
                let is_by_age = resource
                    .source
                    .tags()
                    .is_none_or(|tags| TagCounts::of(tags).is_by_age());
                if is_by_age && !named.contains(&image) {
                    named.push(image);
                }
            }
            for image in named {
                if !self.is_named_well(workspace, image).await? {
                    self.look_at_whole(workspace, repository, entrance);
                    return Ok(());
                }
            }
        }
        self.carry_out(workspace, repository, heard, entrance).await
    }

    /// Writes what is decided, as things are now.
    async fn carry_out(
        &self,
        workspace: WorkspaceId,
        repository: &Repository,
        heard: Heard,
        entrance: &Entrance,
    ) -> Result<(), AppError> {
        let mut tx = self.write_through(entrance).await?;
        let decision = self.decision(&mut *tx, workspace, repository, heard).await?;
        for (resource, image) in &decision.start {
            self.deploy(&mut *tx, workspace, resource, image).await?;
        }
        for resource in decision.learners {
            tx.learn(workspace, repository, resource).await?;
        }
        tx.commit().await?;
        // What was learned is nothing to see.
        if !decision.start.is_empty() {
            self.wrote();
        }
        Ok(())
    }

    async fn decision(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        repository: &Repository,
        heard: Heard,
    ) -> Result<Decision, AppError> {
        let mut decision = Decision {
            start: Vec::new(),
            learners: Vec::new(),
        };
        let learned = tx.learned(repository).await?;
        // Resources of one repository mostly have one rule.
        let mut known: Vec<(TagRule, Vec<String>, WhatCounts, Option<Arrival>)> = Vec::new();
        for (resource, platforms) in tx.resources_of_image(workspace, repository).await? {
            let learned = learned.get(&resource.id).copied();
            if learned.is_none() && heard == Heard::Listed {
                decision.learners.push(resource.id);
            }
            let Some(rule) = resource.source.tags() else { continue };
            let at = match known.iter().position(|(of, on, ..)| of == rule && *on == platforms) {
                Some(at) => at,
                None => {
                    let what = WhatCounts::new(rule, &platforms);
                    let arrival = arrival(tx, workspace, repository, &what).await?;
                    known.push((rule.clone(), platforms, what, arrival));
                    known.len() - 1
                }
            };
            let Some((_, _, what, Some(newest))) = known.get(at) else {
                continue;
            };
            let upto = learned.map(|learned| match newest.is_of_tag {
                true => learned.upto_tag,
                false => learned.upto,
            });
            let git_declares = resource.desired.is_some();
            if counts(newest.arrived, git_declares, upto, heard)
                && !self.has(tx, workspace, &resource, &what.tags, &newest.image).await?
            {
                decision.start.push((resource, newest.image.clone()));
            }
        }
        Ok(decision)
    }

    /// Whether nothing is to be done for a resource about an image: it doesn't track, runs it, or its newest promotion is to it (also
    /// when that failed: trying again is a person's decision), or it runs something newer.
    async fn has(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        resource: &Resource,
        tags: &TagCounts,
        image: &ExactImage,
    ) -> Result<bool, AppError> {
        if !resource.follows_by_itself() {
            return Ok(true);
        }
        let newest = tx.promotions_of(resource.id, 1).await?.into_iter().next();
        if newest.is_some_and(|newest| newest.image.digest == image.digest) {
            return Ok(true);
        }
        // Nothing goes back by itself.
        Ok(course(tx, workspace, tags, resource.desired.as_ref(), image).await? != Course::Newer)
    }

    async fn deploy(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        resource: &Resource,
        image: &ExactImage,
    ) -> Result<(), AppError> {
        let Some(project) = project_of(tx, workspace, resource).await? else {
            return Ok(());
        };
        let place = self.place_for_waybill(tx, project).await?;
        let request = super::request::Request {
            purpose: Purpose::Deploy,
            actor: Actor::Waybill,
            origin: None,
            image: image.clone(),
            creates: resource.desired.is_none(),
            preview: None,
        };
        self.request(tx, &place, resource, request).await?;
        Ok(())
    }

    /// Reads Git for resources of an image repository that are not known to run anything yet: one that was just applied may be
    /// running long since, and what Git declares for it is adopted before anything is deployed. `false` when Git could not be read.
    async fn adopt(&self, workspace: WorkspaceId, repository: &Repository) -> Result<bool, AppError> {
        let mut tx = self.store.read().await?;
        let mut projects = Vec::new();
        for (resource, _) in tx.resources_of_image(workspace, repository).await? {
            if resource.desired.is_some() {
                continue;
            }
            if let Some(record) = project_of(&mut *tx, workspace, &resource).await?
                && !projects.contains(&record.project.id)
            {
                projects.push(record.project.id);
            }
        }
        drop(tx);
        let mut is_read = true;
        for project in projects {
            // Once for all who want it at about the same time.
            let read = async || {
                let read = self.read_desired(project).await;
                if let Err(error) = &read {
                    tracing::warn!(%project, %error, "the repository could not be read before deploying");
                }
                Ok::<bool, AppError>(read.is_ok())
            };
            is_read &= self.pushes.adopting.of(project).get(read).await?;
        }
        Ok(is_read)
    }

    /// The newest artifact of a repository that counts in an environment, after a look at it.
    pub(crate) async fn newest_artifact(
        &self,
        place: &EnvironmentPlace,
        repository: &Repository,
        tags: &TagRule,
    ) -> Result<Option<ExactImage>, AppError> {
        let workspace = place.project.workspace.id;
        self.look_at_repository(workspace, repository).await?;
        let mut tx = self.store.read().await?;
        let what = WhatCounts::new(tags, place.project.platforms(place.environment.id));
        newest_that_counts(&mut *tx, workspace, repository, &what).await
    }
}

/// An artifact that was seen in a registry.
#[derive(Debug)]
pub(crate) struct Sighting {
    /// Whose.
    pub(crate) workspace: WorkspaceId,
    /// The image, with the tag that names it.
    pub(crate) image: ExactImage,
    /// What the registry says about it.
    pub(crate) details: ArtifactDetails,
    /// How it came to be looked at.
    pub(crate) entrance: Entrance,
}

/// What is to be done about a repository's newest artifacts.
struct Decision {
    /// To whom which is deployed.
    start: Vec<(Resource, ExactImage)>,
    /// For whom this is the first full list.
    learners: Vec<ResourceId>,
}

/// The newest artifact that counts, and when it came to.
struct Arrival {
    image: ExactImage,
    arrived: i64,
    /// Whether the arrival is that of its tag: an image may be there for long before it is called what counts.
    is_of_tag: bool,
}

async fn arrival(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    what: &WhatCounts,
) -> Result<Option<Arrival>, AppError> {
    if !what.tags.is_by_age_alone() {
        let newest = newest_by_tag(tx, workspace, repository, what).await?;
        return Ok(newest.map(|(image, arrived)| Arrival {
            image,
            arrived,
            is_of_tag: true,
        }));
    }
    let Some(image) = newest_that_counts(tx, workspace, repository, what).await? else {
        return Ok(None);
    };
    let age = tx.artifact_age(workspace, repository, &image.digest).await?;
    Ok(age.map(|age| Arrival {
        image,
        arrived: age.arrived,
        is_of_tag: false,
    }))
}

/// The newest artifact of a repository that may be deployed, by the tag that counts.
pub(crate) async fn newest_that_counts(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    what: &WhatCounts,
) -> Result<Option<ExactImage>, AppError> {
    if !what.tags.is_by_age_alone() {
        let newest = newest_by_tag(tx, workspace, repository, what).await?;
        return Ok(newest.map(|(image, _)| image));
    }
    // Mostly it is the newest of all; platforms that are built apart may have it far back.
    let mut most = RECENT;
    loop {
        let recent = tx.recent_artifacts(workspace, repository, most).await?;
        let is_all = i64::try_from(recent.len()).is_ok_and(|found| found < most);
        let newest = recent.into_iter().find(|artifact| what.runs(artifact));
        if newest.is_some() || is_all {
            return Ok(newest.map(|artifact| artifact.image));
        }
        most *= 10;
    }
}

/// The newest artifact that has a tag that counts, and when it first had one.
async fn newest_by_tag(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    what: &WhatCounts,
) -> Result<Option<(ExactImage, i64)>, AppError> {
    let counting = what.tags.newest_first(tx.named_tags(workspace, repository).await?);
    let mut looked_at: HashSet<&Digest> = HashSet::new();
    for named in &counting {
        if !looked_at.insert(&named.digest) {
            continue;
        }
        let artifact = tx.artifact(workspace, repository, &named.digest).await?;
        if !artifact.is_some_and(|artifact| what.runs(&artifact)) {
            continue;
        }
        let of_it: Vec<&NamedTag> = counting.iter().filter(|other| other.digest == named.digest).collect();
        let tag = match what.tags.is_by_age() {
            true => {
                let environments = tx.environment_names(workspace).await?;
                shown(of_it.iter().map(|named| &named.tag), &environments).cloned()
            }
            false => Some(named.tag.clone()),
        };
        let arrived = of_it.iter().map(|named| named.arrived).min().unwrap_or(named.arrived);
        let image = ExactImage {
            repository: repository.clone(),
            tag,
            digest: named.digest.clone(),
        };
        return Ok(Some((image, arrived)));
    }
    Ok(None)
}

impl Services {
    /// Other images count for a resource than before: what is there already starts nothing, and what waits and no longer counts is withdrawn.
    /// Where its repository was never listed in full, the first list will say what is there.
    pub(super) async fn learn_anew(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        resource: &Resource,
        platforms: &[String],
    ) -> Result<(), AppError> {
        let Source::Image { repository, tags } = &resource.source else {
            return Ok(());
        };
        if tx.learned(repository).await?.contains_key(&resource.id) {
            tx.learn(workspace, repository, resource.id).await?;
        }
        let what = WhatCounts::new(tags, platforms);
        for open in tx.open_promotions(resource.id).await? {
            if is_withdrawn(&open) && !still_counts(tx, workspace, &what, &open.image).await? {
                let why = format!("{} no longer counts.", open.image.short_label());
                self.withdraw(tx, open, &why).await?;
            }
        }
        Ok(())
    }
}

/// Whether an image has a tag that counts, and a platform that runs. One that nobody heard of but through Git has no tags.
async fn still_counts(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    what: &WhatCounts,
    image: &ExactImage,
) -> Result<bool, StoreError> {
    let runs =
        (tx.artifact(workspace, &image.repository, &image.digest).await?).is_none_or(|artifact| what.runs(&artifact));
    let tags = tx.tags_of_image(workspace, &image.repository, &image.digest).await?;
    let counts = tags.is_empty() || tags.iter().any(|tag| what.tags.passes_over(tag).is_none());
    Ok(runs && counts)
}

/// Why there is nothing to deploy, and what to do.
pub(super) fn none_counts(repository: &Repository, tags: &TagRule) -> String {
    match tags.is_default() {
        true => format!("The registry holds no image of {repository} yet. Push one first, or check the name."),
        false => format!(
            "No image of {repository} counts (tags: {}). Push one that does, or change which tags count.",
            tags.words()
        ),
    }
}

/// How many images that count are newer than `from`, up to `to`; `None` where that can't be said.
pub(crate) async fn count_newer(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    tags: &TagCounts,
    from: &ExactImage,
    to: &ExactImage,
) -> Result<Option<i64>, StoreError> {
    let repository = &to.repository;
    if tags.is_by_age_alone() {
        let newer = tx.count_newer(workspace, repository, &from.digest, &to.digest).await?;
        return Ok(Some(newer));
    }
    if from.repository != to.repository {
        return Ok(None);
    }
    let newest_first = tags.newest_first(tx.named_tags(workspace, repository).await?);
    let place = |image: &ExactImage| newest_first.iter().position(|named| named.digest == image.digest);
    let (Some(newer), Some(older)) = (place(to), place(from)) else {
        return Ok(None);
    };
    let between: HashSet<&Digest> = newest_first
        .get(newer..older)
        .unwrap_or_default()
        .iter()
        .map(|named| &named.digest)
        .collect();
    Ok(i64::try_from(between.len()).ok())
}

/// Whether an image, or that its tag names it, is other than what is known.
async fn is_news(tx: &mut dyn Tx, sighting: &Sighting) -> Result<bool, AppError> {
    let (workspace, image) = (sighting.workspace, &sighting.image);
    let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
    if known.is_none_or(|known| known.details.is_none()) {
        return Ok(true);
    }
    let Some(tag) = &image.tag else { return Ok(false) };
    let named = tx.known_tag(workspace, &image.repository, tag).await?;
    Ok(named.is_none_or(|named| named.found != Found::Image || named.digest.as_ref() != Some(&image.digest)))
}

/// The tag of an artifact that is shown.
pub(super) struct Shown {
    tag: Option<Tag>,
    is_changed: bool,
}

/// Chooses which tag of an artifact is shown. One that Git named stays until the registry has a better one; one that names another
/// image now is none of it.
pub(super) async fn show(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    digest: &Digest,
) -> Result<Shown, AppError> {
    let before = tx
        .artifact(workspace, repository, digest)
        .await?
        .and_then(|known| known.image.tag);
    let mut tags = tx.tags_of_image(workspace, repository, digest).await?;
    if let Some(before) = before.as_ref().filter(|before| !tags.contains(before)) {
        let names = tx.known_tag(workspace, repository, before).await?;
        if names.is_none_or(|names| names.digest.as_ref() == Some(digest)) {
            tags.push(before.clone());
        }
    }
    let environments = tx.environment_names(workspace).await?;
    let tag = shown(&tags, &environments).cloned();
    let is_changed = tag != before;
    if is_changed {
        tx.show_tag(workspace, repository, digest, tag.as_ref()).await?;
    }
    Ok(Shown { tag, is_changed })
}

fn seen(workspace: WorkspaceId, image: &ExactImage) -> NewEvent {
    NewEvent {
        workspace,
        subject: Subject::default(),
        actor: Actor::Waybill,
        happened: Happened::ArtifactSeen { image: image.clone() },
    }
}

/// How new an artifact is: when it was built; when it was first seen, where the builder says nothing believable (reproducible
/// builds say 1970).
fn rank(details: &ArtifactDetails, seen_at: Timestamp) -> Timestamp {
    const YEAR_2000: Timestamp = Timestamp(946_684_800_000);
    const A_DAY: i64 = 86_400_000;
    details
        .created_at
        .filter(|built| *built >= YEAR_2000 && *built <= seen_at.plus_millis(A_DAY))
        .unwrap_or(seen_at)
}

async fn project_of(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
) -> Result<Option<crate::store::ProjectRecord>, AppError> {
    for record in tx.projects(workspace).await? {
        if tx
            .environments(record.project.id)
            .await?
            .iter()
            .any(|e| e.id == resource.environment)
        {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
