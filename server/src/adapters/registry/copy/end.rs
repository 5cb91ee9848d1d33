//! One end of a copy: a repository, asked with patience. Whatever goes wrong is said of the end where it went wrong.

use super::{
    super::{
        client::{Endpoint, RegistryClient, content_digest, next_page, sha256},
        manifest::ACCEPT_MANIFESTS,
        push::{MOST_BROKEN, Pace, is_private},
        transport::{RegistryAnswer, shown_status},
    },
    CopyError, RegistryError,
    closure::{Held, Manifests, Raw},
};
use crate::nesting;
use async_trait::async_trait;
use domain::artifact::Digest;
use hyper::body::Bytes;
use reqwest::{Method, StatusCode, Url, header::CONTENT_LENGTH};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::OnceCell;

/// Bytes of a manifest. More than registries take: what a target refuses is said in its own words.
const MANIFEST_LIMIT: usize = 16 * 1024 * 1024;
/// Bytes of one page of a list of referrers.
const LIST_LIMIT: usize = 4 * 1024 * 1024;
/// Pages of a list of referrers.
const MOST_PAGES: usize = 50;
const INDEX: &str = super::document::INDEX;

/// One end of a copy.
#[derive(Clone)]
pub(super) struct End {
    pub(super) client: Arc<RegistryClient>,
    pub(super) place: Endpoint,
    pub(super) pace: Arc<Pace>,
    is_source: bool,
    /// Whether the registry stands in a private network, once that was asked.
    pub(super) is_private: Arc<OnceCell<bool>>,
    /// Whether the registry was found to keep no list of what refers to a manifest.
    keeps_none: Arc<AtomicBool>,
}

/// What refers to a manifest, as its registry lists it.
pub(super) enum Listed {
    /// The registry keeps such lists; entries as they were served.
    Kept(Vec<Value>),
    /// It keeps none.
    NotKept,
    /// It refuses to say.
    Refused,
}

impl End {
    pub(super) fn new(client: Arc<RegistryClient>, place: Endpoint, pace: Arc<Pace>, is_source: bool) -> Self {
        Self {
            client,
            place,
            pace,
            is_source,
            is_private: Arc::default(),
            keeps_none: Arc::default(),
        }
    }

    /// The host with its port, by which streams are counted.
    pub(super) fn host(&self) -> String {
        self.place.base.origin().ascii_serialization()
    }

    /// An error of this end.
    pub(super) fn error(&self, error: RegistryError) -> CopyError {
        match self.is_source {
            true => CopyError::Source(error),
            false => CopyError::Target(error),
        }
    }

    /// The error for an answer that isn't expected.
    pub(super) fn unexpected(&self, answer: &RegistryAnswer) -> CopyError {
        let error = answer.refused(&self.place.registry, &self.place.repository);
        self.error(error.unwrap_or_else(|| answer.unexpected(&self.place.registry)))
    }

