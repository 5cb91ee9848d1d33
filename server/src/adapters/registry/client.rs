//! [`RegistryClient`]: the questions of [`Registry`], asked over HTTP.
//!
//! Every request goes through [`RegistryClient::ask`], which signs in when asked to and turns the statuses that mean the
//! same everywhere into errors. What remains here is one question each. Facts: the OCI distribution specification 1.1.

use super::{
    Hanging, Registry, RegistryAccess, RegistryError,
    auth::Authenticator,
    manifest::{self, ACCEPT_MANIFESTS, Document, Gathered, ImageConfig, Manifest, Platform},
    transport::{RegistryAnswer, Request, SetupError, Timeouts, Transport},
};
use crate::nesting;
use async_trait::async_trait;
use domain::artifact::{ArtifactDetails, Digest, Repository, Tag};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, LINK},
};
use secrecy::SecretString;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// Bytes of a manifest or index: what the specification asks every registry to accept.
pub(super) const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;
/// Bytes of an image's configuration.
const CONFIG_LIMIT: usize = 8 * 1024 * 1024;
/// Bytes of one page of tags.
const TAGS_LIMIT: usize = 4 * 1024 * 1024;
/// Tags asked for per page; distribution 3 refuses more.
const TAGS_PER_PAGE: usize = 1000;
/// Challenges that are answered for one request: Harbor refuses a token without a scope, and then wants the password itself.
const MAX_CHALLENGES: usize = 2;
/// Pages that are followed.
const MAX_TAG_PAGES: usize = 200;
/// How deep indexes may lie in indexes.
const MAX_INDEX_DEPTH: usize = 3;
/// Entries of one index that are looked at.
const MAX_INDEX_ENTRIES: usize = 100;
/// Manifests fetched at the same time for one image.
const PARALLEL: usize = 4;

/// Speaks to any OCI registry. Cheap to share; holds connections and tokens, so use one for the whole process.
pub struct RegistryClient {
    pub(super) transport: Transport,
    pub(super) authenticator: Authenticator,
}

/// A repository as it is reached.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// The registry's host as people write it.
    pub(super) registry: String,
    /// The whole repository as people write it, for errors.
    pub(super) repository: String,
    /// Path below `/v2/`.
    pub(super) path: String,
    pub(super) plain_http: bool,
    pub(super) credentials: Option<(String, SecretString)>,
    /// Certificates to trust besides the system's, PEM.
    pub(super) ca: Option<String>,
    /// The rights to sign in for, the most important first; empty for those that the registry names when asked.
    pub(super) scopes: Vec<String>,
    /// `https://host/v2/path/`.
    pub(super) base: Url,
}

impl Endpoint {
    pub(super) fn new(access: &RegistryAccess, repository: &Repository) -> Result<Self, RegistryError> {
        let registry = repository.registry();
        let path = match repository.path() {
            // Docker Hub's official images lie in a namespace that nobody writes.
            name if is_hub(registry) && !name.contains('/') => format!("library/{name}"),
            path => path.to_owned(),
        };
        Self::at(access, registry, repository.to_string(), path)
    }

    /// The registry itself.
    fn of_registry(access: &RegistryAccess, registry: &str) -> Result<Self, RegistryError> {
        Self::at(access, registry, registry.to_owned(), String::new())
    }

    fn at(access: &RegistryAccess, registry: &str, repository: String, path: String) -> Result<Self, RegistryError> {
        let host = if is_hub(registry) {
            "registry-1.docker.io"
        } else {
            registry
        };
        let scheme = if access.plain_http { "http" } else { "https" };
        let slash = if path.is_empty() { "" } else { "/" };
        let base =
            Url::parse(&format!("{scheme}://{host}/v2/{path}{slash}")).map_err(|_| RegistryError::Unreachable {
                registry: registry.to_owned(),
                reason: "its name is no valid host".into(),
            })?;
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            path,
            plain_http: access.plain_http,
            credentials: access.credentials.clone(),
            ca: access.ca.clone(),
            scopes: Vec::new(),
            base,
        })
    }

    pub(super) fn url(&self, rest: &str) -> Result<Url, RegistryError> {
        self.base
            .join(rest)
            .map_err(|_| self.odd("an address that cannot be formed"))
    }

    /// A request without a body, not yet signed in.
    pub(super) fn request(&self, method: Method, url: Url, accept: &'static str, limit: usize) -> Request<'_> {
        Request {
            registry: &self.registry,
            method,
            url,
            accept,
            authorization: None,
            plain_http: self.plain_http,
            limit,
            ca: self.ca.as_deref(),
            body: None,
            allow_private: true,
        }
    }

    pub(super) fn odd(&self, reason: impl Into<String>) -> RegistryError {
        RegistryError::Protocol {
            registry: self.registry.clone(),
            reason: reason.into(),
        }
    }
}

