//! What stands in the cluster, read as a client reads it: resource tree, managed resources, events.

use crate::support::{APP, Shop, answer, image, still, until, values};
use argocd_standin::{AppSpec, ClusterChange, Fault, JobOutcome, RolloutOutcome};
use reqwest::Method;
use serde_json::{Value, json};

/// The nodes of a kind.
async fn nodes(shop: &Shop, kind: &str) -> Vec<Value> {
    let (status, tree) = shop.get(&format!("{APP}/resource-tree")).await;
    assert_eq!(status, 200, "{tree}");
    let nodes = tree["nodes"].as_array().unwrap();
    nodes.iter().filter(|node| node["kind"] == kind).cloned().collect()
}

fn info<'a>(node: &'a Value, name: &str) -> &'a str {
    let mut items = node["info"].as_array().unwrap().iter();
    let item = items.find(|item| item["name"] == name);
    item.map_or("", |item| item["value"].as_str().unwrap())
}

/// Status reasons of the pods, sorted.
async fn reasons(shop: &Shop) -> Vec<String> {
    let pods = nodes(shop, "Pod").await;
    let mut reasons: Vec<String> = pods.iter().map(|pod| info(pod, "Status Reason").to_owned()).collect();
    reasons.sort();
    reasons
}

async fn reasons_are(shop: &Shop, wanted: &[&str]) {
    until(&format!("pods that are {wanted:?}"), async || {
        (reasons(shop).await == wanted).then_some(())
    })
    .await;
}

fn change(shop: &Shop, change: ClusterChange) {
    shop.standin.in_cluster("web", change).unwrap();
}

fn web() -> String {
    "web".to_owned()
}

/// The shop runs v1 and its repository has these services beside `web`, synced and settled.
async fn with_services(services: &str) -> Shop {
    let shop = Shop::running(still(), false).await;
    shop.repo.commit(
        "environments/staging/values.yaml",
        &format!("{}{services}", values("v1", 2)),
    );
    settle(&shop).await;
    shop
}

/// Syncs and waits until nothing moves any more.
async fn settle(shop: &Shop) {
    assert_eq!(shop.sync(json!({})).await.0, 200);
    shop.app_until("the sync to end", |app| app.get("operation").is_none())
        .await;
    shop.refresh().await;
    shop.app_until("the rollouts to end", |app| {
        app["status"]["health"]["status"] != "Progressing"
    })
    .await;
}

#[tokio::test]
async fn pods_hang_below_their_workload() {
    let shop = Shop::running(still(), false).await;
    let deployment = nodes(&shop, "Deployment").await.remove(0);
    assert_eq!(
        (
            &deployment["group"],
            &deployment["version"],
            &deployment["name"],
            &deployment["health"]["status"]
        ),
        (&json!("apps"), &json!("v1"), &json!("web"), &json!("Healthy"))
    );
    assert_eq!(info(&deployment, "Revision"), "Rev:1");
    assert!(deployment.get("images").is_none(), "only pods have images");
    let set = nodes(&shop, "ReplicaSet").await.remove(0);
    assert_eq!(set["parentRefs"][0]["uid"], deployment["uid"]);
    let pods = nodes(&shop, "Pod").await;
    assert_eq!(pods.len(), 2);
    for pod in &pods {
        assert_eq!(pod["parentRefs"][0]["uid"], set["uid"]);
        assert_eq!(pod["images"], json!([image("v1")]));
        assert_eq!(
            (info(pod, "Status Reason"), info(pod, "Containers")),
            ("Running", "1/1")
        );
        assert!(pod["createdAt"].is_string() && pod["resourceVersion"].is_string());
        assert!(pod.get("group").is_none(), "the core group is not written");
    }
}

#[tokio::test]
async fn an_evicted_pod_stays_with_the_old_image() {
    let shop = Shop::running(still(), false).await;
    change(
        &shop,
        ClusterChange::Evict {
            workload: web(),
            pod: None,
        },
    );
    reasons_are(&shop, &["Evicted", "Running", "Running"]).await;
    shop.repo.release("v2");
    settle(&shop).await;
    let gone = nodes(&shop, "Pod")
        .await
        .into_iter()
        .find(|pod| info(pod, "Status Reason") == "Evicted");
    let gone = gone.expect("the evicted pod is still there");
    assert_eq!(
        (&gone["images"], &gone["health"]["status"]),
        (&json!([image("v1")]), &json!("Degraded"))
    );
    let app = shop.app();
    assert_eq!(
        app["status"]["summary"]["images"],
        json!([image("v1"), image("v2")]),
        "pods of any phase"
    );
    assert_eq!(
        app["status"]["health"]["status"], "Healthy",
        "pods do not count, their workload does"
    );
    let sets = nodes(&shop, "ReplicaSet").await;
    assert_eq!(sets.len(), 2, "the old ReplicaSet stays with nothing to do");
    assert!(sets.iter().any(|set| set["uid"] == gone["parentRefs"][0]["uid"]));
}

