//! What reads texts from outside, each given what it should never be given.

use super::{Until, mutate::mutate, seed};
use crate::{
    authorisation::TABLE,
    support::{dice::Dice, digest},
};
use domain::{
    artifact::{Digest, ExactImage, Repository, Tag},
    name::Name,
    source::{self, Revision, SourceRepository},
};
use server::{
    adapters::{git::values, registry::notification},
    cli::apply::yaml,
    nesting,
    ports::git::{PlaceEdit, ServicePlace},
    service::{
        configure::{Document, SecretText},
        gates,
    },
    signature::{Attached, PublicKey},
    web::graphql::limits,
};
use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

/// Nobody waits longer for one text, in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);
type Reader = fn(&[u8]);

/// Who reads, and what is right for them.
fn readers() -> Vec<(&'static str, Reader, Vec<Vec<u8>>)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let queries = TABLE.iter().filter_map(|(_, _, door)| door.query()).collect::<Vec<_>>();
    vec![
        ("values", values_file as Reader, texts(VALUES)),
        ("policy", a_policy, texts(&policies())),
        ("apply, YAML", |text| drop(yaml::read(&lossy(text))), texts(DOCUMENTS)),
        (
            "apply, JSON",
            |text| drop(nesting::json::<Document<SecretText>>(text)),
            vec![crate::authorisation::document().to_string().into_bytes()],
        ),
        ("notification", a_notification, texts(NOTIFICATIONS)),
        ("GraphQL", |text| drop(limits::read(&lossy(text))), texts(&queries)),
        ("signature", a_signature, texts(SIGNATURES)),
        ("words", words, texts(WORDS)),
    ]
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn values_file(text: &[u8]) {
    for prefix in ["", "p.q"] {
        let _ = values::services(text, prefix);
        for service in ["api", "new"] {
            let edit = PlaceEdit {
                place: ServicePlace {
                    path: "values.yaml".into(),
                    prefix: prefix.into(),
                    service: service.into(),
                },
                image: ExactImage {
                    repository: "r.example/api".parse().unwrap(),
                    tag: Some("v2".parse().unwrap()),
                    digest: digest("a").parse().unwrap(),
                },
                runtime: None,
                may_create: true,
            };
            let whole = values::edit(text, &edit);
            let outlined = values::edit_with(&mut None, text, &edit);
            assert_eq!(outlined.is_ok(), whole.is_ok(), "both ways edit the same files");
            // What was written says what was meant, whatever stood there.
            let Ok(edited) = whole else { continue };
            let declared = values::services(&edited, prefix).unwrap();
            let own = declared.into_iter().find(|declared| declared.name == service).unwrap();
            assert_eq!(own.image.digest.unwrap().as_str(), digest("a"));
            assert_eq!(values::edit(&edited, &edit).unwrap(), edited, "once is enough");
        }
    }
}

fn policies() -> Vec<&'static str> {
    let blocks = POLICIES.split("```yaml\n").skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

fn a_policy(text: &[u8]) {
    let own: Name = "production".parse().unwrap();
    let _ = gates::read_policy(&lossy(text), &own, &["staging".parse().unwrap()], &[]);
}

fn a_notification(text: &[u8]) {
    let mut headers = http::HeaderMap::new();
    let _ = notification::read(&headers, text);
    headers.insert("x-github-event", "registry_package".parse().unwrap());
    let _ = notification::read(&headers, text);
}

fn a_signature(text: &[u8]) {
    let found = [
        Attached::bundle(text),
        Attached::envelope(text, None),
        Attached::simple(text.to_vec(), &lossy(text), None),
    ];
    let found: Vec<Attached> = found.into_iter().flatten().collect();
    let digest: Digest = digest("a").parse().unwrap();
    let own: Name = "production".parse().unwrap();
    let _ = PublicKey::read(&lossy(text));
    for policy in policies()
        .into_iter()
        .filter_map(|policy| gates::read_policy(policy, &own, &[], &[]).ok())
    {
        for (_, sought) in server::signature::sought(&policy, &server::signature::TrustedRoots::built_in()) {
            let _ = sought.find(&digest, &found);
        }
    }
}

fn words(text: &[u8]) {
    let text = lossy(text);
    let _ = (text.parse::<Digest>(), text.parse::<Tag>(), text.parse::<Repository>());
    let _ = text.parse::<Name>();
    let _ = (
        SourceRepository::parse(&text),
        Revision::parse(&text),
        source::listed_host(&text),
    );
}

/// Throws at every reader in turn, in a thread with a stack of the usual size.
fn throw(until: Until) {
    let seed = seed();
    let current = Arc::new(Mutex::new((String::new(), Vec::new())));
    let (alive, heard) = mpsc::channel();
    let thrown = Arc::clone(&current);
    let thread = thread::spawn(move || {
        let mut dice = Dice(seed);
        let readers = readers();
        let mut round = 0;
        while !until.is_over(round) {
            let (name, read, right) = &readers[round % readers.len()];
            let chosen = &right[dice.below(right.len())];
            let text = mutate(&mut dice, chosen, right);
            *thrown.lock().unwrap() = (format!("round {round}, {name}"), text.clone());
            read(&text);
            round += 1;
            alive.send(()).unwrap();
        }
        round
    });
    let said = || {
        let (at, text) = current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        format!("seed {seed}, {at}: {:?}", lossy(&text))
    };
    loop {
        match heard.recv_timeout(LONGEST) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing is heard any more: {}", said()),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    match thread.join() {
        Ok(rounds) => println!("{rounds} texts"),
        Err(_) => panic!("{}", said()),
    }
}

#[test]
fn texts_thrown_at_readers() {
    throw(Until::Rounds(4_000));
}

#[test]
#[ignore = "takes minutes: make fuzz"]
fn texts_thrown_for_long() {
    throw(Until::told());
}

const VALUES: &[&str] = &[
    "# top\nservices:\n  web: {}\n  api:   # the api\n    image:\n      # where\n      repository: r.example/api # kept\n      tag:   \"v1\"   # tag\n      digest: 'sha256:1111111111111111111111111111111111111111111111111111111111111111'\n\n    port: 80\nother: [1,  2]\n",
    "p:\n  q:\n    base: &base {image: {repository: r.example/b}}\n    services:\n      bare:\n      api:\n        <<: *base\n        image: {repository: r.example/api, tag: 1.10}\n      text: {image: r.example/x}\n",
    "services: {api: {image: {repository: \"r.example/api\", tag: !!str v1}}, b: &b [x, *b]}\r\n",
    "services:\n  api:\n    image:\n      repository: |\n        r.example/api\n      tag: >-\n        v1\n\n      digest: ~\n    env:\n    - A\n    - - B\n",
    "---\n{}\n",
    "",
];
/// The examples for people.
const POLICIES: &str = include_str!("../../../../docs/policies.md");
const DOCUMENTS: &[&str] = &[
    "workspace: demo\nclusters:\n  - name: local\n    argocd: { url: http://127.0.0.1:8080, token: { env: ARGOCD_TOKEN } }\n    registry: { host: 127.0.0.1:5000, plainHttp: true }\nprojects:\n  - name: myapp\n    repository:\n      url: https://git.example.com/gitops.git\n      credentials: { user: x, token: { file: ./token } }\n    environments:\n      - name: development\n        cluster: local\n        resources:\n          - name: api\n            source: { image: 127.0.0.1:5000/myapp/api }\n            runtime: { replicas: 2, ports: [8080], env: { B: 1, A: yes }, size: small, healthPath: /healthz }\n",
    "workspace: &w demo\n---\nworkspace: *w\n",
];
const NOTIFICATIONS: &[&str] = &[
    r#"{"events":[{"id":"1","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"myapp/api","tag":"1","digest":"sha256:aa"},"request":{"host":"r.example"}}]}"#,
    r#"{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"digest":"sha256:aa","tag":"v1","resource_url":"h.example/p/a:v1"}],"repository":{"repo_full_name":"p/a"}}}"#,
    r#"{"specversion":"1.0","type":"harbor.artifact.pushed","data":{"repository":{"repo_full_name":"p/a"},"resources":[]}}"#,
    r#"{"push_data":{"tag":"latest"},"repository":{"repo_name":"me/app"}}"#,
    r#"{"action":"published","registry_package":{"package_type":"CONTAINER","namespace":"o","name":"a","package_version":{"container_metadata":{"tag":{"name":"v1","digest":"sha256:aa"}}}}}"#,
    r#"{"source":"aws.ecr","detail-type":"ECR Image Action","account":"1","region":"eu-central-1","detail":{"action-type":"PUSH","result":"SUCCESS","repository-name":"a","image-tag":"v1","image-digest":"sha256:aa"}}"#,
    r#"{"docker_url":"quay.io/a/b","updated_tags":["v1","v2"]}"#,
    r#"{"action":"push","target":{"repository":"a","tag":"v1","digest":"sha256:aa"},"request":{"host":"x.azurecr.io"}}"#,
];
const SIGNATURES: &[&str] = &[
    r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"payloadType":"application/vnd.in-toto+json","payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbXX0=","signatures":[{"sig":"MEUCIQ=="}]}}"#,
    r#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"AAAA","keyid":""}]}"#,
    r#"{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"sha256:aa"},"type":"cosign container image signature"},"optional":null}"#,
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsWNh8nZ2CDkYwwCZfKGSfGmYFGTL\nZVxhV5IGXjMSsqkOSzOP2ITSqRSZnEUxhpMHGbHHqYqpgN3hjPWkxQMSdA==\n-----END PUBLIC KEY-----\n",
    "MEUCIQD=",
];
const WORDS: &[&str] = &[
    "sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "registry.example.com:5000/myapp/api:v1.2.3",
    "production",
    "v1.2.3-rc.1+build",
    "https://github.com/acme/mono/tree/main/services/api",
    "git+ssh://git@git.example.com:2222/acme/mono.git#main:services/api",
];
