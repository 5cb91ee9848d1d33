//! What is live, as Argo CD reports it.

use super::Services;
use crate::store::{ClusterRecord, NewEvent, StoreError, Tx, Waiting};
use app::error::AppError;
use domain::{
    artifact::{Digest, Repository},
    environment::{Environment, Project},
    event::{Happened, Subject},
    id::WorkspaceId,
    plan::{self, AppSnapshot, Health},
    promotion::Actor,
    resource::{Live, Resource, Source},
    time::Timestamp,
};

impl Services {
    /// Stores what an environment's Application runs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report_live(
        &self,
        project: &Project,
        environment: &Environment,
        app: &AppSnapshot,
    ) -> Result<(), AppError> {
        let now = self.now();
        let mut changed = false;
        let mut tx = self.store.write().await?;
        let mut resources = tx.resources(project.id).await?;
        resources.retain(|resource| resource.environment == environment.id);
        for resource in &resources {
            let repository = match (&resource.desired, &resource.source) {
                (Some(desired), _) => desired.repository.clone(),
                (None, Source::Image { repository }) => repository.clone(),
                (None, Source::Promote { .. }) => continue,
            };
            let mut digests = plan::live_digests(&app.images, &repository);
            // One image may serve several resources: what another runs rightly isn't this one's.
            let own = resource.desired.as_ref().map(|desired| &desired.digest);
            digests.retain(|digest| Some(digest) == own || !rightly(&resources, resource, &repository, digest));
            let same = resource
                .live
                .as_ref()
                .is_some_and(|l| l.digests == digests && l.health == app.health);
            if same {
                continue;
            }
            let healthy = match app.health {
                Health::Healthy => digests.clone(),
                _ => Vec::new(),
            };
            let short = digests.iter().map(|d| d.short().to_owned()).collect();
            tx.set_live(
                resource.id,
                Some(&Live {
                    digests,
                    health: app.health,
                    at: now,
                }),
            )
            .await?;
            let event = NewEvent {
                workspace: project.workspace,
                subject: Subject::resource(project.id, resource),
                actor: Actor::Waybill,
                happened: Happened::LiveChanged {
                    digests: short,
                    health: app.health,
                },
            };
            tx.append_event(&event, now).await?;
            note_runs(&mut *tx, project.workspace, resource, &healthy, now).await?;
            changed = true;
        }
        tx.commit().await?;
        if changed {
            self.wrote();
        }
        Ok(())
    }

    /// Has the promotions look that wait for an environment's Application: Argo CD said that something about it changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nudge(&self, environment: &Environment) -> Result<(), AppError> {
        let mut tx = self.store.write().await?;
        tx.nudge_environment(environment.id, self.now()).await?;
        tx.commit().await?;
        self.wake.worker.notify_one();
        Ok(())
    }

    /// Forgets what a cluster's Argo CD reported: it can't be reached, and old news must not be shown as live.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_live(&self, record: &ClusterRecord) -> Result<(), AppError> {
        let mut tx = self.store.write().await?;
        let mut forgot = false;
        for project in tx.projects(record.cluster.workspace).await? {
            let environments = tx.environments(project.project.id).await?;
            for resource in tx.resources(project.project.id).await? {
                let here = environments
                    .iter()
                    .any(|e| e.id == resource.environment && e.cluster == record.cluster.id);
                if here && resource.live.is_some() {
                    tx.set_live(resource.id, None).await?;
                    note_runs(&mut *tx, record.cluster.workspace, &resource, &[], self.now()).await?;
                    let event = NewEvent {
                        workspace: record.cluster.workspace,
                        subject: Subject::resource(project.project.id, &resource),
                        actor: Actor::Waybill,
                        happened: Happened::LiveForgotten,
                    };
                    tx.append_event(&event, self.now()).await?;
                    forgot = true;
                }
            }
        }
        tx.commit().await?;
        if forgot {
            self.wrote();
        }
        Ok(())
    }
}

/// Remembers since when a resource is healthy with which digests, and has those looked at that wait for it.
async fn note_runs(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
    healthy: &[Digest],
    now: Timestamp,
) -> Result<(), StoreError> {
    let open = tx.open_runs(resource.id).await?;
    for ended in open.iter().filter(|digest| !healthy.contains(digest)) {
        tx.end_run(resource.id, ended, now).await?;
        tx.wake_waiting(Waiting::Digest(workspace, ended), now).await?;
    }
    for begun in healthy.iter().filter(|digest| !open.contains(digest)) {
        tx.begin_run(resource.id, begun, now).await?;
        tx.wake_waiting(Waiting::Digest(workspace, begun), now).await?;
    }
    Ok(())
}

/// Whether another resource runs this digest of the repository because Git says so.
fn rightly(resources: &[Resource], this: &Resource, repository: &Repository, digest: &Digest) -> bool {
    let mut others = resources
        .iter()
        .filter(|r| r.id != this.id)
        .filter_map(|r| r.desired.as_ref());
    others.any(|desired| desired.repository == *repository && desired.digest == *digest)
}
