//! One promotion as its page shows it: the steps told from the ledger, the commit from Git.

use crate::service::{
    context::Services,
    promotion, queue,
    reach::{self, Caller, EnvironmentPlace, ProjectPlace, PromotionEver},
    sources::{self, edit_for_promotion},
    statements,
    views::{copy, statement::statement_view, tag_view},
};
use contract::{
    error::AppError,
    promotion::{CommitShown, PromotionView, StepStatus, StepView, TimelineEntry},
};
use domain::{
    artifact::{ExactImage, Tag},
    environment::Environment,
    event::{Event, Happened},
    promotion::{Promotion, Purpose, State, Step},
    resource::Resource,
    time::Timestamp,
};

/// One promotion.
///
/// # Errors
/// When there is no such promotion for the caller.
pub async fn promotion(services: &Services, caller: &Caller, id: &str) -> Result<PromotionView, AppError> {
    let mut tx = services.store.read().await?;
    let PromotionEver {
        promotion,
        place: EnvironmentPlace {
            project: place,
            environment,
        },
        resource,
        is_removed,
    } = reach::promotion_ever(&mut *tx, caller, id).await?;
    let events = tx.events_of_promotion(promotion.id).await?;
    let newest = tx.promotions_of(promotion.resource, 1).await?;
    let copy = match &promotion.copied_to {
        Some(_) => copy::of_promotion(&mut *tx, promotion.id).await?,
        None => None,
    };
    let placed = match is_decided(&promotion) {
        true => promotion.placed(),
        false => sources::placed(&mut *tx, &place, &environment, &resource, &promotion.image).await?,
    };
    let mut promotion = promotion;
    // What keeps a copy is said by the copy, which others may make; what comes after it, by the promotion.
    if promotion.state == State::Mirroring
        && let Some(copy) = copy.as_ref().filter(|copy| copy.proof.is_none())
    {
        promotion.waits_for.clone_from(&copy.problem);
    }
    let (taken_back_by, takes_back) = tx.taken_back(promotion.id).await?;
    let details = tx
        .artifact(place.workspace.id, &promotion.image.repository, &promotion.image.digest)
        .await?;
    let previous_details = match &promotion.previous {
        Some(image) => {
            tx.artifact(place.workspace.id, &image.repository, &image.digest)
                .await?
        }
        None => None,
    };
    let at = EnvironmentPlace {
        project: place,
        environment,
    };
    let (gates, may_say) = promotion::gates_for(services, &mut *tx, caller, &at, &promotion).await?;
    let EnvironmentPlace {
        project: place,
        environment,
    } = at;
    let followers = match promotion.purpose {
        Purpose::Rollback | Purpose::Pin if !is_removed && newest.first().is_some_and(|p| p.id == promotion.id) => {
            queue::describe_followers(&mut *tx, &place, promotion.resource, &promotion.placed()).await?
        }
        _ => Vec::new(),
    };
    let tags = (tx.tags_of_promotion(promotion.id).await?.into_iter())
        .map(|tag| tag_view(tag, &[], environment.tags.on_drift))
        .collect();
    let recall = tx.recall_of(place.workspace.id, &promotion.image.digest).await?;
    let statement = tx.statement(promotion.id).await?;
    let will_attest = statements::will_attest(&mut *tx, &environment, promotion.purpose).await?;
    drop(tx);
    let statement = statement.map(|of| statement_view(of, &place, promotion.state, &services.public_url));
    let keeper = match promotion.purpose {
        // What ran before is committed as it ran.
        Purpose::Rollback => None,
        _ => environment.tags.keeper(&promotion.image.digest),
    };

    let (commit, preview) = commit_or_preview(services, &place, &environment, &resource, &promotion, &placed).await;
    let no_gates = match promotion.purpose {
        _ if !gates.is_empty() => "All gates were open.",
        Purpose::Rollback if !environment.policy.is_empty() => "This rollback passed none of the environment's gates.",
        _ => "This environment has no gates.",
    };
    let git_only = place.cluster(&environment).is_none_or(|c| c.cluster.argocd.is_none());
    let may_change = place.may_change(&environment).is_ok();
    let application = place.cluster(&environment).and_then(|record| {
        let app = reach::application(record, &place.record.project.name, &environment.name)?;
        let address = reach::application_page(record, &app)?;
        Some((app.name, address))
    });
    let shown = events.iter().find_map(|event| match &event.happened {
        Happened::PromotionRequested { preview, .. } => preview.clone(),
        _ => None,
    });
    let shown_before = commit
        .as_ref()
        .zip(shown)
        .filter(|(commit, shown)| changed_lines(&commit.diff) != changed_lines(shown))
        .map(|(_, shown)| shown);
    Ok(PromotionView {
        is_removed,
        recall,
        shown_before,
        gates,
        may_say,
        may_cancel: may_change
            && (promotion.is_at_window(services.now())
                || matches!(
                    promotion.state,
                    State::Waiting | State::Queued | State::Mirroring | State::Committing
                )),
        followers,
        copy,
        tags,
        statement,
        steps: steps(
            &promotion,
            &Readied {
                placed: &placed,
                keeper: keeper.as_ref(),
                will_attest,
            },
            &events,
            git_only,
            no_gates,
        ),
        timeline: events.iter().filter_map(told).collect(),
        path: place.record.project.values_path(&environment.key),
        may_retry: promotion.state == State::Failed
            && may_change
            && newest.first().is_some_and(|newest| newest.id == promotion.id),
        requested_by: promotion.requested_by.name().to_owned(),
        // Who is for one environment isn't told the names of others.
        origin: promotion
            .origin
            .filter(|_| place.only.is_none())
            .map(|o| (o.environment, o.resource)),
        details: details.and_then(|artifact| artifact.details),
        previous_details: previous_details.and_then(|artifact| artifact.details),
        commit,
        application,
        preview,
        id: promotion.id,
        workspace: place.workspace.name,
        project: place.record.project.name,
        environment: environment.name,
        resource: resource.name,
        purpose: promotion.purpose,
        image: placed,
        previous: promotion.previous,
        state: promotion.state,
        waits_for: promotion.waits_for,
        failure: promotion.failure,
        taken_back_by,
        takes_back,
        created_at: promotion.created_at,
        ended_at: promotion.ended_at,
        now: services.now(),
    })
}