    /// The error for a part that the registry doesn't take, in its own words.
    pub(super) fn refused(&self, answer: &RegistryAnswer, what: &str) -> CopyError {
        let Endpoint {
            registry, repository, ..
        } = &self.place;
        let is_refusal = answer.status.is_client_error() || answer.status.is_redirection();
        if !is_refusal || matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) {
            return self.unexpected(answer);
        }
        let remedy = match answer.status {
            StatusCode::FORBIDDEN => {
                format!(
                    "Check that the credentials for pushing to {repository} may push, and that its quota isn't used up."
                )
            }
            StatusCode::NOT_FOUND => format!("Create the repository {repository} there, or check its name."),
            StatusCode::PAYLOAD_TOO_LARGE => {
                "Let that registry, and any proxy in front of it, take larger uploads.".into()
            }
            _ => "Look up what that registry takes, or choose another registry to copy to.".into(),
        };
        CopyError::Refused {
            registry: registry.clone(),
            what: what.to_owned(),
            said: (answer.message()).unwrap_or_else(|| format!("it answered {}", shown_status(answer.status))),
            remedy,
        }
    }

    /// The error for an answer that is neither a success nor a refusal.
    pub(super) fn failed(&self, answer: &RegistryAnswer) -> CopyError {
        match answer.status {
            StatusCode::REQUEST_TIMEOUT => self.error(RegistryError::Unreachable {
                registry: self.place.registry.clone(),
                reason: words(answer),
            }),
            _ => self.unexpected(answer),
        }
    }

    /// What went wrong, as it is said of a registry.
    pub(super) fn registry_error(&self, error: CopyError) -> RegistryError {
        match error {
            CopyError::Source(error) | CopyError::Target(error) => error,
            CopyError::Changed { what, .. } => {
                (self.place).odd(format!("other content for {what} than its digest says"))
            }
            CopyError::Unproven { what, .. } => RegistryError::Unreachable {
                registry: self.place.registry.clone(),
                reason: format!("after writing, it lacks {what}"),
            },
            other => self.place.odd(other.to_string()),
        }
    }

    pub(super) fn url(&self, rest: &str) -> Result<Url, CopyError> {
        self.place.url(rest).map_err(|error| self.error(error))
    }

    /// One request without a body; whatever the answer's status.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: Url,
        accept: &'static str,
        limit: usize,
    ) -> Result<RegistryAnswer, CopyError> {
        let request = self.place.request(method, url, accept, limit);
        let answer = self.client.patiently(&self.place, request, &self.pace).await;
        answer.map_err(|error| self.error(error))
    }

    /// What a tag or digest names, with its exact bytes.
    pub(super) async fn named(&self, reference: &str) -> Result<Option<Raw>, CopyError> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let answer = self.ask(Method::GET, url, ACCEPT_MANIFESTS, MANIFEST_LIMIT).await?;
        if is_absent(&answer) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(self.unexpected(&answer));
        }
        if answer.is_html() {
            let reason = "a web page where a manifest should be; is this the address of a registry?";
            return Err(self.error(self.place.odd(reason)));
        }
        let digest =
            sha256(&answer.body).ok_or_else(|| self.error(self.place.odd("an answer that cannot be hashed")))?;
        let kind = answer.media_type().map(str::to_owned);
        Ok(Some(Raw {
            digest,
            kind,
            bytes: Bytes::from(answer.body),
        }))
    }

    /// The digest that a tag or digest names, by HEAD where the registry answers it in full, else by GET.
    pub(super) async fn names(&self, reference: &str) -> Result<Option<Digest>, CopyError> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let head = self.ask(Method::HEAD, url, ACCEPT_MANIFESTS, 0).await?;
        if head.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if head.status.is_success()
            && !head.is_html()
            && let Some(digest) = content_digest(&head.headers)
        {
            return Ok(Some(digest));
        }
        if let Some(error) = head.refused(&self.place.registry, &self.place.repository) {
            return Err(self.error(error));
        }
        // No HEAD, no digest, or a page for people: GET tells.
        Ok(self.named(reference).await?.map(|raw| raw.digest))
    }

    /// The bytes of a small blob; `None` when it isn't there, or isn't what its digest says.
    pub(super) async fn small(&self, digest: &Digest, limit: usize) -> Result<Option<Vec<u8>>, CopyError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let mut request = self.place.request(Method::GET, url, "*/*", limit);
        request.allow_private = *self.is_private.get_or_init(|| is_private(&self.place.base)).await;
        let answer = self.client.patiently(&self.place, request, &self.pace).await;
        let answer = answer.map_err(|error| self.error(error))?;
        if answer.status.is_success() {
            return Ok((sha256(&answer.body).as_ref() == Some(digest)).then_some(answer.body));
        }
        match answer.refused(&self.place.registry, &self.place.repository) {
            Some(error) => Err(self.error(error)),
            None => Ok(None),
        }
    }

    /// Whether a manifest is there, by HEAD.
    pub(super) async fn has_manifest(&self, digest: &Digest) -> Result<bool, CopyError> {
        let url = self.url(&format!("manifests/{digest}"))?;
        let answer = self.ask(Method::HEAD, url, ACCEPT_MANIFESTS, 0).await?;
        if answer.status.is_success() && !answer.is_html() {
            let named = content_digest(&answer.headers);
            return Ok(named.is_none_or(|named| named == *digest));
        }
        match answer.refused(&self.place.registry, &self.place.repository) {
            Some(error) => Err(self.error(error)),
            None => Ok(false),
        }
    }

    /// What the registry says refers to a manifest.
    pub(super) async fn referrers(&self, digest: &Digest) -> Result<Listed, CopyError> {
        if self.keeps_none.load(Ordering::Relaxed) {
            return Ok(Listed::NotKept);
        }
        let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
        let mut next = Some(self.url(&format!("referrers/{digest}"))?);
        while let Some(url) = next.take() {
            if seen.len() == MOST_PAGES || !seen.insert(url.to_string()) {
                return Err(self.error(self.place.odd(format!("a list without end of what refers to {digest}"))));
            }
            let answer = self.ask(Method::GET, url.clone(), INDEX, LIST_LIMIT).await?;
            if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                return Ok(Listed::Refused);
            }
            if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
                return Err(self.unexpected(&answer));
            }
            // Registries that don't know the question answer it in many ways.
            let page = match answer.status.is_success() && !answer.is_html() {
                true => list(&answer.body, "manifests"),
                false => None,
            };
            let Some(page) = page else {
                if entries.is_empty() {
                    self.keeps_none.store(true, Ordering::Relaxed);
                    return Ok(Listed::NotKept);
                }
                return Err(self.error(self.place.odd("the next page of a list of referrers that is none")));
            };
            entries.extend(page);
            next = next_page(&answer.headers, &url).map_err(|reason| self.error(self.place.odd(reason)))?;
        }
        Ok(Listed::Kept(entries))
    }
}

