//! The page *Activity*: what happened in a workspace, for its members, filtered and page by page.
//!
//! Names become ids here, and the thing with the fewest entries leads the search (`store/activity.rs`): a resource, a kind that people
//! cause, a person or program, an environment, Waybill, a kind that machines write. Where a name means several (a resource of that name in each
//! environment, everybody whose name holds a text), the newest of each are merged. Whom projects are hidden from is told what happened in the
//! environments of the others, and of the workspace itself nothing: its entries may name what is hidden.

use crate::{
    service::{
        context::Services,
        reach::{Caller, not_found},
    },
    store::{
        Tx,
        activity::{Along, Position, Search},
    },
};
use contract::{
    activity::{ActivityEntry, ActivityFilter, ActivityView},
    error::AppError,
};
use domain::{
    environment::Environment,
    event::Event,
    id::{EnvironmentId, ProjectId, ResourceId, WorkspaceId},
    name::Name,
    promotion::Actor,
    rights::{self, Right},
    time::Timestamp,
    told::EventKind,
};
use std::collections::HashMap;
use time::{Date, PrimitiveDateTime, Time, macros::format_description};

/// Entries on a page.
const PAGE: usize = 50;
/// Actors that the filter offers; any text can be typed.
const MOST_ACTORS: usize = 100;
/// How the store tells of Waybill itself, who does most.
const WAYBILL: &str = "waybill";

/// The environments of a workspace that the caller may know of, with the names of their projects. What was removed is among them: its
/// history is told under the name that it had.
struct Ground {
    projects: HashMap<ProjectId, Name>,
    /// With whether they were removed; those first that weren't.
    environments: Vec<(Name, Environment, bool)>,
    /// Whether these are all.
    is_whole: bool,
}

/// A page of what happened in a workspace.
///
/// # Errors
/// When there is no such workspace for the caller, or the database fails.
pub async fn activity(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    filter: &ActivityFilter,
) -> Result<ActivityView, AppError> {
    let (workspace, role) = caller
        .access
        .iter()
        .find(|(w, _)| w.name.as_str() == workspace)
        .ok_or_else(|| not_found("workspace", workspace))?;
    rights::check(*role, Right::View)?;
    caller.check_whole()?;
    let mut tx = services.store.read().await?;
    let ground = ground(&mut *tx, caller, workspace.id).await?;
    let may_export = ground.is_whole && rights::check(*role, Right::Export).is_ok();
    let actors = tx.actors(workspace.id).await?;
    let mut problems = Vec::new();
    let found = match understand(&mut *tx, workspace.id, filter, &ground, &actors, &mut problems).await? {
        Some((search, alongs)) => merged(&mut *tx, search, alongs).await?,
        None => Vec::new(),
    };
    let older = found
        .get(PAGE - 1)
        .filter(|_| found.len() > PAGE)
        .map(|last| format!("{}-{}", last.at.0, last.sequence));
    let mut names = HashMap::new();
    let mut entries = Vec::new();
    for event in found.into_iter().take(PAGE) {
        let resource = match event.subject.resource {
            Some(id) => resource_name(&mut *tx, &mut names, id).await?,
            None => None,
        };
        entries.push(entry(event, resource, &ground, may_export));
    }
    Ok(ActivityView {
        workspace: workspace.name.clone(),
        entries,
        older,
        problems,
        environments: ground
            .environments
            .iter()
            .filter(|(.., is_removed)| !is_removed)
            .map(|(p, e, _)| format!("{p}/{}", e.name))
            .collect(),
        // Who did something in a hidden project alone is hidden, too.
        actors: actors
            .into_iter()
            .take(if ground.is_whole { MOST_ACTORS } else { 0 })
            .collect(),
        may_export,
        now: services.now(),
    })
}

async fn ground(tx: &mut dyn Tx, caller: &Caller, workspace: WorkspaceId) -> Result<Ground, AppError> {
    let mut ground = Ground {
        projects: HashMap::new(),
        environments: Vec::new(),
        is_whole: true,
    };
    for (record, _) in tx.projects_ever(workspace).await? {
        let project = record.project;
        if caller.role_in_project(workspace, project.id).is_none() {
            ground.is_whole = false;
            continue;
        }
        let environments = tx.environments_ever(project.id).await?.into_iter();
        ground
            .environments
            .extend(environments.map(|(e, is_removed)| (project.name.clone(), e, is_removed)));
        ground.projects.insert(project.id, project.name);
    }
    ground.environments.sort_by_key(|(.., is_removed)| *is_removed);
    Ok(ground)
}

