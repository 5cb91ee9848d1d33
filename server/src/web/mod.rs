//! The doors over HTTP: pages, server functions, events, assets, health. [`router`] shows them all on one screen.

use crate::{config::Network, events::Events, service::Services};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub mod assets;
pub mod auth;
mod backend;
pub mod client;
pub mod drain;
pub mod drawing;
pub mod error;
pub mod graphql;
pub mod headers;
pub mod health;
pub mod known_browser;
pub mod leptos;
pub mod origin;
pub mod rest;
pub mod router;
pub mod routes;
pub mod serving;
pub mod session_store;
mod signing_keys;
pub mod sse;
pub mod sso;

/// What every handler may use.
#[derive(Clone)]
pub struct WebState {
    /// The use cases.
    pub services: Services,
    /// What happens, as it happens.
    pub events: Events,
    /// Where pages are drawn.
    pub drawing: drawing::Drawing,
    /// What browsers download.
    pub assets: Arc<assets::Assets>,
    /// Whether people reach Waybill over TLS: cookies are marked secure then, and browsers told to come no other way.
    pub secure: bool,
    /// Whether `/metrics` is answered beside everything else; the listener for operations answers it either way.
    pub public_metrics: bool,
    /// The proxies that are believed when they say from where a request comes.
    pub trusted_proxies: Arc<[Network]>,
    /// Secret that registries send along with notifications; without one their door is closed.
    pub webhook_secret: Option<secrecy::SecretString>,
    /// Secret with which Git hosts sign what they send; without one their door is closed.
    pub git_webhook_secret: Option<secrecy::SecretString>,
    /// Told when the server stops, so that streams end.
    pub stop: CancellationToken,
}
