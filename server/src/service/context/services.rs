//! [`Services`]: what every use case works with, and how those who wait are woken.

use crate::{
    adapters::notifier::Notifier,
    back_off::Patience,
    config::Creators,
    ports::{
        argocd::ArgoCd,
        clock::{Clock, Ids},
        git::Git,
        image_copy::ImageCopier,
        image_look::ImageLook,
        image_statements::ImageStatements,
        image_tags::ImageTags,
        registry::Registry,
        source_history::SourceHistory,
    },
    secrets::Sealer,
    service::context::{
        cells::KeptCells, changes::KeptChanges, deployed_sources::DeployedSources, identity_provider::Sso,
        inbox::KeptInbox, passwords::Passwords, pushes::Pushes, sign_in_limit::SignInLimit, versions::KeptVersions,
        workload_reads::WorkloadReads,
    },
    store::{Store, StoreChange, StoreError, Tx},
};
use domain::{door::Entrance, time::Timestamp};
use futures::StreamExt as _;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What every use case works with.
#[derive(Clone)]
pub struct Services {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// The GitOps repositories.
    pub git: Arc<dyn Git>,
    /// The history of the repositories that images are built from.
    pub sources: Arc<dyn SourceHistory>,
    /// The Argo CDs.
    pub argocd: Arc<dyn ArgoCd>,
    /// The registries.
    pub registry: Arc<dyn Registry>,
    /// What copies images between them.
    pub copier: Arc<dyn ImageCopier>,
    /// What sets tags there.
    pub tags: Arc<dyn ImageTags>,
    /// What hangs statements on them.
    pub statements: Arc<dyn ImageStatements>,
    /// What looks whether images can still be pulled.
    pub looks: Arc<dyn ImageLook>,
    /// What notifications leave through.
    pub notifier: Arc<Notifier>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identity.
    pub ids: Arc<dyn Ids>,
    /// Seals secrets before they are stored.
    pub sealer: Arc<Sealer>,
    /// Wakes those who wait for work or events; what to do they read from the store.
    pub wake: Arc<Wake>,
    /// Whom people may sign in through, beside local accounts.
    pub sso: Option<Arc<Sso>>,
    /// Counts failed sign-ins.
    pub sign_ins: Arc<SignInLimit>,
    /// Hashes passwords.
    pub passwords: Arc<Passwords>,
    /// What registries told of and is being looked at.
    pub pushes: Arc<Pushes>,
    /// What pages show of projects, until something changes.
    pub kept_cells: Arc<KeptCells>,
    /// How new what Argo CD reported is.
    pub kept_versions: Arc<KeptVersions>,
    /// What Applications deploy.
    pub deployed_sources: Arc<DeployedSources>,
    /// Who reads workloads of which Argo CD.
    pub workload_reads: Arc<WorkloadReads>,
    /// What waits for approvals, until something changes.
    pub kept_inbox: Arc<KeptInbox>,
    /// The commits between images, as they were read.
    pub kept_changes: Arc<KeptChanges>,
    /// Who may create workspaces.
    pub creators: Creators,
    /// Address people use, without a slash at the end: links in commits begin with it.
    pub public_url: Arc<str>,
}

/// Wakes those who wait. A call that nobody waits for is kept for the next who does.
#[derive(Debug, Default)]
pub struct Wake {
    /// A promotion became due.
    pub worker: Notify,
    /// The ledger grew.
    pub events: Notify,
    /// A notification became due.
    pub deliveries: Notify,
    /// Blocks are to be removed from Git.
    pub removals: Notify,
    /// A tag of an environment is to be set.
    pub tags: Notify,
    /// Missing parts of an image are to be copied.
    pub presence: Notify,
    /// Clusters, projects or repositories changed: those who follow them look again.
    pub connections: watch::Sender<u64>,
    /// What Git declares of a resource is known for the first time: what its Application runs can be told by it.
    pub adopted: Notify,
    /// Somebody has reason to think that what could not be reached can be now: those who wait for their next try, try.
    pub again: watch::Sender<u64>,
    /// What promotions asked Argo CDs in vain.
    pub patience: Patience,
}

impl Services {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Begins a transaction in which a caller, or a webhook, writes: what is added to the ledger tells how they came in.
    pub(crate) async fn write_through(&self, entrance: &Entrance) -> Result<Box<dyn Tx>, StoreError> {
        let mut tx = self.store.write().await?;
        tx.entered_by(entrance);
        Ok(tx)
    }

    /// To be called after a transaction that wrote events or promotions.
    pub fn wrote(&self) {
        self.wake.worker.notify_one();
        self.wake.events.notify_one();
    }

    /// To be called after clusters, projects or image sources changed.
    pub fn connections_changed(&self) {
        self.wake.connections.send_modify(|n| *n += 1);
        self.wake.patience.forget();
    }

    /// To be called when a person says or sees that an outside system can be reached again: nobody waits for their next try.
    pub fn try_again(&self) {
        self.wake.patience.forget();
        self.wake.again.send_modify(|n| *n += 1);
    }

    /// Wakes those here when another server writes to the same database; until told to stop.
    pub async fn heed_others(self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                change = changes.next() => change,
            };
            match change {
                Some(StoreChange::Work) => self.wake.worker.notify_one(),
                Some(StoreChange::Ledger) => self.wake.events.notify_one(),
                Some(StoreChange::Connections) => self.connections_changed(),
                None => return,
            }
        }
    }
}
