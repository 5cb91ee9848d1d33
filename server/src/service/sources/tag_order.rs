//! Rules about the tags of a repository, as they are read: whether a tag counts, and which of two images is newer.

use crate::store::NamedTag;
use domain::{
    artifact::{Artifact, Tag, natural_cmp},
    field::FieldErrors,
    tag_rule::{TagOrder, TagRule},
    tags::is_of_a_tool,
};
use regex::bytes::{Regex, RegexBuilder};
use semver::{Version, VersionReq};
use std::cmp::Ordering;

/// Bytes of memory that a pattern may take.
const LARGEST_PATTERN: usize = 1 << 18;

/// Characters of a range, a pattern, or of what is left out.
const LONGEST: usize = 256;

/// Patterns of what is left out.
const MOST_LEFT_OUT: usize = 32;

/// A rule, ready to be asked.
#[derive(Debug)]
pub(crate) struct TagCounts {
    by: By,
    leave_out: Vec<String>,
}

#[derive(Debug)]
enum By {
    BuildTime,
    SemVer(Option<VersionReq>),
    Pattern(Regex),
    Only(Tag),
    /// It was stored by a server that reads more. Nothing counts until somebody writes it anew.
    Unreadable(String),
}

/// What counts for a resource of what its repository holds.
#[derive(Debug)]
pub(crate) struct WhatCounts {
    pub(crate) tags: TagCounts,
    platforms: Vec<String>,
}

impl WhatCounts {
    pub(crate) fn new(tags: &TagRule, platforms: &[String]) -> Self {
        Self {
            tags: TagCounts::of(tags),
            platforms: platforms.to_vec(),
        }
    }

    /// Whether an artifact runs where it is to run. What Git declares may not be known to the registry yet: it counts as long as nobody
    /// knows better.
    pub(crate) fn runs(&self, artifact: &Artifact) -> bool {
        (artifact.details.as_ref()).is_none_or(|details| details.runs_on(&self.platforms))
    }
}

/// What the images of a repository are ordered by: the greater one is newer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Key {
    Version(Version),
    Part(Part),
}

/// The part of a tag that a pattern captures, in the order in which people count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part(String);

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        natural_cmp(&self.0, &other.0)
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Holds a rule against what it needs. Fields are `range`, `pattern` and `leave_out`.
pub(crate) fn check_tag_rule(rule: &TagRule) -> Result<(), FieldErrors> {
    let TagRule { order, leave_out } = rule;
    let mut errors = FieldErrors::default();
    if let Err((field, why)) = read(order) {
        errors.add(field, why);
    }
    for glob in leave_out {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'*' | b'?');
        if glob.is_empty() || glob.len() > LONGEST || !glob.bytes().all(fits) {
            let why = format!(
                "{glob:?} fits no tag. Use letters, digits, underscores, dots and hyphens, with * for any characters and ? for one: pr-*."
            );
            errors.add("leave_out", why);
        }
    }
    if leave_out.len() > MOST_LEFT_OUT {
        errors.add("leave_out", format!("Write at most {MOST_LEFT_OUT} patterns."));
    }
    errors.into_result()
}

fn read(order: &TagOrder) -> Result<By, (&'static str, String)> {
    let is_long = |text: &str| text.len() > LONGEST;
    match order {
        TagOrder::BuildTime => Ok(By::BuildTime),
        TagOrder::SemVer { range: None } => Ok(By::SemVer(None)),
        TagOrder::SemVer { range: Some(range) } if is_long(range) => {
            Err(("range", format!("Write a range of at most {LONGEST} characters.")))
        }
        TagOrder::SemVer { range: Some(range) } => match VersionReq::parse(range) {
            Ok(range) => Ok(By::SemVer(Some(range))),
            Err(error) => Err((
                "range",
                format!(
                    "{range:?} is not a range of versions: {error}. Write ^1.4, ~1.4.2, or several parts with commas: >=1.4, <2."
                ),
            )),
        },
        TagOrder::Pattern { pattern } if is_long(pattern) => {
            Err(("pattern", format!("Write a pattern of at most {LONGEST} characters.")))
        }
        TagOrder::Pattern { pattern } => whole(pattern).map(By::Pattern).map_err(|why| ("pattern", why)),
        TagOrder::Only { tag } => Ok(By::Only(tag.clone())),
    }
}

/// A pattern that must match a whole tag. Tags are ASCII.
fn whole(pattern: &str) -> Result<Regex, String> {
    const EXAMPLE: &str = r"build-(\d+)";
    let built = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .unicode(false)
        .size_limit(LARGEST_PATTERN)
        .build();
    // By itself too: `a)(b` is whole only within what is put around it.
    let alone = RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(LARGEST_PATTERN)
        .build();
    let regex = match alone.and(built) {
        Ok(regex) => regex,
        Err(regex::Error::CompiledTooBig(_)) => return Err("This pattern is too large. Write a simpler one.".into()),
        Err(error) => {
            // The last line says what is wrong, those before it draw where.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            return Err(format!(
                "{pattern:?} is not a regular expression: {why}. Write one such as {EXAMPLE}."
            ));
        }
    };
    match regex.captures_len() {
        2 => Ok(regex),
        1 => Err(format!(
            "Put the part to order by in parentheses, for example {EXAMPLE}."
        )),
        _ => Err(format!(
            "Put only the part to order by in parentheses, for example {EXAMPLE}; write (?:…) for other groups."
        )),
    }
}

