//! A promotion: one decision to run one artifact in one resource of one environment, and everything that came of it.
//!
//! The states and who may follow whom are here; what a step does to the world is the worker's. A transition takes the
//! promotion and gives it back changed, or refuses.

use crate::{
    artifact::ExactImage,
    id::{EnvironmentId, ProjectId, PromotionId, ResourceId, UserId, WorkspaceId},
    name::Name,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where a promotion stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// For gates.
    Waiting,
    /// Decided; the image is about to be checked.
    Queued,
    /// The image is being copied to the target's registry.
    Mirroring,
    /// The commit is being made and pushed.
    Committing,
    /// Argo CD is being brought to the commit.
    Syncing,
    /// The commit is synced; the live digest is awaited.
    Verifying,
    /// The promised digest is live and healthy.
    Succeeded,
    /// A person said no.
    Rejected,
    /// A person withdrew it.
    Cancelled,
    /// A newer promotion of the same resource took its place.
    Superseded,
    /// A step failed; a person may retry.
    Failed,
}

impl State {
    /// All states.
    pub const ALL: [Self; 11] = [
        Self::Waiting,
        Self::Queued,
        Self::Mirroring,
        Self::Committing,
        Self::Syncing,
        Self::Verifying,
        Self::Succeeded,
        Self::Rejected,
        Self::Cancelled,
        Self::Superseded,
        Self::Failed,
    ];

    /// The word for it, in screens, interfaces and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Mirroring => "mirroring",
            Self::Committing => "committing",
            Self::Syncing => "syncing",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Rejected | Self::Cancelled | Self::Superseded | Self::Failed
        )
    }

    /// How long a promotion is in this state when nothing is wrong, in milliseconds: resolving and committing take seconds,
    /// rollouts take minutes. `None` where people take the time they take, and at the end.
    #[must_use]
    pub fn expected_millis(self) -> Option<i64> {
        match self {
            Self::Queued | Self::Mirroring | Self::Committing => Some(60_000),
            Self::Syncing | Self::Verifying => Some(15 * 60_000),
            Self::Waiting | Self::Succeeded | Self::Rejected | Self::Cancelled | Self::Superseded | Self::Failed => {
                None
            }
        }
    }

    /// Whether a promotion that has been in this state since `since` doesn't get on.
    #[must_use]
    pub fn is_stuck(self, since: Timestamp, now: Timestamp) -> bool {
        self.expected_millis()
            .is_some_and(|expected| now.millis_since(since) > expected)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use State::{
            Cancelled, Committing, Failed, Mirroring, Queued, Rejected, Succeeded, Superseded, Syncing, Verifying,
            Waiting,
        };
        match self {
            Waiting => matches!(next, Queued | Rejected | Cancelled | Superseded | Failed),
            // Back to waiting when a gate shut meanwhile.
            Queued => matches!(next, Waiting | Mirroring | Committing | Cancelled | Superseded | Failed),
            Mirroring => matches!(next, Committing | Cancelled | Superseded | Failed),
            // Cancelled only while nobody is at it: between the tries of a push that fails.
            Committing => matches!(next, Waiting | Syncing | Succeeded | Cancelled | Superseded | Failed),
            // Cancelled only while a sync window is closed.
            Syncing => matches!(next, Verifying | Cancelled | Superseded | Failed),
            Verifying => matches!(next, Syncing | Succeeded | Superseded | Failed),
            // A retry is the same decision again.
            Failed => matches!(next, Queued | Waiting),
            Succeeded | Rejected | Cancelled | Superseded => false,
        }
    }

    /// The step that a promotion in this state is at; ended promotions are at none.
    #[must_use]
    pub fn step(self) -> Option<Step> {
        match self {
            Self::Waiting => Some(Step::Gates),
            Self::Queued => Some(Step::Resolve),
            Self::Mirroring => Some(Step::Mirror),
            Self::Committing => Some(Step::Commit),
            Self::Syncing => Some(Step::Sync),
            Self::Verifying => Some(Step::Verify),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(s: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == s)
            .ok_or_else(|| UnknownWord(s.to_owned()))
    }
}

