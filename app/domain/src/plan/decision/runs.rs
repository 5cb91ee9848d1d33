//! Once a revision with our commit was applied: is it what the service's own workloads run, and are they well?

use super::{Applied, Intent, Look, Next, TRUNCATED_MILLIS};
use crate::{
    plan::{Health, Workload, images::of_repository, said::clip, workload::holds},
    time::Timestamp,
};

/// How many ill neighbours are named.
const NEIGHBOURS: usize = 3;

impl<'a> Look<'a> {
    /// The service's own workloads: those whose manifest, rendered from our commit, has the promised digest. `None` where they may not be read.
    ///
    /// Where the head that Argo CD compared with is further than what was applied, the manifests in the cluster say what the commit rendered.
    pub(super) fn own(&self, applied: &Applied<'_>) -> Result<Option<Vec<&'a Workload>>, Next> {
        let app = self.app;
        let workloads = match (&app.workloads, &app.workloads_withheld) {
            (Some(workloads), _) => workloads,
            (None, Some(_)) => return Ok(None),
            (None, None) => return Err(Next::Inspect),
        };
        let digest = self.intent.digest;
        let mut own: Vec<&Workload> = workloads.iter().filter(|w| w.is_to_run(digest)).collect();
        let head_is_further = app.sync_status != "Synced" && matches!(applied, Applied::By { .. });
        if own.is_empty() && head_is_further {
            own = workloads.iter().filter(|w| w.is_told_to_run(digest)).collect();
        }
        if !own.is_empty() {
            return Ok(Some(own));
        }
        let ended = match applied {
            Applied::By { operation, .. } => operation.finished_at,
            Applied::Already { .. } => None,
        };
        Err(self.not_rendered(workloads, ended))
    }

    /// None of the manifests that Argo CD rendered has the promised digest. They come from a cache beside the status: what is a moment old, counted
    /// from `since`, may be of the look before.
    pub(super) fn not_rendered(&self, workloads: &[Workload], since: Option<Timestamp>) -> Next {
        let renders = workloads
            .iter()
            .find_map(|w| Some((w, of_repository(&w.target, self.intent.repository).next()?)));
        let names = match renders {
            Some((workload, image)) if image.digest.is_none() => format!(
                "what it rendered names a tag, which proves nothing, and not the digest ({} has {})",
                workload.title(),
                image.text
            ),
            Some((workload, image)) => format!(
                "what it rendered still names the old image ({} has {})",
                workload.title(),
                image.text
            ),
            None => format!("nothing that it rendered names {}", self.intent.repository),
        };
        let reason = format!("Argo CD is at the commit, but {names}.");
        let settles = self.intent.stable_millis.max(0).saturating_add(TRUNCATED_MILLIS);
        let since = since.map_or(self.intent.pushed_at, |since| since.max(self.intent.pushed_at));
        if !self.grace_is_over() && self.intent.now.millis_since(since) <= settles {
            return Next::Wait { why: reason };
        }
        Next::NotRendered {
            reason,
            remedy: "Look for two causes: the annotation argocd.argoproj.io/manifest-generate-paths leaves out the file that Waybill changes, so that \
                     Argo CD renders nothing anew; or the chart does not use the value, or not its digest. Correct it, then retry."
                .into(),
        }
    }

    /// The service's own workloads are healthy; or the Application, where they can't be read.
    pub(super) fn is_healthy(&self, applied: &Applied<'_>, own: Option<&[&Workload]>) -> Result<(), Next> {
        let app = self.app;
        let Some(own) = own else {
            return self.is_well(app.health, &app.name, applied, None);
        };
        for workload in own {
            let failing = workload.failing_pod(self.intent.digest);
            self.is_well(
                workload.health_now(),
                &workload.title(),
                applied,
                failing.as_ref().map(|(pod, why)| (pod.name.as_str(), why.as_str())),
            )?;
        }
        Ok(())
    }

    /// `what` is in good health. `failing` is a pod of it that isn't, and why.
    fn is_well(
        &self,
        health: Health,
        what: &str,
        applied: &Applied<'_>,
        failing: Option<(&str, &str)>,
    ) -> Result<(), Next> {
        let app = self.app;
        let because = match failing {
            Some((pod, why)) => format!(" The pod {pod}: {}.", clip(why).trim_end_matches('.')),
            None => String::new(),
        };
        match health {
            Health::Healthy => Ok(()),
            Health::Suspended => Err(Next::Paused {
                why: format!("The rollout is paused: Argo CD reports {what} as Suspended. Resume it in Argo CD."),
            }),
            Health::Degraded => {
                // What broke while our revision was rolled out is our revision's fault; what was broken before may yet
                // be mended by it.
                let broke_now = match applied {
                    Applied::By { operation, .. } => operation
                        .started_at
                        .zip(app.health_since.filter(|_| app.health == Health::Degraded))
                        .is_some_and(|(started, since)| since >= started),
                    Applied::Already { .. } => false,
                };
                let reason = if broke_now {
                    format!("The rollout failed: Argo CD reports {what} as Degraded.{because}")
                } else if self.grace_is_over() {
                    format!(
                        "Argo CD reports {what} as Degraded, since before this rollout, and it has not recovered.{because}"
                    )
                } else {
                    return Err(Next::Wait {
                        why: format!(
                            "Argo CD reports {what} as Degraded since before this rollout; waiting whether it recovers.{because}"
                        ),
                    });
                };
                Err(Next::Failed {
                    reason,
                    remedy: "Look at the application's pods and events in Argo CD, correct the cause, then retry or roll back."
                        .into(),
                })
            }
            Health::Progressing | Health::Missing | Health::Unknown => Err(Next::Wait {
                why: format!(
                    "Argo CD is rolling out: health of {what} is {}.{because}",
                    health.as_str()
                ),
            }),
        }
    }

    /// In all of the service's own workloads the cluster was told to run the promised digest, and each living pod runs it: while a rollout replaces
    /// pods, old and new both live.
    pub(super) fn workloads_run_the_digest(&self, own: &[&Workload]) -> Result<String, Next> {
        let digest = self.intent.digest;
        let mut proofs = Vec::new();
        for workload in own {
            let title = workload.title();
            if !workload.is_told_to_run(digest) {
                let why = if workload.live.is_empty() {
                    format!("Git has {title}, but it is not in the cluster yet.")
                } else {
                    format!(
                        "Git has the promised digest for {title}, but its manifest in the cluster names another image. If that stays so, look for \
                         ignoreDifferences on the image in the application."
                    )
                };
                return Err(Next::Wait { why });
            }
            if !workload.expects_pods {
                proofs.push(format!(
                    "{title} expects no pod now, and names it in Git and in the cluster"
                ));
                continue;
            }
            let (new, old): (Vec<_>, Vec<_>) = workload.living().partition(|pod| holds(&pod.images, digest));
            match (new.len(), old.first()) {
                // They may only not be there yet.
                (0, None) if workload.pods_hidden && self.grace_is_over() => {
                    proofs.push(format!(
                        "{title} names it in Git and in the cluster, and is Healthy; Argo CD shows no pods (its settings may exclude them)"
                    ));
                }
                (0, None) => {
                    return Err(Next::Wait {
                        why: format!("{title} is Healthy, but no pod of it lives yet."),
                    });
                }
                (0, Some(pod)) => {
                    return Err(Next::Wait {
                        why: format!(
                            "{title} is Healthy, but its pod {} does not run the promised digest, and none does yet.",
                            pod.name
                        ),
                    });
                }
                (_, Some(pod)) => {
                    return Err(Next::Wait {
                        why: format!(
                            "The new pods of {title} run; waiting for the last pod with another image to end: {}.",
                            pod.name
                        ),
                    });
                }
                (1, None) => proofs.push(format!("{title} runs it in its pod")),
                (pods, None) => proofs.push(format!("{title} runs it in all of its {pods} pods")),
            }
        }
        Ok(format!("{} is live: {}.", digest, proofs.join("; ")))
    }

    /// The ill objects beside the service's own, as a warning.
    pub(super) fn ill_neighbours(&self, own: &[&Workload]) -> String {
        let ill: Vec<String> = (self.app.workloads.iter().flatten())
            .filter(|workload| !own.iter().any(|own| std::ptr::eq(*own, *workload)))
            .filter_map(|workload| match workload.health? {
                health @ (Health::Degraded | Health::Missing | Health::Unknown) => {
                    Some(format!("{} is {}", workload.title(), health.as_str()))
                }
                Health::Healthy | Health::Progressing | Health::Suspended => None,
            })
            .collect();
        match ill.as_slice() {
            [] => String::new(),
            ill => {
                let (shown, more) = (ill.iter().take(NEIGHBOURS), ill.len().saturating_sub(NEIGHBOURS));
                let shown: Vec<&str> = shown.map(String::as_str).collect();
                let more = match more {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!(
                    " Warning: something else of the application is ill: {}{more}.",
                    shown.join(", ")
                )
            }
        }
    }

    /// By Argo CD's summary, the pods run the promised digest, and no pod runs anything else of its repository.
    pub(super) fn summary_shows_the_digest(&self) -> Result<String, Next> {
        let Intent { digest, repository, .. } = self.intent;
        let app = self.app;
        let only = format!(
            " Proof by Argo CD's summary only, which lists pods that have ended, too: it does not let Waybill read the application's resources ({}). \
             The policy line is `p, SUBJECT, applications, get, {}/{}, allow`.",
            app.workloads_withheld.as_deref().unwrap_or_default(),
            app.project,
            app.name
        );
        if !self.intent.expects_pods {
            return Ok(format!(
                "No pods are expected now, so the sync itself is the proof.{only}"
            ));
        }
        let mut promised = false;
        let mut other = None;
        for image in of_repository(&self.app.images, repository) {
            if image.digest.as_ref() == Some(*digest) {
                promised = true;
            } else if image
                .digest
                .as_ref()
                .is_none_or(|digest| !self.intent.beside.contains(digest))
            {
                other = Some(image.text);
            }
        }
        // A mirror may have rewritten the registry's name; the digest is the image's own.
        promised |= holds(&self.app.images, digest);
        match (promised, other) {
            (true, None) => Ok(format!("Every live pod of {repository} runs {digest}.{only}")),
            (true, Some(other)) => Err(Next::Wait {
                why: format!("The new pods run; waiting for the last pod with {other} to end."),
            }),
            (false, Some(other)) => Err(Next::Wait {
                why: format!("Healthy, but pods run {other} and none runs the promised digest yet."),
            }),
            (false, None) => Err(Next::Wait {
                why: format!("Healthy, but no live pod of {repository} is reported yet."),
            }),
        }
    }

    /// Health has been Healthy for long enough. Argo CD before 2.14 doesn't say since when, and a time that lies ahead of
    /// our clock says nothing; then the time since the push must do. Where a neighbour is ill, the Application's time is the neighbour's, and the
    /// newest of our own pods must have lived for as long.
    pub(super) fn stays_healthy(&self, own: Option<&[&Workload]>) -> Result<(), Next> {
        let Intent {
            now,
            pushed_at,
            stable_millis,
            ..
        } = *self.intent;
        if stable_millis <= 0 {
            return Ok(());
        }
        let is_past = |time: &Timestamp| *time <= now.plus_millis(TRUNCATED_MILLIS);
        let since = match own {
            Some(own) if self.app.health != Health::Healthy => own
                .iter()
                .flat_map(|workload| workload.living())
                .filter_map(|pod| pod.created_at)
                .filter(is_past)
                .max()
                .map_or(pushed_at, |born| born.max(pushed_at)),
            _ => self.app.health_since.filter(is_past).unwrap_or(pushed_at),
        };
        if now.millis_since(since) < stable_millis.saturating_add(TRUNCATED_MILLIS) {
            return Err(Next::Wait {
                why: "Healthy; making sure that it stays so for a few seconds.".into(),
            });
        }
        Ok(())
    }
}
