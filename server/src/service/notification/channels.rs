//! Notifications out, for administrators: channels of projects, and what went through them.
//!
//! Nothing is sent here. A test is a delivery like any other, written here and sent by the worker; the one who asked for it is
//! told what came of it, if that doesn't take long.

use crate::{
    service::{
        context::{Services, internal},
        notification::{
            draft::{self, Target},
            message::Message,
        },
        reach::{self, Caller, channel_context, not_found},
    },
    store::{Channel, Delivery, NewEvent, ProjectRecord, StoreError, Tx},
};
use contract::{
    error::AppError,
    notification::{ChannelDraft, ChannelMade, ChannelView, DeliveryView, NotificationsView, Tried},
};
use domain::{
    environment::{Environment, Workspace},
    event::{Happened, Subject},
    field::FieldErrors,
    id::{ChannelId, DeliveryId, ProjectId},
    notification::DeliveryState,
    rights::Role,
};
use secrecy::ExposeSecret as _;
use std::time::Duration;

/// Deliveries that are shown.
const SHOWN: i64 = 50;
/// Channels of a project, at most: each entry of the ledger may become a delivery for each of them.
const MOST_CHANNELS: usize = 20;
/// How long somebody waits to be told what came of a delivery.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// The channels of a workspace, and what went through them last.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn notifications(
    services: &Services,
    caller: &Caller,
    workspace: &str,
) -> Result<NotificationsView, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let places = administered(&mut *tx, caller, workspace).await?;
    let place = |id: ProjectId| places.iter().find(|(record, _)| record.project.id == id);
    let mut channels: Vec<(Channel, ChannelView)> = Vec::new();
    for channel in tx.channels(workspace.id).await? {
        let Some((record, environments)) = place(channel.project) else {
            continue;
        };
        let here = environments.iter().filter(|e| channel.environments.contains(&e.id));
        let view = ChannelView {
            id: channel.id,
            name: channel.name.clone(),
            project: record.project.name.clone(),
            kind: channel.kind,
            shown: channel.shown.clone(),
            occasions: channel.occasions.clone(),
            environments: here.map(|e| e.name.clone()).collect(),
            active: channel.active,
        };
        channels.push((channel, view));
    }
    channels.sort_by(|(_, a), (_, b)| (&a.project, &a.name).cmp(&(&b.project, &b.name)));
    let mut deliveries = Vec::new();
    for delivery in tx.deliveries(workspace.id, SHOWN).await? {
        let Some((_, channel)) = channels.iter().find(|(channel, _)| channel.id == delivery.channel) else {
            continue;
        };
        deliveries.push(DeliveryView {
            id: delivery.id,
            channel: channel.name.clone(),
            project: channel.project.clone(),
            title: title(&delivery),
            state: delivery.state,
            attempts: delivery.attempts,
            status: delivery.status,
            answer: delivery.answer,
            at: delivery.created_at,
            next_at: delivery.next_at,
        });
    }
    let names = |environments: Vec<Environment>| environments.into_iter().map(|e| e.name).collect();
    Ok(NotificationsView {
        workspace: workspace.name.clone(),
        channels: channels.into_iter().map(|(_, view)| view).collect(),
        deliveries,
        mail: services.notifier.mail.is_some(),
        now: services.now(),
        places: places
            .into_iter()
            .map(|(record, environments)| (record.project.name, names(environments)))
            .collect(),
    })
}

