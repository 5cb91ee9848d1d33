//! Tags as names of one image: which of several is shown and written, and which name no image at all.
//!
//! What is chosen depends on the tags alone, never on the order in which they were heard of.

use crate::artifact::Tag;
use std::cmp::Ordering;

/// Names that move from build to build by custom: they say nothing about an image.
const MOVING: [&str; 22] = [
    "canary",
    "current",
    "default",
    "dev",
    "develop",
    "development",
    "edge",
    "head",
    "latest",
    "main",
    "master",
    "mainline",
    "newest",
    "next",
    "nightly",
    "prod",
    "production",
    "release",
    "snapshot",
    "stable",
    "staging",
    "trunk",
];

/// What kind of name a tag is. A greater one says more about an image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TagKind {
    /// It moves by custom: `latest`, `main`, the name of an environment.
    Moving,
    /// Any other word, as branches are called.
    Word,
    /// A commit: `77aa001`, `sha-77aa001`.
    Commit,
    /// A name that counts something: `build-17`, `2026-11-29`.
    Numbered,
    /// A version: `1.3.0`, `v2`, `1.3.0-rc.1`.
    Version,
}

/// The kind of a tag, where environments have these names.
#[must_use]
pub fn kind(tag: &Tag, environments: &[String]) -> TagKind {
    let text = tag.as_str();
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if MOVING.iter().any(|name| is(name)) || environments.iter().any(|name| is(name)) {
        return TagKind::Moving;
    }
    if version(text).is_some() {
        return TagKind::Version;
    }
    if is_commit(text) {
        return TagKind::Commit;
    }
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        return TagKind::Numbered;
    }
    TagKind::Word
}

/// The tag of an image that is shown and written: one that moves by custom only where there is no other, else the most specific.
#[must_use]
pub fn shown<'a>(tags: impl IntoIterator<Item = &'a Tag>, environments: &[String]) -> Option<&'a Tag> {
    tags.into_iter()
        .max_by(|one, other| says_more(one, other, environments))
}

/// Whether a tag is one of a tool's own and names no image to run: what hangs on an image (`sha256-…`), caches of builders.
#[must_use]
pub fn is_of_a_tool(tag: &Tag) -> bool {
    let text = tag.as_str().to_ascii_lowercase();
    let hangs_on = text.strip_prefix("sha256-").is_some_and(|rest| {
        rest.get(..64)
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    let is_cache = ["buildcache", "build-cache", "cache"].iter().any(|name| {
        text == *name
            || text
                .strip_suffix(name)
                .is_some_and(|before| *name != "cache" && before.ends_with(['-', '_', '.']))
    });
    hangs_on || is_cache
}

/// Whether a tag is called as branches and what is built from them are: `feature-login`, `pr-417`, `fix-login-3f2a1b`.
#[must_use]
pub fn looks_like_a_branch(tag: &Tag, environments: &[String]) -> bool {
    match kind(tag, environments) {
        TagKind::Word => true,
        // Counters of builds and days are numbered, too: a branch has a word that says what of.
        TagKind::Numbered => {
            const COUNTERS: [&str; 6] = ["b", "build", "r", "rev", "run", "release"];
            let words = tag.as_str().split(['-', '_', '.']);
            let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic());
            let is_moving = |part: &str| MOVING.iter().any(|name| part.eq_ignore_ascii_case(name));
            let mut words = words.filter(is_word);
            words.any(|part| !is_moving(part) && !COUNTERS.iter().any(|name| part.eq_ignore_ascii_case(name)))
        }
        TagKind::Moving | TagKind::Commit | TagKind::Version => false,
    }
}

fn says_more(one: &Tag, other: &Tag, environments: &[String]) -> Ordering {
    let by_kind = kind(one, environments).cmp(&kind(other, environments));
    let by_version = || match (version(one.as_str()), version(other.as_str())) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => Ordering::Equal,
    };
    // Of equals the longer says more; then the name decides, so that it is always the same.
    let by_name = || {
        let (one, other) = (one.as_str(), other.as_str());
        one.len().cmp(&other.len()).then_with(|| other.cmp(one))
    };
    by_kind.then_with(by_version).then_with(by_name)
}

