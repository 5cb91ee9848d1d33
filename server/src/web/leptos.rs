//! Pages and server functions: the app is given its backend, its request and its caller, and answers.

use crate::web::{
    WebState, auth::Identity, backend::RequestBackend, drawing::NotDrawn, error, known_browser::NewCookie,
    routes::Routes,
};
use app::{App, request::PageRequest, shell};
use axum::{
    Extension,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{backend::Backend, error::AppError};
use leptos::{nonce::use_nonce, prelude::*, tachys::reactive_graph::OwnedView};
use leptos_axum::ResponseOptions;
use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};
use tower_sessions::Session;

/// Most bytes of a form: far above what the largest honest one needs.
pub(super) const MOST_BYTES: usize = 256 * 1024;
/// The paths of the app's routes. Asked for once: while Leptos makes this list, whatever any page of the process begins to
/// read stays unread for ever (`leptos::server::SuppressResourceLoad` is one flag for all), also where a server draws already.
static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    leptos_axum::generate_route_list(App)
        .into_iter()
        .map(|route| route.path().to_owned())
        .collect()
});

/// The paths of the pages.
pub fn paths() -> &'static [String] {
    &PATHS
}

/// Every route of the app, got and posted, and the page for what is none.
pub(super) fn pages() -> Routes<WebState> {
    paths()
        .iter()
        .fold(Routes::new(), |routes, path| routes.get(path, page).post(path, page))
        .with(|routes| routes.fallback(page))
}

/// A page, also as the answer to a plain post of its form.
async fn page(
    State(state): State<WebState>,
    Extension(Identity(caller)): Extension<Identity>,
    session: Session,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let posted = match parts.method {
        Method::POST => match read(body, &state).await {
            Ok(text) => Some(text),
            Err(refusal) => return refusal,
        },
        Method::GET | Method::HEAD => None,
        _ => return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, POST")]).into_response(),
    };
    let cookie = NewCookie::default();
    let backend = RequestBackend::new(&state, caller, session, address, &parts.headers, &cookie);
    let context = context(&state, backend, &parts.headers, posted, true);
    let drawn = state.drawing.draw(move |own| {
        let context = move || {
            if let Some(owner) = Owner::current() {
                let _ = own.set(owner);
            }
            context();
        };
        let render = leptos_axum::render_app_async_with_context(context, document);
        render(Request::from_parts(parts, Body::empty()))
    });
    let mut response = match drawn.await {
        Ok(response) => response,
        Err(error) => return not_drawn(error, &state),
    };
    // A page that sends people elsewhere may have said before why it can't be shown here (signed out, for example).
    if response.headers().contains_key(header::LOCATION) {
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    cookie.give(&mut response);
    // What a page shows is the reader's own and changes; nobody may keep it.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The document, drawn below its own request's owner from the first moment.
fn document() -> impl IntoView {
    OwnedView::new(shell())
}

/// The page in place of one that could not be drawn.
fn not_drawn(why: NotDrawn, state: &WebState) -> Response {
    tracing::error!("{why}");
    let (status, title, text) = match why {
        NotDrawn::TooLong => (
            StatusCode::GATEWAY_TIMEOUT,
            "This page took too long",
            "Something that it needs did not answer. Look at the board whether what you sent was carried out, then try again.",
        ),
        NotDrawn::Panicked => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Waybill could not show this page",
            "That is a fault of Waybill; its log says where. Go back and try again.",
        ),
    };
    error::plain_page(status, title, text, &css(state))
}

/// The address of the style sheet.
fn css(state: &WebState) -> String {
    format!("/pkg/{}/waybill.css", state.assets.version)
}

/// A server function, called in place by a page's script, or by a plain post of a form that is only a button.
pub(super) async fn server_function(
    State(state): State<WebState>,
    Extension(Identity(caller)): Extension<Identity>,
    session: Session,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body, &state).await {
        Ok(text) => Body::from(text.to_string()),
        Err(refusal) => return refusal,
    };
    // A plain post is answered by going back to its page with the error in the address; its status must stay a redirect.
    let by_script = !parts
        .headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .contains("text/html");
    let cookie = NewCookie::default();
    let backend = RequestBackend::new(&state, caller, session, address, &parts.headers, &cookie);
    let context = context(&state, backend, &parts.headers, None, by_script);
    let answer = leptos_axum::handle_server_fns_with_context(context, Request::from_parts(parts, body)).await;
    let mut answer = fitting(answer.into_response()).await;
    cookie.give(&mut answer);
    answer
}