/// What a filter looks for, and along what; `None` when nothing can be so.
async fn understand(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    filter: &ActivityFilter,
    ground: &Ground,
    actors: &[String],
    problems: &mut Vec<String>,
) -> Result<Option<(Search, Vec<Along>)>, AppError> {
    let environment = match filter.env.trim() {
        "" => None,
        path => {
            let found = ground
                .environments
                .iter()
                .find(|(p, e, _)| format!("{p}/{}", e.name) == path);
            if found.is_none() {
                problems.push(format!("There is no environment {path:?}."));
            }
            Some(found.map(|(_, e, _)| e.id))
        }
    };
    let kind = match filter.kind.trim() {
        "" => None,
        word => {
            let kind = word.parse::<EventKind>().ok();
            if kind.is_none() {
                problems.push(format!("There is no kind of event {word:?}."));
            }
            Some(kind)
        }
    };
    let resources = match filter.resource.trim() {
        "" => None,
        name => {
            let ids = named(tx, ground, environment, name).await?;
            if ids.is_empty() {
                problems.push(format!("There is no resource {name:?} here."));
            }
            Some(ids)
        }
    };
    let actor = Some(filter.actor.trim().to_lowercase()).filter(|text| !text.is_empty());
    let by = actor.map(|text| {
        // The database writes A to Z small, and leaves É as it is.
        let is_meant = |actor: &&String| actor.to_lowercase().contains(&text);
        let by: Vec<_> = actors.iter().filter(is_meant).cloned().collect();
        if by.is_empty() && ground.is_whole {
            problems.push(format!("Nobody like {text:?} did anything here."));
        }
        by
    });
    let mut moment = |text: &str, end| {
        let moment = moment(text, end);
        if moment.is_none() && !text.trim().is_empty() {
            problems.push(format!(
                "{text:?} is no time. Write it like 2026-11-20 or 2026-11-20T10:04."
            ));
        }
        moment
    };
    let from = moment(&filter.from, false).unwrap_or(Timestamp(i64::MIN));
    let to = moment(&filter.to, true).unwrap_or(Timestamp(i64::MAX));
    if !problems.is_empty() {
        return Ok(None);
    }
    let (environment, kind) = (environment.flatten(), kind.flatten());
    let end = Position {
        at: to,
        sequence: i64::MAX,
    };
    let search = Search {
        workspace,
        along: Along::Time,
        kind,
        environment,
        actors: by.clone(),
        from,
        before: place(&filter.before).map_or(end, |place| place.min(end)),
        limit: i64::try_from(PAGE + 1).unwrap_or(i64::MAX),
    };
    let others = by.clone().filter(|by| by.iter().all(|actor| actor != WAYBILL));
    let rare = kind.filter(|kind| !kind.is_frequent());
    let alongs = match (resources, rare, others, environment, by, kind) {
        (Some(ids), ..) => ids.into_iter().map(Along::Resource).collect(),
        _ if !ground.is_whole => {
            let wanted = |id: &EnvironmentId| environment.is_none_or(|one| one == *id);
            let seen = ground.environments.iter().map(|(_, e, _)| e.id).filter(wanted);
            seen.map(Along::Environment).collect()
        }
        (_, Some(kind), ..) => vec![Along::Kind(kind)],
        (_, _, Some(by), ..) => by.into_iter().map(Along::Actor).collect(),
        (_, _, _, Some(id), ..) => vec![Along::Environment(id)],
        (_, _, _, _, Some(by), _) => by.into_iter().map(Along::Actor).collect(),
        (.., Some(kind)) => vec![Along::Kind(kind)],
        _ => vec![Along::Time],
    };
    Ok(Some((search, alongs)))
}

/// The resources of a name: in the environment that is asked for, or in all.
async fn named(
    tx: &mut dyn Tx,
    ground: &Ground,
    environment: Option<Option<EnvironmentId>>,
    name: &str,
) -> Result<Vec<ResourceId>, AppError> {
    let mut ids = Vec::new();
    for (_, e, _) in &ground.environments {
        if environment.is_none_or(|wanted| wanted == Some(e.id)) {
            ids.extend(tx.resources_ever_named(e.id, name).await?);
        }
    }
    Ok(ids)
}

/// The newest of all, in order; one more than a page when there is more.
async fn merged(tx: &mut dyn Tx, search: Search, alongs: Vec<Along>) -> Result<Vec<Event>, AppError> {
    let mut found = Vec::new();
    for along in alongs {
        let search = match along {
            Along::Actor(_) => Search {
                along,
                actors: None,
                ..search.clone()
            },
            along => Search {
                along,
                ..search.clone()
            },
        };
        found.extend(tx.search_events(&search).await?);
        found.sort_by_key(|event: &Event| std::cmp::Reverse((event.at, event.sequence)));
        found.truncate(PAGE + 1);
    }
    Ok(found)
}

