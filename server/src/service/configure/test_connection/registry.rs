//! Trying a registry: reach it, sign in, and look for an image that is known to be there.

use crate::{
    ports::{
        image_copy::{CopyEnd, ImageCopier},
        registry::{Registry, RegistryAccess, RegistryError},
    },
    service::configure::test_connection::{Steps, failed, fine, unsure},
};
use domain::artifact::{Digest, Repository};

/// Repositories that are read.
const MOST: usize = 5;
const REACH: &str = "Reach the registry";
const SIGN_IN: &str = "Sign in to the registry";

pub(crate) async fn look(
    registry: &dyn Registry,
    access: &RegistryAccess,
    host: &str,
    images: &[(Repository, Option<Digest>)],
    steps: &mut Steps,
) {
    let user = access.credentials.as_ref().map(|(user, _)| user.as_str());
    let checked = registry.check(access, host).await;
    // Who can't be reached has no images to read. Whatever else the registry says of itself, reading an image is what the work does.
    let mut read = Vec::new();
    if !matches!(checked, Err(RegistryError::Unreachable { .. })) {
        for (repository, digest) in images.iter().take(MOST) {
            let found = read_image(registry, access, repository, digest.as_ref()).await;
            read.push((repository, found));
        }
    }
    let is_read = read.iter().any(|(_, found)| found.is_ok());
    match checked {
        Err(RegistryError::Unauthorized { .. }) if !is_read => {
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
        Err(other) if !is_read => {
            let hint = if access.plain_http {
                " If it speaks HTTPS, don't choose plain HTTP."
            } else {
                ""
            };
            failed(steps, REACH, format!("{other}{hint}"));
            return;
        }
        Ok(()) | Err(_) => {
            fine(steps, REACH, format!("{host} answers."));
            let who = user.map_or("Without a user.".to_owned(), |user| format!("As {user}."));
            fine(steps, SIGN_IN, who);
        }
    }
    for (repository, found) in read {
        let what = format!("Read {repository}");
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

/// Begins an upload where images are copied to, and uploads nothing.
pub(crate) async fn try_to_push(
    copier: &dyn ImageCopier,
    access: Option<&RegistryAccess>,
    targets: &[Repository],
    steps: &mut Steps,
) {
    let Some(access) = access else {
        for target in targets.iter().take(MOST) {
            let words = "Images are copied to it, and nobody may push. Give a user and password under Push.";
            failed(steps, format!("Push to {target}"), words);
        }
        return;
    };
    let user = access
        .credentials
        .as_ref()
        .map(|(user, _)| user.as_str())
        .unwrap_or_default();
    if targets.is_empty() {
        let words = "No cluster and no environment copies images to it yet, so no upload was tried.";
        unsure(steps, "Push", words);
    }
    for target in targets.iter().take(MOST) {
        let what = format!("Push to {target}");
        let end = CopyEnd {
            access: access.clone(),
            repository: target.clone(),
        };
        match copier.may_push(&end).await {
            Ok(()) => fine(steps, what, format!("{user} may push. Nothing was uploaded.")),
            Err(RegistryError::Unauthorized { .. }) => {
                let words = format!("It refused {user}: check user and password, or give this user the right to push.");
                failed(steps, what, words);
            }
            Err(other) => failed(steps, what, other.to_string()),
        }
    }
}

/// Reads an image as following it does: the list of tags, then a manifest with its configuration. Within, what is wrong although the
/// registry answers.
async fn read_image(
    registry: &dyn Registry,
    access: &RegistryAccess,
    repository: &Repository,
    digest: Option<&Digest>,
) -> Result<Result<String, String>, RegistryError> {
    let tags = registry.tags(access, repository).await?;
    if let Some(digest) = digest {
        return Ok(match registry.describe(access, repository, digest).await? {
            Some(_) => Ok(format!("It holds {}.", digest.short())),
            None => Err(format!("It doesn't hold {}, which Git says runs.", digest.short())),
        });
    }
    Ok(match tags.len() {
        0 => Err("There is no such repository, or it has no tags.".to_owned()),
        1 => Ok("It has one tag.".to_owned()),
        count => Ok(format!("It has {count} tags.")),
    })
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
        "Its certificate isn't one that the machine trusts: paste its authority's certificate under Certificates."
    } else {
        "Check the host, the port and the network."
    };
    format!("{host} could not be reached: {reason}. {advice}")
}
