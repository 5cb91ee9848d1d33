//! What can be read and written in a transaction, once for both databases: the statements are those of [`sql`], but for the few
//! that a [`Dialect`](super::dialect::Dialect) brings.

use super::{
    AskedFor, ClusterRecord, Lane, NewEvent, ProjectRecord, StoreError, Tx, User,
    activity::{self, Along, Search},
    chain::{Entry, Head},
    dialect::{Dialect, Stored, taken},
    held::Held,
    rows::{self, SourceColumns, parse, text, to_json},
    sql,
    trouble::Health,
};
use crate::telemetry;
use async_trait::async_trait;
use domain::{
    artifact::{Artifact, ArtifactDetails, Digest, ExactImage, Repository, Tag},
    door::Entrance,
    environment::{Environment, Workspace},
    event::Event,
    id::{EnvironmentId, ProjectId, PromotionId, ResourceId, UserId, WorkspaceId},
    promotion::{Failed, Promotion, State},
    resource::{Hold, Live, Outside, Resource},
    rights::Role,
    tag_rule::TagRule,
    time::Timestamp,
    told::EventKind,
};
use sqlx::{ColumnIndex, Database, Encode, Executor, IntoArguments, Transaction, Type};
use std::{collections::HashMap, sync::Arc};

/// A transaction on either database.
pub(crate) struct SqlTx<D: Database> {
    pub(super) tx: Held<D>,
    /// How whoever writes came in.
    entrance: Entrance,
    /// Where the chains end that this transaction adds to, and by how many entries it did: the table learns it once, at the end.
    heads: HashMap<WorkspaceId, Head>,
}

impl<D: Database> SqlTx<D> {
    /// What was begun.
    pub(crate) fn new(tx: Transaction<'static, D>, health: &Arc<Health>) -> Self {
        Self {
            tx: Held::new(tx, Arc::clone(health)),
            entrance: Entrance::default(),
            heads: HashMap::new(),
        }
    }
}

/// Fetches every row of a query and turns each into `$into`.
macro_rules! all {
    ($self:ident, $row:ty, $sql:expr $(, $bind:expr)*) => {
        sqlx::query_as::<D, $row>($sql)$(.bind($bind))*
            .fetch_all(&mut $self.tx)
            .await?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    };
}

/// Fetches at most one row of a query and turns it into what is asked for.
macro_rules! one {
    ($self:ident, $row:ty, $sql:expr $(, $bind:expr)*) => {
        sqlx::query_as::<D, $row>($sql)$(.bind($bind))*
            .fetch_optional(&mut $self.tx)
            .await?
            .map(TryInto::try_into)
            .transpose()
    };
}

/// Runs a statement and gives the number of rows it changed.
macro_rules! run {
    ($self:ident, $sql:expr $(, $bind:expr)* $(,)?) => {
        sqlx::query::<D>($sql)$(.bind($bind))*.execute(&mut $self.tx).await.map(|done| D::changed(&done))
    };
}
/// Fetches one column of JSON of every row of a query.
macro_rules! texts {
    ($self:ident, $what:literal, $sql:expr $(, $bind:expr)*) => {
        sqlx::query_scalar::<D, String>($sql)$(.bind($bind))*
            .fetch_all(&mut $self.tx)
            .await?
            .iter()
            .map(|json| from_json($what, json))
            .collect::<Result<Vec<_>, StoreError>>()
    };
}

pub(super) use {all, one, run, texts};

