//! All routes and layers on one screen.

use super::{
    WebState, assets, auth, client, drain, error, graphql, headers, health, leptos, origin, rest, routes::Routes,
    serving, session_store::StoredSessions, signing_keys, sse, sso,
};
use axum::{Router, extract::DefaultBodyLimit, http::Request, middleware};
use time::Duration;
use tower::ServiceBuilder;
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};
use tower_sessions::{Expiry, SessionManagerLayer, cookie::SameSite};

/// How long a session lasts without signing in again.
const SESSION_DAYS: i64 = 7;

/// What the cookie of a session is called. Over TLS its name makes browsers take it only from this very host, and only encrypted
/// (`__Host-`, RFC 6265bis): no neighbour below the same domain can plant one. For that, no other name is honoured there.
const fn session_cookie(is_https: bool) -> &'static str {
    match is_https {
        true => "__Host-waybill_session",
        false => "waybill_session",
    }
}

/// The whole of it.
pub fn router(state: WebState) -> Router {
    routes(state).into()
}

/// The same, to be listed.
pub fn routes(state: WebState) -> Routes {
    let sessions = SessionManagerLayer::new(StoredSessions::new(&state.services))
        .with_name(session_cookie(state.secure))
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(state.secure)
        .with_expiry(Expiry::OnInactivity(Duration::days(SESSION_DAYS)));
    // Only what a person's browser calls knows sessions; the order is: session, caller, same origin.
    let signed_in = Routes::new()
        .merge(leptos::pages())
        .post("/api/ui/{*function}", leptos::server_function)
        .get("/api/events", sse::events)
        .post("/theme", leptos::set_theme)
        .post("/sign-out", auth::sign_out)
        .get("/sign-in/sso", sso::begin)
        .get("/sign-in/sso/callback", sso::finish)
        .merge(graphql::router(state.services.clone()))
        .merge(rest::apply::router(state.services.clone()))
        .merge(rest::changes::router(state.services.clone()))
        .merge(rest::checks::router(state.services.clone()))
        .merge(rest::custody::router(state.services.clone()))
        .merge(rest::recalls::router(state.services.clone()))
        .merge(rest::unpromoted::router(state.services.clone()))
        .merge(rest::ledger::router(state.services.clone()))
        .with(|routes| {
            routes
                .layer(middleware::from_fn_with_state(
                    state.services.public_url.clone(),
                    origin::refuse_cross_site,
                ))
                .layer(middleware::from_fn_with_state(state.clone(), auth::identify))
                .layer(sessions)
                .layer(DefaultBodyLimit::max(leptos::MOST_BYTES))
        });
    let everybody = match state.public_metrics {
        true => Routes::new().get("/metrics", health::metrics),
        false => Routes::new(),
    };
    let is_https = state.secure;
    everybody
        .merge(signed_in)
        .merge(rest::registry_hook::router(
            state.services.clone(),
            state.webhook_secret.clone(),
        ))
        .merge(rest::git_hook::router(
            state.services.clone(),
            state.git_webhook_secret.clone(),
        ))
        .get("/pkg/{version}/{file}", assets::serve)
        .get("/favicon.ico", assets::favicon)
        .get("/.well-known/waybill/cosign.pub", signing_keys::active)
        .get("/.well-known/waybill/keys/{file}", signing_keys::named)
        .get("/healthz", health::alive)
        .get("/readyz", health::ready)
        .with(|routes| {
            let client = middleware::from_fn_with_state(state.trusted_proxies.clone(), client::find);
            let routes = routes.layer(client).with_state(state);
            let routes = routes.layer(middleware::from_fn(drain::rest_of_body));
            routes.layer(middleware::from_fn(serving::say_stalled)).layer(
                ServiceBuilder::new()
                    .layer(middleware::from_fn_with_state(is_https, headers::add))
                    .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
                    .layer(TraceLayer::new_for_http().make_span_with(span))
                    .layer(PropagateRequestIdLayer::x_request_id())
                    .layer(CompressionLayer::new().quality(CompressionLevel::Precise(4)))
                    .layer(CatchPanicLayer::custom(error::panicked)),
            )
        })
}

/// What the listener for operations answers, and nothing else.
pub fn operations(state: WebState) -> Router {
    let is_https = state.secure;
    let routes = Routes::new()
        .get("/healthz", health::alive)
        .get("/readyz", health::ready)
        .get("/metrics", health::metrics)
        .with(|routes| {
            routes.with_state(state).layer(
                ServiceBuilder::new()
                    .layer(middleware::from_fn_with_state(is_https, headers::add))
                    .layer(CatchPanicLayer::custom(error::panicked)),
            )
        });
    routes.into()
}

/// A request in the log: method, path without query (it may hold what people typed), id.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    tracing::info_span!("request", method = %request.method(), path = %request.uri().path(), id)
}
