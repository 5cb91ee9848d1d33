//! What the failing pod of a promotion writes into its log, read from Argo CD when somebody asks, and kept nowhere.

use crate::{
    ports::argocd::ArgoCdError,
    service::{
        context::Services,
        reach::{self, Caller},
        views::inventory,
    },
};
use contract::error::AppError;
use domain::{
    plan::LogLine,
    rights::{self, Right},
};

/// The newest lines of a pod's log.
#[derive(Clone, Debug)]
pub struct PodLogs {
    /// The pod.
    pub pod: String,
    /// Its newest lines, oldest first: 50 lines and 16 KiB at most.
    pub lines: Vec<LogLine>,
}

/// The log of the pod that a promotion's workload fails by, of `container` where it has several.
///
/// # Errors
/// When no pod of it is known to fail, the caller is no developer or not of those for whom the environment is, or Argo CD doesn't let it
/// be read.
pub async fn pod_logs(
    services: &Services,
    caller: &Caller,
    id: &str,
    container: Option<&str>,
) -> Result<PodLogs, AppError> {
    let mut tx = services.store.read().await?;
    let (promotion, place) = reach::promotion_place(&mut *tx, caller, id).await?;
    drop(tx);
    rights::check(place.project.role, Right::ReadLogs)?;
    place.project.is_in_groups_of(&place.environment)?;
    let ill = inventory::illness_of(services, &promotion).await?;
    let pod = ill.and_then(|ill| ill.pod).ok_or_else(|| {
        AppError::Conflict("No pod of this promotion is known to fail, so there is no log to read.".into())
    })?;
    let (project, environment) = (&place.project, &place.environment);
    let Some((record, app)) = project.cluster(environment).and_then(|record| {
        let name = &project.record.project.name;
        Some((record, reach::application(record, name, &environment.name)?))
    }) else {
        return Err(AppError::Conflict("This environment has no Argo CD any more.".into()));
    };
    let Some(access) = reach::argocd_access(services, record)? else {
        return Err(AppError::Conflict("This environment has no Argo CD any more.".into()));
    };
    match services.argocd.logs(&access, &app, &pod, container).await {
        Ok(lines) => Ok(PodLogs { pod, lines }),
        Err(ArgoCdError::Forbidden { reason, .. }) => Err(AppError::Conflict(format!(
            "Argo CD doesn't let its logs be read: {reason}. Give the token's account the line `p, ROLE, logs, get, {}/*, allow`.",
            app.project.as_deref().unwrap_or("PROJECT")
        ))),
        Err(ArgoCdError::Refused { reason, .. }) => Err(AppError::Conflict(format!("Argo CD says: {reason}."))),
        Err(error) => Err(AppError::Upstream(error.to_string())),
    }
}
