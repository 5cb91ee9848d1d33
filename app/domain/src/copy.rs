//! Copying an image between repositories: what goes along, what it will take, how far it is, and what proves it.
//!
//! The digest never changes on the way; whatever hangs on the image by digest (signatures, attestations, SBOMs) stays valid in the new place.

use crate::{artifact::Repository, bytes, promotion::UnknownWord};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// What goes along with an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum Attachments {
    /// Everything that hangs on it: signatures, attestations, SBOMs and what else refers to it.
    #[default]
    All,
    /// Signatures and attestations only.
    Signatures,
    /// Nothing but the image itself.
    None,
}

/// What hangs on an image, counted by kind. What is one thing in two places (a referrer and a tag of cosign) counts twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attached {
    /// Signatures: cosign's and Notary's.
    pub signatures: u32,
    /// Attestations, those of BuildKit in the index included.
    pub attestations: u32,
    /// Lists of contents: SPDX, CycloneDX, Syft.
    pub sboms: u32,
    /// Anything else that refers to it.
    pub others: u32,
}

/// What a copy has to do, found by reading the source and asking the target what it has.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyPlan {
    /// Manifests and indexes, each once.
    pub manifests: u32,
    /// Blobs, each once.
    pub blobs: u32,
    /// Bytes of all blobs.
    pub bytes: u64,
    /// Of the blobs, those that the target has already.
    pub present: u32,
    /// Bytes of those.
    pub present_bytes: u64,
    /// What hangs on the image.
    pub attached: Attached,
    /// What is known to stay behind, a sentence each: a layer that may not be passed on, more referrers than are followed.
    pub left_out: Vec<String>,
}

impl Attached {
    /// `2 signatures, 1 SBOM`; empty when nothing hangs on it.
    fn parts(self) -> Vec<String> {
        let Self {
            signatures,
            attestations,
            sboms,
            others,
        } = self;
        [
            (signatures, "signature", "signatures"),
            (attestations, "attestation", "attestations"),
            (sboms, "SBOM", "SBOMs"),
            (others, "other attachment", "other attachments"),
        ]
        .into_iter()
        .filter(|(count, _, _)| *count > 0)
        .map(|(count, one, many)| counted(count, one, many))
        .collect()
    }
}

fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl CopyPlan {
    /// `14 blobs, 201.0 MB, 3 there already, 2 signatures, 1 SBOM`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts = vec![counted(self.blobs, "blob", "blobs"), bytes::shown(self.bytes)];
        match self.present {
            0 => {}
            _ if self.is_there() => parts.push("all there already".to_owned()),
            present => parts.push(format!("{present} there already")),
        }
        parts.extend(self.attached.parts());
        parts.join(", ")
    }

    /// Whether the target has every blob already.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.present == self.blobs
    }
}

/// How far a copy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyProgress {
    /// Blobs that the target has by now.
    pub blobs: u32,
    /// Bytes that the target has by now, those on their way included.
    pub bytes: u64,
}

/// What was read from the target after the last push, and what the copy took.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyProof {
    /// Manifests and indexes that were read again, byte for byte.
    pub manifests: u32,
    /// Blobs whose size was asked for again.
    pub blobs: u32,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes that the registry linked from another of its repositories.
    pub mounted: u64,
    /// Bytes that were there before.
    pub present: u64,
    /// What hangs on the image at the target.
    pub attached: Attached,
    /// What stayed behind, a sentence each.
    pub left_out: Vec<String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

impl CopyProof {
    /// `5 manifests and 14 blobs, 201.0 MB sent, 2 signatures`.
    #[must_use]
    pub fn words(&self) -> String {
        let manifests = counted(self.manifests, "manifest", "manifests");
        let mut parts = vec![format!("{manifests} and {}", counted(self.blobs, "blob", "blobs"))];
        for (amount, how) in [
            (self.sent, "sent"),
            (self.mounted, "linked from another repository"),
            (self.present, "there before"),
        ] {
            if amount > 0 {
                parts.push(format!("{} {how}", bytes::shown(amount)));
            }
        }
        parts.extend(self.attached.parts());
        parts.join(", ")
    }
}

/// Where a copy stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum CopyState {
    /// It is being made, or will be.
    Running,
    /// It was read again at the target.
    Proven,
    /// Somebody must do something.
    Failed,
    /// Nobody waits for it any more.
    Abandoned,
}

/// Where images are copied to before they run somewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The repository, with its registry's host; `{name}` stands for the last part of the source's path, `{path}` for all of it.
    pub repository: String,
    /// What goes along.
    #[serde(default)]
    pub attachments: Attachments,
}

