//! The queries and the mutations.

use super::{
    error,
    objects::{Check, Environment, PodLogs, Project, Promotion, Removal, Resource},
};
use crate::{
    service::{Caller, Services, check::ReportedCheck, inventory::PromotionsOf},
    web::rest::checks::moment,
};
use app::{api::removal::Removing, backend::At, error::AppError};
use async_graphql::{Context, EmptySubscription, ID, InputObject, Object, Result, SimpleObject};
use domain::removal::RemovalChoices;
use std::sync::Arc;

/// The schema, with the services in it; a request brings its [`Caller`].
pub type Schema = async_graphql::Schema<Query, Mutation, EmptySubscription>;

/// Deepest nesting: what tools ask to learn the schema needs 15.
const DEPTH: usize = 16;
/// Most fields, those of lists counted as often as they may be repeated.
const COMPLEXITY: usize = 5000;

/// Builds the schema.
#[must_use]
pub fn schema(services: Services) -> Schema {
    async_graphql::Schema::build(Query, Mutation, EmptySubscription)
        .data(services)
        .limit_depth(DEPTH)
        .limit_complexity(COMPLEXITY)
        .limit_directives(16)
        .finish()
}

/// Services and caller of a request.
pub(super) fn at<'a>(context: &Context<'a>) -> Result<(&'a Services, &'a Caller)> {
    let caller = context.data::<Caller>().map_err(|_| error(AppError::SignedOut))?;
    Ok((context.data::<Services>()?, caller))
}

/// Most promotions that are returned at once.
pub(super) const MOST_PROMOTIONS: u32 = 100;

/// Holds a limit against [`MOST_PROMOTIONS`].
pub(super) fn limit(limit: u32) -> Result<u32> {
    if (1..=MOST_PROMOTIONS).contains(&limit) {
        return Ok(limit);
    }
    let why = format!("Ask for 1 to {MOST_PROMOTIONS} promotions.");
    Err(error(domain::field::FieldErrors::one("limit", why).into()))
}

/// What can be asked.
pub struct Query;

#[Object]
impl Query {
    /// All projects that the caller may see.
    #[graphql(complexity = "10 + 10 * child_complexity")]
    async fn projects(&self, context: &Context<'_>) -> Result<Vec<Project>> {
        let (services, caller) = at(context)?;
        let projects = services.project_list(caller).await.map_err(error)?;
        Ok(projects.into_iter().map(Project).collect())
    }

    /// The project with this id, or of this name.
    async fn project(&self, context: &Context<'_>, id: Option<ID>, name: Option<String>) -> Result<Project> {
        let (services, caller) = at(context)?;
        let project = match (id, name) {
            (Some(id), None) => id.to_string(),
            (None, Some(name)) => name,
            _ => {
                return Err(error(AppError::BadRequest(
                    "Give either the project's id or its name.".into(),
                )));
            }
        };
        services
            .project_named(caller, &project)
            .await
            .map(Project)
            .map_err(error)
    }

    /// The environments of a project (its name or id), in its order.
    #[graphql(complexity = "5 + 5 * child_complexity")]
    async fn environments(&self, context: &Context<'_>, project: String) -> Result<Vec<Environment>> {
        let (services, caller) = at(context)?;
        let project = services.project_named(caller, &project).await.map_err(error)?;
        let contents = Arc::new(services.contents(caller, project.id).await.map_err(error)?);
        Ok(Environment::all(&contents))
    }

    /// The resources of a project (its name or id); of one environment, when that is named.
    #[graphql(complexity = "10 + 10 * child_complexity")]
    async fn resources(
        &self,
        context: &Context<'_>,
        project: String,
        environment: Option<String>,
    ) -> Result<Vec<Resource>> {
        let (services, caller) = at(context)?;
        let project = services.project_named(caller, &project).await.map_err(error)?;
        let contents = Arc::new(services.contents(caller, project.id).await.map_err(error)?);
        match environment {
            None => Ok(contents
                .resources
                .iter()
                .map(|resource| Resource::new(&contents, resource))
                .collect()),
            Some(name) => {
                let environment = contents.environment(&name).map_err(error)?;
                Ok(Resource::of(&contents, environment.id))
            }
        }
    }

