//! Keys: what things are called in Git.

use crate::{name::Name, repository_path::is_invisible, text::text};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, str::FromStr};

/// What a resource or an environment is called in Git: the resource's key below `services` in a values file, and what stands for
/// `{environment}` in the path of that file. 1 to 253 characters, none of them a control character or one that can't be seen.
///
/// People are shown names, which fit addresses and DNS; a key is whatever the repository has already: `apiGateway`, `billing.v2`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// Why a text isn't a [`Key`], or not one that may stand in a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Nothing was given.
    #[error("Enter a key.")]
    Empty,
    /// Over 253 characters.
    #[error("Use at most 253 characters.")]
    Long,
    /// It holds a character that can't be seen.
    #[error("Leave out control characters, such as tabs and line breaks, and characters that can't be seen.")]
    Characters,
    /// It is YAML's sign for a merge.
    #[error("YAML reads << as a merge. Use another key.")]
    Merge,
    /// It isn't one name in a path.
    #[error(
        "Use a key without slashes and other than . and .. here: it becomes a folder or file name in the repository."
    )]
    Path,
}

/// A key as one of several that are joined by dots, in a sentence: `services."billing.v2".image`.
#[must_use]
pub fn part(key: &str) -> Cow<'_, str> {
    match key.contains('.') {
        true => format!("\"{key}\"").into(),
        false => key.into(),
    }
}

impl Key {
    /// Whether the thing is called the same in Git as by people.
    #[must_use]
    pub fn is(&self, name: &Name) -> bool {
        self.0 == name.as_str()
    }

    /// The same, for a key that is to be a part of a path: it must not lead to another folder.
    ///
    /// # Errors
    /// When it would.
    pub fn check_in_path(&self) -> Result<(), KeyError> {
        match self.as_str() {
            "." | ".." => Err(KeyError::Path),
            key if key.contains(['/', '\\']) => Err(KeyError::Path),
            _ => Ok(()),
        }
    }

    /// A name for what has this key in Git, if one can be made of it: `api-gateway` for `apiGateway`.
    #[must_use]
    pub fn suggested_name(&self) -> Option<Name> {
        let letters: Vec<char> = self.0.chars().collect();
        let mut name = String::new();
        for (i, letter) in letters.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|before| letters.get(before));
            let begins_word = letter.is_ascii_uppercase()
                && before.is_some_and(|before| {
                    let ends_word = before.is_ascii_lowercase() || before.is_ascii_digit();
                    // `HTTPServer` is two words.
                    ends_word || letters.get(i + 1).is_some_and(char::is_ascii_lowercase)
                });
            if (begins_word || !letter.is_ascii_alphanumeric()) && !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
            if letter.is_ascii_alphanumeric() {
                name.push(letter.to_ascii_lowercase());
            }
        }
        name.truncate(63);
        name.trim_end_matches('-').parse().ok()
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(s: &str) -> Result<Self, KeyError> {
        match s {
            "" => Err(KeyError::Empty),
            "<<" => Err(KeyError::Merge),
            _ if s.chars().count() > 253 => Err(KeyError::Long),
            _ if s.contains(is_invisible) => Err(KeyError::Characters),
            _ => Ok(Self(s.to_owned())),
        }
    }
}

text!(Key: KeyError);

impl From<&Name> for Key {
    /// Every name is a key, and the key of what has no other.
    fn from(name: &Name) -> Self {
        Self(name.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn keys_are_what_repositories_have() {
        let longest = "é".repeat(253);
        for good in [
            "a",
            "apiGateway",
            "web_frontend",
            "billing.v2",
            "shop.test",
            "a b",
            "true",
            "1.5",
            "\"",
            &longest,
        ] {
            assert_eq!(good.parse::<Key>().map(String::from).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("", KeyError::Empty),
            ("<<", KeyError::Merge),
            (&*"x".repeat(254), KeyError::Long),
            ("a\nb", KeyError::Characters),
            ("a\tb", KeyError::Characters),
            ("a\u{85}b", KeyError::Characters),
            ("a\u{2028}b", KeyError::Characters),
            ("\u{202e}a", KeyError::Characters),
        ] {
            assert_eq!(bad.parse::<Key>(), Err(why), "{bad:?}");
        }
        assert!(key("api").is(&"api".parse().unwrap()));
        assert!(!key("apiGateway").is(&"api-gateway".parse().unwrap()));
    }

    #[test]
    fn a_key_in_a_path_stays_in_its_folder() {
        for good in ["shop.test", "prod_eu", "a b", "..."] {
            assert_eq!(key(good).check_in_path(), Ok(()), "{good}");
        }
        for bad in [".", "..", "a/b", "../x", "/", "a\\b"] {
            assert_eq!(key(bad).check_in_path(), Err(KeyError::Path), "{bad}");
        }
    }

    #[test]
    fn a_name_is_suggested_for_what_has_none() {
        for (from, to) in [
            ("apiGateway", Some("api-gateway")),
            ("web_frontend", Some("web-frontend")),
            ("billing.v2", Some("billing-v2")),
            ("shop.test", Some("shop-test")),
            ("HTTPServer2", Some("http-server2")),
            ("v2Api", Some("v2-api")),
            ("API", Some("api")),
            ("__x--y__", Some("x-y")),
            ("api", Some("api")),
            ("日本", None),
            ("_", None),
        ] {
            let name = key(from).suggested_name();
            assert_eq!(name.as_ref().map(Name::as_str), to, "{from}");
        }
        // A hyphen that the cut leaves at the end goes, too.
        assert_eq!(
            key(&format!("{}B", "a".repeat(62)))
                .suggested_name()
                .unwrap()
                .as_str()
                .len(),
            62
        );
    }
}