/// Adds a channel. A webhook's key is made here, and can be seen only now.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn add_channel(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: ChannelDraft,
) -> Result<ChannelMade, AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let places = administered(&mut *tx, &caller, &workspace).await?;
    let checked = draft::check(&draft, &places, &services.notifier)?;
    let all = tx.channels(workspace.id).await?;
    if all.iter().filter(|one| one.project == checked.project).count() >= MOST_CHANNELS {
        let why = format!("A project has at most {MOST_CHANNELS} channels. Remove one first.");
        return Err(AppError::Conflict(why));
    }
    let id = ChannelId(services.ids.next());
    let (target, secret) = checked.target.with_key()?;
    let target = serde_json::to_string(&target).map_err(|e| internal(&e))?;
    let sealed = services.sealer.seal(&channel_context(id), &target.into());
    let channel = Channel {
        id,
        workspace: workspace.id,
        project: checked.project,
        name: checked.name,
        kind: checked.kind,
        shown: checked.shown,
        target: sealed.map_err(|e| internal(&e))?,
        occasions: checked.occasions,
        environments: checked.environments,
        active: true,
        since: tx.newest_event().await?,
        created_at: services.now(),
    };
    tx.insert_channel(&channel).await.map_err(|error| match error {
        StoreError::Exists => {
            let why = format!(
                "This project has a channel {} already. Choose another name.",
                channel.name
            );
            FieldErrors::one("name", why).into()
        }
        other => AppError::from(other),
    })?;
    let happened = Happened::ChannelAdded {
        name: channel.name.clone(),
        channel: channel.kind.to_string(),
    };
    tell_of_channel(services, &mut *tx, &caller, &channel, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(ChannelMade {
        name: channel.name,
        secret,
    })
}

/// Pauses or resumes a channel. Events during the pause are not sent later.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such channel.
pub async fn pause_channel(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    channel: &str,
    paused: bool,
) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let channel = channel_named(&mut *tx, &caller, &workspace, channel).await?;
    if channel.active == paused {
        let since = tx.newest_event().await?;
        tx.set_channel(channel.id, !paused, since).await?;
        let happened = Happened::ChannelPaused {
            name: channel.name.clone(),
            paused,
        };
        tell_of_channel(services, &mut *tx, &caller, &channel, happened).await?;
    }
    tx.commit().await?;
    services.wrote();
    services.wake.deliveries.notify_one();
    Ok(())
}

/// Removes a channel, with what went through it.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such channel.
pub async fn remove_channel(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    channel: &str,
) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let channel = channel_named(&mut *tx, &caller, &workspace, channel).await?;
    tx.remove_channel(channel.id).await?;
    let happened = Happened::ChannelRemoved {
        name: channel.name.clone(),
    };
    tell_of_channel(services, &mut *tx, &caller, &channel, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Sends a test through a channel; what came of it, a sentence.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such channel, or it is paused.
pub async fn test_channel(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    channel: &str,
) -> Result<Tried, AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let channel = channel_named(&mut *tx, &caller, &workspace, channel).await?;
    check_active(&channel)?;
    let project = tx.project(channel.project).await?;
    let project = project
        .map(|record| record.project.name.to_string())
        .unwrap_or_default();
    let now = services.now();
    let page = format!("{}/w/{}/-/settings/notifications", services.public_url, workspace.name);
    let by = caller.actor.name();
    let message = Message::test(&channel.name, &project, workspace.name.as_str(), by, now, page);
    let delivery = Delivery {
        id: DeliveryId(services.ids.next()),
        workspace: workspace.id,
        channel: channel.id,
        event: None,
        promotion: None,
        occasion: None,
        message: serde_json::to_string(&message).map_err(|e| internal(&e))?,
        state: DeliveryState::Waiting,
        attempts: 0,
        status: None,
        answer: None,
        created_at: now,
        tried_at: None,
        next_at: Some(now),
    };
    tx.insert_delivery(&delivery).await?;
    tx.commit().await?;
    services.wake.deliveries.notify_one();
    outcome_of(services, delivery.id).await
}

/// Sends a notification again, also one that was delivered; what came of it, a sentence.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such delivery, or its channel is paused.
pub async fn redeliver(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    delivery: &str,
) -> Result<Tried, AppError> {
    let missing = || not_found("delivery", delivery);
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let id: DeliveryId = delivery.parse().map_err(|_| missing())?;
    let found = tx.delivery(id).await?.filter(|one| one.workspace == workspace.id);
    let found = found.ok_or_else(missing)?;
    let channel = channel_named(&mut *tx, &caller, &workspace, &found.channel.to_string()).await?;
    check_active(&channel)?;
    tx.redeliver(id, services.now()).await?;
    let happened = Happened::NotificationRedelivered {
        name: channel.name.clone(),
        title: title(&found),
    };
    tell_of_channel(services, &mut *tx, &caller, &channel, happened).await?;
    tx.commit().await?;
    services.wrote();
    services.wake.deliveries.notify_one();
    outcome_of(services, id).await
}

