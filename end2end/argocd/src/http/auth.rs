//! Who calls, and what they may do. The rules by which a missing Application is 403 or 404 are here.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::error::{ApiError, Code};
use crate::{
    app::{Application, rbac_name},
    clock,
    world::{AppKey, Grant, SERVER_NAMESPACE, Shared},
};

/// A caller with a good token.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Grant);

/// The token of a request: `Authorization` first, then the cookie. Text without two dots is no token.
fn token(headers: &HeaderMap) -> Option<String> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let cookie = || {
        let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
        cookies
            .split(';')
            .find_map(|pair| pair.trim().strip_prefix("argocd.token="))
    };
    let token = bearer.or_else(cookie)?;
    (token.matches('.').count() == 2).then(|| token.to_owned())
}

pub(crate) fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let refuse = |message: &str| Err(ApiError::new(Code::Unauthenticated, message));
    let Some(token) = token(headers) else {
        return refuse("no session information");
    };
    let world = shared.world();
    if world.faults.unauthorized {
        return refuse("invalid session: token has invalid claims: token is expired");
    }
    match world.grants.get(&token) {
        Some(grant) if grant.has_expired(&shared.clock) => {
            refuse("invalid session: token has invalid claims: token is expired")
        }
        Some(grant) => Ok(Caller(grant.clone())),
        None => refuse("invalid session: token signature is invalid: signature is invalid"),
    }
}

/// When a token was issued, from its claims.
pub(crate) fn issued_at(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    clock::from_unix(claims["iat"].as_i64()?)
}

impl Caller {
    /// Whether the token is past its time by now.
    pub(crate) fn has_expired(&self, clock: &clock::Clock) -> bool {
        self.0.has_expired(clock)
    }

    pub(crate) fn subject(&self) -> &str {
        &self.0.subject
    }

    pub(crate) fn can(&self, resource: &str, action: &str, object: &str) -> bool {
        if let Some(project) = self
            .0
            .subject
            .strip_prefix("proj:")
            .and_then(|rest| rest.split(':').next())
        {
            if resource == "projects" {
                return action == "get" && object == project;
            }
            if !object.starts_with(&format!("{project}/")) {
                return false;
            }
        }
        let mut allowed = false;
        for policy in self
            .0
            .policies
            .iter()
            .filter(|policy| policy.matches(resource, action, object))
        {
            if !policy.allow {
                return false;
            }
            allowed = true;
        }
        allowed
    }

    /// Like [`Self::can`], with the detailed refusal of a second check.
    pub(crate) fn enforce(&self, resource: &str, action: &str, object: &str) -> Result<(), ApiError> {
        if self.can(resource, action, object) {
            return Ok(());
        }
        let issued = self
            .0
            .issued_at
            .as_ref()
            .map(|at| format!(", iat: {at}"))
            .unwrap_or_default();
        let message = format!(
            "permission denied: {resource}, {action}, {object}, sub: {}{issued}",
            self.0.subject
        );
        Err(ApiError::new(Code::PermissionDenied, message))
    }
}

/// Finds an Application for an action, or refuses in the way that gives nothing away: without `project` a missing one is
/// "permission denied"; with it, only who may see it learns that it is not there.
pub(crate) fn find_app(
    shared: &Shared,
    caller: &Caller,
    action: &str,
    project: Option<&str>,
    namespace: &str,
    name: &str,
) -> Result<(AppKey, Application), ApiError> {
    let namespace = if namespace.is_empty() {
        SERVER_NAMESPACE
    } else {
        namespace
    };
    if !shared.namespaces.iter().any(|enabled| enabled == namespace) {
        return Err(ApiError::denied());
    }
    let project = project.filter(|project| !project.is_empty());
    if let Some(project) = project
        && !caller.can(
            "applications",
            action,
            &rbac_name(SERVER_NAMESPACE, project, namespace, name),
        )
    {
        return Err(ApiError::denied());
    }
    let hidden = || {
        if project.is_some() {
            ApiError::app_not_found(name)
        } else {
            ApiError::denied()
        }
    };
    let key = AppKey::new(namespace, name);
    let (app, project_exists) = {
        let world = shared.world();
        let app = world
            .apps
            .get(&key)
            .map(|record| record.app.clone())
            .ok_or_else(hidden)?;
        let exists = world.projects.contains(app.project());
        (app, exists)
    };
    let may = caller.can("applications", action, &app.rbac_name(SERVER_NAMESPACE));
    if !may || project.is_some_and(|project| project != app.project()) {
        return Err(hidden());
    }
    if !project_exists {
        return Err(project_refusal(app.project()));
    }
    Ok((key, app))
}

pub(crate) fn project_refusal(project: &str) -> ApiError {
    ApiError::invalid(format!(
        "app is not allowed in project \"{project}\", or the project does not exist"
    ))
}
