//! Posts from other sites are refused: a browser says where a post comes from, and only this site's own may change things.
//!
//! A site is a scheme, a host and a port (RFC 6454): what came in the clear over `http://` is another site than `https://` of the same
//! name, and whoever sits on the line can write it.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};
use contract::error::AppError;
use std::sync::Arc;

/// Refuses what changes something and comes from another site. Programs with a bearer token carry no ambient rights and pass.
pub(super) async fn refuse_cross_site(State(public_url): State<Arc<str>>, request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !is_ours(request.headers(), &public_url) {
        let why = "This request came from another site and was refused. Open Waybill itself and try again. If this is Waybill, \
                   public_url has to be the address that people open.";
        return super::error::problem(&AppError::Forbidden(why.into()));
    }
    next.run(request).await
}

fn is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::AUTHORIZATION.as_str()).is_some_and(|a| a.to_ascii_lowercase().starts_with("bearer ")) {
        return true;
    }
    // `none` is a request of the person's own: a bookmark, the address bar.
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (
        headers.contains_key(header::ORIGIN),
        text(header::ORIGIN.as_str()),
        text(header::HOST.as_str()),
    ) {
        (true, Some(origin), Some(host)) => is_origin(origin, host, public_url),
        // No browser leaves out both; a program without a cookie has nothing to be misused.
        (false, ..) => !headers.contains_key(header::COOKIE),
        _ => false,
    }
}

/// Whether `origin` is the site that was asked for at `host`. The public address says what is spoken there; at any other name the server
/// is spoken to directly, and it speaks plain HTTP.
fn is_origin(origin: &str, host: &str, public_url: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let (public_scheme, public) = public_url.split_once("://").unwrap_or(("http", ""));
    let expected = match same(host, public, public_scheme) {
        true => public_scheme,
        false => "http",
    };
    scheme.eq_ignore_ascii_case(expected) && same(authority, host, expected)
}

/// Whether two authorities are the same host and port where `scheme` is spoken.
fn same(one: &str, other: &str, scheme: &str) -> bool {
    let default = if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else {
        ":80"
    };
    let plain = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        authority.strip_suffix(default).map(str::to_owned).unwrap_or(authority)
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        given
            .iter()
            .map(|(k, v)| (k.parse::<HeaderName>().unwrap(), v.parse::<HeaderValue>().unwrap()))
            .collect()
    }

    #[test]
    fn only_this_sites_own_posts_pass() {
        for (given, passes) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("host", "w.example"),
                    ("origin", "https://w.example"),
                ],
                false,
            ),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("host", "w.example:3000"), ("origin", "http://w.example:3000")], true),
            (&[("host", "w.example:3000"), ("origin", "http://w.example")], false),
            (&[("host", "w.example"), ("origin", "null")], false),
            (&[("host", "w.example"), ("origin", "https://evil.example")], false),
            (&[("host", "w.example"), ("cookie", "a=b")], false),
            (&[("host", "w.example")], true),
            (&[("sec-fetch-site", "cross-site"), ("authorization", "Bearer x")], true),
        ] {
            assert_eq!(is_ours(&headers(given), "http://w.example:3000"), passes, "{given:?}");
        }
    }

    #[test]
    fn a_site_is_its_scheme_host_and_port() {
        let (https, http) = ("https://w.example", "http://w.example:3000");
        for (public_url, host, origin, passes) in [
            (https, "w.example", "https://w.example", true),
            (https, "w.example", "https://w.example:443", true),
            (https, "w.example:443", "https://w.example", true),
            (https, "W.Example", "https://w.example", true),
            (https, "w.example", "http://w.example", false),
            (https, "w.example", "http://w.example:443", false),
            (https, "w.example", "https://w.example:8443", false),
            (https, "w.example", "null", false),
            (https, "w.example", "", false),
            (https, "w.example", "w.example", false),
            (https, "w.example", "https://w.example.evil.example", false),
            (https, "w.example", "https://evil.example", false),
            // Past the proxy, by another name: the server itself, in the clear.
            (https, "10.0.0.1:3000", "http://10.0.0.1:3000", true),
            (https, "10.0.0.1:3000", "https://10.0.0.1:3000", false),
            (http, "w.example:3000", "http://w.example:3000", true),
            (http, "w.example:3000", "https://w.example:3000", false),
            (http, "localhost:3000", "http://localhost:3000", true),
            (http, "localhost:3000", "https://localhost:3000", false),
            ("http://w.example", "w.example:80", "http://w.example", true),
            ("http://w.example", "w.example", "https://w.example", false),
            ("http://[::1]:3000", "[::1]:3000", "http://[::1]:3000", true),
        ] {
            let given = headers(&[("host", host), ("origin", origin)]);
            assert_eq!(
                is_ours(&given, public_url),
                passes,
                "{origin} at {host} of {public_url}"
            );
        }
        let mut odd = headers(&[("host", "w.example")]);
        odd.insert(
            header::ORIGIN,
            HeaderValue::from_bytes(b"https://w.ex\xffample").unwrap(),
        );
        assert!(!is_ours(&odd, https), "what can't be read is not ours");
    }
}