/// How specific a version is, then which it is: `1.3.0` before `1.3` before `1`, and a release before what led to it.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Version {
    parts: usize,
    is_release: bool,
    numbers: Vec<u64>,
}

fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (core, rest) = match text.find(['-', '_']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let numbers: Vec<u64> = core
        .split('.')
        .map(|part| (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?)
        .collect::<Option<_>>()?;
    // One long number counts builds or names a day, and a day has hyphens.
    let is_count = numbers.len() == 1 && (core.len() > 4 || !rest.is_empty());
    (!is_count && numbers.len() <= 4).then_some(Version {
        parts: numbers.len(),
        is_release: rest.is_empty(),
        numbers,
    })
}

fn is_commit(text: &str) -> bool {
    let marked = ["sha-", "git-", "commit-", "g"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    let fits = |hex: &str| {
        (7..=64).contains(&hex.len())
            && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && (hex.len() == 40 || hex.bytes().any(|b| b.is_ascii_alphabetic()))
    };
    marked.is_some_and(|hex| (7..=64).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit())) || fits(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn the_tag_that_says_most_is_shown_in_whichever_order_they_come() {
        let environments = ["qa".to_owned()];
        for (names, wanted) in [
            (&["latest", "main", "1.3.0", "sha-77aa001"][..], "1.3.0"),
            (&["1", "1.3", "1.3.0", "1.3.0-alpine"], "1.3.0"),
            (&["v2.0.0-rc.1", "v2.0"], "v2.0.0-rc.1"),
            (&["qa", "feature-login"], "feature-login"),
            (&["feature", "77aa001"], "77aa001"),
            (&["77aa001", "build-17"], "build-17"),
            (&["latest", "QA"], "latest"),
            (&["a", "b"], "a"),
        ] {
            let mut tags = tags(names);
            for _ in 0..tags.len() {
                tags.rotate_left(1);
                let chosen = shown(&tags, &environments).unwrap();
                assert_eq!(chosen.as_str(), wanted, "{tags:?}");
                let mut reversed = tags.clone();
                reversed.reverse();
                assert_eq!(shown(&reversed, &environments), Some(chosen));
            }
        }
        assert_eq!(shown(&[], &[]), None);
    }

    #[test]
    fn names_are_told_apart() {
        for (name, wanted) in [
            ("latest", TagKind::Moving),
            ("Main", TagKind::Moving),
            ("one", TagKind::Word),
            ("sha-77aa001", TagKind::Commit),
            ("0123456", TagKind::Numbered),
            ("20261129", TagKind::Numbered),
            ("2026-11-29", TagKind::Numbered),
            ("pr-417", TagKind::Numbered),
            ("1", TagKind::Version),
            ("v1.2", TagKind::Version),
            ("1.2.3.4", TagKind::Version),
            ("1.2.x", TagKind::Numbered),
        ] {
            assert_eq!(kind(&name.parse().unwrap(), &[]), wanted, "{name}");
        }
    }

    #[test]
    fn branches_are_told_from_counters() {
        for name in ["pr-417", "feature-login-3f2a1b", "feature", "fix-2"] {
            assert!(looks_like_a_branch(&name.parse().unwrap(), &[]), "{name}");
        }
        for name in [
            "build-17",
            "2026-11-29",
            "main",
            "main-12",
            "1.4.2",
            "77aa001",
            "b12",
            "qa",
        ] {
            let environments = ["qa".to_owned()];
            assert!(!looks_like_a_branch(&name.parse().unwrap(), &environments), "{name}");
        }
    }

    #[test]
    fn tags_of_tools_name_no_image() {
        let hex = "ab".repeat(32);
        for name in [
            format!("sha256-{hex}.sig").as_str(),
            format!("sha256-{hex}").as_str(),
            "buildcache",
            "main-buildcache",
            "cache",
        ] {
            assert!(is_of_a_tool(&name.parse().unwrap()), "{name}");
        }
        for name in ["sha256-abc", "sha-77aa001", "with-cache", "1.0.0-cached"] {
            assert!(!is_of_a_tool(&name.parse().unwrap()), "{name}");
        }
    }
}