impl Mirror {
    /// The host of the registry that it copies to, with the port if there is one.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.repository.split_once('/').map_or("", |(host, _)| host)
    }

    /// Whether a repository is one that the template makes.
    fn makes(&self, repository: &Repository) -> bool {
        let template = self.repository.as_str();
        let (Some(begin), Some(end)) = (template.find('{'), template.rfind('}')) else {
            return false;
        };
        let (before, after) = (&template[..begin], &template[end + 1..]);
        let filled = repository.as_str().strip_prefix(before);
        let filled = filled.and_then(|rest| rest.strip_suffix(after));
        let is_name = &template[begin..=end] == "{name}";
        filled.is_some_and(|filled| !filled.is_empty() && (!is_name || !filled.contains('/')))
    }

    /// Where an image of `source` is copied to; `None` for a template that makes no repository of it. What was copied there already stays
    /// where it is.
    #[must_use]
    pub fn target(&self, source: &Repository) -> Option<Repository> {
        if self.makes(source) {
            return Some(source.clone());
        }
        let path = source.path();
        let name = path.rsplit('/').next().unwrap_or(path);
        self.repository
            .replace("{name}", name)
            .replace("{path}", path)
            .parse()
            .ok()
    }

    /// Checks the template.
    ///
    /// # Errors
    /// What is wrong with it, a sentence.
    pub fn check(&self) -> Result<(), String> {
        let filled = self.repository.replace("{name}", "x").replace("{path}", "x");
        if filled == self.repository {
            return Err("Include {name} or {path}, so that each image has a repository of its own: registry.example.com/production/{name}.".into());
        }
        if filled.contains(['{', '}']) {
            return Err("The only placeholders here are {name} and {path}.".into());
        }
        if self.registry().contains(['{', '}']) {
            return Err("Name the registry itself: a placeholder can't be part of its host.".into());
        }
        filled
            .parse::<Repository>()
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(repository: &str) -> Mirror {
        Mirror {
            repository: repository.into(),
            attachments: Attachments::All,
        }
    }

    #[test]
    fn a_plan_and_a_proof_are_said_in_a_line() {
        let attached = Attached {
            signatures: 2,
            sboms: 1,
            ..Attached::default()
        };
        let mut plan = CopyPlan {
            manifests: 5,
            blobs: 14,
            bytes: 201_000_000,
            present: 3,
            attached,
            ..CopyPlan::default()
        };
        assert_eq!(
            plan.words(),
            "14 blobs, 201.0 MB, 3 there already, 2 signatures, 1 SBOM"
        );
        plan.present = 14;
        plan.attached = Attached::default();
        assert_eq!(plan.words(), "14 blobs, 201.0 MB, all there already");
        let proof = CopyProof {
            manifests: 1,
            blobs: 2,
            sent: 1_000,
            present: 5,
            attached,
            ..CopyProof::default()
        };
        assert_eq!(
            proof.words(),
            "1 manifest and 2 blobs, 1.0 kB sent, 5 B there before, 2 signatures, 1 SBOM"
        );
    }

    #[test]
    fn a_template_is_filled_with_the_name_or_the_whole_path() {
        let source: Repository = "ci.example:5000/team/shop/api".parse().unwrap();
        for (template, target) in [
            ("prod.example/live/{name}", "prod.example/live/api"),
            ("prod.example/{path}", "prod.example/team/shop/api"),
            ("127.0.0.1:5001/a/{path}-x", "127.0.0.1:5001/a/team/shop/api-x"),
        ] {
            assert_eq!(mirror(template).check(), Ok(()), "{template}");
            assert_eq!(mirror(template).target(&source).unwrap().as_str(), target);
        }
        assert_eq!(mirror("127.0.0.1:5001/a/{name}").registry(), "127.0.0.1:5001");
        // From one environment to the next, it is there already.
        for (template, there) in [
            ("prod.example/live/{path}", "prod.example/live/team/shop/api"),
            ("prod.example/live/{name}-x", "prod.example/live/api-x"),
        ] {
            let there: Repository = there.parse().unwrap();
            assert_eq!(mirror(template).target(&there).as_ref(), Some(&there));
        }
        for (template, other) in [
            ("prod.example/live/{name}", "prod.example/live/team/api"),
            ("prod.example/live/{name}", "prod.example/dev/api"),
        ] {
            let other: Repository = other.parse().unwrap();
            assert_eq!(
                mirror(template).target(&other).unwrap().as_str(),
                "prod.example/live/api"
            );
        }
    }

    #[test]
    fn a_template_that_makes_no_repository_is_refused() {
        for template in [
            "",
            "prod.example/live",
            "{name}",
            "prod.example/{image}",
            "prod.example/{name}/{x}",
            "{name}.example/api",
            "prod.example/Live/{name}",
            "prod.example/{name}:1",
        ] {
            assert!(mirror(template).check().is_err(), "{template}");
        }
    }
}
