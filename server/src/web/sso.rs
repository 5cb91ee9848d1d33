//! The way to the provider of single sign-on and back. What must come back stays in the session meanwhile: for ten minutes, used
//! once. Whatever goes wrong leads to the sign-in page with a word that it has a sentence for.

use super::{
    WebState, auth,
    known_browser::{self, NewCookie},
};
use crate::{
    ports::identity_provider::AuthorizationRequest,
    service::{
        access::{self, PATIENCE_MILLIS, ProviderCallback},
        context::internal,
    },
};
use axum::{
    extract::{ConnectInfo, RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use contract::session::safe_next;
use contract::sso::SsoFault;
use domain::{id::UserId, time::Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, net::SocketAddr};
use tower_sessions::{Expiry, Session};

/// Key of those who are at the provider.
const AWAY: &str = "sso";
/// How many sign-ins may be under way in one browser, in tabs beside each other; the oldest is forgotten.
const MOST_AWAY: usize = 4;

/// A sign-in that is under way at the provider.
#[derive(Serialize, Deserialize)]
struct Away {
    state: String,
    nonce: String,
    verifier: String,
    /// Where to go afterwards.
    next: String,
    /// Whether the account that is signed in is to be connected.
    connects: bool,
    since: Timestamp,
}

/// Sends somebody to the provider.
pub(super) async fn begin(State(state): State<WebState>, session: Session, RawQuery(query): RawQuery) -> Response {
    let query = read(query);
    let next = safe_next(query.get("next").map(String::as_str));
    let connects = query.contains_key("connect");
    match leave(&state, &session, &next, connects).await {
        Ok(address) => to(&address),
        Err(fault) => back(fault, &next),
    }
}

async fn leave(state: &WebState, session: &Session, next: &str, connects: bool) -> Result<String, SsoFault> {
    let (address, authorization) = access::begin_sso(&state.services).await?;
    let now = state.services.now();
    let mut away = under_way(session, now).await?;
    away.truncate(MOST_AWAY - 1);
    away.insert(
        0,
        Away {
            state: authorization.state,
            nonce: authorization.nonce,
            verifier: authorization.verifier,
            next: next.to_owned(),
            connects,
            since: now,
        },
    );
    session.insert(AWAY, away).await.map_err(failed)?;
    forget_soon(session).await?;
    Ok(address)
}

/// Takes somebody in who comes back.
pub(super) async fn finish(
    State(state): State<WebState>,
    session: Session,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = read(query);
    let found = take(&state, &session, &query).await;
    let (away, next) = match found {
        Ok(Some(away)) => {
            // The paths of the session are ours already; it costs nothing to look again.
            let next = safe_next(Some(&away.next));
            (away, next)
        }
        Ok(None) => return back(SsoFault::Stale, "/"),
        Err(fault) => return back(fault, "/"),
    };
    let agent = auth::agent(&headers);
    match arrive(&state, &session, &query, away, (&agent, &address.ip().to_string())).await {
        Ok(user) => {
            let mut response = to(&next);
            // They are in, with or without it.
            let known = known_browser::read(&headers, state.secure);
            if let Ok(known) = access::remember_browser(&state.services, &known, user).await {
                let cookie = NewCookie::default();
                cookie.set(&known, state.secure);
                cookie.give(&mut response);
            }
            response
        }
        Err(fault) => {
            // A session that nobody is signed in with needn't outlast the next try.
            let _ = forget_soon(&session).await;
            tracing::info!(%address, fault = fault.as_str(), "nobody was signed in through single sign-on");
            back(fault, &next)
        }
    }
}

/// The sign-in that an answer belongs to. From now on it is used.
async fn take(state: &WebState, session: &Session, query: &HashMap<String, String>) -> Result<Option<Away>, SsoFault> {
    let Some(wanted) = query.get("state").filter(|state| !state.is_empty()) else {
        return Ok(None);
    };
    let mut away = under_way(session, state.services.now()).await?;
    let Some(place) = away.iter().position(|one| one.state == *wanted) else {
        return Ok(None);
    };
    let one = away.remove(place);
    session.insert(AWAY, away).await.map_err(failed)?;
    // Written at once: the same answer may be on its way a second time.
    session.save().await.map_err(failed)?;
    Ok(Some(one))
}

async fn arrive(
    state: &WebState,
    session: &Session,
    query: &HashMap<String, String>,
    away: Away,
    (agent, from): (&str, &str),
) -> Result<UserId, SsoFault> {
    let ours = state.services.sso.as_ref().ok_or(SsoFault::Off)?;
    // Where providers say who answers, nobody else may.
    if query.get("iss").is_some_and(|issuer| *issuer != ours.issuer) {
        return Err(SsoFault::Untrusted);
    }
    if let Some(error) = query.get("error") {
        let passes = ["temporarily_unavailable", "server_error"].contains(&error.as_str());
        return Err(if passes {
            SsoFault::Unreachable
        } else {
            SsoFault::Denied
        });
    }
    let code = query.get("code").ok_or(SsoFault::Untrusted)?;
    let authorization = AuthorizationRequest {
        state: away.state,
        nonce: away.nonce,
        verifier: away.verifier,
    };
    let arrival = ProviderCallback {
        code: &SecretString::from(code.as_str()),
        authorization: &authorization,
        signed_in: session.get::<UserId>(auth::USER).await.map_err(failed)?,
        connects: away.connects,
        from,
    };
    let user = access::finish_sso(&state.services, &arrival).await?;
    auth::begin(session, user, agent, from)
        .await
        .map_err(|_| SsoFault::Internal)?;
    let lasts = i64::try_from(ours.session.as_millis()).unwrap_or(i64::MAX);
    let until = state.services.now().plus_millis(lasts);
    session.insert(auth::UNTIL, until).await.map_err(failed)?;
    session.save().await.map_err(failed)?;
    Ok(user)
}

/// The sign-ins that are under way in this browser, newest first.
async fn under_way(session: &Session, now: Timestamp) -> Result<Vec<Away>, SsoFault> {
    // What an older release wrote there, or nothing: nobody is under way.
    let mut away: Vec<Away> = session.get(AWAY).await.ok().flatten().unwrap_or_default();
    away.retain(|one| now.millis_since(one.since) < PATIENCE_MILLIS);
    Ok(away)
}

/// A session that nobody is signed in with lasts no longer than a sign-in may take.
async fn forget_soon(session: &Session) -> Result<(), SsoFault> {
    if session.get::<UserId>(auth::USER).await.map_err(failed)?.is_none() {
        let patience = time::Duration::milliseconds(PATIENCE_MILLIS);
        session.set_expiry(Some(Expiry::OnInactivity(patience)));
    }
    Ok(())
}

fn failed(error: tower_sessions::session::Error) -> SsoFault {
    let _ = internal(&error);
    SsoFault::Internal
}

/// The pairs of a query; of two of one name the last.
fn read(query: Option<String>) -> HashMap<String, String> {
    let address = reqwest::Url::parse(&format!("http://x/?{}", query.unwrap_or_default()));
    address.map_or_else(
        |_| HashMap::new(),
        |address| address.query_pairs().into_owned().collect(),
    )
}

/// To the sign-in page, which says why.
fn back(fault: SsoFault, next: &str) -> Response {
    let mut address = format!("/sign-in?sso={}", fault.as_str());
    if next != "/" {
        let pairs = reqwest::Url::parse_with_params("http://x/", [("next", next)]);
        let next = pairs.ok().and_then(|address| address.query().map(str::to_owned));
        address.extend(next.map(|next| format!("&{next}")));
    }
    to(&address)
}

fn to(address: &str) -> Response {
    let mut response = Redirect::to(address).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_leads_to_the_sign_in_page_and_on_from_there() {
        let leads = |fault, next| {
            back(fault, next).headers()[header::LOCATION]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(leads(SsoFault::Stale, "/"), "/sign-in?sso=stale");
        assert_eq!(
            leads(SsoFault::Known, "/w/demo?q=a&x=1"),
            "/sign-in?sso=known&next=%2Fw%2Fdemo%3Fq%3Da%26x%3D1"
        );
    }
}
