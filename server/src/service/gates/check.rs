//! *Report a check*: CI says what it found out about a digest. The newest result of a name counts; all are kept.

use crate::{
    service::{
        context::Services,
        reach::{self, Caller, not_found},
    },
    store::{NewEvent, Tx, Waiting},
};
use contract::error::AppError;
use domain::{
    artifact::Digest,
    environment::Workspace,
    event::{Happened, Subject},
    field::FieldErrors,
    gate::{Check, CheckStatus},
    policy::check_name,
    rights::{self, Right, Role},
    time::Timestamp,
};

/// Characters of a summary or an address, at most.
const LONGEST: usize = 2_000;
/// How far ahead a reporter's clock may be, in milliseconds.
const AHEAD_MILLIS: i64 = 5 * 60 * 1000;
/// Within how many milliseconds the same without a time is taken for a repetition.
const AGAIN_MILLIS: i64 = 10 * 60 * 1000;

/// What is reported, as it came.
#[derive(Clone, Debug, Default)]
pub struct ReportedCheck {
    /// The workspace's name; needed by those who are in several.
    pub workspace: Option<String>,
    /// `sha256:` and 64 hexadecimal characters.
    pub digest: String,
    /// Its name.
    pub name: String,
    /// `pending`, `passed` or `failed`.
    pub status: String,
    /// What it found.
    pub summary: Option<String>,
    /// Where more is said.
    pub url: Option<String>,
    /// When it was so; now unless given.
    pub at: Option<Timestamp>,
}

/// Writes the result of a check, and has the promotions looked at that wait for it. The same result again changes nothing.
///
/// # Errors
/// By field where something is wrong; when the caller may not.
pub async fn report_check(services: &Services, caller: &Caller, reported: &ReportedCheck) -> Result<Check, AppError> {
    let now = services.now();
    may_report(caller, reported)?;
    let check = checked(caller, reported, now)?;
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let workspace = may_report(&caller, reported)?;
    may_change_all(&mut *tx, &caller, workspace).await?;
    let known = tx.checks(workspace.id, &check.digest).await?;
    let at = check.at;
    let same = |other: &&Check| {
        other.name == check.name
            && other.status == check.status
            && other.summary == check.summary
            && other.url == check.url
            && match reported.at {
                Some(_) => other.at == at,
                // Sent twice; what is found again later is news, where its age counts.
                None => at.millis_since(other.at) < AGAIN_MILLIS,
            }
    };
    // Known are oldest first: without a time, only the newest of the name can be the same again.
    let newest = known.iter().rev().find(|other| other.name == check.name);
    let again = match reported.at {
        Some(_) => known.iter().find(same),
        None => newest.filter(same),
    };
    if let Some(again) = again {
        return Ok(again.clone());
    }
    // The newest of a name counts. One that is later than now was timed by a clock that ran ahead: what is reported after it is newer,
    // unless it says itself when it was so.
    let mut check = check;
    if reported.at.is_none()
        && let Some(ahead) = newest.filter(|other| other.at > now)
    {
        check.at = check.at.max(ahead.at);
    }
    tx.insert_check(workspace.id, &check).await?;
    let event = NewEvent {
        workspace: workspace.id,
        subject: Subject::default(),
        actor: caller.actor.clone(),
        happened: Happened::CheckReported {
            digest: check.digest.clone(),
            name: check.name.clone(),
            status: check.status,
        },
    };
    tx.append_event(&event, now).await?;
    tx.wake_waiting(Waiting::Digest(workspace.id, &check.digest), now)
        .await?;
    tx.commit().await?;
    services.wrote();
    Ok(check)
}

fn workspace_of<'a>(caller: &'a Caller, name: Option<&str>) -> Result<(&'a Workspace, Role), AppError> {
    match (name, caller.access.as_slice()) {
        (None, [(workspace, role)]) => Ok((workspace, *role)),
        (None, []) => Err(AppError::Forbidden(
            "You are in no workspace. Ask an administrator.".into(),
        )),
        (None, _) => Err(FieldErrors::one(
            "workspace",
            "You are in several workspaces. Name the one that is meant.",
        )
        .into()),
        (Some(name), access) => {
            let found = access.iter().find(|(workspace, _)| workspace.name.as_str() == name);
            let (workspace, role) = found.ok_or_else(|| not_found("workspace", name))?;
            Ok((workspace, *role))
        }
    }
}

/// The workspace that a report is for, of a caller who may report there.
fn may_report<'a>(caller: &'a Caller, reported: &ReportedCheck) -> Result<&'a Workspace, AppError> {
    let (workspace, role) = workspace_of(caller, reported.workspace.as_deref())?;
    rights::check(role, Right::Change { protected: false })?;
    // A digest may wait in any project of the workspace.
    caller.check_whole()?;
    Ok(workspace)
}

/// A result opens gates wherever the digest waits, so a role that is less in one of the projects is less everywhere.
async fn may_change_all(tx: &mut dyn Tx, caller: &Caller, workspace: &Workspace) -> Result<(), AppError> {
    for record in tx.projects(workspace.id).await? {
        let role = caller.role_in_project(workspace.id, record.project.id);
        if role.is_none_or(|role| rights::check(role, Right::Change { protected: false }).is_err()) {
            return Err(AppError::Forbidden(
                "A check counts in all projects of the workspace, and you may not change all of them. Ask an administrator."
                    .into(),
            ));
        }
    }
    Ok(())
}

fn checked(caller: &Caller, reported: &ReportedCheck, now: Timestamp) -> Result<Check, FieldErrors> {
    let mut errors = FieldErrors::default();
    let digest: Option<Digest> = (reported.digest.parse())
        .map_err(|e: <Digest as std::str::FromStr>::Err| errors.add("digest", e.to_string()))
        .ok();
    if let Err(why) = check_name(&reported.name) {
        errors.add("name", why);
    }
    let status: Option<CheckStatus> = reported.status.parse().ok();
    if status.is_none() {
        errors.add("status", "Write pending, passed or failed.");
    }
    let mut text = |field: &str, text: &Option<String>| {
        let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if text.is_some_and(|text| text.chars().count() > LONGEST) {
            errors.add(field, format!("Use at most {LONGEST} characters."));
        }
        text.map(str::to_owned)
    };
    let (summary, url) = (text("summary", &reported.summary), text("url", &reported.url));
    let is_web = |url: &String| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty()) && !url.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    if !url.as_ref().is_none_or(is_web) {
        errors.add("url", "Give an address that begins with https:// or http://.");
    }
    let at = reported.at.unwrap_or(now);
    if at > now.plus_millis(AHEAD_MILLIS) || at < Timestamp(0) {
        errors.add(
            "at",
            "This time is yet to come. Set the reporter's clock, or leave the time out.",
        );
    }
    match (digest, status) {
        (Some(digest), Some(status)) if errors.is_empty() => Ok(Check {
            digest,
            name: reported.name.clone(),
            status,
            summary,
            url,
            at: at.min(now),
            reported_by: caller.actor.clone(),
        }),
        _ => Err(errors),
    }
}
