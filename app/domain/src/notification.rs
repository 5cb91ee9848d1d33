//! Notifications out: which occasions a project tells of, through which kind of channel, and how each delivery stands.

use crate::{event::Happened, promotion::State};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

macro_rules! words {
    ($type:ident: $($variant:ident $word:literal $label:literal),* $(,)?) => {
        impl $type {
            /// All of them, as people choose from them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it, in the database and in what is sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The words for people.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(s: &str) -> Result<Self, UnknownWord> {
                let mut all = Self::ALL.iter().copied();
                all.find(|one| one.as_str() == s).ok_or(UnknownWord)
            }
        }
    };
}

/// A word that stands for nothing here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("This word isn't known here. Choose one of those offered.")]
pub struct UnknownWord;

/// What people are told of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A promotion waits for somebody's approval.
    NeedsApproval,
    /// Somebody approved one.
    Approved,
    /// One failed.
    Failed,
    /// One succeeded.
    Succeeded,
    /// What runs isn't what Git says, or Git was changed by somebody else.
    Drift,
    /// A person pinned or rolled back, and automation is paused.
    Hold,
}

words! { Occasion:
    NeedsApproval "needs_approval" "Needs approval",
    Approved "approved" "Approved",
    Failed "failed" "Failed",
    Succeeded "succeeded" "Succeeded",
    Drift "drift" "Drift",
    Hold "hold" "Hold",
}

impl Occasion {
    /// The occasion that an entry of the ledger may be. For [`Occasion::NeedsApproval`], and for [`Occasion::Drift`] after a report of what
    /// is live, it depends on how things stand besides.
    #[must_use]
    pub fn of(happened: &Happened) -> Option<Self> {
        match happened {
            Happened::PromotionRequested { .. }
            | Happened::PromotionWaits { .. }
            | Happened::PromotionMoved { to: State::Waiting, .. } => Some(Self::NeedsApproval),
            Happened::Approved { .. } => Some(Self::Approved),
            Happened::PromotionMoved { to: State::Failed, .. } => Some(Self::Failed),
            Happened::PromotionMoved {
                to: State::Succeeded, ..
            }
            | Happened::PromotionLiveAfterAll { .. } => Some(Self::Succeeded),
            Happened::DesiredChanged { by: Some(_), .. } | Happened::LiveChanged { .. } => Some(Self::Drift),
            Happened::Held { .. } | Happened::TakenBack { .. } => Some(Self::Hold),
            _ => None,
        }
    }
}

/// How people are told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// JSON to an address, signed.
    Webhook,
    /// To an incoming webhook of Slack, or of what takes the same.
    Slack,
    /// By e-mail.
    Email,
}

words! { ChannelKind:
    Webhook "webhook" "Webhook",
    Slack "slack" "Slack",
    Email "email" "E-mail",
}

/// How a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is sent, or sent again, when its time comes.
    Waiting,
    /// The other side took it.
    Delivered,
    /// It is not tried any more.
    GivenUp,
}

words! { DeliveryState:
    Waiting "waiting" "Waiting",
    Delivered "delivered" "Delivered",
    GivenUp "given_up" "Given up",
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
