//! One exchange with a provider: no redirects, a limit on time and size, and JSON or nothing.

use super::OidcError;
use crate::nesting::{self, JsonError};
use reqwest::{Client, RequestBuilder, StatusCode, Url, header::ACCEPT, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{error::Error as _, time::Duration};

/// How long a provider may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an exchange may take with all its body: somebody looks at an empty page meanwhile.
const TOTAL: Duration = Duration::from_secs(10);
/// Most bytes of an answer. A set of keys or a token with many groups has some kilobytes.
const LIMIT: usize = 512 * 1024;

/// Carries requests to a provider.
#[derive(Debug)]
pub(super) struct Http(Client);

/// What came back.
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    address: String,
    body: Vec<u8>,
}

impl Http {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            // A secret or a code goes where the provider said, and nowhere else.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("waybill/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
    }

    pub(super) fn get(&self, url: &Url) -> RequestBuilder {
        self.0.get(url.clone())
    }

    pub(super) fn post(&self, url: &Url) -> RequestBuilder {
        self.0.post(url.clone())
    }
}

/// Sends a request to `url` and reads the answer, whatever its status is.
pub(super) async fn send(url: &Url, request: RequestBuilder) -> Result<HttpAnswer, OidcError> {
    // Without query: what stands in errors and logs is the address alone.
    let address = format!("{}{}", url.origin().ascii_serialization(), url.path());
    let unreachable = |reason: String| OidcError::Unreachable {
        address: address.clone(),
        reason,
    };
    let sent = request.header(ACCEPT, "application/json").send().await;
    let mut response = sent.map_err(|error| unreachable(words(error)))?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(unreachable(format!("it answers {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(words(error)))? {
        if body.len() + chunk.len() > LIMIT {
            return Err(OidcError::Untrusted(format!(
                "{address} answers with more than {LIMIT} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpAnswer { status, address, body })
}

impl HttpAnswer {
    /// The body of a success.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, OidcError> {
        if !self.status.is_success() {
            return Err(self.unexpected());
        }
        // Where it can't be read stands in the log, what it is doesn't: it may hold tokens.
        nesting::json(&self.body).map_err(|error| {
            let why = match error {
                JsonError::TooDeep(error) => error.to_string(),
                JsonError::Json(error) => format!("JSON, line {}, column {}", error.line(), error.column()),
            };
            OidcError::Untrusted(format!("{} doesn't answer as expected ({why})", self.address))
        })
    }

    /// What another status means.
    pub(super) fn unexpected(&self) -> OidcError {
        let why = self.error_code().map(|code| format!(" ({code})")).unwrap_or_default();
        OidcError::Untrusted(format!("{} answers {}{why}", self.address, self.status))
    }

    /// The `error` of a refusal, when it is one of the protocol's words.
    pub(super) fn error_code(&self) -> Option<String> {
        let body: Value = nesting::json(&self.body).ok()?;
        let code = body.get("error")?.as_str()?;
        let is_word = code.len() <= 60 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        is_word.then(|| code.to_owned())
    }
}

/// Why no answer came, causes included. Nothing of the address: the caller has it.
fn words(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", TOTAL.as_secs());
    }
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
