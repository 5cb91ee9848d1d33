//! Provenance: who built an image, and from which repository, as a statement with SLSA's predicate says (versions 0.2 and 1).

use super::{Attached, Envelope, Signer, Statement, Tally, shown};
use domain::{artifact::Digest, custody::FactKind, gate::Found};
use serde_json::Value;

/// How the statement says what it is.
pub const PROVENANCE: [&str; 2] = ["https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"];

/// A build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Build {
    /// Who built, an address.
    pub(super) builder: String,
    /// From where, in one spelling.
    pub(super) repository: String,
}

impl Build {
    pub(super) fn new(builder: &str, repository: &str) -> Self {
        Self {
            builder: builder.to_owned(),
            repository: spelled(repository),
        }
    }

    /// The build that a statement tells of. What it was built from is what whoever started the build gave, in the fields where GitHub's
    /// and GitLab's builders write it; the list of all that was used says nothing about whose the build is.
    fn read(statement: &Statement) -> Option<Self> {
        let text = |path: &str| statement.predicate.pointer(path).and_then(Value::as_str);
        let (builder, repository) = match statement.predicate_type.as_str() {
            kind if kind == PROVENANCE[0] => (text("/builder/id"), text("/invocation/configSource/uri")),
            kind if kind == PROVENANCE[1] => {
                let given = "/buildDefinition/externalParameters";
                let repository = ["/workflow/repository", "/source/uri", "/source"]
                    .iter()
                    .find_map(|path| text(&format!("{given}{path}")));
                (text("/runDetails/builder/id"), repository)
            }
            _ => return None,
        };
        Some(Self::new(builder.unwrap_or_default(), repository.unwrap_or_default()))
    }

    /// Whether what was built is what is asked for. A builder may be asked for without its version, which follows an `@`.
    fn fits(&self, built: &Self) -> bool {
        let rest = built.builder.strip_prefix(&self.builder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@')) && self.repository == built.repository
    }

    /// Whether one of these proves that the digest comes from this build.
    pub(super) fn find(&self, signer: &Signer, digest: &Digest, attached: &[Attached]) -> Found {
        let (mut tally, mut otherwise) = (Tally::default(), None);
        for one in attached {
            let Attached::Envelope(envelope) = one else { continue };
            let Some(statement) = envelope.statement() else {
                continue;
            };
            let Some(built) = Self::read(&statement) else { continue };
            if tally.is_it(signer, digest, one, &statement.of()) {
                if self.fits(&built) {
                    return Found::Valid;
                }
                otherwise = Some(built.words());
            }
        }
        tally.found(otherwise)
    }

    fn words(&self) -> String {
        let builder = shown(&self.builder).unwrap_or_else(|| "somebody unnamed".into());
        let from = shown(&self.repository).unwrap_or_else(|| "no repository that it names".into());
        format!("{builder} built it from {from}")
    }
}

/// What a statement of provenance says of where an image comes from.
pub(super) fn facts(envelope: &Envelope) -> Vec<(FactKind, String)> {
    let Some(statement) = envelope.statement() else {
        return Vec::new();
    };
    let Some(built) = Build::read(&statement) else {
        return Vec::new();
    };
    let text = |path: &str| statement.predicate.pointer(path).and_then(Value::as_str);
    // The commit stands beside the source that the build was given, or in the list of all that was used, where it has the source's address.
    let revision = text("/invocation/configSource/digest/sha1").or_else(|| {
        let used = statement
            .predicate
            .pointer("/buildDefinition/resolvedDependencies")?
            .as_array()?;
        let is_source = |one: &&Value| one["uri"].as_str().is_some_and(|uri| spelled(uri) == built.repository);
        used.iter().find(is_source)?.pointer("/digest/gitCommit")?.as_str()
    });
    let run = text("/runDetails/metadata/invocationId").or_else(|| text("/metadata/buildInvocationId"));
    let finished = text("/runDetails/metadata/finishedOn").or_else(|| text("/metadata/buildFinishedOn"));
    let said = [
        (FactKind::Repository, Some(built.repository.as_str())),
        (FactKind::Revision, revision),
        (FactKind::Run, run),
        (FactKind::Builder, Some(built.builder.as_str())),
        (FactKind::BuiltAt, finished),
    ];
    said.into_iter()
        .filter_map(|(kind, value)| Some((kind, shown(value?)?)))
        .collect()
}

/// An address of a repository without what differs from tool to tool: `git+` before it, `.git` or a slash behind, a branch after `@`.
pub(super) fn spelled(address: &str) -> String {
    let address = address.trim();
    let address = address.strip_prefix("git+").unwrap_or(address);
    let path = address.find("://").map_or(0, |at| at + 3);
    let path = address[path..].find('/').map_or(address.len(), |at| path + at);
    let end = address[path..].find('@').map_or(address.len(), |at| path + at);
    let address = address[..end].trim_end_matches('/');
    address.strip_suffix(".git").unwrap_or(address).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_one_however_they_are_spelled() {
        for spelling in [
            "https://github.com/acme/api",
            " https://github.com/acme/api.git",
            "git+https://github.com/acme/api@refs/heads/main",
            "git+https://github.com/acme/api.git@refs/tags/v1",
            "https://github.com/acme/api/",
        ] {
            assert_eq!(spelled(spelling), "https://github.com/acme/api", "{spelling}");
        }
        assert_eq!(
            spelled("ssh://git@github.com/acme/api"),
            "ssh://git@github.com/acme/api"
        );
        for other in [
            "https://github.com/acme/api2",
            "https://github.com/acme",
            "https://evil.example/github.com/acme/api",
        ] {
            assert_ne!(spelled(other), "https://github.com/acme/api");
        }
        assert_eq!(spelled(""), "");
    }

    #[test]
    fn a_builder_is_named_with_or_without_its_version() {
        let built = |builder: &str| Build::new(builder, "https://github.com/acme/api");
        let asked = built("https://ci.example.com/build");
        assert!(asked.fits(&built("https://ci.example.com/build")));
        assert!(asked.fits(&built("https://ci.example.com/build@refs/tags/v2")));
        for other in [
            "https://ci.example.com/build2",
            "https://ci.example.com",
            "https://ci.example.com/build/@v2",
            "",
        ] {
            assert!(!asked.fits(&built(other)), "{other}");
        }
        let exact = built("https://ci.example.com/build@v2");
        assert!(!exact.fits(&built("https://ci.example.com/build@v3")));
        assert!(!asked.fits(&Build::new(
            "https://ci.example.com/build",
            "https://github.com/eve/api"
        )));
    }
}
