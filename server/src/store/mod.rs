//! What is remembered. [`Store`] opens transactions; [`Tx`] is all that can be read and written in one.
//!
//! A change, the next step it asks for and the event that tells of it are written in one transaction, and nothing goes over the
//! network inside one. [`sql`] holds the statements, [`rows`] turns rows into the domain's values, [`tx`] runs them in a
//! transaction ([`held`]; [`trouble`] is what keeps all of them from being written), and [`chain`] ties the ledger's entries together, [`activity`] finds them; [`sealed`] knows where secrets lie. [`sqlite`] and [`postgres`] are the two databases: how each is opened, how its writers take turns, how it says
//! that something changed, and the statements that it writes differently. One story holds both (`server/tests/it/store_story.rs`).

pub mod activity;
pub mod chain;
pub mod dialect;
pub mod gates;
pub mod held;
pub mod identities;
pub mod illnesses;
pub mod notifications;
pub mod open;
pub mod people;
pub mod postgres;
pub mod proofs;
pub mod removals;
pub mod rows;
pub mod sealed;
pub mod sql;
pub mod sqlite;
mod switched;
pub mod tags;
pub mod trouble;
pub mod tx;

pub use gates::{Awaiting, Gates, Waiting};
pub use illnesses::Illnesses;
pub use notifications::{Channel, Delivery, Notifications};
pub use open::OpenError;
pub use proofs::{Asked, Proofs};
pub use removals::{GitRemoval, Removals};
pub use sealed::{Sealed, SealedColumn, SealedValue};
pub use switched::Switched;
pub use tags::{Found, KnownTag, Learned, NamedTag, Tags};
pub use trouble::Trouble;

use activity::Search;
use async_trait::async_trait;
use chain::{Entry, Head};
use domain::{
    artifact::{Artifact, ArtifactDetails, Digest, ExactImage, Repository},
    door::Entrance,
    environment::{Cluster, Environment, Project, Workspace},
    event::{Event, Happened, Subject},
    id::{EnvironmentId, ProjectId, PromotionId, ResourceId, TokenId, UserId, WorkspaceId},
    promotion::{Actor, Promotion, State},
    resource::{Hold, Live, Outside, Resource},
    rights::Role,
    tag_rule::TagRule,
    time::Timestamp,
    told::EventKind,
};
use futures::stream::BoxStream;

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
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Database(error) => Trouble::of(error),
            _ => None,
        }
    }
}

/// What a process wrote, as others on the same database are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A promotion may be due.
    Work,
    /// The ledger grew.
    Ledger,
    /// Clusters, projects or image sources changed.
    Connections,
}

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// E-mail address, lower case.
    pub email: String,
    /// Name to show.
    pub name: String,
    /// Argon2id hash of the password, as a PHC string; empty when there is none: the person comes through single sign-on.
    pub password_hash: String,
    /// Whether it may sign in.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl User {
    /// Whether the account has a password of its own.
    #[must_use]
    pub fn has_password(&self) -> bool {
        !self.password_hash.is_empty()
    }
}

/// An API token; the token itself isn't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// The one project that it is for; `None` for the whole workspace.
    pub project: Option<ProjectId>,
    /// The one environment of that project that it is for.
    pub environment: Option<EnvironmentId>,
    /// Who made it: it can do no more than they may, and ends with them. `None` when it was made on the database itself.
    pub made_by: Option<UserId>,
}

/// A project with what belongs to its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRecord {
    /// The project.
    pub project: Project,
    /// Sealed credentials.
    pub credentials: Option<String>,
    /// The newest commit whose declarations are stored in the resources.
    pub tip: Option<String>,
    /// Why the repository can't be read, a sentence.
    pub problem: Option<String>,
}

/// A cluster with its sealed secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// The cluster.
    pub cluster: Cluster,
    /// Argo CD's token, sealed.
    pub argocd_token: Option<String>,
    /// Certificates to trust, PEM.
    pub argocd_ca: Option<String>,
    /// The registry's user.
    pub registry_user: Option<String>,
    /// The registry's password, sealed.
    pub registry_password: Option<String>,
}

/// An event to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// What it is about.
    pub subject: Subject,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub happened: Happened,
}

/// Which promotions a claim is for: those that wait for Argo CD never take the place of those that don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Up to the commit: `waiting`, `queued`, `mirroring`, `committing`.
    Commit,
    /// After it: `syncing`, `verifying`.
    Rollout,
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
    /// told, because the connection was lost, is told as all of [`Change`]. Never ends; silent where one process has the database.
    fn changes(&self) -> BoxStream<'static, Change>;
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// What keeps the database from being written, as far as is known. Asks nobody.
    fn trouble(&self) -> Option<Trouble>;
    /// The same by a write that is tried: at most once a second while something is wrong, and once a minute otherwise.
    async fn check_writable(&self) -> Result<(), Trouble>;
}

