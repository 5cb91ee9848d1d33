//! Why a workload isn't well: the pod that can't run, its reason, and what the cluster said of it last.

use super::{AppSnapshot, Health, Workload};
use crate::{artifact::Digest, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Events that are kept of a pod.
pub const MOST_EVENTS: usize = 5;

/// What was wrong with a promotion's own workload, as it was seen last. Kept with the promotion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Illness {
    /// The workload: `Deployment api`.
    pub workload: String,
    /// The pod that can't run as it should; `None` where only the workload itself is known to be ill.
    pub pod: Option<String>,
    /// Why, in the cluster's words: `ImagePullBackOff`, `CrashLoopBackOff`, what a probe answered.
    pub reason: String,
    /// The newest events of the pod, newest first; at most [`MOST_EVENTS`].
    pub events: Vec<PodEvent>,
    /// When this was seen, by our clock.
    pub at: Timestamp,
    /// In which try of the promotion.
    pub tries: u32,
}

impl Illness {
    /// Whether another look found the same: then nothing needs be asked again.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.workload, &self.pod, &self.reason, self.tries)
            == (&other.workload, &other.pod, &other.reason, other.tries)
    }
}

/// An event of Kubernetes about a pod.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PodEvent {
    /// Kubernetes' word: `Failed`, `BackOff`, `Unhealthy`.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// How often the cluster has seen it, at least 1.
    pub count: u32,
    /// When it was seen last.
    pub at: Option<Timestamp>,
}

/// A line that a container wrote. Shown to who asks, and kept nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogLine {
    /// When, as the cluster writes it; empty where it doesn't say.
    pub at: String,
    /// The line, without control characters, and cut where it is long.
    pub text: String,
}

/// A pod whose events may be asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Patient {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `metadata.uid`: a pod of the same name that came later has another.
    pub uid: String,
}

/// What is wrong with the workloads that are to run `digest`, and the pod to ask about; `None` while nothing is known to be.
#[must_use]
pub fn illness(app: &AppSnapshot, digest: &Digest, at: Timestamp, tries: u32) -> Option<(Illness, Option<Patient>)> {
    let own = app
        .workloads
        .iter()
        .flatten()
        .filter(|workload| workload.is_to_run(digest));
    own.filter_map(|workload| of(workload, digest, at, tries)).next()
}

fn of(workload: &Workload, digest: &Digest, at: Timestamp, tries: u32) -> Option<(Illness, Option<Patient>)> {
    let ill = |pod: Option<&str>, reason: String| Illness {
        workload: workload.title(),
        pod: pod.map(str::to_owned),
        reason,
        events: Vec::new(),
        at,
        tries,
    };
    if let Some((pod, reason)) = workload.failing_pod(digest) {
        let patient = Patient {
            namespace: workload.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        };
        return Some((ill(Some(&pod.name), reason), Some(patient)));
    }
    match workload.health_now() {
        Health::Degraded => {
            let why = match workload.message.as_str() {
                "" => "Degraded",
                message => message,
            };
            Some((ill(None, why.to_owned()), None))
        }
        Health::Healthy | Health::Progressing | Health::Suspended | Health::Missing | Health::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pod;

    #[test]
    fn the_failing_pod_of_the_own_workload_is_the_patient() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let image = format!("r.example/api@{digest}");
        let pod = |name: &str, status: &str| Pod {
            name: name.into(),
            uid: format!("uid-{name}"),
            images: vec![image.clone()],
            status: status.into(),
            ..Pod::default()
        };
        let mut own = Workload {
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "api".into(),
            health: Some(Health::Progressing),
            target: vec![image.clone()],
            pods: vec![
                pod("well", "Running"),
                pod("gone", "Error"),
                pod("ill", "CrashLoopBackOff"),
            ],
            ..Workload::default()
        };
        let stranger = Workload {
            pods: vec![pod("other", "ImagePullBackOff")],
            ..Workload::default()
        };
        let app = |own: &Workload| AppSnapshot {
            workloads: Some(vec![stranger.clone(), own.clone()]),
            ..AppSnapshot::default()
        };
        let (ill, patient) = illness(&app(&own), &digest, Timestamp(1), 1).unwrap();
        assert_eq!(
            (ill.workload.as_str(), ill.pod.as_deref(), ill.reason.as_str()),
            ("Deployment api", Some("ill"), "CrashLoopBackOff")
        );
        assert_eq!(
            patient.map(|patient| (patient.namespace, patient.uid)),
            Some(("shop".into(), "uid-ill".into()))
        );
        own.pods.clear();
        assert_eq!(illness(&app(&own), &digest, Timestamp(1), 1), None);
        (own.health, own.message) = (Some(Health::Degraded), "exceeded its progress deadline".into());
        let (again, patient) = illness(&app(&own), &digest, Timestamp(1), 1).unwrap();
        assert_eq!(
            (again.reason.as_str(), again.pod.as_deref(), patient),
            ("exceeded its progress deadline", None, None)
        );
        assert!(!again.is_same(&ill) && again.is_same(&again.clone()));
    }
}
