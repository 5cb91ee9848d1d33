//! Commit: for each promotion one small commit on the tip of the branch, and one push for those of a repository that are ready.
//!
//! A step that was cut off is taken again: the commit is found by its trailer then, and not made twice.

use super::Outcome;
use crate::{
    ports::git::{CommitRequest, Committed, Expected, GitError, Signature},
    service::{
        Services, gates,
        reach::{self, ProjectPlace},
        sources::edit_for_promotion,
        statements,
    },
};
use contract::error::AppError;
use domain::{
    artifact::ArtifactDetails,
    commit_template,
    environment::{Environment, Project},
    gate::Approval,
    id::ResourceId,
    promotion::{Actor, Promotion, State},
    resource::Resource,
};
use reqwest::Url;
use std::{collections::HashMap, time::Duration};

/// A batch that takes longer hangs: a first fetch has ten minutes, and everything else less.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Bytes of what a label says, to stand in a commit.
const LONGEST_CLAIM: usize = 500;

/// Why no commit is made any more.
enum Shut {
    /// A gate shut, in a few words.
    Gate(String),
    /// Its digest was recalled, a sentence.
    Recall(String),
}

impl Shut {
    /// What comes of it while nothing was pushed.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Gate(what) => Outcome::held(what),
            Self::Recall(why) => Outcome::Withdrawn {
                why: why.clone(),
                commit: None,
            },
        }
    }
}

/// One outcome for each of the promotions, which are of one project, with those of one resource in their order.
pub(super) async fn run(services: &Services, promotions: &[Promotion]) -> Vec<Outcome> {
    let mut outcomes: Vec<Option<Outcome>> = promotions.iter().map(|_| None).collect();
    match tokio::time::timeout(LONGEST, try_run(services, promotions, &mut outcomes)).await {
        Ok(Ok(())) => {}
        // A fault of our own (the database): the same as an outside one that may pass.
        Ok(Err(error)) => fill(&mut outcomes, &error.to_string()),
        Err(_) => fill(&mut outcomes, "The commit hung for 15 minutes."),
    }
    fill(&mut outcomes, "The commit was not made.");
    outcomes.into_iter().flatten().collect()
}

fn fill(outcomes: &mut [Option<Outcome>], why: &str) {
    for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
        *outcome = Some(Outcome::Retry { why: why.to_owned() });
    }
}

