//! From deliveries to the world.
//!
//! One at a time goes through a channel, in order, and channels don't wait for each other: one that hangs holds up itself alone. What came
//! of several is written together, so that a burst costs the database a few transactions.

use crate::{
    adapters::{
        mail::Mail,
        outbound::{EXCHANGE, OutboundError},
    },
    service::{
        Services,
        notification::{self, Message, Target},
    },
    store::{Channel, Delivery, StoreError},
    telemetry,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    id::{ChannelId, DeliveryId},
    notification::DeliveryState,
    time::Timestamp,
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Channels that are sent through at once.
const CHANNELS: usize = 16;

/// Deliveries of one channel that are taken at once.
const BATCH: i64 = 50;

/// How long a lease lasts; it isn't renewed.
pub(super) const LEASE_MILLIS: i64 = 60_000;

/// What must be left of a lease for one more to be sent: an exchange, and the time to write it down.
const LEAST_MILLIS: i64 = 35_000;

/// How long what came of deliveries may wait to be written together.
const WRITE_MILLIS: i64 = 2_000;

/// Longest sleep without looking.
const LOOK: Duration = Duration::from_secs(5);

/// Shortest sleep after a look that found something due which isn't to be had.
const LEAST: Duration = Duration::from_millis(50);

/// How long a stop waits for what is under way.
const GRACE: Duration = Duration::from_secs(5);

/// How long after each try in vain the next one follows, in seconds: 12 tries, over a day.
const BACK_OFF: [i64; 11] = [5, 20, 60, 240, 900, 2_700, 7_200, 14_400, 18_000, 21_600, 21_600];

/// Sends what is due.
#[derive(Clone)]
pub struct Sender {
    services: Services,
    owner: Arc<str>,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Sender {
    /// A sender; `owner` names this life of it among all that send from the same database.
    #[must_use]
    pub fn new(services: Services, owner: &str) -> Self {
        Self {
            services,
            owner: owner.into(),
            room: Arc::new(Semaphore::new(CHANNELS)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Goes on until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        self.stop = stop.clone();
        while !stop.is_cancelled() {
            match self.take_up().await {
                Ok(0) => self.sleep().await,
                Ok(_) => {}
                Err(error) => {
                    if error.trouble().is_none() {
                        tracing::error!(%error, "no delivery could be claimed");
                    }
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
            }
        }
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::info!("a notification under way was cut off; it is sent again at the next start");
        }
    }

    /// Sends all that is due now, and waits until it is written down; how many channels had something.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look(&self) -> Result<usize, StoreError> {
        let taken = self.take_up().await?;
        // When all places are free again, whoever had them is done.
        let all = u32::try_from(CHANNELS).unwrap_or(u32::MAX);
        drop(self.room.acquire_many(all).await);
        Ok(taken)
    }

    async fn sleep(&self) {
        let due = match self.services.store.read().await {
            Ok(mut tx) => tx.next_delivery().await.ok().flatten(),
            Err(_) => None,
        };
        let now = self.services.now();
        let until_due = due.map_or(LOOK, |due| {
            Duration::from_millis(u64::try_from(due.millis_since(now)).unwrap_or_default())
        });
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.services.wake.deliveries.notified() => {}
            () = tokio::time::sleep(until_due.clamp(LEAST, LOOK)) => {}
        }
    }

    /// Takes up channels with something due, each in a task of its own; how many.
    async fn take_up(&self) -> Result<usize, StoreError> {
        let now = self.services.now();
        // Most looks find nothing: they should not take the writer's turn.
        let mut tx = self.services.store.read().await?;
        let due = tx.next_delivery().await?;
        let room = self.room.available_permits();
        let limit = i64::try_from(room).unwrap_or(i64::MAX);
        if due.is_none_or(|due| due > now) || room == 0 || tx.due_channels(now, limit).await?.is_empty() {
            return Ok(0);
        }
        drop(tx);
        let until = now.plus_millis(LEASE_MILLIS);
        let mut tx = self.services.store.write().await?;
        let mut claimed = Vec::new();
        for channel in tx.due_channels(now, limit).await? {
            // A name of its own for each claim: what a person has sent again meanwhile is claimed anew here, too, and the end of the first
            // sending must not be taken for that of the second.
            let lease = format!("{}/{}", self.owner, self.services.ids.next());
            let batch = tx.claim_deliveries(&lease, channel, now, until, BATCH).await?;
            if !batch.is_empty() {
                claimed.push((channel, Lease { owner: lease, until }, batch));
            }
        }
        if claimed.is_empty() {
            return Ok(0);
        }
        tx.commit().await?;
        let taken = claimed.len();
        for (channel, lease, batch) in claimed {
            let sender = self.clone();
            // There is one for each: no more channels were taken than there was room for.
            let place = self.room.clone().acquire_owned().await;
            self.tasks.spawn(async move {
                let sent = sender.send_batch(channel, &lease, batch).await;
                if let Err(error) = sent
                    && error.trouble().is_none()
                {
                    tracing::error!(%channel, %error, "what came of notifications could not be recorded; they are sent again");
                }
                drop(place);
                // More may be due through the same channel.
                sender.services.wake.deliveries.notify_one();
            });
        }
        Ok(taken)
    }

    /// Sends deliveries of a channel, one after another, while the lease lasts.
    async fn send_batch(&self, id: ChannelId, lease: &Lease, batch: Vec<Delivery>) -> Result<(), StoreError> {
        let services = &self.services;
        let Some(channel) = services.store.read().await?.channel(id).await? else {
            return Ok(());
        };
        let target = notification::channel_target(services, &channel);
        let mut done: Vec<Delivery> = Vec::new();
        let mut unsent: Vec<DeliveryId> = Vec::new();
        let mut written = services.now();
        for delivery in batch {
            if self.stop.is_cancelled() || lease.until.millis_since(services.now()) < LEAST_MILLIS {
                unsent.push(delivery.id);
                continue;
            }
            let sent = match &target {
                Ok(target) => self.send(target, &delivery).await,
                Err(error) => Sent::in_vain(None, error.to_string(), true),
            };
            let now = services.now();
            done.push(recorded(&channel, delivery, sent, now));
            if now.millis_since(written) >= WRITE_MILLIS {
                self.record(lease, &mut done, &[]).await?;
                written = now;
            }
        }
        self.record(lease, &mut done, &unsent).await
    }

    async fn record(&self, lease: &Lease, done: &mut Vec<Delivery>, unsent: &[DeliveryId]) -> Result<(), StoreError> {
        if done.is_empty() && unsent.is_empty() {
            return Ok(());
        }
        let mut tx = self.services.store.write().await?;
        for delivery in done.drain(..) {
            tx.record_delivery(&lease.owner, &delivery).await?;
        }
        for id in unsent {
            tx.release_delivery(&lease.owner, *id).await?;
        }
        tx.commit().await
    }

    /// Sends one.
    async fn send(&self, target: &Target, delivery: &Delivery) -> Sent {
        let Ok(message) = serde_json::from_str::<Message>(&delivery.message) else {
            return Sent::in_vain(None, "What was to be told can't be read any more.".into(), true);
        };
        match target {
            Target::Webhook { url, key } => {
                let at = self.services.now();
                match signed(key, delivery, at) {
                    Some(headers) => self.post(url, headers, delivery.message.clone()).await,
                    None => Sent::in_vain(
                        None,
                        "The channel's key can't be used. Add the channel anew.".into(),
                        true,
                    ),
                }
            }
            Target::Slack { url } => self.post(url, json_headers(), message.slack()).await,
            Target::Email { to } => {
                let Some(mailer) = &self.services.notifier.mail else {
                    let why = "This server can't send e-mail: smtp.host is not set in its configuration.";
                    return Sent::in_vain(None, why.into(), true);
                };
                let mail = Mail {
                    id: delivery.id.to_string(),
                    to,
                    subject: &message.data.title,
                    text: message.plain(),
                    at: delivery.created_at.0,
                };
                match mailer.send(mail).await {
                    Ok((status, words)) => Sent {
                        status: Some(status),
                        answer: words,
                        is_delivered: true,
                        is_final: true,
                    },
                    Err(error) => Sent::in_vain(error.status, error.reason, error.is_final),
                }
            }
        }
    }

    async fn post(&self, url: &str, headers: HeaderMap, body: String) -> Sent {
        let posted = self.services.notifier.outbound.post(url, headers, body);
        // The client has a time-out of its own, which asking for names may outlast.
        match tokio::time::timeout(2 * EXCHANGE, posted).await {
            Ok(Ok(answer)) => Sent {
                status: Some(answer.status),
                answer: answer.beginning,
                is_delivered: (200..300).contains(&answer.status),
                is_final: false,
            },
            Ok(Err(OutboundError::Refused(why))) => Sent::in_vain(None, why.to_string(), true),
            Ok(Err(OutboundError::Unreachable(why))) => Sent::in_vain(None, why, false),
            Err(_) => Sent::in_vain(None, "No answer came in time.".into(), false),
        }
    }
}

/// What was claimed together is held under this name until then.
struct Lease {
    owner: String,
    until: Timestamp,
}

/// What came of sending one.
struct Sent {
    status: Option<u16>,
    answer: String,
    is_delivered: bool,
    /// Whether trying again is in vain.
    is_final: bool,
}

impl Sent {
    fn in_vain(status: Option<u16>, answer: String, is_final: bool) -> Self {
        Self {
            status,
            answer,
            is_delivered: false,
            is_final,
        }
    }
}

/// A delivery after it was sent.
fn recorded(channel: &Channel, mut delivery: Delivery, sent: Sent, now: Timestamp) -> Delivery {
    delivery.attempts = delivery.attempts.saturating_add(1);
    delivery.tried_at = Some(now);
    delivery.status = sent.status;
    delivery.answer = (!sent.answer.is_empty()).then_some(sent.answer);
    let again = back_off(delivery.attempts, delivery.id).filter(|_| !sent.is_final);
    (delivery.state, delivery.next_at) = match (sent.is_delivered, again) {
        (true, _) => (DeliveryState::Delivered, None),
        (false, Some(millis)) => (DeliveryState::Waiting, Some(now.plus_millis(millis))),
        (false, None) => (DeliveryState::GivenUp, None),
    };
    telemetry::notified(channel.kind, delivery.state);
    delivery
}

/// How long after the so-manieth try in vain the next follows, in milliseconds; `None` when it was the last. Up to a tenth is added, by the
/// delivery's id, so that what failed together isn't sent together.
fn back_off(attempts: u32, id: DeliveryId) -> Option<i64> {
    let place = usize::try_from(attempts.checked_sub(1)?).ok()?;
    let base = BACK_OFF.get(place)? * 1000;
    let turned = id.0.as_u128().rotate_right(attempts.wrapping_mul(7));
    let spread = i64::try_from(turned % 101).unwrap_or(0);
    Some(base + base * spread / 1000)
}

fn json_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

/// The headers of a webhook, as Standard Webhooks has them: who gets it can be sure who sent it, when, and that it was sent before.
/// `None` when the key can't be used.
fn signed(key: &str, delivery: &Delivery, at: Timestamp) -> Option<HeaderMap> {
    let key = STANDARD.decode(key).ok()?;
    let (id, at) = (delivery.id.to_string(), at.0.div_euclid(1000).to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    for part in [id.as_str(), ".", at.as_str(), ".", delivery.message.as_str()] {
        mac.update(part.as_bytes());
    }
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let mut headers = json_headers();
    for (name, value) in [
        ("webhook-id", id),
        ("webhook-timestamp", at),
        ("webhook-signature", signature),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::WorkspaceId;
    use uuid::Uuid;

    fn id(n: u128) -> DeliveryId {
        DeliveryId(Uuid::from_u128(n))
    }

    #[test]
    fn twelve_tries_go_over_a_day_and_spread() {
        let waits: Vec<i64> = (1..).map_while(|attempts| back_off(attempts, id(0))).collect();
        assert_eq!(waits.len(), 11);
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        let hours = waits.iter().sum::<i64>() / 3_600_000;
        assert_eq!(hours, 24);
        for attempts in 1..12 {
            let base = BACK_OFF[attempts as usize - 1] * 1000;
            for n in [1, 99, u128::MAX, 0x0192_0000_0000_7000_8000_1234_5678_9abc] {
                let millis = back_off(attempts, id(n)).unwrap();
                assert!((base..=base * 11 / 10).contains(&millis), "{attempts} {n} {millis}");
            }
        }
        assert_eq!((back_off(12, id(1)), back_off(0, id(1))), (None, None));
    }

    #[test]
    fn a_webhook_is_signed_as_the_standards_example_is() {
        let delivery = Delivery {
            id: id(1),
            workspace: WorkspaceId(Uuid::nil()),
            channel: ChannelId(Uuid::nil()),
            event: None,
            promotion: None,
            occasion: None,
            message: r#"{"test": 2432232314}"#.into(),
            state: DeliveryState::Waiting,
            attempts: 0,
            status: None,
            answer: None,
            created_at: Timestamp(0),
            tried_at: None,
            next_at: None,
        };
        let headers = signed(
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &delivery,
            Timestamp(1_614_265_330_999),
        )
        .unwrap();
        let said = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(said("webhook-id"), "00000000-0000-0000-0000-000000000001");
        assert_eq!(said("webhook-timestamp"), "1614265330");
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(b"00000000-0000-0000-0000-000000000001.1614265330.{\"test\": 2432232314}");
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(said("webhook-signature"), wanted);
        assert!(signed("not base64", &delivery, Timestamp(0)).is_none());
    }
}
