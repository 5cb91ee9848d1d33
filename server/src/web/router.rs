//! All routes and layers on one screen.

use super::{
    WebState, assets, auth, client, drain, error, graphql, health, leptos, origin, rest, routes::Routes,
    session_store::StoredSessions, sse, sso,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Request, header},
    middleware,
};
use time::Duration;
use tower::ServiceBuilder;
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    trace::TraceLayer,
};
use tower_sessions::{Expiry, SessionManagerLayer, cookie::SameSite};

/// How long a session lasts without signing in again.
const SESSION_DAYS: i64 = 7;

/// The whole of it.
pub fn router(state: WebState) -> Router {
    routes(state).into()
}

/// The same, to be listed.
pub fn routes(state: WebState) -> Routes {
    let sessions = SessionManagerLayer::new(StoredSessions::new(&state.services))
        .with_name("waybill_session")
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
        .merge(rest::checks::router(state.services.clone()))
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
    let fixed = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Routes::new()
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
        .get("/healthz", health::alive)
        .get("/readyz", health::ready)
        .get("/metrics", health::metrics)
        .with(|routes| {
            let client = middleware::from_fn_with_state(state.trusted_proxies.clone(), client::find);
            let routes = routes.layer(client).with_state(state);
            routes.layer(middleware::from_fn(drain::rest_of_body)).layer(
                ServiceBuilder::new()
                    .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
                    .layer(TraceLayer::new_for_http().make_span_with(span))
                    .layer(PropagateRequestIdLayer::x_request_id())
                    .layer(CompressionLayer::new().quality(CompressionLevel::Precise(4)))
                    .layer(CatchPanicLayer::custom(error::panicked))
                    .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                    .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
                    .layer(fixed(header::REFERRER_POLICY, "same-origin"))
                    .layer(fixed(
                        HeaderName::from_static("cross-origin-opener-policy"),
                        "same-origin",
                    ))
                    .layer(fixed(
                        header::CONTENT_SECURITY_POLICY,
                        "default-src 'none'; frame-ancestors 'none'",
                    )),
            )
        })
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