async fn try_run(
    services: &Services,
    promotions: &[Promotion],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), AppError> {
    let Some(first) = promotions.first() else { return Ok(()) };
    let mut tx = services.store.read().await?;
    let Some(mut record) = tx.project(first.project).await? else {
        outcomes.fill_with(|| Some(super::gone("project")));
        return Ok(());
    };
    let access = reach::repository_access(services, &record)?;
    if let Ok(None) = services.git.known_tip(&access).await {
        // The first look at a repository may take minutes, in which gates may shut: they are looked at after it.
        drop(tx);
        if let Err(error) = services.git.fetch(&access).await {
            tracing::info!(%error, "a repository could not be read for the first time");
        }
        tx = services.store.read().await?;
        if let Some(newer) = tx.project(first.project).await? {
            record = newer;
        }
    }
    let place = reach::place_for_waybill(&mut *tx, record).await?;
    let resources: HashMap<ResourceId, Resource> = match promotions {
        [one] => tx
            .resource(one.resource)
            .await?
            .into_iter()
            .map(|r| (r.id, r))
            .collect(),
        _ => tx
            .resources(first.project)
            .await?
            .into_iter()
            .map(|r| (r.id, r))
            .collect(),
    };
    let switched_off = tx.switched_off(first.project).await?;
    let access = reach::repository_access(services, &place.record)?;
    let (mut requests, mut asked) = (
        Vec::with_capacity(promotions.len()),
        Vec::with_capacity(promotions.len()),
    );
    for (place_of, promotion) in promotions.iter().enumerate() {
        let environment = place.environments.iter().find(|e| e.id == promotion.environment);
        let (Some(resource), Some(environment)) = (resources.get(&promotion.resource), environment) else {
            outcomes[place_of] = Some(super::gone("resource"));
            continue;
        };
        // One resource's commits are made in the order in which they were asked for: otherwise the elder would undo the younger.
        // Its own may have been pushed, and not been recorded: that is looked for, and none is made.
        let by = tx.committed_after(promotion).await?;
        // A gate that shut since it was let through holds it still. An earlier try may have pushed it already: then it is let finish.
        let shut: Option<String> = match &promotion.commit {
            Some(_) => None,
            None if by.is_some() => None,
            None => {
                let decision =
                    gates::decide_gates(services, &mut *tx, environment, &place.environments, promotion).await?;
                let shut = (!decision.opens()).then(|| decision.waits_for().unwrap_or_default());
                match shut {
                    None if !statements::is_attested(&mut *tx, environment, promotion).await? => {
                        Some("a signed statement".to_owned())
                    }
                    shut => shut,
                }
            }
        };
        // Its digest may have been recalled since; again, an earlier try may have pushed it.
        let recalled = match &promotion.commit {
            None if by.is_none() => tx.recall_of(promotion.workspace, &promotion.image.digest).await?,
            _ => None,
        };
        let shut = match recalled {
            Some(recall) => Some(Shut::Recall(format!("Ended by a recall. {}", recall.words()))),
            None => shut.map(Shut::Gate),
        };
        if let Some(shut) = &shut
            && promotion.attempts == 0
        {
            outcomes[place_of] = Some(shut.outcome());
            continue;
        }
        let approved = match environment.policy.approvals {
            Some(_) => tx.approvals(promotion.id).await?,
            None => Vec::new(),
        };
        let image = &promotion.image;
        let artifact = tx
            .artifact(promotion.workspace, &image.repository, &image.digest)
            .await?;
        let details = artifact.and_then(|artifact| artifact.details);
        let mut request = request(services, &place, environment, resource, promotion, &approved);
        request
            .trailers
            .extend(details.as_ref().map(built_from).unwrap_or_default());
        request.held = shut.is_some() || by.is_some();
        request.retry |= by.is_some();
        if promotion.requested_by == Actor::Waybill
            && promotion.commit.is_none()
            && !promotion.creates
            && let Some(desired) = &resource.desired
        {
            // What automation asked for before may be in Git already.
            let open = tx.open_promotions(resource.id).await?;
            let earlier = open.into_iter().filter(|open| open.number < promotion.number);
            request.expects = Some(Expected {
                images: std::iter::once(desired.clone())
                    .chain(earlier.map(|open| open.placed()))
                    .collect(),
                switched_off: switched_off.contains(&resource.id),
            });
        }
        requests.push(request);
        asked.push((place_of, environment, resource, shut, by));
    }
    drop(tx);
    let done = services.git.commit_and_push_all(&access, &requests).await;
    for (((place_of, environment, resource, shut, by), request), done) in asked.into_iter().zip(&requests).zip(done) {
        if let Some(by) = by
            && let Some(commit) = made_before(&done)
        {
            outcomes[place_of] = Some(Outcome::Overtaken { by, commit });
            continue;
        }
        if let (Ok(Committed::Absent), Some(shut)) = (&done, &shut) {
            outcomes[place_of] = Some(shut.outcome());
            continue;
        }
        if let Ok(Committed::Moved) = done {
            let at = format!("{}/{}", environment.name, resource.name_in_git());
            outcomes[place_of] = Some(Outcome::Withdrawn {
                why: format!("Somebody changed {at} in Git meanwhile. What they did stays."),
                commit: None,
            });
            continue;
        }
        if let Ok(Committed::Found { commit, stands: false }) = &done
            && let Some(promotion) = promotions.get(place_of)
            && !is_followed_by_another(services, promotion).await?
        {
            let at = format!("{}/{}", environment.name, resource.name_in_git());
            outcomes[place_of] = Some(Outcome::Withdrawn {
                why: format!(
                    "Its commit {} is in Git, but somebody changed {at} since. What they did stays.",
                    short(commit)
                ),
                commit: Some(commit.clone()),
            });
            continue;
        }
        let git_only = place
            .cluster(environment)
            .is_none_or(|record| record.cluster.argocd.is_none());
        let next = if git_only { State::Succeeded } else { State::Syncing };
        outcomes[place_of] = Some(outcome(done, request, &access.branch, next));
    }
    Ok(())
}

