//! A Rollout of Argo Rollouts on the real Argo CD, whose own script judges its health. The story stands in for its controller: it makes the
//! ReplicaSets, pauses at a canary's first step, and goes on when it is told to.

use crate::{
    stack::{Stack, until},
    world::{Setup, World},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const API: &str = "argoproj.io/v1alpha1";
const CHART: &str = "deploy/chart/templates/workloads.yaml";

/// The kind, as far as Argo CD and the story read it.
const DEFINITION: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: rollouts.argoproj.io
spec:
  group: argoproj.io
  scope: Namespaced
  names: { kind: Rollout, listKind: RolloutList, plural: rollouts, singular: rollout }
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: { status: {} }
      schema:
        openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true }
";

/// What Argo Rollouts would do.
struct Controller {
    stack: Stack,
    namespace: String,
    /// Whether a canary stops after its first step.
    pauses: Arc<AtomicBool>,
}

impl Controller {
    async fn run(self) {
        let mut stable: Option<String> = None;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let found = self.stack.object(API, "Rollout", &self.namespace, "api").await;
            let Some(rollout) = found.filter(|rollout| rollout["metadata"]["deletionTimestamp"].is_null()) else {
                continue;
            };
            self.attend(&rollout, &mut stable).await;
        }
    }

    async fn attend(&self, rollout: &Value, stable: &mut Option<String>) {
        let image = rollout["spec"]["template"]["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap();
        let (_, digest) = image.split_once("@sha256:").unwrap();
        let wanted = digest[..10].to_owned();
        let replicas = rollout["spec"]["replicas"].as_u64().unwrap_or(1);
        let old = stable.clone().filter(|old| *old != wanted);
        let pauses = old.is_some() && self.pauses.load(Ordering::SeqCst);
        let of_new = if pauses { 1 } else { replicas };
        self.replica_set(rollout, &wanted, of_new, true).await;
        let ready = self.ready(&wanted).await;
        let (phase, message) = match (ready >= of_new, pauses) {
            (true, true) => ("Paused", "CanaryPauseStep"),
            (true, false) => ("Healthy", ""),
            (false, _) => ("Progressing", "more replicas need to be updated"),
        };
        if phase == "Healthy" {
            if let Some(old) = &old {
                self.replica_set(rollout, old, 0, false).await;
            }
            *stable = Some(wanted.clone());
        }
        let conditions = match phase {
            "Paused" => json!([{ "reason": "CanaryPauseStep", "startTime": "2026-11-02T09:12:00Z" }]),
            _ => json!([]),
        };
        let status = json!({
            "apiVersion": API, "kind": "Rollout",
            "metadata": { "name": "api", "namespace": self.namespace },
            "status": {
                "observedGeneration": rollout["metadata"]["generation"].to_string(),
                "phase": phase, "message": message, "pauseConditions": conditions,
                "currentPodHash": wanted, "stableRS": stable.clone().unwrap_or_default(),
                "replicas": replicas, "updatedReplicas": of_new, "availableReplicas": ready,
            },
        });
        self.stack.status("rollouts-controller", &status.to_string()).await;
    }

    /// Gives a build's ReplicaSet so many pods; it is made where it is missing.
    async fn replica_set(&self, rollout: &Value, hash: &str, replicas: u64, is_new: bool) {
        let name = format!("api-{hash}");
        if !is_new
            && self
                .stack
                .object("apps/v1", "ReplicaSet", &self.namespace, &name)
                .await
                .is_none()
        {
            return;
        }
        let labels = json!({ "app": "api", "rollouts-pod-template-hash": hash });
        let mut spec = json!({ "replicas": replicas, "selector": { "matchLabels": labels } });
        let mut template = rollout["spec"]["template"].clone();
        if !is_new {
            // Its template stays what it was; a ReplicaSet's may be applied anew only as it is.
            let found = self
                .stack
                .object("apps/v1", "ReplicaSet", &self.namespace, &name)
                .await
                .unwrap();
            template = found["spec"]["template"].clone();
        }
        template["metadata"]["labels"] = labels.clone();
        if let Some(metadata) = template["metadata"].as_object_mut() {
            metadata.remove("creationTimestamp");
        }
        spec["template"] = template;
        let owner = json!([{
            "apiVersion": API, "kind": "Rollout", "name": "api", "uid": rollout["metadata"]["uid"],
            "controller": true, "blockOwnerDeletion": true,
        }]);
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": { "name": name, "namespace": self.namespace, "labels": labels, "ownerReferences": owner },
            "spec": spec,
        });
        self.stack.apply("rollouts-controller", &set.to_string()).await;
    }

    async fn ready(&self, hash: &str) -> u64 {
        let owner = format!("ReplicaSet/api-{hash}");
        let pods = self.stack.pods(&self.namespace).await;
        pods.iter()
            .filter(|pod| pod.owner == owner && pod.ready && !pod.going)
            .count() as u64
    }
}

/// Up to the pause old and new pods run side by side, and it is waited longer than every time-out; then it succeeds.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_paused_rollout_is_waited_for_and_then_succeeds() {
    let stack = Stack::running().await;
    stack.apply("rollouts-definition", DEFINITION).await;
    let pauses = Arc::new(AtomicBool::new(false));
    let mut controllers = tokio::task::JoinSet::new();
    for environment in ["staging", "production"] {
        let controller = Controller {
            stack: Stack::running().await,
            namespace: format!("shop-rollout-{}-{environment}", std::process::id()),
            pauses: Arc::clone(&pauses),
        };
        controllers.spawn(controller.run());
    }
    let kind = "            kind: rollout\n            source: {";
    let setup = Setup {
        changes: vec![
            (
                CHART,
                "apiVersion: apps/v1\nkind: Deployment",
                "apiVersion: argoproj.io/v1alpha1\nkind: Rollout",
            ),
            (
                CHART,
                "  progressDeadlineSeconds: 120\n",
                "  strategy: { canary: { steps: [{ setWeight: 50 }, { pause: {} }] } }\n",
            ),
            ("waybill.yaml", "            source: {", kind),
        ],
        variables: vec![("PROMOTION_SYNC_TIMEOUT", "5s"), ("PROMOTION_VERIFY_TIMEOUT", "5s")],
        ..Setup::default()
    };
    let world = World::with("rollout", setup).await;
    world.live("staging", &world.first).await;
    pauses.store(true, Ordering::SeqCst);
    let second = world.push("1.1.0").await;
    let began = std::time::Instant::now();
    until(
        "a promotion that waits for the paused Rollout, past every time-out",
        async || {
            let promotion = world.promotion("staging", &second).await?;
            assert_ne!(promotion["state"], "failed", "{promotion}");
            let waits = promotion["waitsFor"].as_str().unwrap_or_default().contains("paused");
            (waits && began.elapsed() > Duration::from_secs(15)).then_some(())
        },
    )
    .await;
    let mut both = vec![json!(world.first), json!(second)];
    let live = world.live_digests("staging").await;
    let mut live = live.as_array().cloned().unwrap_or_default();
    let key = |digest: &Value| digest.to_string();
    both.sort_by_key(key);
    live.sort_by_key(key);
    assert_eq!(live, both, "old and new run side by side");
    pauses.store(false, Ordering::SeqCst);
    for environment in ["staging", "production"] {
        world.succeeds(environment, &second).await;
        world.live(environment, &second).await;
    }
    drop(controllers);
    world.end().await;
}
