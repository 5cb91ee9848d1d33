//! The form "Create Resource": what a person typed, what it may refer to, and every rule that it must meet.
//!
//! [`ResourceDraft`] is the form as posted, all text. [`FormOptions`] is what the form offers. [`ResourceDraft::check`]
//! holds one against the other, in the browser before submit and on the server again; only what needs the outside
//! world (does the registry hold this digest?) is left to the server.

use crate::{
    artifact::{Artifact, DeclaredImage, Digest, ExactImage, Repository, RepositoryError, Tag, TagError},
    field::FieldErrors,
    key::{Key, KeyError},
    name::Name,
    resource::{Binding, Kind, Runtime, Size},
    tag_rule::{TagOrder, TagRule},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Most rows of ports and of environment variables.
pub const MAX_ROWS: usize = 50;
/// Most characters of an environment variable's value.
pub const MAX_VALUE: usize = 4096;

/// The form as typed. Field names are the form's; lists are posted as `ports[0]`, `env[0][name]`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceDraft {
    /// `promote` or `image`.
    pub source: String,
    /// Source *Image*: the repository.
    pub image: String,
    /// Source *Image*: which tags count, a word of [`TagOrder`]; empty: as `newest`.
    pub tags: String,
    /// Source *Image*: the range, the pattern or the tag that goes with it.
    pub tags_value: String,
    /// Source *Image*: tags that never count, with spaces or commas between.
    pub leave_out: String,
    /// Source *Promote from environment*: the environment's name.
    pub source_environment: String,
    /// Source *Promote from environment*: the resource's name there.
    pub source_resource: String,
    /// `track` or `pin`.
    pub binding: String,
    /// The digest to pin to.
    pub digest: String,
    /// The new resource's name.
    pub name: String,
    /// Its key in Git; empty for its name.
    pub key: String,
    /// Source *Image*: what kind of resource it is.
    pub kind: String,
    /// Copies.
    pub replicas: String,
    /// Ports; empty rows are left out.
    pub ports: Vec<String>,
    /// Environment variables; rows with neither name nor value are left out.
    pub env: Vec<VariableDraft>,
    /// Host to be reached under.
    pub ingress_host: String,
    /// `small`, `medium`, `large` or empty.
    pub size: String,
    /// Path that answers when it is well.
    pub health_path: String,
    /// Anything when the values file may be made, where there is none.
    pub create_file: String,
}

/// A row of the form's environment variables.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VariableDraft {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What the form offers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FormOptions {
    /// The target environment.
    pub environment: Name,
    /// Names that the target has already.
    pub taken: Vec<Name>,
    /// Keys in Git that the target's resources have, each with the resource's name.
    pub taken_keys: Vec<(Key, Name)>,
    /// The values file that will change.
    pub values_path: String,
    /// Whether that file isn't there, so that the first commit would make it.
    pub creates_file: bool,
    /// Dotted keys above `services` in it; empty for none.
    pub values_prefix: String,
    /// Environments that can be promoted from, in the project's order; never the target.
    pub environments: Vec<SourceEnvironment>,
    /// All other environments of the project, so that a refusal can say why.
    pub other_environments: Vec<Name>,
    /// Image repositories that are known already.
    pub repositories: Vec<Repository>,
    /// What the target asks for before a promotion goes on, a sentence each.
    pub gates: Vec<String>,
}

/// An environment that can be promoted from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceEnvironment {
    /// Its name.
    pub name: Name,
    /// Its promotable resources; at least one.
    pub resources: Vec<SourceResource>,
    /// Names of resources there whose kind can't be promoted, with that kind.
    pub not_promotable: Vec<(Name, Kind)>,
}

/// A resource that can be promoted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceResource {
    /// Its name.
    pub name: Name,
    /// What it is; what is promoted from it is the same.
    pub kind: Kind,
    /// Its image as Git declares it.
    pub declared: DeclaredImage,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Artifacts of its repository, newest first.
    pub recent: Vec<Artifact>,
}

/// How a source's image can be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceImage {
    /// It is exact.
    Exact(ExactImage),
    /// It is a tag, to be resolved once.
    ByTag(Repository, Tag),
}

/// The image that a resource offers to others, from what Git declares for it; `who` names it (`staging/api`).
///
/// # Errors
/// Why it can't be a source, a sentence.
pub fn source_image(declared: &DeclaredImage, who: &str) -> Result<SourceImage, String> {
    if let Some(unclear) = &declared.unclear {
        return Err(format!("{who} can't be promoted. {}.", unclear.trim_end_matches('.')));
    }
    let Some(repository) = declared.repository.clone() else {
        return Err(format!("{who} has no image yet. Deploy it once, then promote it."));
    };
    match (&declared.digest, &declared.tag) {
        (Some(digest), tag) => Ok(SourceImage::Exact(ExactImage {
            repository,
            tag: tag.clone(),
            digest: digest.clone(),
        })),
        (None, Some(tag)) if tag.as_str() == "latest" => Err(format!(
            "{who} runs the tag latest without a digest, so nobody can say which image that is. \
             Deploy it by digest first, then promote it."
        )),
        (None, Some(tag)) => Ok(SourceImage::ByTag(repository, tag.clone())),
        (None, None) => Err(format!(
            "{who} declares neither tag nor digest. Deploy it by digest first, then promote it."
        )),
    }
}

