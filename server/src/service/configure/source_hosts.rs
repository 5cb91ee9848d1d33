//! The page *Source repositories*: hosts whose repositories' history may be read, for administrators.
//!
//! A label of an image names its repository, and anybody who builds an image writes labels. So only what is listed here is connected to, and a
//! token goes to the host that it was given for and nowhere else.

use crate::{
    service::{
        configure::apply,
        context::Services,
        reach::{self, Caller, not_found, source_token_context},
    },
    store::{NewEvent, SourceHostRecord, StoreError, Tx},
};
use contract::{
    error::AppError,
    source::{SourceHostDraft, SourceHostView, SourceHostsView},
};
use domain::{
    event::{Happened, Subject},
    field::FieldErrors,
    id::SourceHostId,
    outside, source,
};
use secrecy::{ExposeSecret as _, SecretString};

/// Hosts of a workspace, at most.
const MOST_HOSTS: usize = 50;
/// Characters of a user.
const LONGEST_USER: usize = 200;

/// The hosts that a workspace lists.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn source_hosts(services: &Services, caller: &Caller, workspace: &str) -> Result<SourceHostsView, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let hosts = tx.source_hosts(workspace.id).await?.into_iter();
    let view = |record: SourceHostRecord| SourceHostView {
        has_token: record.token.is_some(),
        added_by: record.added_by,
        added_at: record.added_at,
        // A field that is left out here is emptied the next time somebody saves the form.
        draft: SourceHostDraft {
            was: record.host.clone(),
            host: record.host,
            plain_http: record.plain_http,
            user: record.user.unwrap_or_default(),
            anonymous: false,
        },
    };
    Ok(SourceHostsView {
        workspace: workspace.name.clone(),
        hosts: hosts.map(view).collect(),
        now: services.now(),
    })
}

/// Lists a host, or changes how it is read; says what is so now.
///
/// # Errors
/// When the caller isn't an administrator there; all that is wrong with the draft, by field.
pub async fn save_source_host(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    draft: &SourceHostDraft,
    token: &SecretString,
) -> Result<String, AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let all = tx.source_hosts(workspace.id).await?;
    let before = match draft.was.as_str() {
        "" => None,
        was => Some(named(&all, was)?),
    };
    let id = before.map_or_else(|| SourceHostId(services.ids.next()), |before| before.id);
    let new = checked(services, draft, token, before, id)?;
    if before.is_none() && all.len() >= MOST_HOSTS {
        let why = format!("A workspace lists at most {MOST_HOSTS} hosts. Remove one first.");
        return Err(AppError::Conflict(why));
    }
    let record = SourceHostRecord {
        id,
        workspace: workspace.id,
        host: new.host,
        plain_http: draft.plain_http,
        user: new.login.as_ref().map(|(user, _)| user.clone()),
        token: new.login.map(|(_, token)| token),
        added_by: before.map_or_else(|| caller.actor.name().to_owned(), |before| before.added_by.clone()),
        added_at: before.map_or_else(|| services.now(), |before| before.added_at),
    };
    if before == Some(&record) {
        return Ok("No changes.".into());
    }
    tx.put_source_host(&record).await.map_err(|error| match error {
        StoreError::Exists => already(&record.host),
        other => AppError::from(other),
    })?;
    let (host, user) = (record.host.clone(), record.user.clone());
    let (happened, said) = match before {
        None => (
            Happened::SourceHostAdded {
                host: host.clone(),
                user,
            },
            format!("{host} is listed. Promotion pages now show the commits of images built from repositories there."),
        ),
        Some(before) => {
            let how = differences(before, &record);
            let said = format!("{host} is changed: {how}.");
            (Happened::SourceHostChanged { host, how }, said)
        }
    };
    tell(services, &mut *tx, &caller, &record, happened).await?;
    tx.commit().await?;
    services.wrote();
    services.kept_changes.forget(workspace.id);
    Ok(said)
}

/// Removes a host from the list, with its token.
///
/// # Errors
/// When the caller isn't an administrator there, or the host isn't listed.
pub async fn remove_source_host(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    host: &str,
) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let all = tx.source_hosts(workspace.id).await?;
    let record = named(&all, host)?;
    tx.remove_source_host(record.id).await?;
    let happened = Happened::SourceHostRemoved {
        host: record.host.clone(),
    };
    tell(services, &mut *tx, &caller, record, happened).await?;
    tx.commit().await?;
    services.wrote();
    services.kept_changes.forget(workspace.id);
    Ok(())
}

