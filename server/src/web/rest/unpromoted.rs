//! `GET /api/v1/unpromoted`: what runs in an environment and was never promoted. `POST …/adopt` says that an image of these is right, and
//! `POST …/promote` promotes what Git declares instead.

use super::{asker, sent, workspace_of};
use crate::{
    service::{Caller, Services, promotion, views},
    web::{auth::Identity, error::Problem, routes::Routes},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::HeaderMap,
};
use contract::{backend::At, environment::Unpromoted, error::AppError};
use domain::id::PromotionId;
use serde::{Deserialize, Serialize};

/// Most bytes of a request.
const LARGEST: usize = 16 * 1024;

/// The routes.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new()
        .get("/api/v1/unpromoted", list)
        .post("/api/v1/unpromoted/adopt", adopt)
        .post("/api/v1/unpromoted/promote", promote)
        .with(|routes| routes.layer(DefaultBodyLimit::max(LARGEST)).with_state(services))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The workspace's name; needed by those who are in several.
    #[serde(default)]
    workspace: Option<String>,
    project: String,
    environment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adopted {
    resource: String,
    digest: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promoted {
    resource: String,
}

/// The promotion that began.
#[derive(Serialize)]
struct Started {
    promotion: PromotionId,
}

type Asked = Option<Extension<Identity>>;
type Named = Result<Query<Which>, QueryRejection>;
type Sent = Result<Bytes, BytesRejection>;

async fn list(State(services): State<Services>, caller: Asked, which: Named) -> Result<Json<Vec<Unpromoted>>, Problem> {
    let (caller, at) = who(caller, which)?;
    Ok(Json(views::unpromoted(&services, &caller, &at).await?))
}

async fn adopt(
    State(services): State<Services>,
    caller: Asked,
    which: Named,
    headers: HeaderMap,
    bytes: Sent,
) -> Result<Json<Vec<Unpromoted>>, Problem> {
    let (caller, at) = who(caller, which)?;
    let asked: Adopted = sent(&headers, bytes, LARGEST)?;
    promotion::adopt(&services, &caller, &at, &asked.resource, &asked.digest, &asked.reason).await?;
    Ok(Json(views::unpromoted(&services, &caller, &at).await?))
}

async fn promote(
    State(services): State<Services>,
    caller: Asked,
    which: Named,
    headers: HeaderMap,
    bytes: Sent,
) -> Result<Json<Started>, Problem> {
    let (caller, at) = who(caller, which)?;
    let Promoted { resource } = sent(&headers, bytes, LARGEST)?;
    let promotion = promotion::promote_declared(&services, &caller, &at, &resource).await?;
    Ok(Json(Started { promotion }))
}

/// Who asks, and the environment that is meant.
fn who(caller: Asked, which: Named) -> Result<(Caller, At), Problem> {
    let caller = asker(caller)?;
    let why = "Name the project and the environment: ?project=NAME&environment=NAME, and workspace=NAME if you are in several.";
    let Query(which) = which.map_err(|_| AppError::BadRequest(why.into()))?;
    let workspace = workspace_of(&caller, which.workspace)?;
    Ok((caller, At::new(workspace, which.project, which.environment)))
}