#[tokio::test]
async fn a_cron_job_keeps_the_pods_of_three_runs() {
    let cron = "  nightly:\n    kind: CronJob\n    image: registry.test/nightly:v1\n";
    let shop = with_services(cron).await;
    assert_eq!(
        nodes(&shop, "CronJob").await[0]["health"]["message"],
        "CronJob has not been scheduled yet"
    );
    for image in [Some("registry.test/nightly:v0"), None, None] {
        change(
            &shop,
            ClusterChange::RunCronJob {
                workload: "nightly".to_owned(),
                outcome: JobOutcome::Succeeded,
                image: image.map(str::to_owned),
            },
        );
    }
    reasons_are(&shop, &["Completed", "Completed", "Completed", "Running", "Running"]).await;
    let summary = async || shop.app()["status"]["summary"]["images"].clone();
    assert_eq!(
        summary().await,
        json!(["registry.test/nightly:v0", "registry.test/nightly:v1", image("v1")])
    );
    let (cron, jobs) = (nodes(&shop, "CronJob").await.remove(0), nodes(&shop, "Job").await);
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().all(|job| job["parentRefs"][0]["uid"] == cron["uid"]));
    let run = |outcome| ClusterChange::RunCronJob {
        workload: "CronJob/nightly".to_owned(),
        outcome,
        image: None,
    };
    change(&shop, run(JobOutcome::Failed));
    shop.app_until("the neighbour to be ill", |app| {
        app["status"]["health"]["status"] == "Degraded"
    })
    .await;
    change(&shop, run(JobOutcome::Succeeded));
    let app = shop
        .app_until("all to be well", |app| app["status"]["health"]["status"] == "Healthy")
        .await;
    assert_eq!(
        app["status"]["summary"]["images"],
        json!(["registry.test/nightly:v1", image("v1")]),
        "v0 is forgotten"
    );
}

#[tokio::test]
async fn every_kind_has_pods_of_its_own() {
    let services = "  db: {kind: StatefulSet, replicas: 2, image: 'r/db:1'}\n  agent: {kind: DaemonSet, image: 'r/agent:1', sidecars: [{name: log, image: 'r/log:1'}]}\n  shop: {kind: Rollout, replicas: 1, image: 'r/shop:1', initContainers: [{name: wait, image: 'r/wait:1'}]}\n  migrate: {kind: Job, image: 'r/migrate:1'}\n";
    let shop = with_services(services).await;
    let pods = nodes(&shop, "Pod").await;
    let of = |image: &str| -> Vec<&Value> {
        pods.iter()
            .filter(|pod| pod["images"].as_array().unwrap().contains(&json!(image)))
            .collect()
    };
    let db: Vec<_> = of("r/db:1").iter().map(|pod| pod["name"].clone()).collect();
    assert_eq!(db, [json!("db-0"), json!("db-1")]);
    assert_eq!(of("r/db:1")[0]["parentRefs"][0]["kind"], "StatefulSet");
    assert_eq!(of("r/agent:1").len(), 2, "one on each node");
    assert_eq!(of("r/agent:1")[0]["images"], json!(["r/agent:1", "r/log:1"]));
    assert_eq!(info(of("r/agent:1")[0], "Containers"), "2/2");
    assert_eq!(of("r/shop:1")[0]["images"], json!(["r/shop:1", "r/wait:1"]));
    assert_eq!(of("r/shop:1")[0]["parentRefs"][0]["kind"], "ReplicaSet");
    assert_eq!(info(of("r/migrate:1")[0], "Status Reason"), "Completed");
    assert_eq!(of("r/migrate:1")[0]["parentRefs"][0]["kind"], "Job");
    let rollout = nodes(&shop, "Rollout").await.remove(0);
    assert_eq!(
        (&rollout["group"], &rollout["version"]),
        (&json!("argoproj.io"), &json!("v1alpha1"))
    );
    assert_eq!(nodes(&shop, "ControllerRevision").await.len(), 2);
    let resources = shop.app()["status"]["resources"].clone();
    let kinds: Vec<&str> = resources
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["DaemonSet", "StatefulSet", "Job", "Rollout", "Deployment"]);
}