/// Why a resource of `environment` can't have a key: this other one has it.
#[must_use]
pub fn taken_key(environment: &Name, resource: &Name, key: &Key) -> String {
    format!("{environment}/{resource} has the key {key} in Git already. Enter another key.")
}

/// A draft that met every rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewResource {
    /// Its name.
    pub name: Name,
    /// Its key in Git.
    pub key: Key,
    /// What it is.
    pub kind: Kind,
    /// Where its image comes from.
    pub source: NewSource,
    /// How it follows that.
    pub binding: Binding,
    /// How it runs.
    pub runtime: Runtime,
    /// Whether the values file may be made, where there is none.
    pub creates_file: bool,
}

/// Where a new resource's image comes from, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewSource {
    /// A repository.
    Image {
        /// The repository.
        repository: Repository,
        /// Which of its tags count; the range and the pattern in it are still to be read.
        tags: TagRule,
    },
    /// A resource of another environment of the project.
    Promote {
        /// That environment.
        environment: Name,
        /// The resource there.
        resource: Name,
        /// Its image.
        image: SourceImage,
    },
}

impl FormOptions {
    /// The source environment of this name.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&SourceEnvironment> {
        self.environments.iter().find(|e| e.name.as_str() == name)
    }

    /// The source resource of this name in the environment of that name.
    #[must_use]
    pub fn resource(&self, environment: &str, name: &str) -> Option<&SourceResource> {
        self.environment(environment)?
            .resources
            .iter()
            .find(|r| r.name.as_str() == name)
    }
}

impl ResourceDraft {
    /// An empty form as it is first shown: promote, track latest, one row for a port and one for a variable.
    #[must_use]
    pub fn fresh() -> Self {
        Self {
            source: "promote".into(),
            binding: "track".into(),
            kind: Kind::Deployment.as_str().into(),
            replicas: "1".into(),
            ports: vec![String::new()],
            env: vec![VariableDraft::default()],
            ..Self::default()
        }
    }

