//! Requests that change a registry: an upload is begun, a blob is put, a manifest is put. And the patience that a long job needs.
//!
//! A blob goes in two requests: `POST …/blobs/uploads/` is answered with an address (`Location`), and one `PUT` sends all bytes there with
//! `digest=` at its end (OCI distribution 1.1, "Pushing a blob monolithically"). The address is the registry's to choose, so it is looked
//! at: on another host it gets no `Authorization`, it never leads into a private network that the registry itself doesn't stand in, and
//! a query that may hold a signature stays as it is. Nothing is ever deleted: an upload that came to nothing expires by itself.

use super::{
    RegistryError,
    client::{Endpoint, RegistryClient},
    transport::{ANSWER_LIMIT, RegistryAnswer, Request, forget_userinfo, may_go, shown_origin},
};
use crate::{adapters::guard, back_off};
use domain::{artifact::Digest, outside::Reach};
use hyper::body::Bytes;
use reqwest::{
    Body, Method, StatusCode, Url,
    header::{LOCATION, WWW_AUTHENTICATE},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How often one request is sent to a registry that asks to slow down.
const MOST_TRIES: u32 = 5;
/// How often one request is sent over connections that break.
pub(super) const MOST_BROKEN: u32 = 3;
/// The longest that a registry is waited for when it asks to.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long to wait before something is tried again.
#[derive(Debug)]
pub(super) struct Pace {
    /// What [`back_off::pause`] is multiplied by.
    scale: f64,
    dice: AtomicU64,
}

impl Pace {
    pub(super) fn new(scale: f64) -> Self {
        Self {
            scale,
            dice: AtomicU64::new(0),
        }
    }

    /// After so many failures in a row; another pause for each who waits.
    pub(super) fn after(&self, failures: u32) -> Duration {
        let dice = self.dice.fetch_add(1, Ordering::Relaxed);
        back_off::pause(failures, u128::from(dice)).mul_f64(self.scale)
    }

    /// What a registry asks for, and a little more, so that not all come back at once.
    pub(super) fn asked_for(&self, answer: &RegistryAnswer, failures: u32) -> Duration {
        let little = self.after(1).mul_f64(0.2);
        match answer.retry_after() {
            Some(seconds) => Duration::from_secs(seconds).min(LONGEST_WAIT) + little,
            None => self.after(failures),
        }
    }
}

/// Whether a registry asks to come back later.
pub(super) fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// Where a blob is to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    url: Url,
    /// Whether it lies on another host, which gets no credentials.
    is_foreign: bool,
}

/// What came of the wish to upload a blob.
#[derive(Debug)]
pub(super) enum Begun {
    /// The registry linked the blob from another of its repositories: nothing is left to do.
    Mounted,
    /// It is to be put there.
    Upload(Upload),
    /// It refused.
    Refused(RegistryAnswer),
}

