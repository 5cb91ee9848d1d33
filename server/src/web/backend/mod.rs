//! The use cases, for the caller of one request: what the app's server functions call.
//!
//! A file for each noun of the port. What only passes its parameters on is a line of [`forward`]; what also touches the session or the
//! browser's cookies is written out.

mod artifacts;
mod boards;
mod connections;
mod environments;
mod notifications;
mod people;
mod promotions;
mod recalls;
mod resources;
mod sessions;

use crate::{
    service::{Caller, Services, access},
    web::{
        WebState, auth,
        known_browser::{self, NewCookie},
        session_store,
    },
};
use axum::http::HeaderMap;
use contract::error::AppError;
use domain::{id::UserId, promotion::Actor};
use std::net::SocketAddr;
use tower_sessions::Session;

/// Implements one noun of the port: each line is a method that calls the use case after the `=` for the caller, with the same parameters.
/// Methods that do more follow after a `;`.
macro_rules! forward {
    ($noun:ident; $(fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty = $call:path;)* $(; $($more:tt)*)?) => {
        #[async_trait::async_trait]
        impl $noun for RequestBackend {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$out, contract::error::AppError> {
                $call(&self.services, self.caller()?, $($arg),*).await
            })*
            $($($more)*)?
        }
    };
}

use forward;

/// The use cases, for the caller of one request.
pub(super) struct RequestBackend {
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
    pub(super) fn new(
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

impl contract::backend::Backend for RequestBackend {}
