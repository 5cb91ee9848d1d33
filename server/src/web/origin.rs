//! Posts from other sites are refused: a browser says where a post comes from, and only this site's own may change things.

use app::error::AppError;
use axum::{
    extract::Request,
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};

/// Refuses what changes something and comes from another site. Programs with a bearer token carry no ambient rights and pass.
pub(super) async fn refuse_cross_site(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !is_ours(request.headers()) {
        let why = "This request came from another site and was refused. Open Waybill itself and try again.";
        return super::error::problem(&AppError::Forbidden(why.into()));
    }
    next.run(request).await
}

fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::AUTHORIZATION.as_str()).is_some_and(|a| a.to_ascii_lowercase().starts_with("bearer ")) {
        return true;
    }
    // `none` is a request of the person's own: a bookmark, the address bar.
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (text(header::ORIGIN.as_str()), text(header::HOST.as_str())) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, authority)| authority == host),
        // No browser leaves out both; a program without a cookie has nothing to be misused.
        (None, _) => !headers.contains_key(header::COOKIE),
        (Some(_), None) => false,
    }
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
            assert_eq!(is_ours(&headers(given)), passes, "{given:?}");
        }
    }
}