impl RegistryClient {
    /// One request, sent again while the registry asks to slow down or the connection breaks; whatever the answer's status.
    pub(super) async fn patiently(
        &self,
        place: &Endpoint,
        request: Request<'_>,
        pace: &Pace,
    ) -> Result<RegistryAnswer, RegistryError> {
        let (mut tries, mut broken) = (0, 0);
        loop {
            tries += 1;
            match self.signed_in(place, request.clone()).await {
                Ok(answer) if is_busy(answer.status) && tries < MOST_TRIES => {
                    tokio::time::sleep(pace.asked_for(&answer, tries)).await;
                }
                Ok(answer) if answer.status.is_server_error() && !is_busy(answer.status) => {
                    broken += 1;
                    if broken >= MOST_BROKEN {
                        return Ok(answer);
                    }
                    tokio::time::sleep(pace.after(broken)).await;
                }
                Err(RegistryError::Unreachable { .. }) if broken + 1 < MOST_BROKEN => {
                    broken += 1;
                    tokio::time::sleep(pace.after(broken)).await;
                }
                Err(RegistryError::Throttled {
                    retry_after_seconds, ..
                }) if tries < MOST_TRIES => {
                    // The token server's.
                    tokio::time::sleep(Duration::from_secs(retry_after_seconds).min(LONGEST_WAIT)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Begins an upload; with `mount`, asks the registry to take the blob from that one of its repositories instead. The endpoint is
    /// one that signs in for both ([`Endpoint::for_mount`]) then.
    pub(super) async fn begin_upload(
        &self,
        place: &Endpoint,
        mount: Option<(&Digest, &str)>,
        pace: &Pace,
    ) -> Result<Begun, RegistryError> {
        let mut url = place.url("blobs/uploads/")?;
        if let Some((digest, from)) = mount {
            let mut query = url.query_pairs_mut();
            query.append_pair("mount", digest.as_str()).append_pair("from", from);
            drop(query);
        }
        let request = place.request(Method::POST, url.clone(), "", ANSWER_LIMIT);
        let answer = match mount {
            None => self.patiently(place, request, pace).await?,
            // There is another way when this one fails: it isn't tried again, only waited for.
            Some(_) => match self.signed_in(place, request.clone()).await? {
                busy if is_busy(busy.status) => self.patiently(place, request, pace).await?,
                answer => answer,
            },
        };
        match answer.status {
            StatusCode::CREATED if mount.is_some() => Ok(Begun::Mounted),
            StatusCode::ACCEPTED | StatusCode::CREATED => {
                let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
                let location = location.ok_or_else(|| place.odd("it began an upload and didn't say where"))?;
                let upload = place.upload(&url, location).map_err(|reason| place.odd(reason))?;
                Ok(Begun::Upload(upload))
            }
            _ => Ok(Begun::Refused(answer)),
        }
    }

    /// Puts a blob's bytes where it is to be put: once, since they can't be had again here. What comes back is for the caller to judge; a
    /// refusal for want of a token has been answered with a fresh one for the next time.
    pub(super) async fn put_blob(
        &self,
        place: &Endpoint,
        upload: &Upload,
        digest: &Digest,
        body: Body,
        length: u64,
    ) -> Result<RegistryAnswer, RegistryError> {
        let mut request = place.request(Method::PUT, with_digest(&upload.url, digest), "", ANSWER_LIMIT);
        if upload.is_foreign {
            request.allow_private = is_private(&place.base).await;
            may_go(&request.url, request.allow_private).map_err(|refused| place.odd(refused.to_string()))?;
        } else {
            request.authorization = self.authenticator.known(&self.transport, place).await?;
        }
        let refused = request.authorization.clone();
        let answer = self.transport.put(request, body, length).await?;
        if answer.status == StatusCode::UNAUTHORIZED && !upload.is_foreign {
            let fresh = (self.authenticator)
                .answer(
                    &self.transport,
                    place,
                    &answer.headers,
                    refused.as_ref(),
                    &mut Vec::new(),
                )
                .await?;
            if fresh.is_none() || !answer.headers.contains_key(WWW_AUTHENTICATE) {
                self.authenticator.forget(place);
            }
        }
        Ok(answer)
    }

    /// Puts a manifest under a tag or its digest.
    pub(super) async fn put_manifest(
        &self,
        place: &Endpoint,
        reference: &str,
        bytes: Bytes,
        media_type: &str,
        pace: &Pace,
    ) -> Result<RegistryAnswer, RegistryError> {
        let url = place.url(&format!("manifests/{reference}"))?;
        let mut request = place.request(Method::PUT, url, "", ANSWER_LIMIT);
        request.body = Some((bytes, media_type));
        self.patiently(place, request, pace).await
    }
}

impl Endpoint {
    /// This place, signed in to with the right to push.
    pub(super) fn for_push(mut self) -> Self {
        self.scopes = vec![format!("repository:{}:pull,push", self.path)];
        self
    }

    /// This place, signed in to with the right to push here and to take from another repository of the registry. The right to push stands first.
    pub(super) fn for_mount(mut self, from: &Self) -> Self {
        self.scopes = vec![
            format!("repository:{}:pull,push", self.path),
            format!("repository:{}:pull", from.path),
        ];
        self
    }

    /// Where an upload's `Location` leads. A registry behind a proxy doesn't know how it is called outside: its own host without another
    /// port is the origin that was asked.
    fn upload(&self, asked: &Url, location: &str) -> Result<Upload, String> {
        let mut url = asked
            .join(location)
            .map_err(|_| "it began an upload at something that is no address".to_owned())?;
        forget_userinfo(&mut url);
        url.set_fragment(None);
        let is_http = matches!(url.scheme(), "https" | "http");
        let same_port = url.port().is_none() || url.port() == self.base.port();
        if is_http && url.host_str() == self.base.host_str() && same_port {
            let mut own = self.base.clone();
            own.set_path(url.path());
            own.set_query(url.query());
            return Ok(Upload {
                url: own,
                is_foreign: false,
            });
        }
        let may_be_plain = self.plain_http && self.base.scheme() == "http";
        if !(url.scheme() == "https" || (url.scheme() == "http" && may_be_plain)) {
            return Err(format!(
                "it wants uploads at {}, which is not encrypted",
                shown_origin(&url)
            ));
        }
        Ok(Upload { url, is_foreign: true })
    }
}

/// The address with `digest=` at the end of its query, which stays as it is otherwise: it may be signed.
fn with_digest(url: &Url, digest: &Digest) -> Url {
    let digest = format!("digest=sha256%3A{}", digest.hex());
    let mut url = url.clone();
    let query = match url.query() {
        None | Some("") => digest,
        Some(query) if query.ends_with('&') => format!("{query}{digest}"),
        Some(query) => format!("{query}&{digest}"),
    };
    url.set_query(Some(&query));
    url
}

/// Whether a registry stands in a private network, or on this machine: then what it redirects to may, too.
pub(super) async fn is_private(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let found = guard::addresses(host).await.unwrap_or_default();
    found.into_iter().any(|address| Reach::of(address) == Reach::Private)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::registry::RegistryAccess;

    fn place(host: &str, plain_http: bool) -> Endpoint {
        let access = RegistryAccess {
            plain_http,
            ..RegistryAccess::default()
        };
        let repository = format!("{host}/myapp/api").parse().unwrap();
        Endpoint::new(&access, &repository).unwrap()
    }

    fn upload(host: &str, plain_http: bool, location: &str) -> Result<(String, bool), String> {
        let place = place(host, plain_http);
        let asked = place.url("blobs/uploads/").unwrap();
        let upload = place.upload(&asked, location)?;
        Ok((upload.url.to_string(), upload.is_foreign))
    }

    #[test]
    fn an_upload_on_the_registrys_own_host_stays_on_the_origin_that_was_asked() {
        let own = |path: &str| Ok((format!("https://reg.example:8443{path}"), false));
        for (location, path) in [
            (
                "/v2/myapp/api/blobs/uploads/1?_state=a%2Fb",
                "/v2/myapp/api/blobs/uploads/1?_state=a%2Fb",
            ),
            ("1?x=1", "/v2/myapp/api/blobs/uploads/1?x=1"),
            ("http://reg.example/u/1", "/u/1"),
            ("https://reg.example:8443/u/1#x", "/u/1"),
            ("https://me:pw@reg.example/u/1", "/u/1"),
        ] {
            assert_eq!(upload("reg.example:8443", false, location), own(path), "{location}");
        }
    }

    #[test]
    fn an_upload_on_another_host_is_foreign_and_encrypted_unless_all_is_plain() {
        let foreign = |url: &str| Ok((url.to_owned(), true));
        assert_eq!(
            upload("reg.example", false, "https://store.example/u?sig=a%20b"),
            foreign("https://store.example/u?sig=a%20b")
        );
        assert_eq!(
            upload("reg.example:5000", true, "http://store.example/u"),
            foreign("http://store.example/u")
        );
        assert_eq!(
            upload("reg.example", false, "https://reg.example:9/u"),
            foreign("https://reg.example:9/u"),
            "another port is another server"
        );
        for location in ["http://store.example/u?sig=secret", "ftp://store.example/u"] {
            let error = upload("reg.example", false, location).unwrap_err();
            assert!(error.contains("not encrypted") && !error.contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_upload_never_leads_into_a_private_network_that_the_registry_does_not_stand_in() {
        assert!(is_private(&place("127.0.0.1:5000", true).base).await);
        assert!(is_private(&place("[::1]:5000", true).base).await);
        assert!(!is_private(&place("8.8.8.8", false).base).await);
        for address in ["https://10.0.0.1/u", "https://127.0.0.1/u", "https://[::1]/u"] {
            let url = Url::parse(address).unwrap();
            assert_eq!(may_go(&url, false), Err(guard::Refused::Private), "{address}");
            assert_eq!(may_go(&url, true), Ok(()), "{address}");
        }
        for address in ["http://169.254.169.254/latest", "http://metadata.google.internal/x"] {
            let url = Url::parse(address).unwrap();
            assert_eq!(may_go(&url, true), Err(guard::Refused::Never), "{address}");
        }
    }

    #[test]
    fn the_digest_is_added_to_a_query_that_stays_as_it_is() {
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let added = format!("digest=sha256%3A{}", "0".repeat(64));
        for (address, query) in [
            ("https://x/u", added.clone()),
            ("https://x/u?", added.clone()),
            (
                "https://x/u?_state=a%2Fb%3D&y=+%20",
                format!("_state=a%2Fb%3D&y=+%20&{added}"),
            ),
            ("https://x/u?a=1&", format!("a=1&{added}")),
        ] {
            let url = with_digest(&Url::parse(address).unwrap(), &digest);
            assert_eq!(url.query(), Some(query.as_str()), "{address}");
        }
    }
}
