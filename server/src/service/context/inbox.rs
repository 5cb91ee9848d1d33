//! What waits for approvals in each workspace, kept until the ledger tells of a change.

use domain::{
    environment::Environment,
    id::{EnvironmentId, ProjectId, PromotionId, WorkspaceId},
    name::Name,
    promotion::Actor,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// What waits in each workspace, as the ledger told of it so far: whatever begins or ends to wait is told there, and so is a change of
/// who may decide about it.
#[derive(Debug, Default)]
pub struct KeptInbox(pub(crate) Mutex<HashMap<WorkspaceId, Kept>>);

/// What waits in a workspace, as of an event of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) at: i64,
    pub(crate) waiting: Arc<Vec<Alike>>,
    /// Where it waits.
    pub(crate) projects: Arc<HashMap<ProjectId, Asking>>,
}

/// Promotions about which the same people may decide: one environment's, asked for by the same.
#[derive(Clone, Debug)]
pub(crate) struct Alike {
    pub(crate) project: ProjectId,
    pub(crate) environment: EnvironmentId,
    pub(crate) requested_by: Actor,
    pub(crate) promotions: Vec<Place>,
}

/// A promotion after the place in the ledger where it was asked for: later ones are greater.
pub(crate) type Place = (i64, PromotionId);

/// A project in which promotions wait.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) name: Name,
    pub(crate) environments: Vec<Environment>,
}

impl Asking {
    pub(crate) fn environment(&self, id: EnvironmentId) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.id == id)
    }
}
