//! Rows as they lie in the tables, and how they become the domain's values.

use super::{
    ClusterRecord, ProjectRecord, StoreError, User,
    chain::{Entry, Head},
};
use domain::{
    artifact::{Artifact, ExactImage},
    environment::{Cluster, Environment, Project, Workspace},
    event::{Event, Subject},
    promotion::{Failed, Failure, Origin, Promotion},
    resource::{Binding, Kind, Resource, Source},
    rights::Role,
    tag_rule::TagRule,
    time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::FromRow;
use std::{fmt::Display, str::FromStr};

/// Reads a stored text.
pub(crate) fn parse<T: FromStr<Err: Display>>(what: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|e: T::Err| StoreError::Corrupt {
        what,
        why: e.to_string(),
    })
}

pub(super) fn parse_if<T: FromStr<Err: Display>>(
    what: &'static str,
    text: Option<&String>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(what, text)).transpose()
}

/// Reads stored JSON.
pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt {
        what,
        why: e.to_string(),
    })
}

/// Writes JSON to be stored.
pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Corrupt {
        what,
        why: e.to_string(),
    })
}

/// PostgreSQL keeps no NUL in a text, and none of ours means one: what others wrote or typed loses it.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Where a source lies: image repository, or resource; and which tags count.
pub(crate) struct SourceColumns {
    pub(crate) image: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) tag_rule: Option<String>,
}

impl SourceColumns {
    pub(crate) fn of(source: &Source) -> Result<Self, StoreError> {
        Ok(match source {
            Source::Image { repository, tags } => Self {
                image: Some(repository.to_string()),
                source: None,
                tag_rule: match tags.is_default() {
                    true => None,
                    false => Some(to_json("tag rule", tags)?),
                },
            },
            Source::Promote { from } => Self {
                image: None,
                source: Some(from.to_string()),
                tag_rule: None,
            },
        })
    }
}

/// Reads a stored rule for tags.
pub(crate) fn tag_rule(stored: Option<&String>) -> Result<TagRule, StoreError> {
    Ok(stored
        .map(|json| from_json("tag rule", json))
        .transpose()?
        .unwrap_or_default())
}

/// Reads a stored list of platforms.
fn platforms(stored: Option<&String>) -> Result<Vec<String>, StoreError> {
    Ok(stored
        .map(|json| from_json("platforms", json))
        .transpose()?
        .unwrap_or_default())
}

fn image(
    repository: Option<&String>,
    tag: Option<&String>,
    digest: Option<&String>,
) -> Result<Option<ExactImage>, StoreError> {
    let (Some(repository), Some(digest)) = (repository, digest) else {
        return Ok(None);
    };
    Ok(Some(ExactImage {
        repository: parse("image repository", repository)?,
        tag: parse_if("tag", tag)?,
        digest: parse("digest", digest)?,
    }))
}

#[derive(FromRow)]
pub(crate) struct WorkspaceRow {
    id: String,
    name: String,
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = StoreError;