/// Why a promotion is superseded whose commit is in Git.
pub const OVERTAKEN: &str = "overtaken";

/// A word that is none of those expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

/// What a promotion does, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Wait for the target's gates.
    Gates,
    /// Make sure that the exact image is there.
    Resolve,
    /// Copy it to the target's registry.
    Mirror,
    /// Commit and push.
    Commit,
    /// Bring Argo CD to the commit.
    Sync,
    /// Prove what is live.
    Verify,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 6] = [
        Self::Gates,
        Self::Resolve,
        Self::Mirror,
        Self::Commit,
        Self::Sync,
        Self::Verify,
    ];

    /// The word for it in the database and interfaces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gates => "gates",
            Self::Resolve => "resolve",
            Self::Mirror => "mirror",
            Self::Commit => "commit",
            Self::Sync => "sync",
            Self::Verify => "verify",
        }
    }
}

impl FromStr for Step {
    type Err = UnknownWord;

    fn from_str(s: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|step| step.as_str() == s)
            .ok_or_else(|| UnknownWord(s.to_owned()))
    }
}

/// What a promotion is for; the word begins the commit's subject.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// A new artifact of the resource's own image repository.
    Deploy,
    /// The image of another environment.
    Promote,
    /// A person moved the pin.
    Pin,
    /// Back to an artifact that ran before.
    Rollback,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 4] = [Self::Deploy, Self::Promote, Self::Pin, Self::Rollback];

    /// What bringing an image from there is: [`Purpose::Promote`] from another environment, else [`Purpose::Deploy`].
    #[must_use]
    pub fn of_origin(origin: Option<&Origin>) -> Self {
        match origin {
            Some(_) => Self::Promote,
            None => Self::Deploy,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Promote => "promote",
            Self::Pin => "pin",
            Self::Rollback => "rollback",
        }
    }
}

impl FromStr for Purpose {
    type Err = UnknownWord;

    fn from_str(s: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|purpose| purpose.as_str() == s)
            .ok_or_else(|| UnknownWord(s.to_owned()))
    }
}

/// Who did something.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Actor {
    /// A person, signed in.
    Person {
        /// Who.
        id: UserId,
        /// Name to show.
        name: String,
        /// E-mail address, for commits.
        email: String,
    },
    /// A program with an API token.
    Token {
        /// The token's name.
        name: String,
    },
    /// Waybill itself: a follower caught up with its source.
    Waybill,
}

impl Actor {
    /// Name to show.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person { name, .. } => name,
            Self::Token { name } => name,
            Self::Waybill => "Waybill",
        }
    }

    /// The person who stands behind it, given who made which token; nobody behind Waybill itself.
    #[must_use]
    pub fn person_behind(&self, makers: &[(String, UserId)]) -> Option<UserId> {
        match self {
            Self::Person { id, .. } => Some(*id),
            Self::Token { name } => makers.iter().find(|(token, _)| token == name).map(|(_, maker)| *maker),
            Self::Waybill => None,
        }
    }
}

/// What a promotion takes its image from, by name as it was then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The environment.
    pub environment: Name,
    /// The resource there.
    pub resource: Name,
}

/// Why a promotion failed, in words for the person who must act.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// What happened; what to do too, where that isn't apart.
    pub reason: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// All that was said by others, to be unfolded: a message each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

impl Failure {
    /// What happened and what to do, in one line.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{} {remedy}", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// What made a step fail.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Failed {
    /// What happened: the cause first.
    pub reason: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// All that was said by others, to be unfolded: a message each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }
}

