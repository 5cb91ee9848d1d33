//! `POST /api/v1/hooks/git/{workspace}`: Git hosts tell that somebody pushed.
//!
//! GitHub, Gitea, Forgejo and Gogs sign the body as it was sent (HMAC-SHA256, hexadecimal, in `X-Hub-Signature-256` as
//! `sha256=…`, `X-Gitea-Signature` or `X-Gogs-Signature`); GitLab sends the secret itself in `X-Gitlab-Token`. See GitHub's "Validating
//! webhook deliveries", Gitea's "Webhooks" and GitLab's "Webhooks" documentation. A push is a hint only: what the branch says is
//! read from the repository.

use super::{body, webhook};
use crate::{
    nesting::{self, JsonError},
    service::{Services, observe},
    web::{error::Problem, routes::Routes},
};
use axum::{
    Extension,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, FromRequest as _, Path, Request, State},
    http::{HeaderMap, StatusCode},
};
use contract::error::AppError;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;

/// Most bytes of a push: hosts send up to 25 MB for thousands of commits, whose list isn't needed; those are polled.
const LARGEST: usize = 4 * 1024 * 1024;

#[derive(Clone)]
struct Hook {
    services: Services,
    secret: Option<SecretString>,
}

/// The route; without a secret it is closed.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services, secret: Option<SecretString>) -> Routes<S> {
    Routes::new()
        .post("/api/v1/hooks/git/{workspace}", pushed)
        .with(|routes| {
            routes
                .layer(DefaultBodyLimit::max(LARGEST))
                .with_state(Hook { services, secret })
        })
}

async fn pushed(
    State(Hook { services, secret }): State<Hook>,
    Path(workspace): Path<String>,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Some(secret) = secret else {
        let why = "The webhook is closed. Set git.webhook_secret in the server's configuration to open it.";
        return Err(AppError::NotFound(why.into()).into());
    };
    // Nothing is kept for whom the door is closed.
    let bytes = body(Bytes::from_request(request, &()).await, LARGEST)?;
    if !proves_itself(&headers, &bytes, &secret) {
        let why = "The signature is missing or wrong. Give the Git host the same secret as git.webhook_secret.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, AppError::SignedOut.code(), why));
    }
    let push: Value = nesting::json(&bytes).map_err(|error| {
        AppError::BadRequest(match error {
            JsonError::TooDeep(error) => format!("The body can't be read: {error}."),
            JsonError::Json(_) => "The body is no JSON. Set the webhook's content type to application/json.".into(),
        })
    })?;
    let Some(push) = Push::read(&push) else {
        // A ping, or another event: there is nothing to do.
        return Ok(StatusCode::ACCEPTED);
    };
    let projects = observe::projects_of_push(&services, &workspace, &push.addresses, &push.branch).await?;
    // The host need not wait until the repository was read.
    observe::repositories_pushed(&services, projects, &webhook(address));
    Ok(StatusCode::ACCEPTED)
}

fn proves_itself(headers: &HeaderMap, bytes: &[u8], secret: &SecretString) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let github = text("x-hub-signature-256").map(|value| value.strip_prefix("sha256=").unwrap_or_default());
    let signature = github
        .or_else(|| text("x-gitea-signature"))
        .or_else(|| text("x-gogs-signature"));
    if let Some(signature) = signature {
        return decode(signature).is_some_and(|signature| {
            Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
                .is_ok_and(|mac| mac.chain_update(bytes).verify_slice(&signature).is_ok())
        });
    }
    // Digests of a fixed length: where they differ tells nothing about the secret.
    text("x-gitlab-token").is_some_and(|token| Sha256::digest(token) == Sha256::digest(secret.expose_secret()))
}

/// Bytes from hexadecimal.
fn decode(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok())
        .collect()
}

/// What a push says that matters.
#[derive(Debug, PartialEq, Eq)]
struct Push {
    /// Under which addresses the repository is known.
    addresses: Vec<String>,
    /// The branch that moved.
    branch: String,
}

impl Push {
    /// `None` when it isn't a push to a branch.
    fn read(body: &Value) -> Option<Self> {
        let branch = body["ref"].as_str()?.strip_prefix("refs/heads/")?.to_owned();
        let addresses = ["repository", "project"]
            .into_iter()
            .filter_map(|part| body[part].as_object())
            .flat_map(|part| {
                [
                    "clone_url",
                    "ssh_url",
                    "html_url",
                    "git_http_url",
                    "git_ssh_url",
                    "web_url",
                    "url",
                ]
                .into_iter()
                .filter_map(|key| part.get(key)?.as_str().map(str::to_owned))
            })
            .collect();
        Some(Self { addresses, branch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_push_proves_itself_by_the_bytes_that_were_sent() {
        // The example of GitHub's documentation, "Validating webhook deliveries".
        let secret = SecretString::from("It's a Secret to Everybody");
        let right = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let github = format!("sha256={right}");
        let wrong = right.replace('7', "8");
        for (pairs, body, fine) in [
            (&[("x-hub-signature-256", &*github)][..], "Hello, World!", true),
            (&[("x-hub-signature-256", &*github)], "Hello, World", false),
            (&[("x-hub-signature-256", right)], "Hello, World!", false),
            (
                &[("x-hub-signature-256", &format!("sha256={wrong}"))],
                "Hello, World!",
                false,
            ),
            (&[("x-gitea-signature", right)], "Hello, World!", true),
            (&[("x-gogs-signature", right)], "Hello, World!", true),
            (&[("x-gitea-signature", "")], "Hello, World!", false),
            (&[("x-gitea-signature", "zz")], "Hello, World!", false),
            (&[("x-gitea-signature", "é")], "Hello, World!", false),
            (&[("x-gitlab-token", "It's a Secret to Everybody")], "anything", true),
            (&[("x-gitlab-token", "a guess")], "anything", false),
            // A wrong signature isn't made good by a token.
            (
                &[
                    ("x-gitea-signature", "00"),
                    ("x-gitlab-token", "It's a Secret to Everybody"),
                ],
                "anything",
                false,
            ),
            (&[], "Hello, World!", false),
        ] {
            let pairs: Vec<_> = pairs.iter().filter(|(_, value)| value.is_ascii()).copied().collect();
            assert_eq!(
                proves_itself(&headers(&pairs), body.as_bytes(), &secret),
                fine,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn pushes_of_each_host_are_read() {
        let github = json!({ "ref": "refs/heads/main", "repository": { "clone_url": "https://g/a/b.git", "ssh_url": "git@g:a/b.git" } });
        let push = Push::read(&github).unwrap();
        assert_eq!(push.branch, "main");
        assert_eq!(push.addresses, ["https://g/a/b.git", "git@g:a/b.git"]);
        let gitlab = json!({ "ref": "refs/heads/release/1", "project": { "git_http_url": "https://l/a/b.git" } });
        assert_eq!(Push::read(&gitlab).unwrap().branch, "release/1");
        for other in [
            json!({ "zen": "…" }),
            json!({ "ref": "refs/tags/v1" }),
            json!([1]),
            json!({ "ref": 1 }),
        ] {
            assert_eq!(Push::read(&other), None, "{other}");
        }
    }
}
