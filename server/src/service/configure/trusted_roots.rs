//! Trusted roots: an administrator says whose certificates count for keyless signatures, beside those that are built in.

use crate::{
    service::{
        context::Services,
        reach::{self, Caller},
    },
    signature::{RootContents, TrustedRoot, TrustedRoots, named_roots},
    store::{NewEvent, StoreError, TrustedRootRecord, Tx, Waiting},
};
use contract::{connection::TrustedRootView, error::AppError};
use domain::{
    event::{Happened, Subject},
    field::FieldErrors,
    id::WorkspaceId,
    name::Name,
};

/// Roots of a workspace, at most.
const MOST: usize = 20;

/// The roots that policies of a workspace may name, those that are built in first.
pub(super) async fn trusted_roots(tx: &mut dyn Tx, workspace: WorkspaceId) -> Result<Vec<TrustedRootView>, StoreError> {
    let built_in = TrustedRoots::built_in();
    let mut views: Vec<TrustedRootView> = (built_in.all())
        .map(|(name, root)| TrustedRootView {
            name: name.to_owned(),
            trusts: words(root),
            given_at: None,
        })
        .collect();
    views.sort_by_key(|view| std::cmp::Reverse(view.name.clone()));
    for record in tx.trusted_roots(workspace).await? {
        views.push(TrustedRootView {
            trusts: words(&TrustedRoot::stored(&record.document)),
            name: record.name.to_string(),
            given_at: Some(record.created_at),
        });
    }
    Ok(views)
}

/// What a root trusts, in words.
fn words(root: &TrustedRoot) -> String {
    let Some(contents) = root.contents() else {
        return "It can't be read any more.".into();
    };
    let RootContents {
        authorities,
        logs,
        certificate_logs,
        timestamp_authorities,
    } = contents;
    let all = [
        (authorities, "certificate authority", "certificate authorities"),
        (logs, "transparency log", "transparency logs"),
        (certificate_logs, "certificate log", "certificate logs"),
        (timestamp_authorities, "timestamp authority", "timestamp authorities"),
    ];
    let words = all.map(|(count, one, many)| match count {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    });
    words.join(", ")
}

/// Adds a trusted root, or replaces the one of this name: what was proven with the former is looked for again.
///
/// # Errors
/// When the caller isn't an administrator there; what is wrong with name or document, in its field.
pub async fn save_trusted_root(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    name: &str,
    document: &str,
) -> Result<String, AppError> {
    let mut errors = FieldErrors::default();
    let named = name.trim().parse::<Name>();
    match &named {
        Err(error) => errors.add("root[name]", error.to_string()),
        Ok(name) if TrustedRoots::is_built_in(name.as_str()) => {
            errors.add("root[name]", format!("{name} is built in. Choose another name."));
        }
        Ok(_) => {}
    }
    let root = TrustedRoot::read(document);
    if let Err(why) = &root {
        errors.add("root[document]", why.clone());
    }
    let (Ok(name), Ok(root)) = (named, root) else {
        caller.administered(workspace)?;
        return Err(errors.into());
    };
    if !errors.is_empty() {
        caller.administered(workspace)?;
        return Err(errors.into());
    }
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let known = tx.trusted_roots(workspace.id).await?;
    let before = known.iter().find(|root| root.name == name);
    if before.is_none() && known.len() >= MOST {
        let why = format!("A workspace has at most {MOST} trusted roots. Remove one that no policy names.");
        return Err(FieldErrors::one("root[name]", why).into());
    }
    let (fingerprint, document) = (root.fingerprint().to_owned(), root.document().to_owned());
    if before.is_some_and(|before| before.document == document) {
        return Ok(format!("{name} holds this already."));
    }
    let said = match before {
        Some(_) => {
            format!("The trusted root {name} is replaced. What waits for keyless signatures is looked at again.")
        }
        None => format!("The trusted root {name} is added. Policies may name it."),
    };
    let now = services.now();
    let record = TrustedRootRecord {
        name: name.clone(),
        document,
        created_at: now,
    };
    tx.put_trusted_root(workspace.id, &record).await?;
    let event = NewEvent {
        workspace: workspace.id,
        subject: Subject::default(),
        actor: caller.actor.clone(),
        happened: Happened::TrustedRootSet {
            name: name.to_string(),
            fingerprint,
        },
    };
    tx.append_event(&event, now).await?;
    for project in tx.projects(workspace.id).await? {
        tx.wake_waiting(Waiting::Project(project.project.id), now).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(said)
}

/// Removes a trusted root that no policy names.
///
/// # Errors
/// When the caller isn't an administrator there; when there is no such root (any more), or a policy names it.
pub async fn remove_trusted_root(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    name: &str,
) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let known = tx.trusted_roots(workspace.id).await?;
    let Some(root) = known.into_iter().find(|root| root.name.as_str() == name) else {
        return Err(AppError::Conflict(format!(
            "There is no trusted root {name}. Somebody may have removed it meanwhile."
        )));
    };
    let mut used = Vec::new();
    for project in tx.projects(workspace.id).await? {
        for environment in tx.environments(project.project.id).await? {
            if named_roots(&environment.policy).iter().any(|(_, named)| named == name) {
                used.push(format!("{}/{}", project.project.name, environment.name));
            }
        }
    }
    if !used.is_empty() {
        return Err(AppError::Conflict(format!(
            "The policy of {} names the trusted root {name}. Change it first.",
            used.join(", ")
        )));
    }
    let now = services.now();
    tx.remove_trusted_root(workspace.id, &root.name).await?;
    let event = NewEvent {
        workspace: workspace.id,
        subject: Subject::default(),
        actor: caller.actor.clone(),
        happened: Happened::TrustedRootRemoved {
            name: root.name.to_string(),
        },
    };
    tx.append_event(&event, now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}
