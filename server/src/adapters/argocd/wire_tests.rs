//! Shortened answers of Argo CD, read into the domain's words.

use super::*;
use serde_json::json;

const SHA: &str = "3f1c0d9e4b7a2c5d8e6f9a0b1c2d3e4f5a6b7c8d";

fn snapshot(value: Value) -> AppSnapshot {
    serde_json::from_value::<Application>(value).unwrap().into_snapshot()
}

fn finished() -> Value {
    let source = json!({"repoURL": "https://git.example/deploy.git", "path": "envs/staging", "targetRevision": "main"});
    json!({
        "metadata": {"name": "web-staging", "namespace": "argocd", "resourceVersion": "1843921", "managedFields": [{"f:spec": {}}]},
        "spec": {"project": "shop", "source": source, "destination": {"namespace": "shop"},
            "syncPolicy": {"retry": {"limit": 2}}},
        "status": {
            "sync": {"status": "Synced", "comparedTo": {"source": source, "destination": {}}, "revision": SHA},
            "health": {"status": "Healthy", "lastTransitionTime": "2026-09-01T12:00:41Z"},
            "reconciledAt": "2026-09-01T12:00:13Z",
            "controllerNamespace": "argocd",
            "conditions": [{"type": "OrphanedResourceWarning", "message": "2 orphans"}, null],
            "operationState": {
                "operation": {"sync": {"revision": SHA}, "initiatedBy": {"username": "proj:shop:promoter"},
                    "info": [{"name": "other", "value": "x"}, {"name": PROMOTION_INFO, "value": "p1"}], "retry": {}},
                "phase": "Succeeded", "message": "successfully synced (all tasks run)",
                "syncResult": {"revision": SHA, "source": source},
                "startedAt": "2026-09-01T12:00:08Z", "finishedAt": "2026-09-01T12:00:12Z"
            },
            "summary": {"images": ["r.example/web:v1"]}, "sourceHydrator": {}
        }
    })
}

#[test]
fn a_finished_sync_is_read_whole() {
    let app = snapshot(finished());
    let second = |s: i64| Some(Timestamp(1_788_264_000_000 + s * 1000));
    assert_eq!(
        app,
        AppSnapshot {
            name: "web-staging".into(),
            namespace: Some("argocd".into()),
            controller_namespace: Some("argocd".into()),
            version: Some(1_843_921),
            project: "shop".into(),
            deleting: false,
            auto_sync: false,
            target_revision: "main".into(),
            sync_status: "Synced".into(),
            sync_revisions: vec![SHA.into()],
            compared_to_current_source: true,
            health: Health::Healthy,
            health_since: second(41),
            reconciled_at: second(13),
            operation_pending: false,
            operation: Some(OperationSnapshot {
                phase: "Succeeded".into(),
                message: "successfully synced (all tasks run)".into(),
                started_at: second(8),
                finished_at: second(12),
                revisions: vec![SHA.into()],
                requested: vec![SHA.into()],
                partial: false,
                promotion: Some("p1".into()),
                initiated_by: "proj:shop:promoter".into(),
                retries: 0,
                resources: Vec::new(),
            }),
            conditions: vec![("OrphanedResourceWarning".into(), "2 orphans".into())],
            awaits_pruning: false,
            unsynced: Vec::new(),
            images: vec!["r.example/web:v1".into()],
            sources: vec![AppSource {
                repository: "https://git.example/deploy.git".into(),
                revision: "main".into(),
                path: "envs/staging".into(),
                ..AppSource::default()
            }],
            hydrated: false,
            workloads: None,
            workloads_withheld: None,
        }
    );
}

#[test]
fn what_was_asked_for_is_known_before_it_begins() {
    let mut value = finished();
    value["operation"] = value["status"]["operationState"]["operation"].take();
    value["status"]
        .as_object_mut()
        .unwrap()
        .remove("operationState")
        .unwrap();
    let app = snapshot(value);
    let operation = app.operation.unwrap();
    assert!(app.operation_pending);
    assert_eq!(
        (operation.phase.as_str(), operation.promotion.as_deref()),
        ("", Some("p1"))
    );
    assert_eq!(
        (operation.requested, operation.revisions),
        (vec![SHA.to_owned()], vec![])
    );
}

