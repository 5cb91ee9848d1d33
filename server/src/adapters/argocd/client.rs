//! [`ArgoCdClient`]: the port over Argo CD's REST interface.
//!
//! One HTTP client for each set of certificates to trust; redirects are never followed, because the token would be lost
//! or given away; everything but the stream has a deadline. What odd answers mean is told by `answer`.

use super::{
    AppRef, ArgoCd, ArgoCdAccess, ArgoCdError, Checked, Inspected, Refresh, SyncRequest, WatchEvent, Window, Workloads,
    answer::{Asked, display_url},
    events::Events,
    logs, watch,
    window::{self, ProjectWindows, Windows},
    wire::{Application, CanI, PROMOTION_INFO, UserInfo, Version},
    workloads::{self, Managed, Tree},
};
use crate::{adapters::guard::Guard, nesting};
use async_trait::async_trait;
use domain::{
    plan::{AppSnapshot, LogLine, Patient, PodEvent},
    time::Timestamp,
};
use futures::stream::BoxStream;
use reqwest::{
    Certificate, Client, RequestBuilder, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect::Policy,
};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use std::{
    collections::HashMap,
    error::Error as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The largest answer that is read. One application with thousands of resources has a few megabytes.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Why a larger one isn't.
const TOO_LARGE: &str = "the answer is larger than 32 MiB";

/// The largest part of an error answer that is read.
const MAX_ERROR: usize = 64 * 1024;

/// HTTP clients that are kept. More sets of certificates than clusters appear only when they are renewed.
const MAX_CLIENTS: usize = 64;

/// How long the client waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For a whole answer.
    pub answer: Duration,
    /// For an answer to a refresh, which takes as long as Argo CD's queue; afterwards the Application is read as it is.
    pub refresh: Duration,
    /// For a sign of life on the stream, where Argo CD sends one every 15 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            refresh: Duration::from_secs(20),
            idle: Duration::from_secs(40),
        }
    }
}

/// Speaks to Argo CD. Cheap to clone; keeps connections open between calls.
#[derive(Clone, Debug, Default)]
pub struct ArgoCdClient {
    timeouts: Timeouts,
    clients: Arc<Mutex<HashMap<Option<String>, Client>>>,
}

