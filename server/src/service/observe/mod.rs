//! What the outside world says: registries about artifacts, Git about what is declared, Argo CD about what is live.

mod arrivals;
mod deployed_sources;
mod desired;
mod live;
mod look;
mod others;
mod pushed;
mod seen;
mod stuck;
mod what_runs;
mod workloads;

pub(crate) use arrivals::{newest_artifact, relearn_after_rule_change};
pub(crate) use deployed_sources::{brought_besides, other_branch_warning};
pub use desired::{projects_of_push, read_desired};
pub use live::{
    Absence, Reported, forget_live, forget_versions, kept_while_out_of_sight, newest_version, note_followed,
    record_stream_lost, report_absent, report_live, wake_waiting_in,
};
pub use look::{look_at_repository, poll_registries};
pub use pushed::{pushed, repositories_pushed};
pub(crate) use seen::{learn_details, see_placed};
pub use stuck::stuck;
pub use workloads::read_workloads;
