//! Whether a signed statement of the gates that a promotion passed is hung on the image.

use super::Policy;
use serde::{Deserialize, Serialize};

/// Whether a signed statement of what passed is written to the registry before the commit, so that a cluster can ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Attestation {
    /// None is written.
    Off,
    /// It is written; where that fails, the promotion goes on with a note.
    BestEffort,
    /// The promotion waits until it is written.
    Required,
}

impl Policy {
    /// Whether a statement is written, also where the policy doesn't say: where there are gates, as far as that works; where there are
    /// none, there is nothing to state.
    #[must_use]
    pub fn attests(&self) -> Attestation {
        self.attestation.unwrap_or(self.attests_unsaid())
    }

    /// What holds without a word.
    fn attests_unsaid(&self) -> Attestation {
        match self.is_empty() {
            true => Attestation::Off,
            false => Attestation::BestEffort,
        }
    }

    /// What it says of statements, a sentence; `None` where that is what holds without a word.
    pub(super) fn attestation_words(&self) -> Option<&'static str> {
        let attests = self.attests();
        let words = match attests {
            Attestation::Off => "No signed statement is written.",
            Attestation::BestEffort => "A signed statement is written to the registry before the commit, if possible.",
            Attestation::Required => "A signed statement must be in the registry before the commit.",
        };
        (attests != self.attests_unsaid()).then_some(words)
    }
}