/// What was removed isn't there: no question of this trait finds it, but for those of [`Removals`] that say `ever`.
///
/// A transaction: nothing counts until [`Tx::commit`]; dropping it takes all back. After an error of the database (everything but
/// [`StoreError::Stale`]) it is good for nothing but to be dropped.
#[async_trait]
pub trait Tx:
    people::People
    + identities::Identities
    + Gates
    + Proofs
    + Illnesses
    + Tags
    + Switched
    + Notifications
    + Sealed
    + Removals
{
    /// Makes it all count.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;

    /// Takes room, to see whether there is some.
    async fn take_room(&mut self, filling: &str) -> Result<(), StoreError>;
    /// Gives it back.
    async fn give_room_back(&mut self) -> Result<(), StoreError>;

    // People.
    /// All workspaces, by name.
    async fn workspaces(&mut self) -> Result<Vec<Workspace>, StoreError>;
    /// The workspace of this name.
    async fn workspace_by_name(&mut self, name: &str) -> Result<Option<Workspace>, StoreError>;
    /// A new workspace.
    async fn insert_workspace(&mut self, workspace: &Workspace, at: Timestamp) -> Result<(), StoreError>;
    /// How many accounts there are.
    async fn count_users(&mut self) -> Result<i64, StoreError>;
    /// The account with this id.
    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The account with this address, in lower case.
    async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError>;
    /// Of the accounts that may be used and administer something (or else of all that may be used) the one that was made first; `None`
    /// when there is none.
    async fn first_user(&mut self) -> Result<Option<User>, StoreError>;
    /// A new account.
    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError>;
    /// Workspaces of a person with the role in each, by name.
    async fn memberships(&mut self, user: UserId) -> Result<Vec<(Workspace, Role)>, StoreError>;
    /// Makes a person a member with a role, or changes the role.
    async fn set_membership(&mut self, workspace: WorkspaceId, user: UserId, role: Role) -> Result<(), StoreError>;

    // Configuration. `put_…` inserts, or replaces what may change of the row with this id.
    /// Clusters of a workspace, by name.
    async fn clusters(&mut self, workspace: WorkspaceId) -> Result<Vec<ClusterRecord>, StoreError>;
    /// Inserts or changes a cluster.
    async fn put_cluster(&mut self, cluster: &ClusterRecord) -> Result<(), StoreError>;
    /// Projects of a workspace, by name.
    async fn projects(&mut self, workspace: WorkspaceId) -> Result<Vec<ProjectRecord>, StoreError>;
    /// The project with this id.
    async fn project(&mut self, id: ProjectId) -> Result<Option<ProjectRecord>, StoreError>;
    /// Inserts or changes a project. Forgets `tip`, so that the repository is read again, and leaves `problem` alone; see
    /// [`Tx::set_tip`].
    async fn put_project(&mut self, project: &ProjectRecord) -> Result<(), StoreError>;
    /// Writes which commit was read last (`None` keeps what is there), and why reading fails if it does.
    async fn set_tip(&mut self, id: ProjectId, tip: Option<&str>, problem: Option<&str>) -> Result<(), StoreError>;
    /// In the project's order.
    async fn environments(&mut self, project: ProjectId) -> Result<Vec<Environment>, StoreError>;
    /// Inserts or changes an environment. Fails with [`StoreError::Exists`] when the project has another one of this name, or with this key.
    async fn put_environment(&mut self, environment: &Environment) -> Result<(), StoreError>;

    // Resources.
    /// All of a project, by name.
    async fn resources(&mut self, project: ProjectId) -> Result<Vec<Resource>, StoreError>;
    /// The resource with this id.
    async fn resource(&mut self, id: ResourceId) -> Result<Option<Resource>, StoreError>;
    /// The resource of this name in an environment.
    async fn resource_by_name(
        &mut self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<Option<Resource>, StoreError>;
    /// Fails with [`StoreError::Exists`] when the environment has a resource of this name, or one with this key.
    async fn insert_resource(&mut self, resource: &Resource) -> Result<(), StoreError>;
    /// Writes key, kind, source, binding and runtime. Fails with [`StoreError::Exists`] when another one of the environment has this key.
    async fn update_resource(&mut self, resource: &Resource) -> Result<(), StoreError>;
    /// Writes why the resource doesn't follow its source by itself; `None` lifts the hold.
    async fn set_hold(&mut self, id: ResourceId, hold: Option<&Hold>) -> Result<(), StoreError>;
    /// Writes who made Git say what it says, after [`Tx::set_desired`].
    async fn set_outside(&mut self, id: ResourceId, outside: &Outside) -> Result<(), StoreError>;
    /// Writes why what Git says can't be read as an exact image, after [`Tx::set_desired`].
    async fn set_unclear(&mut self, id: ResourceId, why: &str) -> Result<(), StoreError>;
    /// Writes what Git says the resource runs; who made it say so, and why it was unclear, is forgotten.
    async fn set_desired(
        &mut self,
        id: ResourceId,
        image: Option<&ExactImage>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Writes what Argo CD reports of the resource.
    async fn set_live(&mut self, id: ResourceId, live: Option<&Live>) -> Result<(), StoreError>;
    /// Who takes the image from this resource.
    async fn followers(&mut self, id: ResourceId) -> Result<Vec<Resource>, StoreError>;
    /// As [`Tx::followers`], each with the rule of the resource at the end of the chain: it says which of two images is newer.
    async fn followers_in_order(&mut self, id: ResourceId) -> Result<Vec<(Resource, TagRule)>, StoreError>;
    /// The rule of the resource at the end of the chain that this one follows: it says which of two images is newer.
    async fn order_of(&mut self, id: ResourceId) -> Result<TagRule, StoreError>;
    /// Resources of a workspace whose source is this image repository, each with the platforms that its cluster needs one of.
    async fn resources_of_image(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
    ) -> Result<Vec<(Resource, Vec<String>)>, StoreError>;
    /// All image repositories that resources take images from.
    async fn image_repositories(&mut self) -> Result<Vec<(WorkspaceId, Repository)>, StoreError>;

    // Artifacts.
    /// The artifact with this digest.
    async fn artifact(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Artifact>, StoreError>;
    /// Remembers an artifact, seen at this time, or with the one of its repository that arrived before it if that is later; `false` when it was known already (then the tag is
    /// taken only where it had none: which one is shown is chosen by who looks at the registry). Until its details are
    /// known it ranks below all others.
    async fn see_artifact(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Writes what the registry says about an artifact, and its rank: of two artifacts the one with the higher is newer.
    async fn set_details(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        details: &ArtifactDetails,
        rank: Timestamp,
    ) -> Result<(), StoreError>;
    /// Newest first.
    async fn recent_artifacts(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        limit: i64,
    ) -> Result<Vec<Artifact>, StoreError>;
    /// Artifacts of the repository that are newer than `old`, up to and including `new`; 0 when `new` is older.
    async fn count_newer(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        old: &Digest,
        new: &Digest,
    ) -> Result<i64, StoreError>;

    // Promotions. Of one resource the newer has the higher number; ids and clocks tell nothing about that.
    /// The number of the resource's next promotion. The resource stays locked until the end of the transaction, so that nobody else
    /// gets the same one.
    async fn next_number(&mut self, resource: ResourceId) -> Result<i64, StoreError>;
    /// A new promotion, due at once; its number is from [`Tx::next_number`], in the same transaction.
    async fn insert_promotion(&mut self, promotion: &Promotion) -> Result<(), StoreError>;
    /// Writes that a person said that a promotion may make its values file.
    async fn may_create_file(&mut self, id: PromotionId) -> Result<(), StoreError>;
    /// The promotion with this id.
    async fn promotion(&mut self, id: PromotionId) -> Result<Option<Promotion>, StoreError>;
    /// Newest first.
    async fn promotions_of(&mut self, resource: ResourceId, limit: i64) -> Result<Vec<Promotion>, StoreError>;
    /// The newest of each resource of the project.
    async fn newest_promotions(&mut self, project: ProjectId) -> Result<Vec<Promotion>, StoreError>;
    /// Those of the resource that haven't ended, newest first.
    async fn open_promotions(&mut self, resource: ResourceId) -> Result<Vec<Promotion>, StoreError>;
    /// Writes what a step changed, given the state it was read in; a worker looks again at `next_at` (never, when it ended).
    /// The lease ends. Fails with [`StoreError::Stale`] when the state isn't `from` any more.
    async fn update_promotion(
        &mut self,
        promotion: &Promotion,
        from: State,
        next_at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Takes leases until `until` on at most `limit` promotions of `lane`, those that are due longest first, and returns them
    /// with those of one resource in their order. Due is what has `next_at <= now` and no lease that still runs (`lease_until` is null or `<= now`). One whose lease was
    /// given back or ran out (it has a `lease_owner`) counts a further attempt: its step may have been cut off half-way.
    ///
    /// Each repository has one writer: in [`Lane::Commit`] a promotion is left alone while another owner's lease runs on one of
    /// the same project and lane. That holds for two claims at once too: whoever writes has the turn to the end of the
    /// transaction.
    async fn claim_promotions(
        &mut self,
        owner: &str,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Promotion>, StoreError>;
    /// Whether a worker is at this promotion: holds a lease on it that has not run out.
    async fn is_leased(&mut self, id: PromotionId, now: Timestamp) -> Result<bool, StoreError>;
    /// Keeps the lease on a promotion whose step was recorded in this transaction ([`Tx::update_promotion`] ended it): the same
    /// worker goes on with the next step.
    async fn keep_lease(&mut self, id: PromotionId, owner: &str, until: Timestamp) -> Result<(), StoreError>;
    /// Makes an owner's leases on these promotions last until `until`. Those that it no longer holds are passed over.
    async fn renew_leases(&mut self, owner: &str, ids: &[PromotionId], until: Timestamp) -> Result<(), StoreError>;
    /// Gives back the leases of an owner, who stops; without an owner those of everybody: the process is the only one and begins
    /// anew.
    async fn release_leases(&mut self, owner: Option<&str>) -> Result<(), StoreError>;
    /// Whether an open promotion is put off beyond this moment.
    async fn is_put_off(&mut self, beyond: Timestamp) -> Result<bool, StoreError>;
    /// Makes those due now that are put off beyond this moment.
    async fn recall_promotions(&mut self, beyond: Timestamp, now: Timestamp) -> Result<(), StoreError>;
    /// Leases on open promotions that last beyond this moment, with when they end.
    async fn leases_beyond(&mut self, beyond: Timestamp) -> Result<Vec<(PromotionId, Timestamp)>, StoreError>;
    /// Ends a lease that still lasts until this very moment: nobody has renewed it.
    async fn end_lease(&mut self, id: PromotionId, until: Timestamp) -> Result<(), StoreError>;
    /// The newest promotion of the same resource that was asked for after `promotion`, has a commit, and runs another digest.
    async fn committed_after(&mut self, promotion: &Promotion) -> Result<Option<PromotionId>, StoreError>;
    /// Open promotions of a lane that have been in their state since before `since`, longest first; those that wait for gates are
    /// not among them: people take the time they take.
    async fn open_since(&mut self, lane: Lane, since: Timestamp, limit: i64) -> Result<Vec<Promotion>, StoreError>;
    /// Makes the open promotions due at once that wait for Argo CD in these environments.
    async fn nudge_environment(&mut self, environment: EnvironmentId, now: Timestamp) -> Result<(), StoreError>;
    /// When the next promotion becomes due; `None` when none will.
    async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError>;

    // Events.
    /// Says how whoever writes in this transaction came in; events are written with it. Until then it is Waybill itself.
    fn entered_by(&mut self, entrance: &Entrance);
    /// Adds to the ledger, chained to the workspace's entry before; returns its place.
    async fn append_event(&mut self, event: &NewEvent, at: Timestamp) -> Result<i64, StoreError>;
    /// Events after a place, oldest first.
    async fn events_after(&mut self, sequence: i64, limit: i64) -> Result<Vec<Event>, StoreError>;
    /// The newest place; 0 when the ledger is empty.
    async fn newest_event(&mut self) -> Result<i64, StoreError>;
    /// The kinds of events after `sequence` that are a project's, or nobody's in its workspace.
    async fn kinds_after(
        &mut self,
        sequence: i64,
        workspace: WorkspaceId,
        project: ProjectId,
    ) -> Result<Vec<EventKind>, StoreError>;
    /// Resources of a project of which entries after `sequence` tell that Git declares another image, whoever wrote it there.
    async fn declared_after(&mut self, project: ProjectId, sequence: i64) -> Result<Vec<ResourceId>, StoreError>;
    /// All events of a promotion, oldest first.
    async fn events_of_promotion(&mut self, id: PromotionId) -> Result<Vec<Event>, StoreError>;
    /// Rows of a workspace's ledger after a place as they are stored, oldest first: for who checks or exports them.
    async fn ledger_entries(
        &mut self,
        workspace: WorkspaceId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Entry>, StoreError>;
    /// Newest first.
    async fn search_events(&mut self, search: &Search) -> Result<Vec<Event>, StoreError>;
    /// Everybody who ever did something in a workspace, by name, in lower case: `ada <ada@example.com>`, `token ci`, `waybill`.
    async fn actors(&mut self, workspace: WorkspaceId) -> Result<Vec<String>, StoreError>;
    /// Where a workspace's chain ends; at its beginning, when nothing was chained yet.
    async fn ledger_head(&mut self, workspace: WorkspaceId) -> Result<Head, StoreError>;
}
