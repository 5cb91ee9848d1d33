//! Looking closer: where Argo CD's summary can't tell what is live, the Application's workloads are read beside its stream, and what they say is
//! stored.

use crate::{
    ports::argocd::ArgoCdError,
    service::{Services, context::ReadPurpose, observe, reach},
    store::ClusterRecord,
};
use contract::error::AppError;
use domain::{
    environment::{Environment, Project},
    id::EnvironmentId,
    plan::AppSnapshot,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;

/// Pause before workloads are read again that could not be.
const AGAIN: Duration = Duration::from_secs(5);

/// The looks that are under way for one cluster; they end when this is dropped.
#[derive(Default)]
pub(super) struct Closer {
    looks: JoinSet<()>,
    /// The newest of each environment that nobody has looked at; a look that is under way takes it when it has done its own.
    wanted: Arc<Mutex<HashMap<EnvironmentId, Option<AppSnapshot>>>>,
}

impl Closer {
    /// Has the workloads of `app` read for an environment, once those before are.
    pub(super) fn look(
        &mut self,
        services: &Services,
        record: &ClusterRecord,
        project: &Project,
        environment: &Environment,
        app: &AppSnapshot,
    ) {
        while self.looks.try_join_next().is_some() {}
        let before = all(&self.wanted).insert(environment.id, Some(app.clone()));
        if before.is_some() {
            return;
        }
        let (services, record, wanted) = (services.clone(), record.clone(), Arc::clone(&self.wanted));
        let (project, environment) = (project.clone(), environment.clone());
        self.looks.spawn(async move {
            while let Some(app) = next(&wanted, environment.id) {
                if let Err(error) = read(&services, &record, &project, &environment, app).await
                    && !matches!(error, AppError::Unavailable(_))
                {
                    tracing::error!(environment = %environment.name, %error, "what is live could not be stored");
                }
            }
        });
    }
}

type Wanted = HashMap<EnvironmentId, Option<AppSnapshot>>;

fn all(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The newest that is wanted of an environment; when there is none, nobody looks at it any more.
fn next(wanted: &Mutex<Wanted>, environment: EnvironmentId) -> Option<AppSnapshot> {
    let mut wanted = all(wanted);
    let next = wanted.get_mut(&environment).and_then(Option::take);
    if next.is_none() {
        wanted.remove(&environment);
    }
    next
}

/// Reads the workloads of `app`, and stores what they say.
///
/// # Errors
/// When the database fails.
pub(super) async fn read(
    services: &Services,
    record: &ClusterRecord,
    project: &Project,
    environment: &Environment,
    mut app: AppSnapshot,
) -> Result<(), AppError> {
    let (Some(access), Some(at)) = (
        reach::argocd_access(services, record)?,
        reach::application(record, &project.name, &environment.name),
    ) else {
        return Ok(());
    };
    for again in [true, true, false] {
        let Err(error) = observe::read_workloads(services, &access, &at, &mut app, ReadPurpose::Board).await else {
            break;
        };
        tracing::debug!(application = %app.name, %error, "the workloads could not be read");
        // It was deleted meanwhile, which its stream tells.
        if matches!(error, ArgoCdError::NotFound { .. }) {
            return Ok(());
        }
        // What passes is waited for, and what is known stays meanwhile; then the summary is better than nothing.
        if again && error.is_passing() {
            tokio::time::sleep(AGAIN).await;
        } else {
            app.workloads_withheld = Some(error.to_string());
            break;
        }
    }
    observe::report_live(services, project, environment, &at, &app).await?;
    Ok(())
}
