//! What the form takes, and what it says under each field that it doesn't take.

use super::*;
use crate::{artifact::DeclaredImage, resource::Size};

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn declared(tag: Option<&str>, digest: Option<&str>) -> DeclaredImage {
    DeclaredImage {
        repository: "r.example/myapp/api".parse().ok(),
        tag: tag.and_then(|t| t.parse().ok()),
        digest: digest.map(|d| format!("sha256:{}", d.repeat(32)).parse().unwrap()),
        unclear: None,
    }
}

fn options() -> FormOptions {
    let resource = |n: &str, image| SourceResource {
        name: name(n),
        kind: match n {
            "tagged" => Kind::CronJob,
            _ => Kind::Deployment,
        },
        declared: image,
        since: None,
        recent: vec![],
    };
    FormOptions {
        environment: name("production"),
        taken_keys: vec![("webFrontend".parse().unwrap(), "web".parse().unwrap())],
        taken: vec![name("web")],
        values_path: "environments/production/values.yaml".into(),
        creates_file: false,
        values_prefix: String::new(),
        environments: vec![SourceEnvironment {
            name: name("staging"),
            resources: vec![
                resource("api", declared(Some("v1"), Some("ab"))),
                resource("tagged", declared(Some("v1"), None)),
                resource("floating", declared(Some("latest"), None)),
                resource("empty", DeclaredImage::default()),
            ],
            not_promotable: vec![(name("migrate"), Kind::Job)],
        }],
        other_environments: vec![name("qa")],
        repositories: vec![],
        gates: vec![],
    }
}

fn draft() -> ResourceDraft {
    ResourceDraft {
        source_environment: "staging".into(),
        source_resource: "api".into(),
        name: "api".into(),
        ..ResourceDraft::fresh()
    }
}

fn error(change: impl FnOnce(&mut ResourceDraft)) -> (String, String) {
    let mut draft = draft();
    change(&mut draft);
    let errors = draft.check(&options()).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    (errors.0[0].field.clone(), errors.0[0].message.clone())
}

#[test]
fn the_plain_case_is_promoted_and_tracks() {
    let new = draft().check(&options()).unwrap();
    assert_eq!((&new.kind, &new.binding), (&Kind::Deployment, &Binding::TrackLatest));
    let cronjob = ResourceDraft {
        source_resource: "tagged".into(),
        ..draft()
    };
    assert_eq!(
        cronjob.check(&options()).unwrap().kind,
        Kind::CronJob,
        "it is what its source is"
    );
    assert!(matches!(
        new.source,
        NewSource::Promote {
            image: SourceImage::Exact(_),
            ..
        }
    ));
    assert_eq!(
        new.runtime,
        Runtime {
            replicas: Some(1),
            ..Runtime::default()
        }
    );
}

#[test]
fn the_key_is_the_name_unless_another_one_is_typed() {
    assert_eq!(draft().check(&options()).unwrap().key.as_str(), "api");
    let mut typed = draft();
    typed.key = " apiGateway ".into();
    assert_eq!(typed.check(&options()).unwrap().key.as_str(), "apiGateway");
    let mut taken = options();
    taken.taken_keys = vec![("api".parse().unwrap(), name("gateway"))];
    let errors = draft().check(&taken).unwrap_err();
    let why = "production/gateway has the key api in Git already. Enter another key.";
    assert_eq!(errors.get("key"), Some(why));
}

#[test]
fn a_file_is_made_only_when_that_is_ticked() {
    let mut options = options();
    assert!(!draft().check(&options).unwrap().creates_file);
    options.creates_file = true;
    let errors = draft().check(&options).unwrap_err();
    assert!(errors.get("create_file").unwrap().starts_with(&options.values_path));
    let ticked = ResourceDraft {
        create_file: "true".into(),
        ..draft()
    };
    assert!(ticked.check(&options).unwrap().creates_file);
}

#[test]
fn what_is_unclear_is_said_instead_of_an_image() {
    let unclear = DeclaredImage {
        unclear: Some("values.yaml, line 5: YAML reads 1.10 as the number 1.1".into()),
        ..DeclaredImage::default()
    };
    assert_eq!(
        source_image(&unclear, "staging/api").unwrap_err(),
        "staging/api can't be promoted. values.yaml, line 5: YAML reads 1.10 as the number 1.1."
    );
}

