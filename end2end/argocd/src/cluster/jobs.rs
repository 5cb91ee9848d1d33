//! Runs of CronJobs, and the ends of Jobs.

use serde_json::Value;

use super::{
    live::{Job, JobOutcome, Live},
    naming::uid,
    pod::Owner,
};

/// Runs that a CronJob keeps when it does not say (`successfulJobsHistoryLimit`, `failedJobsHistoryLimit`).
const KEPT: (u64, u64) = (3, 1);

impl Live {
    /// A run of a CronJob, with the template as it is now.
    pub(crate) fn run_job(&mut self, outcome: JobOutcome, now: &str) {
        self.made += 1;
        let name = format!("{}-{}", self.manifest.name(), 29_000_000 + self.made);
        let job = Job {
            uid: uid(&format!("{}/{name}", self.uid)),
            name,
            created_at: now.to_owned(),
            outcome,
        };
        let owner = Owner {
            group: "batch".to_owned(),
            kind: "Job".to_owned(),
            name: job.name.clone(),
            uid: job.uid.clone(),
        };
        let mut pod = self.new_pod(owner, None, now);
        pod.run();
        self.pods.push(pod);
        self.jobs.push(job);
        self.end_job_pods(outcome);
        self.forget_runs();
    }

    /// Ends the runs of a CronJob that go on, or the pod of a Job.
    pub(crate) fn end_jobs(&mut self, outcome: JobOutcome) {
        if self.manifest.kind() != "CronJob" {
            // Whatever the timer of its rollout meant to do comes too late.
            self.state = super::RolloutState::Done;
            return self.end_pods(outcome);
        }
        for job in self.jobs.iter_mut().filter(|job| job.outcome == JobOutcome::Running) {
            job.outcome = outcome;
        }
        self.end_pods(outcome);
        self.forget_runs();
    }

    fn end_job_pods(&mut self, outcome: JobOutcome) {
        let newest = self.jobs.last().map(|job| job.uid.clone());
        let code = match outcome {
            JobOutcome::Succeeded => 0,
            JobOutcome::Failed => 1,
            JobOutcome::Running => return,
        };
        for pod in self
            .pods
            .iter_mut()
            .filter(|pod| Some(&pod.owner.uid) == newest.as_ref())
        {
            pod.end(code);
        }
    }

    /// Old runs go, and their pods with them.
    fn forget_runs(&mut self) {
        let limit = |key: &str, default: u64| self.manifest.0["spec"][key].as_u64().unwrap_or(default);
        let mut left = [
            (JobOutcome::Succeeded, limit("successfulJobsHistoryLimit", KEPT.0)),
            (JobOutcome::Failed, limit("failedJobsHistoryLimit", KEPT.1)),
        ];
        let mut kept: Vec<Job> = Vec::new();
        for job in std::mem::take(&mut self.jobs).into_iter().rev() {
            match left.iter_mut().find(|(outcome, _)| *outcome == job.outcome) {
                Some((_, 0)) => continue,
                Some((_, left)) => *left -= 1,
                None => {}
            }
            kept.push(job);
        }
        kept.reverse();
        self.pods
            .retain(|pod| pod.owner.kind != "Job" || kept.iter().any(|job| job.uid == pod.owner.uid));
        self.jobs = kept;
    }

    /// Gives its template another image; returns the manifest of before.
    pub(crate) fn set_template_image(&mut self, image: &str) -> Value {
        let before = self.manifest.0.clone();
        self.manifest.set_image(image);
        before
    }
}