/// Whether a host is one of Docker Hub's names, all of which are answered by another.
fn is_hub(registry: &str) -> bool {
    matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

impl RegistryClient {
    /// A client with the usual time limits: 5 s to connect, 20 s for a whole request.
    ///
    /// # Errors
    /// When no TLS client can be set up, for example without any CA certificate.
    pub fn new() -> Result<Self, SetupError> {
        Self::with_timeouts(Timeouts::default())
    }

    /// A client with other time limits.
    ///
    /// # Errors
    /// As [`RegistryClient::new`].
    pub fn with_timeouts(timeouts: Timeouts) -> Result<Self, SetupError> {
        Ok(Self {
            transport: Transport::new(timeouts)?,
            authenticator: Authenticator::default(),
        })
    }

    /// One request, signed in if need be. Answers with a success, a 404 or another 4xx; the rest are errors.
    pub(super) async fn ask(
        &self,
        place: &Endpoint,
        method: Method,
        url: Url,
        accept: &'static str,
        limit: usize,
    ) -> Result<RegistryAnswer, RegistryError> {
        let answer = self.signed_in(place, place.request(method, url, accept, limit)).await?;
        match answer.refused(&place.registry, &place.repository) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    /// One request, signed in if need be, whatever the answer's status.
    pub(super) async fn signed_in(
        &self,
        place: &Endpoint,
        mut request: Request<'_>,
    ) -> Result<RegistryAnswer, RegistryError> {
        request.authorization = self.authenticator.known(&self.transport, place).await?;
        let mut answer = self.transport.send(request.clone()).await?;
        // A challenge from another origin, reached by a redirect, is none of the registry's: it gets no credentials.
        let mut answered = Vec::new();
        while answer.status == StatusCode::UNAUTHORIZED && !answer.foreign && answered.len() < MAX_CHALLENGES {
            let refused = request.authorization.clone();
            let fresh = self
                .authenticator
                .answer(&self.transport, place, &answer.headers, refused.as_ref(), &mut answered)
                .await?;
            let Some(fresh) = fresh else { break };
            request.authorization = Some(fresh);
            answer = self.transport.send(request.clone()).await?;
        }
        if answer.status == StatusCode::UNAUTHORIZED && !answer.foreign {
            self.authenticator.forget(place);
        }
        Ok(answer)
    }

    /// The digest that a tag or digest names, by HEAD where the registry answers it in full, else by GET.
    async fn digest_of(&self, place: &Endpoint, reference: &str) -> Result<Option<Digest>, RegistryError> {
        let url = place.url(&format!("manifests/{reference}"))?;
        let head = self
            .ask(place, Method::HEAD, url, ACCEPT_MANIFESTS, MANIFEST_LIMIT)
            .await?;
        match head.status {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() && !head.is_html() => {
                if let Some(digest) = content_digest(&head.headers) {
                    return Ok(Some(digest));
                }
            }
            // No HEAD, no digest header, or a page for people: GET tells.
            _ => {}
        }
        let found = self.manifest(place, reference).await?;
        Ok(found.map(|(digest, _)| digest))
    }

    /// A manifest with the digest of its exact bytes; `None` when there is none.
    pub(super) async fn manifest(
        &self,
        place: &Endpoint,
        reference: &str,
    ) -> Result<Option<(Digest, Document)>, RegistryError> {
        let url = place.url(&format!("manifests/{reference}"))?;
        let answer = self
            .ask(place, Method::GET, url, ACCEPT_MANIFESTS, MANIFEST_LIMIT)
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(answer.unexpected(&place.registry));
        }
        if answer.is_html() {
            return Err(place.odd("a web page where a manifest should be; is this the address of a registry?"));
        }
        let digest = sha256(&answer.body).ok_or_else(|| place.odd("an answer that cannot be hashed"))?;
        let promised = match reference.parse::<Digest>() {
            Ok(asked) => Some(asked),
            Err(_) => content_digest(&answer.headers),
        };
        if promised.is_some_and(|promised| promised != digest) {
            return Err(place.odd(format!(
                "the manifest {reference} has other content than its digest says"
            )));
        }
        let document = manifest::read(&answer.body).map_err(|reason| place.odd(reason))?;
        Ok(Some((digest, document)))
    }

    /// The configuration of an image; `None` for artifacts that are no images, and when it has been deleted.
    async fn config(&self, place: &Endpoint, manifest: &Manifest) -> Result<Option<ImageConfig>, RegistryError> {
        let Some(descriptor) = manifest.config.as_ref().filter(|c| c.is_image_config()) else {
            return Ok(None);
        };
        let digest = descriptor.digest().map_err(|reason| place.odd(reason))?;
        let url = place.url(&format!("blobs/{digest}"))?;
        let answer = self.ask(place, Method::GET, url, "*/*", CONFIG_LIMIT).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(answer.unexpected(&place.registry));
        }
        if sha256(&answer.body).as_ref() != Some(&digest) {
            return Err(place.odd(format!(
                "the configuration {digest} has other content than its digest says"
            )));
        }
        nesting::json(&answer.body)
            .map(Some)
            .map_err(|_| place.odd(format!("the configuration {digest} is not one of an image")))
    }

    /// Adds a manifest, or all of an index, to what is gathered.
    fn gather<'a>(
        &'a self,
        place: &'a Endpoint,
        document: Document,
        entry: Option<Platform>,
        depth: usize,
        gathered: &'a mut Gathered,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            let index = match document {
                Document::Image(manifest) => {
                    let config = if gathered.has_config() && entry.is_some() {
                        None
                    } else {
                        self.config(place, &manifest).await?
                    };
                    gathered.manifest(&manifest, entry.as_ref(), config.as_ref());
                    return Ok(());
                }
                Document::Index(index) => index,
            };
            if depth == MAX_INDEX_DEPTH {
                return Err(place.odd(format!("an index with more than {MAX_INDEX_DEPTH} levels")));
            }
            let entries: Vec<_> = index
                .runnable()
                .map(|entry| Ok((entry.digest()?, entry.platform().cloned())))
                .collect::<Result<_, String>>()
                .map_err(|reason| place.odd(reason))?;
            if entries.len() > MAX_INDEX_ENTRIES {
                return Err(place.odd(format!("an index with more than {MAX_INDEX_ENTRIES} images")));
            }
            let children: Vec<_> = stream::iter(entries)
                .map(|(digest, platform)| async move {
                    let found = self.manifest(place, digest.as_str()).await?;
                    Ok::<_, RegistryError>(found.map(|(_, document)| (document, platform)))
                })
                .buffered(PARALLEL)
                .try_collect()
                .await?;
            // An index may name images that this registry doesn't hold: those can't be pulled from here.
            for (document, platform) in children.into_iter().flatten() {
                self.gather(place, document, platform, depth + 1, gathered).await?;
            }
            gathered.index(&index);
            Ok(())
        })
    }
}