    fn try_from(row: WorkspaceRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("workspace id", &row.id)?,
            name: parse("workspace name", &row.name)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct MembershipRow {
    #[sqlx(flatten)]
    workspace: WorkspaceRow,
    role: String,
}

impl TryFrom<MembershipRow> for (Workspace, Role) {
    type Error = StoreError;

    fn try_from(row: MembershipRow) -> Result<Self, StoreError> {
        Ok((row.workspace.try_into()?, parse("role", &row.role)?))
    }
}

#[derive(FromRow)]
pub(crate) struct UserRow {
    id: String,
    email: String,
    name: String,
    password_hash: String,
    active: bool,
    created_at: i64,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("user id", &row.id)?,
            email: row.email,
            name: row.name,
            password_hash: row.password_hash,
            active: row.active,
            created_at: Timestamp(row.created_at),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ClusterRow {
    id: String,
    workspace_id: String,
    name: String,
    argocd: Option<String>,
    argocd_token: Option<String>,
    argocd_ca: Option<String>,
    registry: String,
    registry_plain_http: bool,
    registry_user: Option<String>,
    registry_password: Option<String>,
    platforms: Option<String>,
}

impl TryFrom<ClusterRow> for ClusterRecord {
    type Error = StoreError;

    fn try_from(row: ClusterRow) -> Result<Self, StoreError> {
        Ok(Self {
            cluster: Cluster {
                id: parse("cluster id", &row.id)?,
                workspace: parse("workspace id", &row.workspace_id)?,
                name: parse("cluster name", &row.name)?,
                argocd: row
                    .argocd
                    .as_deref()
                    .map(|json| from_json("Argo CD settings", json))
                    .transpose()?,
                registry: row.registry,
                registry_plain_http: row.registry_plain_http,
                platforms: platforms(row.platforms.as_ref())?,
            },
            argocd_token: row.argocd_token,
            argocd_ca: row.argocd_ca,
            registry_user: row.registry_user,
            registry_password: row.registry_password,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ProjectRow {
    id: String,
    workspace_id: String,
    name: String,
    repository_url: String,
    branch: String,
    path_template: String,
    values_prefix: String,
    credentials: Option<String>,
    commit_subject: Option<String>,
    author_address: Option<String>,
    tip: Option<String>,
    problem: Option<String>,
    name_was: Option<String>,
}

/// Also of what was removed, and whether it was.
impl TryFrom<ProjectRow> for (ProjectRecord, bool) {
    type Error = StoreError;

    fn try_from(row: ProjectRow) -> Result<Self, StoreError> {
        let is_removed = row.name_was.is_some();
        Ok((row.try_into()?, is_removed))
    }
}

impl TryFrom<ProjectRow> for ProjectRecord {
    type Error = StoreError;

    fn try_from(row: ProjectRow) -> Result<Self, StoreError> {
        Ok(Self {
            project: Project {
                id: parse("project id", &row.id)?,
                workspace: parse("workspace id", &row.workspace_id)?,
                name: parse("project name", row.name_was.as_ref().unwrap_or(&row.name))?,
                repository_url: row.repository_url,
                branch: row.branch,
                path_template: row.path_template,
                values_prefix: row.values_prefix,
                commit_subject: row.commit_subject,
                author_address: row.author_address,
            },
            credentials: row.credentials,
            tip: row.tip,
            problem: row.problem,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct EnvironmentRow {
    id: String,
    project_id: String,
    cluster_id: String,
    name: String,
    key: String,
    position: i64,
    protected: bool,
    policy: String,
    name_was: Option<String>,
}

/// Also of what was removed, and whether it was.
impl TryFrom<EnvironmentRow> for (Environment, bool) {
    type Error = StoreError;

    fn try_from(row: EnvironmentRow) -> Result<Self, StoreError> {
        let is_removed = row.name_was.is_some();
        Ok((row.try_into()?, is_removed))
    }
}

impl TryFrom<EnvironmentRow> for Environment {
    type Error = StoreError;

    fn try_from(row: EnvironmentRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("environment id", &row.id)?,
            project: parse("project id", &row.project_id)?,
            cluster: parse("cluster id", &row.cluster_id)?,
            name: parse("environment name", row.name_was.as_ref().unwrap_or(&row.name))?,
            key: parse("environment key", &row.key)?,
            position: row.position,
            protected: row.protected,
            policy: from_json("policy", &row.policy)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ResourceRow {
    id: String,
    environment_id: String,
    name: String,
    key: String,
    kind: String,
    image_repository: Option<String>,
    source_id: Option<String>,
    pin: Option<String>,
    hold: Option<String>,
    runtime: String,
    desired_repository: Option<String>,
    desired_tag: Option<String>,
    desired_digest: Option<String>,
    desired_at: Option<i64>,
    outside: Option<String>,
    unclear: Option<String>,
    live: Option<String>,
    created_at: i64,
    name_was: Option<String>,
    tag_rule: Option<String>,
}

/// A resource, and the platforms that its cluster needs one of.
#[derive(FromRow)]
pub(crate) struct PlacedResourceRow {
    #[sqlx(flatten)]
    resource: ResourceRow,
    platforms: Option<String>,
}

impl TryFrom<PlacedResourceRow> for (Resource, Vec<String>) {
    type Error = StoreError;

    fn try_from(row: PlacedResourceRow) -> Result<Self, StoreError> {
        Ok((row.resource.try_into()?, platforms(row.platforms.as_ref())?))
    }
}

/// A follower, and the rule that says which of two images is newer for it.
#[derive(FromRow)]
pub(crate) struct FollowerRow {
    #[sqlx(flatten)]
    resource: ResourceRow,
    order_rule: Option<String>,
}

impl TryFrom<FollowerRow> for (Resource, TagRule) {
    type Error = StoreError;

    fn try_from(row: FollowerRow) -> Result<Self, StoreError> {
        Ok((row.resource.try_into()?, tag_rule(row.order_rule.as_ref())?))
    }
}

/// Also of what was removed, and whether it was.
impl TryFrom<ResourceRow> for (Resource, bool) {
    type Error = StoreError;

    fn try_from(row: ResourceRow) -> Result<Self, StoreError> {
        let is_removed = row.name_was.is_some();
        Ok((row.try_into()?, is_removed))
    }
}

impl TryFrom<ResourceRow> for Resource {
    type Error = StoreError;

    fn try_from(row: ResourceRow) -> Result<Self, StoreError> {
        let source = match (&row.image_repository, &row.source_id) {
            (Some(repository), None) => Source::Image {
                repository: parse("image repository", repository)?,
                tags: tag_rule(row.tag_rule.as_ref())?,
            },
            (None, Some(from)) => Source::Promote {
                from: parse("source id", from)?,
            },
            _ => {
                return Err(StoreError::Corrupt {
                    what: "source",
                    why: "exactly one is needed".into(),
                });
            }
        };
        Ok(Self {
            id: parse("resource id", &row.id)?,
            environment: parse("environment id", &row.environment_id)?,
            name: parse("resource name", row.name_was.as_ref().unwrap_or(&row.name))?,
            key: parse("resource key", &row.key)?,
            kind: Kind::from(row.kind),
            source,
            binding: parse_if("pin", row.pin.as_ref())?.map_or(Binding::TrackLatest, Binding::Pin),
            hold: row.hold.as_deref().map(|json| from_json("hold", json)).transpose()?,
            runtime: from_json("runtime", &row.runtime)?,
            desired: image(
                row.desired_repository.as_ref(),
                row.desired_tag.as_ref(),
                row.desired_digest.as_ref(),
            )?,
            desired_at: row.desired_at.map(Timestamp),
            outside: row
                .outside
                .as_deref()
                .map(|json| from_json("outside change", json))
                .transpose()?,
            unclear: row.unclear,
            live: row
                .live
                .as_deref()
                .map(|json| from_json("live state", json))
                .transpose()?,
            created_at: Timestamp(row.created_at),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ArtifactRow {
    repository: String,
    digest: String,
    tag: Option<String>,
    seen_at: i64,
    details: Option<String>,
}

impl TryFrom<ArtifactRow> for Artifact {
    type Error = StoreError;

    fn try_from(row: ArtifactRow) -> Result<Self, StoreError> {
        Ok(Self {
            image: ExactImage {
                repository: parse("image repository", &row.repository)?,
                tag: parse_if("tag", row.tag.as_ref())?,
                digest: parse("digest", &row.digest)?,
            },
            seen_at: Timestamp(row.seen_at),
            details: row
                .details
                .as_deref()
                .map(|json| from_json("artifact", json))
                .transpose()?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct PromotionRow {
    id: String,
    workspace_id: String,
    project_id: String,
    environment_id: String,
    resource_id: String,
    number: i64,
    purpose: String,
    requested_by: String,
    origin_environment: Option<String>,
    origin_resource: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: String,
    previous: Option<String>,
    creates: bool,
    creates_file: bool,
    state: String,
    waits_for: Option<String>,
    failure_step: Option<String>,
    failure_reason: Option<String>,
    failure_more: Option<String>,
    counts_from: Option<i64>,
    commit_id: Option<String>,
    committed_at: Option<i64>,
    tries: i64,
    attempts: i64,
    created_at: i64,
    state_since: i64,
    ended_at: Option<i64>,
}

#[derive(FromRow)]
pub(crate) struct AskedPromotionRow {
    #[sqlx(flatten)]
    promotion: PromotionRow,
    asked_at: i64,
}

impl TryFrom<AskedPromotionRow> for (i64, Promotion) {
    type Error = StoreError;

    fn try_from(row: AskedPromotionRow) -> Result<Self, StoreError> {
        Ok((row.asked_at, row.promotion.try_into()?))
    }
}

impl TryFrom<PromotionRow> for Promotion {
    type Error = StoreError;

    fn try_from(row: PromotionRow) -> Result<Self, StoreError> {
        let origin = match (&row.origin_environment, &row.origin_resource) {
            (Some(environment), Some(resource)) => Some(Origin {
                environment: parse("environment name", environment)?,
                resource: parse("resource name", resource)?,
            }),
            _ => None,
        };
        let more: Option<Failed> = row
            .failure_more
            .as_deref()
            .map(|json| from_json("failure", json))
            .transpose()?;
        let more = more.unwrap_or_default();
        let failure = match (&row.failure_step, row.failure_reason) {
            (Some(step), Some(reason)) => Some(Failure {
                step: parse("step", step)?,
                reason,
                remedy: more.remedy,
                said: more.said,
            }),
            _ => None,
        };
        Ok(Self {
            id: parse("promotion id", &row.id)?,
            workspace: parse("workspace id", &row.workspace_id)?,
            project: parse("project id", &row.project_id)?,
            environment: parse("environment id", &row.environment_id)?,
            resource: parse("resource id", &row.resource_id)?,
            number: row.number,
            purpose: parse("purpose", &row.purpose)?,
            requested_by: from_json("actor", &row.requested_by)?,
            origin,
            image: ExactImage {
                repository: parse("image repository", &row.repository)?,
                tag: parse_if("tag", row.tag.as_ref())?,
                digest: parse("digest", &row.digest)?,
            },
            previous: row
                .previous
                .as_deref()
                .map(|json| from_json("previous image", json))
                .transpose()?,
            creates: row.creates,
            creates_file: row.creates_file,
            state: parse("state", &row.state)?,
            waits_for: row.waits_for,
            failure,
            commit: row.commit_id,
            committed_at: row.committed_at.map(Timestamp),
            tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            created_at: Timestamp(row.created_at),
            state_since: Timestamp(row.state_since),
            ended_at: row.ended_at.map(Timestamp),
            counts_from: row.counts_from.map(Timestamp),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct EventRow {
    sequence: i64,
    at: i64,
    workspace_id: String,
    project_id: Option<String>,
    environment_id: Option<String>,
    resource_id: Option<String>,
    promotion_id: Option<String>,
    actor: String,
    door: Option<String>,
    address: Option<String>,
    happened: String,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            sequence: row.sequence,
            at: Timestamp(row.at),
            workspace: parse("workspace id", &row.workspace_id)?,
            subject: Subject {
                project: parse_if("project id", row.project_id.as_ref())?,
                environment: parse_if("environment id", row.environment_id.as_ref())?,
                resource: parse_if("resource id", row.resource_id.as_ref())?,
                promotion: parse_if("promotion id", row.promotion_id.as_ref())?,
            },
            actor: from_json("actor", &row.actor)?,
            door: parse_if("door", row.door.as_ref())?,
            address: row.address,
            happened: from_json("event", &row.happened)?,
        })
    }
}

/// As it is stored: what can't be read is kept too, and only named by who checks it.
#[derive(FromRow)]
pub(crate) struct EntryRow {
    sequence: i64,
    at: i64,
    workspace_id: String,
    project_id: Option<String>,
    environment_id: Option<String>,
    resource_id: Option<String>,
    promotion_id: Option<String>,
    actor: String,
    door: Option<String>,
    address: Option<String>,
    happened: String,
    previous_hash: Option<String>,
    hash: Option<String>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            sequence: row.sequence,
            at: row.at,
            workspace: row.workspace_id,
            project: row.project_id,
            environment: row.environment_id,
            resource: row.resource_id,
            promotion: row.promotion_id,
            actor: row.actor,
            door: row.door,
            address: row.address,
            happened: row.happened,
            previous_hash: row.previous_hash,
            hash: row.hash,
        }
    }
}

#[derive(FromRow)]
pub(crate) struct HeadRow {
    hash: String,
    entries: i64,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        Self {
            hash: row.hash,
            entries: row.entries,
        }
    }
}
