//! What promotions into a file would be refused for, found out without one.

use super::{Outline, ValuesError, edit_with, services};
use crate::ports::git::{DeclaredService, PlaceEdit, ServicePlace};
use domain::artifact::{Digest, ExactImage, Repository};

/// Services that are tried, at most.
const MOST_TRIED: usize = 300;
/// Reasons that are told, at most.
const MOST_TOLD: usize = 3;

/// Why promotions of these services of the file would be refused, or of all that it declares when none is named; none when they would go
/// through.
pub fn refusals(bytes: &[u8], prefix: &str, only: &[String]) -> Vec<String> {
    let Ok(services) = services(bytes, prefix) else {
        return Vec::new();
    };
    let Some((stand_in, digest)) = stand_in() else {
        return Vec::new();
    };
    let outline = Outline::of(bytes, prefix);
    let try_with = |service: &str, repository: Option<Repository>| -> Result<(), ValuesError> {
        let edit = PlaceEdit {
            place: ServicePlace {
                path: String::new(),
                prefix: prefix.to_owned(),
                service: service.to_owned(),
            },
            image: ExactImage {
                repository: repository.unwrap_or_else(|| stand_in.clone()),
                tag: None,
                digest: digest.clone(),
            },
            runtime: None,
            may_create: true,
        };
        // The outline of what comes out is not that of this file.
        edit_with(&mut Some(outline.clone()), bytes, &edit).map(drop)
    };
    if services.is_empty() {
        return try_with("api", None)
            .err()
            .map(|why| why.to_string())
            .into_iter()
            .collect();
    }
    let mut told: Vec<String> = Vec::new();
    let is_meant = |service: &DeclaredService| only.is_empty() || only.contains(&service.name);
    for service in services.into_iter().filter(is_meant).take(MOST_TRIED) {
        // An image that can't be read may be written all the same: a tag that YAML takes for a number is replaced.
        let Err(why) = try_with(&service.name, service.image.repository) else {
            continue;
        };
        let why = why.to_string();
        if told.iter().any(|known| known.ends_with(&why)) {
            continue;
        }
        told.push(format!("{}: {why}", service.name));
        if told.len() == MOST_TOLD {
            break;
        }
    }
    told
}

fn stand_in() -> Option<(Repository, Digest)> {
    let repository = "registry.example.com/try/it".parse().ok()?;
    Some((repository, format!("sha256:{}", "0".repeat(64)).parse().ok()?))
}
