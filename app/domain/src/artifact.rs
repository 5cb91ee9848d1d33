//! Images: what a digest, a tag and a repository look like, and what is known about an artifact.
//!
//! Formats follow the OCI distribution specification: names and tags as in its section "Pulling manifests", digests as
//! registered for SHA-256 in the OCI image specification.

use crate::{text::text, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, collections::BTreeMap, str::FromStr};

/// The digest of a manifest: `sha256:` and 64 lower-case hexadecimal characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a text isn't a [`Digest`]; the words are shown under the field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DigestError {
    /// Nothing was given.
    #[error("Enter a digest: sha256: followed by 64 lower-case hex characters.")]
    Empty,
    /// It doesn't begin with `sha256:`.
    #[error("A digest begins with sha256: and is followed by 64 lower-case hex characters.")]
    Algorithm,
    /// Upper-case hexadecimal characters.
    #[error("A digest is written in lower case: sha256: followed by 64 lower-case hex characters.")]
    UpperCase,
    /// Not 64 characters after the colon.
    #[error("A digest has 64 hex characters after sha256:, this one has {0}.")]
    Length(usize),
    /// A character that isn't hexadecimal.
    #[error("A digest holds only 0-9 and a-f after sha256:.")]
    Characters,
}

impl Digest {
    /// The 64 hexadecimal characters.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[7..]
    }

    /// The first 7 hexadecimal characters, as screens show it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[7..14]
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, DigestError> {
        if s.is_empty() {
            return Err(DigestError::Empty);
        }
        let hex = s.strip_prefix("sha256:").ok_or(DigestError::Algorithm)?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DigestError::Characters);
        }
        if hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError::UpperCase);
        }
        if hex.len() != 64 {
            return Err(DigestError::Length(hex.len()));
        }
        Ok(Self(s.to_owned()))
    }
}

/// A tag: up to 128 of letters, digits, `_`, `.`, `-`, not beginning with `.` or `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// Why a text isn't a [`Tag`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("A tag has 1 to 128 letters, digits, underscores, dots and hyphens, and does not begin with a dot or hyphen.")]
pub struct TagError;

impl Tag {
    /// The order in which people count: numbers in the text by their value, `1.9` before `1.10`; all else as text.
    #[must_use]
    pub fn natural_cmp(&self, other: &Self) -> Ordering {
        natural_cmp(&self.0, &other.0)
    }
}

/// As [`Tag::natural_cmp`], of any two texts.
#[must_use]
pub fn natural_cmp(this: &str, that: &str) -> Ordering {
    let (mut one, mut two) = (this, that);
    while !one.is_empty() && !two.is_empty() {
        let ((a, rest), (b, other_rest)) = (first_part(one), first_part(two));
        let by_value = match a.is_number && b.is_number {
            true => (a.value().len().cmp(&b.value().len())).then_with(|| a.value().cmp(b.value())),
            false => a.text.cmp(b.text),
        };
        if by_value.is_ne() {
            return by_value;
        }
        (one, two) = (rest, other_rest);
    }
    // `01` and `1` are of one value, and still two tags.
    one.len().cmp(&two.len()).then_with(|| this.cmp(that))
}

/// The longest beginning of a text that is a number, or has none in it.
struct Part<'a> {
    text: &'a str,
    is_number: bool,
}

impl<'a> Part<'a> {
    fn value(&self) -> &'a str {
        self.text.trim_start_matches('0')
    }
}

fn first_part(text: &str) -> (Part<'_>, &str) {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != is_number)
        .unwrap_or(text.len());
    let (text, rest) = text.split_at(end);
    (Part { text, is_number }, rest)
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(s: &str) -> Result<Self, TagError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let fine = (1..=128).contains(&s.len()) && s.bytes().all(fits) && !s.starts_with(['.', '-']);
        if fine { Ok(Self(s.to_owned())) } else { Err(TagError) }
    }
}

/// A repository with its registry: `registry.example.com/myapp/api`, `127.0.0.1:5000/myapp/api`.
///
/// The registry is always written out (Docker Hub's is `docker.io`), so that two texts are the same repository exactly
/// when they are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository(String);

