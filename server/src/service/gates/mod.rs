//! What an environment asks for before something runs there: policies, checks, proofs, soaks, and the decision.

mod check;
mod decide;
mod policy;
mod proofs;
mod soak;
mod waiting;

pub use check::{ReportedCheck, report_check};
pub(crate) use decide::{decide_gates, look_at_gates, pass_gates, requester};
pub(crate) use policy::{check_policy, own_roots};
pub use policy::{policy, read_policy, set_policy};
pub(crate) use proofs::{
    ProofsThere, ask_for_signatures, digest_it_hangs_on, missing_proofs, roots_of, signature_pushed,
};
pub(crate) use soak::{end_soak, note_soak, soak_went_on, unseen_since};
pub(crate) use waiting::{SUPERSEDED, waiting_promotions};