    /// The promotions of a project, newest first: all of them, those of an environment, those of a resource. `limit` from 1 to 100; for more
    /// there is `promotionConnection`.
    #[graphql(complexity = "10 + (limit.min(100) as usize) * child_complexity")]
    async fn promotions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project's name or id")] project: String,
        environment: Option<String>,
        resource: Option<String>,
        #[graphql(default = 20)] limit: u32,
    ) -> Result<Vec<Promotion>> {
        let limit = self::limit(limit)?;
        let (services, caller) = at(context)?;
        let project = services.project_named(caller, &project).await.map_err(error)?;
        let contents = services.contents(caller, project.id).await.map_err(error)?;
        if let (Some(environment), Some(resource)) = (&environment, &resource) {
            let environment = contents.environment(environment).map_err(error)?;
            let resource = contents.resource(environment, resource).map_err(error)?;
            let promotions = services.promotions_of(&contents, resource, limit).await;
            return Ok(promotions.map_err(error)?.into_iter().map(Promotion).collect());
        }
        let filter = PromotionsOf {
            environment: environment.as_deref(),
            resource: resource.as_deref(),
            state: None,
        };
        let promotions = services.promotions_in(&contents, &filter, None, limit).await;
        let promotions = promotions.map_err(error)?.into_iter();
        Ok(promotions.map(|(_, promotion)| Promotion(promotion)).collect())
    }

    /// The promotions of a project, newest first, page by page: `first` from 1 to 100, `after` the cursor of the last one seen.
    #[graphql(complexity = "10 + (first.min(100) as usize) * child_complexity")]
    async fn promotion_connection(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project's name or id")] project: String,
        #[graphql(default = 20)] first: u32,
        after: Option<String>,
        filter: Option<PromotionFilter>,
    ) -> Result<PromotionConnection> {
        let first = self::limit(first)?;
        let cursor = |after: String| {
            after.parse::<i64>().map_err(|_| {
                let why = "This is no cursor of a promotion. Take `endCursor` of the page before.";
                error(domain::field::FieldErrors::one("after", why).into())
            })
        };
        let after = after.map(cursor).transpose()?;
        let filter = filter.unwrap_or_default();
        let state = |word: &String| {
            word.parse().map_err(|_| {
                let why = format!("{word:?} is no state of a promotion.");
                error(domain::field::FieldErrors::one("filter.state", why).into())
            })
        };
        let of = PromotionsOf {
            environment: filter.environment.as_deref(),
            resource: filter.resource.as_deref(),
            state: filter.state.as_ref().map(state).transpose()?,
        };
        let (services, caller) = at(context)?;
        let project = services.project_named(caller, &project).await.map_err(error)?;
        let contents = services.contents(caller, project.id).await.map_err(error)?;
        // One more says whether there are more.
        let mut found = services
            .promotions_in(&contents, &of, after, first + 1)
            .await
            .map_err(error)?;
        let has_next_page = found.len() > first as usize;
        found.truncate(first as usize);
        let edges: Vec<PromotionEdge> = found
            .into_iter()
            .map(|(place, promotion)| PromotionEdge {
                cursor: place.to_string(),
                node: Promotion(promotion),
            })
            .collect();
        Ok(PromotionConnection {
            page_info: PageInfo {
                has_next_page,
                end_cursor: edges.last().map(|edge| edge.cursor.clone()),
            },
            edges,
        })
    }

    /// What the failing pod of a promotion (`unhealthy.pod`) writes into its log, read from Argo CD now and kept nowhere. For developers;
    /// Waybill's account in Argo CD needs the right `logs, get`.
    #[graphql(complexity = "250 + child_complexity")]
    async fn pod_logs(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The promotion's id")] promotion: ID,
        #[graphql(desc = "The container, where the pod has several")] container: Option<String>,
    ) -> Result<PodLogs> {
        let (services, caller) = at(context)?;
        let read = services.pod_logs(caller, &promotion, container.as_deref()).await;
        read.map(PodLogs::from).map_err(error)
    }

    /// The promotion with this id.
    async fn promotion(&self, context: &Context<'_>, id: ID) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        named(services, caller, &id).await
    }
}

/// Which promotions of a project.
#[derive(InputObject, Default)]
pub struct PromotionFilter {
    /// Only those of this environment.
    environment: Option<String>,
    /// Only those of resources of this name.
    resource: Option<String>,
    /// Only those in this state: `failed`, `syncing`.
    state: Option<String>,
}

/// A page of promotions.
#[derive(SimpleObject)]
pub struct PromotionConnection {
    /// The promotions, newest first.
    edges: Vec<PromotionEdge>,
    /// Whether there are more, and from where on.
    page_info: PageInfo,
}

/// A promotion of a page.
#[derive(SimpleObject)]
pub struct PromotionEdge {
    /// Its place.
    cursor: String,
    /// The promotion.
    node: Promotion,
}

/// Where a page ends.
#[derive(SimpleObject)]
pub struct PageInfo {
    /// Whether more follow.
    has_next_page: bool,
    /// The cursor of the last one, for `after`.
    end_cursor: Option<String>,
}