/// The commit as Git holds it, or what it would change. A page is shown also when Git can't be read.
async fn commit_or_preview(
    services: &Services,
    place: &ProjectPlace,
    environment: &Environment,
    resource: &Resource,
    promotion: &Promotion,
    placed: &ExactImage,
) -> (Option<CommitShown>, Option<String>) {
    let Ok(access) = reach::repository_access(services, &place.record) else {
        return (None, None);
    };
    if let Some(commit) = &promotion.commit {
        let shown = match services.git.show(&access, commit).await {
            // A commit that isn't this promotion's: the file said so already.
            Ok(Some(view)) if view.promotion != Some(promotion.id) => CommitShown {
                commit: view.commit,
                subject: "The values file said so already; no commit was needed.".into(),
                author: view.author,
                diff: String::new(),
                url: commit_url(&place.record.project.repository_url, commit),
            },
            Ok(Some(view)) => CommitShown {
                url: commit_url(&place.record.project.repository_url, &view.commit),
                commit: view.commit,
                subject: view.subject,
                author: view.author,
                diff: view.diff,
            },
            _ => CommitShown {
                commit: commit.clone(),
                subject: promotion.subject(
                    place.record.project.commit_subject.as_deref(),
                    &environment.name,
                    &resource.name,
                ),
                author: promotion.requested_by.name().to_owned(),
                diff: String::new(),
                url: commit_url(&place.record.project.repository_url, commit),
            },
        };
        return (Some(shown), None);
    }
    if promotion.state.is_ended() && promotion.state != State::Failed {
        return (None, None);
    }
    let edit = edit_for_promotion(place, environment, resource, promotion, placed);
    (
        None,
        services
            .git
            .preview(&access, &[edit])
            .await
            .ok()
            .map(|difference| difference.text),
    )
}

/// The lines that a unified diff takes away and adds, without where: that moves with others' commits.
fn changed_lines(diff: &str) -> Vec<&str> {
    let is_change = |line: &&str| {
        (line.starts_with('+') && !line.starts_with("+++ ")) || (line.starts_with('-') && !line.starts_with("--- "))
    };
    diff.lines().filter(is_change).collect()
}

/// Where a browser shows a commit, for hosts whose addresses are known: GitHub, GitLab, Gitea and Forgejo (Codeberg).
fn commit_url(repository: &str, commit: &str) -> Option<String> {
    let rest = repository.strip_prefix("https://")?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let base = rest.strip_suffix(".git").unwrap_or(rest).trim_end_matches('/');
    let host = base.split('/').next()?;
    match host {
        "github.com" | "codeberg.org" => Some(format!("https://{base}/commit/{commit}")),
        _ if host.starts_with("gitea.") || host.starts_with("forgejo.") => {
            Some(format!("https://{base}/commit/{commit}"))
        }
        _ if host == "gitlab.com" || host.starts_with("gitlab.") => Some(format!("https://{base}/-/commit/{commit}")),
        _ => None,
    }
}

