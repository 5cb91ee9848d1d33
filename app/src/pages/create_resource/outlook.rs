//! What would happen: the summary of the form, worked out from what is typed so far.

use crate::components::summary::{SummaryView, WillRun};
use domain::{
    artifact::{Artifact, ExactImage, Repository},
    draft::{FormOptions, ResourceDraft, SourceImage, SourceResource, check_digest, source_image},
    key,
    name::Name,
    resource::Size,
};

/// The recent artifacts to choose a pin from, newest first.
pub(crate) fn recent<'a>(draft: &ResourceDraft, options: &'a FormOptions) -> &'a [Artifact] {
    if draft.source == "promote" {
        chosen(draft, options).map_or(&[], |resource| &resource.recent)
    } else {
        &[]
    }
}

/// The source resource that is chosen.
pub(crate) fn chosen<'a>(draft: &ResourceDraft, options: &'a FormOptions) -> Option<&'a SourceResource> {
    options.resource(&draft.source_environment, &draft.source_resource)
}

/// The form as it is first shown, with what leaves no choice chosen already.
pub(crate) fn fresh(options: &FormOptions) -> ResourceDraft {
    let mut draft = ResourceDraft::fresh();
    match &options.environments[..] {
        [] => draft.source = "image".into(),
        [only] => {
            draft.source_environment = only.name.to_string();
            if let [resource] = &only.resources[..] {
                draft.source_resource = resource.name.to_string();
                draft.name = suggested_name(&draft, options).unwrap_or_default();
            }
        }
        _ => {}
    }
    draft
}

/// A name for the new resource: its source's, unless the target has one of that name.
pub(crate) fn suggested_name(draft: &ResourceDraft, options: &FormOptions) -> Option<String> {
    let name = &chosen(draft, options)?.name;
    (!options.taken.contains(name)).then(|| name.to_string())
}

/// What the draft would do.
pub(crate) fn outlook(draft: &ResourceDraft, options: &FormOptions) -> SummaryView {
    let promotes = draft.source == "promote";
    let source = promotes.then(|| chosen(draft, options)).flatten();
    let declared = source.map(|source| {
        let who = format!("{}/{}", draft.source_environment, source.name);
        source_image(&source.declared, &who)
    });
    let repository = if promotes {
        source.and_then(|source| source.declared.repository.clone())
    } else {
        draft.image.trim().parse().ok()
    };
    let image = match draft.binding.as_str() {
        "pin" => pinned(draft, repository, recent(draft, options)),
        _ if promotes => match declared.clone() {
            None if draft.source_environment.is_empty() => WillRun::Choose("Choose a source environment.".into()),
            None => WillRun::Choose("Choose a source resource.".into()),
            Some(Err(why)) => WillRun::Choose(why),
            Some(Ok(SourceImage::Exact(image))) => WillRun::Exact(image),
            Some(Ok(SourceImage::ByTag(_, tag))) => WillRun::Tag(tag.to_string()),
        },
        _ => match repository {
            Some(repository) => WillRun::Newest(repository.to_string()),
            None => WillRun::Choose("Enter an image repository.".into()),
        },
    };
    let from = match (promotes, source) {
        (true, Some(source)) => format!("{}/{}", draft.source_environment, source.name),
        (true, None) => draft.source_environment.clone(),
        (false, _) => draft.image.trim().to_owned(),
    };
    let typed = draft.name.trim();
    let is_name = typed.parse::<Name>().is_ok();
    let key = match draft.key.trim() {
        "" if is_name => typed,
        "" => "<name>",
        key => key,
    };
    SummaryView {
        to: format!("{}/{}", options.environment, if is_name { typed } else { "…" }),
        source_image: match declared {
            Some(Ok(SourceImage::Exact(image))) => Some(image),
            _ => None,
        },
        later: later(draft, &from),
        keys: keys(draft, options, key, &image),
        from,
        image,
        path: options.values_path.clone(),
        gates: options.gates.clone(),
    }
}

