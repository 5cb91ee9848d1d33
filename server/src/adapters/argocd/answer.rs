//! What an answer that isn't the expected one means.
//!
//! Argo CD's HTTP statuses say little: 400 is "your request is wrong" as well as "try again later", 403 is a missing right,
//! a missing application or a sync window. The gRPC code and the text decide. Bodies that aren't JSON come from a proxy
//! in front of Argo CD, or from its web pages, which answer at every address that isn't the interface's.

use super::{ArgoCdError, wire::ErrorBody};
use crate::nesting;
use reqwest::{StatusCode, Url, header::HeaderMap};
use secrecy::{ExposeSecret, SecretString};

/// How much of a message is passed on.
const MESSAGE_CHARS: usize = 400;

/// What was asked, for the words of errors.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The address of Argo CD, safe to show.
    pub(super) url: &'a str,
    /// The Application.
    pub(super) app: &'a str,
    /// Whether the Argo CD project was sent.
    pub(super) with_project: bool,
    /// The token, so that an echo of it is struck out.
    pub(super) token: &'a SecretString,
}

impl Asked<'_> {
    pub(super) fn unreachable(&self, reason: impl AsRef<str>) -> ArgoCdError {
        ArgoCdError::Unreachable {
            url: self.url.to_owned(),
            reason: self.clean(reason.as_ref()),
        }
    }

    pub(super) fn refused(&self, reason: impl AsRef<str>) -> ArgoCdError {
        ArgoCdError::Refused {
            app: self.app.to_owned(),
            reason: self.clean(reason.as_ref()),
        }
    }

    pub(super) fn unauthorized(&self, reason: impl AsRef<str>) -> ArgoCdError {
        ArgoCdError::Unauthorized {
            url: self.url.to_owned(),
            reason: self.clean(reason.as_ref()),
        }
    }

    pub(super) fn protocol(&self, reason: impl AsRef<str>) -> ArgoCdError {
        ArgoCdError::Protocol {
            url: self.url.to_owned(),
            reason: self.clean(reason.as_ref()),
        }
    }

    /// The answer is not the API's.
    pub(super) fn not_the_api(&self) -> ArgoCdError {
        self.unreachable("there is a web page at this address instead of Argo CD's API; is the path prefix right?")
    }

    /// The answer is a redirect. It isn't followed: the token would be lost on the way, or go to a stranger.
    pub(super) fn redirected(&self, headers: &HeaderMap) -> ArgoCdError {
        let location = headers
            .get(reqwest::header::LOCATION)
            .and_then(|location| location.to_str().ok());
        let to = match location.map(|location| (location, Url::parse(location))) {
            Some((_, Ok(url))) => display_url(&url),
            Some((path, Err(_))) => path.split(['?', '#']).next().unwrap_or_default().to_owned(),
            None => "an unnamed place".to_owned(),
        };
        self.unreachable(format!(
            "it redirects to {to}. Give Waybill the address that answers by itself"
        ))
    }

    /// The answer says something else than success.
    pub(super) fn failure(&self, status: StatusCode, body: &[u8]) -> ArgoCdError {
        let read = nesting::json(unframed(body)).ok();
        match read.as_ref().and_then(ErrorBody::read) {
            Some(error) => self.error(status.as_u16(), &error),
            None => self.foreign(status),
        }
    }

    /// An error in Argo CD's own words. `status` is zero in the middle of a stream.
    pub(super) fn error(&self, status: u16, error: &ErrorBody) -> ArgoCdError {
        let app = self.app.to_owned();
        let text = error.message.to_ascii_lowercase();
        let reason = match error.message.as_str() {
            "" => format!("error {} without a message", error.code),
            message => self.clean(message),
        };
        let code = match error.code {
            // Without a code the status is all there is.
            0 => match status {
                401 => 16,
                403 => 7,
                404 => 5,
                500.. => 2,
                _ => 0,
            },
            code => code,
        };
        match code {
            16 => ArgoCdError::Unauthorized {
                url: self.url.to_owned(),
                reason,
            },
            _ if text.contains("blocked by sync window") => ArgoCdError::SyncWindow { app },
            _ if text.contains("another operation is already in progress") => ArgoCdError::Busy { app },
            7 if self.with_project => ArgoCdError::Forbidden { app, reason },
            7 => ArgoCdError::Forbidden {
                app,
                reason: format!("{reason}, which Argo CD also says when there is no such application"),
            },
            5 if text.contains("applications") || text.is_empty() => ArgoCdError::NotFound { app },
            9 if text.contains("resolving repo revision") => ArgoCdError::Unavailable { app, reason },
            // Cancelled, unknown, deadline, exhausted, aborted, internal, unavailable.
            1 | 2 | 4 | 8 | 10 | 13 | 14 => ArgoCdError::Unavailable { app, reason },
            _ => ArgoCdError::Refused { app, reason },
        }
    }

    /// An answer that isn't Argo CD's: of a proxy, or of its web pages.
    fn foreign(&self, status: StatusCode) -> ArgoCdError {
        match status.as_u16() {
            401 => self.unauthorized(
                "it answered 401 without Argo CD's words, so perhaps a proxy before it asks for a sign-in",
            ),
            403 => self.unreachable("a proxy before it refused the request (403)"),
            404 | 405 => self.not_the_api(),
            408 | 429 | 500.. => self.unreachable(format!(
                "it answered {status} without Argo CD's words, as a proxy before it does"
            )),
            _ => self.protocol(format!("status {status}")),
        }
    }

    /// One line, not too long, without the token.
    fn clean(&self, message: &str) -> String {
        let token = self.token.expose_secret().trim();
        let message = match token {
            // Something as short is a part of ordinary words, and no token of Argo CD.
            token if token.len() < 8 => message.to_owned(),
            token => message.replace(token, "…"),
        };
        let line: String = message
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MESSAGE_CHARS)
            .collect();
        // The errors end their own sentences.
        line.trim().trim_end_matches('.').to_owned()
    }
}

