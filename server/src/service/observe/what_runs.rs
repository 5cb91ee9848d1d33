//! What a resource runs, out of one look at its environment's Application. Pure.
//!
//! Workloads say it exactly, where they were read. Argo CD's summary has the images of all pods of any phase, and one health for everything: it is
//! believed only where it can't be wrong about this resource, that is when it shows the declared digest of the repository and no other, all healthy.

use domain::{
    artifact::{Digest, Repository},
    plan::{self, AppSnapshot, Health, Workload, workload},
    resource::{Kind, Resource, Source},
};

/// What a resource runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Runs {
    /// These digests, with this health.
    These(Vec<Digest>, Health),
    /// The look doesn't say: the workloads must be read.
    InDoubt,
    /// It has no repository yet, so nobody knows what to look for.
    NoRepository,
}

/// What `resource` runs, of all `resources` of its environment.
pub(crate) fn what_runs(resource: &Resource, resources: &[Resource], app: &AppSnapshot) -> Runs {
    let repository = match (&resource.desired, &resource.source) {
        (Some(desired), _) => &desired.repository,
        (None, Source::Image { repository, .. }) => repository,
        (None, Source::Promote { .. }) => return Runs::NoRepository,
    };
    let desired = resource.desired.as_ref().map(|desired| &desired.digest);
    let beside = beside(resource, resources, repository);
    match &app.workloads {
        Some(workloads) => by_workloads(workloads, repository, desired, &beside, app.health),
        None => by_summary(resource, repository, desired, &beside, app),
    }
}

