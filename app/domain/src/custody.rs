//! What is known of where an image comes from: facts, each with how sure it is and who says so.
//!
//! Two sources that differ are both kept: that is news, and not for Waybill to settle.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// What a fact is about, in the order in which they are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[derive(IntoStaticStr, VariantArray)]
pub enum FactKind {
    /// The repository of the source.
    Repository,
    /// The commit of the source.
    Revision,
    /// The branch or tag that was built.
    Ref,
    /// The run of the build.
    Run,
    /// Who built it.
    Builder,
    /// When it was built.
    BuiltAt,
    /// The image that it is based on.
    BaseImage,
}

impl FactKind {
    /// What it is called on pages.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Repository => "Repository",
            Self::Revision => "Commit",
            Self::Ref => "Branch or tag",
            Self::Run => "Build run",
            Self::Builder => "Builder",
            Self::BuiltAt => "Built",
            Self::BaseImage => "Base image",
        }
    }
}

/// How sure a fact is, the surest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Signed by a key or an identity that a policy of the workspace asks for.
    Proven,
    /// Written in the image by whoever built it.
    Stated,
    /// Waybill saw it itself.
    Seen,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Stated => "stated",
            Self::Seen => "seen",
        }
    }
}

/// Something that is known of an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// What it is about.
    pub kind: FactKind,
    /// How sure it is.
    pub level: Level,
    /// What is said.
    pub value: String,
    /// Who says so: a signer, a label.
    pub by: String,
}

impl Fact {
    /// What is said, as it is compared: tools write one repository in several ways.
    fn compared(&self) -> String {
        let text = self.value.trim().to_ascii_lowercase();
        match self.kind {
            FactKind::Repository => {
                let text = text.strip_prefix("git+").unwrap_or(&text);
                let text = text.trim_end_matches('/');
                text.strip_suffix(".git").unwrap_or(text).to_owned()
            }
            FactKind::Revision
            | FactKind::Ref
            | FactKind::Run
            | FactKind::Builder
            | FactKind::BuiltAt
            | FactKind::BaseImage => text,
        }
    }
}

/// Puts facts into the order in which they are shown, each once: by what they are about, then the surest first.
#[must_use]
pub fn in_order(mut facts: Vec<Fact>) -> Vec<Fact> {
    facts.sort();
    facts.dedup();
    facts
}

/// What is said in ways that differ. Several builders, runs and base images may all be true.
#[must_use]
pub fn conflicts(facts: &[Fact]) -> Vec<FactKind> {
    let differs = |kind: &&FactKind| {
        let mut said = facts.iter().filter(|fact| fact.kind == **kind).map(Fact::compared);
        let first = said.next();
        said.any(|other| Some(&other) != first.as_ref())
    };
    [FactKind::Repository, FactKind::Revision, FactKind::Ref]
        .iter()
        .filter(differs)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(kind: FactKind, level: Level, value: &str) -> Fact {
        Fact {
            kind,
            level,
            value: value.into(),
            by: "somebody".into(),
        }
    }

    #[test]
    fn what_differs_is_told_and_other_spellings_do_not() {
        let facts = [
            fact(FactKind::Repository, Level::Proven, "https://github.com/acme/api"),
            fact(
                FactKind::Repository,
                Level::Stated,
                "git+https://github.com/Acme/api.git",
            ),
            fact(FactKind::Revision, Level::Proven, "3F3F"),
            fact(FactKind::Revision, Level::Stated, "3f3f"),
            fact(FactKind::Run, Level::Proven, "https://ci.example.com/1"),
            fact(FactKind::Run, Level::Stated, "https://ci.example.com/2"),
        ];
        assert_eq!(conflicts(&facts), []);
        let mut other = facts.to_vec();
        other.push(fact(FactKind::Revision, Level::Stated, "4f4f"));
        assert_eq!(conflicts(&other), [FactKind::Revision]);
    }

    #[test]
    fn facts_stand_in_one_order_each_once() {
        let stated = fact(FactKind::Revision, Level::Stated, "3f3f");
        let proven = fact(FactKind::Revision, Level::Proven, "3f3f");
        let repository = fact(FactKind::Repository, Level::Stated, "https://github.com/acme/api");
        let all = in_order(vec![stated.clone(), repository.clone(), proven.clone(), stated.clone()]);
        assert_eq!(all, [repository, proven, stated]);
    }
}