impl From<&str> for Failed {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// A promotion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promotion {
    /// Its id.
    pub id: PromotionId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The project.
    pub project: ProjectId,
    /// The target environment.
    pub environment: EnvironmentId,
    /// The target resource.
    pub resource: ResourceId,
    /// Its place among the promotions of its resource, from 1: of two the one with the higher number was asked for later, whatever
    /// clocks said then. Says nothing about promotions of different resources.
    pub number: i64,
    /// What it is for.
    pub purpose: Purpose,
    /// Who asked.
    pub requested_by: Actor,
    /// Where the image comes from; `None` when it comes from the resource's own image repository.
    pub origin: Option<Origin>,
    /// What is to run.
    pub image: ExactImage,
    /// What ran before, according to Git, when it was asked for.
    pub previous: Option<ExactImage>,
    /// Whether it creates the resource, so that its configuration is committed too.
    pub creates: bool,
    /// Whether a person said that it may make the values file, where there is none.
    pub creates_file: bool,
    /// Where it stands.
    pub state: State,
    /// What it waits for right now, a sentence; shown under the step.
    pub waits_for: Option<String>,
    /// Why it failed, or why it was superseded.
    pub failure: Option<Failure>,
    /// The commit that says so in Git, once the remote has it.
    pub commit: Option<String>,
    /// When the remote was known to have it, in the current try.
    pub committed_at: Option<Timestamp>,
    /// Tries of the whole: 1, and one more for each time a person tried again.
    pub tries: u32,
    /// Tries of the current step that failed in a passing way.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the current state began.
    pub state_since: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// From when on its time counts, as it waits for a sync window, in this state: when the window is looked at again.
    #[serde(default)]
    pub counts_from: Option<Timestamp>,
}

/// A closed sync window is looked at again this long after it was due, at the latest.
pub const WINDOW_LATE_MILLIS: i64 = 30_000;

/// A transition that isn't allowed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a promotion that is {from} can't become {to}")]
pub struct Refused {
    /// The state it is in.
    pub from: State,
    /// The state that was wanted.
    pub to: State,
}

impl Promotion {
    /// Moves on to `next`.
    ///
    /// # Errors
    /// When the state machine doesn't allow it; the promotion is lost then, read it again.
    pub fn become_(mut self, next: State, at: Timestamp) -> Result<Self, Refused> {
        if !self.state.may_become(next) {
            return Err(Refused {
                from: self.state,
                to: next,
            });
        }
        if self.state == State::Failed {
            self.failure = None;
            self.tries = self.tries.saturating_add(1);
        }
        self.state = next;
        self.state_since = at;
        self.counts_from = None;
        self.waits_for = None;
        self.attempts = 0;
        self.ended_at = next.is_ended().then_some(at);
        Ok(self)
    }