fn named<'a>(all: &'a [SourceHostRecord], host: &str) -> Result<&'a SourceHostRecord, AppError> {
    all.iter()
        .find(|record| record.host == host)
        .ok_or_else(|| not_found("source host", host))
}

fn already(host: &str) -> AppError {
    FieldErrors::one("source[host]", format!("{host} is listed already. Edit that entry.")).into()
}

/// A draft without mistakes.
struct Checked {
    host: String,
    /// User and sealed token.
    login: Option<(String, String)>,
}

/// What is to be stored, or all that is wrong with it.
fn checked(
    services: &Services,
    draft: &SourceHostDraft,
    token: &SecretString,
    before: Option<&SourceHostRecord>,
    id: SourceHostId,
) -> Result<Checked, AppError> {
    let mut errors = FieldErrors::default();
    let host = match before {
        Some(before) => before.host.clone(),
        None => match source::listed_host(&draft.host) {
            Some(host) if outside::is_forbidden(&host) => {
                errors.add("source[host]", outside::WHY);
                host
            }
            // As labels write it: without the port of the scheme.
            Some(host) => {
                let usual = if draft.plain_http { ":80" } else { ":443" };
                host.strip_suffix(usual).map_or(host.clone(), str::to_owned)
            }
            None => {
                errors.add(
                    "source[host]",
                    "Enter a host without scheme and path: github.com, git.example.com:8443.",
                );
                String::new()
            }
        },
    };
    let user = draft.user.trim();
    if user.chars().count() > LONGEST_USER || user.contains(|c: char| c.is_control() || c == ':') {
        errors.add(
            "source[user]",
            format!("Enter a user of at most {LONGEST_USER} characters without a colon."),
        );
    }
    let typed = token.expose_secret().trim();
    if typed.contains(char::is_control) {
        errors.add("secrets[source_token]", "Enter a token of one line.");
    }
    let kept = before.and_then(|before| Some((before, before.token.as_ref()?)));
    let login = match (user.is_empty(), typed.is_empty(), kept) {
        _ if draft.anonymous => None,
        (true, true, _) => None,
        (true, false, _) => {
            errors.add("source[user]", "Enter the user of this token.");
            None
        }
        (false, false, _) if errors.0.is_empty() => {
            let sealed = apply::seal(services, &source_token_context(id), &SecretString::from(typed))?;
            Some((user.to_owned(), sealed))
        }
        (false, false, _) => None,
        // What was given for an encrypted connection isn't sent over a plain one.
        (false, true, Some((before, sealed))) if before.plain_http || !draft.plain_http => {
            Some((user.to_owned(), sealed.clone()))
        }
        (false, true, Some(_)) => {
            errors.add(
                "secrets[source_token]",
                "Enter the token again: plain HTTP sends it unencrypted.",
            );
            None
        }
        (false, true, None) => {
            errors.add("secrets[source_token]", "Enter the user's token.");
            None
        }
    };
    errors.into_result()?;
    Ok(Checked { host, login })
}

/// What is different, in words that go on after a colon.
fn differences(before: &SourceHostRecord, after: &SourceHostRecord) -> String {
    let mut all = Vec::new();
    if before.plain_http != after.plain_http {
        all.push(match after.plain_http {
            true => "plain HTTP".to_owned(),
            false => "HTTPS".to_owned(),
        });
    }
    if before.user != after.user {
        all.push(match &after.user {
            Some(user) => format!("read as {user}"),
            None => "read without signing in".to_owned(),
        });
    }
    if before.token != after.token && after.token.is_some() {
        all.push("a new token".to_owned());
    }
    all.join(", ")
}

async fn tell(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    record: &SourceHostRecord,
    happened: Happened,
) -> Result<(), AppError> {
    let event = NewEvent {
        workspace: record.workspace,
        subject: Subject::default(),
        actor: caller.actor.clone(),
        happened,
    };
    tx.append_event(&event, services.now()).await?;
    Ok(())
}