/// What the registry is made ready with before the commit.
struct Readied<'a> {
    /// The image where it will be pulled from.
    placed: &'a ExactImage,
    /// The tag that keeps it there.
    keeper: Option<&'a Tag>,
    /// Whether a signed statement is hung on it.
    will_attest: bool,
}

impl Readied<'_> {
    /// In words, before it is done; `None` when nothing is.
    fn words(&self, image: &ExactImage) -> Option<String> {
        let copies = self.placed.repository != image.repository;
        let copies = copies.then(|| format!("copies the image to {}", self.placed.repository));
        let image = |is_named: bool| if is_named { "it" } else { "the image" };
        let keeps = self
            .keeper
            .map(|tag| format!("gives {} the tag {tag} to keep it", image(copies.is_some())));
        let is_named = copies.is_some() || keeps.is_some();
        let attests = (self.will_attest).then(|| format!("hangs a signed statement on {}", image(is_named)));
        let all: Vec<String> = [copies, keeps, attests].into_iter().flatten().collect();
        let (last, others) = all.split_last()?;
        let mut words = match others.is_empty() {
            true => format!("{last}."),
            false => format!("{} and {last}.", others.join(", ")),
        };
        if let Some(first) = words.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Some(words)
    }
}

/// The steps, with their times from the ledger. After a retry the newest try is told.
fn steps(
    promotion: &Promotion,
    ready: &Readied<'_>,
    events: &[Event],
    git_only: bool,
    no_gates: &str,
) -> Vec<StepView> {
    let mut began: Vec<(Step, Timestamp)> = Vec::new();
    let mut ended: Vec<(Step, Timestamp, Option<String>)> = Vec::new();
    let enter = |began: &mut Vec<(Step, Timestamp)>, state: State, at| {
        if let Some(step) = state.step() {
            began.retain(|(s, _)| *s < step);
            began.push((step, at));
        }
    };
    let first = match promotion.purpose {
        Purpose::Rollback if promotion.tries == 1 => State::Committing,
        _ => State::Queued,
    };
    enter(&mut began, first, promotion.created_at);
    let mut given_up: Option<(Step, Option<String>)> = None;
    for event in events {
        if let Happened::PromotionLiveAfterAll { evidence, .. } = &event.happened {
            // The step that was given up came to its end by itself, and so did those after it.
            if let Some((_, _, detail)) = ended.last_mut() {
                *detail = None;
            }
            if !ended.iter().any(|(step, ..)| *step == Step::Verify) {
                began.push((Step::Verify, event.at));
                ended.push((Step::Verify, event.at, None));
            }
            if let Some((_, at, detail)) = ended.last_mut() {
                (*at, *detail) = (event.at, Some(evidence.clone()));
            }
            continue;
        }
        let Happened::PromotionMoved { from, to, detail } = &event.happened else {
            continue;
        };
        match (from.step(), to) {
            // Given up at this step: it was begun, and is not done.
            (Some(step), State::Superseded | State::Cancelled | State::Rejected) => {
                given_up = Some((step, detail.clone()));
            }
            (Some(step), _) => {
                ended.retain(|(s, ..)| *s < step);
                ended.push((step, event.at, detail.clone()));
            }
            (None, _) => {
                ended.clear();
                began.clear();
            }
        }
        enter(&mut began, *to, event.at);
    }
    let is_open = !is_decided(promotion);
    let will = ready.words(&promotion.image).filter(|_| is_open);
    Step::ALL
        .into_iter()
        .map(|step| {
            let began_at = began.iter().find(|(s, _)| *s == step).map(|(_, at)| *at);
            let end = ended.iter().find(|(s, ..)| *s == step);
            let now = promotion.state.step() == Some(step);
            let failed = promotion.failure.as_ref().filter(|failure| failure.step == step);
            let status = match () {
                () if now => StepStatus::Now,
                () if promotion.state == State::Failed && failed.is_some() => StepStatus::Failed,
                () if began_at.is_some() && end.is_some() => StepStatus::Done,
                () if step == Step::Mirror && will.is_some() => StepStatus::ToDo,
                () if matches!(step, Step::Gates | Step::Mirror) => StepStatus::Skipped,
                () if step == Step::Resolve && first == State::Committing => StepStatus::Skipped,
                () if git_only && matches!(step, Step::Sync | Step::Verify) => StepStatus::Skipped,
                () if promotion.state.is_ended() => StepStatus::Skipped,
                () => StepStatus::ToDo,
            };
            let note = match status {
                StepStatus::Now => promotion.waits_for.clone(),
                StepStatus::Failed => failed.map(|failure| failure.reason.clone()),
                StepStatus::Done => end.and_then(|(.., detail)| detail.clone()),
                StepStatus::Skipped => match &given_up {
                    Some((at, why)) if *at == step => why.clone(),
                    _ => skipped(step, git_only, no_gates),
                },
                StepStatus::ToDo if step == Step::Mirror => will.clone(),
                StepStatus::ToDo => None,
            };
            let ended_at = if now {
                None
            } else {
                began_at.and(end.map(|(_, at, _)| *at))
            };
            StepView {
                step,
                status,
                began_at,
                ended_at,
                note,
            }
        })
        .collect()
}

