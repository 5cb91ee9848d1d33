//! What is remembered. [`Store`] opens transactions; [`Tx`] is all that can be read and written in one.
//!
//! A change, the next step it asks for and the event that tells of it are written in one transaction, and nothing goes over the
//! network inside one. Each noun has a file with its trait, statements, rows and bodies; [`rows`] has what several nouns share, and
//! [`tx`] begins and ends ([`guarded_tx`]; [`database_fault`] is what keeps everything from being written). [`chain`] ties the ledger's entries
//! together, [`activity`] finds them; [`sealed`] knows where secrets lie. [`sqlite`] and [`postgres`] are the two databases: how each is
//! opened, how its writers take turns, how it says that something changed, and the statements that it writes differently
//! ([`dialect`]). One story holds both (`server/tests/it/store_story.rs`).

pub mod accounts;
pub mod activity;
pub mod adoptions;
pub mod artifacts;
pub mod chain;
pub mod clusters;
pub mod copies;
pub mod custody;
pub mod database_fault;
pub mod dialect;
pub mod gates;
pub mod git_reads;
pub mod guarded_tx;
pub mod identities;
pub mod illnesses;
pub mod invitations;
pub mod leases;
pub mod ledger;
pub mod notifications;
pub mod open;
pub mod people;
pub mod postgres;
pub mod presence;
pub mod projects;
pub mod promotions;
pub mod proofs;
pub mod recalls;
pub mod registries;
pub mod removals;
pub mod resources;
pub mod rows;
pub mod sealed;
pub mod sessions;
pub mod signing_keys;
pub mod source_hosts;
pub mod sqlite;
pub mod statements;
pub mod tag_moves;
pub mod tags;
pub mod tokens;
pub mod trusted_roots;
pub mod tx;
#[cfg(test)]
mod upserts;
pub mod workspaces;
pub use accounts::{Accounts, User};
pub use adoptions::{Adoption, Adoptions, UnpromotedImage};
pub use artifacts::Artifacts;
use async_trait::async_trait;
pub use clusters::{ClusterRecord, Clusters};
pub use copies::{Copies, CopyEnded, CopyRecord, CopyWanted};
pub use custody::LivesOfImages;
pub use database_fault::DatabaseFault;
use futures::stream::BoxStream;
pub use gates::{Awaiting, Gates, Waiting, Watch};
pub use git_reads::GitReads;
pub use illnesses::Illnesses;
pub use invitations::{Invitation, Invitations};
pub use leases::{Lane, Leases};
pub use ledger::{Ledger, NewEvent};
pub use notifications::{Channel, Delivery, Notifications};
pub use open::OpenError;
pub use presence::{ImageAt, PresenceDue, PresenceRecord, Presences};
pub use projects::{ProjectRecord, Projects};
pub use promotions::{AskedFor, Promotions};
pub use proofs::{Asked, Proofs};
pub use recalls::{RanWell, RecalledPlace, Recalls};
pub use registries::{Registries, RegistryRecord};
pub use removals::{GitRemoval, Removals};
pub use resources::Resources;
pub use sealed::{Sealed, SealedColumn, SealedValue};
pub use sessions::{SessionRecord, Sessions};
pub use signing_keys::{SigningKeyRecord, SigningKeys};
pub use source_hosts::{SourceHostRecord, SourceHosts};
pub use statements::{StatementRecord, Statements};
pub use tag_moves::{TagDrift, TagLease, TagMove, TagMoves, TagWanted};
pub use tags::{Found, KnownTag, Learned, NamedTag, Tags};
pub use tokens::{ApiToken, Tokens};
pub use trusted_roots::{StoredRoots, TrustedRootRecord};
pub use workspaces::Workspaces;

/// What may go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed, or is busy for too long.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A stored value isn't what it should be.
    #[error("the database holds a {what} that can't be read: {why}")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The row isn't in the state that the change assumed: somebody else changed it first.
    #[error("it was changed by somebody else in the meantime")]
    Stale,
    /// Something of this name exists already.
    #[error("it exists already")]
    Exists,
}

impl StoreError {
    /// What it says about the database itself. That was logged already, once, where it was noticed.
    #[must_use]
    pub fn trouble(&self) -> Option<DatabaseFault> {
        match self {
            Self::Database(error) => DatabaseFault::of(error),
            _ => None,
        }
    }
}

/// What a process wrote, as others on the same database are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// A promotion may be due.
    Work,
    /// The ledger grew.
    Ledger,
    /// Clusters, projects or image sources changed.
    Connections,
}

/// The database.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins a transaction that only reads.
    async fn read(&self) -> Result<Box<dyn Tx>, StoreError>;
    /// Begins a transaction that writes. Writers take turns, those of other processes included: what is read here holds until the
    /// end, and events become visible in their order.
    async fn write(&self) -> Result<Box<dyn Tx>, StoreError>;
    /// Tells what any process on the same database wrote, this one included, once it is committed. Only a hint to look: what can't be
    /// told, because the connection was lost, is told as all of [`StoreChange`]. Never ends; silent where one process has the database.
    fn changes(&self) -> BoxStream<'static, StoreChange>;
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// What keeps the database from being written, as far as is known. Asks nobody.
    fn trouble(&self) -> Option<DatabaseFault>;
    /// The same by a write that is tried: at most once a second while something is wrong, and once a minute otherwise.
    async fn check_writable(&self) -> Result<(), DatabaseFault>;
}

/// What was removed isn't there: no question of this trait finds it, but for those of [`Removals`] that say `ever`.
///
/// A transaction: nothing counts until [`Tx::commit`]; dropping it takes all back. After an error of the database (everything but
/// [`StoreError::Stale`]) it is good for nothing but to be dropped.
#[async_trait]
pub trait Tx:
    people::People
    + Tokens
    + Sessions
    + Invitations
    + identities::Identities
    + Gates
    + Proofs
    + Illnesses
    + Tags
    + GitReads
    + Notifications
    + Sealed
    + Removals
    + Workspaces
    + Accounts
    + Clusters
    + Registries
    + Copies
    + LivesOfImages
    + TagMoves
    + Presences
    + SigningKeys
    + StoredRoots
    + Recalls
    + Adoptions
    + SourceHosts
    + Statements
    + Projects
    + Resources
    + Artifacts
    + Promotions
    + Leases
    + Ledger
{
    /// Makes it all count.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
    /// Takes room, to see whether there is some.
    async fn take_room(&mut self, filling: &str) -> Result<(), StoreError>;
    /// Gives it back.
    async fn give_room_back(&mut self) -> Result<(), StoreError>;
}