/// Whether a pattern of what is left out fits: `*` stands for any characters, `?` for one.
fn fits(glob: &[u8], text: &[u8]) -> bool {
    // Where to go on if what comes after the last `*` doesn't fit: it takes one character more.
    let (mut g, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                back = Some((g + 1, t));
                g += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => (g, t) = (g + 1, t + 1),
            _ => match back {
                Some((after, from)) => {
                    (g, t) = (after, from + 1);
                    back = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == b'*')
}

/// The version that a tag is: `1.4.2`, `v1.4.2`.
fn version(tag: &Tag) -> Option<Version> {
    let text = tag.as_str();
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

impl TagCounts {
    /// Reads a stored rule.
    pub(crate) fn of(rule: &TagRule) -> Self {
        let TagRule { order, leave_out } = rule;
        Self {
            by: read(order).unwrap_or_else(|(_, why)| By::Unreadable(why)),
            leave_out: leave_out.clone(),
        }
    }

    /// Whether all tags count and images are ordered by age, so that tags need not be looked at.
    pub(crate) fn is_by_age_alone(&self) -> bool {
        self.is_by_age() && self.leave_out.is_empty()
    }

    /// Whether images are ordered by age.
    pub(crate) fn is_by_age(&self) -> bool {
        matches!(self.by, By::BuildTime)
    }

    /// Whether tags have a key to order by.
    pub(crate) fn has_keys(&self) -> bool {
        matches!(self.by, By::SemVer(_) | By::Pattern(_))
    }

    /// Why a tag doesn't count, a sentence; `None` for one that does.
    pub(crate) fn passes_over(&self, tag: &Tag) -> Option<String> {
        if is_of_a_tool(tag) {
            return Some("It belongs to a tool and names no image to run.".into());
        }
        if let Some(glob) = self
            .leave_out
            .iter()
            .find(|g| fits(g.as_bytes(), tag.as_str().as_bytes()))
        {
            return Some(format!("It is left out: {glob}."));
        }
        let why = match &self.by {
            By::BuildTime => return None,
            By::SemVer(range) => match (version(tag), range) {
                (None, _) => "It is not a SemVer version such as 1.4.2.".to_owned(),
                (Some(version), None) if !version.pre.is_empty() => {
                    "It is a pre-release. Those count only where the range names one.".to_owned()
                }
                (Some(version), Some(range)) if !range.matches(&version) => format!("It is not in the range {range}."),
                (Some(_), _) => return None,
            },
            By::Pattern(pattern) if pattern.is_match(tag.as_str().as_bytes()) => return None,
            By::Pattern(_) => "It does not match the pattern.".to_owned(),
            By::Only(only) if only == tag => return None,
            By::Only(only) => format!("Only {only} is followed."),
            By::Unreadable(why) => format!("The rule for tags can't be read. {why}"),
        };
        Some(why)
    }

    /// What an image with this tag is ordered by; `None` where the rule has none for it. The range, and what is left out, have no say: what
    /// doesn't count any more is still older or newer.
    pub(crate) fn key(&self, tag: &Tag) -> Option<Key> {
        match &self.by {
            By::SemVer(_) => version(tag).map(Key::Version),
            By::Pattern(pattern) => {
                let part = pattern.captures(tag.as_str().as_bytes())?.get(1)?;
                let part = String::from_utf8_lossy(part.as_bytes()).into_owned();
                Some(Key::Part(Part(part)))
            }
            By::BuildTime | By::Only(_) | By::Unreadable(_) => None,
        }
    }

    /// Those that count, the newest first. Of equal ones that is the one that arrived last, else the one whose name is higher.
    pub(crate) fn newest_first(&self, tags: Vec<NamedTag>) -> Vec<NamedTag> {
        let mut counting: Vec<(Option<Key>, NamedTag)> = (tags.into_iter())
            .filter(|named| self.passes_over(&named.tag).is_none())
            .map(|named| (self.key(&named.tag), named))
            .collect();
        let rank = |named: &NamedTag| self.is_by_age().then_some(named.age.rank);
        counting.sort_by(|(key, named), (other_key, other)| {
            let by_key = other_key.cmp(key).then_with(|| rank(other).cmp(&rank(named)));
            by_key
                .then_with(|| other.age.arrived.cmp(&named.age.arrived))
                .then_with(|| other.tag.cmp(&named.tag))
        });
        counting.into_iter().map(|(_, named)| named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{follow::Age, time::Timestamp};

    fn tag(name: &str) -> Tag {
        name.parse().unwrap()
    }

    fn semver(range: Option<&str>) -> TagOrder {
        TagOrder::SemVer {
            range: range.map(str::to_owned),
        }
    }

    fn pattern(pattern: &str) -> TagOrder {
        TagOrder::Pattern {
            pattern: pattern.into(),
        }
    }

    fn rule(order: TagOrder, leave_out: &[&str]) -> TagRule {
        TagRule {
            order,
            leave_out: leave_out.iter().map(|&glob| glob.to_owned()).collect(),
        }
    }

    /// The tags that count, the newest first; they arrive in the order given, and were built in the opposite one.
    fn counting(rule: &TagRule, names: &[&str]) -> Vec<String> {
        check_tag_rule(rule).unwrap();
        let tags = (1_i64..).zip(names).map(|(n, name)| NamedTag {
            tag: tag(name),
            digest: format!("sha256:{n:064x}").parse().unwrap(),
            arrived: n,
            age: Age {
                rank: Some(Timestamp(-n)),
                arrived: n,
            },
        });
        let newest = TagCounts::of(rule).newest_first(tags.collect());
        newest.iter().map(|named| named.tag.to_string()).collect()
    }

    #[test]
    fn each_rule_orders_what_counts() {
        let by_time = rule(TagOrder::BuildTime, &["pr-*", "*-rc?"]);
        assert_eq!(
            counting(&by_time, &["1.0.0", "pr-417", "2.0.0-rc1", "main", "buildcache"]),
            ["1.0.0", "main"]
        );
        let versions = ["1.9.0", "v1.10.0", "1.10.0-rc.1", "2.0.0", "1.4", "pr-417", "1.11.0"];
        assert_eq!(
            counting(&rule(semver(None), &["*.0.0"]), &versions),
            ["1.11.0", "v1.10.0", "1.9.0"]
        );
        assert_eq!(
            counting(&rule(semver(Some(">=1.10, <1.11")), &[]), &versions),
            ["v1.10.0"]
        );
        assert_eq!(
            counting(&rule(semver(Some(">=1.10.0-rc.0, <2")), &[]), &versions),
            ["1.11.0", "v1.10.0", "1.10.0-rc.1"]
        );
        assert_eq!(
            counting(
                &rule(pattern(r"main-(\d+)-[0-9a-f]+"), &[]),
                &["main-9-ab", "main-10-aa", "xmain-99-aa", "main-7-zz"]
            ),
            ["main-10-aa", "main-9-ab"]
        );
        let only = TagOrder::Only { tag: tag("stable") };
        assert_eq!(counting(&rule(only, &[]), &["stable", "1.0.0"]), ["stable"]);
    }

    #[test]
    fn of_equal_ones_the_last_that_arrived_is_newest() {
        let by_day = rule(pattern(r"(\d{4}-\d\d-\d\d)\..*"), &[]);
        assert_eq!(
            counting(&by_day, &["2026-11-28.z", "2026-11-29.b", "2026-11-29.a"]),
            ["2026-11-29.a", "2026-11-29.b", "2026-11-28.z"]
        );
        let counts = TagCounts::of(&rule(semver(None), &[]));
        assert_eq!(counts.key(&tag("v1.2.0")), counts.key(&tag("1.2.0")));
    }

    #[test]
    fn the_range_and_what_is_left_out_say_nothing_about_older_and_newer() {
        let counts = TagCounts::of(&rule(semver(Some("^1")), &["2.*"]));
        assert!(counts.passes_over(&tag("2.0.0")).is_some());
        assert!(counts.key(&tag("2.0.0")) > counts.key(&tag("1.9.0")));
        assert_eq!(counts.key(&tag("main")), None);
    }

    #[test]
    fn what_is_left_out_fits_whole_tags() {
        for (glob, text, wanted) in [
            ("pr-*", "pr-417", true),
            ("pr-*", "xpr-417", false),
            ("*-rc?", "1.0-rc1", true),
            ("*-rc?", "1.0-rc12", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("", "a", false),
            ("a**", "a", true),
        ] {
            assert_eq!(fits(glob.as_bytes(), text.as_bytes()), wanted, "{glob} {text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_its_field() {
        for (order, left_out, field, says) in [
            (semver(Some("1.x || 2.x")), "x", "range", "is not a range of versions"),
            (semver(Some("newest")), "x", "range", "Write ^1.4"),
            (pattern("build-(\\d+"), "x", "pattern", "is not a regular expression"),
            (pattern("a)(b"), "x", "pattern", "is not a regular expression"),
            (pattern("build-.*"), "x", "pattern", "in parentheses"),
            (pattern("(a)(b)"), "x", "pattern", "only the part"),
            (pattern("(\\w{900}{900})"), "x", "pattern", "too large"),
            (TagOrder::BuildTime, "pr[0-9]", "leave_out", "fits no tag"),
        ] {
            let errors = check_tag_rule(&rule(order, &[left_out])).unwrap_err();
            let message = errors.get(field).unwrap_or_else(|| panic!("{errors}"));
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn nothing_counts_by_a_rule_that_cannot_be_read() {
        let counts = TagCounts::of(&rule(semver(Some("?")), &[]));
        assert!(counts.passes_over(&tag("1.0.0")).unwrap().contains("can't be read"));
    }
}