    /// Holds the draft against every rule that needs no outside world.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn check(&self, options: &FormOptions) -> Result<NewResource, FieldErrors> {
        let mut errors = FieldErrors::default();
        let source = self.check_source(options, &mut errors);
        let binding = self.check_binding(&mut errors);
        let name = self.check_name(options, &mut errors);
        let key = self.check_key(name.as_ref(), options, &mut errors);
        let kind = self.check_kind(options, &mut errors);
        let runtime = self.check_runtime(&mut errors);
        let creates_file = !self.create_file.is_empty();
        if options.creates_file && !creates_file {
            let path = &options.values_path;
            errors.add(
                "create_file",
                format!("{path} is not on the branch. Tick this to create it, or correct the project's path template."),
            );
        }
        match (source, binding, name, key, kind) {
            (Some(source), Some(binding), Some(name), Some(key), Some(kind)) if errors.is_empty() => Ok(NewResource {
                name,
                key,
                kind,
                source,
                binding,
                runtime,
                creates_file,
            }),
            _ => Err(errors),
        }
    }

    fn check_source(&self, options: &FormOptions, errors: &mut FieldErrors) -> Option<NewSource> {
        match self.source.as_str() {
            "image" => {
                let repository = self.image.trim().parse();
                let repository = repository.map_err(|e: RepositoryError| errors.add("image", e.to_string()));
                let tags = self.check_tags(errors);
                (repository.ok().zip(tags)).map(|(repository, tags)| NewSource::Image { repository, tags })
            }
            "promote" => self.check_promote(options, errors),
            _ => {
                errors.add(
                    "source",
                    "Choose where the image comes from: Image, or Promote from environment.",
                );
                None
            }
        }
    }

    /// The part of [`ResourceDraft::check`] about which tags count.
    pub fn check_tags(&self, errors: &mut FieldErrors) -> Option<TagRule> {
        let value = self.tags_value.trim();
        let order = match (self.tags.as_str(), value) {
            ("" | "newest", "") => TagOrder::BuildTime,
            ("" | "newest", _) => {
                errors.add(
                    "tags_value",
                    "All tags count, so leave this empty; or choose versions, a pattern or one tag above.",
                );
                return None;
            }
            ("semver", "") => TagOrder::SemVer { range: None },
            ("semver", range) => TagOrder::SemVer {
                range: Some(range.to_owned()),
            },
            ("pattern", "") => {
                errors.add(
                    "tags_value",
                    r"Enter the pattern, with the part to order by in parentheses: build-(\d+).",
                );
                return None;
            }
            ("pattern", pattern) => TagOrder::Pattern {
                pattern: pattern.to_owned(),
            },
            ("only", "") => {
                errors.add("tags_value", "Enter the tag.");
                return None;
            }
            ("only", tag) => match tag.parse() {
                Ok(tag) => TagOrder::Only { tag },
                Err(TagError) => {
                    errors.add("tags_value", TagError.to_string());
                    return None;
                }
            },
            _ => {
                errors.add("tags", "Choose which tags count.");
                return None;
            }
        };
        let left_out = self.leave_out.split([',', ' ', '\n', '\r', '\t']);
        Some(TagRule {
            order,
            leave_out: left_out.filter(|glob| !glob.is_empty()).map(str::to_owned).collect(),
        })
    }

    fn check_promote(&self, options: &FormOptions, errors: &mut FieldErrors) -> Option<NewSource> {
        let wanted = self.source_environment.as_str();
        if wanted.is_empty() {
            errors.add("source_environment", "Choose the environment to promote from.");
            return None;
        }
        if wanted == options.environment.as_str() {
            errors.add(
                "source_environment",
                format!("{wanted} can't be promoted from itself. Choose another environment of the project."),
            );
            return None;
        }
        let Some(environment) = options.environment(wanted) else {
            let known = options.other_environments.iter().any(|name| name.as_str() == wanted);
            errors.add(
                "source_environment",
                if known {
                    format!("{wanted} has nothing that could be promoted. Choose another environment.")
                } else {
                    format!("This project has no environment {wanted:?}. Choose one from the list.")
                },
            );
            return None;
        };
        if self.source_resource.is_empty() {
            errors.add(
                "source_resource",
                format!("Choose the resource of {wanted} to take the image from."),
            );
            return None;
        }
        if let Some((name, kind)) = environment
            .not_promotable
            .iter()
            .find(|(name, _)| name.as_str() == self.source_resource)
        {
            errors.add(
                "source_resource",
                format!("{} Choose another resource.", kind.refusal(name.as_str())),
            );
            return None;
        }
        let Some(resource) = environment
            .resources
            .iter()
            .find(|r| r.name.as_str() == self.source_resource)
        else {
            errors.add(
                "source_resource",
                format!(
                    "{wanted} has no resource {:?}. Choose one from the list.",
                    self.source_resource
                ),
            );
            return None;
        };
        match source_image(&resource.declared, &format!("{wanted}/{}", resource.name)) {
            Ok(image) => Some(NewSource::Promote {
                environment: environment.name.clone(),
                resource: resource.name.clone(),
                image,
            }),
            Err(why) => {
                errors.add("source_resource", why);
                None
            }
        }
    }

    fn check_binding(&self, errors: &mut FieldErrors) -> Option<Binding> {
        match self.binding.as_str() {
            "track" => Some(Binding::TrackLatest),
            "pin" => match check_digest(&self.digest) {
                Ok(digest) => Some(Binding::Pin(digest)),
                Err(e) => {
                    errors.add("digest", e);
                    None
                }
            },
            _ => {
                errors.add(
                    "binding",
                    "Choose how it follows its source: Track latest, or Pin to digest.",
                );
                None
            }
        }
    }

    fn check_name(&self, options: &FormOptions, errors: &mut FieldErrors) -> Option<Name> {
        match self.name.trim().parse::<Name>() {
            Ok(name) if options.taken.contains(&name) => {
                errors.add(
                    "name",
                    format!(
                        "{} already has a resource {name}. Choose another name.",
                        options.environment
                    ),
                );
                None
            }
            Ok(name) => Some(name),
            Err(e) => {
                errors.add("name", e.to_string());
                None
            }
        }
    }

    /// Without a key of its own it has its name's, once there is one.
    fn check_key(&self, name: Option<&Name>, options: &FormOptions, errors: &mut FieldErrors) -> Option<Key> {
        let key = match (self.key.trim(), name) {
            ("", name) => Key::from(name?),
            (typed, _) => typed
                .parse()
                .map_err(|e: KeyError| errors.add("key", e.to_string()))
                .ok()?,
        };
        match options.taken_keys.iter().find(|(taken, _)| *taken == key) {
            Some((_, resource)) => {
                errors.add("key", taken_key(&options.environment, resource, &key));
                None
            }
            None => Some(key),
        }
    }

    fn check_kind(&self, options: &FormOptions, errors: &mut FieldErrors) -> Option<Kind> {
        if self.source == "promote" {
            let source = options.environment(&self.source_environment).and_then(|environment| {
                environment
                    .resources
                    .iter()
                    .find(|r| r.name.as_str() == self.source_resource)
            });
            return Some(source.map_or(Kind::Deployment, |source| source.kind.clone()));
        }
        match self.kind.parse() {
            Ok(kind) => Some(kind),
            Err(e) => {
                errors.add("kind", e.to_string());
                None
            }
        }
    }

    /// The part of [`ResourceDraft::check`] about how the resource runs.
    pub fn check_runtime(&self, errors: &mut FieldErrors) -> Runtime {
        let mut runtime = Runtime::default();
        let replicas = self.replicas.trim();
        match replicas.parse::<u32>() {
            _ if replicas.is_empty() => {}
            Ok(n) if n <= 1000 => runtime.replicas = Some(n),
            _ => errors.add("replicas", "Enter a whole number from 0 to 1000."),
        }
        self.check_ports(&mut runtime, errors);
        self.check_env(&mut runtime, errors);

        let host = self.ingress_host.trim();
        if !host.is_empty() {
            match check_host(host) {
                Ok(()) => runtime.ingress_host = Some(host.to_owned()),
                Err(why) => errors.add("ingress_host", why),
            }
        }
        if !self.size.is_empty() {
            runtime.size = Size::ALL.into_iter().find(|size| size.as_str() == self.size);
            if runtime.size.is_none() {
                errors.add("size", "Choose small, medium or large.");
            }
        }
        let path = self.health_path.trim();
        if !path.is_empty() {
            if path.starts_with('/') && path.len() <= 256 && path.bytes().all(|b| b.is_ascii_graphic()) {
                runtime.health_path = Some(path.to_owned());
            } else {
                errors.add(
                    "health_path",
                    "Enter a path that begins with a slash, for example /healthz, without spaces.",
                );
            }
        }
        runtime
    }

    fn check_ports(&self, runtime: &mut Runtime, errors: &mut FieldErrors) {
        if self.ports.len() > MAX_ROWS {
            errors.add("ports[0]", format!("Use at most {MAX_ROWS} ports."));
            return;
        }
        for (i, text) in self.ports.iter().enumerate() {
            let text = text.trim();
            match text.parse::<u16>() {
                _ if text.is_empty() => {}
                Ok(0) | Err(_) => errors.add(format!("ports[{i}]"), "Enter a port from 1 to 65535."),
                Ok(port) if runtime.ports.contains(&port) => {
                    errors.add(format!("ports[{i}]"), format!("Port {port} is listed twice."));
                }
                Ok(port) => runtime.ports.push(port),
            }
        }
    }

    fn check_env(&self, runtime: &mut Runtime, errors: &mut FieldErrors) {
        if self.env.len() > MAX_ROWS {
            errors.add("env[0][name]", format!("Use at most {MAX_ROWS} environment variables."));
            return;
        }
        for (i, VariableDraft { name, value }) in self.env.iter().enumerate() {
            let name = name.trim();
            if name.is_empty() && value.is_empty() {
                continue;
            }
            let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
            let fine = name.len() <= 256
                && name.bytes().next().is_some_and(letter)
                && name.bytes().all(|b| letter(b) || b.is_ascii_digit());
            if !fine {
                let why = "Use letters, digits and underscores, not beginning with a digit.";
                errors.add(format!("env[{i}][name]"), why);
            } else if runtime.env.iter().any(|(other, _)| other == name) {
                errors.add(format!("env[{i}][name]"), format!("{name} is listed twice."));
            } else if value.len() > MAX_VALUE {
                errors.add(
                    format!("env[{i}][value]"),
                    format!("Use at most {MAX_VALUE} characters."),
                );
            } else if value
                .chars()
                .any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'))
            {
                errors.add(format!("env[{i}][value]"), "Leave out control characters.");
            } else {
                // Browsers post line breaks as CR LF.
                runtime.env.push((name.to_owned(), value.replace("\r\n", "\n")));
            }
        }
    }
}

/// A digest as typed: surrounding spaces are forgiven, nothing else is.
///
/// # Errors
/// What is wrong, a sentence.
pub fn check_digest(typed: &str) -> Result<Digest, String> {
    typed.trim().parse::<Digest>().map_err(|e| e.to_string())
}

fn check_host(host: &str) -> Result<(), String> {
    let fine = host.len() <= 253
        && host.contains('.')
        && host
            .split('.')
            .enumerate()
            .all(|(i, label)| label.parse::<Name>().is_ok() || (i == 0 && label == "*"));
    if fine {
        Ok(())
    } else {
        Err("Enter a host name in lower case without scheme, port or path, for example api.example.com.".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        (draft.ingress_host, draft.size, draft.health_path) =
            ("api.example.com".into(), "small".into(), "/healthz".into());
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
}
