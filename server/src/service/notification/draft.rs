//! A channel as a form asks for it, checked.

use crate::{
    adapters::{mail, notifier::Notifier},
    service::context::internal,
    store::ProjectRecord,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use contract::{error::AppError, notification::ChannelDraft};
use domain::{
    environment::Environment,
    field::FieldErrors,
    id::{EnvironmentId, ProjectId},
    name::Name,
    notification::{ChannelKind, Occasion},
};
use serde::{Deserialize, Serialize};

/// Addresses of people in one channel, at most.
const MOST_RECIPIENTS: usize = 20;
/// Stands before a webhook's key, so that people and scanners know what they found.
pub(super) const KEY_PREFIX: &str = "whsec_";
/// Characters of an address, at most.
const LONGEST: usize = 2_000;

/// Where a channel leads; kept sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Target {
    /// To an address, signed with a key.
    Webhook {
        /// The address.
        url: String,
        /// The key's bytes, base64.
        key: String,
    },
    /// To an address that takes what Slack takes.
    Slack {
        /// The address.
        url: String,
    },
    /// To people.
    Email {
        /// Their addresses.
        to: Vec<String>,
    },
}

impl Target {
    /// With a key, if it needs one; and that key as people copy it.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn with_key(self) -> Result<(Self, Option<String>), AppError> {
        match self {
            Self::Webhook { url, .. } => {
                let mut bytes = [0_u8; 32];
                getrandom::fill(&mut bytes).map_err(|e| internal(&e))?;
                let key = STANDARD.encode(bytes);
                let shown = format!("{KEY_PREFIX}{key}");
                Ok((Self::Webhook { url, key }, Some(shown)))
            }
            other => Ok((other, None)),
        }
    }
}

/// A draft in which nothing is wrong.
pub(crate) struct Checked {
    pub(crate) project: ProjectId,
    pub(crate) name: String,
    pub(crate) kind: ChannelKind,
    pub(crate) shown: String,
    pub(crate) target: Target,
    pub(crate) occasions: Vec<Occasion>,
    pub(crate) environments: Vec<EnvironmentId>,
}

/// Checks a draft against the projects that it may be for.
///
/// # Errors
/// All that is wrong, by field.
pub(crate) fn check(
    draft: &ChannelDraft,
    places: &[(ProjectRecord, Vec<Environment>)],
    notifier: &Notifier,
) -> Result<Checked, FieldErrors> {
    let mut errors = FieldErrors::default();
    let name = draft.name.trim();
    if let Err(why) = name.parse::<Name>() {
        errors.add("name", why.to_string());
    }
    let place = places
        .iter()
        .find(|(record, _)| record.project.name.as_str() == draft.project.trim());
    if place.is_none() {
        errors.add("project", "Choose a project.");
    }
    let occasions = occasions(&draft.occasions);
    if let Err(why) = &occasions {
        errors.add("occasions", *why);
    }
    let environments = match place {
        Some((_, all)) => environments(&draft.environments, all),
        None => Ok(Vec::new()),
    };
    if let Err(why) = &environments {
        errors.add("environments", why.clone());
    }
    let kind = draft.kind.parse::<ChannelKind>();
    if kind.is_err() {
        errors.add("kind", "Choose how to be told.");
    }
    let target = kind.map(|kind| parse_target(kind, draft.address.trim(), notifier));
    if let Ok(Err(why)) = &target {
        errors.add("address", why.clone());
    }
    match (place, kind, target, occasions, environments) {
        (Some((record, _)), Ok(kind), Ok(Ok((shown, target))), Ok(occasions), Ok(environments))
            if errors.is_empty() =>
        {
            Ok(Checked {
                project: record.project.id,
                name: name.to_owned(),
                kind,
                shown,
                target,
                occasions,
                environments,
            })
        }
        _ => Err(errors),
    }
}

/// The parts of a list that people write.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn occasions(text: &str) -> Result<Vec<Occasion>, &'static str> {
    let mut found = Vec::new();
    for part in parts(text) {
        let occasion = part.parse::<Occasion>().map_err(|_| "Choose from those offered.")?;
        if !found.contains(&occasion) {
            found.push(occasion);
        }
    }
    match found.is_empty() {
        true => Err("Choose at least one event to be told of."),
        false => Ok(found),
    }
}

fn environments(text: &str, all: &[Environment]) -> Result<Vec<EnvironmentId>, String> {
    let mut found = Vec::new();
    for part in parts(text) {
        let Some(environment) = all.iter().find(|e| e.name.as_str() == part) else {
            let known: Vec<&str> = all.iter().map(|e| e.name.as_str()).collect();
            return Err(format!(
                "There is no environment {part:?} in this project. It has {}.",
                known.join(", ")
            ));
        };
        if !found.contains(&environment.id) {
            found.push(environment.id);
        }
    }
    Ok(found)
}

/// What is shown of an address, and where it leads.
fn parse_target(kind: ChannelKind, address: &str, notifier: &Notifier) -> Result<(String, Target), String> {
    if address.is_empty() {
        return Err(match kind {
            ChannelKind::Email => "Write at least one e-mail address.",
            _ => "Write the address to send to.",
        }
        .to_owned());
    }
    if address.chars().count() > LONGEST {
        return Err(format!("Use at most {LONGEST} characters."));
    }
    if kind == ChannelKind::Email {
        if notifier.mail.is_none() {
            return Err("This server can't send e-mail: smtp.host is not set in its configuration.".to_owned());
        }
        let to: Vec<String> = parts(address).map(str::to_owned).collect();
        if to.len() > MOST_RECIPIENTS {
            return Err(format!(
                "Use at most {MOST_RECIPIENTS} addresses; a mailing list takes more."
            ));
        }
        if let Some(wrong) = to.iter().find(|one| !mail::is_address(one)) {
            return Err(format!(
                "{wrong:?} is no e-mail address. Write them like ada@example.com."
            ));
        }
        return Ok((to.join(", "), Target::Email { to }));
    }
    let url = notifier.outbound.check(address).map_err(|e| e.to_string())?;
    let host = url.host_str().unwrap_or_default();
    let shown = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let url = url.to_string();
    Ok(match kind {
        ChannelKind::Webhook => (
            shown,
            Target::Webhook {
                url,
                key: String::new(),
            },
        ),
        _ => (shown, Target::Slack { url }),
    })
}
