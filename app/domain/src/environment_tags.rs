//! Tags that an environment has in the registry: a marker that moves with what runs, and keepers that keep what ran from clean-up rules.
//!
//! They are for people and for rules. Nothing is deployed by them, and nothing fails because of them.

use crate::{
    artifact::{Digest, Tag},
    promotion::UnknownWord,
    tags::{TagKind, is_of_a_tool, kind},
};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

/// Hexadecimal characters of the digest in a keeper's name.
const SHORT: usize = 12;
/// Images whose keepers are kept, unless an environment says otherwise.
const USUAL_LAST: u32 = 10;
/// Images whose keepers may be kept.
const MOST_LAST: u32 = 100;
/// Characters of a tag (OCI distribution 1.1).
const LONGEST_TAG: usize = 128;

/// The tags of an environment. The default sets none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvironmentTags {
    /// The tag that moves to an image once it is verified live: `production`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// Tags that keep images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// What becomes of a marker that somebody else moved.
    #[serde(default, skip_serializing_if = "OnDrift::is_usual")]
    pub on_drift: OnDrift,
}

/// Tags that keep images: set before the commit, never moved, removed when the image has left the last few and runs nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Keep {
    /// How they begin: `prod-`, for `prod-1a2b3c4d5e6f`.
    pub prefix: String,
    /// How many images that a resource ran last keep theirs.
    #[serde(default = "usual_last")]
    pub last: u32,
}

impl Default for Keep {
    /// Without a beginning yet, for the usual number of images.
    fn default() -> Self {
        Self {
            prefix: String::new(),
            last: USUAL_LAST,
        }
    }
}

fn usual_last() -> u32 {
    USUAL_LAST
}

/// What becomes of a marker that somebody else moved. It is shown in either case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum OnDrift {
    /// The next promotion sets it again.
    #[default]
    Reset,
    /// It stays until a person puts it back.
    Report,
}

impl OnDrift {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What a tag is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum TagUse {
    /// It moves with what runs.
    Marker,
    /// It keeps one image.
    Keeper,
}

impl Keep {
    /// The tag that keeps an image.
    #[must_use]
    pub fn tag(&self, digest: &Digest) -> Option<Tag> {
        format!("{}{}", self.prefix, &digest.hex()[..SHORT]).parse().ok()
    }

