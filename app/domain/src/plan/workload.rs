//! Workloads: what an Application's manifests say of pods, and which pods there are. The proof of what is live rests on them.
//!
//! Argo CD's summary lists the image of every pod of every phase; a pod that was evicted last week counts there like one that runs. A [`Workload`]
//! has both sides: what was rendered from Git, what the cluster was told, and its pods, each with what became of it.

use super::Health;
use crate::{
    artifact::{Digest, Repository},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// An object of an Application that has a pod template, or one without that is ill.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Workload {
    /// The API group of its kind: `apps`.
    #[serde(default)]
    pub group: String,
    /// Kubernetes' word for its kind: `Deployment`, `CronJob`.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its own health; `None` where Argo CD judges none, which is as good as healthy.
    pub health: Option<Health>,
    /// Why, in Argo CD's words; mostly empty.
    #[serde(default)]
    pub message: String,
    /// Images of all containers of its pod template, init containers too, as rendered from Git; empty when Git has it no more.
    pub target: Vec<String>,
    /// The same of the manifest in the cluster; empty when it isn't there.
    pub live: Vec<String>,
    /// Whether it keeps pods running: not with zero replicas, nor what runs by the clock or once, nor what is suspended.
    pub expects_pods: bool,
    /// Its pods, whatever became of them.
    pub pods: Vec<Pod>,
    /// Whether it is healthy with pods that Argo CD doesn't show: its settings may exclude them (`resource.exclusions`).
    #[serde(default)]
    pub pods_hidden: bool,
}

/// A workload by all that tells it from others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WorkloadName {
    /// The API group of its kind: `apps`.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A pod of a workload.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its `metadata.uid`; a pod of the same name that came later has another.
    #[serde(default)]
    pub uid: String,
    /// Images of its containers, verbatim.
    pub images: Vec<String>,
    /// What `kubectl get pods` shows as its status: `Running`, `ContainerCreating`, `CrashLoopBackOff`, `Completed`, `Evicted`.
    pub status: String,
    /// `None` where Argo CD judges none.
    pub health: Option<Health>,
    /// Why, in the words of the cluster; mostly empty.
    #[serde(default)]
    pub message: String,
    /// When it was created, by the cluster's clock, in whole seconds.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

/// What `kubectl get pods` shows for a pod whose containers have ended for good, or that is being removed. Reasons of nodes that refuse or end pods
/// are those of the kubelet (k8s.io/kubernetes, `pkg/kubelet/lifecycle`, `eviction` and `nodeshutdown`).
const ENDED: [&str; 21] = [
    "Succeeded",
    "Completed",
    "Failed",
    "Error",
    "Evicted",
    "Terminating",
    "Terminated",
    "Unknown",
    "NodeLost",
    "NodeShutdown",
    "NodeAffinity",
    "Shutdown",
    "Preempted",
    "Preempting",
    "OOMKilled",
    "DeadlineExceeded",
    "ContainerStatusUnknown",
    "ContainerCannotRun",
    "UnexpectedAdmissionError",
    "UnexpectedPreemptionError",
    "TopologyAffinityError",
];

/// Statuses that begin so are of the same sort: `OutOfcpu`, `ExitCode:1`, `Signal:9`.
const ENDED_SO: [&str; 3] = ["OutOf", "ExitCode:", "Signal:"];

impl Pod {
    /// Whether it runs or starts: what has ended, or is being removed, runs nothing.
    #[must_use]
    pub fn lives(&self) -> bool {
        let status = self.status.as_str();
        !ENDED.contains(&status) && !ENDED_SO.iter().any(|begin| status.starts_with(begin))
    }

    /// Why it doesn't run as it should, in the cluster's words; `None` while nothing is wrong with it.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if self.health != Some(Health::Degraded) && !is_trouble(&self.status) {
            return None;
        }
        Some(match (self.status.as_str(), self.message.trim()) {
            ("" | "Running" | "Pending", "") => "Degraded".to_owned(),
            ("" | "Running" | "Pending", message) => message.to_owned(),
            (status, "") => status.to_owned(),
            (status, message) if message.contains(status) => message.to_owned(),
            (status, message) => format!("{status}: {message}"),
        })
    }
}

/// Whether a status says by itself that a pod can't start or stay up.
fn is_trouble(status: &str) -> bool {
    let status = status.strip_prefix("Init:").unwrap_or(status);
    status.ends_with("BackOff")
        || status.starts_with("Err")
        || status.ends_with("Error")
        || matches!(status, "InvalidImageName" | "Unschedulable" | "OOMKilled")
}