impl ArgoCdClient {
    /// A client with the usual timeouts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A client with other timeouts.
    #[must_use]
    pub fn with_timeouts(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            ..Self::default()
        }
    }

    fn connect(&self, access: &ArgoCdAccess) -> Result<Connection, ArgoCdError> {
        let problem = |reason: &str| ArgoCdError::Unreachable {
            url: Url::parse(&access.url)
                .as_ref()
                .map_or_else(|_| "its address".into(), display_url),
            reason: reason.to_owned(),
        };
        let base = Url::parse(access.url.trim()).map_err(|_| {
            problem("the address must be a full one, such as https://argocd.example.com or https://example.com/argo-cd")
        })?;
        if !matches!(base.scheme(), "https" | "http") || base.host_str().is_none() {
            return Err(problem("the address must begin with https://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(problem(
                "the address must not hold a user or password; a token goes with it",
            ));
        }
        let mut token =
            HeaderValue::try_from(format!("Bearer {}", access.token.expose_secret().trim())).map_err(|_| {
                ArgoCdError::Unauthorized {
                    url: display_url(&base),
                    reason: "it holds characters that no token has".into(),
                }
            })?;
        token.set_sensitive(true);
        let client = self.client(access.ca.as_deref()).map_err(|reason| problem(&reason))?;
        Ok(Connection {
            client,
            shown_url: display_url(&base),
            base,
            authorization: token,
            access: access.clone(),
        })
    }

    /// The HTTP client that trusts `ca` (PEM) besides the system's certificates.
    fn client(&self, ca: Option<&str>) -> Result<Client, String> {
        let ca = ca.filter(|pem| !pem.trim().is_empty());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&ca.map(str::to_owned)) {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .dns_resolver(Guard::of_connections())
            .redirect(Policy::none())
            .connect_timeout(self.timeouts.connect)
            .user_agent(concat!("waybill/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = ca {
            let certificates = Certificate::from_pem_bundle(pem.as_bytes())
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or("the cluster's certificate authority is not a PEM certificate")?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder
            .build()
            .map_err(|error| format!("the connection can't be set up: {}", describe(error)))?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(ca.map(str::to_owned), client.clone());
        Ok(client)
    }
}

#[async_trait]
impl ArgoCd for ArgoCdClient {
    async fn app(&self, access: &ArgoCdAccess, app: &AppRef, refresh: Refresh) -> Result<AppSnapshot, ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        let url = connection.app_url(app, &[])?;
        if refresh == Refresh::Normal {
            let request = connection.get(url.clone()).query(&[("refresh", "normal")]);
            // Argo CD goes on with the refresh when we give up waiting; what it has now is the better answer then.
            match tokio::time::timeout(self.timeouts.refresh, connection.application(request, &asked)).await {
                Err(_) => {}
                Ok(Err(ArgoCdError::Unavailable { reason, .. })) if reason.contains("refresh deadline exceeded") => {}
                Ok(answer) => return answer.map(Application::into_snapshot),
            }
        }
        let request = connection.get(url).timeout(self.timeouts.answer);
        connection
            .application(request, &asked)
            .await
            .map(Application::into_snapshot)
    }

    async fn workloads(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<Workloads, ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        let get = |what: &str| -> Result<RequestBuilder, ArgoCdError> {
            let url = connection.app_url(app, &[what])?;
            Ok(connection.get(url).timeout(self.timeouts.answer))
        };
        let managed = get("managed-resources")?.query(&[("fields", workloads::FIELDS)]);
        // One after the other: two large answers at once are twice as much to hold.
        let read = async {
            let managed = connection.read::<Managed>(managed, &asked).await?;
            let tree = connection.read::<Tree>(get("resource-tree")?, &asked).await?;
            Ok(Workloads::Read(workloads::read(managed, tree)))
        };
        match read.await {
            Err(ArgoCdError::Forbidden { reason, .. }) => Ok(Workloads::Withheld(reason)),
            Err(ArgoCdError::Protocol { reason, .. }) if reason == TOO_LARGE => Ok(Workloads::Withheld(reason)),
            answer => answer,
        }
    }

    async fn events(&self, access: &ArgoCdAccess, app: &AppRef, pod: &Patient) -> Result<Vec<PodEvent>, ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        let request = connection
            .get(connection.app_url(app, &["events"])?)
            .query(&[
                ("resourceNamespace", &pod.namespace),
                ("resourceName", &pod.name),
                ("resourceUID", &pod.uid),
            ])
            .timeout(self.timeouts.answer);
        Ok(connection.read::<Events>(request, &asked).await?.newest())
    }

    async fn logs(
        &self,
        access: &ArgoCdAccess,
        app: &AppRef,
        pod: &str,
        container: Option<&str>,
    ) -> Result<Vec<LogLine>, ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        let tail = logs::MOST_LINES.to_string();
        let mut query = vec![("podName", pod), ("tailLines", &tail), ("follow", "false")];
        query.extend(container.map(|container| ("container", container)));
        let request = connection
            .get(connection.app_url(app, &["logs"])?)
            .query(&query)
            .timeout(self.timeouts.answer);
        let mut response = connection.send(request, &asked, &["application/json"]).await?;
        let mut tail = logs::Tail::default();
        while !tail.has_ended() {
            match response.chunk().await {
                Ok(Some(chunk)) => tail.take(&chunk),
                Ok(None) => break,
                // What was read until then is better than nothing.
                Err(_) if !tail.is_empty() => break,
                Err(error) => return Err(asked.unreachable(describe(error))),
            }
        }
        tail.lines(&asked)
    }

    async fn sync(&self, access: &ArgoCdAccess, app: &AppRef, request: &SyncRequest) -> Result<(), ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        // The query of this call is not read: everything goes into the body.
        let mut body = serde_json::json!({ "infos": [{ "name": PROMOTION_INFO, "value": request.promotion }] });
        for (key, value) in [
            ("project", &app.project),
            ("appNamespace", &app.namespace),
            ("revision", &request.revision),
        ] {
            if let Some(value) = value {
                body[key] = value.as_str().into();
            }
        }
        if !request.only.is_empty() {
            body["resources"] = serde_json::json!(request.only);
        }
        // `.json` sends exactly `application/json`; with a charset Argo CD refuses it.
        let mut url = connection.app_url(app, &["sync"])?;
        url.set_query(None);
        let request = connection
            .request(connection.client.post(url))
            .timeout(self.timeouts.answer)
            .json(&body);
        connection.application(request, &asked).await.map(drop)
    }

    async fn end_operation(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<(), ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        let request = connection
            .request(connection.client.delete(connection.app_url(app, &["operation"])?))
            // Argo CD refuses everything but a read that says nothing of its body, also without one.
            .header(CONTENT_TYPE, "application/json")
            .timeout(self.timeouts.answer);
        match connection.read::<serde_json::Value>(request, &asked).await {
            Ok(_) => Ok(()),
            // It ended by itself meanwhile, or has not begun.
            Err(ArgoCdError::Refused { reason, .. }) if reason.contains("No operation is in progress") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn window(
        &self,
        access: &ArgoCdAccess,
        app: &AppRef,
        project: &str,
        now: Timestamp,
    ) -> Result<Window, ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        let url = connection.app_url(app, &["syncwindows"])?;
        let request = connection.get(url).timeout(self.timeouts.answer);
        let windows: Windows = connection.read(request, &asked).await?;
        if windows.can_sync {
            return Ok(Window::Open);
        }
        // Only the project knows the windows' time zones; without the right to see it, nobody can say when they open.
        let request = connection
            .get(connection.url(&["api", "v1", "projects", project])?)
            .timeout(self.timeouts.answer);
        let zones: Option<ProjectWindows> = match project {
            "" => None,
            _ => connection.read(request, &asked).await.ok(),
        };
        Ok(Window::Closed {
            opens_at: zones.and_then(|zones| window::opens_at(&windows, &zones, now)),
        })
    }

    fn watch(&self, access: &ArgoCdAccess) -> BoxStream<'static, Result<WatchEvent, ArgoCdError>> {
        watch::events(self.connect(access), self.timeouts.idle)
    }

    async fn check(&self, access: &ArgoCdAccess) -> Result<Checked, ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked_of("all");
        let get = |path: &[&str]| -> Result<RequestBuilder, ArgoCdError> {
            Ok(connection.get(connection.url(path)?).timeout(self.timeouts.answer))
        };
        let version: Option<Version> = told(connection.read(get(&["api", "version"])?, &asked).await)?;
        // The version is told to anybody; this is told to anybody too, but says whether the token is good.
        let user = get(&["api", "v1", "session", "userinfo"])?;
        let user: Option<UserInfo> = told(connection.read(user, &asked).await)?;
        let says_valid = user.map(|user| user.logged_in);
        if says_valid == Some(false) {
            return Err(asked.unauthorized("it is not valid there, or no longer"));
        }
        Ok(Checked {
            version: version.map(|version| version.version),
            says_valid: says_valid.is_some(),
        })
    }

    async fn inspect(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<Inspected, ArgoCdError> {
        let connection = self.connect(access)?;
        let asked = connection.asked(app);
        let request = connection
            .get(connection.app_url(app, &[])?)
            .timeout(self.timeouts.answer);
        let found = connection.application(request, &asked).await?;
        let snapshot = found.into_snapshot();
        // Rights are about `project/name`, and about `project/namespace/name` outside of Argo CD's own namespace.
        let mut path = vec![
            "api",
            "v1",
            "account",
            "can-i",
            "applications",
            "sync",
            &snapshot.project,
        ];
        path.extend(app.namespace.as_deref());
        path.push(&app.name);
        let request = connection.get(connection.url(&path)?).timeout(self.timeouts.answer);
        let may_sync = match connection.read::<CanI>(request, &asked).await {
            Ok(answer) => Some(answer.value == "yes"),
            // Only the Application itself is promised to be told.
            Err(_) => None,
        };
        Ok(Inspected {
            app: snapshot,
            may_sync,
        })
    }
}

