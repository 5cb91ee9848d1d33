//! Reading and writing columns: what several nouns of the store share.

use super::StoreError;

use domain::{artifact::ExactImage, tag_rule::TagRule};

use serde::{Serialize, de::DeserializeOwned};

use std::{fmt::Display, str::FromStr};

/// Reads a stored text.
pub(crate) fn parse<T: FromStr<Err: Display>>(what: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|e: T::Err| StoreError::Corrupt {
        what,
        why: e.to_string(),
    })
}

pub(super) fn parse_if<T: FromStr<Err: Display>>(
    what: &'static str,
    text: Option<&String>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(what, text)).transpose()
}

/// Reads stored JSON.
pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt {
        what,
        why: e.to_string(),
    })
}

/// Writes JSON to be stored.
pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Corrupt {
        what,
        why: e.to_string(),
    })
}

/// PostgreSQL keeps no NUL in a text, and none of ours means one: what others wrote or typed loses it.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Reads a stored rule for tags.
pub(crate) fn tag_rule(stored: Option<&String>) -> Result<TagRule, StoreError> {
    Ok(stored
        .map(|json| from_json("tag rule", json))
        .transpose()?
        .unwrap_or_default())
}

pub(super) fn image(
    repository: Option<&String>,
    tag: Option<&String>,
    digest: Option<&String>,
) -> Result<Option<ExactImage>, StoreError> {
    let (Some(repository), Some(digest)) = (repository, digest) else {
        return Ok(None);
    };
    Ok(Some(ExactImage {
        repository: parse("image repository", repository)?,
        tag: parse_if("tag", tag)?,
        digest: parse("digest", digest)?,
    }))
}
