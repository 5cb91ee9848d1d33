//! When *live* and *succeeded* are said, with a cluster that does what clusters do: pods that were evicted, jobs that ended, neighbours that are ill,
//! charts that render something else, applications of another branch.

use crate::{
    authorisation::document,
    support::{
        Bench, digest,
        world::{ARGOCD_SUBJECT, Setup, World, until, values_path},
    },
};
use argocd_standin::{AppSpec, ClusterChange, Fault, JobOutcome, Policy, RolloutOutcome, TokenGrant};
use contract::{board::Truth, board_filter::BoardFilter};
use domain::{
    event::Happened,
    plan::{AppSnapshot, Health, Pod, Workload},
    promotion::{Promotion, State},
    resource::Unknown,
    rights::Role,
};
use serde_json::{Value, json};
use server::service::{
    observe::{self, Reported},
    reach, views,
};
use testbed::ImageSpec;
use tokio::process::Command;

const STAGING: &str = "myapp-staging";

fn change(world: &World, app: &str, change: ClusterChange) {
    world.standin.in_cluster(app, change).unwrap();
}

/// The staging application, with something different.
fn staging(world: &World, different: impl FnOnce(&mut AppSpec)) {
    let url = world.repository.path().display().to_string();
    let mut app = AppSpec::new(STAGING, "myapp", &url, &values_path("staging"));
    app.automated = true;
    different(&mut app);
    world.standin.upsert_app(app);
}

async fn commit(world: &World, path: &str, text: &str) {
    let writer = world.repository.outsider("main").await.unwrap();
    writer.commit(&[(path, text)], "By hand").await.unwrap();
}

/// Pushes a build of `api` and waits until staging has it, which tracks development.
async fn reaches_staging(world: &World, tag: &str) -> (String, Promotion) {
    let digest = world.push(tag).await;
    let promotion = promoted(world, "staging", "api", &digest).await;
    let ended = world.ends(&promotion, State::Succeeded).await;
    world.wait_for_live("staging", "api", &digest).await;
    (digest, ended)
}

/// The promotion of a digest, once there is one.
async fn promoted(world: &World, environment: &str, name: &str, digest: &str) -> String {
    until(&format!("a promotion of {environment}/{name}"), async || {
        let promotions = world.promotions(environment, name).await;
        let found = promotions.into_iter().find(|p| p.image.digest.as_str() == digest)?;
        Some(found.id.to_string())
    })
    .await
}

/// What was said when it succeeded.
async fn evidence(world: &World, promotion: &Promotion) -> String {
    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_of_promotion(promotion.id).await.unwrap();
    let said = events.into_iter().rev().find_map(|event| match event.happened {
        Happened::PromotionMoved {
            to: State::Succeeded,
            detail,
            ..
        } => detail,
        _ => None,
    });
    said.unwrap()
}

