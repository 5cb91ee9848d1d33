//! Kubernetes events: what happened to an object, as `kubectl describe` ends with it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Cluster,
    naming::uid,
    pod::{Pod, Waiting},
};

/// Kubernetes forgets events after an hour; the stand-in keeps as many as anybody would read.
const KEPT: usize = 500;

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KubeEvent {
    pub(crate) object: Object,
    pub(crate) warning: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) at: String,
    pub(crate) component: String,
}

impl KubeEvent {
    /// The event as Kubernetes writes it.
    pub(crate) fn json(&self) -> Value {
        let object = &self.object;
        let id = uid(&format!("{}/{}/{}/{}", object.uid, self.reason, self.message, self.at));
        json!({
            "metadata": {
                "name": format!("{}.{}", object.name, id.get(..8).unwrap_or_default()), "namespace": object.namespace,
                "uid": id, "creationTimestamp": self.at,
            },
            "involvedObject": {
                "kind": object.kind, "namespace": object.namespace, "name": object.name, "uid": object.uid,
                "apiVersion": object.api_version,
            },
            "reason": self.reason, "message": self.message, "source": {"component": self.component},
            "firstTimestamp": self.at, "lastTimestamp": self.at, "count": 1,
            "type": if self.warning { "Warning" } else { "Normal" },
            "eventTime": null, "reportingComponent": self.component, "reportingInstance": "",
        })
    }
}

impl Cluster {
    pub(crate) fn note(&mut self, event: KubeEvent) {
        if self.events.len() >= KEPT {
            self.events.remove(0);
        }
        self.events.push(event);
    }

    pub(super) fn note_pod(&mut self, pod: &Pod, namespace: &str, reason: &str, message: &str, now: &str) {
        self.note(KubeEvent {
            object: Object {
                api_version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                namespace: namespace.to_owned(),
                name: pod.name.clone(),
                uid: pod.uid.clone(),
            },
            warning: true,
            reason: reason.to_owned(),
            message: message.to_owned(),
            at: now.to_owned(),
            component: "kubelet".to_owned(),
        });
    }

    /// What the kubelet says about a container that waits: that it failed, and that it will be tried again.
    pub(super) fn events_of_waiting(&mut self, pod: &Pod, namespace: &str, now: &str) {
        for Waiting { reason, message } in pod.waiting.values() {
            let event = match reason.as_str() {
                "ImagePullBackOff" | "ErrImagePull" => "Failed",
                "CrashLoopBackOff" => "BackOff",
                reason => reason,
            };
            self.note_pod(pod, namespace, event, message, now);
        }
    }
}