#[async_trait]
impl Registry for RegistryClient {
    async fn resolve(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, RegistryError> {
        let place = Endpoint::new(access, repository)?;
        self.digest_of(&place, tag.as_str()).await
    }

    async fn look(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
        wanted: &Digest,
    ) -> Result<Option<(Digest, Option<ArtifactDetails>)>, RegistryError> {
        let place = Endpoint::new(access, repository)?;
        let Some((digest, document)) = self.manifest(&place, tag.as_str()).await? else {
            return Ok(None);
        };
        if digest != *wanted {
            return Ok(Some((digest, None)));
        }
        let mut gathered = Gathered::default();
        self.gather(&place, document, None, 0, &mut gathered).await?;
        Ok(Some((digest, Some(gathered.finish()))))
    }

    async fn exists(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let place = Endpoint::new(access, repository)?;
        match self.digest_of(&place, digest.as_str()).await? {
            None => Ok(false),
            Some(found) if found == *digest => Ok(true),
            Some(found) => Err(place.odd(format!("it answers with {found} when asked for {digest}"))),
        }
    }

    async fn describe(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<ArtifactDetails>, RegistryError> {
        let place = Endpoint::new(access, repository)?;
        let Some((_, document)) = self.manifest(&place, digest.as_str()).await? else {
            return Ok(None);
        };
        let mut gathered = Gathered::default();
        self.gather(&place, document, None, 0, &mut gathered).await?;
        Ok(Some(gathered.finish()))
    }

    async fn attached(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
        says: &[&str],
    ) -> Result<Hanging, RegistryError> {
        Ok(self.hanging(&Endpoint::new(access, repository)?, digest, says).await)
    }

    async fn tags(&self, access: &RegistryAccess, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            // distribution answers null when all tags have been deleted.
            tags: Option<Vec<String>>,
        }
        let place = Endpoint::new(access, repository)?;
        let mut url = place.url(&format!("tags/list?n={TAGS_PER_PAGE}"))?;
        let mut seen = BTreeSet::new();
        let mut tags = Vec::new();
        loop {
            if seen.len() == MAX_TAG_PAGES || !seen.insert(url.to_string()) {
                return Err(place.odd(format!("a list of tags without end ({} tags so far)", tags.len())));
            }
            let answer = self
                .ask(&place, Method::GET, url.clone(), "application/json", TAGS_LIMIT)
                .await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(tags);
            }
            if !answer.status.is_success() {
                return Err(answer.unexpected(&place.registry));
            }
            let page: Page = nesting::json(&answer.body).map_err(|_| place.odd("something that is no list of tags"))?;
            tags.extend(page.tags.into_iter().flatten().filter_map(|t| t.parse::<Tag>().ok()));
            match next_page(&answer.headers, &url) {
                Ok(Some(next)) => url = next,
                Ok(None) => return Ok(tags),
                Err(reason) => return Err(place.odd(reason)),
            }
        }
    }

