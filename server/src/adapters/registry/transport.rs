//! One HTTP exchange with a registry: redirects, time and size limits, and what a status means.
//!
//! reqwest is told to follow no redirect, because two rules are ours to keep: an `Authorization` header never travels to
//! another origin (blob requests redirect to object stores), and an encrypted request never goes on unencrypted.

use super::RegistryError;
use crate::{
    adapters::guard::{self, Guard},
    nesting,
};
use domain::outside;
use reqwest::{
    Client, Method, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    redirect,
};
use std::{error::Error as _, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// How many redirects one request may take. Registries need one, to the object store; a few more do no harm.
const MAX_REDIRECTS: usize = 5;
/// How much of an error's body is read; it only serves to explain the error.
const ERROR_BODY_LIMIT: usize = 64 * 1024;
/// What is assumed when a 429 doesn't say how long to wait.
const DEFAULT_RETRY_AFTER_SECONDS: u64 = 60;
/// The longest wait that is believed.
const MAX_RETRY_AFTER_SECONDS: u64 = 3600;

/// How long a registry may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// For one request with its redirects and its whole body.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(20),
        }
    }
}

/// Why no client could be set up.
#[derive(Debug, thiserror::Error)]
#[error("The HTTP client for registries could not be set up. Check that the system's CA certificates are installed.")]
pub struct SetupError(#[source] reqwest::Error);

/// What is asked, of whom.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    /// The registry's host, as errors name it.
    pub(super) registry: &'a str,
    /// `GET` or `HEAD`.
    pub(super) method: Method,
    pub(super) url: Url,
    /// Media types, comma-separated.
    pub(super) accept: &'static str,
    pub(super) authorization: Option<HeaderValue>,
    /// Whether `http://` addresses are allowed at all.
    pub(super) plain_http: bool,
    /// Bytes that the body of a success may have.
    pub(super) limit: usize,
}

/// What came back, whatever its status, except for those that [`RegistryAnswer::refused`] turns into errors.
#[derive(Debug)]
pub(super) struct RegistryAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether it comes from another origin than the request went to.
    pub(super) foreign: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: Client,
    timeouts: Timeouts,
}

impl Transport {
    pub(super) fn new(timeouts: Timeouts) -> Result<Self, SetupError> {
        let http = Client::builder()
            .connect_timeout(timeouts.connect)
            .dns_resolver(Guard::of_connections())
            .redirect(redirect::Policy::none())
            .user_agent(concat!("waybill/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetupError)?;
        Ok(Self { http, timeouts })
    }

    /// Sends the request and reads the answer. Only transport faults, forbidden redirects and oversized bodies are
    /// errors here; a status is for the caller to judge.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<RegistryAnswer, RegistryError> {
        let registry = request.registry.to_owned();
        match tokio::time::timeout(self.timeouts.total, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(RegistryError::Unreachable {
                registry,
                reason: format!("no answer within {} s", self.timeouts.total.as_secs_f32()),
            }),
        }
    }

    async fn exchange(&self, request: Request<'_>) -> Result<RegistryAnswer, RegistryError> {
        let odd = |reason: String| RegistryError::Protocol {
            registry: request.registry.to_owned(),
            reason,
        };
        let origin = request.url.origin();
        let mut url = request.url;
        let mut authorization = request.authorization;
        let mut foreign = false;
        for _ in 0..=MAX_REDIRECTS {
            // A registry says itself where it signs people in and where blobs are: anywhere, but not there.
            if outside::is_forbidden(url.host_str().unwrap_or_default()) {
                return Err(odd(guard::Refused::Never.to_string()));
            }
            let mut outgoing = self.http.request(request.method.clone(), url.clone());
            if !request.accept.is_empty() {
                outgoing = outgoing.header(ACCEPT, request.accept);
            }
            if let Some(value) = &authorization {
                outgoing = outgoing.header(AUTHORIZATION, value.clone());
            }
            let response = outgoing.send().await.map_err(|e| RegistryError::Unreachable {
                registry: request.registry.to_owned(),
                reason: transport_reason(&e),
            })?;
            if let Some(location) = redirect_target(&response) {
                let mut next = url
                    .join(&location)
                    .map_err(|_| odd("it redirects to something that is no address".into()))?;
                let encrypted = next.scheme() == "https";
                if !(encrypted || (next.scheme() == "http" && request.plain_http && url.scheme() == "http")) {
                    return Err(odd(format!(
                        "it redirects to {}, which is not encrypted",
                        shown_origin(&next)
                    )));
                }
                forget_userinfo(&mut next);
                if next.origin() != origin {
                    // Once away, credentials are gone for good, also if a later hop leads back.
                    authorization = None;
                    foreign = true;
                }
                url = next;
                continue;
            }
            return read(request.registry, response, request.limit, foreign).await;
        }
        Err(odd(format!("it redirects more than {MAX_REDIRECTS} times")))
    }
}

async fn read(
    registry: &str,
    mut response: reqwest::Response,
    limit: usize,
    foreign: bool,
) -> Result<RegistryAnswer, RegistryError> {
    let status = response.status();
    let headers = response.headers().clone();
    let success = status.is_success();
    let limit = if success { limit } else { ERROR_BODY_LIMIT };
    let mut body = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // An error's body only explains; a broken one doesn't hide the status.
            Err(_) if !success => break,
            Err(e) => {
                return Err(RegistryError::Unreachable {
                    registry: registry.to_owned(),
                    reason: transport_reason(&e),
                });
            }
        };
        let room = limit.saturating_sub(body.len());
        if chunk.len() > room {
            if success {
                return Err(RegistryError::Protocol {
                    registry: registry.to_owned(),
                    reason: format!("an answer is larger than {limit} bytes"),
                });
            }
            body.extend_from_slice(&chunk[..room]);
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(RegistryAnswer {
        status,
        headers,
        body,
        foreign,
    })
}

fn redirect_target(response: &reqwest::Response) -> Option<String> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| moved)?;
    Some(location.to_str().ok()?.to_owned())
}

