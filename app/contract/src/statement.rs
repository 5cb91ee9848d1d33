//! A signed statement about a promotion, as pages show it.

use domain::{artifact::Repository, statement::StatementForm, time::Timestamp};
use serde::{Deserialize, Serialize};

/// What a promotion passed, signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatementView {
    /// Where it hangs on the image.
    pub repository: Repository,
    /// How.
    pub form: StatementForm,
    /// Whether the registry has it.
    pub state: StatementState,
    /// The beginning of the fingerprint of the key that signed it.
    pub key: String,
    /// What was verified, a word each: `WAYBILL_ENVIRONMENT_production`.
    pub levels: Vec<String>,
    /// The whole of it, JSON on several lines.
    pub text: String,
    /// The commands with which anybody verifies it.
    pub commands: String,
}

/// How a statement stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StatementState {
    /// It is signed, and not in the registry yet.
    Due,
    /// The registry has it.
    Written {
        /// Since when.
        at: Timestamp,
    },
    /// It could not be written.
    Refused {
        /// Why, a sentence.
        why: String,
    },
}