fn by_workloads(
    workloads: &[Workload],
    repository: &Repository,
    desired: Option<&Digest>,
    beside: &[Digest],
    of_all: Health,
) -> Runs {
    let own = workload::own(workloads, repository, desired, beside);
    let mut digests = Vec::new();
    for digest in own.iter().flat_map(|workload| workload.runs(repository, desired)) {
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
    let health = own
        .iter()
        .map(|workload| workload.health_now())
        .max_by_key(|health| badness(*health));
    Runs::These(digests, health.unwrap_or(of_all))
}

fn by_summary(
    resource: &Resource,
    repository: &Repository,
    desired: Option<&Digest>,
    beside: &[Digest],
    app: &AppSnapshot,
) -> Runs {
    let mut digests = plan::live_digests(&app.images, repository);
    // One image may serve several resources: what another runs rightly isn't this one's.
    digests.retain(|digest| Some(digest) == desired || !beside.contains(digest));
    let is_all_there_is = app.workloads_withheld.is_some();
    let is_idle = digests.is_empty() && !resource.expects_pods() && resource.kind != Kind::CronJob;
    let is_as_declared = matches!((digests.as_slice(), desired), ([one], Some(desired)) if one == desired);
    if is_all_there_is || is_idle || (is_as_declared && app.health == Health::Healthy) {
        return Runs::These(digests, app.health);
    }
    Runs::InDoubt
}

/// The digests of the repository that other resources run because Git says so.
fn beside(this: &Resource, resources: &[Resource], repository: &Repository) -> Vec<Digest> {
    let others = resources
        .iter()
        .filter(|r| r.id != this.id)
        .filter_map(|r| r.desired.as_ref());
    others
        .filter(|desired| desired.repository == *repository)
        .map(|desired| desired.digest.clone())
        .collect()
}

/// Of several healths the worst is the one of all, in Argo CD's own order.
fn badness(health: Health) -> u8 {
    match health {
        Health::Healthy => 0,
        Health::Suspended => 1,
        Health::Progressing => 2,
        Health::Missing => 3,
        Health::Degraded => 4,
        Health::Unknown => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        id::{EnvironmentId, ResourceId},
        plan::Pod,
        resource::{Binding, Runtime},
        tag_rule::TagRule,
        time::Timestamp,
    };

    const API: &str = "r.example/api";

    fn digest(letter: &str) -> Digest {
        format!("sha256:{}", letter.repeat(64)).parse().unwrap()
    }

    fn image(letter: &str) -> String {
        format!("{API}:1@{}", digest(letter))
    }

    fn resource(id: u128, kind: Kind, desired: Option<&str>) -> Resource {
        Resource {
            id: ResourceId(uuid::Uuid::from_u128(id)),
            environment: EnvironmentId(uuid::Uuid::nil()),
            name: "api".parse().unwrap(),
            key: "api".parse().unwrap(),
            kind,
            source: Source::Image {
                repository: API.parse().unwrap(),
                tags: TagRule::default(),
            },
            binding: Binding::TrackLatest,
            hold: None,
            runtime: Runtime::default(),
            desired: desired.map(|letter| domain::artifact::ExactImage {
                repository: API.parse().unwrap(),
                tag: None,
                digest: digest(letter),
            }),
            desired_at: None,
            outside: None,
            unclear: None,
            live: None,
            created_at: Timestamp(0),
        }
    }

    fn app(images: &[&str], health: Health) -> AppSnapshot {
        AppSnapshot {
            images: images.iter().map(|letter| image(letter)).collect(),
            health,
            ..AppSnapshot::default()
        }
    }

    #[test]
    fn the_summary_is_believed_where_it_shows_the_declared_digest_alone_and_all_is_healthy() {
        let api = resource(1, Kind::Deployment, Some("a"));
        let runs = |app: &AppSnapshot| what_runs(&api, std::slice::from_ref(&api), app);
        assert_eq!(
            runs(&app(&["a"], Health::Healthy)),
            Runs::These(vec![digest("a")], Health::Healthy)
        );
        for doubtful in [
            app(&["a", "b"], Health::Healthy),
            app(&["b"], Health::Healthy),
            app(&[], Health::Healthy),
            app(&["a"], Health::Degraded),
        ] {
            assert_eq!(runs(&doubtful), Runs::InDoubt, "{doubtful:?}");
            let withheld = AppSnapshot {
                workloads_withheld: Some("no".into()),
                ..doubtful.clone()
            };
            assert!(
                matches!(runs(&withheld), Runs::These(..)),
                "there is nothing else to go by"
            );
        }
        // Another resource's own image is no doubt.
        let other = resource(2, Kind::Deployment, Some("b"));
        let both = [api.clone(), other];
        assert_eq!(
            what_runs(&api, &both, &app(&["a", "b"], Health::Healthy)),
            Runs::These(vec![digest("a")], Health::Healthy)
        );
        let mut idle = resource(3, Kind::Deployment, Some("a"));
        idle.runtime.replicas = Some(0);
        assert_eq!(
            what_runs(&idle, std::slice::from_ref(&idle), &app(&[], Health::Healthy)),
            Runs::These(Vec::new(), Health::Healthy)
        );
    }

    #[test]
    fn workloads_say_what_lives_and_how_the_own_ones_are() {
        let api = resource(1, Kind::Deployment, Some("a"));
        let own = Workload {
            kind: "Deployment".into(),
            name: "api".into(),
            health: Some(Health::Healthy),
            target: vec![image("a")],
            live: vec![image("a")],
            expects_pods: true,
            pods: ["a", "b"]
                .iter()
                .map(|letter| Pod {
                    images: vec![image(letter)],
                    status: if *letter == "a" { "Running" } else { "Evicted" }.into(),
                    ..Pod::default()
                })
                .collect(),
            ..Workload::default()
        };
        let neighbour = Workload {
            kind: "CronJob".into(),
            name: "backup".into(),
            health: Some(Health::Degraded),
            target: vec![image("b")],
            live: vec![image("b")],
            ..Workload::default()
        };
        let mut look = app(&["a", "b"], Health::Degraded);
        look.workloads = Some(vec![own, neighbour]);
        let runs = |resource: &Resource| what_runs(resource, std::slice::from_ref(resource), &look);
        assert_eq!(runs(&api), Runs::These(vec![digest("a")], Health::Healthy));
        // The cronjob, by its manifest: it has no pods between its runs.
        let backup = resource(2, Kind::CronJob, Some("b"));
        assert_eq!(runs(&backup), Runs::These(vec![digest("b")], Health::Healthy));
    }
}