/// What to promote, and where to.
#[derive(InputObject)]
pub struct PromoteInput {
    /// The project's name or id.
    pub project_id: String,
    /// The resource's name, the same in both environments.
    pub service: String,
    /// The environment whose image is taken.
    pub from_environment: String,
    /// The environment in which it is to run.
    pub to_environment: String,
    /// Whether the values file is made, where there is none. Else that is refused.
    #[graphql(default)]
    pub create_file: bool,
}

/// A resource, by names.
#[derive(InputObject)]
pub struct ResourceInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// The resource's name.
    pub service: String,
    /// Whether the values file is made, where there is none. Else that is refused.
    #[graphql(default)]
    pub create_file: bool,
}

/// A resource, and the digest that it is to run.
#[derive(InputObject)]
pub struct DigestInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// The resource's name.
    pub service: String,
    /// `sha256:` and 64 lower-case hexadecimal characters.
    pub digest: String,
    /// Whether the values file is made, where there is none. Else that is refused.
    #[graphql(default)]
    pub create_file: bool,
}

/// A resource to delete.
#[derive(InputObject)]
pub struct RemoveResourceInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// The resource's name.
    pub service: String,
    /// Whether its block is removed from the values file, too. Else Git is left alone.
    #[graphql(default)]
    pub remove_from_git: bool,
    /// Whether who follows it becomes pinned to what it runs. Else a follower is in the way.
    #[graphql(default)]
    pub pin_followers: bool,
}

/// An environment to delete, with its resources.
#[derive(InputObject)]
pub struct RemoveEnvironmentInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// Whether the blocks of its resources are removed from the values file, too. Else Git is left alone.
    #[graphql(default)]
    pub remove_from_git: bool,
    /// Whether who follows its resources becomes pinned to what it runs. Else a follower is in the way.
    #[graphql(default)]
    pub pin_followers: bool,
}

/// The result of a check.
#[derive(InputObject)]
pub struct ReportCheckInput {
    /// The workspace's name; needed by those who are in several.
    pub workspace: Option<String>,
    /// `sha256:` and 64 lower-case hexadecimal characters.
    pub digest: String,
    /// The check's name, as policies name it.
    pub name: String,
    /// `pending`, `passed` or `failed`.
    pub status: String,
    /// What it found, a sentence.
    pub summary: Option<String>,
    /// Where more is said.
    pub url: Option<String>,
    /// When it was so, RFC 3339; now unless given.
    pub at: Option<String>,
}

/// Where an input points, as the use cases want it.
async fn place(services: &Services, caller: &Caller, project: &str, environment: String) -> Result<At> {
    let project = services.project_named(caller, project).await.map_err(error)?;
    let workspace = caller.access.iter().find(|(w, _)| w.id == project.workspace);
    Ok(At {
        workspace: workspace.map(|(w, _)| w.name.to_string()).unwrap_or_default(),
        project: project.name.to_string(),
        environment,
    })
}

/// The promotion with this id, as it is now.
async fn named(services: &Services, caller: &Caller, id: &str) -> Result<Promotion> {
    services.promotion_named(caller, id).await.map(Promotion).map_err(error)
}

/// What can be done.
pub struct Mutation;

#[Object]
impl Mutation {
    /// Promotes the exact image that a service runs in one environment to another one. Returns at once: ask `promotion(id)`
    /// for how it goes.
    #[graphql(complexity = "250 + child_complexity")]
    async fn promote(&self, context: &Context<'_>, input: PromoteInput) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let promotion = services
            .promote_between_making_file(
                caller,
                [
                    &input.project_id,
                    &input.service,
                    &input.from_environment,
                    &input.to_environment,
                ],
                input.create_file,
            )
            .await
            .map_err(error)?;
        named(services, caller, &promotion.id.to_string()).await
    }

    /// Pins a resource to a digest, and promotes it to that.
    #[graphql(complexity = "250 + child_complexity")]
    async fn pin(&self, context: &Context<'_>, input: DigestInput) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let id = services
            .edit_pin_making_file(caller, &place, &input.service, &input.digest, input.create_file)
            .await
            .map_err(error)?;
        named(services, caller, &id.to_string()).await
    }

    /// Brings a resource back to an image that ran there before, and holds it there until it is resumed.
    #[graphql(complexity = "250 + child_complexity")]
    async fn rollback(&self, context: &Context<'_>, input: DigestInput) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let id = services
            .rollback_making_file(caller, &place, &input.service, &input.digest, input.create_file)
            .await
            .map_err(error)?;
        named(services, caller, &id.to_string()).await
    }

