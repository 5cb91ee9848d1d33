//! Channels that nobody listens to, and deliveries through them.

use super::Bench;
use contract::notification::ChannelDraft;
use domain::{id::DeliveryId, notification::DeliveryState};
use server::{
    adapters::system::System,
    ports::clock::Ids as _,
    service::{Caller, notification},
    store::{Channel, Delivery},
};

impl Bench {
    /// A channel for `myapp` in the caller's workspace, and a delivery through it that waits and is never due.
    pub(crate) async fn channel(&self, caller: &Caller, name: &str) -> (Channel, Delivery) {
        let (workspace, _) = &caller.access[0];
        let draft = ChannelDraft {
            name: name.into(),
            project: "myapp".into(),
            kind: "slack".into(),
            address: "http://127.0.0.1:9/".into(),
            occasions: "failed".into(),
            environments: String::new(),
        };
        notification::add_channel(&self.services, caller, workspace.name.as_str(), draft)
            .await
            .unwrap();
        let mut tx = self.store.write().await.unwrap();
        let channels = tx.channels(workspace.id).await.unwrap();
        let channel = channels.into_iter().find(|one| one.name.as_str() == name).unwrap();
        let delivery = Delivery {
            id: DeliveryId(System.next()),
            workspace: workspace.id,
            channel: channel.id,
            event: None,
            promotion: None,
            occasion: None,
            message: "{}".into(),
            state: DeliveryState::Waiting,
            attempts: 0,
            status: None,
            answer: None,
            created_at: self.services.now(),
            tried_at: None,
            next_at: None,
        };
        tx.insert_delivery(&delivery).await.unwrap();
        tx.commit().await.unwrap();
        (channel, delivery)
    }
}