/// What a body says without the frame of server-sent events: a stream is refused in the frame that it was asked for in.
fn unframed(body: &[u8]) -> &[u8] {
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find_map(|line| line.strip_prefix(b"data:")).unwrap_or(body)
}

/// An address without what might be secret in it: user, password, query, fragment.
pub(super) fn display_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path().trim_end_matches('/')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(token: &SecretString) -> Asked<'_> {
        Asked {
            url: "https://argo.example",
            app: "web",
            with_project: false,
            token,
        }
    }

    fn kind(error: &ArgoCdError) -> &'static str {
        match error {
            ArgoCdError::Unreachable { .. } => "unreachable",
            ArgoCdError::Unauthorized { .. } => "unauthorized",
            ArgoCdError::Forbidden { .. } => "forbidden",
            ArgoCdError::NotFound { .. } => "not found",
            ArgoCdError::Busy { .. } => "busy",
            ArgoCdError::SyncWindow { .. } => "sync window",
            ArgoCdError::Unavailable { .. } => "unavailable",
            ArgoCdError::Refused { .. } => "refused",
            ArgoCdError::Protocol { .. } => "protocol",
        }
    }

    #[test]
    fn code_and_text_decide_and_not_the_status() {
        let token = SecretString::from("t.t.t");
        for (status, code, message, want) in [
            (401, 16, "no session information", "unauthorized"),
            (401, 0, "invalid session: expired", "unauthorized"),
            (500, 16, "invalid session: expired", "unauthorized"),
            (403, 7, "permission denied", "forbidden"),
            (403, 7, "cannot sync: blocked by sync window", "sync window"),
            (404, 5, "applications.argoproj.io \"web\" not found", "not found"),
            (404, 5, "project \"x\" not found", "refused"),
            (400, 9, "another operation is already in progress", "busy"),
            (
                400,
                9,
                "Cannot sync to 3f1c: auto-sync currently set to main",
                "refused",
            ),
            (400, 9, "application is deleting", "refused"),
            (400, 9, "error resolving repo revision: timeout", "unavailable"),
            (400, 3, "app is not allowed in project \"p\"", "refused"),
            (409, 10, "the object has been modified", "unavailable"),
            (500, 2, "application refresh deadline exceeded", "unavailable"),
            (503, 14, "", "unavailable"),
        ] {
            let body = serde_json::json!({"error": message, "code": code, "message": message}).to_string();
            let status = StatusCode::from_u16(status).unwrap();
            let error = asked(&token).failure(status, body.as_bytes());
            assert_eq!(kind(&error), want, "{status} {code} {message}: {error}");
        }
    }

    #[test]
    fn bodies_that_are_not_argo_cds_are_judged_by_their_status() {
        let token = SecretString::from("t.t.t");
        for (status, body, want) in [
            (401, "<html>sign in</html>", "unauthorized"),
            (403, "<html>denied</html>", "unreachable"),
            (404, "Not Found", "unreachable"),
            (405, "Method Not Allowed", "unreachable"),
            (415, "Invalid content type", "protocol"),
            (500, "", "unreachable"),
            (502, "<html>Bad Gateway</html>", "unreachable"),
            (504, "\u{0}\u{1}", "unreachable"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = asked(&token).failure(status, body.as_bytes());
            assert_eq!(kind(&error), want, "{error}");
            assert!(!error.to_string().contains("html"), "{error}");
        }
    }

    #[test]
    fn a_forbidden_application_may_be_a_missing_one_when_no_project_was_sent() {
        let token = SecretString::from("t.t.t");
        let body = br#"{"error":"permission denied","code":7,"message":"permission denied"}"#;
        let mut asked = asked(&token);
        assert!(
            asked
                .failure(StatusCode::FORBIDDEN, body)
                .to_string()
                .contains("no such application")
        );
        asked.with_project = true;
        assert!(
            !asked
                .failure(StatusCode::FORBIDDEN, body)
                .to_string()
                .contains("no such application")
        );
    }

    #[test]
    fn messages_are_one_short_line_without_the_token() {
        let token = SecretString::from("header.payload.signature\n");
        let error = asked(&token).unauthorized("bad token header.payload.signature\r\nline two.");
        let text = error.to_string();
        assert!(text.contains("bad token …  line two. Give"), "{text}");
        let long = asked(&token).protocol("é".repeat(9_000)).to_string();
        assert!(long.chars().count() < 600, "{}", long.len());
    }

    #[test]
    fn a_redirect_names_its_goal_without_secrets() {
        let token = SecretString::from("t.t.t");
        for (location, want) in [
            (
                "https://user:pw@sso.example/login?state=secret#x",
                "https://sso.example/login.",
            ),
            ("/argo-cd/api?x=secret", "to /argo-cd/api."),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("location", location.parse().unwrap());
            let text = asked(&token).redirected(&headers).to_string();
            assert!(text.contains(want), "{text}");
            assert!(!text.contains("secret") && !text.contains("pw"), "{text}");
        }
    }
}
