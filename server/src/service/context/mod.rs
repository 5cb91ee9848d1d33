//! What every use case works with: the store, the ports, time, identity, and what a server keeps in memory beside the database.

mod cells;
mod changes;
mod deployed_sources;
mod faults;
mod identity_provider;
mod inbox;
mod passwords;
mod pushes;
mod services;
mod shared;
mod sign_in_limit;
mod versions;
mod workload_reads;

pub(crate) use cells::Cells;
pub(crate) use changes::ChangesKey;
pub use changes::KeptChanges;
pub(crate) use deployed_sources::Deployed;
pub use faults::internal;
pub(crate) use faults::unrecorded;
pub use identity_provider::Sso;
pub(crate) use inbox::{DecisionGroup, WaitingInWorkspace, WaitingPosition, WaitingProject};
pub use passwords::{Passwords, check_password};
pub(crate) use pushes::{Admission, PushKey, PushReport, PushScope, RegistryLane, Sighting, locked, turn};
pub use services::{Services, Wake};
pub use sign_in_limit::SignInLimit;
pub use versions::KEPT_MILLIS;
pub use workload_reads::ReadPurpose;
