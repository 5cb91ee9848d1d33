//! The queries.

use super::{
    error,
    mutations::{Mutation, named},
    objects::{Environment, PodLogs, Project, Promotion, Resource},
};
use crate::service::{
    Caller, Services,
    views::{self, PromotionsOf},
};
use async_graphql::{Context, EmptySubscription, ID, InputObject, Object, Result, SimpleObject};
use contract::error::AppError;
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
        let projects = views::project_list(services, caller).await.map_err(error)?;
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
        views::project_named(services, caller, &project)
            .await
            .map(Project)
            .map_err(error)
    }

    /// The environments of a project (its name or id), in its order.
    #[graphql(complexity = "5 + 5 * child_complexity")]
    async fn environments(&self, context: &Context<'_>, project: String) -> Result<Vec<Environment>> {
        let (services, caller) = at(context)?;
        let project = views::project_named(services, caller, &project).await.map_err(error)?;
        let contents = Arc::new(views::contents(services, caller, project.id).await.map_err(error)?);
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
        let project = views::project_named(services, caller, &project).await.map_err(error)?;
        let contents = Arc::new(views::contents(services, caller, project.id).await.map_err(error)?);
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
        let project = views::project_named(services, caller, &project).await.map_err(error)?;
        let contents = views::contents(services, caller, project.id).await.map_err(error)?;
        if let (Some(environment), Some(resource)) = (&environment, &resource) {
            let environment = contents.environment(environment).map_err(error)?;
            let resource = contents.resource(environment, resource).map_err(error)?;
            let promotions = views::promotions_of(services, &contents, resource, limit).await;
            return Ok(promotions.map_err(error)?.into_iter().map(Promotion).collect());
        }
        let filter = PromotionsOf {
            environment: environment.as_deref(),
            resource: resource.as_deref(),
            state: None,
        };
        let promotions = views::promotions_in(services, &contents, &filter, None, limit).await;
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
        let project = views::project_named(services, caller, &project).await.map_err(error)?;
        let contents = views::contents(services, caller, project.id).await.map_err(error)?;
        // One more says whether there are more.
        let mut found = views::promotions_in(services, &contents, &of, after, first + 1)
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
        let read = views::pod_logs(services, caller, &promotion, container.as_deref()).await;
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
