//! Rollouts: what the controllers of the cluster do with pods when a workload changes.
//!
//! A rollout that changes pods keeps the old ones until it ends, so both images are live meanwhile, as in a rolling
//! update. A rollout that fails or never ends keeps both for good. Pods that ended (evicted, failed) are nobody's business
//! any more: those of a ReplicaSet stay, those of a StatefulSet or DaemonSet make room for their successor.

use super::{
    live::{JobOutcome, Live, RolloutState, Set},
    naming::{suffix, uid},
    pod::{Owner, Phase, Waiting},
};

impl Live {
    /// A new revision: its ReplicaSet and its first pods.
    pub(crate) fn start_rollout(&mut self, now: &str) {
        self.rollout += 1;
        self.state = RolloutState::Running;
        self.paused = None;
        let owner = self.owner_of_pods(now);
        let desired = self.desired();
        match self.manifest.kind() {
            "Deployment" | "Rollout" => {
                // Pods that never became ready make room; those that serve stay until the new ones do.
                self.pods.retain(|pod| !pod.is_active() || pod.is_ready());
                // A ReplicaSet of before keeps its pods when its template comes back.
                let rollout = self.rollout;
                for pod in self
                    .pods
                    .iter_mut()
                    .filter(|pod| pod.is_active() && pod.owner.uid == owner.uid)
                {
                    pod.revision = rollout;
                }
                let missing = desired.saturating_sub(self.updated().count() as u64);
                let first = if self.active().next().is_some() {
                    missing.min(1)
                } else {
                    missing
                };
                for _ in 0..first {
                    let pod = self.new_pod(owner.clone(), None, now);
                    self.pods.push(pod);
                }
            }
            "StatefulSet" => {
                let ordinal = if self.active().next().is_some() {
                    desired.saturating_sub(1)
                } else {
                    0
                };
                self.put_member(&owner, ordinal, now);
            }
            "DaemonSet" => self.put_member(&owner, 0, now),
            "Job" => {
                let mut pod = self.new_pod(owner, None, now);
                pod.run();
                self.pods = vec![pod];
            }
            "Pod" => {
                let name = self.manifest.name().to_owned();
                let pod = self.new_pod(owner, Some(name), now);
                self.pods = vec![pod];
            }
            _ => {}
        }
    }

    /// Ends a rollout, unless a newer one has begun. True when something changed.
    pub(crate) fn end_rollout(&mut self, rollout: u64, state: RolloutState, now: &str) -> bool {
        if self.rollout != rollout || self.state == state || self.state == RolloutState::Done {
            return false;
        }
        if self.is_paused() && state == RolloutState::Done {
            return false;
        }
        self.state = state;
        let kind = self.manifest.kind().to_owned();
        match (kind.as_str(), state) {
            ("Job", RolloutState::Done) => self.end_pods(JobOutcome::Succeeded),
            ("Job", _) => self.end_pods(JobOutcome::Failed),
            (_, RolloutState::Done) => self.settle(now),
            (_, _) => {
                for pod in self
                    .pods
                    .iter_mut()
                    .filter(|pod| pod.revision == rollout && pod.is_active())
                {
                    let image = pod.spec["containers"][0]["image"].as_str().unwrap_or_default();
                    let message = format!("Back-off pulling image \"{image}\": ErrImagePull: not found");
                    let reason = "ImagePullBackOff".to_owned();
                    pod.wait(None, Waiting { reason, message });
                }
            }
        }
        true
    }

    /// Only pods of the newest revision are left, as many as wanted, and all run.
    pub(crate) fn settle(&mut self, now: &str) {
        let rollout = self.rollout;
        let owner = self.owner_of_pods(now);
        self.pods.retain(|pod| !pod.is_active() || pod.revision == rollout);
        let desired = self.desired();
        match self.manifest.kind() {
            "StatefulSet" | "DaemonSet" => {
                for index in 0..desired {
                    if !self.has_member(index) {
                        self.put_member(&owner, index, now);
                    }
                }
            }
            _ => {
                let missing = desired.saturating_sub(self.active().count() as u64);
                for _ in 0..missing {
                    let pod = self.new_pod(owner.clone(), None, now);
                    self.pods.push(pod);
                }
            }
        }
        for pod in self.pods.iter_mut().filter(|pod| pod.is_active()) {
            pod.run();
        }
    }

