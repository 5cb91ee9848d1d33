//! `/api/v1/artifacts/{digest}/recall`: a digest is marked bad (`POST`), looked at (`GET`), and let be promoted again (`DELETE`); and
//! `POST …/recall/move-back` moves every place back that is to run it.

use super::{asker, sent, workspace_of};
use crate::{
    service::{Caller, Services, promotion, views},
    web::{auth::Identity, error::Problem, routes::Routes},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::HeaderMap,
};
use contract::{
    error::AppError,
    recall::{MovedBack, RecallView},
};
use serde::Deserialize;

/// Most bytes of a request.
const LARGEST: usize = 16 * 1024;

/// The routes.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new()
        .get("/api/v1/artifacts/{recalled}/recall", read)
        .post("/api/v1/artifacts/{recalled}/recall", recall)
        .delete("/api/v1/artifacts/{recalled}/recall", lift)
        .post("/api/v1/artifacts/{recalled}/recall/move-back", move_back)
        .with(|routes| routes.layer(DefaultBodyLimit::max(LARGEST)).with_state(services))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The workspace's name; needed by those who are in several.
    #[serde(default)]
    workspace: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct How {
    /// Whether gates that hold a rollback are overridden, where their policy lets the caller.
    #[serde(default)]
    break_glass: bool,
}

type Asked = Option<Extension<Identity>>;
type Named = Result<Query<Which>, QueryRejection>;
type Sent = Result<Bytes, BytesRejection>;

async fn read(
    State(services): State<Services>,
    Path(digest): Path<String>,
    caller: Asked,
    which: Named,
) -> Result<Json<RecallView>, Problem> {
    let (caller, workspace) = who(caller, which)?;
    Ok(Json(views::recall(&services, &caller, &workspace, &digest).await?))
}

async fn recall(
    State(services): State<Services>,
    Path(digest): Path<String>,
    caller: Asked,
    which: Named,
    headers: HeaderMap,
    bytes: Sent,
) -> Result<Json<RecallView>, Problem> {
    let (caller, workspace) = who(caller, which)?;
    let Reason { reason } = sent(&headers, bytes, LARGEST)?;
    promotion::recall_digest(&services, &caller, &workspace, &digest, &reason).await?;
    Ok(Json(views::recall(&services, &caller, &workspace, &digest).await?))
}

async fn lift(
    State(services): State<Services>,
    Path(digest): Path<String>,
    caller: Asked,
    which: Named,
    headers: HeaderMap,
    bytes: Sent,
) -> Result<Json<RecallView>, Problem> {
    let (caller, workspace) = who(caller, which)?;
    let Reason { reason } = sent(&headers, bytes, LARGEST)?;
    promotion::lift_recall(&services, &caller, &workspace, &digest, &reason).await?;
    Ok(Json(views::recall(&services, &caller, &workspace, &digest).await?))
}

async fn move_back(
    State(services): State<Services>,
    Path(digest): Path<String>,
    caller: Asked,
    which: Named,
    headers: HeaderMap,
    bytes: Sent,
) -> Result<Json<MovedBack>, Problem> {
    let (caller, workspace) = who(caller, which)?;
    let How { break_glass } = sent(&headers, bytes, LARGEST)?;
    let moved = promotion::move_places_back(&services, &caller, &workspace, &digest, break_glass).await?;
    Ok(Json(moved))
}

/// Who asks, and the workspace that is meant.
fn who(caller: Asked, which: Named) -> Result<(Caller, String), Problem> {
    let caller = asker(caller)?;
    let Query(which) = which.map_err(|_| AppError::BadRequest("The only option is workspace, a name.".into()))?;
    let workspace = workspace_of(&caller, which.workspace)?;
    Ok((caller, workspace))
}