#[test]
fn what_differs_from_git_is_known_and_what_waits_to_be_pruned_is_no_part_of_it() {
    let resource = |name: &str, status: &str, prune: bool| json!({ "kind": "ConfigMap", "name": name, "status": status, "requiresPruning": prune });
    let left = |resources: Value| {
        let mut value = finished();
        value["status"]["resources"] = resources;
        let app = snapshot(value);
        (app.unsynced, app.awaits_pruning)
    };
    let (same, gone, other) = (
        resource("a", "Synced", false),
        resource("b", "OutOfSync", true),
        resource("c", "OutOfSync", false),
    );
    assert_eq!(left(json!([same])), (vec![], false));
    assert_eq!(left(json!([same, gone])), (vec![], true));
    assert_eq!(left(json!([gone, other])), (vec!["ConfigMap c".to_owned()], false));
}

#[test]
fn a_brand_new_application_is_empty_and_not_compared() {
    for value in [
        json!({"metadata": {"name": "a"}, "spec": {"source": {"repoURL": ""}}, "status": {
            "sync": {"status": "", "comparedTo": {"source": {"repoURL": ""}, "destination": {}}},
            "health": {}, "summary": {}, "sourceHydrator": {}}}),
        json!({"metadata": {"name": "a"}, "spec": null, "status": {"sync": null, "health": null, "summary": {"images": null},
            "conditions": null, "operationState": null, "reconciledAt": null}, "operation": null}),
        json!({"metadata": {"name": "a"}}),
    ] {
        let app = snapshot(value);
        assert_eq!(
            app,
            AppSnapshot {
                name: "a".into(),
                ..AppSnapshot::default()
            }
        );
    }
}

#[test]
fn auto_sync_is_on_also_when_it_says_nothing_more() {
    for (policy, on) in [
        (json!({"automated": {}}), true),
        (json!({"automated": {"prune": true, "selfHeal": null}}), true),
        (json!({"automated": {"enabled": true}}), true),
        (json!({"automated": {"enabled": false}}), false),
        (json!({"automated": null}), false),
        (json!({}), false),
        (json!(null), false),
    ] {
        let mut value = finished();
        value["spec"]["syncPolicy"] = policy;
        assert_eq!(snapshot(value.clone()).auto_sync, on, "{}", value["spec"]["syncPolicy"]);
    }
}

#[test]
fn several_sources_have_several_revisions_and_win() {
    let sources =
        json!([{"repoURL": "charts", "chart": "x"}, {"repoURL": "git", "targetRevision": "main", "ref": "v"}]);
    let mut value = finished();
    value["spec"]["source"] = json!({"repoURL": ""});
    value["spec"]["sources"] = sources.clone();
    value["status"]["sync"] = json!({"status": "Synced", "revision": "", "revisions": ["1.4.2", SHA],
        "comparedTo": {"source": {"repoURL": ""}, "sources": sources}});
    value["status"]["operationState"]["syncResult"] = json!({"revision": "", "revisions": ["1.4.2", SHA]});
    let app = snapshot(value.clone());
    assert_eq!(app.sync_revisions, ["1.4.2", SHA]);
    assert_eq!(app.operation.unwrap().revisions, ["1.4.2", SHA]);
    assert_eq!(app.target_revision, "main");
    assert!(app.compared_to_current_source);
    value["spec"]["sources"][0]["chart"] = json!("y");
    assert!(!snapshot(value).compared_to_current_source);
}

#[test]
fn a_changed_source_is_told_from_one_that_is_only_written_differently() {
    let mut value = finished();
    value["spec"]["source"]["kustomize"] = json!({"images": [], "patches": null});
    assert!(snapshot(value.clone()).compared_to_current_source);
    value["spec"]["source"]["kustomize"]["images"] = json!(["a=b"]);
    assert!(!snapshot(value).compared_to_current_source);
}

#[test]
fn a_hydrated_revision_is_told_by_the_commit_it_was_made_from() {
    let hydrated = SHA.replace('3', "9");
    let mut value = finished();
    value["spec"]["source"].take();
    value["spec"]["sourceHydrator"] = json!({"drySource": {"repoURL": "git", "targetRevision": "main"}});
    value["status"]["sync"]["revision"] = json!(hydrated);
    value["status"]["sourceHydrator"] = json!({"lastSuccessfulOperation": {"drySHA": SHA, "hydratedSHA": hydrated}});
    let app = snapshot(value);
    assert_eq!(app.sync_revisions, [SHA]);
    assert!(app.compared_to_current_source && app.hydrated);
    assert_eq!(app.sources.len(), 1, "what people write");
}

