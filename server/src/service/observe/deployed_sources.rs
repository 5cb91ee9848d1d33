//! What an Application deploys, held against what Waybill commits to: another branch, and what a sync would bring besides.

use crate::{
    service::{
        context::{Deployed, Services},
        reach,
    },
    store::ClusterRecord,
};
use domain::{
    environment::{Environment, Project},
    plan::{
        Committed,
        source::{other_branch, other_branch_remedy, other_branch_words},
    },
    policy::SyncScope,
};

/// So many of what a sync brings besides are named.
const MOST_NAMED: usize = 5;

fn deployed(services: &Services, cluster: &ClusterRecord, app: &str) -> Option<Deployed> {
    let key = (cluster.cluster.id, app.to_owned());
    services.deployed_sources.all().get(&key).cloned()
}

/// What else a sync would bring where the Application waits to be asked for one, a sentence; `None` where it brings nothing else, or nobody
/// knows of it.
pub(crate) fn brought_besides(
    services: &Services,
    cluster: &ClusterRecord,
    project: &Project,
    environment: &Environment,
    creates: bool,
) -> Option<String> {
    let app = reach::application(cluster, &project.name, &environment.name)?;
    let deployed = deployed(services, cluster, &app.name)?;
    if deployed.auto_sync {
        return None;
    }
    if environment.policy.sync == SyncScope::Service && !creates {
        return Some("Only the service's own workloads are synced, as the policy says.".to_owned());
    }
    if deployed.unsynced.is_empty() {
        return None;
    }
    let named: Vec<&str> = deployed.unsynced.iter().map(String::as_str).take(MOST_NAMED).collect();
    let more = match deployed.unsynced.len() - named.len() {
        0 => "",
        _ => " and more",
    };
    Some(format!(
        "{} doesn't sync by itself. A sync applies everything that differs from Git now: {}{more}.",
        app.name,
        named.join(", ")
    ))
}

/// That an environment's Application follows another branch than Waybill commits to, and what to do; `None` while nobody knows of that.
pub(crate) fn other_branch_warning(
    services: &Services,
    cluster: &ClusterRecord,
    project: &Project,
    environment: &Environment,
) -> Option<String> {
    let app = reach::application(cluster, &project.name, &environment.name)?;
    let sources = deployed(services, cluster, &app.name)?.sources;
    let files = [project.values_path(&environment.key)];
    let committed = Committed {
        repository: &project.repository_url,
        branch: &project.branch,
        files: &files,
    };
    let revision = other_branch(&sources, committed)?;
    let what = other_branch_words(&app.name, revision, &project.branch);
    Some(format!(
        "{what} What is promoted would never run, so promotions to {} fail. {}",
        environment.name,
        other_branch_remedy(&project.branch)
    ))
}
