//! Which tags of an image repository count for a resource, and which of two images is newer.
//!
//! These are plain values. The server reads ranges and patterns, so that browsers need not load what does.

use crate::artifact::Tag;
use serde::{Deserialize, Serialize};

/// A rule about the tags of a repository. The default lets all count, newest by build time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TagRule {
    /// Which of two images is newer.
    #[serde(default)]
    pub order: TagOrder,
    /// Tags that never count: `*` stands for any characters, `?` for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<String>,
}

/// Which of two images is newer. Where two are equal, the one that arrived last is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum TagOrder {
    /// The one that was built last. All tags count.
    #[default]
    BuildTime,
    /// The one of the higher version. Only versions count.
    SemVer {
        /// The range that a version must be in; `None`: every release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<String>,
    },
    /// The one in whose tag the captured part is higher: numbers in it by their value, all else as text.
    Pattern {
        /// A regular expression with one capture group, which the whole tag must match.
        pattern: String,
    },
    /// The one that this tag names now. No other tag counts.
    Only {
        /// The tag.
        tag: Tag,
    },
}

impl TagOrder {
    /// The word for it in forms and interfaces.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::BuildTime => "newest",
            Self::SemVer { .. } => "semver",
            Self::Pattern { .. } => "pattern",
            Self::Only { .. } => "only",
        }
    }
}

impl TagRule {
    /// Whether every tag counts, and the image that was built last is the newest.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The range, the pattern or the tag that goes with the order, as forms hold it; empty for none.
    #[must_use]
    pub fn value(&self) -> &str {
        match &self.order {
            TagOrder::BuildTime | TagOrder::SemVer { range: None } => "",
            TagOrder::SemVer { range: Some(range) } => range,
            TagOrder::Pattern { pattern } => pattern,
            TagOrder::Only { tag } => tag.as_str(),
        }
    }

    /// What counts, as in *Tags that count: …*.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { order, leave_out } = self;
        let mut words = match order {
            TagOrder::BuildTime => "all, newest by build time".to_owned(),
            TagOrder::SemVer { range: None } => "SemVer releases".to_owned(),
            TagOrder::SemVer { range: Some(range) } => format!("SemVer {range}"),
            TagOrder::Pattern { pattern } => format!("pattern {pattern}"),
            TagOrder::Only { tag } => format!("only {tag}"),
        };
        if !leave_out.is_empty() {
            words.push_str("; without ");
            words.push_str(&leave_out.join(", "));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_stored_as_it_is_told() {
        for (json, words) in [
            (r#"{"order":{"by":"build_time"}}"#, "all, newest by build time"),
            (r#"{"order":{"by":"sem_ver"}}"#, "SemVer releases"),
            (
                r#"{"order":{"by":"sem_ver","range":"^1.4"},"leave_out":["pr-*","*-rc"]}"#,
                "SemVer ^1.4; without pr-*, *-rc",
            ),
            (
                r#"{"order":{"by":"pattern","pattern":"build-(\\d+)"}}"#,
                r"pattern build-(\d+)",
            ),
            (r#"{"order":{"by":"only","tag":"stable"}}"#, "only stable"),
        ] {
            let rule: TagRule = serde_json::from_str(json).unwrap();
            assert_eq!(rule.words(), words);
            assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        }
        assert!(TagRule::default().is_default());
    }
}