fn pinned(draft: &ResourceDraft, repository: Option<Repository>, recent: &[Artifact]) -> WillRun {
    let Ok(digest) = check_digest(&draft.digest) else {
        return WillRun::Choose("Enter the digest to pin to.".into());
    };
    if let Some(known) = recent.iter().find(|artifact| artifact.image.digest == digest) {
        return WillRun::Exact(known.image.clone());
    }
    match repository {
        Some(repository) => WillRun::Exact(ExactImage {
            repository,
            tag: None,
            digest,
        }),
        None => WillRun::Digest(digest),
    }
}

fn later(draft: &ResourceDraft, from: &str) -> String {
    match draft.binding.as_str() {
        _ if from.is_empty() => String::new(),
        "pin" => "After that it stays on this digest until a person moves it.".into(),
        _ => format!("After that it follows {from} by itself."),
    }
}

/// The keys that the commit sets; the same ones, in the same order, as the server writes.
fn keys(draft: &ResourceDraft, options: &FormOptions, key: &str, image: &WillRun) -> Vec<String> {
    let mut base = options.values_prefix.clone();
    if !base.is_empty() {
        base.push('.');
    }
    base.push_str("services.");
    base.push_str(&key::part(key));

    let mut keys = vec!["image.repository".to_owned()];
    if matches!(
        image,
        WillRun::Exact(ExactImage { tag: Some(_), .. }) | WillRun::Tag(_) | WillRun::Newest(_)
    ) {
        keys.push("image.tag".into());
    }
    keys.push("image.digest".into());
    if !draft.replicas.trim().is_empty() {
        keys.push("replicas".into());
    }
    let ports = draft.ports.iter().filter(|port| !port.trim().is_empty()).count();
    if ports > 0 {
        keys.push("port".into());
    }
    if ports > 1 {
        keys.push("ports".into());
    }
    let variables = draft.env.iter().map(|variable| variable.name.trim());
    keys.extend(
        variables
            .filter(|name| !name.is_empty())
            .map(|name| format!("env.{name}")),
    );
    if !draft.ingress_host.trim().is_empty() {
        keys.push("domains".into());
    }
    if Size::ALL.iter().any(|size| size.as_str() == draft.size) {
        keys.push("size".into());
    }
    if !draft.health_path.trim().is_empty() {
        keys.push("healthPath".into());
    }
    keys.iter().map(|key| format!("{base}.{key}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        artifact::DeclaredImage,
        draft::{SourceEnvironment, VariableDraft},
        time::Timestamp,
    };

    fn digest(pair: &str) -> String {
        format!("sha256:{}", pair.repeat(32))
    }

    fn image(tag: Option<&str>, pair: &str) -> ExactImage {
        ExactImage {
            repository: "r.example/myapp/api".parse().unwrap(),
            tag: tag.map(|t| t.parse().unwrap()),
            digest: digest(pair).parse().unwrap(),
        }
    }

    fn source(name: &str, declared: DeclaredImage) -> SourceResource {
        SourceResource {
            kind: domain::resource::Kind::Deployment,
            name: name.parse().unwrap(),
            declared,
            since: None,
            recent: vec![Artifact {
                image: image(Some("v1"), "11"),
                seen_at: Timestamp(0),
                details: None,
            }],
        }
    }

    fn options() -> FormOptions {
        let exact = image(Some("v2"), "22");
        let by_digest = DeclaredImage {
            repository: Some(exact.repository.clone()),
            tag: exact.tag.clone(),
            digest: Some(exact.digest),
            unclear: None,
        };
        let by_tag = DeclaredImage {
            digest: None,
            ..by_digest.clone()
        };
        let latest = DeclaredImage {
            tag: "latest".parse().ok(),
            ..by_tag.clone()
        };
        FormOptions {
            environment: "production".parse().unwrap(),
            taken: vec!["web".parse().unwrap()],
            taken_keys: Vec::new(),
            values_path: "environments/production/values.yaml".into(),
            creates_file: false,
            values_prefix: "lucity-app".into(),
            environments: vec![SourceEnvironment {
                name: "staging".parse().unwrap(),
                resources: vec![source("api", by_digest), source("web", by_tag), source("old", latest)],
                not_promotable: Vec::new(),
            }],
            other_environments: Vec::new(),
            repositories: Vec::new(),
            gates: Vec::new(),
        }
    }

    fn promote(resource: &str) -> ResourceDraft {
        ResourceDraft {
            source_environment: "staging".into(),
            source_resource: resource.into(),
            name: resource.into(),
            ..ResourceDraft::fresh()
        }
    }

    #[test]
    fn tracking_runs_what_the_source_declares() {
        let seen = outlook(&promote("api"), &options());
        assert_eq!((&*seen.from, &*seen.to), ("staging/api", "production/api"));
        assert_eq!(seen.image, WillRun::Exact(image(Some("v2"), "22")));
        assert_eq!(seen.later, "After that it follows staging/api by itself.");
        assert_eq!(
            seen.keys,
            [
                "lucity-app.services.api.image.repository",
                "lucity-app.services.api.image.tag",
                "lucity-app.services.api.image.digest",
                "lucity-app.services.api.replicas",
            ]
        );
    }

    #[test]
    fn a_source_without_a_digest_is_resolved_or_says_why_not() {
        let options = options();
        assert!(matches!(outlook(&promote("web"), &options).image, WillRun::Tag(tag) if tag == "v2"));
        let WillRun::Choose(why) = outlook(&promote("old"), &options).image else {
            panic!("latest without a digest can't be promoted");
        };
        assert!(why.contains("latest"), "{why}");
    }

    #[test]
    fn a_pin_runs_the_digest_that_was_typed() {
        let options = options();
        let mut draft = ResourceDraft {
            binding: "pin".into(),
            ..promote("api")
        };
        assert!(matches!(outlook(&draft, &options).image, WillRun::Choose(_)));
        draft.digest = digest("11");
        assert_eq!(outlook(&draft, &options).image, WillRun::Exact(image(Some("v1"), "11")));
        draft.digest = digest("33");
        let seen = outlook(&draft, &options);
        assert_eq!(seen.image, WillRun::Exact(image(None, "33")));
        assert!(!seen.keys.iter().any(|key| key.ends_with(".tag")));
        assert_eq!(seen.source_image, Some(image(Some("v2"), "22")));
    }

    #[test]
    fn configuration_is_listed_as_it_is_written() {
        let draft = ResourceDraft {
            replicas: String::new(),
            ports: vec!["80".into(), String::new(), "81".into()],
            env: vec![
                VariableDraft {
                    name: "A".into(),
                    value: String::new(),
                },
                VariableDraft::default(),
            ],
            ingress_host: "a.example.com".into(),
            size: "small".into(),
            health_path: "/healthz".into(),
            name: "No name".into(),
            ..promote("api")
        };
        let mut options = options();
        options.values_prefix.clear();
        let keys = outlook(&draft, &options).keys;
        assert_eq!(
            keys[3..],
            [
                "services.<name>.port",
                "services.<name>.ports",
                "services.<name>.env.A",
                "services.<name>.domains",
                "services.<name>.size",
                "services.<name>.healthPath"
            ]
        );
    }

    #[test]
    fn what_leaves_no_choice_is_chosen_and_names_are_suggested_while_free() {
        let mut options = options();
        assert_eq!(fresh(&options).source_environment, "staging");
        assert_eq!(suggested_name(&promote("api"), &options).as_deref(), Some("api"));
        assert_eq!(suggested_name(&promote("web"), &options), None);
        assert_eq!(suggested_name(&promote("gone"), &options), None);
        options.environments[0].resources.truncate(1);
        assert_eq!(fresh(&options).name, "api");
        options.environments.clear();
        assert_eq!(fresh(&options).source, "image");
    }
}