/// The commit of an earlier try, where the branch holds one, of a promotion for which none is made any more; `None` while that can't be
/// told.
fn made_before(done: &Result<Committed, GitError>) -> Option<Option<String>> {
    match done {
        Ok(Committed::Found { commit, .. }) => Some(Some(commit.clone())),
        Ok(_) => Some(None),
        Err(error) if error.is_passing() => None,
        // Git refuses to answer, and will: the newer promotion is committed, and this one must not wait for a look.
        Err(_) => Some(None),
    }
}

/// Whether a newer promotion of the resource is on its way, which may be what the file says by now.
async fn is_followed_by_another(services: &Services, promotion: &Promotion) -> Result<bool, AppError> {
    let open = services.store.read().await?.open_promotions(promotion.resource).await?;
    Ok(open.iter().any(|other| other.number > promotion.number))
}

fn outcome(done: Result<Committed, GitError>, request: &CommitRequest, branch: &str, next: State) -> Outcome {
    let (commit, pushes, detail) = match done {
        Ok(Committed::Pushed { commit, attempts }) => {
            let detail = format!("Commit {} is on {branch}.", short(&commit));
            (commit, attempts, detail)
        }
        Ok(Committed::Found { commit, .. }) => {
            let detail = format!("Commit {} was on {branch} already.", short(&commit));
            (commit, 0, detail)
        }
        Ok(Committed::Unchanged { tip }) => {
            let paths: Vec<_> = request.edits.iter().map(|edit| edit.place.path.as_str()).collect();
            let detail = format!(
                "{} already says so at {}; no commit was needed.",
                paths.join(", "),
                short(&tip)
            );
            (tip, 0, detail)
        }
        // Of none that wasn't held, or that expects something.
        Ok(Committed::Absent | Committed::Moved) => {
            return Outcome::Retry {
                why: "The commit was not made.".into(),
            };
        }
        Err(error) if error.is_passing() => {
            return Outcome::Retry {
                why: format!("{error} Waybill tries again."),
            };
        }
        Err(error @ GitError::NoFile { .. }) => {
            return Outcome::NoFile {
                reason: error.to_string(),
            };
        }
        Err(error) => {
            return Outcome::Fail {
                reason: error.to_string(),
            };
        }
    };
    Outcome::Done {
        next,
        detail: Some(detail),
        commit: Some((commit, pushes)),
    }
}

fn request(
    services: &Services,
    place: &ProjectPlace,
    environment: &Environment,
    resource: &Resource,
    promotion: &Promotion,
    approvals: &[Approval],
) -> CommitRequest {
    let link = format!("{}/promotions/{}", services.public_url, promotion.id);
    let mut trailers = vec![("Waybill-Digest".to_owned(), promotion.image.digest.to_string())];
    if let Some(origin) = &promotion.origin {
        trailers.push((
            "Waybill-Source".into(),
            format!("{}/{}", origin.environment, origin.resource),
        ));
    }
    for Approval { by, .. } in approvals.iter().filter(|approval| approval.approves) {
        let by = format!("{} <{}>", by.name, by.email);
        trailers.push(("Approved-by".into(), by.replace(char::is_control, " ")));
    }
    trailers.push(("Waybill-Link".into(), link));
    let project = &place.record.project;
    CommitRequest {
        promotion: promotion.id,
        edits: vec![edit_for_promotion(
            place,
            environment,
            resource,
            promotion,
            &promotion.placed(),
        )],
        subject: promotion.subject(project.commit_subject.as_deref(), &environment.name, &resource.name),
        trailers,
        author: author(project, &promotion.requested_by),
        committer: waybill(),
        // The same in every try, so that the same commit is made again, and searched for far enough back.
        at: promotion.created_at.0.div_euclid(1000),
        retry: promotion.attempts > 0 || promotion.tries > 1,
        again: promotion.tries > 1,
        held: false,
        expects: None,
    }
}