    async fn check(&self, access: &RegistryAccess, registry: &str) -> Result<(), RegistryError> {
        let place = Endpoint::of_registry(access, registry)?;
        let answer = self
            .ask(&place, Method::GET, place.base.clone(), "application/json", TAGS_LIMIT)
            .await?;
        if answer.status == StatusCode::NOT_FOUND || answer.is_html() {
            return Err(place.odd("there is no registry's interface (/v2/) at this address"));
        }
        if !answer.status.is_success() {
            return Err(answer.unexpected(&place.registry));
        }
        Ok(())
    }
}

pub(super) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

pub(super) fn sha256(bytes: &[u8]) -> Option<Digest> {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes))).parse().ok()
}

/// The address of `Link: <…>; rel="next"`. Only its path and query are used, on the origin that was asked: behind a proxy
/// registries often write `http://` or an inner port there. Another host is an error.
pub(super) fn next_page(headers: &HeaderMap, current: &Url) -> Result<Option<Url>, String> {
    for value in headers.get_all(LINK) {
        let Ok(value) = value.to_str() else { continue };
        // Several links in one header are separated by commas; addresses stand in angle brackets.
        for part in value.split('<').skip(1) {
            let Some((target, parameters)) = part.split_once('>') else {
                continue;
            };
            let next = parameters.split([';', ',']).any(|parameter| {
                parameter.split_once('=').is_some_and(|(name, value)| {
                    let relations = value.trim().trim_matches('"');
                    name.trim().eq_ignore_ascii_case("rel")
                        && relations.split_whitespace().any(|r| r.eq_ignore_ascii_case("next"))
                })
            });
            if !next {
                continue;
            }
            let link = current
                .join(target)
                .map_err(|_| "a link to the next page that is no address".to_owned())?;
            let same_port = link.port().is_none() || link.port() == current.port();
            if link.host_str() != current.host_str() || !same_port {
                return Err("a link to the next page on another host".into());
            }
            let mut url = current.clone();
            url.set_path(link.path());
            url.set_query(link.query());
            return Ok(Some(url));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(repository: &str, plain_http: bool) -> Endpoint {
        let access = RegistryAccess {
            ca: None,
            plain_http,
            credentials: None,
        };
        Endpoint::new(&access, &repository.parse().unwrap()).unwrap()
    }

    #[test]
    fn docker_hub_has_another_host_and_a_namespace_nobody_writes() {
        for (repository, url) in [
            ("docker.io/nginx", "https://registry-1.docker.io/v2/library/nginx/"),
            ("docker.io/acme/web", "https://registry-1.docker.io/v2/acme/web/"),
            ("ghcr.io/web", "https://ghcr.io/v2/web/"),
        ] {
            assert_eq!(place(repository, false).base.as_str(), url);
        }
        let local = place("[::1]:5000/myapp/api", true);
        assert_eq!(
            local.url("manifests/v1").unwrap().as_str(),
            "http://[::1]:5000/v2/myapp/api/manifests/v1"
        );
        let digest = format!("sha256:{}", "0".repeat(64));
        let url = local.url(&format!("manifests/{digest}")).unwrap();
        assert_eq!(url.path(), format!("/v2/myapp/api/manifests/{digest}"));
    }

    #[test]
    fn links_are_followed_on_the_same_host_only() {
        let current = Url::parse("https://reg.example:8443/v2/a/tags/list?n=2").unwrap();
        let next = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.append(LINK, value.parse().unwrap());
            next_page(&headers, &current).map(|url| url.map(String::from))
        };
        let page = |path: &str| Ok(Some(format!("https://reg.example:8443{path}")));
        assert_eq!(
            next(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#),
            page("/v2/a/tags/list?last=b&n=2")
        );
        assert_eq!(next("<list?last=c>; title=x; rel=next"), page("/v2/a/tags/list?last=c"));
        assert_eq!(
            next(r#"<http://reg.example/v2/x?last=d>; rel="next""#),
            page("/v2/x?last=d")
        );
        assert_eq!(next(r#"</prev>; rel="prev", </next>; rel="next""#), page("/next"));
        assert_eq!(next(r#"</v2/x>; rel="prev""#), Ok(None));
        assert_eq!(next("garbage"), Ok(None));
        assert!(next(r#"<https://evil.example/v2/x>; rel="next""#).is_err());
        assert!(next(r#"<https://reg.example:9/v2/x>; rel="next""#).is_err());
    }
}
