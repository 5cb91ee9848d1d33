//! The workloads of an Application, out of two answers: its tree has the pods with what became of them and who owns them, its managed resources
//! have the manifests, from Git and from the cluster.
//!
//! Whatever has a pod template is a workload, also of a kind that nobody here has heard of. Secrets come masked, and are not looked at.

use super::wire::{list, or_default, time, word_of_health};
use crate::nesting;
use domain::{
    plan::{Health, Pod, Workload},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The fields of managed resources that are asked for: two of the four manifests of each are of no use here.
pub(super) const FIELDS: &str = "items.group,items.kind,items.namespace,items.name,items.targetState,items.liveState";

/// Owners that are asked on the way from a pod to its workload; three are usual.
const MOST_OWNERS: usize = 16;
/// Ill objects without pods that are kept.
const MOST_ILL: usize = 50;
/// Characters of a text from the cluster that are kept.
const MOST_CHARS: usize = 400;

/// An answer of `/managed-resources`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Managed {
    #[serde(deserialize_with = "list")]
    items: Vec<Item>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Item {
    #[serde(flatten)]
    object: Object,
    #[serde(deserialize_with = "or_default")]
    target_state: String,
    #[serde(deserialize_with = "or_default")]
    live_state: String,
}

/// An answer of `/resource-tree`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Tree {
    #[serde(deserialize_with = "list")]
    nodes: Vec<Node>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Node {
    #[serde(flatten)]
    object: Object,
    #[serde(deserialize_with = "or_default")]
    uid: String,
    #[serde(deserialize_with = "list")]
    parent_refs: Vec<Object>,
    #[serde(deserialize_with = "list")]
    info: Vec<Info>,
    #[serde(deserialize_with = "list")]
    images: Vec<String>,
    health: Option<NodeHealth>,
    #[serde(deserialize_with = "time")]
    created_at: Option<Timestamp>,
}

/// What names an object.
#[derive(Clone, Deserialize, Default, PartialEq, Eq, Hash)]
#[serde(default)]
struct Object {
    #[serde(deserialize_with = "or_default")]
    group: String,
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NodeHealth {
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

/// The workloads, and whatever else is ill.
pub(super) fn read(managed: Managed, tree: Tree) -> Vec<Workload> {
    let mut workloads: Vec<(Object, Workload)> = Vec::new();
    let mut referring = Vec::new();
    for item in managed.items {
        let (target, live) = (manifest(&item.target_state), manifest(&item.live_state));
        if let Some(other) = [&target, &live]
            .into_iter()
            .flatten()
            .find_map(|it| refers_to(it, &item.object))
        {
            referring.push((item.object.clone(), other));
        } else if target.as_ref().or(live.as_ref()).and_then(pod_spec).is_none() {
            continue;
        }
        let images = |manifest: &Option<Value>| manifest.as_ref().map(images).unwrap_or_default();
        let now = live.as_ref().or(target.as_ref());
        let workload = Workload {
            group: clip(&item.object.group),
            kind: clip(&item.object.kind),
            namespace: clip(&item.object.namespace),
            name: clip(&item.object.name),
            health: now
                .filter(|now| is_paused(now, &item.object))
                .map(|_| Health::Suspended),
            target: images(&target),
            live: images(&live),
            expects_pods: now.is_some_and(|now| expects_pods(now, &item.object)),
            ..Workload::default()
        };
        workloads.push((item.object, workload));
    }
    // An Argo Rollout may have the pod template of a deployment beside it.
    for (from, to) in referring {
        let of = |object: &Object| workloads.iter().position(|(at, _)| at == object);
        if let (Some(from), Some(to)) = (of(&from), of(&to)) {
            let lent = workloads.get(to).map(|(_, w)| (w.target.clone(), w.live.clone()));
            if let (Some((_, workload)), Some((target, live))) = (workloads.get_mut(from), lent) {
                (workload.target, workload.live) = (target, live);
            }
        }
    }
    let places: HashMap<Object, usize> = workloads
        .iter()
        .enumerate()
        .map(|(at, (object, _))| (object.clone(), at))
        .collect();
    let mut workloads: Vec<Workload> = workloads.into_iter().map(|(_, workload)| workload).collect();
    let owners: HashMap<&Object, &[Object]> = tree
        .nodes
        .iter()
        .map(|node| (&node.object, node.parent_refs.as_slice()))
        .collect();
    let mut ill = Vec::new();
    for node in &tree.nodes {
        let health = node.health.as_ref().map(|health| word_of_health(&health.status));
        let message = || {
            node.health
                .as_ref()
                .map(|health| clip(&health.message))
                .unwrap_or_default()
        };
        if let Some(workload) = places.get(&node.object).and_then(|at| workloads.get_mut(*at)) {
            workload.health = workload.health.or(health);
            workload.message = message();
        } else if node.parent_refs.is_empty()
            && matches!(health, Some(Health::Degraded | Health::Missing))
            && ill.len() < MOST_ILL
        {
            ill.push(Workload {
                kind: clip(&node.object.kind),
                namespace: clip(&node.object.namespace),
                name: clip(&node.object.name),
                health,
                message: message(),
                ..Workload::default()
            });
        }
        if node.object.kind != "Pod" || !node.object.group.is_empty() {
            continue;
        }
        let Some(workload) = owner(&node.object, &owners, &places).and_then(|at| workloads.get_mut(at)) else {
            continue;
        };
        let status = node.info.iter().find(|info| info.name == "Status Reason");
        workload.pods.push(Pod {
            name: clip(&node.object.name),
            uid: clip(&node.uid),
            images: node.images.iter().map(|image| clip(image)).collect(),
            status: status.map(|info| clip(&info.value)).unwrap_or_default(),
            health,
            message: message(),
            created_at: node.created_at,
        });
    }
    let shows_pods = tree.nodes.iter().any(|node| node.object.kind == "Pod");
    for workload in workloads.iter_mut().filter(|_| !shows_pods) {
        workload.pods_hidden = workload.expects_pods && workload.health == Some(Health::Healthy);
    }
    workloads.extend(ill);
    workloads
}

/// The workload that a pod belongs to: itself, or the first of its owners that is one.
fn owner(pod: &Object, owners: &HashMap<&Object, &[Object]>, places: &HashMap<Object, usize>) -> Option<usize> {
    let mut seen = HashSet::new();
    let mut level = vec![pod];
    for _ in 0..MOST_OWNERS {
        if let Some(at) = level.iter().find_map(|object| places.get(*object)) {
            return Some(*at);
        }
        level = level
            .into_iter()
            .filter(|object| seen.insert(*object))
            .flat_map(|object| owners.get(object).copied().unwrap_or_default())
            .take(MOST_OWNERS)
            .collect();
    }
    None
}

/// A manifest that may hold a pod template; `null` is how Argo CD says that there is none.
fn manifest(text: &str) -> Option<Value> {
    if !text.contains("\"containers\"") && !text.contains("\"workloadRef\"") {
        return None;
    }
    nesting::json::<Value>(text.as_bytes()).ok().filter(Value::is_object)
}

/// The specification of the pods that a manifest makes, or of the pod that it is.
fn pod_spec(manifest: &Value) -> Option<&Value> {
    ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"]
        .iter()
        .filter_map(|at| manifest.pointer(at))
        .find(|spec| spec.get("containers").is_some_and(Value::is_array))
}

/// The images of all containers, init containers first.
fn images(manifest: &Value) -> Vec<String> {
    let Some(spec) = pod_spec(manifest) else {
        return Vec::new();
    };
    ["initContainers", "containers"]
        .iter()
        .filter_map(|key| spec.get(key)?.as_array())
        .flatten()
        .filter_map(|container| container.get("image")?.as_str())
        .map(clip)
        .collect()
}

/// The workload whose pod template a manifest takes (`spec.workloadRef` of Argo Rollouts).
fn refers_to(manifest: &Value, object: &Object) -> Option<Object> {
    let reference = manifest.pointer("/spec/workloadRef")?;
    let text = |key: &str| {
        reference
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let group = text("apiVersion");
    Some(Object {
        group: group
            .rsplit_once('/')
            .map(|(group, _)| group.to_owned())
            .unwrap_or_default(),
        kind: text("kind"),
        namespace: object.namespace.clone(),
        name: text("name"),
    })
}

/// Whether a workload keeps pods running. `now` is its manifest in the cluster, or Git's where there is none yet.
fn expects_pods(now: &Value, object: &Object) -> bool {
    let at = |path: &str| now.pointer(path);
    let replicas = at("/spec/replicas").and_then(Value::as_i64);
    if at("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return false;
    }
    match object.kind.as_str() {
        "CronJob" | "Job" => false,
        "Pod" => true,
        "DaemonSet" => at("/status/desiredNumberScheduled").and_then(Value::as_i64) != Some(0),
        "Deployment" | "StatefulSet" | "ReplicaSet" | "Rollout" => replicas != Some(0),
        // Of other kinds, only what says so keeps pods.
        _ => replicas.is_some_and(|replicas| replicas > 0),
    }
}

/// Whether it is an Argo Rollout that waits for a person, or for its step's time.
fn is_paused(now: &Value, object: &Object) -> bool {
    let waits = || {
        now.pointer("/status/pauseConditions")
            .and_then(Value::as_array)
            .is_some_and(|all| !all.is_empty())
    };
    object.kind == "Rollout" && waits()
}

/// A text from the cluster as one line that is not too long.
pub(super) fn clip(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_CHARS)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::artifact::Digest;
    use serde_json::json;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn template(digest: &str) -> Value {
        json!({ "spec": { "initContainers": [{ "image": "busybox:1" }],
            "containers": [{ "name": "app", "image": format!("r.example/api:1@{digest}") }, { "name": "odd" }, null] } })
    }

    fn item(group: &str, kind: &str, name: &str, target: &Value, live: &Value) -> Value {
        json!({ "group": group, "kind": kind, "namespace": "shop", "name": name,
            "targetState": target.to_string(), "liveState": live.to_string() })
    }

    fn object(group: &str, kind: &str, name: &str) -> Value {
        json!({ "group": group, "kind": kind, "namespace": "shop", "name": name })
    }

    fn node(of: Value, parents: &[Value], rest: Value) -> Value {
        let mut node = of;
        node["parentRefs"] = parents.into();
        for (key, value) in rest.as_object().unwrap() {
            node[key] = value.clone();
        }
        node
    }

    fn pod(name: &str, parent: Value, status: &str, digest: &str) -> Value {
        node(
            object("", "Pod", name),
            &[parent],
            json!({ "info": [{ "name": "Revision", "value": "Rev:1" }, { "name": "Status Reason", "value": status }],
                "images": [format!("r.example/api:1@{digest}")], "createdAt": "2026-09-01T12:00:07Z",
                "health": { "status": "Degraded", "message": "back-off\n10s" } }),
        )
    }

    fn read_all(items: Vec<Value>, nodes: Vec<Value>) -> Vec<Workload> {
        let managed = serde_json::from_value(json!({ "items": items })).unwrap();
        let tree = serde_json::from_value(json!({ "nodes": nodes, "orphanedNodes": null })).unwrap();
        read(managed, tree)
    }

    fn digest(text: &str) -> Digest {
        text.parse().unwrap()
    }

    #[test]
    fn a_deployment_has_both_manifests_its_health_and_its_pods_by_their_owners() {
        let manifest =
            |digest: &str| json!({ "kind": "Deployment", "spec": { "replicas": 2, "template": template(digest) } });
        let workloads = read_all(
            vec![
                item("apps", "Deployment", "api", &manifest(A), &manifest(B)),
                item("", "Secret", "token", &json!({ "data": { "a": "++++" } }), &Value::Null),
            ],
            vec![
                node(
                    object("apps", "Deployment", "api"),
                    &[],
                    json!({ "health": { "status": "Progressing" } }),
                ),
                node(
                    object("apps", "ReplicaSet", "api-1"),
                    &[object("apps", "Deployment", "api")],
                    json!({}),
                ),
                pod("api-1-x", object("apps", "ReplicaSet", "api-1"), "ImagePullBackOff", A),
                pod("stray", object("apps", "ReplicaSet", "other"), "Running", B),
                node(
                    object("networking.k8s.io", "Ingress", "web"),
                    &[],
                    json!({ "health": { "status": "Degraded" } }),
                ),
            ],
        );
        assert_eq!(workloads.len(), 2, "{workloads:?}");
        let api = &workloads[0];
        assert_eq!(
            (api.title(), api.health, api.expects_pods),
            ("Deployment api".into(), Some(Health::Progressing), true)
        );
        assert!(api.is_to_run(&digest(A)) && !api.is_told_to_run(&digest(A)) && api.is_told_to_run(&digest(B)));
        assert_eq!(api.target[0], "busybox:1", "init containers count");
        assert_eq!(api.pods.len(), 1);
        assert_eq!(
            (api.pods[0].status.as_str(), api.pods[0].message.as_str()),
            ("ImagePullBackOff", "back-off 10s")
        );
        assert!(api.pods[0].created_at.is_some());
        assert_eq!(
            (workloads[1].title(), workloads[1].health),
            ("Ingress web".into(), Some(Health::Degraded))
        );
    }

    #[test]
    fn what_runs_by_the_clock_once_or_never_expects_no_pods() {
        let with = |spec: Value| json!({ "spec": spec });
        let template = template(A);
        for (kind, manifest, expects) in [
            (
                "Deployment",
                with(json!({ "replicas": 0, "template": template })),
                false,
            ),
            ("Deployment", with(json!({ "template": template })), true),
            (
                "StatefulSet",
                with(json!({ "replicas": 1, "template": template })),
                true,
            ),
            ("DaemonSet", with(json!({ "template": template })), true),
            ("Job", with(json!({ "template": template })), false),
            (
                "CronJob",
                with(json!({ "jobTemplate": { "spec": { "template": template } } })),
                false,
            ),
            ("Pod", template.clone(), true),
            ("Service", with(json!({ "template": template })), false),
            ("CloneSet", with(json!({ "replicas": 3, "template": template })), true),
            (
                "CloneSet",
                with(json!({ "replicas": 3, "suspend": true, "template": template })),
                false,
            ),
        ] {
            let all = read_all(vec![item("x", kind, "api", &manifest, &Value::Null)], vec![]);
            assert_eq!((all.len(), all[0].expects_pods), (1, expects), "{kind} {manifest}");
            assert!(all[0].is_to_run(&digest(A)) && all[0].live.is_empty(), "{kind}");
        }
        let idle = json!({ "spec": { "template": template }, "status": { "desiredNumberScheduled": 0 } });
        assert!(!read_all(vec![item("apps", "DaemonSet", "agent", &idle, &idle)], vec![])[0].expects_pods);
    }

    #[test]
    fn a_pod_of_a_cronjob_is_found_through_its_job_and_a_ring_of_owners_ends() {
        let cron = json!({ "spec": { "jobTemplate": { "spec": { "template": template(A) } } } });
        let (job, ring) = (object("batch", "Job", "n-1"), object("x", "Ring", "r"));
        let all = read_all(
            vec![item("batch", "CronJob", "n", &cron, &cron)],
            vec![
                node(job.clone(), &[object("batch", "CronJob", "n")], json!({})),
                pod("n-1-x", job, "Completed", A),
                node(ring.clone(), std::slice::from_ref(&ring), json!({})),
                pod("lost", ring, "Running", A),
            ],
        );
        assert_eq!(all[0].pods.len(), 1);
        assert!(!all[0].pods[0].lives());
    }

    #[test]
    fn a_rollout_is_paused_by_its_conditions_and_may_take_a_deployments_template() {
        let paused = json!({ "spec": { "replicas": 1, "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "api" } },
            "status": { "pauseConditions": [{ "reason": "CanaryPauseStep" }] } });
        let deployment = json!({ "spec": { "replicas": 0, "template": template(A) } });
        let all = read_all(
            vec![
                item("argoproj.io", "Rollout", "api", &paused, &paused),
                item("apps", "Deployment", "api", &deployment, &deployment),
            ],
            vec![node(
                object("argoproj.io", "Rollout", "api"),
                &[],
                json!({ "health": { "status": "Progressing" } }),
            )],
        );
        assert_eq!((all[0].health, all[0].expects_pods), (Some(Health::Suspended), true));
        assert!(all[0].is_to_run(&digest(A)) && all[0].is_told_to_run(&digest(A)));
    }

    #[test]
    fn odd_answers_are_read_as_far_as_they_go() {
        for items in [
            json!(null),
            json!([null, {}]),
            json!([{ "kind": "Deployment", "targetState": "{\"containers\"" }]),
        ] {
            let managed = serde_json::from_value(json!({ "items": items })).unwrap();
            assert!(read(managed, Tree::default()).is_empty());
        }
    }
}
