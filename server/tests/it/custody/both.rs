//! The same life of an image on SQLite and on PostgreSQL: its exports are the same to the byte.

use crate::support::{Bench, database::Database, digest};
use contract::backend::At;
use domain::{
    artifact::{ArtifactDetails, Digest, ExactImage},
    copy::Attachments,
    gate::{Approval, Approver, Check, CheckStatus},
    id::CopyId,
    promotion::Actor,
    rights::Role,
    statement::StatementForm,
    time::Timestamp,
};
use serde_json::json;
use server::{
    ports::clock::Ids,
    service::{
        promotion,
        views::{ExportForm, export_custody},
    },
    store::{Adoption, CopyWanted, StatementRecord, TagLease, TagMove, TagWanted},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use uuid::Uuid;

const API: &str = "127.0.0.1:5000/myapp/api";
/// What a database may store in another order, or write in another way.
const LAYER: &str = "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\n \"dsseEnvelope\":{\"signatures\":[{\"sig\":\"c2ln\"}],\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"e30=\"}}";

/// The same identities each time, in the order in which they are asked for.
#[derive(Default)]
struct Counting(AtomicU32);

impl Ids for Counting {
    fn next(&self) -> Uuid {
        Uuid::from_u128((7 << 76) + u128::from(self.0.fetch_add(1, Ordering::SeqCst)))
    }
}

/// Writes the life of an image to a database, and exports it in each form.
async fn life_in(database: Database) -> [String; 3] {
    let mut bench = Bench::on(database).await;
    bench.services.ids = Arc::new(Counting::default());
    let image = digest("a");
    bench.registry.push(API, "one", &image);
    bench
        .git
        .declare("environments/development/values.yaml", "api", API, "one", &image);
    let (boss, _) = bench.program("demo", "boss", Role::Admin).await;
    let (_, ada) = bench.member("ada@example.com", "demo", Role::Approver).await;
    let environment = |name: &str, source, policy| {
        json!({ "name": name, "cluster": "local", "policy": policy,
        "resources": [{ "name": "api", "source": source }] })
    };
    let from = json!({ "promote": { "environment": "development", "resource": "api" } });
    let document = json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [{ "name": "myapp", "repository": { "url": "/srv/git/myapp.git" }, "environments": [
            environment("development", json!({ "image": API }), json!({})),
            environment("production", from, json!({ "approvals": { "count": 2 }, "checks": [{ "name": "Ä integration" }] })),
        ] }],
    });
    bench.apply(&boss, &document).await;
    let at = At::new("demo".into(), "myapp".into(), "production".into());
    let asked = promotion::promote(&bench.services, &boss, &at, "api", false)
        .await
        .unwrap();

    let workspace = boss.access[0].0.id;
    let image: Digest = image.parse().unwrap();
    let exact = ExactImage {
        repository: API.parse().unwrap(),
        tag: Some("one".parse().unwrap()),
        digest: image.clone(),
    };
    let token = |name: &str| Actor::Token { name: name.into() };
    let moment = |seconds: i64| crate::support::BEGIN.plus_millis(seconds * 1_000);
    let mut tx = bench.store.write().await.unwrap();
    let asked = tx.promotion(asked).await.unwrap().unwrap();
    let labels = [
        ("org.opencontainers.image.revision", "abc"),
        ("org.opencontainers.image.source", "https://git.example/api"),
    ];
    let details = ArtifactDetails {
        created_at: Some(moment(-60)),
        size_bytes: 12_345_678_901,
        platforms: vec!["linux/arm64".into(), "linux/amd64".into()],
        labels: labels
            .map(|(name, value)| (name.into(), value.into()))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    };
    for repository in [API, "registry.example/Live/api".to_lowercase().as_str()] {
        let held = ExactImage {
            repository: repository.parse().unwrap(),
            ..exact.clone()
        };
        tx.see_artifact(workspace, &held, moment(1)).await.unwrap();
        tx.set_details(workspace, &held, &details, moment(1)).await.unwrap();
    }
    for (name, status, when) in [
        ("Ä integration", CheckStatus::Failed, 2),
        ("Ä integration", CheckStatus::Passed, 3),
        ("zz", CheckStatus::Pending, 3),
        ("Zz", CheckStatus::Passed, 3),
    ] {
        let check = Check {
            digest: image.clone(),
            name: name.into(),
            status,
            summary: Some("412 \"tests\"".into()),
            url: Some("https://ci.example/412".into()),
            at: moment(when),
            reported_by: token("ci"),
        };
        tx.insert_check(workspace, &check).await.unwrap();
    }
    let approval = Approval {
        by: Approver {
            id: ada,
            name: "Ada".into(),
            email: "ada@example.com".into(),
            role: Role::Approver,
            groups: Vec::new(),
        },
        digest: image.clone(),
        approves: true,
        comment: Some("Looks good".into()),
        at: moment(4),
    };
    tx.put_approval(asked.id, &approval).await.unwrap();
    tx.begin_run(asked.resource, &image, moment(5)).await.unwrap();
    tx.end_run(asked.resource, &image, moment(6), false).await.unwrap();
    tx.begin_run(asked.resource, &image, moment(7)).await.unwrap();
    let statement = StatementRecord {
        promotion: asked.id,
        form: StatementForm::Bundle,
        repository: exact.repository.clone(),
        digest: image.clone(),
        fingerprint: "f".repeat(64),
        layer: LAYER.into(),
        config: "{}".into(),
        manifest: "{}".into(),
        made_at: moment(5),
        written_at: Some(moment(5)),
        refusal: None,
    };
    tx.set_statement(&statement).await.unwrap();
    let copy = CopyWanted {
        workspace,
        source: exact.repository.clone(),
        target: "registry.example/live/api".parse().unwrap(),
        digest: image.clone(),
        attachments: Attachments::All,
    };
    let id = CopyId(bench.services.ids.next());
    tx.begin_copy(id, &copy, "one", moment(60), moment(1)).await.unwrap();
    let adoption = Adoption {
        resource: asked.resource,
        digest: image.clone(),
        by: token("boss"),
        at: moment(8),
        reason: Some("It was there.".into()),
    };
    assert!(tx.adopt(&adoption).await.unwrap());
    let wanted = TagWanted {
        workspace,
        repository: exact.repository.clone(),
        tag: "production".parse().unwrap(),
        usage: "marker".parse().unwrap(),
        environment: asked.environment,
        resource: asked.resource,
        promotion: Some(asked.id),
        digest: image.clone(),
    };
    tx.want_tag(&wanted, moment(9)).await.unwrap();
    let lease = TagLease {
        now: moment(9),
        until: moment(20),
    };
    let claimed = tx.claim_tag("one", lease, moment(1_000)).await.unwrap().unwrap();
    let settled = TagMove {
        last_set: Some(image.clone()),
        set_at: Some(moment(10)),
        next_at: Timestamp(moment(10).0 + 1),
        ..claimed
    };
    assert!(tx.settle_tag(&settled, "one", moment(10)).await.unwrap());
    tx.commit().await.unwrap();

    let mut all = Vec::new();
    for form in [ExportForm::Whole, ExportForm::Bundles, ExportForm::Envelopes] {
        let exported = export_custody(&bench.services, &boss, "demo", image.as_str(), form).await;
        all.push(exported.unwrap());
    }
    all.try_into().unwrap()
}

#[tokio::test]
async fn equal_state_gives_equal_bytes_on_both_databases() {
    let directory = tempfile::tempdir().unwrap();
    let in_a_file = life_in(Database::sqlite(directory.path())).await;
    let on_postgresql = life_in(Database::postgres()).await;
    assert_eq!(in_a_file, on_postgresql);
    let [whole, bundles, envelopes] = in_a_file;
    for part in [
        "Looks good",
        "Ä integration",
        "It was there.",
        "\"marker\"",
        "12345678901",
        "git.example",
        "\"copies\": [\n    {",
    ] {
        assert!(whole.contains(part), "{part} in {whole}");
    }
    assert_eq!(bundles, format!("{LAYER}\n"));
    assert!(
        envelopes.contains("dsse") || envelopes.contains("payloadType"),
        "{envelopes}"
    );
}