    /// Whether a tag is called as those that keep images.
    #[must_use]
    pub fn makes(&self, tag: &Tag) -> bool {
        let rest = tag.as_str().strip_prefix(&self.prefix);
        rest.is_some_and(|rest| rest.len() == SHORT && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    }
}

/// What is wrong with the tags of an environment: the part, and a sentence.
pub type TagsFault = (&'static str, String);

impl EnvironmentTags {
    /// Whether no tags are set.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The marker.
    #[must_use]
    pub fn marker(&self) -> Option<Tag> {
        self.marker.as_deref()?.parse().ok()
    }

    /// The tag that keeps an image.
    #[must_use]
    pub fn keeper(&self, digest: &Digest) -> Option<Tag> {
        self.keep.as_ref()?.tag(digest)
    }

    /// Whether a tag is called as one of these.
    #[must_use]
    pub fn makes(&self, tag: &Tag) -> bool {
        self.marker.as_deref() == Some(tag.as_str()) || self.keep.as_ref().is_some_and(|keep| keep.makes(tag))
    }

    /// In words, for differences and pages: `production, prod-… for the last 10`; empty for none.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { marker, keep, on_drift } = self;
        let mut parts: Vec<String> = marker.iter().cloned().collect();
        if marker.is_some() && *on_drift == OnDrift::Report {
            parts.push("left where somebody else moves it".to_owned());
        }
        parts.extend(
            keep.iter()
                .map(|Keep { prefix, last }| format!("{prefix}… for the last {last}")),
        );
        parts.join(", ")
    }

    /// Checks the names, all of them.
    #[must_use]
    pub fn faults(&self) -> Vec<TagsFault> {
        let mut faults = Vec::new();
        if let Some(marker) = &self.marker
            && let Err(why) = check_marker(marker)
        {
            faults.push(("marker", why));
        }
        if let Some(Keep { prefix, last }) = &self.keep {
            let sample = format!("{prefix}{}", "0".repeat(SHORT));
            if prefix.is_empty() {
                let why = "Write how these tags begin, for example prod-, so that a clean-up rule can tell them apart.";
                faults.push(("keep.prefix", why.to_owned()));
            } else if let Err(why) = check_name(&sample) {
                faults.push(("keep.prefix", why));
            }
            if !(1..=MOST_LAST).contains(last) {
                faults.push(("keep.last", format!("Keep at least 1 and at most {MOST_LAST} images.")));
            }
        }
        let taken = self.marker().zip(self.keep.as_ref());
        if taken.is_some_and(|(marker, keep)| keep.makes(&marker)) {
            let why = "The keepers would be called like this. Choose another name, or another prefix.";
            faults.push(("marker", why.to_owned()));
        }
        faults
    }
}

fn check_marker(marker: &str) -> Result<(), String> {
    if marker.eq_ignore_ascii_case("latest") {
        return Err(
            "Builds and people move latest, and tools pull it when no tag is named. Choose a tag that says where the image runs: production."
                .into(),
        );
    }
    check_name(marker)?;
    let is_of_a_build = |tag: &Tag| matches!(kind(tag, &[]), TagKind::Version | TagKind::Commit);
    if marker.parse().is_ok_and(|tag| is_of_a_build(&tag)) {
        return Err("This is called like a build, and would be taken away from it. Choose a tag that says where the image runs: production.".into());
    }
    Ok(())
}

fn check_name(tag: &str) -> Result<(), String> {
    let named: Tag = tag.parse().map_err(|_| {
        format!(
            "{tag:?} can't be a tag. Use letters, digits, underscores, dots and hyphens, at most {LONGEST_TAG}, and begin with a letter, a digit or an underscore."
        )
    })?;
    if tag.to_ascii_lowercase().starts_with("sha256-") || is_of_a_tool(&named) {
        return Err("Tools keep signatures and caches under such tags. Choose another name.".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(marker: Option<&str>, prefix: Option<&str>) -> EnvironmentTags {
        EnvironmentTags {
            marker: marker.map(str::to_owned),
            keep: prefix.map(|prefix| Keep {
                prefix: prefix.to_owned(),
                last: 10,
            }),
            on_drift: OnDrift::Reset,
        }
    }

    #[test]
    fn a_keeper_is_called_by_its_image() {
        let digest: Digest = format!("sha256:1a2b3c4d5e6f{}", "0".repeat(52)).parse().unwrap();
        let tags = tags(Some("production"), Some("prod-"));
        let keeper = tags.keeper(&digest).unwrap();
        assert_eq!(keeper.as_str(), "prod-1a2b3c4d5e6f");
        assert!(tags.makes(&keeper) && tags.makes(&"production".parse().unwrap()));
        for other in [
            "prod-1a2b3c4d5e6",
            "prod-1A2B3C4D5E6F",
            "prod-",
            "1a2b3c4d5e6f",
            "production-1",
        ] {
            assert!(!tags.makes(&other.parse().unwrap()), "{other}");
        }
        assert_eq!(tags.words(), "production, prod-… for the last 10");
    }

    #[test]
    fn names_that_belong_to_others_are_refused() {
        for (marker, prefix) in [
            (Some("production"), None),
            (Some("prod_eu.1"), Some("prod-")),
            (None, Some("keep.")),
            (None, None),
        ] {
            assert_eq!(tags(marker, prefix).faults(), [], "{marker:?} {prefix:?}");
        }
        let long = "p".repeat(117);
        for (marker, prefix, at) in [
            (Some("latest"), None, "marker"),
            (Some("Prod EU"), None, "marker"),
            (Some("sha256-prod"), None, "marker"),
            (Some("-prod"), None, "marker"),
            (Some("buildcache"), None, "marker"),
            (Some("1.4.1"), None, "marker"),
            (Some("sha-77aa001"), None, "marker"),
            (Some(""), None, "marker"),
            (None, Some(""), "keep.prefix"),
            (None, Some("sha256-"), "keep.prefix"),
            (None, Some("prod/"), "keep.prefix"),
            (None, Some(long.as_str()), "keep.prefix"),
            (Some("prod-0123456789ab"), Some("prod-"), "marker"),
        ] {
            let faults = tags(marker, prefix).faults();
            assert_eq!(faults.len(), 1, "{marker:?} {prefix:?}: {faults:?}");
            assert_eq!(faults[0].0, at);
        }
        let mut none = tags(None, Some("prod-"));
        if let Some(keep) = &mut none.keep {
            keep.last = 0;
        }
        assert_eq!(none.faults()[0].0, "keep.last");
    }

    #[test]
    fn a_document_says_no_more_than_it_means() {
        let read: EnvironmentTags = serde_json::from_str(r#"{"keep":{"prefix":"prod-"}}"#).unwrap();
        assert_eq!(read.keep.as_ref().unwrap().last, USUAL_LAST);
        assert!(serde_json::from_str::<EnvironmentTags>(r#"{"tag":"production"}"#).is_err());
        let marker = tags(Some("production"), None);
        assert_eq!(serde_json::to_string(&marker).unwrap(), r#"{"marker":"production"}"#);
        let report: EnvironmentTags = serde_json::from_str(r#"{"marker":"live","onDrift":"report"}"#).unwrap();
        assert_eq!(report.words(), "live, left where somebody else moves it");
    }
}
