//! The rules of the form, field by field.

use super::{
    FormOptions, MAX_ROWS, MAX_VALUE, NewResource, NewSource, ResourceDraft, VariableDraft, source_image, taken_key,
};
use crate::{
    artifact::{Digest, RepositoryError, TagError},
    field::FieldErrors,
    key::{Key, KeyError},
    name::Name,
    resource::{Binding, Kind, Runtime, Size},
    tag_rule::{TagOrder, TagRule},
};

impl ResourceDraft {
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
            match self.size.parse::<Size>() {
                Ok(size) => runtime.size = Some(size),
                Err(_) => errors.add("size", "Choose small, medium or large."),
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