#[test]
fn everything_that_runs_is_read() {
    let mut draft = draft();
    draft.ports = vec!["8080".into(), " ".into(), "9090".into()];
    draft.env = vec![
        VariableDraft {
            name: "LOG".into(),
            value: "a=b\n".into(),
        },
        VariableDraft::default(),
    ];
    (draft.ingress_host, draft.size, draft.health_path) = ("api.example.com".into(), "small".into(), "/healthz".into());
    let runtime = draft.check(&options()).unwrap().runtime;
    assert_eq!(runtime.ports, [8080, 9090]);
    assert_eq!(runtime.env, [("LOG".to_owned(), "a=b\n".to_owned())]);
    assert_eq!(runtime.size, Some(Size::Small));
}

#[test]
fn a_source_must_be_another_environment_of_the_project_with_something_to_promote() {
    for (environment, says) in [
        ("", "Choose the environment"),
        ("production", "can't be promoted from itself"),
        ("qa", "nothing that could be promoted"),
        ("elsewhere", "no environment \"elsewhere\""),
    ] {
        let (field, message) = error(|d| d.source_environment = environment.into());
        assert_eq!(field, "source_environment");
        assert!(message.contains(says), "{message}");
    }
    for (resource, says) in [
        ("", "Choose the resource"),
        ("migrate", "migrate is a job and can't be promoted: it runs once"),
        ("ghost", "no resource \"ghost\""),
        ("floating", "runs the tag latest without a digest"),
        ("empty", "has no image yet"),
    ] {
        let (field, message) = error(|d| d.source_resource = resource.into());
        assert_eq!(field, "source_resource");
        assert!(message.contains(says), "{message}");
    }
    let mut by_tag = draft();
    by_tag.source_resource = "tagged".into();
    let NewSource::Promote { image, .. } = by_tag.check(&options()).unwrap().source else {
        panic!()
    };
    assert!(matches!(image, SourceImage::ByTag(_, tag) if tag.as_str() == "v1"));
}

#[test]
fn each_other_field_has_its_own_error() {
    let long = "x".repeat(MAX_VALUE + 1);
    let row = |name: &str, value: &str| {
        vec![VariableDraft {
            name: name.into(),
            value: value.into(),
        }]
    };
    type Case = (&'static str, Box<dyn FnOnce(&mut ResourceDraft)>);
    let cases: Vec<Case> = vec![
        ("source", Box::new(|d| d.source = "guess".into())),
        (
            "image",
            Box::new(|d| (d.source, d.image) = ("image".into(), "api:latest".into())),
        ),
        (
            "kind",
            Box::new(|d| (d.source, d.image, d.kind) = ("image".into(), "r.io/a".into(), "x".into())),
        ),
        ("binding", Box::new(|d| d.binding = String::new())),
        (
            "digest",
            Box::new(|d| (d.binding, d.digest) = ("pin".into(), "sha256:AB".into())),
        ),
        ("digest", Box::new(|d| d.binding = "pin".into())),
        ("name", Box::new(|d| d.name = "web".into())),
        ("name", Box::new(|d| d.name = "Not a name".into())),
        ("key", Box::new(|d| d.key = "webFrontend".into())),
        ("key", Box::new(|d| d.key = "a\tb".into())),
        ("replicas", Box::new(|d| d.replicas = "-1".into())),
        ("replicas", Box::new(|d| d.replicas = "many".into())),
        ("ports[0]", Box::new(|d| d.ports = vec!["0".into()])),
        ("ports[1]", Box::new(|d| d.ports = vec!["80".into(), "80".into()])),
        ("ports[0]", Box::new(|d| d.ports = vec!["70000".into()])),
        ("env[0][name]", Box::new(move |d| d.env = row("1A", "x"))),
        ("env[0][name]", Box::new(move |d| d.env = row("", "x"))),
        ("env[0][value]", Box::new(move |d| d.env = row("A", &long))),
        ("env[0][value]", Box::new(move |d| d.env = row("A", "\u{0}"))),
        (
            "ingress_host",
            Box::new(|d| d.ingress_host = "https://a.example".into()),
        ),
        ("size", Box::new(|d| d.size = "huge".into())),
        ("health_path", Box::new(|d| d.health_path = "healthz".into())),
    ];
    for (field, change) in cases {
        assert_eq!(error(change).0, field);
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let errors = ResourceDraft {
        replicas: "x".into(),
        ..ResourceDraft::default()
    }
    .check(&options())
    .unwrap_err();
    for field in ["source", "binding", "name", "replicas"] {
        assert!(errors.get(field).is_some(), "{field}: {errors}");
    }
}
