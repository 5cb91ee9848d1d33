//! Resources: what each follows, what Git declares of it, what is live.

use super::{
    StoreError,
    clusters::platforms,
    dialect::{Dialect, Stored, taken},
    rows::{from_json, image, parse, parse_if, tag_rule, text, to_json},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, ExactImage, Repository, Tag},
    id::{EnvironmentId, ProjectId, ResourceId, WorkspaceId},
    resource::{Binding, Hold, Kind, Live, Outside, Resource, Source},
    tag_rule::TagRule,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// Resources: what each follows, what Git declares of it, what is live.
#[async_trait]
pub trait Resources: Send {
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
    /// Writes what Git says the resource runs; who made it say so, and why it was unclear, is forgotten.
    async fn set_desired(
        &mut self,
        id: ResourceId,
        image: Option<&ExactImage>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Writes what Argo CD reports of the resource.
    async fn set_live(&mut self, id: ResourceId, live: Option<&Live>) -> Result<(), StoreError>;
    /// Writes why the resource doesn't follow its source by itself; `None` lifts the hold.
    async fn set_hold(&mut self, id: ResourceId, hold: Option<&Hold>) -> Result<(), StoreError>;
    /// Writes who made Git say what it says, after [`Self::set_desired`].
    async fn set_outside(&mut self, id: ResourceId, outside: &Outside) -> Result<(), StoreError>;
    /// Writes why what Git says can't be read as an exact image, after [`Self::set_desired`].
    async fn set_unclear(&mut self, id: ResourceId, why: &str) -> Result<(), StoreError>;
    /// Who takes the image from this resource.
    async fn followers(&mut self, id: ResourceId) -> Result<Vec<Resource>, StoreError>;
    /// As [`Self::followers`], each with the rule of the resource at the end of the chain: it says which of two images is newer.
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
}

const RESOURCES: &str = "SELECT r.* FROM resources r JOIN environments e ON e.id = r.environment_id \
     WHERE e.project_id = $1 AND r.removed_at IS NULL ORDER BY r.name";
const RESOURCE: &str = "SELECT * FROM resources WHERE id = $1 AND removed_at IS NULL";
const RESOURCE_BY_NAME: &str = "SELECT * FROM resources WHERE environment_id = $1 AND name = $2 AND removed_at IS NULL";
const INSERT_RESOURCE: &str = "INSERT INTO resources (id, environment_id, name, key, kind, image_repository, \
     source_id, pin, runtime, created_at, tag_rule) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const UPDATE_RESOURCE: &str = "UPDATE resources SET key = $2, kind = $3, image_repository = $4, source_id = $5, \
     pin = $6, runtime = $7, tag_rule = $8 WHERE id = $1";
const SET_DESIRED: &str = "UPDATE resources SET desired_repository = $2, desired_tag = $3, \
     desired_digest = $4, desired_at = $5, outside = NULL, unclear = NULL WHERE id = $1";
const SET_OUTSIDE: &str = "UPDATE resources SET outside = $2 WHERE id = $1";
const SET_UNCLEAR: &str = "UPDATE resources SET unclear = $2 WHERE id = $1";
const SET_HOLD: &str = "UPDATE resources SET hold = $2 WHERE id = $1";
const SET_LIVE: &str = "UPDATE resources SET live = $2 WHERE id = $1";
const FOLLOWERS: &str = "SELECT * FROM resources WHERE source_id = $1 AND removed_at IS NULL ORDER BY name";

/// The resource at the end of the chain says which of two images is newer. The followers are asked for together with it: most have no rule, and
/// need no question for that.
const FOLLOWERS_IN_ORDER: &str = "WITH RECURSIVE up (id, source_id, tag_rule) AS (\
     SELECT id, source_id, tag_rule FROM resources WHERE id = $1 \
     UNION SELECT r.id, r.source_id, r.tag_rule FROM up JOIN resources r ON r.id = up.source_id) \
     SELECT f.*, (SELECT tag_rule FROM up WHERE source_id IS NULL) AS order_rule FROM resources f \
     WHERE f.source_id = $1 AND f.removed_at IS NULL ORDER BY f.name";
const ORDER_OF: &str = "WITH RECURSIVE up (id, source_id, tag_rule) AS (\
     SELECT id, source_id, tag_rule FROM resources WHERE id = $1 \
     UNION SELECT r.id, r.source_id, r.tag_rule FROM up JOIN resources r ON r.id = up.source_id) \
     SELECT tag_rule FROM up WHERE source_id IS NULL";
const RESOURCES_OF_IMAGE: &str = "SELECT r.*, c.platforms FROM resources r \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id JOIN clusters c ON c.id = e.cluster_id \
     WHERE p.workspace_id = $1 AND r.image_repository = $2 AND r.removed_at IS NULL";
const IMAGE_REPOSITORIES: &str = "SELECT DISTINCT p.workspace_id, r.image_repository FROM resources r \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id \
     WHERE r.image_repository IS NOT NULL AND r.removed_at IS NULL";

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

#[async_trait]
impl<D: Dialect> Resources for SqlTx<D>
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
    async fn resources(&mut self, project: ProjectId) -> Result<Vec<Resource>, StoreError> {
        all!(self, ResourceRow, RESOURCES, project.to_string())
    }

