//! API tokens: made once, shown once, stored as a hash.
//!
//! A token is `wb_` and 256 random bits. That much can't be guessed, so a plain SHA-256 keeps it as well as a slow hash would,
//! and each request is checked in microseconds.

use crate::{
    ports::clock::{Clock, Ids},
    service::{
        access::member::{self, parse_role},
        context::Services,
        reach::{self, Caller, not_found},
    },
    store::{ApiToken, NewEvent, Store, StoreError, Tx},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::aead::Generate as _;
use contract::{
    error::AppError,
    token::{TokenDraft, TokenMade, TokenView, TokensView},
};
use domain::{
    door::{Door, Entrance},
    environment::Workspace,
    event::{Happened, Subject},
    field::FieldErrors,
    id::{EnvironmentId, ProjectId, TokenId, UserId, WorkspaceId},
    name::Name,
    promotion::Actor,
    rights::Role,
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// What every token begins with, so that scanners of leaked secrets can know it.
pub const TOKEN_PREFIX: &str = "wb_";
const RANDOM_CHARACTERS: usize = 43;
/// How exactly it is remembered when a token was last used.
const USED_EVERY_MILLIS: i64 = 60_000;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// Its name, unique in the workspace.
    pub name: &'a str,
    /// What it may do.
    pub role: Role,
    /// After how many milliseconds it ends; `None` for never.
    pub expires_in_millis: Option<i64>,
}

/// The part of a workspace that a token is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    /// The one project; `None` for all.
    pub project: Option<ProjectId>,
    /// The one environment of that project; `None` for all.
    pub environment: Option<EnvironmentId>,
}