/// What a registry says that doesn't want to; `None` where it does, or where it may want to later.
pub(super) fn refusal(answer: &RegistryAnswer) -> Option<String> {
    let is_passing = matches!(
        answer.status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    );
    (answer.status.is_client_error() && !is_passing).then(|| words(answer))
}

/// The registry's own words, or its status where it has none, without a full stop.
pub(super) fn words(answer: &RegistryAnswer) -> String {
    let said = (answer.message()).unwrap_or_else(|| format!("it answered {}", shown_status(answer.status)));
    said.trim_end_matches('.').to_owned()
}

/// A list in a document, as it was written; `None` when there is no such list.
pub(super) fn list(bytes: &[u8], name: &str) -> Option<Vec<Value>> {
    let value: Value = nesting::json(bytes).ok()?;
    value.get(name)?.as_array().cloned()
}

/// Whether it isn't there. Some registries say so with another status than 404.
fn is_absent(answer: &RegistryAnswer) -> bool {
    answer.status == StatusCode::NOT_FOUND
        || (answer.status.is_client_error()
            && answer.message().is_some_and(|said| {
                said.starts_with("MANIFEST_UNKNOWN")
                    || said.starts_with("NAME_UNKNOWN")
                    || (said.starts_with("UNKNOWN") && said.contains("not found"))
            }))
}

#[async_trait]
impl Manifests for End {
    async fn manifest(&self, digest: &Digest) -> Result<Option<Raw>, CopyError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.named(digest.as_str()).await? {
                // Some registries serve what they are just writing: half of it.
                Some(raw) if raw.digest != *digest && tries < MOST_BROKEN => {
                    tokio::time::sleep(self.pace.after(tries)).await;
                }
                Some(raw) if raw.digest != *digest => {
                    return Err(CopyError::Changed {
                        registry: self.place.registry.clone(),
                        what: format!("the manifest {digest}"),
                    });
                }
                found => return Ok(found),
            }
        }
    }

    async fn blob(&self, digest: &Digest) -> Result<Held, CopyError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let answer = self.ask(Method::HEAD, url, "*/*", 0).await?;
        if answer.status.is_success() && !answer.is_html() {
            let length = answer.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            return Ok(Held::OfSize(length.and_then(|length| length.parse().ok())));
        }
        match answer.refused(&self.place.registry, &self.place.repository) {
            Some(error) => Err(self.error(error)),
            None => Ok(Held::Not),
        }
    }

    fn repository(&self) -> &str {
        &self.place.repository
    }
}