    async fn resource(&mut self, id: ResourceId) -> Result<Option<Resource>, StoreError> {
        one!(self, ResourceRow, RESOURCE, id.to_string())
    }

    async fn resource_by_name(
        &mut self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<Option<Resource>, StoreError> {
        one!(self, ResourceRow, RESOURCE_BY_NAME, environment.to_string(), text(name))
    }

    async fn insert_resource(&mut self, resource: &Resource) -> Result<(), StoreError> {
        let SourceColumns {
            image,
            source,
            tag_rule,
        } = SourceColumns::of(&resource.source)?;
        run!(
            self,
            INSERT_RESOURCE,
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
            UPDATE_RESOURCE,
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
            SET_DESIRED,
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
        run!(self, SET_LIVE, id.to_string(), live)?;
        Ok(())
    }

    async fn set_hold(&mut self, id: ResourceId, hold: Option<&Hold>) -> Result<(), StoreError> {
        let hold = hold.map(|hold| to_json("hold", hold)).transpose()?;
        run!(self, SET_HOLD, id.to_string(), hold)?;
        Ok(())
    }

    async fn set_outside(&mut self, id: ResourceId, outside: &Outside) -> Result<(), StoreError> {
        run!(self, SET_OUTSIDE, id.to_string(), to_json("outside change", outside)?)?;
        Ok(())
    }

    async fn set_unclear(&mut self, id: ResourceId, why: &str) -> Result<(), StoreError> {
        run!(self, SET_UNCLEAR, id.to_string(), why)?;
        Ok(())
    }

    async fn followers(&mut self, id: ResourceId) -> Result<Vec<Resource>, StoreError> {
        all!(self, ResourceRow, FOLLOWERS, id.to_string())
    }

    async fn followers_in_order(&mut self, id: ResourceId) -> Result<Vec<(Resource, TagRule)>, StoreError> {
        all!(self, FollowerRow, FOLLOWERS_IN_ORDER, id.to_string())
    }

    async fn order_of(&mut self, id: ResourceId) -> Result<TagRule, StoreError> {
        let rule: Option<Option<String>> = sqlx::query_scalar::<D, _>(ORDER_OF)
            .bind(id.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        tag_rule(rule.flatten().as_ref())
    }

    async fn resources_of_image(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
    ) -> Result<Vec<(Resource, Vec<String>)>, StoreError> {
        all!(
            self,
            PlacedResourceRow,
            RESOURCES_OF_IMAGE,
            workspace.to_string(),
            repository.as_str()
        )
    }

    async fn image_repositories(&mut self) -> Result<Vec<(WorkspaceId, Repository)>, StoreError> {
        let found: Vec<(String, String)> = sqlx::query_as::<D, _>(IMAGE_REPOSITORIES)
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
}