/// Leptos answers 500 to whatever can't be read as a function's arguments; the error itself knows better.
async fn fitting(answer: Response) -> Response {
    if answer.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    if let Ok(error) = serde_json::from_slice::<AppError>(&bytes) {
        parts.status = StatusCode::from_u16(error.status()).unwrap_or(parts.status);
    }
    Response::from_parts(parts, Body::from(bytes))
}

async fn read(body: Body, state: &WebState) -> Result<Arc<str>, Response> {
    let refuse = |status, title, text| error::plain_page(status, title, text, &css(state));
    let Ok(bytes) = to_bytes(body, MOST_BYTES).await else {
        let text = "A form may have at most 256 KiB. Shorten what you entered, then send it again.";
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "This form is too large", text));
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => {
            let text = "It holds bytes that are no text. Send it again from Waybill's own page.";
            Err(refuse(StatusCode::BAD_REQUEST, "This form can't be read", text))
        }
    }
}

/// What the app finds in its context.
fn context(
    state: &WebState,
    backend: RequestBackend,
    headers: &HeaderMap,
    posted: Option<Arc<str>>,
    sets_status: bool,
) -> impl Fn() + Clone + Send + Sync + 'static {
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let theme: Arc<str> = theme(headers).into();
    let id = headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .into();
    let assets = state.assets.version.clone();
    let id: Arc<str> = id;
    move || {
        let options = use_context::<ResponseOptions>();
        if let (Some(options), Some(nonce)) = (&options, use_nonce()) {
            let policy = format!(
                "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
                 img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            );
            if let Ok(value) = HeaderValue::from_str(&policy) {
                options.insert_header(header::CONTENT_SECURITY_POLICY, value);
            }
        }
        provide_context(backend.clone());
        provide_context(PageRequest {
            posted: posted.clone(),
            refuse: Arc::new(move |error| {
                let status = StatusCode::from_u16(error.status());
                if let (true, Some(options), Ok(status)) = (sets_status, &options, status) {
                    options.set_status(status);
                    if let Some(seconds) = error.retry_after() {
                        options.insert_header(header::RETRY_AFTER, seconds.into());
                    }
                }
            }),
            theme: theme.clone(),
            assets: assets.clone(),
            id: id.clone(),
        });
    }
}

fn theme(headers: &HeaderMap) -> &'static str {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut themes = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|c| c.trim().strip_prefix("theme="));
    match themes.next() {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "",
    }
}

/// The theme switch: remembers the choice and goes back to the page.
pub(super) async fn set_theme(State(state): State<WebState>, headers: HeaderMap, body: String) -> Response {
    let (theme, age) = match body.strip_prefix("theme=") {
        Some("light") => ("light", 31_536_000),
        Some("dark") => ("dark", 31_536_000),
        _ => ("", 0),
    };
    let secure = if state.secure { "; Secure" } else { "" };
    let cookie = format!("theme={theme}; Path=/; Max-Age={age}; SameSite=Lax; HttpOnly{secure}");
    let mut response = Redirect::to(&back(&headers)).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The path of the page that the request came from, on this site.
fn back(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let path = (|| {
        let (_, rest) = text(header::REFERER)?.split_once("://")?;
        let (host, path) = rest.split_once('/')?;
        (Some(host) == text(header::HOST)).then(|| format!("/{path}"))
    })();
    // `//host` and `/\host` would leave the site.
    path.filter(|path| !path.starts_with("//") && !path.starts_with("/\\"))
        .unwrap_or_else(|| "/".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_never_leaves_the_site() {
        for (referer, want) in [
            ("http://w.example/w/demo/myapp?q=a", "/w/demo/myapp?q=a"),
            ("http://evil.example/x", "/"),
            ("http://w.example//evil.example", "/"),
            ("http://w.example/\\evil.example", "/"),
            ("nonsense", "/"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("w.example"));
            headers.insert(header::REFERER, HeaderValue::from_str(referer).unwrap());
            assert_eq!(back(&headers), want, "{referer}");
        }
    }
}
