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
pub struct KeptInbox(pub(crate) Mutex<HashMap<WorkspaceId, WaitingInWorkspace>>);

/// What waits in a workspace, as of an event of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct WaitingInWorkspace {
    pub(crate) at: i64,
    pub(crate) waiting: Arc<Vec<DecisionGroup>>,
    /// Where it waits.
    pub(crate) projects: Arc<HashMap<ProjectId, WaitingProject>>,
}

/// Promotions about which the same people may decide: one environment's, asked for by the same.
#[derive(Clone, Debug)]
pub(crate) struct DecisionGroup {
    pub(crate) project: ProjectId,
    pub(crate) environment: EnvironmentId,
    pub(crate) requested_by: Actor,
    pub(crate) promotions: Vec<WaitingPosition>,
}

/// A promotion after the place in the ledger where it was asked for: later ones are greater.
pub(crate) type WaitingPosition = (i64, PromotionId);

/// A project in which promotions wait.
#[derive(Debug)]
pub(crate) struct WaitingProject {
    pub(crate) name: Name,
    pub(crate) environments: Vec<Environment>,
}

impl WaitingProject {
    pub(crate) fn environment(&self, id: EnvironmentId) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.id == id)
    }
}
