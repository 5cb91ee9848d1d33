//! Who calls: a session's person, or a token's program.

use super::WebState;
use crate::service::Caller;
use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use domain::id::UserId;
use tower_sessions::Session;

/// Key of the session's user id.
pub(super) const USER: &str = "user";

/// Key of what the browser said of itself when the session began.
pub(super) const AGENT: &str = "agent";

/// Key of the network address that the session began at.
pub(super) const ADDRESS: &str = "address";

/// Key of the day, counted from the epoch, on which the session was last written.
const DAY: &str = "day";

/// Who calls, as handlers take it (`Extension<Identity>`); `None` for strangers.
#[derive(Clone, Debug)]
pub struct Identity(pub Option<Caller>);

/// Finds out who calls, before the handler runs.
pub(super) async fn identify(
    State(state): State<WebState>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match bearer(&request) {
        Some(token) => state.services.caller_of_token(token).await,
        None => caller_of_session(&state, &session).await,
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(Identity(caller));
            next.run(request).await
        }
        Err(error) => super::error::problem(&error),
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn caller_of_session(state: &WebState, session: &Session) -> Result<Option<Caller>, app::error::AppError> {
    let user = session
        .get::<UserId>(USER)
        .await
        .map_err(|e| crate::service::internal(&e))?;
    let Some(user) = user else { return Ok(None) };
    stay(state, session).await.map_err(|e| crate::service::internal(&e))?;
    state.services.caller_of_user(user).await
}

/// A session ends some days after it was last used, not after it began: it is written anew once a day.
async fn stay(state: &WebState, session: &Session) -> Result<(), tower_sessions::session::Error> {
    const MILLIS_A_DAY: i64 = 86_400_000;
    let today = state.services.now().0.div_euclid(MILLIS_A_DAY);
    if session.get::<i64>(DAY).await? != Some(today) {
        session.insert(DAY, today).await?;
    }
    Ok(())
}

/// Begins a session for a person: under a new id, so that one planted before is worth nothing. `agent` is what the browser
/// says of itself, `address` the network address: people know their sessions by them.
pub(super) async fn begin(
    session: &Session,
    user: UserId,
    agent: &str,
    address: &str,
) -> Result<(), app::error::AppError> {
    let begun = async {
        session.cycle_id().await?;
        session.insert(USER, user).await?;
        session.insert(AGENT, agent).await?;
        session.insert(ADDRESS, address).await?;
        session.save().await
    };
    begun.await.map_err(|e| crate::service::internal(&e))
}

/// Ends a session.
pub(super) async fn end(session: &Session) -> Result<(), app::error::AppError> {
    session.flush().await.map_err(|e| crate::service::internal(&e))
}

/// The button *Sign out*.
pub(super) async fn sign_out(session: Session) -> Response {
    match end(&session).await {
        Ok(()) => Redirect::to("/sign-in").into_response(),
        Err(error) => super::error::problem(&error),
    }
}
