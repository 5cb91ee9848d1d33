//! Image references as pods write them, brought to one form so that they can be compared.
//!
//! Argo CD reports the strings of the pods' specifications verbatim: `nginx`, `docker.io/library/nginx:1.25`,
//! `registry.example.com/api:v2@sha256:…`. What a missing registry or `library/` stands for is the rule of Docker's
//! reference grammar (github.com/distribution/reference, `ParseNormalizedNamed`).

use crate::artifact::{Digest, Repository};

/// The digests of a repository that run, each once, in the order they are reported. `images` are image references of live
/// pods, verbatim; those of other repositories and those without a digest are left out.
#[must_use]
pub fn live_digests(images: &[String], repository: &Repository) -> Vec<Digest> {
    let mut digests = Vec::new();
    for digest in of_repository(images, repository).filter_map(|image| image.digest) {
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
    digests
}

/// A live reference of the repository that was asked about.
pub(super) struct LiveImage<'a> {
    /// As the pod writes it.
    pub(super) text: &'a str,
    /// Its digest, if it names one.
    pub(super) digest: Option<Digest>,
}

/// Those of `images` that belong to `repository`.
pub(super) fn of_repository<'a>(images: &'a [String], repository: &Repository) -> impl Iterator<Item = LiveImage<'a>> {
    let wanted = normal_name(repository.as_str());
    images.iter().filter_map(move |text| {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, digest.parse().ok()),
            None => (text.as_str(), None),
        };
        // A colon before the last slash is the registry's port; one after it begins the tag.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let name = rest[name_start..]
            .find(':')
            .map_or(rest, |colon| &rest[..name_start + colon]);
        (normal_name(name) == wanted).then_some(LiveImage { text, digest })
    })
}

/// Registry and path, always written out; hosts in lower case, Docker Hub's several names as one.
fn normal_name(name: &str) -> String {
    let (registry, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host.to_ascii_lowercase(), path),
        _ => ("docker.io".to_owned(), name),
    };
    match registry.as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            let library = if path.contains('/') { "" } else { "library/" };
            format!("docker.io/{library}{path}")
        }
        _ => format!("{registry}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn digests(images: &[&str], repository: &str) -> Vec<String> {
        let images: Vec<String> = images.iter().map(ToString::to_string).collect();
        let repository: Repository = repository.parse().unwrap();
        live_digests(&images, &repository)
            .into_iter()
            .map(|digest| digest.to_string())
            .collect()
    }

    #[test]
    fn every_way_to_write_a_reference_with_a_digest_is_understood() {
        for (image, repository) in [
            (format!("r.example/api@{A}"), "r.example/api"),
            (format!("r.example/api:v2@{A}"), "r.example/api"),
            (format!("127.0.0.1:5000/myapp/api@{A}"), "127.0.0.1:5000/myapp/api"),
            (
                format!("127.0.0.1:5000/myapp/api:a1b2c3d@{A}"),
                "127.0.0.1:5000/myapp/api",
            ),
            (format!("localhost/api@{A}"), "localhost/api"),
            (format!("R.Example/api@{A}"), "r.example/api"),
            (format!("nginx@{A}"), "docker.io/library/nginx"),
            (format!("nginx:1.25@{A}"), "docker.io/nginx"),
            (format!("library/nginx@{A}"), "docker.io/library/nginx"),
            (format!("docker.io/nginx@{A}"), "docker.io/library/nginx"),
            (format!("index.docker.io/library/nginx@{A}"), "docker.io/library/nginx"),
            (
                format!("registry-1.docker.io/acme/api:1@{A}"),
                "registry.hub.docker.com/acme/api",
            ),
            (format!("acme/api@{A}"), "docker.io/acme/api"),
        ] {
            assert_eq!(digests(&[&image], repository), [A], "{image} is of {repository}");
        }
    }

    #[test]
    fn other_repositories_and_references_without_a_valid_digest_do_not_count() {
        for image in [
            format!("r.example/api2@{A}"),
            format!("r.example/team/api@{A}"),
            format!("r.example:5000/api@{A}"),
            format!("other.example/api@{A}"),
            format!("api@{A}"),
            "r.example/api:v2".to_owned(),
            "r.example/api".to_owned(),
            "r.example/api@sha256:short".to_owned(),
            format!("r.example/api@{}", A.to_uppercase()),
            String::new(),
            "@".to_owned(),
            ":/".to_owned(),
            "é/é:é@é".to_owned(),
        ] {
            assert!(digests(&[&image], "r.example/api").is_empty(), "{image}");
        }
    }

    #[test]
    fn each_digest_is_listed_once() {
        let images = [
            format!("r.example/api@{A}"),
            format!("r.example/api:v1@{A}"),
            format!("r.example/api@{B}"),
        ];
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        assert_eq!(digests(&images, "r.example/api"), [A, B]);
    }
}
