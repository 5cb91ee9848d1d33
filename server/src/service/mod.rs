//! The use cases. Every door (pages, GraphQL, REST, command line, webhooks) calls these and nothing else.
//!
//! A use case authorises its [`Caller`], reads, asks the outside world where it must, and then writes the change, the next
//! step and the event in one transaction. A file per noun.

use crate::back_off::Patience;
use crate::{
    adapters::{argocd::ArgoCd, git::Git, notifier::Notifier, registry::Registry},
    clock::{Clock, Ids},
    config::Creators,
    secrets::Sealer,
    store::{Change, Store, StoreError, Tx, open},
};
use app::error::AppError;
use domain::{door::Entrance, time::Timestamp};
use futures::StreamExt as _;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub mod account;
pub mod activity;
pub mod ahead;
pub mod apply;
pub mod approve;
pub mod artifact;
pub mod board;
pub mod caller;
pub mod cancel;
pub mod cells;
pub mod change_tags;
pub mod check;
pub mod connection;
pub mod connections;
pub mod create_resource;
pub mod deployed_sources;
pub mod desired;
pub mod follow;
pub mod gates;
pub mod git_removal;
pub mod group;
pub mod hold;
pub mod inbox;
pub mod inventory;
pub mod invitation;
pub mod known_browser;
pub mod ledger;
pub mod live;
pub mod look;
pub mod member;
pub mod new_key;
pub mod notification;
mod others;
pub mod password;
pub mod pin;
pub mod place;
pub mod pod_logs;
pub mod policy;
pub mod preview;
pub mod project;
pub mod promote;
pub mod promotion;
pub mod pushed;
pub mod removal;
pub mod request;
pub mod resource;
pub mod retry;
pub mod rollback;
pub mod session;
mod shared;
pub mod sign_in_limit;
pub mod signature;
pub(crate) mod soak;
pub mod source;
pub mod sso;
pub mod start;
pub mod stop;
pub mod stuck;
mod tag_order;
mod take_back;
pub mod test_connection;
pub mod token;
mod what_runs;
pub mod workloads;
pub mod workspace;

pub use caller::Caller;

/// What every use case works with.
#[derive(Clone)]
pub struct Services {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// The GitOps repositories.
    pub git: Arc<dyn Git>,
    /// The Argo CDs.
    pub argocd: Arc<dyn ArgoCd>,
    /// The registries.
    pub registry: Arc<dyn Registry>,
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
    pub sso: Option<Arc<sso::Sso>>,
    /// Counts failed sign-ins.
    pub sign_ins: Arc<sign_in_limit::SignInLimit>,
    /// Hashes passwords.
    pub passwords: Arc<password::Passwords>,
    /// What registries told of and is being looked at.
    pub pushes: Arc<pushed::Pushes>,
    /// What pages show of projects, until something changes.
    pub kept_cells: Arc<cells::KeptCells>,
    /// How new what Argo CD reported is.
    pub kept_versions: Arc<live::KeptVersions>,
    /// What Applications deploy.
    pub deployed_sources: Arc<deployed_sources::DeployedSources>,
    /// Who reads workloads of which Argo CD.
    pub workload_reads: Arc<workloads::WorkloadReads>,
    /// What waits for approvals, until something changes.
    pub kept_inbox: Arc<inbox::KeptInbox>,
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

    /// Begins a transaction in which a caller writes: what is added to the ledger tells how they came in.
    pub(crate) async fn write_as(&self, caller: &Caller) -> Result<Box<dyn Tx>, StoreError> {
        self.write_through(&caller.entrance).await
    }

    /// The same for what no caller stands behind: a webhook's hint.
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
                Some(Change::Work) => self.wake.worker.notify_one(),
                Some(Change::Ledger) => self.wake.events.notify_one(),
                Some(Change::Connections) => self.connections_changed(),
                None => return,
            }
        }
    }
}

/// A fault of our own: the cause goes to the log under a number, the person gets the number. A damaged database is no secret, and nobody
/// else can do anything about it.
pub fn internal(error: &(dyn std::error::Error + 'static)) -> AppError {
    let number = fault_number();
    let mut causes = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        causes = format!("{causes}: {e}");
        cause = e.source();
    }
    tracing::error!(fault = %number, error = %causes, "a use case failed");
    if open::tells_of_damage(error) {
        return AppError::Upstream(format!("Fault {number}: {}.", open::DAMAGED));
    }
    AppError::Internal(number)
}

/// Eight random characters: unique enough to be found in a log.
fn fault_number() -> String {
    let mut bytes = [0_u8; 4];
    // Without random numbers the number is 00000000, which is still found in the log.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale => {
                Self::Conflict("It was changed by somebody else in the meantime. Reload to see how it stands.".into())
            }
            StoreError::Exists => Self::Conflict("It exists already. Reload to see it.".into()),
            other => match other.trouble() {
                Some(trouble) => Self::Unavailable(trouble.to_string()),
                None => internal(&other),
            },
        }
    }
}

impl From<crate::adapters::git::GitError> for AppError {
    fn from(error: crate::adapters::git::GitError) -> Self {
        // Who asked is told; whoever runs this may want to know how often.
        tracing::warn!(%error, "Git kept a request from being carried out");
        Self::Upstream(error.to_string())
    }
}

/// Of what somebody asked for, before anything of it is written: when another system is what keeps it from being done, it doesn't wait
/// either, and whoever asked must know.
pub(crate) fn unrecorded(error: AppError) -> AppError {
    match error {
        AppError::Upstream(why) => AppError::Upstream(format!("{why} Nothing was recorded.")),
        other => other,
    }
}

impl From<crate::adapters::registry::RegistryError> for AppError {
    fn from(error: crate::adapters::registry::RegistryError) -> Self {
        // Who asked is told; whoever runs this may want to know how often.
        tracing::warn!(%error, "a registry kept a request from being carried out");
        Self::Upstream(error.to_string())
    }
}
