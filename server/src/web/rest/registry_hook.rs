//! `POST /api/v1/hooks/registry/{workspace}`: registries tell that something was pushed.
//!
//! A notification proves itself with the secret of the configuration, in `Authorization` (as bearer token, or bare as Harbor
//! sends it), in `X-Waybill-Secret`, or, for registries that know nothing but an address, as `?secret=`. It is a hint only:
//! what a tag names is asked of the registry, beside the answer ([`crate::service::observe::pushed`]).

use super::{body, webhook};
use crate::{
    adapters::registry::notification,
    service::{Services, observe},
    web::{error::Problem, routes::Routes},
};
use axum::{
    Extension,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, FromRequest as _, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
};
use contract::error::AppError;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;

/// Most bytes of a notification.
const LARGEST: usize = 1024 * 1024;

#[derive(Clone)]
struct Hooks {
    services: Services,
    secret: Option<SecretString>,
}

/// The route; without a secret it is closed.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services, secret: Option<SecretString>) -> Routes<S> {
    Routes::new()
        .post("/api/v1/hooks/registry/{workspace}", registry)
        .with(|routes| {
            routes
                .layer(DefaultBodyLimit::max(LARGEST))
                .with_state(Hooks { services, secret })
        })
}

#[derive(Deserialize)]
struct InAddress {
    secret: Option<SecretString>,
}

async fn registry(
    State(Hooks { services, secret }): State<Hooks>,
    Path(workspace): Path<String>,
    Query(address): Query<InAddress>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Some(secret) = secret else {
        let why = "The webhook is closed. Set registry.webhook_secret in the server's configuration to open it.";
        return Err(AppError::NotFound(why.into()).into());
    };
    if !proves_itself(&headers, address.secret.as_ref(), &secret) {
        let why = "The webhook's secret is missing or wrong. Send it as Authorization: Bearer SECRET, X-Waybill-Secret: SECRET or ?secret=SECRET.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, AppError::SignedOut.code(), why));
    }
    // Nothing is kept for whom the door is closed, or who knows no secret.
    let bytes = body(Bytes::from_request(request, &()).await, LARGEST)?;
    let pushes = notification::read(&headers, &bytes).map_err(|e| AppError::BadRequest(e.to_string()))?;
    if pushes.is_empty() {
        return Ok(StatusCode::ACCEPTED);
    }
    // The registry need not wait until it was asked what it told of; and it isn't kept waiting, also where it tells one after another.
    // Whether there is such a workspace is none of its business.
    observe::pushed(&services, &workspace, pushes, &webhook(from)).await?;
    Ok(StatusCode::ACCEPTED)
}

fn proves_itself(headers: &HeaderMap, in_address: Option<&SecretString>, secret: &SecretString) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text(AUTHORIZATION.as_str()).map(|value| match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => value,
    });
    let given = authorization
        .or_else(|| text("x-waybill-secret"))
        .or(in_address.map(ExposeSecret::expose_secret));
    // Digests of a fixed length take the same time to compare, wherever they differ, as far as anybody can tell from outside:
    // an attacker can't choose them byte by byte.
    given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(secret.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_counts_wherever_it_stands_and_headers_go_first() {
        let secret = SecretString::from("s3cret");
        let headers = |pairs: &[(&'static str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let right = Some(&secret);
        for (pairs, in_address, fine) in [
            (&[("authorization", "Bearer s3cret")][..], None, true),
            (&[("authorization", "s3cret")], None, true),
            (&[("x-waybill-secret", "s3cret")], None, true),
            (&[], right, true),
            (&[], None, false),
            (&[("authorization", "Bearer wrong")], right, false),
            (&[("x-waybill-secret", "s3cre")], None, false),
            (&[("x-waybill-secret", "")], None, false),
        ] {
            assert_eq!(proves_itself(&headers(pairs), in_address, &secret), fine, "{pairs:?}");
        }
    }
}