#[tokio::test]
async fn a_changed_job_is_refused() {
    let shop = with_services("  migrate: {kind: Job, image: 'r/migrate:1'}\n").await;
    let next = format!("{}  migrate: {{kind: Job, image: 'r/migrate:2'}}\n", values("v1", 2));
    shop.repo.commit("environments/staging/values.yaml", &next);
    shop.sync(json!({})).await;
    let app = shop.app_until("the end", |app| app.get("operation").is_none()).await;
    let state = &app["status"]["operationState"];
    assert_eq!(state["phase"], "Failed");
    assert!(
        state["message"].as_str().unwrap().contains("field is immutable"),
        "{state}"
    );
}

#[tokio::test]
async fn a_container_that_does_not_start_says_why() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::Rollout {
        outcome: RolloutOutcome::Never,
    });
    shop.repo.release("v2");
    shop.sync(json!({})).await;
    reasons_are(&shop, &["ContainerCreating", "Running", "Running"]).await;
    change(
        &shop,
        ClusterChange::Waits {
            workload: web(),
            container: None,
            reason: "ImagePullBackOff".to_owned(),
            message: None,
        },
    );
    reasons_are(&shop, &["ImagePullBackOff", "Running", "Running"]).await;
    let pods = nodes(&shop, "Pod").await;
    let stuck = pods.iter().find(|pod| pod["health"]["status"] == "Degraded").unwrap();
    assert_eq!(stuck["images"], json!([image("v2")]));
    assert_eq!(info(stuck, "Containers"), "0/1");
    let text = format!("Back-off pulling image \"{}\": ErrImagePull: not found", image("v2"));
    assert_eq!(stuck["health"]["message"], json!(text));
    assert_eq!(nodes(&shop, "Deployment").await[0]["health"]["status"], "Progressing");

    let [name, uid, namespace] = ["name", "uid", "namespace"].map(|key| stuck[key].as_str().unwrap());
    let about = format!("{APP}/events?resourceName={name}&resourceUID={uid}&resourceNamespace={namespace}");
    let events = shop.get(&about).await.1;
    let event = &events["items"][0];
    assert_eq!(
        (&event["reason"], &event["type"]),
        (&json!("Failed"), &json!("Warning"))
    );
    assert_eq!(
        (&event["message"], &event["involvedObject"]["uid"]),
        (&json!(text), &json!(uid))
    );
    let lost = shop
        .get(&format!(
            "{APP}/events?resourceName={name}&resourceUID=other&resourceNamespace={namespace}"
        ))
        .await;
    assert_eq!(
        lost,
        (
            400,
            json!({"error": format!("{name} not found as part of application web"), "code": 3, "message": format!("{name} not found as part of application web")})
        )
    );

    let note = |pods| ClusterChange::Event {
        object: web(),
        pods,
        reason: "FailedScheduling".to_owned(),
        message: "0/2 nodes are available".to_owned(),
        normal: false,
    };
    change(&shop, note(true));
    let events = shop.get(&about).await.1;
    assert_eq!(events["items"][1]["reason"], "FailedScheduling");
}

#[tokio::test]
async fn crashes_and_probes_are_told_apart() {
    let shop = Shop::running(still(), false).await;
    let crash = ClusterChange::Waits {
        workload: web(),
        container: Some(web()),
        reason: "CrashLoopBackOff".to_owned(),
        message: None,
    };
    change(&shop, crash);
    reasons_are(&shop, &["CrashLoopBackOff", "CrashLoopBackOff"]).await;
    let pod = nodes(&shop, "Pod").await.remove(0);
    assert_eq!(
        (pod["health"]["status"].as_str(), info(&pod, "Restart Count")),
        (Some("Degraded"), "3")
    );
    change(&shop, ClusterChange::Recovers { workload: web() });
    reasons_are(&shop, &["Running", "Running"]).await;
    change(&shop, ClusterChange::ProbeFails { workload: web() });
    until("the probe to fail", async || {
        let pod = nodes(&shop, "Pod").await.remove(0);
        (info(&pod, "Containers") == "0/1" && info(&pod, "Status Reason") == "Running").then_some(())
    })
    .await;
    shop.app_until("it to count", |app| app["status"]["health"]["status"] == "Progressing")
        .await;
}