impl Workload {
    /// How people name it: `Deployment api`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// By what an Argo CD is asked for it alone.
    #[must_use]
    pub fn full_name(&self) -> WorkloadName {
        WorkloadName {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// Whether what Git renders for it has the digest in any container. The registry's name doesn't matter: a mirror may rewrite it.
    #[must_use]
    pub fn is_to_run(&self, digest: &Digest) -> bool {
        holds(&self.target, digest)
    }

    /// Whether the cluster was told to run the digest.
    #[must_use]
    pub fn is_told_to_run(&self, digest: &Digest) -> bool {
        holds(&self.live, digest)
    }

    /// Its pods that run or start.
    pub fn living(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.lives())
    }

    /// Whether its health is about what it runs now. That of a CronJob is about runs that ended, and one that is suspended is as it should be.
    #[must_use]
    pub fn health_now(&self) -> Health {
        match (self.kind.as_str(), self.health) {
            (_, None) => Health::Healthy,
            ("CronJob", Some(Health::Degraded | Health::Suspended | Health::Progressing)) => Health::Healthy,
            ("Job", Some(Health::Suspended)) => Health::Healthy,
            (_, Some(health)) => health,
        }
    }

    /// Its living pod that can't run as it should, and why; first one with the digest.
    #[must_use]
    pub fn failing_pod(&self, digest: &Digest) -> Option<(&Pod, String)> {
        let ours = self.pods.iter().filter(|pod| holds(&pod.images, digest));
        let others = self.pods.iter().filter(|pod| !holds(&pod.images, digest));
        ours.chain(others)
            .filter(|pod| pod.lives())
            .find_map(|pod| Some((pod, pod.trouble()?)))
    }

    /// The digests of `repository` that it runs: of its living pods, and for what runs by the clock or once of its manifest in the cluster. `desired`
    /// counts in any registry; else what has the repository's name, and after a mirror what has its last part.
    #[must_use]
    pub fn runs(&self, repository: &Repository, desired: Option<&Digest>) -> Vec<Digest> {
        let mut digests = Vec::new();
        let mut add = |images: &[String]| {
            if let Some(digest) = runs_of(images, repository, desired)
                && !digests.contains(&digest)
            {
                digests.push(digest);
            }
        };
        match self.kind.as_str() {
            "CronJob" | "Job" => add(&self.live),
            _ if self.pods_hidden => add(&self.live),
            _ => self.living().for_each(|pod| add(&pod.images)),
        }
        digests
    }
}

/// Which digest a pod with these images runs for a resource.
fn runs_of(images: &[String], repository: &Repository, desired: Option<&Digest>) -> Option<Digest> {
    if let Some(desired) = desired.filter(|desired| holds(images, desired)) {
        return Some(desired.clone());
    }
    super::live_digests(images, repository).into_iter().next().or_else(|| {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let wanted = last(repository.as_str());
        images.iter().find_map(|image| {
            let (name, digest) = image.split_once('@')?;
            let name = last(name);
            let name = name.split(':').next().unwrap_or_default();
            (name == wanted).then(|| digest.parse().ok())?
        })
    })
}

/// Whether one of these image references names the digest, in whatever registry.
pub(super) fn holds(images: &[String], digest: &Digest) -> bool {
    images
        .iter()
        .filter_map(|image| image.split_once('@'))
        .any(|(_, named)| named == digest.as_str())
}

/// The workloads of a resource that is to run `desired` of `repository`: those whose rendered manifest has that digest. Where none has (Argo CD is not
/// there yet), those that have anything of the repository and don't run by right what another resource declares (`beside`).
#[must_use]
pub fn own<'a>(
    workloads: &'a [Workload],
    repository: &Repository,
    desired: Option<&Digest>,
    beside: &[Digest],
) -> Vec<&'a Workload> {
    let rendered = |digest: &Digest| -> Vec<&Workload> { workloads.iter().filter(|w| w.is_to_run(digest)).collect() };
    let own = desired.map(rendered).unwrap_or_default();
    if !own.is_empty() {
        return own;
    }
    let others = |w: &&Workload| {
        !beside
            .iter()
            .any(|digest| w.is_to_run(digest) || w.is_told_to_run(digest))
    };
    workloads
        .iter()
        .filter(|w| !w.target.is_empty())
        .filter(others)
        .filter(|w| {
            runs_of(&w.live, repository, desired).is_some() || runs_of(&w.target, repository, desired).is_some()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn pod(status: &str, image: &str) -> Pod {
        Pod {
            status: status.into(),
            images: vec![image.into()],
            ..Pod::default()
        }
    }

    #[test]
    fn what_has_ended_or_is_being_removed_does_not_live() {
        for status in ["Evicted", "Completed", "Error", "Terminating", "OutOfcpu", "ExitCode:1"] {
            assert!(!pod(status, "a").lives(), "{status}");
        }
        for status in [
            "Running",
            "Pending",
            "ContainerCreating",
            "CrashLoopBackOff",
            "Init:0/1",
            "",
        ] {
            assert!(pod(status, "a").lives(), "{status}");
        }
    }

    #[test]
    fn a_pod_says_why_it_fails() {
        let mut failing = pod("ImagePullBackOff", "a");
        assert_eq!(failing.trouble().as_deref(), Some("ImagePullBackOff"));
        failing.message = "Back-off pulling image \"a\"".into();
        assert_eq!(
            failing.trouble().as_deref(),
            Some("ImagePullBackOff: Back-off pulling image \"a\"")
        );
        let mut probed = pod("Running", "a");
        assert_eq!(probed.trouble(), None);
        probed.health = Some(Health::Degraded);
        assert_eq!(probed.trouble().as_deref(), Some("Degraded"));
    }

    #[test]
    fn a_resource_owns_what_is_rendered_with_its_digest_and_nobody_elses() {
        let repository: Repository = "r.example/api".parse().unwrap();
        let (a, b): (Digest, Digest) = (A.parse().unwrap(), B.parse().unwrap());
        let workload = |name: &str, target: &str, live: &str| Workload {
            kind: "Deployment".into(),
            name: name.into(),
            target: vec![target.to_owned()],
            live: vec![live.to_owned()],
            ..Workload::default()
        };
        let (ours, theirs) = (format!("r.example/api@{A}"), format!("r.example/api@{B}"));
        let all = [workload("api", &ours, &theirs), workload("worker", &theirs, &theirs)];
        let names = |own: Vec<&Workload>| own.iter().map(|w| w.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(own(&all, &repository, Some(&a), &[])), ["api"]);
        assert_eq!(names(own(&all, &repository, Some(&b), &[])), ["worker"]);
        // Before Argo CD has rendered it: everything of the repository but what another resource declares.
        let c: Digest = format!("sha256:{}", "c".repeat(64)).parse().unwrap();
        assert_eq!(names(own(&all, &repository, Some(&c), &[])), ["api", "worker"]);
        assert_eq!(
            names(own(&all, &repository, Some(&c), std::slice::from_ref(&b))),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_a_workload_runs_is_read_off_living_pods_or_its_manifest() {
        let repository: Repository = "r.example/team/api".parse().unwrap();
        let a: Digest = A.parse().unwrap();
        let mut workload = Workload {
            kind: "Deployment".into(),
            live: vec![format!("r.example/team/api@{A}")],
            expects_pods: true,
            pods: vec![
                pod("Running", &format!("mirror.example/hub/api:1@{A}")),
                pod("Evicted", &format!("r.example/team/api@{B}")),
            ],
            ..Workload::default()
        };
        assert_eq!(workload.runs(&repository, Some(&a)), std::slice::from_ref(&a));
        workload
            .pods
            .push(pod("Running", &format!("mirror.example/hub/api@{B}")));
        assert_eq!(workload.runs(&repository, Some(&a)), [a.clone(), B.parse().unwrap()]);
        workload.kind = "CronJob".into();
        assert_eq!(workload.runs(&repository, None), [a]);
    }

    #[test]
    fn a_pod_that_cannot_start_or_stay_up_is_in_trouble() {
        for status in [
            "CrashLoopBackOff",
            "ErrImagePull",
            "CreateContainerConfigError",
            "InvalidImageName",
            "Unschedulable",
            "OOMKilled",
            "Init:CrashLoopBackOff",
        ] {
            assert!(pod(status, "a").trouble().is_some(), "{status}");
        }
        for status in [
            "Running",
            "Pending",
            "ContainerCreating",
            "PodInitializing",
            "Init:0/1",
            "",
        ] {
            assert_eq!(pod(status, "a").trouble(), None, "{status}");
        }
        // The cluster's own words come once.
        let mut twice = pod("ErrImagePull", "a");
        twice.message = "ErrImagePull: not found".into();
        assert_eq!(twice.trouble().as_deref(), Some("ErrImagePull: not found"));
    }

    #[test]
    fn the_pod_with_the_digest_is_blamed_first() {
        let digest: Digest = A.parse().unwrap();
        let named = |name: &str, image: &str| Pod {
            name: name.into(),
            ..pod("CrashLoopBackOff", image)
        };
        let mut workload = Workload {
            pods: vec![
                named("old", &format!("r.example/api@{B}")),
                named("new", &format!("r.example/api@{A}")),
            ],
            ..Workload::default()
        };
        assert_eq!(workload.failing_pod(&digest).unwrap().0.name, "new");
        workload.pods.pop();
        assert_eq!(workload.failing_pod(&digest).unwrap().0.name, "old", "else any other");
    }

    #[test]
    fn where_pods_are_hidden_the_manifest_in_the_cluster_counts() {
        let repository: Repository = "r.example/api".parse().unwrap();
        let workload = Workload {
            kind: "Deployment".into(),
            live: vec![format!("r.example/api@{B}")],
            pods: vec![pod("Running", &format!("r.example/api@{A}"))],
            ..Workload::default()
        };
        let runs = |workload: &Workload| {
            workload
                .runs(&repository, None)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(runs(&workload), [A]);
        let hidden = Workload {
            pods_hidden: true,
            ..workload
        };
        assert_eq!(runs(&hidden), [B]);
    }

    #[test]
    fn what_git_renders_or_the_cluster_has_of_the_repository_may_be_ours() {
        let repository: Repository = "r.example/api".parse().unwrap();
        let (ours, theirs) = (format!("r.example/api@{A}"), format!("r.example/web@{B}"));
        for (target, live, is_own) in [
            (&ours, &theirs, true),
            (&theirs, &ours, true),
            (&theirs, &theirs, false),
        ] {
            let all = [Workload {
                target: vec![target.clone()],
                live: vec![live.clone()],
                ..Workload::default()
            }];
            assert_eq!(!own(&all, &repository, None, &[]).is_empty(), is_own, "{target} {live}");
        }
    }
}