#[test]
fn sources_are_those_that_people_write() {
    let sources = |value: Value| serde_json::from_value::<Application>(value).unwrap().sources();
    let source = |repository: &str, revision: &str| AppSource {
        repository: repository.into(),
        revision: revision.into(),
        ..AppSource::default()
    };
    let mut value = finished();
    let staging = AppSource {
        path: "envs/staging".into(),
        ..source("https://git.example/deploy.git", "main")
    };
    assert_eq!(sources(value.clone()), std::slice::from_ref(&staging));
    assert_eq!(snapshot(value.clone()).sources, [staging]);
    value["spec"]["sources"] = json!([
        {"repoURL": "charts", "chart": "web", "helm": {"valueFiles": ["$values/prod.yaml", null]}},
        {"repoURL": "git", "targetRevision": "x", "ref": "values"},
        null,
    ]);
    let chart = AppSource {
        chart: true,
        value_files: vec!["$values/prod.yaml".into()],
        ..source("charts", "")
    };
    let values = AppSource {
        reference: "values".into(),
        ..source("git", "x")
    };
    assert_eq!(sources(value.clone()), [chart, values]);
    value["spec"]["sourceHydrator"] = json!({"drySource": {"repoURL": "dry", "targetRevision": "main"}});
    assert_eq!(sources(value), [source("dry", "main")]);
    assert_eq!(sources(json!({})), []);
}

#[test]
fn syncs_of_some_resources_and_dry_runs_are_partial() {
    for sync in [
        json!({"resources": [{"kind": "Deployment", "name": "web"}]}),
        json!({"dryRun": true}),
    ] {
        let mut value = finished();
        value["status"]["operationState"]["operation"]["sync"] = sync;
        assert!(snapshot(value).operation.unwrap().partial);
    }
    let mut value = finished();
    value["status"]["operationState"]["operation"]["sync"] = json!({"resources": null, "dryRun": false});
    assert!(!snapshot(value).operation.unwrap().partial);
}

#[test]
fn an_application_that_is_being_deleted_says_so() {
    let mut value = finished();
    value["metadata"]["deletionTimestamp"] = json!("2026-09-01T12:00:41Z");
    assert!(snapshot(value).deleting);
}

#[test]
fn odd_words_and_times_do_not_hide_the_application() {
    let mut value = finished();
    value["status"]["health"] = json!({"status": "Splendid", "lastTransitionTime": "yesterday"});
    value["status"]["reconciledAt"] = json!("0001-01-01T00:00:00Z");
    value["status"]["sync"]["status"] = json!("Sunk");
    let app = snapshot(value);
    assert_eq!(
        (app.health, app.health_since, app.reconciled_at),
        (Health::Unknown, None, None)
    );
    assert_eq!(app.sync_status, "Sunk");
}

#[test]
fn both_shapes_of_errors_are_read() {
    let read = |value: Value| ErrorBody::read(&value);
    let error = |code, message: &str| {
        Some(ErrorBody {
            code,
            message: message.into(),
        })
    };
    assert_eq!(
        read(json!({"error": "e", "code": 7, "message": "permission denied"})),
        error(7, "permission denied")
    );
    assert_eq!(
        read(json!({"error": {"grpc_code": 16, "http_code": 401, "message": "no session information"}})),
        error(16, "no session information")
    );
    assert_eq!(read(json!({"error": "only this"})), error(0, "only this"));
    assert_eq!(read(json!({"code": 2})), error(2, ""));
    for other in [json!({}), json!([]), json!("text"), json!(null), json!({"error": {}})] {
        assert_eq!(read(other), None);
    }
}

#[test]
fn hooks_that_run_and_what_failed_are_kept_of_an_operation() {
    let mut value = finished();
    value["status"]["operationState"]["phase"] = "Failed".into();
    value["status"]["operationState"]["retryCount"] = 2.into();
    value["status"]["operationState"]["syncResult"]["resources"] = json!([
        {"group": "", "version": "v1", "kind": "Service", "namespace": "shop", "name": "web", "status": "Synced",
         "message": "service/web unchanged", "hookPhase": "Running", "syncPhase": "Sync"},
        {"group": "batch", "version": "v1", "kind": "Job", "namespace": "shop", "name": "migrate", "hookType": "PreSync",
         "hookPhase": "Failed", "syncPhase": "PreSync", "message": "Job has reached the specified backoff limit"},
        {"group": "batch", "version": "v1", "kind": "Job", "namespace": "shop", "name": "seed", "hookType": "PreSync",
         "hookPhase": "Running", "syncPhase": "PreSync", "message": null},
        null,
    ]);
    let operation = snapshot(value).operation.unwrap();
    let names: Vec<_> = operation
        .resources
        .iter()
        .map(|one| (&*one.name, one.has_failed()))
        .collect();
    assert_eq!(names, [("migrate", true), ("seed", false)]);
    assert!(operation.hook_runs());
    assert_eq!(operation.retries, 2);
    assert_eq!(
        domain::plan::said::failing(&operation),
        ["Job shop/migrate (PreSync hook): Job has reached the specified backoff limit"]
    );
}