/// Why a text isn't a [`Repository`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RepositoryError {
    /// Nothing was given.
    #[error("Enter an image repository, for example registry.example.com/myapp/api.")]
    Empty,
    /// A tag or digest was given along.
    #[error("Leave out the tag and digest: enter only the repository, for example registry.example.com/myapp/api.")]
    Reference,
    /// The registry's host is missing or malformed.
    #[error("Begin with the registry's host, for example registry.example.com/myapp/api.")]
    Registry,
    /// The path is malformed.
    #[error("Use lower-case letters, digits, and single dots, underscores or hyphens between slashes.")]
    Path,
}

impl Repository {
    /// The registry's host, with the port if there is one: `127.0.0.1:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.0.split_once('/').map_or("", |(host, _)| host)
    }

    /// The path within the registry: `myapp/api`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, path)| path)
    }
}

impl FromStr for Repository {
    type Err = RepositoryError;

    fn from_str(s: &str) -> Result<Self, RepositoryError> {
        if s.is_empty() {
            return Err(RepositoryError::Empty);
        }
        let (host, path) = s.split_once('/').ok_or(RepositoryError::Registry)?;
        let host_name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let port_fine = host
            .rsplit_once(':')
            .is_none_or(|(_, port)| port.parse::<u16>().is_ok());
        let host_fine = (host.contains(['.', ':']) || host == "localhost")
            && port_fine
            && !host_name.is_empty()
            && host_name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'[' | b']' | b':'));
        if !host_fine {
            return Err(RepositoryError::Registry);
        }
        if path.contains(['@', ':']) {
            return Err(RepositoryError::Reference);
        }
        let component_fine = |part: &str| {
            let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
            edge(part.as_bytes().first())
                && edge(part.as_bytes().last())
                && part.bytes().all(inner)
                && !["..", "._", "_.", "-.", ".-", "___", "_-", "-_"]
                    .iter()
                    .any(|bad| part.contains(bad))
        };
        if path.len() > 255 || !path.split('/').all(component_fine) {
            return Err(RepositoryError::Path);
        }
        Ok(Self(s.to_owned()))
    }
}

text!(Digest: DigestError, Tag: TagError, Repository: RepositoryError);

/// What a values file says about an image: any part may be missing, or be no valid form of what it should be.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DeclaredImage {
    /// `image.repository`, when it is a valid repository.
    pub repository: Option<Repository>,
    /// `image.tag`, when it is a valid tag.
    pub tag: Option<Tag>,
    /// `image.digest`, when it is a valid digest.
    pub digest: Option<Digest>,
    /// Why no exact image can be read out of what is written, with the file and the line, and what to do; a sentence without its full
    /// stop. `None` also where nothing is written.
    pub unclear: Option<String>,
}

/// An exact image: what a promotion runs. The tag is for people, the digest is what counts.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ExactImage {
    /// Where it lies.
    pub repository: Repository,
    /// The tag it was known by, if any.
    pub tag: Option<Tag>,
    /// What it is.
    pub digest: Digest,
}

impl ExactImage {
    /// The same image, as another repository has it.
    #[must_use]
    pub fn in_repository(&self, repository: &Repository) -> Self {
        Self {
            repository: repository.clone(),
            ..self.clone()
        }
    }

    /// What people read: the tag when there is one, else the digest.
    #[must_use]
    pub fn label(&self) -> &str {
        self.tag.as_ref().map_or(self.digest.as_str(), Tag::as_str)
    }

    /// The tag when there is one, else the digest's first 7 characters: for subjects and titles.
    #[must_use]
    pub fn short_label(&self) -> &str {
        self.tag.as_ref().map_or(self.digest.short(), Tag::as_str)
    }

    /// The full reference, for copying: `repository:tag@digest`.
    #[must_use]
    pub fn reference(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}@{}", self.repository, self.digest),
            None => format!("{}@{}", self.repository, self.digest),
        }
    }
}

/// An image that Waybill has seen, with what its registry says about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is.
    pub image: ExactImage,
    /// When Waybill first saw it.
    pub seen_at: Timestamp,
    /// What the registry says about it; `None` until it has been asked.
    pub details: Option<ArtifactDetails>,
}

/// What a registry says about an artifact.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ArtifactDetails {
    /// When it was built, from the image's configuration. Builders may put 1970 here.
    pub created_at: Option<Timestamp>,
    /// Bytes of the configuration and all layers of all platforms, compressed as stored.
    pub size_bytes: u64,
    /// `linux/amd64`, `linux/arm64/v8`, …; attestations are left out.
    pub platforms: Vec<String>,
    /// Labels of the image's configuration; claims of the builder, not proof.
    pub labels: BTreeMap<String, String>,
}