    /// As many pods as wanted, without a new revision.
    pub(crate) fn scale(&mut self, now: &str) {
        let desired = self.desired();
        while self.active().count() as u64 > desired {
            let Some(at) = self.pods.iter().rposition(super::pod::Pod::is_active) else {
                break;
            };
            self.pods.remove(at);
        }
        if self.state == RolloutState::Done {
            self.settle(now);
        }
    }

    fn member_name(&self, index: u64) -> Option<String> {
        (self.manifest.kind() == "StatefulSet").then(|| format!("{}-{index}", self.manifest.name()))
    }

    fn member_node(index: u64) -> String {
        format!("node-{}", index + 1)
    }

    fn has_member(&self, index: u64) -> bool {
        let (name, node) = (self.member_name(index), Self::member_node(index));
        self.active()
            .any(|pod| name.as_ref().map_or(pod.node == node, |name| pod.name == *name))
    }

    /// The pod of an ordinal or of a node, in place of the one that is there.
    fn put_member(&mut self, owner: &Owner, index: u64, now: &str) {
        let (name, node) = (self.member_name(index), Self::member_node(index));
        self.pods
            .retain(|pod| name.as_ref().map_or(pod.node != node, |name| pod.name != *name));
        let mut pod = self.new_pod(owner.clone(), name, now);
        pod.node = node;
        self.pods.push(pod);
    }

    /// Who owns new pods; makes the ReplicaSet or ControllerRevision of the newest revision when it is not there yet.
    pub(crate) fn owner_of_pods(&mut self, now: &str) -> Owner {
        let kind = self.manifest.kind();
        if !matches!(kind, "Deployment" | "Rollout" | "StatefulSet" | "DaemonSet") {
            return if kind == "Pod" {
                Owner {
                    group: String::new(),
                    kind: String::new(),
                    name: self.manifest.name().to_owned(),
                    uid: String::new(),
                }
            } else {
                self.as_owner()
            };
        }
        // The same template gives the same name, so going back to it takes the old ReplicaSet again.
        let hash = suffix(&self.manifest.template().to_string(), 10);
        let name = format!("{}-{hash}", self.manifest.name());
        let mut set = match self.sets.iter().position(|set| set.name == name) {
            Some(at) => self.sets.remove(at),
            None => Set {
                uid: uid(&format!("{}/{name}", self.uid)),
                name,
                created_at: now.to_owned(),
                revision: 0,
            },
        };
        set.revision = self.rollout;
        let owner = if self.has_sets() {
            Owner {
                group: "apps".to_owned(),
                kind: "ReplicaSet".to_owned(),
                name: set.name.clone(),
                uid: set.uid.clone(),
            }
        } else {
            self.as_owner()
        };
        self.sets.push(set);
        owner
    }

    /// The pods that run have ended.
    pub(crate) fn end_pods(&mut self, outcome: JobOutcome) {
        let code = match outcome {
            JobOutcome::Succeeded => 0,
            JobOutcome::Failed => 1,
            JobOutcome::Running => return,
        };
        for pod in self.pods.iter_mut().filter(|pod| pod.is_active()) {
            pod.end(code);
        }
    }

    /// A node is short of something and takes a pod out. Its controller makes another one at once.
    pub(crate) fn evict(&mut self, name: Option<&str>, now: &str) -> Option<String> {
        let wanted = |pod: &super::pod::Pod| match name {
            Some(name) => pod.name == name,
            None => pod.is_active(),
        };
        let pod = self.pods.iter_mut().find(|pod| wanted(pod))?;
        pod.phase = Phase::Failed;
        pod.waiting.clear();
        "Evicted".clone_into(&mut pod.reason);
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 84Mi."
            .clone_into(&mut pod.message);
        let (gone, owner, node) = (pod.name.clone(), pod.owner.clone(), pod.node.clone());
        let (revision, spec) = (pod.revision, pod.spec.clone());
        let kind = self.manifest.kind();
        if !matches!(kind, "Deployment" | "Rollout" | "StatefulSet" | "DaemonSet") {
            return Some(gone);
        }
        let again = (kind == "StatefulSet").then(|| gone.clone());
        if !self.has_sets() {
            self.pods.retain(|pod| pod.name != gone);
        }
        let mut next = self.new_pod(owner, again, now);
        (next.revision, next.spec, next.node) = (revision, spec, node);
        next.run();
        self.pods.push(next);
        Some(gone)
    }
}