async fn graphql(world: &World, query: &str) -> Value {
    let body = json!({ "query": query });
    let (status, mut answer) = world.post_json("/api/graphql", Some(&world.token), &body).await;
    assert!(status == 200 && answer["errors"].is_null(), "{answer}");
    answer["data"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_ended_do_not_hold_a_promotion_up() {
    let world = World::start().await;
    // A cronjob of the same chart with the service's image, as many charts have one.
    let report = "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: report\nspec:\n  schedule: \"0 3 * * *\"\n  jobTemplate:\n    spec:\n      \
                  template:\n        spec:\n          restartPolicy: Never\n          containers:\n            - name: report\n              image: \
                  \"{{ .Values.services.api.image.repository }}@{{ .Values.services.api.image.digest }}\"\n";
    commit(&world, "jobs/templates/report.yaml", report).await;
    staging(&world, |app| app.path = "jobs".into());
    let run = || ClusterChange::RunCronJob {
        workload: "report".into(),
        outcome: JobOutcome::Succeeded,
        image: None,
    };
    until("the cronjob", async || world.standin.in_cluster(STAGING, run()).ok()).await;
    change(&world, STAGING, run());
    let evict = ClusterChange::Evict {
        workload: "api".into(),
        pod: None,
    };
    change(&world, STAGING, evict);
    let (_, ended) = reaches_staging(&world, "1.1.0").await;
    let images = world.live_images("staging");
    assert!(
        images.iter().any(|image| image.ends_with(&world.first)),
        "the ended pods are still there: {images:?}"
    );
    let evidence = evidence(&world, &ended).await;
    for part in [
        "Deployment api runs it in all of its 2 pods",
        "CronJob report expects no pod now, and names it in Git and in the cluster",
    ] {
        assert!(evidence.contains(part), "{evidence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_does_not_give_the_digest_is_somebody_elses() {
    let world = World::start().await;
    staging(&world, |app| app.automated = false);
    // The same image in a deployment that Git no longer has, and nobody pruned.
    let image = format!("{}/myapp/api@{}", world.host, world.first);
    let manifest = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "old-api" },
        "spec": { "replicas": 1, "template": { "spec": { "containers": [{ "name": "api", "image": image }] } } },
    });
    change(&world, STAGING, ClusterChange::Add { manifest });
    reaches_staging(&world, "1.1.0").await;
    let images = world.live_images("staging");
    assert!(images.contains(&image), "it runs on: {images:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ill_neighbour_is_a_warning_and_not_a_failure() {
    let world = World::start().await;
    let ill = ClusterChange::Health {
        object: "nightly".into(),
        status: Some("Degraded".into()),
        message: "the last run failed".into(),
    };
    change(&world, "myapp-development", ill);
    let digest = world.push("1.1.0").await;
    let promotion = promoted(&world, "development", "api", &digest).await;
    let ended = world.ends(&promotion, State::Succeeded).await;
    let evidence = evidence(&world, &ended).await;
    let warning = "Warning: something else of the application is ill: Deployment nightly is Degraded.";
    assert!(evidence.contains(warning), "{evidence}");
    world.wait_for_live("development", "api", &digest).await;
    until("its own health to be told", async || {
        let live = world.resource("development", "api").await?.live?;
        (live.health == Health::Healthy).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_but_a_job_is_promoted() {
    let world = World::start().await;
    let mut document = world.document();
    for (n, (kind, word, proof)) in [
        (
            "StatefulSet",
            "statefulset",
            "StatefulSet api runs it in all of its 2 pods",
        ),
        ("DaemonSet", "daemonset", "DaemonSet api runs it in all of its 2 pods"),
        ("CronJob", "cronjob", "CronJob api expects no pod now"),
        ("Rollout", "rollout", "Rollout api runs it in all of its 2 pods"),
    ]
    .into_iter()
    .enumerate()
    {
        let values = world.values("staging").await;
        let others = values.lines().filter(|line| !line.starts_with("    kind:"));
        let values: String = others.flat_map(|line| [line, "\n"]).collect();
        let values = values.replace("  api:\n", &format!("  api:\n    kind: {kind}\n"));
        world.outsider_writes("staging", &values).await;
        document["projects"][0]["environments"][1]["resources"][0]["kind"] = word.into();
        world.apply(&document).await;
        until(&format!("the {kind} to be there"), async || {
            let app = world.standin.app(STAGING)?;
            let mut resources = app["status"]["resources"].as_array()?.iter();
            resources
                .any(|resource| resource["kind"] == kind && resource["status"] == "Synced")
                .then_some(())
        })
        .await;
        let (_, ended) = reaches_staging(&world, &format!("1.{}.0", n + 1)).await;
        let evidence = evidence(&world, &ended).await;
        assert!(evidence.contains(proof), "{evidence}");
        let resource = world.resource("staging", "api").await.unwrap();
        assert_eq!(resource.kind.as_str(), word);
    }
    document["projects"][0]["environments"][1]["resources"][0]["kind"] = "job".into();
    let (status, answer) = world.try_apply(&document).await;
    assert!(
        status == 422
            && answer
                .to_string()
                .contains("it runs once, and Kubernetes lets nobody change"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rendering_without_the_digest_fails_and_names_its_causes() {
    let world = World::start().await;
    // A chart that has its image written down, and no pod: nothing is amiss but what it renders.
    let image = format!("{}/myapp/api@{}", world.host, world.first);
    let fixed = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\nspec:\n  replicas: 0\n  template:\n    spec:\n      containers:\n        - name: api\n          image: {image}\n"
    );
    commit(&world, "fixed/templates/api.yaml", &fixed).await;
    let mut document = world.document();
    document["projects"][0]["environments"][1]["resources"][0]["runtime"]["replicas"] = 0.into();
    world.apply(&document).await;
    staging(&world, |app| {
        app.path = "fixed".into();
        app.values_prefix = Some("elsewhere".into());
    });
    until("the chart to be synced", async || {
        let app = world.standin.app(STAGING)?;
        let replicas_gone = world.live_images("staging").is_empty();
        (replicas_gone && app["status"]["sync"]["status"] == "Synced").then_some(())
    })
    .await;
    let digest = world.push("1.1.0").await;
    let promotion = promoted(&world, "staging", "api", &digest).await;
    let failed = world.ends(&promotion, State::Failed).await.failure.unwrap();
    for part in [
        "Argo CD is at the commit, but what it rendered still names the old image",
        &image,
        "argocd.argoproj.io/manifest-generate-paths",
        "the chart does not use the value",
    ] {
        let said = format!("{} {}", failed.reason, failed.remedy.as_deref().unwrap_or_default());
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_of_another_branch_is_told_beforehand_and_never_synced() {
    let world = World::start().await;
    let path = world.repository.path().display().to_string();
    let made = Command::new("git")
        .args(["-C", &path, "branch", "release", "main"])
        .status()
        .await;
    assert!(made.unwrap().success());
    staging(&world, |app| {
        app.target_revision = "release".into();
        app.automated = false;
    });
    let words = "The application myapp-staging follows `release`, but Waybill commits to `main`.";
    let mut browser = world.admin().await;
    until("the page to warn", async || {
        let page = browser.get("/w/demo/myapp/staging").await.words();
        page.contains(words).then_some(())
    })
    .await;
    let (_, tried) = world
        .post_json("/api/v1/apply?dry_run=true", Some(&world.token), &world.document())
        .await;
    assert!(tried["warnings"].to_string().contains(words), "{tried}");
    assert!(
        world.apply(&world.document()).await["warnings"]
            .to_string()
            .contains(words)
    );

    let digest = world.push("1.1.0").await;
    let promotion = promoted(&world, "staging", "api", &digest).await;
    let failed = world.ends(&promotion, State::Failed).await.failure.unwrap();
    assert!(failed.reason.starts_with(words), "{}", failed.reason);
    assert!(
        failed
            .remedy
            .as_deref()
            .is_some_and(|remedy| remedy.contains("targetRevision")),
        "{failed:?}"
    );
    let requests = world.standin.requests();
    let synced = requests
        .iter()
        .any(|r| r.starts_with("POST") && r.contains("myapp-staging/sync"));
    assert!(!synced, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_rollout_is_waited_for_beyond_every_time_out() {
    let world = World::start().await;
    let values = world.values("staging").await;
    let values = values.replace("  api:\n", "  api:\n    kind: Rollout\n");
    world.outsider_writes("staging", &values).await;
    let pause = || ClusterChange::PauseRollout {
        workload: "Rollout/api".into(),
        reason: None,
    };
    until("the Rollout to be there", async || {
        let app = world.standin.app(STAGING)?;
        let mut resources = app["status"]["resources"].as_array()?.iter();
        resources.any(|resource| resource["kind"] == "Rollout").then_some(())
    })
    .await;
    let never = RolloutOutcome::Never;
    world
        .standin
        .inject(Some(STAGING), Fault::Rollout { outcome: never })
        .unwrap();
    let digest = world.push("1.1.0").await;
    let promotion = promoted(&world, "staging", "api", &digest).await;
    world.reaches(&promotion, State::Verifying).await;
    change(&world, STAGING, pause());
    let is_paused = async || {
        let waits = world.promotion(&promotion).await.waits_for;
        waits.is_some_and(|why| why.contains("The rollout is paused: Argo CD reports Rollout api as Suspended"))
    };
    until("the pause to be seen", async || is_paused().await.then_some(())).await;
    let before = world.promotion(&promotion).await.state_since;
    world.forward(3 * 3_600_000).await;
    until("another look", async || {
        (world.promotion(&promotion).await.state_since > before).then_some(())
    })
    .await;
    assert!(is_paused().await);
    let workload = "Rollout/api".to_owned();
    change(&world, STAGING, ClusterChange::ResumeRollout { workload });
    world.ends(&promotion, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_rollout_is_unhealthy_is_kept_and_told() {
    let world = World::with(Setup::default()).await;
    let never = RolloutOutcome::Never;
    world
        .standin
        .inject(Some(STAGING), Fault::Rollout { outcome: never })
        .unwrap();
    let digest = world.push("1.1.0").await;
    let promotion = promoted(&world, "staging", "api", &digest).await;
    world.reaches(&promotion, State::Verifying).await;
    let waits = ClusterChange::Waits {
        workload: "api".into(),
        container: None,
        reason: "ImagePullBackOff".into(),
        message: None,
    };
    change(&world, STAGING, waits);
    let query = format!(
        "{{ promotion(id: \"{promotion}\") {{ state waitsFor unhealthy {{ workload pod reason events {{ reason message count at }} }} }} }}"
    );
    let told = until("the reason to be told", async || {
        let told = graphql(&world, &query).await["promotion"].take();
        (!told["unhealthy"].is_null()).then_some(told)
    })
    .await;
    let ill = &told["unhealthy"];
    assert_eq!(ill["workload"], "Deployment api", "{ill}");
    assert!(ill["pod"].as_str().unwrap().starts_with("api-"), "{ill}");
    let reason = ill["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("ImagePullBackOff: Back-off pulling image"),
        "{reason}"
    );
    assert_eq!(ill["events"][0]["reason"], "Failed", "{ill}");
    let waits = until("the wait to say it, too", async || {
        let waits = world.promotion(&promotion).await.waits_for?;
        waits.contains("ImagePullBackOff").then_some(waits)
    })
    .await;
    assert!(waits.contains("health of Deployment api is Progressing"), "{waits}");

    let well = ClusterChange::Recovers { workload: "api".into() };
    change(&world, STAGING, well);
    let healthy = RolloutOutcome::Healthy;
    world
        .standin
        .inject(Some(STAGING), Fault::Rollout { outcome: healthy })
        .unwrap();
    world.ends(&promotion, State::Succeeded).await;
    assert!(graphql(&world, &query).await["promotion"]["unhealthy"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_a_sync_brings_is_said_and_left_where_a_policy_says_so() {
    let world = World::start().await;
    staging(&world, |app| app.automated = false);
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    // Somebody adds a service in Git, and nobody has asked Argo CD for it yet.
    let nightly = world.resource("development", "nightly").await.unwrap().desired.unwrap();
    let extra = format!(
        "\n  extra:\n    image:\n      repository: {}\n      tag: 1.0.0\n      digest: {}\n    replicas: 1\n",
        nightly.repository, nightly.digest
    );
    let with_it = world.values("staging").await + &extra;
    world.outsider_writes("staging", &with_it).await;
    let mut browser = world.admin().await;
    let pin = [("intent", "preview-pin"), ("digest", world.first.as_str())];
    let said = until("what lies unsynced to be said", async || {
        let page = browser.post("/w/demo/myapp/staging/api", &pin).await.words();
        let said = page.split("myapp-staging doesn't sync by itself.").nth(1)?;
        Some(said.split_once('.')?.0.to_owned())
    })
    .await;
    assert_eq!(
        said,
        " A sync applies everything that differs from Git now: Deployment extra"
    );

    let mut document = world.document();
    document["projects"][0]["environments"][1]["policy"] = json!({ "sync": "service" });
    world.apply(&document).await;
    let runs_extra = || {
        let (workload, lines) = ("extra".to_owned(), Vec::new());
        let log = ClusterChange::Log { workload, lines };
        world.standin.in_cluster(STAGING, log).is_ok()
    };
    let third = world.push("1.2.0").await;
    let promotion = promoted(&world, "staging", "api", &third).await;
    world.ends(&promotion, State::Succeeded).await;
    world.wait_for_live("staging", "api", &third).await;
    assert!(!runs_extra(), "it was not asked for");
    let page = browser.post("/w/demo/myapp/staging/api", &pin).await.words();
    assert!(!page.contains("A sync applies everything"), "{page}");

    // Two services at once: neither undoes nor awaits the other's sync.
    document["projects"][0]["environments"][1]["resources"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "extra", "source": { "image": nightly.repository.to_string() }, "binding": { "pin": nightly.digest } }));
    world.apply(&document).await;
    world.idle().await;
    let another = world.push("1.2.1").await;
    let one = promoted(&world, "staging", "api", &another).await;
    let newer = world
        .registry
        .as_ref()
        .unwrap()
        .push_image("myapp/nightly", "1.2.1", &ImageSpec::new("nightly 1.2.1"))
        .await
        .unwrap();
    let pin = [("intent", "pin"), ("digest", newer.as_str())];
    let answer = browser.post("/w/demo/myapp/staging/extra", &pin).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let other = promoted(&world, "staging", "extra", &newer).await;
    for id in [one, other] {
        world.ends(&id, State::Succeeded).await;
    }

    document["projects"][0]["environments"][1]["policy"] = json!({});
    world.apply(&document).await;
    let fourth = world.push("1.3.0").await;
    world.wait_for_live("staging", "api", &fourth).await;
    assert!(runs_extra());
}

/// Argo CD may be told to leave pods out (`resource.exclusions`): then the manifests and the workload's health are the proof.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_argo_cd_shows_no_pods_the_manifests_are_the_proof() {
    let world = World::start().await;
    let kinds = vec!["Pod".to_owned()];
    change(&world, STAGING, ClusterChange::Exclude { kinds });
    let second = world.push("1.1.0").await;
    let promotion = promoted(&world, "staging", "api", &second).await;
    until("no pod to be seen", async || {
        let waits = world.promotion(&promotion).await.waits_for?;
        waits.contains("no pod of it lives yet").then_some(())
    })
    .await;
    world.forward(70_000).await;
    let ended = world.ends(&promotion, State::Succeeded).await;
    assert!(evidence(&world, &ended).await.contains("Argo CD shows no pods"));
    world.wait_for_live("staging", "api", &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_removed_from_git_runs_until_it_is_pruned() {
    let world = World::start().await;
    world.wait_for_live("staging", "api", &world.first).await;
    world.idle().await;
    let runs = async || {
        world
            .resource("staging", "api")
            .await
            .unwrap()
            .live
            .unwrap()
            .digests
            .len()
    };
    staging(&world, |app| app.prune = false);
    world.outsider_writes("staging", "services: {}\n").await;
    until("it to be held", async || world.resource("staging", "api").await?.hold).await;
    until("Argo CD to have compared", async || {
        let app = world.standin.app(STAGING)?;
        (app["status"]["sync"]["status"] == "OutOfSync").then_some(())
    })
    .await;
    world.idle().await;
    assert_eq!(runs().await, 1, "nobody pruned it");
    staging(&world, |app| app.prune = true);
    until("nothing to run", async || (runs().await == 0).then_some(())).await;
}

/// Argo CD leaves what Git has no more, unless it is asked to prune: that holds nobody up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_waits_to_be_pruned_holds_no_promotion_up() {
    let world = World::start().await;
    staging(&world, |app| app.prune = false);
    let before = world.values("staging").await;
    let nightly = world.resource("development", "nightly").await.unwrap().desired.unwrap();
    let extra = format!(
        "\n  extra:\n    image:\n      repository: {}\n      tag: 1.0.0\n      digest: {}\n    replicas: 1\n",
        nightly.repository, nightly.digest
    );
    let status = || {
        world
            .standin
            .app(STAGING)
            .map(|app| app["status"]["sync"]["status"].clone())
    };
    world.outsider_writes("staging", &(before.clone() + &extra)).await;
    until("it to run", async || {
        let (workload, lines) = ("extra".to_owned(), Vec::new());
        world
            .standin
            .in_cluster(STAGING, ClusterChange::Log { workload, lines })
            .ok()
    })
    .await;
    world.outsider_writes("staging", &before).await;
    until("it to be left over", async || (status()? == "OutOfSync").then_some(())).await;
    let second = world.push("1.1.0").await;
    let promotion = promoted(&world, "staging", "api", &second).await;
    world.ends(&promotion, State::Succeeded).await;
    assert_eq!(status().unwrap(), "OutOfSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_the_failing_pod_is_read_for_developers_and_kept_nowhere() {
    let world = World::with(Setup::default()).await;
    let never = RolloutOutcome::Never;
    world
        .standin
        .inject(Some(STAGING), Fault::Rollout { outcome: never })
        .unwrap();
    let digest = world.push("1.1.0").await;
    let promotion = promoted(&world, "staging", "api", &digest).await;
    world.reaches(&promotion, State::Verifying).await;
    let query = format!("{{ podLogs(promotion: \"{promotion}\") {{ pod lines {{ at text }} }} }}");
    let ask = async |token: &str| {
        let body = json!({ "query": &query });
        world.post_json("/api/graphql", Some(token), &body).await.1
    };
    let refused = ask(&world.token).await["errors"][0]["message"].take();
    assert!(refused.as_str().unwrap().contains("No pod"), "{refused}");

    let waits = ClusterChange::Waits {
        workload: "api".into(),
        container: None,
        reason: "CrashLoopBackOff".into(),
        message: None,
    };
    change(&world, STAGING, waits);
    let pod = until("the pod to be known", async || {
        let query = format!("{{ promotion(id: \"{promotion}\") {{ unhealthy {{ pod }} }} }}");
        let pod = graphql(&world, &query).await["promotion"]["unhealthy"]["pod"].take();
        pod.as_str().map(str::to_owned)
    })
    .await;
    let mut lines: Vec<String> = (1..=60).map(|n| format!("line {n}")).collect();
    lines.push("panic: no such table: orders".into());
    let workload = "api".into();
    change(&world, STAGING, ClusterChange::Log { workload, lines });
    // The right is one of its own.
    let refused = ask(&world.token).await["errors"][0]["message"].take();
    let words = refused.as_str().unwrap();
    assert!(words.contains("p, ROLE, logs, get, myapp/*, allow"), "{words}");
    let mut rights = Policy::promoter("myapp");
    rights.push(Policy::allow("logs", "get", "myapp/*"));
    world.standin.grant(TokenGrant::new(ARGOCD_SUBJECT, rights));
    let read = ask(&world.token).await["data"]["podLogs"].take();
    assert_eq!(read["pod"], json!(pod), "{read}");
    let read = read["lines"].as_array().unwrap();
    assert_eq!(read.len(), 50, "{read:?}");
    assert_eq!(read[49]["text"], "panic: no such table: orders");

    let viewer = world.token("demo", "viewer", Role::Viewer).await;
    let refused = ask(&viewer).await["errors"][0]["message"].take();
    let words = refused.as_str().unwrap();
    assert!(words.contains("read the logs of pods"), "{words}");
    let mut tx = world.store.read().await.unwrap();
    let told = format!("{:?}", tx.events_after(0, 10_000).await.unwrap());
    assert!(!told.contains("no such table"), "the ledger says nothing of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cronjob_follows_its_source_with_nothing_running() {
    let world = World::start().await;
    let nightly = world.resource("development", "nightly").await.unwrap().desired.unwrap();
    let block = format!(
        "\n  nightly:\n    kind: CronJob\n    image:\n      repository: {}\n      tag: 1.0.0\n      digest: {}\n",
        nightly.repository, nightly.digest
    );
    let development = world.values("development").await;
    let development = development.replace("  nightly:\n", "  nightly:\n    kind: CronJob\n");
    world.outsider_writes("development", &development).await;
    let staging = world.values("staging").await + &block;
    world.outsider_writes("staging", &staging).await;
    let mut document = world.document();
    let resources = &mut document["projects"][0]["environments"][1]["resources"];
    resources.as_array_mut().unwrap().push(json!({
        "name": "nightly", "kind": "cronjob",
        "source": { "promote": { "environment": "development", "resource": "nightly" } },
    }));
    world.apply(&document).await;
    world.wait_for_live("staging", "nightly", nightly.digest.as_str()).await;
    let registry = world.registry.as_ref().unwrap();
    let image = ImageSpec::new("nightly 1.1.0").created("2026-11-03T09:12:00Z");
    let digest = registry.push_image("myapp/nightly", "1.1.0", &image).await.unwrap();
    for environment in ["development", "staging"] {
        let promotion = promoted(&world, environment, "nightly", &digest).await;
        let ended = world.ends(&promotion, State::Succeeded).await;
        let evidence = evidence(&world, &ended).await;
        assert!(evidence.contains("CronJob nightly expects no pod now"), "{evidence}");
        world.wait_for_live(environment, "nightly", &digest).await;
    }
}

#[tokio::test]
async fn what_the_summary_cannot_tell_is_being_checked_until_the_workloads_are_read() {
    let api = "127.0.0.1:5000/myapp/api";
    let bench = Bench::new().await;
    bench.registry.push(api, "one", &digest("a"));
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    let mut document = document();
    document["clusters"][0]["argocd"] = json!({ "url": "http://127.0.0.1:8080", "token": "argo-secret" });
    bench.apply(&program, &document).await;
    let mut tx = bench.store.read().await.unwrap();
    let projects = tx.projects(program.access[0].0.id).await.unwrap();
    let project = projects.into_iter().find(|one| one.project.name.as_str() == "myapp");
    let project = project.unwrap().project;
    let environment = tx.environments(project.id).await.unwrap().remove(0);
    let cluster = tx.clusters(project.workspace).await.unwrap().remove(0);
    let at = reach::application(&cluster, &project.name, &environment.name).unwrap();
    let begun = tx.newest_event().await.unwrap();
    drop(tx);
    let live = async || {
        let mut tx = bench.store.read().await.unwrap();
        let resource = tx.resource_by_name(environment.id, "api").await.unwrap().unwrap();
        (resource.live.unwrap(), tx.newest_event().await.unwrap())
    };
    let image = |letter: &str| format!("{api}@{}", digest(letter));
    let two = AppSnapshot {
        version: Some(1),
        health: Health::Degraded,
        images: vec![image("a"), image("b")],
        ..AppSnapshot::default()
    };
    let report = async |app: &AppSnapshot| {
        observe::report_live(&bench.services, &project, &environment, &at, app)
            .await
            .unwrap()
    };
    let truth = async || {
        let board = views::board(&bench.services, &program, "demo", "myapp", &BoardFilter::default()).await;
        let mut rows = board.unwrap().rows.into_iter();
        let row = rows.find(|row| row.resource.as_str() == "api").unwrap();
        row.cells[0].as_ref().unwrap().truth.clone()
    };
    let before = truth().await;
    assert_eq!(report(&two).await, Reported::InDoubt);
    let (checking, newest) = live().await;
    assert!(
        checking.unknown == Some(Unknown::Checking) && checking.digests.is_empty() && newest == begun,
        "nothing is claimed"
    );
    assert_ne!(before, Truth::Checking);
    assert_eq!(
        truth().await,
        Truth::Checking,
        "the board says so, too, though the ledger doesn't"
    );
    let pod = |letter: &str, status: &str| Pod {
        images: vec![image(letter)],
        status: status.into(),
        ..Pod::default()
    };
    let read = AppSnapshot {
        workloads: Some(vec![Workload {
            kind: "Deployment".into(),
            name: "api".into(),
            health: Some(Health::Healthy),
            target: vec![image("a")],
            live: vec![image("a")],
            expects_pods: true,
            pods: vec![pod("a", "Running"), pod("b", "Evicted")],
            ..Workload::default()
        }]),
        ..two.clone()
    };
    assert_eq!(report(&read).await, Reported::Known);
    let (known, newest) = live().await;
    assert_eq!(
        (known.digests[0].to_string(), known.health),
        (digest("a"), Health::Healthy)
    );
    assert!(known.unknown.is_none() && newest > begun);
    // What is known stays while the next look is read.
    assert_eq!(
        report(&AppSnapshot {
            version: Some(2),
            ..two
        })
        .await,
        Reported::InDoubt
    );
    assert_eq!(live().await.0, known);
}