#[async_trait]
impl<D: Dialect> Tx for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        for (workspace, grown) in std::mem::take(&mut self.heads) {
            run!(self, sql::GROW_LEDGER, workspace.to_string(), grown.hash, grown.entries)?;
        }
        Ok(self.tx.commit().await?)
    }

    async fn take_room(&mut self, filling: &str) -> Result<(), StoreError> {
        run!(self, sql::TAKE_ROOM, filling)?;
        Ok(())
    }

    async fn give_room_back(&mut self) -> Result<(), StoreError> {
        run!(self, sql::GIVE_ROOM_BACK)?;
        Ok(())
    }

    async fn workspaces(&mut self) -> Result<Vec<Workspace>, StoreError> {
        all!(self, rows::WorkspaceRow, sql::WORKSPACES)
    }

    async fn workspace_by_name(&mut self, name: &str) -> Result<Option<Workspace>, StoreError> {
        one!(self, rows::WorkspaceRow, sql::WORKSPACE_BY_NAME, text(name))
    }

    async fn insert_workspace(&mut self, workspace: &Workspace, at: Timestamp) -> Result<(), StoreError> {
        run!(
            self,
            sql::INSERT_WORKSPACE,
            workspace.id.to_string(),
            workspace.name.as_str(),
            at.0
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn count_users(&mut self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(sql::COUNT_USERS)
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        one!(self, rows::UserRow, sql::USER, id.to_string())
    }

    async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        one!(self, rows::UserRow, sql::USER_BY_EMAIL, text(email))
    }

    async fn first_user(&mut self) -> Result<Option<User>, StoreError> {
        one!(self, rows::UserRow, sql::FIRST_USER)
    }

    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError> {
        run!(
            self,
            sql::INSERT_USER,
            user.id.to_string(),
            &user.email,
            &user.name,
            &user.password_hash,
            user.active,
            user.created_at.0,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn memberships(&mut self, user: UserId) -> Result<Vec<(Workspace, Role)>, StoreError> {
        all!(self, rows::MembershipRow, sql::MEMBERSHIPS, user.to_string())
    }

    async fn set_membership(&mut self, workspace: WorkspaceId, user: UserId, role: Role) -> Result<(), StoreError> {
        run!(
            self,
            sql::SET_MEMBERSHIP,
            workspace.to_string(),
            user.to_string(),
            role.as_str()
        )?;
        Ok(())
    }

    async fn clusters(&mut self, workspace: WorkspaceId) -> Result<Vec<ClusterRecord>, StoreError> {
        all!(self, rows::ClusterRow, sql::CLUSTERS, workspace.to_string())
    }

    async fn put_cluster(&mut self, record: &ClusterRecord) -> Result<(), StoreError> {
        let cluster = &record.cluster;
        let argocd = cluster
            .argocd
            .as_ref()
            .map(|settings| to_json("Argo CD settings", settings))
            .transpose()?;
        let platforms = match cluster.platforms.is_empty() {
            true => None,
            false => Some(to_json("platforms", &cluster.platforms)?),
        };
        run!(
            self,
            sql::PUT_CLUSTER,
            cluster.id.to_string(),
            cluster.workspace.to_string(),
            cluster.name.as_str(),
            argocd,
            &record.argocd_token,
            &record.argocd_ca,
            &cluster.registry,
            cluster.registry_plain_http,
            &record.registry_user,
            &record.registry_password,
            platforms,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn projects(&mut self, workspace: WorkspaceId) -> Result<Vec<ProjectRecord>, StoreError> {
        all!(self, rows::ProjectRow, sql::PROJECTS, workspace.to_string())
    }

    async fn project(&mut self, id: ProjectId) -> Result<Option<ProjectRecord>, StoreError> {
        one!(self, rows::ProjectRow, sql::PROJECT, id.to_string())
    }

    async fn put_project(&mut self, record: &ProjectRecord) -> Result<(), StoreError> {
        let project = &record.project;
        run!(
            self,
            sql::PUT_PROJECT,
            project.id.to_string(),
            project.workspace.to_string(),
            project.name.as_str(),
            &project.repository_url,
            &project.branch,
            &project.path_template,
            &project.values_prefix,
            &record.credentials,
            &project.commit_subject,
            &project.author_address,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn set_tip(&mut self, id: ProjectId, tip: Option<&str>, problem: Option<&str>) -> Result<(), StoreError> {
        run!(self, sql::SET_TIP, id.to_string(), tip, problem.map(text))?;
        Ok(())
    }

    async fn environments(&mut self, project: ProjectId) -> Result<Vec<Environment>, StoreError> {
        all!(self, rows::EnvironmentRow, sql::ENVIRONMENTS, project.to_string())
    }

    async fn put_environment(&mut self, environment: &Environment) -> Result<(), StoreError> {
        // Each part by name, so that a new one can't be left out.
        let Environment {
            id,
            project,
            cluster,
            name,
            key,
            position,
            protected,
            policy,
        } = environment;
        run!(
            self,
            sql::PUT_ENVIRONMENT,
            id.to_string(),
            project.to_string(),
            cluster.to_string(),
            name.as_str(),
            key.as_str(),
            *position,
            *protected,
            to_json("policy", policy)?,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn resources(&mut self, project: ProjectId) -> Result<Vec<Resource>, StoreError> {
        all!(self, rows::ResourceRow, sql::RESOURCES, project.to_string())
    }

    async fn resource(&mut self, id: ResourceId) -> Result<Option<Resource>, StoreError> {
        one!(self, rows::ResourceRow, sql::RESOURCE, id.to_string())
    }

    async fn resource_by_name(
        &mut self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<Option<Resource>, StoreError> {
        one!(
            self,
            rows::ResourceRow,
            sql::RESOURCE_BY_NAME,
            environment.to_string(),
            text(name)
        )
    }

    async fn insert_resource(&mut self, resource: &Resource) -> Result<(), StoreError> {
        let SourceColumns {
            image,
            source,
            tag_rule,
        } = SourceColumns::of(&resource.source)?;
        run!(
            self,
            sql::INSERT_RESOURCE,
            resource.id.to_string(),
            resource.environment.to_string(),
            resource.name.as_str(),
            resource.key.as_str(),
            resource.kind.as_str(),
            image,
            source,
            resource.pin().map(Digest::as_str),
            to_json("runtime", &resource.runtime)?,
            resource.created_at.0,
            tag_rule,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn update_resource(&mut self, resource: &Resource) -> Result<(), StoreError> {
        let SourceColumns {
            image,
            source,
            tag_rule,
        } = SourceColumns::of(&resource.source)?;
        run!(
            self,
            sql::UPDATE_RESOURCE,
            resource.id.to_string(),
            resource.key.as_str(),
            resource.kind.as_str(),
            image,
            source,
            resource.pin().map(Digest::as_str),
            to_json("runtime", &resource.runtime)?,
            tag_rule,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn set_desired(
        &mut self,
        id: ResourceId,
        image: Option<&ExactImage>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        run!(
            self,
            sql::SET_DESIRED,
            id.to_string(),
            image.map(|i| i.repository.as_str()),
            image.and_then(|i| i.tag.as_ref()).map(Tag::as_str),
            image.map(|i| i.digest.as_str()),
            at.0,
        )?;
        Ok(())
    }

    async fn set_live(&mut self, id: ResourceId, live: Option<&Live>) -> Result<(), StoreError> {
        let live = live.map(|live| to_json("live state", live)).transpose()?;
        run!(self, sql::SET_LIVE, id.to_string(), live)?;
        Ok(())
    }

    async fn set_hold(&mut self, id: ResourceId, hold: Option<&Hold>) -> Result<(), StoreError> {
        let hold = hold.map(|hold| to_json("hold", hold)).transpose()?;
        run!(self, sql::SET_HOLD, id.to_string(), hold)?;
        Ok(())
    }

    async fn set_outside(&mut self, id: ResourceId, outside: &Outside) -> Result<(), StoreError> {
        run!(
            self,
            sql::SET_OUTSIDE,
            id.to_string(),
            to_json("outside change", outside)?
        )?;
        Ok(())
    }

    async fn set_unclear(&mut self, id: ResourceId, why: &str) -> Result<(), StoreError> {
        run!(self, sql::SET_UNCLEAR, id.to_string(), why)?;
        Ok(())
    }

    async fn followers(&mut self, id: ResourceId) -> Result<Vec<Resource>, StoreError> {
        all!(self, rows::ResourceRow, sql::FOLLOWERS, id.to_string())
    }

    async fn followers_in_order(&mut self, id: ResourceId) -> Result<Vec<(Resource, TagRule)>, StoreError> {
        all!(self, rows::FollowerRow, sql::FOLLOWERS_IN_ORDER, id.to_string())
    }

    async fn order_of(&mut self, id: ResourceId) -> Result<TagRule, StoreError> {
        let rule: Option<Option<String>> = sqlx::query_scalar::<D, _>(sql::ORDER_OF)
            .bind(id.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        rows::tag_rule(rule.flatten().as_ref())
    }

    async fn resources_of_image(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
    ) -> Result<Vec<(Resource, Vec<String>)>, StoreError> {
        all!(
            self,
            rows::PlacedResourceRow,
            sql::RESOURCES_OF_IMAGE,
            workspace.to_string(),
            repository.as_str()
        )
    }

    async fn image_repositories(&mut self) -> Result<Vec<(WorkspaceId, Repository)>, StoreError> {
        let found: Vec<(String, String)> = sqlx::query_as::<D, _>(sql::IMAGE_REPOSITORIES)
            .fetch_all(&mut self.tx)
            .await?;
        found
            .iter()
            .map(|(workspace, repository)| {
                Ok((
                    parse("workspace id", workspace)?,
                    parse("image repository", repository)?,
                ))
            })
            .collect()
    }

    async fn artifact(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Artifact>, StoreError> {
        one!(
            self,
            rows::ArtifactRow,
            sql::ARTIFACT,
            workspace.to_string(),
            repository.as_str(),
            digest.as_str()
        )
    }

    async fn see_artifact(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, repository, digest) = (workspace.to_string(), image.repository.as_str(), image.digest.as_str());
        let tag = image.tag.as_ref().map(Tag::as_str);
        let added = run!(self, sql::INSERT_ARTIFACT, &id, repository, digest, tag, at.0)?;
        if added == 0 && tag.is_some() {
            run!(self, sql::NAME_ARTIFACT, &id, repository, digest, tag)?;
        }
        Ok(added > 0)
    }

    async fn set_details(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        details: &ArtifactDetails,
        rank: Timestamp,
    ) -> Result<(), StoreError> {
        let details = to_json("artifact", details)?;
        let (repository, digest) = (image.repository.as_str(), image.digest.as_str());
        run!(
            self,
            sql::SET_DETAILS,
            workspace.to_string(),
            repository,
            digest,
            details,
            rank.0
        )?;
        Ok(())
    }

    async fn recent_artifacts(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        limit: i64,
    ) -> Result<Vec<Artifact>, StoreError> {
        all!(
            self,
            rows::ArtifactRow,
            sql::RECENT_ARTIFACTS,
            workspace.to_string(),
            repository.as_str(),
            limit
        )
    }

    async fn count_newer(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        old: &Digest,
        new: &Digest,
    ) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(sql::COUNT_NEWER)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .bind(old.as_str())
            .bind(new.as_str())
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn next_number(&mut self, resource: ResourceId) -> Result<i64, StoreError> {
        // Two statements: the second sees what was committed while the first waited.
        run!(self, D::LOCK_RESOURCE, resource.to_string())?;
        Ok(sqlx::query_scalar::<D, _>(sql::NEXT_NUMBER)
            .bind(resource.to_string())
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn insert_promotion(&mut self, promotion: &Promotion) -> Result<(), StoreError> {
        let previous = promotion
            .previous
            .as_ref()
            .map(|image| to_json("previous image", image))
            .transpose()?;
        run!(
            self,
            sql::INSERT_PROMOTION,
            promotion.id.to_string(),
            promotion.workspace.to_string(),
            promotion.project.to_string(),
            promotion.environment.to_string(),
            promotion.resource.to_string(),
            promotion.purpose.as_str(),
            to_json("actor", &promotion.requested_by)?,
            promotion.origin.as_ref().map(|o| o.environment.as_str()),
            promotion.origin.as_ref().map(|o| o.resource.as_str()),
            promotion.image.repository.as_str(),
            promotion.image.tag.as_ref().map(Tag::as_str),
            promotion.image.digest.as_str(),
            previous,
            promotion.creates,
            promotion.state.as_str(),
            promotion.created_at.0,
            promotion.number,
            promotion.creates_file,
        )?;
        telemetry::promotion_is(promotion);
        Ok(())
    }

    async fn promotions_asked(&mut self, which: &AskedFor<'_>) -> Result<Vec<(i64, Promotion)>, StoreError> {
        let environment = which.environment.map(|id| id.to_string()).unwrap_or_default();
        all!(
            self,
            rows::AskedPromotionRow,
            sql::PROMOTIONS_ASKED,
            which.project.to_string(),
            which.before,
            environment,
            which.resource.unwrap_or_default(),
            which.state.map(State::as_str).unwrap_or_default(),
            which.limit
        )
    }

    async fn failed_since(&mut self, since: Timestamp, limit: i64) -> Result<Vec<Promotion>, StoreError> {
        all!(self, rows::PromotionRow, sql::FAILED_SINCE, since.0, limit)
    }

    async fn may_create_file(&mut self, id: PromotionId) -> Result<(), StoreError> {
        run!(self, sql::MAY_CREATE_FILE, id.to_string())?;
        Ok(())
    }

    async fn promotion(&mut self, id: PromotionId) -> Result<Option<Promotion>, StoreError> {
        one!(self, rows::PromotionRow, sql::PROMOTION, id.to_string())
    }

    async fn promotions_of(&mut self, resource: ResourceId, limit: i64) -> Result<Vec<Promotion>, StoreError> {
        all!(
            self,
            rows::PromotionRow,
            sql::PROMOTIONS_OF,
            resource.to_string(),
            limit
        )
    }

    async fn newest_promotions(&mut self, project: ProjectId) -> Result<Vec<Promotion>, StoreError> {
        all!(self, rows::PromotionRow, sql::NEWEST_PROMOTIONS, project.to_string())
    }

    async fn open_promotions(&mut self, resource: ResourceId) -> Result<Vec<Promotion>, StoreError> {
        all!(self, rows::PromotionRow, sql::OPEN_PROMOTIONS, resource.to_string())
    }

    async fn update_promotion(
        &mut self,
        promotion: &Promotion,
        from: State,
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        let more = match &promotion.failure {
            Some(failure) if failure.remedy.is_some() || !failure.said.is_empty() => {
                let more = Failed {
                    reason: String::new(),
                    remedy: failure.remedy.clone(),
                    said: failure.said.clone(),
                };
                Some(to_json("failure", &more)?)
            }
            _ => None,
        };
        let changed = run!(
            self,
            sql::UPDATE_PROMOTION,
            promotion.id.to_string(),
            from.as_str(),
            promotion.image.tag.as_ref().map(Tag::as_str),
            promotion.state.as_str(),
            promotion.waits_for.as_deref().map(text),
            promotion.failure.as_ref().map(|f| f.step.as_str()),
            promotion.failure.as_ref().map(|f| text(&f.reason)),
            &promotion.commit,
            i64::from(promotion.attempts),
            promotion.state_since.0,
            promotion.ended_at.map(|t| t.0),
            promotion.ended_at.is_none().then_some(next_at.0),
            promotion.committed_at.map(|t| t.0),
            i64::from(promotion.tries),
            promotion.counts_from.map(|t| t.0),
            more,
        )?;
        if changed != 1 {
            return Err(StoreError::Stale);
        }
        if promotion.state != from {
            telemetry::promotion_is(promotion);
        }
        Ok(())
    }

    async fn claim_promotions(
        &mut self,
        owner: &str,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Promotion>, StoreError> {
        let statement = match lane {
            Lane::Commit => D::CLAIM_COMMIT,
            Lane::Rollout => D::CLAIM_ROLLOUT,
        };
        let claimed: Result<Vec<Promotion>, StoreError> =
            all!(self, rows::PromotionRow, statement, owner, until.0, now.0, limit);
        let mut claimed = claimed?;
        claimed.sort_by_key(|promotion| promotion.number);
        Ok(claimed)
    }

    async fn is_leased(&mut self, id: PromotionId, now: Timestamp) -> Result<bool, StoreError> {
        let held: i64 = sqlx::query_scalar::<D, _>(sql::IS_LEASED)
            .bind(id.to_string())
            .bind(now.0)
            .fetch_one(&mut self.tx)
            .await?;
        Ok(held > 0)
    }

    async fn keep_lease(&mut self, id: PromotionId, owner: &str, until: Timestamp) -> Result<(), StoreError> {
        run!(self, sql::KEEP_LEASE, id.to_string(), owner, until.0)?;
        Ok(())
    }

    async fn renew_leases(&mut self, owner: &str, ids: &[PromotionId], until: Timestamp) -> Result<(), StoreError> {
        for id in ids {
            run!(self, sql::RENEW_LEASE, id.to_string(), owner, until.0)?;
        }
        Ok(())
    }

    async fn release_leases(&mut self, owner: Option<&str>) -> Result<(), StoreError> {
        run!(self, sql::RELEASE_LEASES, owner)?;
        run!(self, sql::RELEASE_GIT_REMOVALS, owner)?;
        Ok(())
    }

    async fn is_put_off(&mut self, beyond: Timestamp) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar::<D, bool>(sql::IS_PUT_OFF)
            .bind(beyond.0)
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn recall_promotions(&mut self, beyond: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        run!(self, sql::RECALL_PROMOTIONS, beyond.0, now.0)?;
        Ok(())
    }

    async fn leases_beyond(&mut self, beyond: Timestamp) -> Result<Vec<(PromotionId, Timestamp)>, StoreError> {
        let leases = sqlx::query_as::<D, (String, i64)>(sql::LEASES_BEYOND)
            .bind(beyond.0)
            .fetch_all(&mut self.tx)
            .await?;
        leases
            .iter()
            .map(|(id, until)| Ok((parse("promotion id", id)?, Timestamp(*until))))
            .collect()
    }

    async fn end_lease(&mut self, id: PromotionId, until: Timestamp) -> Result<(), StoreError> {
        run!(self, sql::END_LEASE, id.to_string(), until.0)?;
        Ok(())
    }

    async fn committed_after(&mut self, promotion: &Promotion) -> Result<Option<PromotionId>, StoreError> {
        let newest: Option<String> = sqlx::query_scalar::<D, _>(sql::COMMITTED_AFTER)
            .bind(promotion.resource.to_string())
            .bind(promotion.number)
            .bind(promotion.image.digest.as_str())
            .fetch_optional(&mut self.tx)
            .await?;
        newest.map(|id| parse("promotion id", &id)).transpose()
    }

    async fn open_since(&mut self, lane: Lane, since: Timestamp, limit: i64) -> Result<Vec<Promotion>, StoreError> {
        let statement = match lane {
            Lane::Commit => sql::OPEN_SINCE_COMMIT,
            Lane::Rollout => sql::OPEN_SINCE_ROLLOUT,
        };
        all!(self, rows::PromotionRow, statement, since.0, limit)
    }

    async fn nudge_environment(&mut self, environment: EnvironmentId, now: Timestamp) -> Result<(), StoreError> {
        run!(self, sql::NUDGE_ENVIRONMENT, environment.to_string(), now.0)?;
        Ok(())
    }

    async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar::<D, _>(D::NEXT_DUE).fetch_one(&mut self.tx).await?;
        Ok(due.map(Timestamp))
    }

    fn entered_by(&mut self, entrance: &Entrance) {
        self.entrance = entrance.clone();
    }

    async fn append_event(&mut self, event: &NewEvent, at: Timestamp) -> Result<i64, StoreError> {
        let entry = Entry {
            sequence: 0,
            at: at.0,
            workspace: event.workspace.to_string(),
            project: event.subject.project.map(|id| id.to_string()),
            environment: event.subject.environment.map(|id| id.to_string()),
            resource: event.subject.resource.map(|id| id.to_string()),
            promotion: event.subject.promotion.map(|id| id.to_string()),
            actor: to_json("actor", &event.actor)?,
            door: Some(self.entrance.door.to_string()),
            address: self.entrance.address.as_deref().map(text),
            happened: to_json("event", &event.happened)?,
            previous_hash: None,
            hash: None,
        };
        // Writers take turns, so nobody else adds to the chain until the end of this transaction.
        let previous = match self.heads.get(&event.workspace) {
            Some(head) => head.hash.clone(),
            None => self.ledger_head(event.workspace).await?.hash,
        };
        let hash = entry.hash_after(&previous);
        let sequence = sqlx::query_scalar::<D, _>(sql::APPEND_EVENT)
            .bind(entry.at)
            .bind(entry.workspace)
            .bind(entry.project)
            .bind(entry.environment)
            .bind(entry.resource)
            .bind(entry.promotion)
            .bind(entry.actor)
            .bind(entry.happened)
            .bind(entry.door)
            .bind(entry.address)
            .bind(previous)
            .bind(&hash)
            .fetch_one(&mut self.tx)
            .await?;
        let grown = self.heads.entry(event.workspace).or_default();
        grown.hash = hash;
        grown.entries += 1;
        Ok(sequence)
    }

    async fn events_after(&mut self, sequence: i64, limit: i64) -> Result<Vec<Event>, StoreError> {
        all!(self, rows::EventRow, sql::EVENTS_AFTER, sequence, limit)
    }

    async fn newest_event(&mut self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(sql::NEWEST_EVENT)
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn kinds_after(
        &mut self,
        sequence: i64,
        workspace: WorkspaceId,
        project: ProjectId,
    ) -> Result<Vec<EventKind>, StoreError> {
        let kinds = sqlx::query_scalar::<D, String>(sql::KINDS_AFTER)
            .bind(sequence)
            .bind(workspace.to_string())
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        kinds.iter().map(|kind| parse("kind of event", kind)).collect()
    }

    async fn declared_after(&mut self, project: ProjectId, sequence: i64) -> Result<Vec<ResourceId>, StoreError> {
        let ids = sqlx::query_scalar::<D, Option<String>>(sql::DECLARED_AFTER)
            .bind(sequence)
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        ids.iter().flatten().map(|id| parse("resource id", id)).collect()
    }

    async fn events_of_promotion(&mut self, id: PromotionId) -> Result<Vec<Event>, StoreError> {
        all!(self, rows::EventRow, sql::EVENTS_OF_PROMOTION, id.to_string())
    }

    async fn ledger_entries(
        &mut self,
        workspace: WorkspaceId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows = sqlx::query_as::<D, rows::EntryRow>(sql::LEDGER_ENTRIES)
            .bind(workspace.to_string())
            .bind(after)
            .bind(limit)
            .fetch_all(&mut self.tx)
            .await?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }

    async fn search_events(&mut self, search: &Search) -> Result<Vec<Event>, StoreError> {
        let workspace = search.workspace.to_string();
        let (statement, leads) = match &search.along {
            Along::Time => (D::SEARCH.by_time, workspace.clone()),
            Along::Kind(kind) => (D::SEARCH.by_kind, kind.to_string()),
            Along::Actor(actor) => (D::SEARCH.by_actor, actor.clone()),
            Along::Environment(id) => (D::SEARCH.by_environment, id.to_string()),
            Along::Resource(id) => (D::SEARCH.by_resource, id.to_string()),
        };
        let query = sqlx::query_as::<D, rows::EventRow>(statement)
            .bind(leads)
            .bind(search.before.at.0)
            .bind(search.before.sequence)
            .bind(search.from.0)
            .bind(search.kind.map(EventKind::as_str))
            .bind(search.environment.map(|id| id.to_string()))
            .bind(search.actors.as_deref().map(activity::listed))
            .bind(search.limit);
        let query = match search.along {
            Along::Kind(_) | Along::Actor(_) => query.bind(workspace),
            Along::Time | Along::Environment(_) | Along::Resource(_) => query,
        };
        let rows = query.fetch_all(&mut self.tx).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn actors(&mut self, workspace: WorkspaceId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(activity::ACTORS)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?)
    }

    async fn ledger_head(&mut self, workspace: WorkspaceId) -> Result<Head, StoreError> {
        let row = sqlx::query_as::<D, rows::HeadRow>(sql::LEDGER_HEAD)
            .bind(workspace.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        Ok(row.map_or_else(Head::default, Head::from))
    }
}
