//! API tokens: made once, shown once, stored as a hash.
//!
//! A token is `wb_` and 256 random bits. That much can't be guessed, so a plain SHA-256 keeps it as well as a slow hash would,
//! and each request is checked in microseconds.

use super::{Caller, Services, apply};
use crate::{
    clock::{Clock, Ids},
    store::{ApiToken, NewEvent, Store, StoreError, Tx},
};
use app::error::AppError;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::aead::Generate as _;
use domain::{
    door::{Door, Entrance},
    environment::Workspace,
    event::{Happened, Subject},
    field::FieldErrors,
    id::{TokenId, WorkspaceId},
    name::Name,
    promotion::Actor,
    rights::{self, Right, Role},
    time::Timestamp,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// What every token begins with, so that scanners of leaked secrets can know it.
pub const PREFIX: &str = "wb_";
const RANDOM_CHARACTERS: usize = 43;

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

/// What is stored of a token: the SHA-256 of its text, hexadecimal.
#[must_use]
pub fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String can't fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn make() -> Result<SecretString, AppError> {
    let bytes = <[u8; 32]>::try_generate().map_err(|_| {
        tracing::error!("the operating system gave no random numbers");
        AppError::Internal("random numbers".into())
    })?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
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

impl Services {
    /// Makes a token in a workspace of the caller, and returns its text: the only time it can be seen.
    ///
    /// # Errors
    /// When the caller isn't an administrator there, or the name is taken or malformed.
    pub async fn create_token(
        &self,
        caller: &Caller,
        workspace: &str,
        new: &NewToken<'_>,
    ) -> Result<SecretString, AppError> {
        let (workspace, role) = caller
            .access
            .iter()
            .find(|(w, _)| w.name.as_str() == workspace)
            .ok_or_else(|| no_workspace(workspace))?;
        rights::check(*role, Right::Administer)?;
        let mut tx = self.write_as(caller).await?;
        let token = insert_token(&mut *tx, &*self.clock, &*self.ids, workspace.id, &caller.actor, new).await?;
        tx.commit().await?;
        self.wrote();
        Ok(token)
    }

    /// The caller behind a bearer token; `None` when there is no such token, or it ended or was withdrawn.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn caller_of_token(&self, bearer: &str) -> Result<Option<Caller>, AppError> {
        // What can't be a token needs no look at the database.
        if bearer.len() != PREFIX.len() + RANDOM_CHARACTERS || !bearer.starts_with(PREFIX) {
            return Ok(None);
        }
        let found = self.store.read().await?.token_by_hash(&hash(bearer)).await?;
        Ok(found
            .filter(|(token, _)| is_valid(token, self.now()))
            .map(|(token, workspace)| Caller {
                actor: Actor::Token { name: token.name },
                access: vec![(workspace, token.role)],
                entrance: Entrance::default(),
            }))
    }
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
                apply::create_workspace(&mut *tx, &workspace, None, clock.now()).await?;
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
    let token = insert_token(&mut *tx, clock, ids, workspace.id, &Actor::Waybill, new).await?;
    tx.commit().await?;
    Ok((workspace, token))
}

async fn insert_token(
    tx: &mut dyn Tx,
    clock: &dyn Clock,
    ids: &dyn Ids,
    workspace: WorkspaceId,
    actor: &Actor,
    new: &NewToken<'_>,
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
        hash: hash(text.expose_secret()),
        created_at: now,
        expires_at: new.expires_in_millis.map(|millis| now.plus_millis(millis)),
        revoked_at: None,
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
        subject: Subject::default(),
        actor: actor.clone(),
        happened,
    };
    tx.append_event(&event, now).await?;
    Ok(text)
}

fn is_valid(token: &ApiToken, now: Timestamp) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|end| now < end)
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
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
