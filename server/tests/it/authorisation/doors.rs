//! The doors, who stands before them, and how they are answered.

use crate::support::Bench;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::connect_info::MockConnectInfo,
    http::{Method, Request, StatusCode, header, request},
    response::Response,
};
use domain::id::UserId;
use serde_json::{Value, json};
use server::{service::access::hash_token, store::sessions::SessionRecord};
use std::net::SocketAddr;
use tower::ServiceExt as _;

/// How somebody is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// They must sign in.
    SignIn,
    /// There is no such thing, as far as they know.
    Hidden,
    /// They may not.
    Refused,
    /// They may; whether it could be done is another matter.
    May,
}

/// An answer as it came.
pub(crate) struct Said {
    pub(crate) answer: Answer,
    /// Whether it was done, too.
    pub(crate) is_done: bool,
    pub(crate) text: String,
}

/// Through which door.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    /// The server function of this name, with this form.
    Ui(&'static str, &'static str),
    /// This query.
    Graphql(&'static str),
    /// The route with this method and path, with this body.
    Rest(&'static str, &'static str),
}

/// Who stands at a door.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    Nobody,
    /// With this token.
    Program(String),
    /// With this cookie, on a page of this site.
    Person(String),
}

impl Door {
    /// What goes through it, from nobody yet.
    pub(crate) fn request(self, fill: &dyn Fn(&str) -> String) -> (request::Builder, String) {
        let (method, path, kind, body) = match self {
            Self::Ui(name, form) => (
                Method::POST,
                format!("/api/ui/{name}"),
                "application/x-www-form-urlencoded",
                fill(form),
            ),
            Self::Graphql(query) => (
                Method::POST,
                "/api/graphql".to_owned(),
                "application/json",
                json!({ "query": fill(query) }).to_string(),
            ),
            Self::Rest(route, body) => {
                let (method, path) = route.split_once(' ').unwrap();
                (method.parse().unwrap(), fill(path), "application/json", fill(body))
            }
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind)
            .header(header::ACCEPT, "application/json")
            .header(header::HOST, "w.example");
        (request, body)
    }

    /// What is asked of GraphQL.
    pub(crate) fn query(self) -> Option<&'static str> {
        match self {
            Self::Graphql(query) => Some(query),
            _ => None,
        }
    }

    /// Whether what goes through it can change anything: other sites may have it got.
    pub(crate) fn is_got(self) -> bool {
        matches!(self, Self::Rest(route, _) if route.starts_with("GET "))
    }
}

/// Somebody who signed in today, as their browser shows it: by the clock of the bench, which is not that of the machine.
pub(crate) async fn session(bench: &Bench, user: UserId) -> Who {
    const MILLIS_A_DAY: i64 = 86_400_000;
    let id = tower_sessions::session::Id::default().to_string();
    let now = bench.services.now();
    let record = SessionRecord {
        id: hash_token(&id),
        user: Some(user),
        user_agent: None,
        address: None,
        created_at: Some(now),
        seen_at: Some(now),
        expires_at: now.plus_millis(MILLIS_A_DAY),
    };
    let data = json!({ "user": user, "day": now.0.div_euclid(MILLIS_A_DAY) }).to_string();
    let mut tx = bench.store.write().await.unwrap();
    tx.insert_session(&record, &data).await.unwrap();
    tx.commit().await.unwrap();
    Who::Person(format!("waybill_session={id}"))
}

/// Asks, and is answered.
pub(crate) async fn send(routes: &Router, (request, body): (request::Builder, String), who: &Who) -> Response {
    let request = match who {
        Who::Nobody => request,
        Who::Program(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        Who::Person(cookie) => request
            .header(header::COOKIE, cookie)
            .header(header::ORIGIN, "http://w.example"),
    };
    let routes = routes
        .clone()
        .layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    routes.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
}

/// How somebody is answered at a door.
pub(crate) async fn ask(routes: &Router, door: Door, who: &Who, fill: &dyn Fn(&str) -> String) -> Said {
    let response = send(routes, door.request(fill), who).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    // A stream has no end; that it was opened says enough.
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let bytes = match is_stream {
        true => Vec::new().into(),
        false => to_bytes(response.into_body(), usize::MAX).await.unwrap(),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    // A preview answers a refusal as an answer.
    let codes = [&said["errors"][0]["extensions"]["code"], &said["Err"]["kind"]];
    let code = codes.iter().find_map(|code| code.as_str()).unwrap_or_default();
    // The mutation of product.md says it of the field.
    let unseen = code == "invalid" && text.contains("or you may not see it");
    let answer = match (status, code) {
        (StatusCode::UNAUTHORIZED, _) | (_, "signed_out") => Answer::SignIn,
        (StatusCode::NOT_FOUND, _) | (_, "not_found") => Answer::Hidden,
        (StatusCode::FORBIDDEN, _) | (_, "forbidden") => Answer::Refused,
        _ if unseen => Answer::Hidden,
        (status, _) => {
            assert!(!status.is_server_error(), "{status} {text}");
            Answer::May
        }
    };
    Said {
        answer,
        is_done: status.is_success() && code.is_empty(),
        text,
    }
}