async fn resource_name(
    tx: &mut dyn Tx,
    names: &mut HashMap<ResourceId, Option<Name>>,
    id: ResourceId,
) -> Result<Option<Name>, AppError> {
    if let Some(name) = names.get(&id) {
        return Ok(name.clone());
    }
    let name = tx.resource_ever(id).await?.map(|(resource, _)| resource.name);
    names.insert(id, name.clone());
    Ok(name)
}

fn entry(event: Event, resource: Option<Name>, ground: &Ground, with_address: bool) -> ActivityEntry {
    let (did, more) = event.happened.told();
    let environment = event
        .subject
        .environment
        .and_then(|id| ground.environments.iter().find(|(_, e, _)| e.id == id));
    ActivityEntry {
        at: event.at,
        actor: event.actor.name().to_owned(),
        actor_search: match &event.actor {
            Actor::Person { email, .. } => email.clone(),
            Actor::Token { name } => format!("token {name}"),
            Actor::Waybill => WAYBILL.into(),
        },
        did,
        more,
        project: event.subject.project.and_then(|id| ground.projects.get(&id).cloned()),
        environment: environment.map(|(_, e, _)| e.name.clone()),
        resource,
        promotion: event.subject.promotion,
        door: event.door.map(|door| door.label().to_owned()),
        address: event.address.filter(|_| with_address),
    }
}

/// `AT-SEQUENCE`, as the page before said it.
fn place(text: &str) -> Option<Position> {
    let (at, sequence) = text.rsplit_once('-')?;
    Some(Position {
        at: Timestamp(at.parse().ok()?),
        sequence: sequence.parse().ok()?,
    })
}

/// A day or a minute in UTC; its beginning, or its last millisecond.
fn moment(text: &str, end: bool) -> Option<Timestamp> {
    const DAY: i64 = 86_400_000;
    const MINUTE: i64 = 60_000;
    let text = text.trim();
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    let minute = PrimitiveDateTime::parse(text, format_description!("[year]-[month]-[day]T[hour]:[minute]"));
    let (begin, long) = match (day, minute) {
        (Ok(day), _) => (PrimitiveDateTime::new(day, Time::MIDNIGHT), DAY),
        (_, Ok(minute)) => (minute, MINUTE),
        _ => return None,
    };
    let begin = Timestamp(begin.assume_utc().unix_timestamp() * 1000);
    Some(if end { begin.plus_millis(long - 1) } else { begin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{event::Happened, plan::Health, promotion::State};

    #[test]
    fn days_and_minutes_are_read_whole() {
        assert_eq!(moment("2027-01-15", false), Some(Timestamp(1_799_971_200_000)));
        assert_eq!(moment("2027-01-15", true), Some(Timestamp(1_800_057_599_999)));
        assert_eq!(moment(" 2027-01-15T08:00 ", false), Some(Timestamp(1_800_000_000_000)));
        assert_eq!(moment("2027-01-15T08:00", true), Some(Timestamp(1_800_000_059_999)));
        for wrong in ["", "yesterday", "2027-13-01", "2027-01-15T25:00"] {
            assert_eq!(moment(wrong, false), None, "{wrong}");
        }
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        let read = place("-5-7").unwrap();
        assert_eq!((read.at, read.sequence), (Timestamp(-5), 7));
        assert_eq!(place("7"), None);
        assert_eq!(place("a-b"), None);
    }

    #[test]
    fn kinds_are_called_as_they_are_stored() {
        let some = [
            Happened::SignedIn { through: None },
            Happened::SignInFailed { email: "a@b".into() },
            Happened::TokenCreated {
                name: "ci".into(),
                role: "viewer".into(),
            },
            Happened::Applied { changes: Vec::new() },
            Happened::ResourceCreated,
            Happened::Resumed,
            Happened::LiveForgotten,
            Happened::LiveChanged {
                digests: Vec::new(),
                health: Health::Missing,
            },
            Happened::PromotionMoved {
                from: State::Queued,
                to: State::Committing,
                detail: None,
            },
            Happened::PromotionWaits { detail: String::new() },
            Happened::Committed {
                commit: String::new(),
                pushes: 1,
            },
        ];
        for happened in some {
            let stored = serde_json::to_string(&happened).unwrap();
            // PostgreSQL reads it from the beginning.
            let wanted = format!("{{\"kind\":\"{}\"", happened.kind());
            assert!(stored.starts_with(&wanted), "{stored}");
        }
    }
}