    /// Lifts the hold of a resource. Returns the promotion that catches up with its source; null when there is nothing to catch up with.
    #[graphql(complexity = "250 + child_complexity")]
    async fn resume(&self, context: &Context<'_>, input: ResourceInput) -> Result<Option<Promotion>> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let resumed = services
            .resume_making_file(caller, &place, &input.service, input.create_file)
            .await;
        match resumed.map_err(error)? {
            Some(id) => named(services, caller, &id.to_string()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives a held resource the key that it seems to have in Git now, and lifts the hold. Returns the key.
    #[graphql(complexity = "250")]
    async fn take_new_key(&self, context: &Context<'_>, input: ResourceInput) -> Result<String> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let taken = services.take_new_key(caller, &place, &input.service).await;
        taken.map(|key| key.to_string()).map_err(error)
    }

    /// Reports the result of a check on a digest. The newest result of a name counts; the same again changes nothing.
    #[graphql(complexity = "250 + child_complexity")]
    async fn report_check(&self, context: &Context<'_>, input: ReportCheckInput) -> Result<Check> {
        let (services, caller) = at(context)?;
        let at = input.at.as_deref().map(moment).transpose();
        let reported = ReportedCheck {
            workspace: input.workspace,
            digest: input.digest,
            name: input.name,
            status: input.status,
            summary: input.summary,
            url: input.url,
            at: at.map_err(|e| error(e.into()))?,
        };
        services.report_check(caller, &reported).await.map(Check).map_err(error)
    }

    /// Approves a promotion that waits; only people do.
    #[graphql(complexity = "250 + child_complexity")]
    async fn approve(&self, context: &Context<'_>, id: ID, comment: Option<String>) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let comment = comment.unwrap_or_default();
        services.approve(caller, &id, &comment).await.map_err(error)?;
        named(services, caller, &id).await
    }

    /// Rejects a promotion that waits, with a reason; only people do.
    #[graphql(complexity = "250 + child_complexity")]
    async fn reject(&self, context: &Context<'_>, id: ID, comment: String) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        services.reject(caller, &id, &comment).await.map_err(error)?;
        named(services, caller, &id).await
    }

    /// Withdraws a promotion whose commit isn't on its way yet.
    #[graphql(complexity = "250 + child_complexity")]
    async fn cancel(&self, context: &Context<'_>, id: ID) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        services.cancel(caller, &id).await.map_err(error)?;
        named(services, caller, &id).await
    }

    /// Tries a failed promotion again.
    #[graphql(complexity = "250 + child_complexity")]
    async fn retry(&self, context: &Context<'_>, id: ID) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        services.retry(caller, &id).await.map_err(error)?;
        named(services, caller, &id).await
    }
    /// Deletes a resource. Its history stays, what runs goes on running, and its name is free again.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_resource(&self, context: &Context<'_>, input: RemoveResourceInput) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let target = Removing {
            what: "resource".into(),
            workspace: place.workspace,
            project: place.project,
            environment: place.environment,
            name: input.service,
        };
        let choices = RemovalChoices {
            from_git: input.remove_from_git,
            pin_followers: input.pin_followers,
        };
        remove(services, caller, &target, choices, "").await
    }

    /// Deletes an environment with its resources. Their history stays, and what runs goes on running.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_environment(&self, context: &Context<'_>, input: RemoveEnvironmentInput) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let target = Removing {
            what: "environment".into(),
            workspace: place.workspace,
            project: place.project,
            environment: String::new(),
            name: place.environment,
        };
        let choices = RemovalChoices {
            from_git: input.remove_from_git,
            pin_followers: input.pin_followers,
        };
        remove(services, caller, &target, choices, "").await
    }

    /// Deletes a project (its name or id) with its environments. Its credentials are erased, and Git is left alone.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_project(&self, context: &Context<'_>, project_id: String) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &project_id, String::new()).await?;
        let target = Removing {
            what: "project".into(),
            workspace: place.workspace,
            name: place.project,
            ..Removing::default()
        };
        remove(services, caller, &target, RemovalChoices::default(), "").await
    }

    /// Deletes a cluster that no environment runs on. Its token and password are erased.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_cluster(&self, context: &Context<'_>, workspace: String, name: String) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let target = Removing {
            what: "cluster".into(),
            workspace,
            name,
            ..Removing::default()
        };
        remove(services, caller, &target, RemovalChoices::default(), "").await
    }

    /// Deletes a workspace with all that is in it. Its tokens end, also the one that asks; `confirm` is its name once more.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_workspace(&self, context: &Context<'_>, name: String, confirm: String) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let target = Removing {
            what: "workspace".into(),
            workspace: name.clone(),
            name,
            ..Removing::default()
        };
        remove(services, caller, &target, RemovalChoices::default(), &confirm).await
    }
}

async fn remove(
    services: &Services,
    caller: &Caller,
    target: &Removing,
    choices: RemovalChoices,
    typed: &str,
) -> Result<Removal> {
    let removed = services.remove(caller, target, choices, typed).await;
    removed.map(Removal).map_err(error)
}