/// What the image's labels say of where it was built from, as trailers: claims of its builder. What is no single line of a sensible length is left
/// out, and so is what somebody may sign in with.
fn built_from(details: &ArtifactDetails) -> Vec<(String, String)> {
    let is_plain = |text: &str| text.len() <= LONGEST_CLAIM && !text.contains(char::is_control);
    let said = [
        ("Source-Repository", details.source().and_then(without_user)),
        ("Source-Revision", details.revision().map(str::to_owned)),
    ];
    said.into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text.filter(|text| is_plain(text))?)))
        .collect()
}

/// An address without a user and password; `None` when it may hold something secret elsewhere.
fn without_user(address: &str) -> Option<String> {
    if address.contains("://") {
        let mut url = Url::parse(address).ok()?;
        let may_be_secret = url.query().is_some() || url.fragment().is_some();
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user {
            url.set_username("").ok()?;
            url.set_password(None).ok()?;
        }
        return (!may_be_secret).then(|| match has_user {
            true => url.to_string(),
            false => address.to_owned(),
        });
    }
    // `git@host:path`, as ssh has it: a user, and no password.
    let user = address.split_once('@').map_or("", |(user, _)| user);
    let is_plain = !user.contains([':', '/']) && !address.contains(['?', '#']) && address.matches('@').count() <= 1;
    is_plain.then(|| address.to_owned())
}

/// Who a commit is by.
pub(in crate::worker) fn author(project: &Project, actor: &Actor) -> Signature {
    match actor {
        Actor::Person { name, email, .. } => Signature {
            name: name.clone(),
            email: match &project.author_address {
                Some(template) => commit_template::author(template, email),
                None => email.clone(),
            },
        },
        Actor::Token { name } => Signature {
            name: name.clone(),
            email: format!("{name}@token.waybill.invalid"),
        },
        Actor::Waybill => waybill(),
    }
}

/// Waybill, as who commits.
pub(in crate::worker) fn waybill() -> Signature {
    Signature {
        name: "Waybill".into(),
        email: "waybill@waybill.invalid".into(),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_labels_say_stands_in_a_commit_as_one_line_and_without_passwords() {
        let said = |source: &str, revision: &str| {
            let labels = [
                ("org.opencontainers.image.source", source),
                ("org.opencontainers.image.revision", revision),
            ];
            let details = ArtifactDetails {
                created_at: None,
                size_bytes: 0,
                platforms: Vec::new(),
                labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            };
            built_from(&details)
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
        };
        let at = "https://git.example.com/acme/api";
        assert_eq!(said(at, "3f1c0d9e"), [at, "3f1c0d9e"]);
        assert_eq!(said("https://ci:secret@git.example.com/acme/api", ""), [at]);
        assert_eq!(said("https://git.example.com/a@b", ""), ["https://git.example.com/a@b"]);
        assert_eq!(
            said("git@git.example.com:acme/api", ""),
            ["git@git.example.com:acme/api"]
        );
        for secret in [
            "ci:secret@git.example.com:acme/api",
            "https://ci:sec/ret@git.example.com/acme/api",
            "https://git.example.com/acme/api?token=secret",
            "https://git.example.com/acme/api#secret",
            "git.example.com/acme/api?token=secret",
        ] {
            assert_eq!(said(secret, ""), [""; 0], "{secret}");
        }
        assert_eq!(said(&"x".repeat(501), "a\nWaybill-Promotion: other"), [""; 0]);
    }
}
