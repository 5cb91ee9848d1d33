//! A recall: a digest is marked bad, with a reason. Nobody and no automation promotes it, in any project of the workspace and from
//! any repository, until the recall is lifted.

use crate::{artifact::Digest, field::FieldErrors, promotion::Actor, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Characters of a reason, at most.
pub const LONGEST_REASON: usize = 1_000;

/// A digest that was marked bad.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recall {
    /// The digest, of whichever repository.
    pub digest: Digest,
    /// Why.
    pub reason: String,
    /// Who recalled it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// How it was lifted; `None` while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Lifted>,
}

/// The end of a recall.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lifted {
    /// Why.
    pub reason: String,
    /// Who lifted it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

impl Recall {
    /// Who recalled it, when and why, a sentence: `Ada recalled 1a2b3c4 on 2026-11-20 10:04:03 UTC: it loses orders.`
    #[must_use]
    pub fn words(&self) -> String {
        let (by, digest, at) = (self.by.name(), self.digest.short(), self.at.exact());
        format!("{by} recalled {digest} on {at}: {}", sentence_end(&self.reason))
    }

    /// Why it isn't promoted, and what to do.
    #[must_use]
    pub fn refusal(&self) -> String {
        format!(
            "{} Choose another image, or ask an administrator to lift the recall.",
            self.words()
        )
    }
}

/// A reason as it ends a sentence.
#[must_use]
pub fn sentence_end(reason: &str) -> String {
    match reason.ends_with(['.', '!', '?', '…']) {
        true => reason.to_owned(),
        false => format!("{reason}."),
    }
}

/// A reason as somebody typed it, checked.
///
/// # Errors
/// In the field `reason`, without one or when it is too long.
pub fn check_reason(typed: &str) -> Result<String, FieldErrors> {
    let reason = typed.trim();
    let is_fine = !reason.is_empty() && reason.chars().count() <= LONGEST_REASON;
    match is_fine {
        true => Ok(reason.to_owned()),
        false => Err(FieldErrors::one("reason", "Enter a reason (up to 1,000 characters).")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_when_why_and_what_to_do() {
        let recall = Recall {
            digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
            reason: "it loses orders".into(),
            by: Actor::Token { name: "scanner".into() },
            at: Timestamp(0),
            lifted: None,
        };
        assert_eq!(
            recall.refusal(),
            "scanner recalled abababa on 1970-01-01 00:00:00 UTC: it loses orders. Choose another image, or ask an \
             administrator to lift the recall."
        );
        let ends = Recall {
            reason: "Why not?".into(),
            ..recall
        };
        assert!(ends.words().ends_with(": Why not?"));
    }

    #[test]
    fn a_reason_is_needed_and_has_an_end() {
        assert_eq!(check_reason(" it loses orders\n"), Ok("it loses orders".to_owned()));
        for wrong in [String::new(), "  ".into(), "x".repeat(1_001)] {
            assert!(check_reason(&wrong).is_err(), "{wrong}");
        }
        assert!(check_reason(&"é".repeat(1_000)).is_ok());
    }
}