/// What is stored of a token: the SHA-256 of its text, hexadecimal.
#[must_use]
pub fn hash_token(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

fn make() -> Result<SecretString, AppError> {
    Ok(format!("{TOKEN_PREFIX}{}", random_key()?).into())
}

/// 256 random bits, to be told to somebody once.
pub(crate) fn random_key() -> Result<String, AppError> {
    let bytes = <[u8; 32]>::try_generate().map_err(|_| {
        tracing::error!("the operating system gave no random numbers");
        AppError::Internal("random numbers".into())
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A span as people write it for `--expires`: `90d`, `12h`, `30m`, `4w`. In milliseconds.
///
/// # Errors
/// What to write instead.
pub fn parse_span(text: &str) -> Result<i64, String> {
    const WHY: &str = "Write a whole number and a unit: m, h, d or w, for example 90d.";
    let unit = text.chars().last().ok_or(WHY)?;
    let millis: i64 = match unit {
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 604_800_000,
        _ => return Err(WHY.into()),
    };
    let digits = text.strip_suffix(unit).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(WHY.into());
    }
    let span = digits
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(millis))
        .ok_or(WHY)?;
    match span {
        1..=315_576_000_000 => Ok(span),
        0 => Err("A token must live for some time; write for example 90d.".into()),
        _ => Err("Use at most ten years, for example 365d.".into()),
    }
}

/// Makes a token in a workspace of the caller, and returns its text: the only time it can be seen. Only a person makes tokens: one
/// made by another could outlive it.
///
/// # Errors
/// When the caller isn't an administrator there or no person, or the name is taken or malformed.
pub async fn create_token(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    new: &NewToken<'_>,
) -> Result<SecretString, AppError> {
    create_token_for(services, caller, workspace, new, ("", "")).await
}

/// The same for a part of the workspace: a project and an environment, by name; empty for all.
///
/// # Errors
/// Also when there is no such project or environment.
pub async fn create_token_for(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    new: &NewToken<'_>,
    (project, environment): (&str, &str),
) -> Result<SecretString, AppError> {
    let (mut tx, caller, workspace) = reach::administer_in_person(services, caller, workspace).await?;
    let part = part_named(&mut *tx, &caller, &workspace, project, environment).await?;
    let maker = Maker {
        actor: &caller.actor,
        person: caller.person,
    };
    let token = insert_token(
        &mut *tx,
        &*services.clock,
        &*services.ids,
        workspace.id,
        maker,
        new,
        part,
    )
    .await?;
    tx.commit().await?;
    services.wrote();
    Ok(token)
}

/// Makes a token as a form asks for it.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn create_token_drafted(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: TokenDraft,
) -> Result<TokenMade, AppError> {
    caller.administered(workspace)?;
    caller.check_person()?;
    let mut errors = FieldErrors::default();
    let name = draft.name.trim();
    if let Err(why) = name.parse::<Name>() {
        errors.add("name", why.to_string());
    }
    let role = parse_role(&draft.role);
    errors
        .0
        .extend(role.as_ref().err().into_iter().flat_map(|e| e.0.clone()));
    let expires = match draft.expires.trim() {
        "never" => Ok(None),
        span => parse_span(span).map(Some),
    };
    if let Err(why) = &expires {
        errors.add("expires", why.clone());
    }
    let (Ok(role), Ok(expires_in_millis), true) = (role, expires, errors.is_empty()) else {
        return Err(errors.into());
    };
    let new = NewToken {
        name,
        role,
        expires_in_millis,
    };
    let part = (draft.project.as_str(), draft.environment.as_str());
    let secret = create_token_for(services, caller, workspace, &new, part).await?;
    Ok(TokenMade {
        name: name.to_owned(),
        secret: secret.expose_secret().to_owned(),
    })
}

/// The tokens of a workspace.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn tokens(services: &Services, caller: &Caller, workspace: &str) -> Result<TokensView, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let mut places = Vec::new();
    let mut names: HashMap<EnvironmentId, String> = HashMap::new();
    let mut projects: HashMap<ProjectId, String> = HashMap::new();
    for record in tx.projects(workspace.id).await? {
        if caller.role_in_project(workspace.id, record.project.id).is_none() {
            continue;
        }
        let environments = tx.environments(record.project.id).await?;
        projects.insert(record.project.id, record.project.name.to_string());
        names.extend(environments.iter().map(|e| (e.id, e.name.to_string())));
        places.push((
            record.project.name,
            environments.into_iter().map(|e| e.name).collect::<Vec<_>>(),
        ));
    }
    let members = tx.members(workspace.id).await?;
    let makers: HashMap<UserId, String> = members.into_iter().map(|m| (m.user.id, m.user.email)).collect();
    let now = services.now();
    let view = |token: ApiToken| {
        let project = token.project.map(|id| projects.get(&id));
        let environment = token.environment.and_then(|id| names.get(&id));
        TokenView {
            ended: !reach::token_is_valid(&token, now),
            scope: match project {
                // It is listed, so that it can be withdrawn; for which part is not for everybody to know.
                Some(None) => Some("a project that you may not see".into()),
                known => scope_words(known.flatten(), environment),
            },
            made_by: token.made_by.and_then(|id| makers.get(&id).cloned()),
            id: token.id,
            name: token.name,
            role: token.role,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    };
    Ok(TokensView {
        workspace: workspace.name.clone(),
        tokens: tx.tokens(workspace.id).await?.into_iter().map(view).collect(),
        places,
        now,
    })
}

/// Withdraws a token: it is worth nothing from now on.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such token.
pub async fn revoke_token(services: &Services, caller: &Caller, workspace: &str, id: &str) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let all = tx.tokens(workspace.id).await?;
    let token = all
        .into_iter()
        .find(|token| token.id.to_string() == id)
        .ok_or_else(|| not_found("token", id))?;
    tx.revoke_token(token.id, services.now()).await?;
    let happened = Happened::TokenRevoked { name: token.name };
    member::record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// The caller behind a bearer token; `None` when there is no such token, or it ended or was withdrawn, or who made it
/// may no longer act.
///
/// # Errors
/// When the database fails.
pub async fn caller_of_token(services: &Services, bearer: &str) -> Result<Option<Caller>, AppError> {
    // What can't be a token needs no look at the database.
    if bearer.len() != TOKEN_PREFIX.len() + RANDOM_CHARACTERS || !bearer.starts_with(TOKEN_PREFIX) {
        return Ok(None);
    }
    let now = services.now();
    let mut tx = services.store.read().await?;
    let found = tx.token_by_hash(&hash_token(bearer)).await?;
    let Some((token, workspace)) = found.filter(|(token, _)| reach::token_is_valid(token, now)) else {
        return Ok(None);
    };
    let Some(caller) = reach::caller_behind(&mut *tx, &token, workspace).await? else {
        return Ok(None);
    };
    drop(tx);
    if token
        .last_used_at
        .is_none_or(|at| now.millis_since(at) >= USED_EVERY_MILLIS)
    {
        let noted = async {
            let mut tx = services.store.write().await?;
            tx.token_used(token.id, now).await?;
            tx.commit().await
        };
        // Who only reads can do so while nothing can be written.
        match noted.await {
            Err(error) if error.trouble().is_none() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(Some(caller))
}

/// The part of a workspace that names mean.
async fn part_named(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    project: &str,
    environment: &str,
) -> Result<Part, AppError> {
    if project.is_empty() {
        if environment.is_empty() {
            return Ok(Part::default());
        }
        return Err(FieldErrors::one("project", "Choose the project of this environment too.").into());
    }
    let projects = tx.projects(workspace.id).await?;
    let found = projects
        .into_iter()
        .map(|record| record.project)
        .find(|p| p.name.as_str() == project && caller.role_in_project(workspace.id, p.id).is_some())
        .ok_or_else(|| FieldErrors::one("project", format!("There is no project {project:?}. Choose another.")))?;
    let mut part = Part {
        project: Some(found.id),
        environment: None,
    };
    if !environment.is_empty() {
        let environments = tx.environments(found.id).await?;
        let there = environments.into_iter().find(|e| e.name.as_str() == environment);
        let why = || format!("{project} has no environment {environment:?}. Choose one of its own.");
        part.environment = Some(there.ok_or_else(|| FieldErrors::one("environment", why()))?.id);
    }
    Ok(part)
}

/// `myapp / production`; `None` for the whole workspace.
fn scope_words(project: Option<&String>, environment: Option<&String>) -> Option<String> {
    match (project, environment) {
        (Some(project), Some(environment)) => Some(format!("{project} / {environment}")),
        (Some(project), None) => Some(project.clone()),
        (None, _) => None,
    }
}

/// Who makes a token.
struct Maker<'a> {
    actor: &'a Actor,
    person: Option<UserId>,
}

/// Makes a token for who has the database in hand and so may do everything, beside a running server or without one; makes the workspace too, when asked to.
/// Without a name it is the only workspace that there is.
///
/// # Errors
/// When there is no such workspace, when several could be meant, or when the name is taken or malformed.
pub async fn create_token_here(
    store: &dyn Store,
    clock: &dyn Clock,
    ids: &dyn Ids,
    workspace: Option<&str>,
    create_workspace: bool,
    new: &NewToken<'_>,
) -> Result<(Workspace, SecretString), AppError> {
    let mut tx = store.write().await?;
    tx.entered_by(&Entrance::by(Door::CommandLine));
    let mut all = tx.workspaces().await?;
    let workspace = match workspace {
        Some(name) => match all.into_iter().find(|w| w.name.as_str() == name) {
            Some(found) => found,
            None if create_workspace => {
                let name: Name = name.parse().map_err(|e: domain::name::NameError| {
                    AppError::from(FieldErrors::one("workspace", e.to_string()))
                })?;
                let workspace = Workspace {
                    id: WorkspaceId(ids.next()),
                    name,
                };
                member::create_workspace(&mut *tx, &workspace, None, clock.now()).await?;
                workspace
            }
            None => return Err(no_workspace(name)),
        },
        None => match (all.pop(), all.is_empty()) {
            (Some(only), true) => only,
            (None, _) => {
                let why = "There is no workspace yet. Name one with --workspace and add --create-workspace.";
                return Err(AppError::NotFound(why.into()));
            }
            (Some(_), false) => {
                return Err(AppError::Conflict(
                    "There are several workspaces. Name one with --workspace.".into(),
                ));
            }
        },
    };
    let maker = Maker {
        actor: &Actor::Waybill,
        person: None,
    };
    let token = insert_token(&mut *tx, clock, ids, workspace.id, maker, new, Part::default()).await?;
    tx.commit().await?;
    Ok((workspace, token))
}

async fn insert_token(
    tx: &mut dyn Tx,
    clock: &dyn Clock,
    ids: &dyn Ids,
    workspace: WorkspaceId,
    maker: Maker<'_>,
    new: &NewToken<'_>,
    part: Part,
) -> Result<SecretString, AppError> {
    let name: Name = new
        .name
        .parse()
        .map_err(|e: domain::name::NameError| AppError::from(FieldErrors::one("name", e.to_string())))?;
    let text = make()?;
    let now = clock.now();
    let token = ApiToken {
        id: TokenId(ids.next()),
        workspace,
        name: name.to_string(),
        role: new.role,
        hash: hash_token(text.expose_secret()),
        created_at: now,
        expires_at: new.expires_in_millis.map(|millis| now.plus_millis(millis)),
        last_used_at: None,
        revoked_at: None,
        project: part.project,
        environment: part.environment,
        made_by: maker.person,
    };
    tx.insert_token(&token).await.map_err(|error| match error {
        StoreError::Exists => {
            FieldErrors::one("name", format!("There is a token {name} already. Choose another name.")).into()
        }
        other => AppError::from(other),
    })?;
    let happened = Happened::TokenCreated {
        name: token.name,
        role: new.role.to_string(),
    };
    let event = NewEvent {
        workspace,
        subject: Subject {
            project: part.project,
            environment: part.environment,
            ..Subject::default()
        },
        actor: maker.actor.clone(),
        happened,
    };
    tx.append_event(&event, now).await?;
    Ok(text)
}

fn no_workspace(name: &str) -> AppError {
    AppError::NotFound(format!(
        "There is no workspace {name:?}. Correct the name, or make it (waybill apply does, and waybill token create --create-workspace)."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        assert_eq!(parse_span("90d"), Ok(90 * 86_400_000));
        assert_eq!(parse_span("2w"), Ok(14 * 86_400_000));
        assert_eq!(parse_span("30m"), Ok(1_800_000));
        for bad in [
            "",
            "d",
            "90",
            "-1d",
            "1.5d",
            "0d",
            "9999999999999999999w",
            "4000w",
            "1é",
            "é",
        ] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_long_random_and_hashed() {
        let (a, b) = (make().unwrap(), make().unwrap());
        assert_ne!(a.expose_secret(), b.expose_secret());
        assert_eq!(a.expose_secret().len(), 46);
        assert!(a.expose_secret().starts_with("wb_"));
        assert_eq!(
            hash_token("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
