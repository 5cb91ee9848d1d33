//! Trying a GitOps repository: reach it, sign in, read each environment's values file, and ask to push.

use crate::{
    ports::git::{Credentials, Git, GitError, Probe, RepositoryAccess, Unprobed},
    service::configure::test_connection::{Steps, failed, fine, unsure},
};
use domain::{
    environment::{Environment, Project},
    key::Key,
};

pub(crate) async fn look(
    git: &dyn Git,
    access: &RepositoryAccess,
    project: &Project,
    environments: &[Environment],
    steps: &mut Steps,
) {
    let paths: Vec<String> = environments.iter().map(|e| project.values_path(&e.key)).collect();
    match git.probe(access, &paths, &project.values_prefix).await {
        Err(why) => not_read(&why, access, project, steps),
        Ok(probe) => read(probe, access, project, &paths, steps),
    }
}

const REACH: &str = "Reach the server";
const SIGN_IN: &str = "Sign in";
const REPOSITORY: &str = "Repository";

/// With one full stop, whatever it ends with.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

fn signed_in(access: &RepositoryAccess) -> String {
    match &access.credentials {
        Credentials::None => "Without credentials.".into(),
        Credentials::UserToken { user, .. } => format!("As {user}."),
        Credentials::SshKey { .. } => "With the key.".into(),
    }
}

fn branch(project: &Project) -> String {
    format!("Branch {}", project.branch)
}

/// What came before the trouble works.
fn not_read(why: &Unprobed, access: &RepositoryAccess, project: &Project, steps: &mut Steps) {
    match &why.error {
        GitError::Unreachable { url, reason } => {
            let words = format!("{url} could not be reached: {reason}. Check the address and the network.");
            failed(steps, REACH, words);
        }
        GitError::Busy { url, reason } => {
            let words = format!("{url} {reason}. Try again in a moment; if it stays so, ask whoever runs that server.");
            failed(steps, REACH, words);
        }
        GitError::Moved { to, .. } => {
            let words = format!("The repository moved to {to}. Change the project's repository to this address.");
            failed(steps, REPOSITORY, words);
        }
        GitError::Empty { branch: name, .. } => {
            fine(steps, REACH, "It answers.");
            fine(steps, SIGN_IN, signed_in(access));
            let words = format!(
                "The repository is empty. The first resource that is created makes the branch {name}. Whether these credentials may \
                 push is known then."
            );
            unsure(steps, branch(project), words);
        }
        GitError::Unauthorized { reason, .. } => {
            fine(steps, REACH, "It answers.");
            let advice = match (&access.credentials, reason.to_ascii_lowercase()) {
                (_, reason) if reason.contains("host key") => {
                    "Give the lines of known_hosts that belong to the server, or correct them."
                }
                (Credentials::None, _) => "Enter a user and token, or a key.",
                (Credentials::UserToken { .. }, _) => "Check that the token is valid and may read this repository.",
                (Credentials::SshKey { .. }, _) => {
                    "Check that the key is in OpenSSH form without a passphrase, and that the server knows its public half."
                }
            };
            failed(steps, SIGN_IN, format!("It was refused: {reason}. {advice}"));
        }
        GitError::NotFound { what, .. } if what.starts_with("Branch") => {
            fine(steps, REACH, "It answers.");
            fine(steps, SIGN_IN, signed_in(access));
            let there = match why.branches.as_slice() {
                [] => format!(
                    "There is no such branch, and no other. Push a first commit to {}.",
                    project.branch
                ),
                names => format!("There is no such branch. There are: {}.", names.join(", ")),
            };
            failed(steps, branch(project), there);
        }
        GitError::NotFound { what, url } => {
            fine(steps, REACH, "It answers.");
            let also = match access.credentials {
                Credentials::None => "it is private, and signing in is needed",
                _ => "these credentials may not see it",
            };
            let words = format!("{what} was not found at {url}. Check the path; servers say so, too, when {also}.");
            failed(steps, REPOSITORY, words);
        }
        other => failed(steps, REPOSITORY, other.to_string()),
    }
}

/// A service's key, with a name for its resource where the key can't be that.
fn with_name(key: &str) -> String {
    let suggested = key.parse::<Key>().ok().and_then(|key| key.suggested_name());
    match suggested {
        Some(name) if name.as_str() != key => format!("{key} (name it {name}, with the key {key})"),
        _ => key.to_owned(),
    }
}

fn read(probe: Probe, access: &RepositoryAccess, project: &Project, paths: &[String], steps: &mut Steps) {
    fine(steps, REACH, "It answers.");
    fine(steps, SIGN_IN, signed_in(access));
    let short = probe.tip.get(..7).unwrap_or(&probe.tip);
    fine(steps, branch(project), format!("It is at {short}."));
    if paths.is_empty() {
        unsure(
            steps,
            "Values files",
            "The project has no environment yet, so there is none to look for.",
        );
    }
    let mut refusals = probe.refusals.into_iter();
    let mut is_declared = false;
    for (path, file) in paths.iter().zip(probe.files) {
        let refused = refusals.next().unwrap_or_default();
        match file {
            Ok(Some(_)) if !refused.is_empty() => {
                failed(
                    steps,
                    path,
                    format!(
                        "A promotion into it would be refused. {}",
                        refused.iter().map(|why| sentence(why)).collect::<Vec<_>>().join(" ")
                    ),
                );
            }
            Ok(Some(services)) if services.is_empty() => {
                let key = match project.values_prefix.as_str() {
                    "" => "services".to_owned(),
                    prefix => format!("{prefix}.services"),
                };
                unsure(steps, path, format!("It is there, and declares nothing below {key}."));
            }
            Ok(Some(services)) => {
                is_declared = true;
                let names: Vec<String> = services.iter().map(|service| with_name(&service.name)).collect();
                fine(steps, path, format!("It declares {}.", names.join(", ")));
            }
            Ok(None) => {
                let words = "There is no such file on the branch. If that is not meant, correct the path template. Waybill makes \
                             the file only when a person says so in the form of a promotion.";
                unsure(steps, path, words);
            }
            Err(GitError::Values { reason, .. }) => failed(steps, path, sentence(&reason)),
            Err(other) => failed(steps, path, other.to_string()),
        }
    }
    if is_declared {
        let words = "Connecting starts nothing. `waybill apply` adopts what these files declare as it stands; the form of a new resource shows \
                     what it would change before it does.";
        fine(steps, "What would start", words);
    }
    let tried = "Whether rules of the branch let a commit in is only known when it is tried.";
    match probe.push {
        Ok(()) => fine(
            steps,
            "Push",
            format!("The server lets these credentials push. {tried}"),
        ),
        Err(GitError::Unauthorized { reason, .. } | GitError::Refused { reason }) => {
            let words =
                format!("Reading works, pushing is refused: {reason}. Give the credentials the right to write.");
            failed(steps, "Push", words);
        }
        Err(GitError::NotFound { .. }) => {
            let words = "Reading works, but the server says there is nothing to push to: these credentials may not write. \
                         Give them the right to.";
            failed(steps, "Push", words);
        }
        Err(other) => unsure(
            steps,
            "Push",
            format!("Reading works. Pushing could not be asked about: {other} It is known when it is tried."),
        ),
    }
}