#[tokio::test]
async fn managed_resources_hold_what_is_wanted_and_what_is_there() {
    let shop = Shop::running(still(), false).await;
    shop.repo.release("v2");
    shop.refresh().await;
    let managed = shop.get(&format!("{APP}/managed-resources")).await.1;
    let item = &managed["items"][0];
    assert_eq!(
        (&item["group"], &item["kind"], &item["modified"]),
        (&json!("apps"), &json!("Deployment"), &json!(true))
    );
    let state = |key: &str| -> Value { serde_json::from_str(item[key].as_str().unwrap()).unwrap() };
    let container = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let (target, live) = (state("targetState"), state("liveState"));
    assert_eq!(
        (container(&target), container(&live)),
        (json!(image("v2")), json!(image("v1")))
    );
    assert_eq!(container(&state("predictedLiveState")), json!(image("v2")));
    assert_eq!(live["status"]["availableReplicas"], 2);
    assert!(target.get("status").is_none() && live["metadata"]["uid"].is_string());
    assert_eq!(
        target["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"],
        "web:apps/Deployment:web/web"
    );

    let extra = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "left"}});
    change(&shop, ClusterChange::Add { manifest: extra });
    let item = until("the extra object", async || {
        let managed = shop.get(&format!("{APP}/managed-resources?kind=ConfigMap")).await.1;
        managed["items"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (&item["targetState"], item.get("modified"), item.get("group")),
        (&json!("null"), None, None)
    );
    change(
        &shop,
        ClusterChange::Remove {
            object: "ConfigMap/left".to_owned(),
        },
    );
    change(&shop, ClusterChange::Remove { object: web() });
    let item = until("the hole", async || {
        let managed = shop.get(&format!("{APP}/managed-resources")).await.1;
        managed["items"]
            .get(0)
            .filter(|item| item["liveState"] == "null")
            .cloned()
    })
    .await;
    assert_eq!(item["normalizedLiveState"], "null");
    assert_eq!(shop.app()["status"]["health"]["status"], "Missing");
}

#[tokio::test]
async fn manifests_of_the_repository_are_rendered_too() {
    let shop = Shop::running(still(), false).await;
    shop.repo.commit(
        "chart/templates/worker.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: worker}\nspec:\n  template:\n    spec:\n      containers:\n        - {name: run, image: '{{ .Values.services.web.image.repository }}:{{ .Values.services.web.image.tag }}'}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}}\n",
    );
    shop.repo.commit(
        "chart/templates/deployment.yaml",
        "{{- range .Values.services }}\nkind: Deployment\n{{- end }}\n",
    );
    settle(&shop).await;
    let names: Vec<Value> = nodes(&shop, "Deployment")
        .await
        .iter()
        .map(|node| node["name"].clone())
        .collect();
    assert_eq!(names, [json!("web"), json!("worker")]);
    assert_eq!(
        shop.standin.live_images("web"),
        ["registry.test/web:v1".to_owned(), image("v1")]
    );
    let service = nodes(&shop, "Service").await.remove(0);
    assert!(service.get("health").is_none() && service.get("parentRefs").is_none());
}

#[tokio::test]
async fn an_app_can_be_a_directory_of_manifests() {
    let shop = Shop::running(still(), false).await;
    let text = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec:\n  schedule: '0 3 * * *'\n  jobTemplate: {spec: {template: {spec: {containers: [{name: run, image: 'r/nightly:1'}]}}}}\n";
    shop.repo.commit("plain/nightly.yaml", text);
    shop.repo.commit("plain/deep/other.yaml", text);
    let spec = AppSpec::new("plain", "shop", &shop.repo.url(), "");
    shop.standin.upsert_app(AppSpec {
        path: "plain".to_owned(),
        ..spec
    });
    let (status, app) = shop.get("/api/v1/applications/plain?refresh=normal&project=shop").await;
    assert_eq!(status, 200);
    assert_eq!(app["status"]["sourceType"], "Directory");
    let resources = app["status"]["resources"].as_array().unwrap();
    assert_eq!((resources.len(), &resources[0]["kind"]), (1, &json!("CronJob")));
}

#[tokio::test]
async fn the_control_endpoint_changes_the_cluster() {
    let shop = Shop::running(still(), false).await;
    let url = format!("{}/standin/cluster", shop.standin.url());
    let post = async |body: Value| answer(shop.http.request(Method::POST, &url).json(&body)).await;
    assert_eq!(
        post(json!({"app": "web", "change": "evict", "workload": "web"}))
            .await
            .0,
        200
    );
    reasons_are(&shop, &["Evicted", "Running", "Running"]).await;
    let sidecar = json!([{"app": "web", "change": "inject_sidecar", "workload": "Deployment/web", "name": "mesh", "image": "r/mesh:1"}]);
    assert_eq!(post(sidecar).await.0, 200);
    shop.app_until("the sidecar", |app| {
        app["status"]["summary"]["images"] == json!(["r/mesh:1", image("v1")])
    })
    .await;
    let (status, error) = post(json!({"app": "web", "change": "evict", "workload": "nope"})).await;
    assert_eq!(status, 400);
    assert!(error["error"].as_str().unwrap().contains("\"nope\""), "{error}");
    assert_eq!(
        post(json!({"app": "web", "change": "run_cron_job", "workload": "web"}))
            .await
            .0,
        400
    );
}