/// An address may carry `user:password@`, which reqwest would send along: nobody asked for that.
pub(super) fn forget_userinfo(url: &mut Url) {
    // Fails only for addresses without a host, which have none to forget.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

/// `scheme://host:port` without path and query, which may hold signatures.
pub(super) fn shown_origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost cause, without the address: `connection refused` rather than four layers of wrapping.
fn transport_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = match error.source() {
        Some(source) => source,
        None => return "the connection broke".into(),
    };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl RegistryAnswer {
    /// The errors that mean the same everywhere: throttled, refused, broken. `repository` names what was asked for.
    ///
    /// 404 and other statuses pass; what they mean depends on the question.
    pub(super) fn refused(&self, registry: &str, repository: &str) -> Option<RegistryError> {
        let registry = registry.to_owned();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some(RegistryError::Throttled {
                registry,
                retry_after_seconds: self.retry_after_seconds(),
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(RegistryError::Unauthorized {
                registry,
                repository: repository.to_owned(),
            }),
            status if status.is_server_error() => Some(RegistryError::Unreachable {
                registry,
                reason: format!("it answered {}", shown_status(status)),
            }),
            _ => None,
        }
    }

    /// The error for a status that no branch expects.
    pub(super) fn unexpected(&self, registry: &str) -> RegistryError {
        let said = self.message().map(|m| format!(" ({m})")).unwrap_or_default();
        RegistryError::Protocol {
            registry: registry.to_owned(),
            reason: format!("it answered {}{said}", shown_status(self.status)),
        }
    }

    /// The first error of a body in the specification's form, shortened; `None` for HTML and other formats.
    fn message(&self) -> Option<String> {
        let body: serde_json::Value = nesting::json(&self.body).ok()?;
        let error = body.get("errors")?.get(0)?;
        let part = |name: &str| error.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let text = format!("{} {}", part("code"), part("message"));
        let clean: String = text.trim().chars().filter(|c| !c.is_control()).take(200).collect();
        (!clean.is_empty()).then_some(clean)
    }

    /// Whether it is a page for people: a proxy or a sign-in page in front of the registry, or no registry at all.
    pub(super) fn is_html(&self) -> bool {
        self.media_type() == Some("text/html")
    }

    /// `Content-Type` without parameters.
    pub(super) fn media_type(&self) -> Option<&str> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        value.split(';').next().map(str::trim)
    }

    /// `Retry-After` as seconds. A date is read against the answer's own `Date`, so that the two machines' clocks need
    /// not agree.
    fn retry_after_seconds(&self) -> u64 {
        let text = |name| self.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let date = |s: &str| OffsetDateTime::parse(s, &Rfc2822).ok();
        let seconds = text(RETRY_AFTER).and_then(|value| {
            let value = value.trim();
            value.parse::<u64>().ok().or_else(|| {
                let wait = date(value)? - date(text(DATE)?)?;
                u64::try_from(wait.whole_seconds()).ok()
            })
        });
        seconds
            .unwrap_or(DEFAULT_RETRY_AFTER_SECONDS)
            .clamp(1, MAX_RETRY_AFTER_SECONDS)
    }
}

fn shown_status(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(words) => format!("{} {words}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> RegistryAnswer {
        RegistryAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
                .collect(),
            body: body.as_bytes().to_vec(),
            foreign: false,
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_kept_within_bounds() {
        let wait = |headers: &[(&'static str, &str)]| answer(429, headers, "").retry_after_seconds();
        assert_eq!(wait(&[("retry-after", "7")]), 7);
        assert_eq!(wait(&[("retry-after", "0")]), 1);
        assert_eq!(wait(&[("retry-after", "999999")]), 3600);
        assert_eq!(wait(&[]), 60);
        assert_eq!(wait(&[("retry-after", "soon")]), 60);
        let date = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");
        assert_eq!(wait(&[("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT"), date]), 90);
        assert_eq!(wait(&[("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT"), date]), 60);
    }

    #[test]
    fn a_status_means_the_same_everywhere() {
        let refused = |status, body| answer(status, &[], body).refused("reg.example", "reg.example/api");
        assert!(matches!(refused(401, ""), Some(RegistryError::Unauthorized { .. })));
        assert!(matches!(
            refused(403, "<html>"),
            Some(RegistryError::Unauthorized { .. })
        ));
        assert!(refused(404, "").is_none());
        let text = refused(502, "<html>bad gateway</html>").unwrap().to_string();
        assert!(text.contains("502 Bad Gateway"), "{text}");
        assert!(!text.contains("html"), "{text}");
    }

    #[test]
    fn an_unexpected_status_is_explained_with_the_registrys_own_words() {
        let body = r#"{"errors":[{"code":"NAME_INVALID","message":"invalid\nrepository name"}]}"#;
        let text = answer(400, &[], body).unexpected("reg.example").to_string();
        assert!(
            text.contains("400 Bad Request (NAME_INVALID invalidrepository name)"),
            "{text}"
        );
        let text = answer(418, &[], "<html>").unexpected("reg.example").to_string();
        assert!(text.ends_with("it answered 418 I'm a teapot."), "{text}");
    }
}