impl ArtifactDetails {
    /// Whether it is an image that may be deployed: it runs on some Linux. Attestations say `unknown/unknown`.
    #[must_use]
    pub fn runs_on_linux(&self) -> bool {
        self.platforms.iter().any(|platform| platform.starts_with("linux/"))
    }

    /// Whether it runs where one of these platforms is needed; where none is named, on some Linux. `linux/arm64` is every `linux/arm64/…`.
    #[must_use]
    pub fn runs_on(&self, needed: &[String]) -> bool {
        if needed.is_empty() {
            return self.runs_on_linux();
        }
        self.platforms.iter().any(|has| {
            let mut fitting = needed.iter().filter_map(|needed| has.strip_prefix(needed.as_str()));
            fitting.any(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The commit it was built from: `org.opencontainers.image.revision`, else `git.commit`, else the older
    /// `org.label-schema.vcs-ref`.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.first(&[
            "org.opencontainers.image.revision",
            "git.commit",
            "org.label-schema.vcs-ref",
        ])
    }

    /// Where its source lies: `org.opencontainers.image.source`, else the older `org.label-schema.vcs-url`.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.first(&["org.opencontainers.image.source", "org.label-schema.vcs-url"])
    }

    /// The run that built it: label `ci.run`.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        self.first(&["ci.run"])
    }

    fn first(&self, keys: &[&str]) -> Option<&str> {
        keys.iter()
            .find_map(|key| self.labels.get(*key))
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_as_people_count() {
        let mut tags: Vec<Tag> = ["v1.10", "10", "v1.9", "9", "v1.9-rc2", "main", "01", "1"]
            .map(|tag| tag.parse().unwrap())
            .into();
        tags.sort_by(Tag::natural_cmp);
        let texts: Vec<_> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(texts, ["01", "1", "9", "10", "main", "v1.9", "v1.9-rc2", "v1.10"]);
    }

    #[test]
    fn digests_are_exact() {
        let hex = "9b1f6c1f2a3e4d5c6b7a8990a1b2c3d4e5f60718293a4b5c6d7e8f9001122334";
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        assert_eq!((digest.short(), digest.hex()), ("9b1f6c1", hex));
        for (bad, why) in [
            (String::new(), DigestError::Empty),
            (hex.to_owned(), DigestError::Algorithm),
            (format!("sha512:{hex}"), DigestError::Algorithm),
            (format!("sha256:{}", hex.to_uppercase()), DigestError::UpperCase),
            (format!("sha256:{}", &hex[1..]), DigestError::Length(63)),
            (format!("sha256:{hex} "), DigestError::Characters),
            (format!("sha256:g{}", &hex[1..]), DigestError::Characters),
            ("sha256:é".to_owned(), DigestError::Characters),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn repositories_name_their_registry() {
        let repository: Repository = "127.0.0.1:5000/myapp/api".parse().unwrap();
        assert_eq!(
            (repository.registry(), repository.path()),
            ("127.0.0.1:5000", "myapp/api")
        );
        for good in [
            "registry.example.com/api",
            "localhost/api",
            "ghcr.io/acme/my__app/a-b.c",
            "[::1]:5000/x",
        ] {
            assert!(good.parse::<Repository>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", RepositoryError::Empty),
            ("api", RepositoryError::Registry),
            ("myapp/api", RepositoryError::Registry),
            ("reg.example.com:port/api", RepositoryError::Registry),
            ("reg.example.com/api:1.0", RepositoryError::Reference),
            ("reg.example.com/api@sha256:00", RepositoryError::Reference),
            ("reg.example.com/Api", RepositoryError::Path),
            ("reg.example.com/a//b", RepositoryError::Path),
            ("reg.example.com/a..b", RepositoryError::Path),
            ("reg.example.com/", RepositoryError::Path),
        ] {
            assert_eq!(bad.parse::<Repository>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_specification() {
        for good in ["1.4.2", "a1b2c3d", "_x", "V1", &"t".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "a:b", &"t".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_image_is_called_by_its_tag_when_it_has_one() {
        let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let mut image = ExactImage {
            repository: "r.example/api".parse().unwrap(),
            tag: "v1".parse().ok(),
            digest: digest.clone(),
        };
        assert_eq!(image.reference(), format!("r.example/api:v1@{digest}"));
        assert_eq!(image.label(), "v1");
        image.tag = None;
        assert_eq!(image.label(), digest.as_str());
        assert_eq!(image.short_label(), "abababa");
    }
}
