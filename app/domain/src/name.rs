//! Names that people give: workspaces, projects, environments, clusters, resources, tokens.

use crate::text::text;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A name: 1 to 63 of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit.
///
/// The rule is Kubernetes' for a DNS label (RFC 1123), because names become Application names, hosts and YAML keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text isn't a [`Name`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("Enter a name.")]
    Empty,
    /// Over 63 characters.
    #[error("Use at most 63 characters.")]
    Long,
    /// A character, or a place for a hyphen, that is not allowed.
    #[error("Use lower-case letters, digits and hyphens, beginning and ending with a letter or digit.")]
    Characters,
}

text!(Name: NameError);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = s.as_bytes();
        match bytes {
            [] => Err(NameError::Empty),
            _ if bytes.len() > 63 => Err(NameError::Long),
            [first, .., last] if !fits(*first) || !fits(*last) => Err(NameError::Characters),
            _ if bytes == b"-" || bytes.iter().any(|b| !fits(*b) && *b != b'-') => Err(NameError::Characters),
            _ => Ok(Self(s.to_owned())),
        }
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "api", "a-1", "pr-1234", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", NameError::Empty),
            (&*"x".repeat(64), NameError::Long),
            ("-", NameError::Characters),
            ("-a", NameError::Characters),
            ("a-", NameError::Characters),
            ("Api", NameError::Characters),
            ("a b", NameError::Characters),
            ("é", NameError::Characters),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(why), "{bad}");
        }
    }
}
