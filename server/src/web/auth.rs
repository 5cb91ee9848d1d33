//! Who calls: a session's person, or a token's program.

use super::WebState;
use crate::{
    service::{Caller, access, context},
    store::DatabaseFault,
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use contract::error::AppError;
use domain::{
    door::{Door, Entrance},
    id::UserId,
    time::Timestamp,
};
use std::net::SocketAddr;
use tower_sessions::Session;

/// Key of the session's user id.
pub(super) const USER: &str = "user";
/// Key of what the browser said of itself when the session began.
pub(super) const AGENT: &str = "agent";
/// Key of the network address that the session began at.
pub(super) const ADDRESS: &str = "address";
/// Key of the day, counted from the epoch, on which the session was last written.
const DAY: &str = "day";
/// Key of the moment at which a session ends, however much it is used; those that began with a password have none.
pub(super) const UNTIL: &str = "until";
/// Most characters that are kept of what a browser says of itself.
const MOST_AGENT: usize = 300;
/// What the program `waybill` calls itself in requests, a version follows.
pub(crate) const COMMAND_LINE: &str = "waybill/";

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
        Some(token) => access::caller_of_token(&state.services, token).await,
        None => caller_of_session(&state, &session).await,
    };
    match caller {
        Ok(mut caller) => {
            if let Some(caller) = &mut caller {
                caller.entrance = entrance(&request);
            }
            request.extensions_mut().insert(Identity(caller));
            next.run(request).await
        }
        Err(error) => super::error::problem(&error),
    }
}

/// Through which door a request comes, and from where.
fn entrance(request: &Request) -> Entrance {
    let path = request.uri().path();
    let agent = request.headers().get(header::USER_AGENT);
    let is_ours = agent.is_some_and(|agent| agent.as_bytes().starts_with(COMMAND_LINE.as_bytes()));
    let door = match () {
        () if path.starts_with("/api/graphql") => Door::Graphql,
        // Its own word for it: a program may call itself so, too.
        () if path.starts_with("/api/v1/") && is_ours => Door::CommandLine,
        () if path.starts_with("/api/v1/") => Door::Rest,
        () => Door::Browser,
    };
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    Entrance {
        door,
        address: address.map(|ConnectInfo(address)| address.ip().to_string()),
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn caller_of_session(state: &WebState, session: &Session) -> Result<Option<Caller>, AppError> {
    let user = session.get::<UserId>(USER).await.map_err(|e| fault(&e))?;
    let Some(user) = user else { return Ok(None) };
    let until = session.get::<Timestamp>(UNTIL).await;
    if until
        .map_err(|e| fault(&e))?
        .is_some_and(|until| until <= state.services.now())
    {
        end(session).await?;
        return Ok(None);
    }
    stay(state, session).await.map_err(|e| fault(&e))?;
    access::caller_of_user(&state.services, user).await
}

/// What a fault of the sessions' table means for a request.
fn fault(error: &tower_sessions::session::Error) -> AppError {
    use tower_sessions::{session, session_store};
    match error {
        session::Error::Store(session_store::Error::Backend(why)) if DatabaseFault::told_as(why).is_some() => {
            AppError::Unavailable(why.clone())
        }
        _ => context::internal(error),
    }
}

/// What a browser says of itself.
pub(super) fn agent(headers: &HeaderMap) -> String {
    headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .map(|agent| agent.chars().take(MOST_AGENT).collect())
        .unwrap_or_default()
}

/// A session ends some days after it was last used, not after it began: it is written anew once a day.
async fn stay(state: &WebState, session: &Session) -> Result<(), tower_sessions::session::Error> {
    const MILLIS_A_DAY: i64 = 86_400_000;
    let today = state.services.now().0.div_euclid(MILLIS_A_DAY);
    let is_due = session.get::<i64>(DAY).await? != Some(today);
    // Pages can be read while nothing can be written: then it is written later.
    if is_due && state.services.store.check_writable().await.is_ok() {
        session.insert(DAY, today).await?;
    }
    Ok(())
}

/// Begins a session for a person: under a new id, so that one planted before is worth nothing. `agent` is what the browser
/// says of itself, `address` the network address: people know their sessions by them.
pub(super) async fn begin(session: &Session, user: UserId, agent: &str, address: &str) -> Result<(), AppError> {
    let begun = async {
        session.cycle_id().await?;
        session.insert(USER, user).await?;
        session.insert(AGENT, agent).await?;
        session.insert(ADDRESS, address).await?;
        session.remove::<Timestamp>(UNTIL).await?;
        session.save().await
    };
    begun.await.map_err(|e| fault(&e))
}

/// Ends a session.
pub(super) async fn end(session: &Session) -> Result<(), AppError> {
    session.flush().await.map_err(|e| fault(&e))
}

/// The button *Sign out*.
pub(super) async fn sign_out(session: Session) -> Response {
    match end(&session).await {
        Ok(()) => Redirect::to("/sign-in").into_response(),
        Err(error) => super::error::problem(&error),
    }
}
