//! The cells of a project as they were read last, and where they are kept.

use contract::board::{BoardRow, Cell, Open};
use domain::{
    artifact::{Digest, Repository, Tag},
    id::{EnvironmentId, ProjectId, ResourceId, WorkspaceId},
    name::Name,
    promotion::{Promotion, State},
    resource::{Resource, Source},
    tag_rule::{TagOrder, TagRule},
    time::Timestamp,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Mutex as AsyncMutex;

/// Projects whose cells are kept at once.
const MOST_KEPT: usize = 64;

/// The cells of projects that were looked at, each kept until the ledger tells of something that may show in them, or until it is
/// forgotten.
#[derive(Default)]
pub struct KeptCells {
    kept: Mutex<HashMap<ProjectId, Slot>>,
}

/// The cells of one project with the newest event when they were read. Those who come while they are read wait for that
/// reading instead of reading too.
type Slot = Arc<AsyncMutex<Option<(i64, Arc<Cells>)>>>;

impl KeptCells {
    pub(crate) fn slot(&self, project: ProjectId) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT && !kept.contains_key(&project) {
            // Any one makes room: whoever looks at it next reads it again.
            let other = kept.keys().next().copied();
            other.and_then(|other| kept.remove(&other));
        }
        Arc::clone(kept.entry(project).or_default())
    }

    /// Forgets those of a project: something shows in them that the ledger doesn't tell.
    pub(crate) fn forget(&self, project: ProjectId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&project);
    }
}

/// The resources of a project, and those whose newest promotion is under way or failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) resources: u32,
    pub(crate) moving: u32,
    pub(crate) failed: u32,
}

/// The cells of a project, with all that they are made of.
pub(crate) struct Cells {
    pub(crate) workspace: WorkspaceId,
    pub(crate) environments: HashMap<EnvironmentId, (Name, bool)>,
    /// Since when the Argo CDs of environments are out of sight, where they are.
    pub(crate) lost: HashMap<EnvironmentId, Timestamp>,
    /// Platforms of which an image needs one, where some are named.
    pub(crate) platforms: HashMap<EnvironmentId, Vec<String>>,
    pub(crate) resources: HashMap<ResourceId, Resource>,
    /// Those that Git has switched off.
    pub(crate) switched_off: HashSet<ResourceId>,
    /// Images that can't be pulled any more.
    pub(crate) incomplete: HashSet<(Repository, Digest)>,
    /// The tags of environments that somebody else moved, by the resource whose image they should name.
    pub(crate) moved_tags: HashMap<ResourceId, Tag>,
    pub(crate) newest: HashMap<ResourceId, Promotion>,
    pub(crate) rows: Vec<Arc<BoardRow>>,
    /// Row and column of each resource.
    pub(crate) places: HashMap<ResourceId, (usize, usize)>,
}

impl Cells {
    /// The rows of the board, by resource name.
    pub(crate) fn rows(&self) -> &[Arc<BoardRow>] {
        &self.rows
    }

    /// How many there are, for lists of projects.
    pub(crate) fn counts(&self) -> Counts {
        let count = |test: fn(State) -> bool| self.newest.values().filter(|p| test(p.state)).count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Counts {
            resources: number(self.resources.len()),
            moving: number(count(|state| !state.is_ended())),
            failed: number(count(|state| state == State::Failed)),
        }
    }

    /// The resources, in no order.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// The environment's and resource's name.
    pub(crate) fn name_of(&self, id: ResourceId) -> Option<(Name, Name)> {
        let resource = self.resources.get(&id)?;
        let (environment, _) = self.environments.get(&resource.environment)?;
        Some((environment.clone(), resource.name.clone()))
    }

    /// Promotions under way, those first that have been in their state longest, at most `many`.
    pub(crate) fn longest_open(&self, many: usize) -> Vec<Open> {
        let mut open: Vec<&Promotion> = self.newest.values().filter(|p| !p.state.is_ended()).collect();
        open.sort_by_key(|promotion| (promotion.state_since, promotion.resource));
        let told = |promotion: &Promotion| {
            let (environment, resource) = self.name_of(promotion.resource)?;
            Some(Open {
                id: promotion.id,
                environment,
                resource,
                state: promotion.state,
                since: promotion.counts_since(),
                waits_for: promotion.waits_for.clone(),
            })
        };
        open.into_iter().filter_map(told).take(many).collect()
    }

    /// A resource's cell; `None` for one that the project hasn't.
    pub(crate) fn cell(&self, resource: ResourceId) -> Option<&Cell> {
        let (row, column) = *self.places.get(&resource)?;
        self.rows.get(row)?.cells.get(column)?.as_ref()
    }

    /// The rule that says which of two images is newer: that of the resource at the end of the chain.
    pub(crate) fn order_of(&self, resource: &Resource) -> &TagRule {
        static BY_AGE: TagRule = TagRule {
            order: TagOrder::BuildTime,
            leave_out: Vec::new(),
        };
        let mut at = self.resources.get(&resource.id);
        // No chain is longer than there are resources, and none is a circle.
        for _ in 0..=self.resources.len() {
            match at.map(|resource| &resource.source) {
                Some(Source::Image { repository: _, tags }) => return tags,
                Some(Source::Promote { from }) => at = self.resources.get(from),
                None => break,
            }
        }
        &BY_AGE
    }
}
