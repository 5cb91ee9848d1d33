//! One HTTP exchange with a registry: redirects, time and size limits, and what a status means.
//!
//! reqwest is told to follow no redirect, because three rules are ours to keep: an `Authorization` header never travels to
//! another origin (blob requests redirect to object stores), an encrypted request never goes on unencrypted, and a request with a
//! body is never sent again where it was not meant for.
//!
//! One HTTP client for each set of certificates to trust. None has a total time-out, and none decodes what it reads: [`Transport::send`] sets
//! a limit for small answers, and whoever reads a large one ([`Transport::open`], [`Transport::put`]) watches that it moves.

use super::RegistryError;
use crate::{
    adapters::guard::{self, Guard},
    nesting,
};
use domain::outside;
use hyper::body::Bytes;
use reqwest::{
    Body, Certificate, Client, Method, Response, StatusCode, Url,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION,
        RETRY_AFTER,
    },
    redirect,
};
use std::{
    collections::HashMap,
    error::Error as _,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// How many redirects one request may take. Registries need one, to the object store; a few more do no harm.
const MAX_REDIRECTS: usize = 5;
/// How much of an error's body is read; it only serves to explain the error.
const ERROR_BODY_LIMIT: usize = 64 * 1024;
/// What is assumed when a 429 doesn't say how long to wait.
const DEFAULT_RETRY_AFTER_SECONDS: u64 = 60;
/// The longest wait that is believed.
const MAX_RETRY_AFTER_SECONDS: u64 = 3600;
/// HTTP clients that are kept. More sets of certificates than registries appear only when they are renewed.
const MAX_CLIENTS: usize = 64;
/// What an upload or a mount is answered with: a few words.
pub(super) const ANSWER_LIMIT: usize = 64 * 1024;

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
    /// Redirects of `GET` and `HEAD` are followed; those of other methods are answers.
    pub(super) method: Method,
    pub(super) url: Url,
    /// Media types, comma-separated.
    pub(super) accept: &'static str,
    pub(super) authorization: Option<HeaderValue>,
    /// Whether `http://` addresses are allowed at all.
    pub(super) plain_http: bool,
    /// Bytes that the body of a success may have.
    pub(super) limit: usize,
    /// Certificates to trust besides the system's, PEM.
    pub(super) ca: Option<&'a str>,
    /// What is sent, and its media type.
    pub(super) body: Option<(Bytes, &'a str)>,
    /// Whether a redirect to another host may lead into a private network.
    pub(super) allow_private: bool,
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

/// What tells HTTP clients apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClientKey {
    /// Certificates to trust, PEM.
    ca: Option<String>,
    /// Whether names may lead into a private network.
    allow_private: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Transport {
    clients: Arc<Mutex<HashMap<ClientKey, Client>>>,
    timeouts: Timeouts,
}

impl Transport {
    pub(super) fn new(timeouts: Timeouts) -> Result<Self, SetupError> {
        let usual = ClientKey {
            ca: None,
            allow_private: true,
        };
        let client = build(None, true, timeouts).map_err(SetupError)?;
        Ok(Self {
            clients: Arc::new(Mutex::new(HashMap::from([(usual, client)]))),
            timeouts,
        })
    }

    /// The HTTP client that trusts `ca` besides the system's certificates.
    fn client(&self, registry: &str, ca: Option<&str>, allow_private: bool) -> Result<Client, RegistryError> {
        let problem = |reason: &str| RegistryError::Unreachable {
            registry: registry.to_owned(),
            reason: reason.to_owned(),
        };
        let ca = ca.filter(|pem| !pem.trim().is_empty());
        let key = ClientKey {
            ca: ca.map(str::to_owned),
            allow_private,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let certificates = match ca {
            None => None,
            Some(pem) => Some(
                Certificate::from_pem_bundle(pem.as_bytes())
                    .ok()
                    .filter(|certificates| !certificates.is_empty())
                    .ok_or_else(|| problem("its certificate authority is not a PEM certificate"))?,
            ),
        };
        let client = build(certificates, allow_private, self.timeouts)
            .map_err(|error| problem(&format!("the connection can't be set up: {}", transport_reason(&error))))?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// Sends the request and reads the answer. Only transport faults, forbidden redirects and oversized bodies are
    /// errors here; a status is for the caller to judge.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<RegistryAnswer, RegistryError> {
        let (registry, limit) = (request.registry, request.limit);
        self.in_time(registry, async {
            let (response, foreign) = self.follow(request).await?;
            read(registry, response, limit, foreign).await
        })
        .await
    }

    /// Sends the request and waits for the head of the answer; reading its body is the caller's. The second says whether it comes from
    /// another origin.
    pub(super) async fn open(&self, request: Request<'_>) -> Result<(Response, bool), RegistryError> {
        self.in_time(request.registry, self.follow(request)).await
    }

    /// Sends a body of so many bytes, to an address that may be another than the registry's, once and without a limit of time.
    pub(super) async fn put(
        &self,
        request: Request<'_>,
        body: Body,
        length: u64,
    ) -> Result<RegistryAnswer, RegistryError> {
        let client = self.client(request.registry, request.ca, request.allow_private)?;
        let mut outgoing = client
            .request(request.method, request.url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(body);
        if let Some(value) = request.authorization {
            outgoing = outgoing.header(AUTHORIZATION, value);
        }
        let response = outgoing.send().await.map_err(|e| RegistryError::Unreachable {
            registry: request.registry.to_owned(),
            reason: transport_reason(&e),
        })?;
        read(request.registry, response, request.limit, false).await
    }

    /// The answer of a request that is made out of parts, if it is there in time.
    pub(super) async fn in_time<T>(
        &self,
        registry: &str,
        asked: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        match tokio::time::timeout(self.timeouts.total, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(RegistryError::Unreachable {
                registry: registry.to_owned(),
                reason: format!("no answer within {} s", self.timeouts.total.as_secs_f32()),
            }),
        }
    }

    async fn follow(&self, request: Request<'_>) -> Result<(Response, bool), RegistryError> {
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
            let allow_private = request.allow_private || !foreign;
            may_go(&url, allow_private).map_err(|refused| odd(refused.to_string()))?;
            let client = self.client(request.registry, request.ca, allow_private)?;
            let mut outgoing = client.request(request.method.clone(), url.clone());
            if !request.accept.is_empty() {
                outgoing = outgoing.header(ACCEPT, request.accept);
            }
            if let Some(value) = &authorization {
                outgoing = outgoing.header(AUTHORIZATION, value.clone());
            }
            outgoing = match &request.body {
                Some((body, kind)) => outgoing.header(CONTENT_TYPE, *kind).body(body.clone()),
                // Some servers want to be told that there is nothing.
                None if request.method == Method::POST => outgoing.header(CONTENT_LENGTH, 0),
                None => outgoing,
            };
            if request.accept == "*/*" {
                // A blob is what its digest says, as it is stored.
                outgoing = outgoing.header(ACCEPT_ENCODING, "identity");
            }
            let response = outgoing.send().await.map_err(|e| RegistryError::Unreachable {
                registry: request.registry.to_owned(),
                reason: transport_reason(&e),
            })?;
            let is_read = matches!(request.method, Method::GET | Method::HEAD);
            if let Some(location) = redirect_target(&response).filter(|_| is_read) {
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
            return Ok((response, foreign));
        }
        Err(odd(format!("it redirects more than {MAX_REDIRECTS} times")))
    }
}

fn build(
    certificates: Option<Vec<Certificate>>,
    allow_private: bool,
    timeouts: Timeouts,
) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .connect_timeout(timeouts.connect)
        .dns_resolver(Guard::new(allow_private))
        .redirect(redirect::Policy::none())
        .user_agent(concat!("waybill/", env!("CARGO_PKG_VERSION")));
    if let Some(certificates) = certificates {
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build()
}

/// Whether a request may go to this address as it is written; what its name leads to is judged where it is connected to.
pub(super) fn may_go(url: &Url, allow_private: bool) -> Result<(), guard::Refused> {
    let host = url.host_str().unwrap_or_default();
    if outside::is_forbidden(host) {
        return Err(guard::Refused::Never);
    }
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => guard::permitted(address, allow_private),
        Err(_) => Ok(()),
    }
}

/// Reads the body of an answer, up to so many bytes.
pub(super) async fn read(
    registry: &str,
    mut response: Response,
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

fn redirect_target(response: &Response) -> Option<String> {
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
pub(super) fn transport_reason(error: &reqwest::Error) -> String {
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
    pub(super) fn message(&self) -> Option<String> {
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

    /// `Retry-After` as seconds, or what is assumed without one.
    fn retry_after_seconds(&self) -> u64 {
        self.retry_after().unwrap_or(DEFAULT_RETRY_AFTER_SECONDS)
    }

    /// `Retry-After` as seconds. A date is read against the answer's own `Date`, so that the two machines' clocks need
    /// not agree.
    pub(super) fn retry_after(&self) -> Option<u64> {
        let text = |name| self.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let date = |s: &str| OffsetDateTime::parse(s, &Rfc2822).ok();
        let seconds = text(RETRY_AFTER).and_then(|value| {
            let value = value.trim();
            value.parse::<u64>().ok().or_else(|| {
                let wait = date(value)? - date(text(DATE)?)?;
                u64::try_from(wait.whole_seconds()).ok()
            })
        });
        seconds.map(|seconds| seconds.clamp(1, MAX_RETRY_AFTER_SECONDS))
    }
}

pub(super) fn shown_status(status: StatusCode) -> String {
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