/// What was told; `None` where Argo CD keeps it to itself: a managed one answers only what its policy grants.
fn told<T>(read: Result<T, ArgoCdError>) -> Result<Option<T>, ArgoCdError> {
    match read {
        Err(ArgoCdError::Forbidden { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// One Argo CD, ready to be asked.
pub(super) struct Connection {
    client: Client,
    base: Url,
    shown_url: String,
    authorization: HeaderValue,
    access: ArgoCdAccess,
}

impl Connection {
    fn asked<'a>(&'a self, app: &'a AppRef) -> Asked<'a> {
        Asked {
            with_project: app.project.is_some(),
            ..self.asked_of(&app.name)
        }
    }

    /// For errors about `app`.
    pub(super) fn asked_of<'a>(&'a self, app: &'a str) -> Asked<'a> {
        Asked {
            url: &self.shown_url,
            app,
            with_project: false,
            token: &self.access.token,
        }
    }

    /// The address of a path below the base address, whose own path is kept.
    fn url(&self, path: &[&str]) -> Result<Url, ArgoCdError> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(self.asked_of("all").unreachable("the address must begin with https://")),
        };
        Ok(url)
    }

    fn app_url(&self, app: &AppRef, rest: &[&str]) -> Result<Url, ArgoCdError> {
        // A path leaves these names out, and what is asked would be something else.
        if matches!(app.name.as_str(), "" | "." | "..") {
            return Err(ArgoCdError::NotFound { app: app.name.clone() });
        }
        let mut url = self.url(&[&["api", "v1", "applications", &app.name], rest].concat())?;
        let named = [("project", &app.project), ("appNamespace", &app.namespace)];
        let named: Vec<(&str, &str)> = named
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_deref()?)))
            .collect();
        if !named.is_empty() {
            url.query_pairs_mut().extend_pairs(named);
        }
        Ok(url)
    }

    fn request(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json")
    }

    fn get(&self, url: Url) -> RequestBuilder {
        self.request(self.client.get(url))
    }

    /// Asks for the stream of all Applications. There is no deadline: the first byte may come late, the last never.
    pub(super) async fn stream(&self) -> Result<Response, ArgoCdError> {
        let asked = self.asked_of("all");
        let request = self
            .client
            .get(self.url(&["api", "v1", "stream", "applications"])?)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "text/event-stream");
        self.send(request, &asked, &["text/event-stream", "application/json"])
            .await
    }

    /// Sends a request and reads the Application that it answers.
    async fn application(&self, request: RequestBuilder, asked: &Asked<'_>) -> Result<Application, ArgoCdError> {
        let app: Application = self.read(request, asked).await?;
        // Nothing in it is required, so that anything could be read as one.
        if app.name().is_empty() {
            return Err(asked.protocol("the answer holds no application"));
        }
        Ok(app)
    }

    /// Sends a request and reads its answer.
    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder, asked: &Asked<'_>) -> Result<T, ArgoCdError> {
        let mut response = self.send(request, asked, &["application/json"]).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| asked.unreachable(describe(error)))?
        {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(asked.protocol(TOO_LARGE));
            }
            body.extend_from_slice(&chunk);
        }
        nesting::json(&body).map_err(|error| asked.protocol(format!("the answer's JSON is odd: {error}")))
    }

    /// Sends a request; an answer that is no success of one of the given types is an error.
    async fn send(&self, request: RequestBuilder, asked: &Asked<'_>, types: &[&str]) -> Result<Response, ArgoCdError> {
        let mut response = request
            .send()
            .await
            .map_err(|error| asked.unreachable(describe(error)))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(asked.redirected(response.headers()));
        }
        if !status.is_success() {
            let mut body = Vec::new();
            while body.len() < MAX_ERROR {
                match response.chunk().await {
                    Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                    Ok(None) | Err(_) => break,
                }
            }
            return Err(asked.failure(status, &body));
        }
        // Where there is no interface, Argo CD serves its web pages, with success.
        if !types.contains(&media_type(response.headers()).as_str()) {
            return Err(asked.not_the_api());
        }
        Ok(response)
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default()
}

