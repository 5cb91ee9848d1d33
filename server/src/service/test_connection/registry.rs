//! Trying a registry: reach it, sign in, and look for an image that is known to be there.

use super::{OnCluster, Steps, failed, fine, unsure};
use crate::{
    adapters::registry::{Registry, RegistryAccess, RegistryError},
    store::ClusterRecord,
};

/// Repositories that are read.
const MOST: usize = 5;

const REACH: &str = "Reach the registry";
const SIGN_IN: &str = "Sign in to the registry";

pub(super) async fn look(
    registry: &dyn Registry,
    access: &RegistryAccess,
    record: &ClusterRecord,
    on: &OnCluster,
    steps: &mut Steps,
) {
    let host = record.cluster.registry.as_str();
    if host.is_empty() {
        unsure(steps, "Registry", "The cluster names none, so none was tried.");
        return;
    }
    let user = access.credentials.as_ref().map(|(user, _)| user.as_str());
    match registry.check(access, host).await {
        Ok(()) => {
            fine(steps, REACH, format!("{host} answers."));
            let who = user.map_or("Without a user.".to_owned(), |user| format!("As {user}."));
            fine(steps, SIGN_IN, who);
        }
        Err(RegistryError::Unauthorized { .. }) => {
            fine(steps, REACH, format!("{host} answers."));
            let words = match user {
                Some(user) => format!("It refused {user}: check user and password, or whether the token has ended."),
                None => "It asks for a sign-in: give a user and password.".to_owned(),
            };
            failed(steps, SIGN_IN, words);
            return;
        }
        Err(RegistryError::Unreachable { reason, .. }) => {
            failed(steps, REACH, unreachable(host, &reason, access.plain_http));
            return;
        }
        Err(other) => {
            let hint = if access.plain_http {
                " If it speaks HTTPS, don't choose plain HTTP."
            } else {
                ""
            };
            failed(steps, REACH, format!("{other}{hint}"));
            return;
        }
    }
    if on.images.is_empty() {
        let words = "No resource on this cluster takes its image from it, so no repository was read.";
        unsure(steps, "Images", words);
    }
    for (repository, digest) in on.images.iter().take(MOST) {
        let what = format!("Read {repository}");
        let found = match digest {
            Some(digest) => registry
                .exists(access, repository, digest)
                .await
                .map(|there| match there {
                    true => Ok(format!("It holds {}.", digest.short())),
                    false => Err(format!("It doesn't hold {}, which Git says runs.", digest.short())),
                }),
            None => registry.tags(access, repository).await.map(|tags| match tags.len() {
                0 => Err("There is no such repository, or it has no tags.".to_owned()),
                1 => Ok("It has one tag.".to_owned()),
                count => Ok(format!("It has {count} tags.")),
            }),
        };
        match found {
            Ok(Ok(words)) => fine(steps, what, words),
            Ok(Err(words)) => failed(steps, what, words),
            Err(RegistryError::Unauthorized { .. }) => {
                let words = match user {
                    Some(user) => format!("{user} may not read it. Give this user the right to pull."),
                    None => "It may not be read without a user. Give a user and password.".to_owned(),
                };
                failed(steps, what, words);
            }
            Err(other) => failed(steps, what, other.to_string()),
        }
    }
}

fn unreachable(host: &str, reason: &str, plain_http: bool) -> String {
    let lower = reason.to_ascii_lowercase();
    // What TLS makes of an answer in plain HTTP.
    let is_plain = [
        "corrupt",
        "invalid message",
        "wrong version",
        "not tls",
        "invalidcontenttype",
    ]
    .iter()
    .any(|word| lower.contains(word));
    let advice = if is_plain && !plain_http {
        "It seems to speak plain HTTP: choose that, or correct the port."
    } else if lower.contains("certificate") || lower.contains("unknownissuer") {
        "Its certificate isn't one that the machine trusts: add its authority to the system's certificates where Waybill runs."
    } else {
        "Check the host, the port and the network."
    };
    format!("{host} could not be reached: {reason}. {advice}")
}