    /// Ends in failure at the current step.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn fail(self, why: impl Into<Failed>, at: Timestamp) -> Result<Self, Refused> {
        let (step, why) = (self.state.step(), why.into());
        let mut failed = self.become_(State::Failed, at)?;
        failed.failure = step.map(|step| Failure {
            step,
            reason: why.reason,
            remedy: why.remedy,
            said: why.said,
        });
        Ok(failed)
    }

    /// It had failed, and what it promised is live after all. Gives back why it had failed.
    ///
    /// # Errors
    /// When it hasn't failed, or its commit never was on the remote.
    pub fn is_live_after_all(mut self, at: Timestamp) -> Result<(Self, Option<Failure>), Refused> {
        if self.state != State::Failed || self.commit.is_none() {
            return Err(Refused {
                from: self.state,
                to: State::Succeeded,
            });
        }
        let failure = self.failure.take();
        self.state = State::Succeeded;
        self.state_since = at;
        self.waits_for = None;
        self.ended_at = Some(at);
        Ok((self, failure))
    }

    /// From when on the time-out of its state counts: a closed sync window doesn't.
    #[must_use]
    pub fn counts_since(&self) -> Timestamp {
        self.counts_from
            .map_or(self.state_since, |from| from.max(self.state_since))
    }

    /// Whether it waits now for a sync window of Argo CD to open.
    #[must_use]
    pub fn is_at_window(&self, now: Timestamp) -> bool {
        self.state == State::Syncing
            && self
                .counts_from
                .is_some_and(|from| now.millis_since(from) <= WINDOW_LATE_MILLIS)
    }

    /// Ends because a newer promotion of the same resource took its place.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn supersede(self, by: PromotionId, at: Timestamp) -> Result<Self, Refused> {
        let mut superseded = self.become_(State::Superseded, at)?;
        superseded.waits_for = Some(format!("A newer promotion took its place: {by}"));
        Ok(superseded)
    }

    /// Ends because a person withdrew it, or did something else instead; `why` is a sentence.
    ///
    /// # Errors
    /// When it has ended already, or its commit is on the remote.
    pub fn cancel(self, why: impl Into<String>, at: Timestamp) -> Result<Self, Refused> {
        let mut cancelled = self.become_(State::Cancelled, at)?;
        cancelled.waits_for = Some(why.into());
        Ok(cancelled)
    }

    /// Ends because a person said no; `why` is a sentence.
    ///
    /// # Errors
    /// When it doesn't wait any more.
    pub fn reject(self, why: impl Into<String>, at: Timestamp) -> Result<Self, Refused> {
        let mut rejected = self.become_(State::Rejected, at)?;
        rejected.waits_for = Some(why.into());
        Ok(rejected)
    }

    /// Whether it ended superseded though its commit is in Git: a newer one came before it was live.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        self.state == State::Superseded && self.commit.is_some()
    }

    /// How it stands, in the word that counts and tells the overtaken apart from those that made room before their commit.
    #[must_use]
    pub fn standing(&self) -> &'static str {
        if self.is_overtaken() {
            OVERTAKEN
        } else {
            self.state.as_str()
        }
    }

    /// The identity of this try, which the operations that it starts in Argo CD carry.
    #[must_use]
    pub fn operation_identity(&self) -> String {
        format!("{}.{}", self.id, self.tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn promotion(state: State) -> Promotion {
        let digest = format!("sha256:{}", "a1b2c3d4".repeat(8));
        Promotion {
            id: PromotionId(Uuid::from_u128(1)),
            workspace: WorkspaceId(Uuid::from_u128(2)),
            project: ProjectId(Uuid::from_u128(3)),
            environment: EnvironmentId(Uuid::from_u128(4)),
            resource: ResourceId(Uuid::from_u128(5)),
            number: 1,
            purpose: Purpose::Promote,
            requested_by: Actor::Waybill,
            origin: Some(Origin {
                environment: "staging".parse().unwrap(),
                resource: "api".parse().unwrap(),
            }),
            image: ExactImage {
                repository: "r.example/api".parse().unwrap(),
                tag: None,
                digest: digest.parse().unwrap(),
            },
            previous: None,
            creates: false,
            creates_file: false,
            state,
            waits_for: Some("something".into()),
            failure: None,
            commit: None,
            committed_at: None,
            tries: 1,
            attempts: 3,
            created_at: Timestamp(0),
            state_since: Timestamp(0),
            ended_at: None,
            counts_from: None,
        }
    }

    #[test]
    fn what_waits_for_people_or_has_ended_is_never_stuck() {
        let (begin, minute) = (Timestamp(1_000_000), 60_000);
        for state in State::ALL {
            let after = |minutes: i64| state.is_stuck(begin, begin.plus_millis(minutes * minute));
            let expected = match state {
                State::Queued | State::Mirroring | State::Committing => [false, true, true],
                State::Syncing | State::Verifying => [false, false, true],
                _ => [false, false, false],
            };
            assert_eq!([after(1), after(2), after(16)], expected, "{state}");
        }
    }

    #[test]
    fn nothing_follows_an_ended_state_but_a_retry_and_everything_else_can_end() {
        for from in State::ALL {
            for to in State::ALL {
                let allowed = from.may_become(to);
                if from.is_ended() {
                    let again = [State::Queued, State::Waiting].contains(&to);
                    assert_eq!(allowed, from == State::Failed && again, "{from} → {to}");
                }
                assert!(!(allowed && from == to), "{from} may not follow itself");
                let result = promotion(from).become_(to, Timestamp(9));
                assert_eq!(result.is_ok(), allowed, "{from} → {to}");
                if let Ok(moved) = result {
                    assert_eq!((moved.state, moved.state_since, moved.attempts), (to, Timestamp(9), 0));
                    assert_eq!(moved.ended_at.is_some(), to.is_ended());
                }
            }
            if !from.is_ended() {
                assert!(
                    from.may_become(State::Failed) && from.may_become(State::Superseded),
                    "{from} has a way out"
                );
                assert!(from.step().is_some(), "{from} is at a step");
            }
        }
    }

    #[test]
    fn success_comes_only_after_proof_or_the_push_itself() {
        let before: Vec<State> = State::ALL
            .into_iter()
            .filter(|s| s.may_become(State::Succeeded))
            .collect();
        assert_eq!(before, [State::Committing, State::Verifying]);
    }

    #[test]
    fn what_failed_may_turn_out_live_and_nothing_else() {
        for state in State::ALL {
            for commit in [None, Some("3f1c0d9e".to_owned())] {
                let is_possible = state == State::Failed && commit.is_some();
                let before = Promotion {
                    commit,
                    failure: Some(Failure {
                        step: Step::Sync,
                        reason: "Argo CD said no.".into(),
                        remedy: None,
                        said: Vec::new(),
                    }),
                    ..promotion(state)
                };
                match before.is_live_after_all(Timestamp(9)) {
                    Ok((live, failure)) => {
                        assert!(is_possible, "{state}");
                        assert_eq!(
                            (live.state, live.ended_at, live.failure),
                            (State::Succeeded, Some(Timestamp(9)), None)
                        );
                        assert!(failure.is_some(), "what it failed for is kept by the ledger");
                    }
                    Err(refused) => assert!(!is_possible, "{refused}"),
                }
            }
        }
    }

    #[test]
    fn a_closed_window_stops_the_clock() {
        let mut waits = promotion(State::Syncing);
        assert_eq!(waits.counts_since(), waits.state_since);
        waits.counts_from = Some(Timestamp(600_000));
        assert_eq!(waits.counts_since(), Timestamp(600_000));
        assert!(waits.is_at_window(Timestamp(625_000)) && !waits.is_at_window(Timestamp(640_000)));
        let on = waits.become_(State::Verifying, Timestamp(700_000)).unwrap();
        assert_eq!(
            (on.counts_since(), on.is_at_window(Timestamp(700_001))),
            (Timestamp(700_000), false)
        );
    }

    #[test]
    fn a_failure_names_its_step_and_a_retry_forgets_it() {
        let failed = promotion(State::Syncing)
            .fail("Argo CD said no.", Timestamp(5))
            .unwrap();
        assert_eq!(
            failed.failure,
            Some(Failure {
                step: Step::Sync,
                reason: "Argo CD said no.".into(),
                remedy: None,
                said: Vec::new(),
            })
        );
        let again = failed.become_(State::Queued, Timestamp(6)).unwrap();
        assert_eq!((again.failure, again.ended_at, again.tries), (None, None, 2));
    }

    #[test]
    fn the_subject_says_what_where_and_from_where() {
        let name = |s: &str| s.parse::<Name>().unwrap();
        let mut p = promotion(State::Queued);
        assert_eq!(
            p.subject(None, &name("production"), &name("api")),
            "promote(production): api a1b2c3d from staging"
        );
        (p.purpose, p.origin, p.image.tag) = (Purpose::Deploy, None, "v1.4".parse().ok());
        assert_eq!(
            p.subject(None, &name("development"), &name("api")),
            "deploy(development): api v1.4"
        );
        // By a template there is always a source.
        let template = Some("JIRA-1: {verb} {environment}/{resource} {tag} ({source})");
        assert_eq!(
            p.subject(template, &name("development"), &name("api")),
            "JIRA-1: deploy development/api v1.4 (r.example/api)"
        );
    }
}