/// A failed request in a few words, without the address: the innermost cause says most.
pub(super) fn describe(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.source().is_some() {
        format!("{error}: {cause}")
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    fn access(url: &str) -> ArgoCdAccess {
        ArgoCdAccess {
            url: url.into(),
            token: SecretString::from("header.payload.signature\n"),
            ca: None,
        }
    }

    fn app(name: &str, project: Option<&str>, namespace: Option<&str>) -> AppRef {
        AppRef {
            name: name.into(),
            project: project.map(Into::into),
            namespace: namespace.map(Into::into),
        }
    }

    #[test]
    fn addresses_are_joined_below_the_prefix() {
        for (base, want) in [
            ("https://argo.example", "https://argo.example/api/v1/applications/web"),
            ("https://argo.example/", "https://argo.example/api/v1/applications/web"),
            (
                " https://argo.example:8443/argo-cd ",
                "https://argo.example:8443/argo-cd/api/v1/applications/web",
            ),
            (
                "http://127.0.0.1:8080/a/b/?x=1#y",
                "http://127.0.0.1:8080/a/b/api/v1/applications/web",
            ),
        ] {
            let connection = ArgoCdClient::new().connect(&access(base)).ok().unwrap();
            assert_eq!(connection.app_url(&app("web", None, None), &[]).unwrap().as_str(), want);
        }
    }

    #[test]
    fn names_are_escaped_and_project_and_namespace_sent() {
        let connection = ArgoCdClient::new()
            .connect(&access("https://argo.example"))
            .ok()
            .unwrap();
        let url = connection
            .app_url(&app("a/b?c", Some("p&q"), Some("ns")), &["sync"])
            .unwrap();
        assert_eq!(
            url.as_str(),
            "https://argo.example/api/v1/applications/a%2Fb%3Fc/sync?project=p%26q&appNamespace=ns"
        );
        for odd in ["", ".", ".."] {
            assert!(matches!(
                connection.app_url(&app(odd, None, None), &[]),
                Err(ArgoCdError::NotFound { .. })
            ));
        }
    }

    #[test]
    fn bad_addresses_tokens_and_certificates_are_told_without_their_secrets() {
        let mut cases = vec![
            access("argo.example"),
            access("ftp://argo.example"),
            access("https://user:hunter2@argo.example"),
            access("mailto:x@y"),
            access(""),
        ];
        cases.push(ArgoCdAccess {
            token: SecretString::from("hunter2\u{7f}\nx"),
            ..access("https://argo.example")
        });
        cases.push(ArgoCdAccess {
            ca: Some("no certificate".into()),
            ..access("https://argo.example")
        });
        for case in cases {
            let error = ArgoCdClient::new()
                .connect(&case)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(error.contains("Argo CD"), "{case:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn nothing_shows_the_token() {
        let client = ArgoCdClient::new();
        let access = access("https://argo.example");
        let connection = client.connect(&access).ok().unwrap();
        let request = connection.get(connection.base.clone());
        for shown in [
            format!("{client:?}"),
            format!("{access:?}"),
            format!("{request:?}"),
            format!("{:?}", request.build().unwrap()),
        ] {
            assert!(!shown.contains("payload"), "{shown}");
        }
    }
}