/// Why a step was passed over; `no_gates` is that for the gates.
/// Whether it is decided where the image is pulled from: when it is resolved, and of what ran before from the beginning.
fn is_decided(promotion: &Promotion) -> bool {
    let is_resolved = match promotion.state {
        State::Waiting | State::Queued => false,
        State::Failed => {
            let step = promotion.failure.as_ref().map(|failure| failure.step);
            !matches!(step, Some(Step::Gates | Step::Resolve))
        }
        _ => true,
    };
    is_resolved || promotion.purpose == Purpose::Rollback
}

fn skipped(step: Step, git_only: bool, no_gates: &str) -> Option<String> {
    let text = match step {
        Step::Gates => no_gates,
        Step::Resolve => "This image ran here before.",
        Step::Mirror => "The image is pulled from where it is.",
        Step::Sync | Step::Verify if git_only => "This cluster has no Argo CD: the promotion ends at the push.",
        _ => return None,
    };
    Some(text.into())
}

/// An event of a promotion in words; `None` for those that the steps tell already.
fn told(event: &Event) -> Option<TimelineEntry> {
    let text = match &event.happened {
        Happened::PromotionRequested { purpose, image, .. } => {
            let what = match purpose {
                Purpose::Deploy => "Deploy",
                Purpose::Promote => "Promotion",
                Purpose::Pin => "Pin",
                Purpose::Rollback => "Rollback",
            };
            format!("{what} of {} asked for", image.short_label())
        }
        Happened::PromotionMoved { to, detail, .. } => {
            let mut text = to.as_str().to_owned();
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            match detail {
                Some(detail) => format!("{text}: {detail}"),
                None => text,
            }
        }
        Happened::PromotionWaits { detail } => detail.clone(),
        Happened::Committed { commit, pushes: 0 } => {
            format!("Found in Git already: {}", commit.get(..7).unwrap_or(commit))
        }
        Happened::Committed { commit, pushes } => {
            let again = if *pushes > 1 {
                format!(", after {pushes} pushes (others pushed first)")
            } else {
                String::new()
            };
            format!("Commit {} is on the remote{again}", commit.get(..7).unwrap_or(commit))
        }
        Happened::Approved { comment, .. } => match comment {
            Some(comment) => format!("Approved: {comment}"),
            None => "Approved".to_owned(),
        },
        Happened::SyncEnded { sync, revision } => {
            format!("Ended {sync}, which applied {}", revision.get(..7).unwrap_or(revision))
        }
        Happened::PromotionLiveAfterAll { failure, evidence } => {
            let failed = failure
                .as_ref()
                .map(|failure| format!(" It had failed: {}", failure.reason))
                .unwrap_or_default();
            format!("Live after all. {evidence}{failed}")
        }
        Happened::TagMoved { .. } | Happened::TagRefused { .. } | Happened::TagDrifted { .. } => {
            let (did, more) = event.happened.told();
            let mut text = did;
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            match more.first() {
                Some(more) => format!("{text}: {more}"),
                None => text,
            }
        }
        Happened::GateOverridden { gate, reason } => format!("Overrode the gate {}: {reason}", gate.title()),
        // The move to `rejected` says it, with the reason.
        _ => return None,
    };
    Some(TimelineEntry {
        at: event.at,
        actor: event.actor.name().to_owned(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_linked_only_where_the_address_is_known() {
        let c = "3f1c0d9e";
        for (url, want) in [
            (
                "https://github.com/acme/deploy.git",
                Some("https://github.com/acme/deploy/commit/3f1c0d9e"),
            ),
            (
                "https://user:secret@github.com/acme/deploy",
                Some("https://github.com/acme/deploy/commit/3f1c0d9e"),
            ),
            (
                "https://gitlab.example.com/a/b.git",
                Some("https://gitlab.example.com/a/b/-/commit/3f1c0d9e"),
            ),
            ("https://git.example.com/a/b.git", None),
            ("git@github.com:acme/deploy.git", None),
            ("http://127.0.0.1:3000/x.git", None),
        ] {
            assert_eq!(commit_url(url, c).as_deref(), want, "{url}");
        }
    }
}
