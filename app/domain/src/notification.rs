//! Notifications out: which occasions a project tells of, through which kind of channel, and how each delivery stands.

use crate::{event::Happened, promotion::State, text::unknown};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

macro_rules! words {
    ($type:ident: $($variant:ident $label:literal),* $(,)?) => {
        impl $type {
            /// All of them, as people choose from them.
            pub const ALL: &'static [Self] = Self::VARIANTS;

            /// The word for it, in the database and in what is sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The words for people.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

/// A word that stands for nothing here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, thiserror::Error)]
#[error("This word isn't known here. Choose one of those offered.")]
pub struct UnknownWord;

/// What people are told of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownWord, parse_err_fn = unknown)]
pub enum Occasion {
    /// A promotion waits for somebody's approval.
    NeedsApproval,
    /// Somebody approved one.
    Approved,
    /// One failed.
    Failed,
    /// One succeeded.
    Succeeded,
    /// What runs isn't what Git says, or Git or a tag in the registry was changed by somebody else.
    Drift,
    /// A person pinned or rolled back, and automation is paused.
    Hold,
    /// What runs can't be pulled any more: its registry lost parts of it.
    ImageGone,
    /// Somebody recalled a digest that runs here or is to run here, or lifted the recall.
    Recalled,
}

words! { Occasion:
    NeedsApproval "Needs approval",
    Approved "Approved",
    Failed "Failed",
    Succeeded "Succeeded",
    Drift "Drift",
    Hold "Hold",
    ImageGone "Image can't be pulled",
    Recalled "Recalled",
}

impl Occasion {
    /// The occasion that an entry of the ledger may be. For [`Occasion::NeedsApproval`], and for [`Occasion::Drift`] after a report of what
    /// is live, it depends on how things stand besides.
    #[must_use]
    pub fn of(happened: &Happened) -> Option<Self> {
        match happened {
            Happened::PromotionRequested { .. } | Happened::PromotionWaits { .. } => Some(Self::NeedsApproval),
            Happened::PromotionMoved { to, .. } => match to {
                State::Waiting => Some(Self::NeedsApproval),
                State::Failed => Some(Self::Failed),
                State::Succeeded => Some(Self::Succeeded),
                State::Queued
                | State::Mirroring
                | State::Committing
                | State::Syncing
                | State::Verifying
                | State::Rejected
                | State::Cancelled
                | State::Superseded => None,
            },
            Happened::Approved { .. } => Some(Self::Approved),
            Happened::PromotionLiveAfterAll { .. } => Some(Self::Succeeded),
            Happened::DesiredChanged { by: Some(_), .. } | Happened::LiveChanged { .. } => Some(Self::Drift),
            Happened::TagDrifted { .. } => Some(Self::Drift),
            Happened::ImageIncomplete { .. } => Some(Self::ImageGone),
            Happened::DigestRecalled { .. } | Happened::RecallLifted { .. } => Some(Self::Recalled),
            Happened::Held { .. } | Happened::TakenBack { .. } => Some(Self::Hold),
            // Waybill's own commits, and everything that no channel is notified of.
            Happened::DesiredChanged { by: None, .. }
            | Happened::SignedIn { .. }
            | Happened::SignInFailed { .. }
            | Happened::ImageAdopted { .. }
            | Happened::TokenCreated { .. }
            | Happened::TokenRevoked { .. }
            | Happened::MemberInvited { .. }
            | Happened::InvitationWithdrawn { .. }
            | Happened::MemberJoined { .. }
            | Happened::RoleChanged { .. }
            | Happened::MemberRemoved { .. }
            | Happened::AccountDeactivated { .. }
            | Happened::AccountActivated { .. }
            | Happened::GroupCreated { .. }
            | Happened::GroupJoined { .. }
            | Happened::GroupLeft { .. }
            | Happened::ChannelAdded { .. }
            | Happened::ChannelPaused { .. }
            | Happened::ChannelRemoved { .. }
            | Happened::NotificationRedelivered { .. }
            | Happened::PasswordChanged
            | Happened::PasswordRemoved
            | Happened::SignedOutEverywhere
            | Happened::Applied { .. }
            | Happened::ResourceCreated
            | Happened::Removed { .. }
            | Happened::RemovedFromGit { .. }
            | Happened::NotRemovedFromGit { .. }
            | Happened::PinChanged { .. }
            | Happened::Resumed
            | Happened::KeyTaken { .. }
            | Happened::ArtifactSeen { .. }
            | Happened::Rejected { .. }
            | Happened::GateOverridden { .. }
            | Happened::LineStopped { .. }
            | Happened::LineResumed
            | Happened::PolicyChanged { .. }
            | Happened::CheckReported { .. }
            | Happened::Committed { .. }
            | Happened::SwitchedInGit { .. }
            | Happened::LiveForgotten
            | Happened::ApplicationNotFound { .. }
            | Happened::SyncEnded { .. }
            | Happened::ArgoCdLost { .. }
            | Happened::ArgoCdFound { .. }
            | Happened::TagMoved { .. }
            | Happened::TagRefused { .. }
            | Happened::TagRemoved { .. }
            | Happened::TagsSetAgain
            | Happened::HealAsked { .. }
            | Happened::HealFailed { .. }
            | Happened::ImageWhole { .. }
            | Happened::StatementWritten { .. }
            | Happened::StatementRefused { .. }
            | Happened::SigningKeySet { .. }
            | Happened::TrustedRootSet { .. }
            | Happened::TrustedRootRemoved { .. }
            | Happened::SourceHostAdded { .. }
            | Happened::SourceHostChanged { .. }
            | Happened::SourceHostRemoved { .. } => None,
        }
    }
}

/// How people are told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownWord, parse_err_fn = unknown)]
pub enum ChannelKind {
    /// JSON to an address, signed.
    Webhook,
    /// To an incoming webhook of Slack, or of what takes the same.
    Slack,
    /// By e-mail.
    Email,
}

words! { ChannelKind:
    Webhook "Webhook",
    Slack "Slack",
    Email "E-mail",
}

/// How a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownWord, parse_err_fn = unknown)]
pub enum DeliveryState {
    /// It is sent, or sent again, when its time comes.
    Waiting,
    /// The other side took it.
    Delivered,
    /// It is not tried any more.
    GivenUp,
}

words! { DeliveryState:
    Waiting "Waiting",
    Delivered "Delivered",
    GivenUp "Given up",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Health, resource::HoldCause};

    #[test]
    fn entries_of_the_ledger_are_told_by_what_they_mean() {
        let moved = |to| Happened::PromotionMoved {
            from: State::Verifying,
            to,
            detail: None,
        };
        let declared = |by| Happened::DesiredChanged {
            image: None,
            commit: "c0ffee1".into(),
            by,
        };
        for (happened, wanted) in [
            (moved(State::Waiting), Some(Occasion::NeedsApproval)),
            (moved(State::Failed), Some(Occasion::Failed)),
            (moved(State::Succeeded), Some(Occasion::Succeeded)),
            (moved(State::Syncing), None),
            (declared(Some("Bob".into())), Some(Occasion::Drift)),
            (declared(None), None),
            (
                Happened::LiveChanged {
                    digests: Vec::new(),
                    health: Health::Healthy,
                },
                Some(Occasion::Drift),
            ),
            (
                Happened::Held {
                    cause: HoldCause::Pinned,
                    outside: None,
                },
                Some(Occasion::Hold),
            ),
            (Happened::Resumed, None),
        ] {
            assert_eq!(Occasion::of(&happened), wanted, "{happened:?}");
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for occasion in Occasion::ALL {
            assert_eq!(occasion.as_str().parse(), Ok(*occasion));
            assert_eq!(
                format!("{occasion:?}").to_lowercase(),
                occasion.as_str().replace('_', "")
            );
        }
        assert_eq!("pigeon".parse::<ChannelKind>(), Err(UnknownWord));
    }
}