/// Waits a little for what comes of a delivery that is due; in words.
async fn outcome_of(services: &Services, id: DeliveryId) -> Result<Tried, AppError> {
    let look = async {
        loop {
            let delivery = services.store.read().await?.delivery(id).await?;
            if !delivery.is_some_and(|one| one.attempts == 0 && one.next_at.is_some()) {
                return Ok::<_, StoreError>(());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if let Ok(looked) = tokio::time::timeout(PATIENCE, look).await {
        looked?;
    }
    let delivery = services.store.read().await?.delivery(id).await?;
    Ok(match delivery {
        Some(delivery) => Tried {
            state: delivery.state,
            words: came_of(&delivery),
        },
        None => Tried {
            state: DeliveryState::GivenUp,
            words: "Its channel was removed meanwhile.".into(),
        },
    })
}

async fn tell_of_channel(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    channel: &Channel,
    happened: Happened,
) -> Result<(), AppError> {
    let event = NewEvent {
        workspace: channel.workspace,
        subject: Subject {
            project: Some(channel.project),
            ..Subject::default()
        },
        actor: caller.actor.clone(),
        happened,
    };
    tx.append_event(&event, services.now()).await?;
    Ok(())
}

/// What came of a delivery, in words.
fn came_of(delivery: &Delivery) -> String {
    let answer = delivery.answer.as_deref().unwrap_or_default();
    let answer = answer.trim_end_matches('.');
    let said = match (delivery.status, answer) {
        (Some(status), "") => format!("The answer was {status}."),
        (Some(status), answer) => format!("The answer was {status}: {answer}."),
        (None, "") => String::new(),
        (None, answer) => format!("{answer}."),
    };
    match delivery.state {
        DeliveryState::Delivered => format!("It is delivered. {said}"),
        DeliveryState::GivenUp => format!("It was not delivered, and is not tried again. {said}"),
        DeliveryState::Waiting if delivery.attempts > 0 => {
            format!("It was not delivered yet, and is tried again by itself. {said}")
        }
        DeliveryState::Waiting => "It is on its way; reload in a while to see what came of it.".to_owned(),
    }
}

/// What a delivery tells, a line.
fn title(delivery: &Delivery) -> String {
    serde_json::from_str::<Message>(&delivery.message)
        .map(|message| message.data.title)
        .unwrap_or_default()
}

fn check_active(channel: &Channel) -> Result<(), AppError> {
    if channel.active {
        return Ok(());
    }
    let why = format!("The channel {} is paused. Resume it first.", channel.name);
    Err(AppError::Conflict(why))
}

/// The projects of a workspace that the caller administers, with their environments.
async fn administered(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
) -> Result<Vec<(ProjectRecord, Vec<Environment>)>, AppError> {
    let mut places = Vec::new();
    for record in tx.projects(workspace.id).await? {
        if caller.role_in_project(workspace.id, record.project.id) == Some(Role::Admin) {
            let environments = tx.environments(record.project.id).await?;
            places.push((record, environments));
        }
    }
    Ok(places)
}

/// The channel with this id, in a project that the caller administers.
async fn channel_named(tx: &mut dyn Tx, caller: &Caller, workspace: &Workspace, id: &str) -> Result<Channel, AppError> {
    let missing = || not_found("channel", id);
    let parsed: ChannelId = id.parse().map_err(|_| missing())?;
    tx.channel(parsed)
        .await?
        .filter(|channel| channel.workspace == workspace.id)
        .filter(|channel| caller.role_in_project(workspace.id, channel.project) == Some(Role::Admin))
        .ok_or_else(missing)
}

/// Where a channel for notifications leads.
pub(crate) fn channel_target(services: &Services, channel: &Channel) -> Result<Target, AppError> {
    let json = reach::unseal(services, &channel_context(channel.id), &channel.target)?;
    serde_json::from_str(json.expose_secret()).map_err(|e| internal(&e))
}
