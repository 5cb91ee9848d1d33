//! From the ledger to deliveries.
//!
//! A look costs one query where no project has a channel. Otherwise it reads what may have to be told (of projects with channels only), in pages,
//! and asks how things stand where an entry alone doesn't say. Deliveries and the cursor behind them are written in one transaction;
//! where nothing is to be told, nothing is written: how far the ledger was gone through is kept in memory, and the stored cursor follows
//! now and then.

use super::send::LEASE_MILLIS;
use crate::{
    service::{
        Services,
        context::internal,
        notification::{About, Message, Names},
    },
    store::{Channel, Delivery, StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    environment::{Environment, Workspace},
    event::{Event, Happened},
    id::{ChannelId, DeliveryId, EnvironmentId, ProjectId, PromotionId},
    notification::{DeliveryState, Occasion},
    plan::Health,
    promotion::{Phase, Promotion, State},
    resource::Resource,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Entries that may have to be told, read at once.
const PAGE: i64 = 200;
/// How far one look goes through the ledger.
const SPAN: i64 = 5_000;
/// How far the stored cursor may lag behind while nothing is told: that much is gone through again after a restart.
const LAG: i64 = 20_000;
/// A burst is gone through in few looks, not in one per entry.
const GATHER: Duration = Duration::from_millis(200);
/// How often it is looked without being told that the ledger grew.
const LOOK: Duration = Duration::from_secs(5);
/// For how long it is remembered what was delivered or given up: 30 days.
const REMEMBERED_MILLIS: i64 = 30 * 24 * 3_600_000;
/// No delivery is put off for longer than a day: what is was put off by a clock that ran ahead.
const LONGEST_MILLIS: i64 = 24 * 3_600_000;
/// How often what is older is forgotten, and how much at once.
const CLEAN: Duration = Duration::from_secs(600);
const CLEANED: i64 = 500;

/// Goes through the ledger.
pub struct Dispatcher {
    services: Services,
    /// Up to here everything was gone through, by this server or by others.
    at: i64,
}

impl Dispatcher {
    /// Begins where the stored cursor is.
    #[must_use]
    pub fn new(services: Services) -> Self {
        Self { services, at: 0 }
    }

    /// Goes on until told to stop; `ledger` changes when the ledger grew.
    pub async fn run(mut self, mut ledger: watch::Receiver<i64>, stop: CancellationToken) {
        let mut clean = tokio::time::interval(CLEAN);
        loop {
            ledger.mark_unchanged();
            match self.look().await {
                Ok(true) if !stop.is_cancelled() => continue,
                Ok(_) => {}
                Err(AppError::Unavailable(_)) => {}
                Err(error) => tracing::error!(%error, "what is to be told could not be read from the ledger"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ledger.changed() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(LOOK) => {}
                _ = clean.tick() => self.clean().await,
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Goes on by one page; `true` when there may be more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look(&mut self) -> Result<bool, AppError> {
        let services = self.services.clone();
        let mut tx = services.store.read().await?;
        let channels = tx.active_channels().await?;
        // Events before the first channel are not sent.
        let Some(first) = channels.iter().map(|channel| channel.since).min() else {
            return Ok(false);
        };
        let cursor = tx.notification_cursor().await?;
        let at = self.at.max(cursor).max(first);
        let newest = tx.newest_event().await?;
        if at >= newest {
            return Ok(false);
        }
        let end = newest.min(at.saturating_add(SPAN));
        let (events, more_after) = tx.events_to_tell(at, end, PAGE).await?;
        let upto = more_after.unwrap_or(end);
        let mut page = Page::new(&services, &channels);
        for event in &events {
            page.tell(&mut *tx, event).await?;
        }
        let deliveries = page.deliveries;
        drop(tx);
        if deliveries.is_empty() && upto - cursor < LAG {
            self.at = upto;
            return Ok(upto < newest);
        }
        let mut tx = services.store.write().await?;
        if !tx.move_notification_cursor(cursor, upto).await? {
            // Another server was faster; what it went through is read again from there.
            self.at = 0;
            return Ok(true);
        }
        for delivery in &deliveries {
            tx.insert_delivery(delivery).await?;
        }
        tx.commit().await?;
        self.at = upto;
        if !deliveries.is_empty() {
            services.wake.deliveries.notify_one();
        }
        Ok(upto < newest)
    }

    /// Forgets what ended long ago.
    async fn clean(&self) {
        let now = self.services.now();
        let clean = async {
            let mut tx = self.services.store.write().await?;
            tx.recall_deliveries(now.plus_millis(LONGEST_MILLIS), now.plus_millis(2 * LEASE_MILLIS), now)
                .await?;
            tx.forget_deliveries(now.plus_millis(-REMEMBERED_MILLIS), CLEANED)
                .await?;
            tx.commit().await
        };
        let cleaned: Result<(), StoreError> = clean.await;
        if let Err(error) = cleaned
            && error.trouble().is_none()
        {
            tracing::error!(%error, "old deliveries could not be forgotten");
        }
    }
}

/// What is read for a page of entries, and the deliveries that come of it.
struct Page<'a> {
    services: &'a Services,
    channels: &'a [Channel],
    workspaces: Vec<Workspace>,
    projects: HashMap<ProjectId, Option<(String, Vec<Environment>)>>,
    /// Waits for approval that this page tells of.
    told: Vec<(ChannelId, PromotionId)>,
    deliveries: Vec<Delivery>,
}

impl<'a> Page<'a> {
    fn new(services: &'a Services, channels: &'a [Channel]) -> Self {
        Self {
            services,
            channels,
            workspaces: Vec::new(),
            projects: HashMap::new(),
            told: Vec::new(),
            deliveries: Vec::new(),
        }
    }

    /// Adds the deliveries of an entry.
    async fn tell(&mut self, tx: &mut dyn Tx, event: &Event) -> Result<(), AppError> {
        let Some(occasion) = Occasion::of(&event.happened) else {
            return Ok(());
        };
        let (all, services) = (self.channels, self.services);
        let mut channels: Vec<&Channel> = all.iter().filter(|c| c.tells(occasion, event)).collect();
        if channels.is_empty() {
            return Ok(());
        }
        let (Some(project), Some(environment)) = (event.subject.project, event.subject.environment) else {
            return Ok(());
        };
        if occasion == Occasion::Recalled {
            self.read_names(tx, event, project).await?;
            let names = self.names(event, project, environment);
            let message = names.and_then(|names| Message::of_recall(event, names, &services.public_url));
            return match message {
                Some(message) => self.deliver(event, occasion, &message, channels),
                None => Ok(()),
            };
        }
        let Some(resource) = event.subject.resource else {
            return Ok(());
        };
        // What was said of a thing before it was removed is told all the same.
        let Some((resource, _)) = tx.resource_ever(resource).await? else {
            return Ok(());
        };
        let mut promotion = match event.subject.promotion {
            Some(id) => tx.promotion(id).await?,
            None => None,
        };
        if occasion == Occasion::Drift && !has_drifted(tx, event, &resource).await? {
            return Ok(());
        }
        if occasion == Occasion::NeedsApproval {
            let Some(promotion) = &mut promotion else {
                return Ok(());
            };
            let Some(waits_for) = awaits_approval(tx, promotion).await? else {
                return Ok(());
            };
            promotion.waits_for = Some(waits_for);
            if matches!(event.happened, Happened::PromotionWaits { .. }) {
                // What it waits for changes with each approval; that it waits is told once.
                self.keep_untold(tx, &mut channels, promotion.id).await?;
            }
            self.told
                .extend(channels.iter().map(|channel| (channel.id, promotion.id)));
        }
        self.read_names(tx, event, project).await?;
        let Some([workspace, project, environment]) = self.names(event, project, environment) else {
            return Ok(());
        };
        let about = About {
            names: Names {
                workspace,
                project,
                environment,
                resource: resource.name.as_str(),
            },
            resource: &resource,
            promotion: promotion.as_ref(),
        };
        let message = Message::of(event, occasion, about, &services.public_url);
        self.deliver(event, occasion, &message, channels)
    }

    /// The names of the workspace, the project and the environment that an entry is about.
    fn names(&self, event: &Event, project: ProjectId, environment: EnvironmentId) -> Option<[&str; 3]> {
        let workspace = self.workspaces.iter().find(|one| one.id == event.workspace)?;
        let (project, environments) = self.projects.get(&project)?.as_ref()?;
        let environment = environments.iter().find(|one| one.id == environment)?;
        Some([workspace.name.as_str(), project, environment.name.as_str()])
    }

    /// Adds a delivery through each of these channels.
    fn deliver(
        &mut self,
        event: &Event,
        occasion: Occasion,
        message: &Message,
        channels: Vec<&Channel>,
    ) -> Result<(), AppError> {
        let services = self.services;
        let message = serde_json::to_string(message).map_err(|e| internal(&e))?;
        let now = services.now();
        let deliveries = channels.into_iter().map(|channel| Delivery {
            id: DeliveryId(services.ids.next()),
            workspace: event.workspace,
            channel: channel.id,
            event: Some(event.sequence),
            promotion: event.subject.promotion,
            occasion: Some(occasion),
            message: message.clone(),
            state: DeliveryState::Waiting,
            attempts: 0,
            status: None,
            answer: None,
            created_at: now,
            tried_at: None,
            next_at: Some(now),
        });
        self.deliveries.extend(deliveries);
        Ok(())
    }

    /// Leaves out the channels that were told that a promotion needs approval.
    async fn keep_untold(
        &self,
        tx: &mut dyn Tx,
        channels: &mut Vec<&Channel>,
        promotion: PromotionId,
    ) -> Result<(), StoreError> {
        let mut untold = Vec::new();
        for channel in channels.drain(..) {
            let here = self.told.contains(&(channel.id, promotion));
            if !here && !tx.was_told(channel.id, promotion, Occasion::NeedsApproval).await? {
                untold.push(channel);
            }
        }
        *channels = untold;
        Ok(())
    }

    async fn read_names(&mut self, tx: &mut dyn Tx, event: &Event, project: ProjectId) -> Result<(), StoreError> {
        if !self.workspaces.iter().any(|one| one.id == event.workspace) {
            self.workspaces = tx.workspaces().await?;
        }
        if let Entry::Vacant(unread) = self.projects.entry(project) {
            unread.insert(match tx.project(project).await? {
                Some(record) => {
                    let environments = tx.environments_ever(project).await?.into_iter();
                    Some((record.project.name.to_string(), environments.map(|(e, _)| e).collect()))
                }
                None => None,
            });
        }
        Ok(())
    }
}

/// What a promotion waits for, if approvals are among it now: when it was approved meanwhile, nobody need come.
async fn awaits_approval(tx: &mut dyn Tx, promotion: &Promotion) -> Result<Option<String>, StoreError> {
    if promotion.state != State::Waiting {
        return Ok(None);
    }
    let decision = tx.gates(promotion.id).await?;
    Ok(decision
        .filter(|decision| decision.awaits_approval())
        .and_then(|decision| decision.waits_for()))
}

/// Whether what an entry says is drift. Git changed by somebody else is. What is live is, when the rollout is over, Git says otherwise, and
/// no promotion is being rolled out that would explain it; one that waits doesn't.
async fn has_drifted(tx: &mut dyn Tx, event: &Event, resource: &Resource) -> Result<bool, StoreError> {
    let Happened::LiveChanged { digests, health } = &event.happened else {
        return Ok(true);
    };
    let Some(desired) = &resource.desired else {
        return Ok(false);
    };
    let is_other = !digests.is_empty() && digests.iter().all(|digest| digest != desired.digest.short());
    let is_over = matches!(health, Health::Healthy) && resource.is_live_as_desired() == Some(false);
    if !(is_other && is_over) {
        return Ok(false);
    }
    let explains = |promotion: &Promotion| matches!(promotion.state.phase(), Phase::Committing | Phase::AfterCommit);
    Ok(!tx.open_promotions(resource.id).await?.iter().any(explains))
}
