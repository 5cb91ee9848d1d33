//! Pages and server functions: the app is given its backend, its request and its caller, and answers.

use super::{
    WebState,
    auth::{self, Identity},
    drawing::NotDrawn,
    error,
    known_browser::{self, NewCookie},
    routes::Routes,
    session_store,
};
use crate::service::{Caller, Services, access, configure, gates, notification, promotion, removal, views};
use app::{
    App,
    api::{
        account::AccountView,
        activity::{ActivityFilter, ActivityView},
        board::BoardView,
        board_filter::BoardFilter,
        connection::{
            ClusterDraft, ClustersView, ConnectionTest, EnvironmentDraft, RepositoriesView, RepositoryDraft, Secrets,
        },
        environment::EnvironmentView,
        group::GroupsView,
        inbox::InboxView,
        member::{InvitationLink, InvitationView, MembersView},
        notification::{ChannelDraft, ChannelMade, NotificationsView, Tried},
        policy::PolicyView,
        preview::Preview,
        project::ProjectView,
        promotion::PromotionView,
        removal::{RemovalView, Removed, Removing},
        resource::ResourceView,
        session::Me,
        token::{TokenDraft, TokenMade, TokensView},
    },
    backend::{At, Backend},
    error::AppError,
    request::PageRequest,
    shell,
};
use async_trait::async_trait;
use axum::{
    Extension,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use domain::{
    draft::{FormOptions, ResourceDraft},
    id::{PromotionId, UserId},
    promotion::Actor,
    removal::RemovalChoices,
};
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

/// The use cases, for the caller of one request.
struct RequestBackend {
    services: Services,
    caller: Option<Caller>,
    session: Session,
    address: String,
    /// What the browser says of itself.
    agent: String,
    /// The cookie of browsers that are known, or empty.
    browser: String,
    /// Whether people reach Waybill over TLS.
    secure: bool,
    /// Takes what that cookie becomes.
    cookie: NewCookie,
}

impl RequestBackend {
    fn new(
        state: &WebState,
        caller: Option<Caller>,
        session: Session,
        address: SocketAddr,
        headers: &HeaderMap,
        cookie: &NewCookie,
    ) -> Self {
        Self {
            services: state.services.clone(),
            caller,
            session,
            address: address.ip().to_string(),
            agent: auth::agent(headers),
            browser: known_browser::read(headers, state.secure),
            secure: state.secure,
            cookie: cookie.clone(),
        }
    }

    fn caller(&self) -> Result<&Caller, AppError> {
        self.caller.as_ref().ok_or(AppError::SignedOut)
    }

    /// Begins a session for a person. Their browser is known from now on.
    async fn begin(&self, user: UserId) -> Result<(), AppError> {
        auth::begin(&self.session, user, &self.agent, &self.address).await?;
        // They are in, with or without it.
        if let Ok(known) = access::remember_browser(&self.services, &self.browser, user).await {
            self.cookie.set(&known, self.secure);
        }
        Ok(())
    }

    /// What the database knows this request's session by.
    fn session_key(&self) -> Option<String> {
        self.session.id().as_ref().map(session_store::key)
    }
}

/// Whether it is the person with this address who calls.
fn is_person(caller: &Caller, address: &str) -> bool {
    matches!(&caller.actor, Actor::Person { email, .. } if email == address)
}

#[async_trait]
impl Backend for RequestBackend {
    async fn me(&self) -> Result<Option<Me>, AppError> {
        Ok(self.caller.as_ref().map(access::me))
    }

    async fn sso(&self) -> Result<Option<String>, AppError> {
        Ok(self.services.sso.as_ref().map(|sso| sso.name.clone()))
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<(), AppError> {
        let user = access::sign_in(
            &self.services,
            email,
            password.to_owned().into(),
            &self.address,
            &self.browser,
        )
        .await?;
        self.begin(user).await
    }

    async fn sign_out(&self) -> Result<(), AppError> {
        auth::end(&self.session).await
    }

    async fn projects(&self) -> Result<Vec<ProjectView>, AppError> {
        views::projects(&self.services, self.caller()?).await
    }

    async fn activity(&self, workspace: &str, filter: &ActivityFilter) -> Result<ActivityView, AppError> {
        views::activity(&self.services, self.caller()?, workspace, filter).await
    }

    async fn board(&self, workspace: &str, project: &str, filter: &BoardFilter) -> Result<BoardView, AppError> {
        views::board(&self.services, self.caller()?, workspace, project, filter).await
    }

    async fn environment(&self, at: &At) -> Result<EnvironmentView, AppError> {
        views::environment(&self.services, self.caller()?, at).await
    }

    async fn form_options(&self, at: &At) -> Result<FormOptions, AppError> {
        views::form_options(&self.services, self.caller()?, at).await
    }

    async fn preview_create(&self, at: &At, draft: ResourceDraft) -> Result<Preview, AppError> {
        views::preview_create(&self.services, self.caller()?, at, draft).await
    }

    async fn create_resource(&self, at: &At, draft: ResourceDraft) -> Result<PromotionId, AppError> {
        configure::create_resource(&self.services, self.caller()?, at, draft).await
    }

    async fn resource(&self, at: &At, resource: &str) -> Result<ResourceView, AppError> {
        views::resource(&self.services, self.caller()?, at, resource).await
    }

    async fn preview_promote(&self, at: &At, resource: &str) -> Result<Preview, AppError> {
        views::preview_promote(&self.services, self.caller()?, at, resource).await
    }

    async fn preview_pin(&self, at: &At, resource: &str, digest: &str) -> Result<Preview, AppError> {
        views::preview_pin(&self.services, self.caller()?, at, resource, digest).await
    }

    async fn edit_pin(
        &self,
        at: &At,
        resource: &str,
        digest: &str,
        create_file: bool,
    ) -> Result<PromotionId, AppError> {
        promotion::edit_pin(&self.services, self.caller()?, at, resource, digest, create_file).await
    }

    async fn preview_tags(&self, at: &At, resource: &str, draft: &ResourceDraft) -> Result<Vec<String>, AppError> {
        configure::preview_tags(&self.services, self.caller()?, at, resource, draft).await
    }

    async fn change_tags(&self, at: &At, resource: &str, draft: &ResourceDraft) -> Result<(), AppError> {
        configure::change_tags(&self.services, self.caller()?, at, resource, draft).await
    }

    async fn promote(&self, at: &At, resource: &str, create_file: bool) -> Result<PromotionId, AppError> {
        promotion::promote(&self.services, self.caller()?, at, resource, create_file).await
    }

    async fn rollback(
        &self,
        at: &At,
        resource: &str,
        digest: &str,
        create_file: bool,
    ) -> Result<PromotionId, AppError> {
        promotion::rollback(&self.services, self.caller()?, at, resource, digest, create_file).await
    }

    async fn take_new_key(&self, at: &At, resource: &str) -> Result<(), AppError> {
        configure::take_new_key(&self.services, self.caller()?, at, resource)
            .await
            .map(drop)
    }

    async fn resume(&self, at: &At, resource: &str, create_file: bool) -> Result<Option<PromotionId>, AppError> {
        promotion::resume(&self.services, self.caller()?, at, resource, create_file).await
    }

    async fn promotion(&self, id: &str) -> Result<PromotionView, AppError> {
        views::promotion(&self.services, self.caller()?, id).await
    }

    async fn inbox(&self, before: &str) -> Result<InboxView, AppError> {
        views::inbox(&self.services, self.caller()?, before).await
    }

    async fn inbox_count(&self) -> Result<usize, AppError> {
        match self.caller() {
            Ok(caller) => views::inbox_count(&self.services, caller).await,
            Err(_) => Ok(0),
        }
    }

    async fn approve(&self, id: &str, comment: &str) -> Result<(), AppError> {
        promotion::approve(&self.services, self.caller()?, id, comment).await
    }

    async fn reject(&self, id: &str, comment: &str) -> Result<(), AppError> {
        promotion::reject(&self.services, self.caller()?, id, comment).await
    }

    async fn override_gate(&self, id: &str, gate: &str, reason: &str) -> Result<(), AppError> {
        promotion::override_gate(&self.services, self.caller()?, id, gate, reason).await
    }

    async fn stop_line(&self, at: &At, of_project: bool, reason: &str) -> Result<(), AppError> {
        let environment = (!of_project).then_some(at.environment.as_str());
        let caller = self.caller()?;
        promotion::stop_line(&self.services, caller, &at.workspace, &at.project, environment, reason).await
    }

    async fn policy(&self, at: &At) -> Result<PolicyView, AppError> {
        gates::policy(&self.services, self.caller()?, at).await
    }

    async fn set_policy(&self, at: &At, text: &str, before: Option<&str>) -> Result<(), AppError> {
        gates::set_policy(&self.services, self.caller()?, at, text, before).await
    }

    async fn resume_line(&self, at: &At, of_project: bool) -> Result<(), AppError> {
        let environment = (!of_project).then_some(at.environment.as_str());
        let caller = self.caller()?;
        promotion::resume_line(&self.services, caller, &at.workspace, &at.project, environment).await
    }

    async fn retry(&self, id: &str) -> Result<(), AppError> {
        promotion::retry(&self.services, self.caller()?, id).await
    }

    async fn cancel(&self, id: &str) -> Result<(), AppError> {
        promotion::cancel(&self.services, self.caller()?, id).await
    }

    async fn members(&self, workspace: &str) -> Result<MembersView, AppError> {
        access::members(&self.services, self.caller()?, workspace).await
    }

    async fn set_role(&self, workspace: &str, user: &str, role: &str) -> Result<(), AppError> {
        access::set_role(&self.services, self.caller()?, workspace, user, role).await
    }

    async fn remove_member(&self, workspace: &str, user: &str) -> Result<(), AppError> {
        access::remove_member(&self.services, self.caller()?, workspace, user).await
    }

    async fn deactivate(&self, workspace: &str, user: &str) -> Result<(), AppError> {
        access::deactivate(&self.services, self.caller()?, workspace, user).await
    }

    async fn activate(&self, workspace: &str, user: &str) -> Result<(), AppError> {
        access::activate(&self.services, self.caller()?, workspace, user).await
    }

    async fn invite(&self, workspace: &str, email: &str, role: &str) -> Result<InvitationLink, AppError> {
        access::invite(&self.services, self.caller()?, workspace, email, role).await
    }

    async fn withdraw_invitation(&self, workspace: &str, invitation: &str) -> Result<(), AppError> {
        access::withdraw_invitation(&self.services, self.caller()?, workspace, invitation).await
    }

    async fn invitation(&self, key: &str) -> Result<InvitationView, AppError> {
        let mut view = access::invitation(&self.services, key).await?;
        view.yours = self
            .caller
            .as_ref()
            .is_some_and(|caller| is_person(caller, &view.email));
        Ok(view)
    }

    async fn accept_invitation(&self, key: &str, name: &str, password: &str) -> Result<(), AppError> {
        if let Some(caller) = &self.caller
            && is_person(caller, &access::invitation(&self.services, key).await?.email)
        {
            // The session goes on.
            return access::accept_invitation_as(&self.services, caller, key)
                .await
                .map(|_| ());
        }
        let password = password.to_owned().into();
        let user = access::accept_invitation(&self.services, key, name, password, &self.address, &self.browser).await?;
        self.begin(user).await
    }

    async fn groups(&self, workspace: &str) -> Result<GroupsView, AppError> {
        access::groups(&self.services, self.caller()?, workspace).await
    }

    async fn create_group(&self, workspace: &str, name: &str) -> Result<(), AppError> {
        access::create_group(&self.services, self.caller()?, workspace, name).await
    }

    async fn join_group(&self, workspace: &str, group: &str, user: &str) -> Result<(), AppError> {
        access::join_group(&self.services, self.caller()?, workspace, group, user).await
    }

    async fn leave_group(&self, workspace: &str, group: &str, user: &str) -> Result<(), AppError> {
        access::leave_group(&self.services, self.caller()?, workspace, group, user).await
    }

    async fn tokens(&self, workspace: &str) -> Result<TokensView, AppError> {
        access::tokens(&self.services, self.caller()?, workspace).await
    }

    async fn create_token(&self, workspace: &str, draft: TokenDraft) -> Result<TokenMade, AppError> {
        access::create_token_drafted(&self.services, self.caller()?, workspace, draft).await
    }

    async fn revoke_token(&self, workspace: &str, token: &str) -> Result<(), AppError> {
        access::revoke_token(&self.services, self.caller()?, workspace, token).await
    }

    async fn clusters(&self, workspace: &str) -> Result<ClustersView, AppError> {
        configure::clusters(&self.services, self.caller()?, workspace).await
    }

    async fn save_cluster(&self, workspace: &str, draft: ClusterDraft, secrets: Secrets) -> Result<String, AppError> {
        let secrets = secrets.into();
        configure::save_cluster(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn removal(&self, target: &Removing) -> Result<RemovalView, AppError> {
        removal::removal(&self.services, self.caller()?, target).await
    }

    async fn remove(&self, target: &Removing, choices: RemovalChoices, typed: &str) -> Result<Removed, AppError> {
        removal::remove(&self.services, self.caller()?, target, choices, typed).await
    }

    async fn test_cluster(
        &self,
        workspace: &str,
        draft: ClusterDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError> {
        let secrets = secrets.into();
        configure::test_cluster(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn repositories(&self, workspace: &str) -> Result<RepositoriesView, AppError> {
        configure::repositories(&self.services, self.caller()?, workspace).await
    }

    async fn save_repository(
        &self,
        workspace: &str,
        draft: RepositoryDraft,
        secrets: Secrets,
    ) -> Result<String, AppError> {
        let secrets = secrets.into();
        configure::save_repository(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn add_environment(&self, workspace: &str, draft: EnvironmentDraft) -> Result<String, AppError> {
        configure::add_environment(&self.services, self.caller()?, workspace, &draft).await
    }

    async fn test_repository(
        &self,
        workspace: &str,
        draft: RepositoryDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError> {
        let secrets = secrets.into();
        configure::test_repository(&self.services, self.caller()?, workspace, &draft, &secrets).await
    }

    async fn notifications(&self, workspace: &str) -> Result<NotificationsView, AppError> {
        notification::notifications(&self.services, self.caller()?, workspace).await
    }

    async fn add_channel(&self, workspace: &str, draft: ChannelDraft) -> Result<ChannelMade, AppError> {
        notification::add_channel(&self.services, self.caller()?, workspace, draft).await
    }

    async fn pause_channel(&self, workspace: &str, channel: &str, paused: bool) -> Result<(), AppError> {
        notification::pause_channel(&self.services, self.caller()?, workspace, channel, paused).await
    }

    async fn remove_channel(&self, workspace: &str, channel: &str) -> Result<(), AppError> {
        notification::remove_channel(&self.services, self.caller()?, workspace, channel).await
    }

    async fn test_channel(&self, workspace: &str, channel: &str) -> Result<Tried, AppError> {
        notification::test_channel(&self.services, self.caller()?, workspace, channel).await
    }

    async fn redeliver(&self, workspace: &str, delivery: &str) -> Result<Tried, AppError> {
        notification::redeliver(&self.services, self.caller()?, workspace, delivery).await
    }

    async fn account(&self) -> Result<AccountView, AppError> {
        access::account(&self.services, self.caller()?, self.session_key().as_deref()).await
    }

    async fn change_password(&self, current: &str, new: &str) -> Result<(), AppError> {
        let (current, new) = (current.to_owned().into(), new.to_owned().into());
        let session = self.session_key();
        access::change_password(&self.services, self.caller()?, current, new, session.as_deref()).await
    }

    async fn sign_out_everywhere(&self) -> Result<(), AppError> {
        access::sign_out_everywhere(&self.services, self.caller()?).await?;
        auth::end(&self.session).await
    }
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
