//! *Edit policy*: what an environment asks for, as text that people write; the same as below `policy` in the document of
//! `waybill apply`.

use crate::{
    calendar, nesting,
    service::{
        context::{Services, internal},
        reach::{self, Caller},
    },
    signature::{self, TrustedRoots},
    store::{
        NewEvent, StoreError, Tx, Waiting,
        activity::{Along, Position, Search},
    },
};
use contract::{backend::At, error::AppError, policy::PolicyView};
use domain::{
    environment::Environment,
    event::{Happened, Subject},
    field::FieldErrors,
    id::WorkspaceId,
    name::Name,
    policy::Policy,
    rights::{self, Right},
    time::Timestamp,
    told::EventKind,
};

/// Most bytes of a policy's text.
const LARGEST: usize = 32 * 1024;

/// What an environment asks for, as text and in words.
///
/// # Errors
/// When there is no such environment for the caller.
pub async fn policy(services: &Services, caller: &Caller, at: &At) -> Result<PolicyView, AppError> {
    let mut tx = services.store.read().await?;
    let place = reach::environment_place(&mut *tx, caller, at).await?;
    let policy = &place.environment.policy;
    let text = match *policy == Policy::default() {
        true => String::new(),
        false => serde_saphyr::to_string(policy).map_err(|e| internal(&e))?,
    };
    Ok(PolicyView {
        words: policy.words(),
        text,
        may_edit: rights::check(place.project.role, Right::Administer).is_ok(),
    })
}

/// Writes what an environment asks for; promotions that wait are looked at again. `before` is the text as it was read by who edited
/// it: what somebody else saved since is not written over.
///
/// # Errors
/// In the field `policy` where the text is wrong; when the caller may not; when it isn't any more what they edited.
pub async fn set_policy(
    services: &Services,
    caller: &Caller,
    at: &At,
    text: &str,
    before: Option<&str>,
) -> Result<(), AppError> {
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let place = reach::environment_place(&mut *tx, &caller, at).await?;
    rights::check(place.project.role, Right::Administer)?;
    let names: Vec<Name> = place.project.environments.iter().map(|e| e.name.clone()).collect();
    let mut environment = place.environment;
    let roots = own_roots(&mut *tx, place.project.workspace.id).await?;
    let policy = read_policy(text, &environment.name, &names, &roots)?;
    if policy == environment.policy {
        return Ok(());
    }
    // Compared by what it means: a text of the same meaning may be written in many ways.
    if before.is_some_and(|before| parse(before).ok().as_ref() != Some(&environment.policy)) {
        return Err(overtaken(&mut *tx, place.project.workspace.id, &environment).await?);
    }
    environment.policy = policy;
    tx.put_environment(&environment).await?;
    let project = place.project.record.project.id;
    let event = NewEvent {
        workspace: place.project.workspace.id,
        subject: Subject {
            project: Some(project),
            environment: Some(environment.id),
            ..Subject::default()
        },
        actor: caller.actor.clone(),
        happened: Happened::PolicyChanged {
            policy: Box::new(environment.policy),
        },
    };
    let now = services.now();
    tx.append_event(&event, now).await?;
    tx.wake_waiting(Waiting::Project(project), now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Somebody else saved meanwhile: who, when, and what holds now.
async fn overtaken(tx: &mut dyn Tx, workspace: WorkspaceId, environment: &Environment) -> Result<AppError, StoreError> {
    let newest = Search {
        workspace,
        along: Along::Kind(EventKind::PolicyChanged),
        kind: Some(EventKind::PolicyChanged),
        environment: Some(environment.id),
        actors: None,
        from: Timestamp(i64::MIN),
        before: Position {
            at: Timestamp(i64::MAX),
            sequence: i64::MAX,
        },
        limit: 1,
    };
    let who = match tx.search_events(&newest).await?.pop() {
        Some(event) => format!("{} saved another policy at {}", event.actor.name(), event.at.exact()),
        None => "Somebody saved another policy meanwhile".to_owned(),
    };
    let words = environment.policy.words();
    let what = match words.is_empty() {
        true => "It asks for nothing.".to_owned(),
        false => format!("It asks for: {}.", words.join("; ")),
    };
    Ok(AppError::Conflict(format!(
        "{who} after you began to edit. {what} Yours is not saved, and still here. Copy over what you want to keep from their version, then save again."
    )))
}

/// Reads a text as a policy, whatever it names.
fn parse(text: &str) -> Result<Policy, String> {
    if text.trim().is_empty() {
        return Ok(Policy::default());
    }
    let not_read = |why: String| format!("This is not a policy: {}.", why.trim_end_matches('.'));
    nesting::check_yaml(text).map_err(|error| not_read(error.to_string()))?;
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // The reader names types of this program, which nobody outside of it knows.
        not_read(
            error
                .to_string()
                .replace("invalid u32", "this must be a whole number, and not below 0"),
        )
    })
}

/// The names of a workspace's own trusted roots.
pub(crate) async fn own_roots(tx: &mut dyn Tx, workspace: WorkspaceId) -> Result<Vec<Name>, StoreError> {
    let roots = tx.trusted_roots(workspace).await?;
    Ok(roots.into_iter().map(|root| root.name).collect())
}

/// What is wrong with a policy, by field below `at`, for the environment `own` of a project with these environments: by itself, by the
/// calendar, by the keys and patterns in it, and by the workspace's own trusted roots.
pub(crate) fn check_policy(
    policy: &Policy,
    at: &str,
    own: &Name,
    environments: &[Name],
    roots: &[Name],
    errors: &mut FieldErrors,
) {
    policy.check(at, own, environments, errors);
    for (i, freeze) in policy.freezes.iter().enumerate() {
        if let Err((field, why)) = calendar::check(freeze) {
            errors.add(format!("{at}.freezes[{i}].{field}"), why);
        }
    }
    for (field, why) in signature::check(policy) {
        errors.add(format!("{at}.{field}"), why);
    }
    for (field, name) in signature::named_roots(policy) {
        if !TrustedRoots::is_built_in(&name) && !roots.iter().any(|root| root.as_str() == name) {
            let why = format!(
                "The workspace has no trusted root {name}. Add it under Settings, Registries, or name public or github."
            );
            errors.add(format!("{at}.{field}"), why);
        }
    }
}

/// Reads a policy as people write it.
///
/// # Errors
/// In the field `policy`: all that is wrong with it.
pub fn read_policy(text: &str, own: &Name, environments: &[Name], roots: &[Name]) -> Result<Policy, FieldErrors> {
    let wrong = |why: String| FieldErrors::one("policy", why);
    if text.len() > LARGEST {
        return Err(wrong(format!("Write at most {} KiB.", LARGEST / 1024)));
    }
    let policy = parse(text).map_err(wrong)?;
    let mut errors = FieldErrors::default();
    check_policy(&policy, "policy", own, environments, roots, &mut errors);
    if errors.is_empty() {
        return Ok(policy);
    }
    // There is one field for all of it.
    let all: Vec<String> = (errors.0.iter())
        .map(|error| format!("{}: {}", error.field.trim_start_matches("policy."), error.message))
        .collect();
    Err(wrong(all.join(" ")))
}
