//! Signing in: challenges, Basic, and Bearer tokens with their cache.
//!
//! A registry says how to sign in by refusing: `401` with `WWW-Authenticate`. What it said is remembered per repository,
//! so that later requests carry the right header at once, and tokens are kept until shortly before they expire.
//! Facts: Docker's "Token Authentication Specification" (`GET realm?service=…&scope=…`, `expires_in` 60 s by default) and
//! RFC 9110 §11 for the header.

use super::{
    RegistryError,
    client::Endpoint,
    transport::{Request, Transport, forget_userinfo, shown_origin},
};
use crate::nesting;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_auth::ChallengeParser;
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Bytes a token server's answer may have. Tokens with many groups in them reach some tens of KB.
const TOKEN_ANSWER_LIMIT: usize = 256 * 1024;
/// Life of a token whose server doesn't say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// The longest life that is believed.
const MAX_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Entries of each cache; beyond it the cache starts afresh, which costs one request per repository.
const CACHE_LIMIT: usize = 10_000;

/// How a registry wants to be signed in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer(BearerChallenge),
}

/// Where a token comes from and what for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BearerChallenge {
    realm: String,
    service: Option<String>,
    scopes: Vec<String>,
}

/// Stands for user and password in cache keys, so that the caches hold no password.
type CredentialsMark = Option<[u8; 32]>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    registry: String,
    challenge: BearerChallenge,
    credentials: CredentialsMark,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct PlaceKey {
    registry: String,
    path: String,
    scopes: Vec<String>,
    credentials: CredentialsMark,
}

struct Token {
    header: HeaderValue,
    expires: Instant,
}

#[derive(Default)]
pub(super) struct Authenticator {
    challenges: Mutex<HashMap<PlaceKey, Challenge>>,
    tokens: Mutex<HashMap<TokenKey, Token>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<u64>,
}

impl Authenticator {
    /// The header to begin with: from what this place said before, else none.
    pub(super) async fn known(
        &self,
        transport: &Transport,
        place: &Endpoint,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let known = lock(&self.challenges).get(&place_key(place)).cloned();
        match known {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(basic(place)),
            Some(Challenge::Bearer(challenge)) => {
                let key = token_key(place, &challenge);
                let cached = lock(&self.tokens)
                    .get(&key)
                    .filter(|token| token.expires > Instant::now())
                    .map(|token| token.header.clone());
                match cached {
                    Some(header) => Ok(Some(header)),
                    // Where the token server has moved, or was never the right one, the registry is asked anew: it may say
                    // something else by now, and if it doesn't, that is found when its challenge is answered.
                    None => match self.fetch(transport, place, &challenge, key).await {
                        Ok(header) => Ok(Some(header)),
                        Err(throttled @ RegistryError::Throttled { .. }) => Err(throttled),
                        Err(_) => {
                            self.forget(place);
                            Ok(None)
                        }
                    },
                }
            }
        }
    }

    /// The header that answers a 401, freshly made; `None` when there is nothing (new) to answer with. `answered` is what was answered
    /// before in this exchange: a registry may take a token at one place and want a password at another.
    pub(super) async fn answer(
        &self,
        transport: &Transport,
        place: &Endpoint,
        refusal: &HeaderMap,
        refused: Option<&HeaderValue>,
        answered: &mut Vec<Challenge>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let challenges = parse(refusal, &place.path, &place.scopes);
        let Some(challenge) = challenges.into_iter().find(|challenge| !answered.contains(challenge)) else {
            return Ok(None);
        };
        answered.push(challenge.clone());
        let header = match &challenge {
            Challenge::Basic => basic(place).filter(|header| Some(header) != refused),
            Challenge::Bearer(bearer) => {
                let key = token_key(place, bearer);
                lock(&self.tokens).remove(&key);
                Some(self.fetch(transport, place, bearer, key).await?)
            }
        };
        // Only what can be answered is begun with from now on.
        if header.is_some() {
            remember(&mut lock(&self.challenges), place_key(place), challenge);
        }
        Ok(header)
    }

    /// Forgets what was learned about a place where it no longer helps.
    pub(super) fn forget(&self, place: &Endpoint) {
        let known = lock(&self.challenges).remove(&place_key(place));
        if let Some(Challenge::Bearer(challenge)) = known {
            lock(&self.tokens).remove(&token_key(place, &challenge));
        }
    }

    async fn fetch(
        &self,
        transport: &Transport,
        place: &Endpoint,
        challenge: &BearerChallenge,
        key: TokenKey,
    ) -> Result<HeaderValue, RegistryError> {
        let odd = |reason: String| RegistryError::Protocol {
            registry: place.registry.clone(),
            reason,
        };
        let url = token_url(challenge, place.plain_http).map_err(odd)?;
        let server = shown_origin(&url);
        let answer = transport
            .send(Request {
                registry: &place.registry,
                method: Method::GET,
                url,
                accept: "application/json",
                authorization: basic(place),
                plain_http: place.plain_http,
                limit: TOKEN_ANSWER_LIMIT,
                ca: place.ca.as_deref(),
                body: None,
                allow_private: true,
            })
            .await?;
        if let Some(error) = answer.refused(&place.registry, &place.repository) {
            return Err(match error {
                RegistryError::Unreachable { registry, reason } => RegistryError::Unreachable {
                    registry,
                    reason: format!("{reason} at its token server {server}"),
                },
                other => other,
            });
        }
        if !answer.status.is_success() {
            return Err(odd(format!(
                "its token server {server} answered {}",
                answer.status.as_u16()
            )));
        }
        let unusable = || odd(format!("its token server {server} gave no usable token"));
        let body: TokenAnswer = nesting::json(&answer.body).map_err(|_| unusable())?;
        let token = [body.token, body.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.expose_secret().is_empty())
            .ok_or_else(unusable)?;
        let header = secret_header(&format!("Bearer {}", token.expose_secret())).ok_or_else(unusable)?;

        let life = match body.expires_in {
            None | Some(0) => DEFAULT_LIFE,
            Some(seconds) => Duration::from_secs(seconds).min(MAX_LIFE),
        };
        let now = Instant::now();
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= CACHE_LIMIT {
            tokens.retain(|_, token| token.expires > now);
        }
        let token = Token {
            header: header.clone(),
            // A fifth early, so that none expires on its way.
            expires: now + life.mul_f32(0.8),
        };
        remember(&mut tokens, key, token);
        Ok(header)
    }
}

/// The address to ask for a token, with service and scopes; the error says why it gets no credentials.
fn token_url(challenge: &BearerChallenge, plain_http: bool) -> Result<Url, String> {
    let mut url = Url::parse(&challenge.realm)
        .ok()
        .filter(Url::has_host)
        .ok_or("it names a token server that is no address")?;
    forget_userinfo(&mut url);
    if !(url.scheme() == "https" || (url.scheme() == "http" && plain_http)) {
        let server = shown_origin(&url);
        return Err(format!(
            "it names the token server {server}, and Waybill sends credentials only over https"
        ));
    }
    let mut query = url.query_pairs_mut();
    if let Some(service) = &challenge.service {
        query.append_pair("service", service);
    }
    for scope in &challenge.scopes {
        query.append_pair("scope", scope);
    }
    drop(query);
    Ok(url)
}

/// Reads all challenges of a 401, in the order in which they are answered: Bearer before Basic, a registry that offers both prefers it.
/// `wanted` are the rights that are needed at this place, where the challenge isn't trusted to name all of them.
fn parse(headers: &HeaderMap, path: &str, wanted: &[String]) -> Vec<Challenge> {
    let (mut bearers, mut basic) = (Vec::new(), false);
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(value) = value.to_str() else { continue };
        for challenge in ChallengeParser::new(value).map_while(Result::ok) {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = true;
            } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(k, _)| k.eq_ignore_ascii_case(name));
                    found.map(|(_, v)| v.to_unescaped()).filter(|v| !v.is_empty())
                };
                let Some(realm) = parameter("realm") else { continue };
                let usual = || match path {
                    // The registry itself, and nothing in it.
                    "" => String::new(),
                    path => format!("repository:{path}:pull"),
                };
                let mut scopes: Vec<String> = parameter("scope")
                    .unwrap_or_else(usual)
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect();
                scopes.sort();
                scopes.dedup();
                if !wanted.is_empty() {
                    scopes = with_wanted(wanted, scopes);
                }
                bearers.push(Challenge::Bearer(BearerChallenge {
                    realm,
                    service: parameter("service"),
                    scopes,
                }));
            }
        }
    }
    bearers.extend(basic.then_some(Challenge::Basic));
    bearers
}

/// The wanted scopes in their order, since some registries judge by the first only; then those of the challenge that are about something else.
fn with_wanted(wanted: &[String], challenged: Vec<String>) -> Vec<String> {
    let about = |scope: &str| scope.rsplit_once(':').map(|(about, _)| about.to_owned());
    let others = (challenged.into_iter())
        .filter(|scope| !scope.is_empty() && !wanted.iter().any(|wanted| about(wanted) == about(scope)));
    wanted.iter().cloned().chain(others).collect()
}

fn basic(place: &Endpoint) -> Option<HeaderValue> {
    let (user, password) = place.credentials.as_ref()?;
    let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
    secret_header(&format!("Basic {}", STANDARD.encode(pair.expose_secret())))
}

/// A header that is left out of debug output and of HTTP/2's compression tables.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn token_key(place: &Endpoint, challenge: &BearerChallenge) -> TokenKey {
    TokenKey {
        registry: place.registry.clone(),
        challenge: challenge.clone(),
        credentials: mark(place),
    }
}

fn place_key(place: &Endpoint) -> PlaceKey {
    PlaceKey {
        registry: place.registry.clone(),
        path: place.path.clone(),
        scopes: place.scopes.clone(),
        credentials: mark(place),
    }
}

fn mark(place: &Endpoint) -> CredentialsMark {
    let (user, password) = place.credentials.as_ref()?;
    let mut hash = Sha256::new();
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    hash.update(user.len().to_be_bytes());
    hash.update(user.as_bytes());
    hash.update(password.expose_secret().as_bytes());
    Some(hash.finalize().into())
}

fn remember<K: std::hash::Hash + Eq, V>(cache: &mut HashMap<K, V>, key: K, value: V) {
    if cache.len() >= CACHE_LIMIT {
        cache.clear();
    }
    cache.insert(key, value);
}

/// A cache that a panicking thread left behind is still a cache.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        parse(&headers, "myapp/api", &[]).into_iter().next()
    }

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Option<Challenge> {
        Some(Challenge::Bearer(BearerChallenge {
            realm: realm.into(),
            service: service.map(Into::into),
            scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        }))
    }

    #[test]
    fn quoted_values_may_hold_commas_and_several_scopes() {
        assert_eq!(
            challenge(&[
                r#"Bearer realm="https://auth.example/token",service="a, b",scope="repository:x:pull,push repository:a/y:pull""#
            ]),
            bearer(
                "https://auth.example/token",
                Some("a, b"),
                &["repository:a/y:pull", "repository:x:pull,push"]
            )
        );
    }

    #[test]
    fn a_missing_scope_is_the_right_to_pull() {
        assert_eq!(
            challenge(&[r#"bearer realm="https://auth.example/t""#]),
            bearer("https://auth.example/t", None, &["repository:myapp/api:pull"])
        );
    }

    #[test]
    fn the_rights_that_are_needed_stand_first_and_replace_what_the_challenge_says_of_them() {
        let wanted = ["repository:a/dst:pull,push", "repository:a/src:pull"].map(str::to_owned);
        let mut headers = HeaderMap::new();
        let value = r#"Bearer realm="https://t.example",scope="repository:a/dst:* registry:catalog:*""#;
        headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        let Some(Challenge::Bearer(found)) = parse(&headers, "a/dst", &wanted).into_iter().next() else {
            panic!("no challenge");
        };
        assert_eq!(
            found.scopes,
            [
                "repository:a/dst:pull,push",
                "repository:a/src:pull",
                "registry:catalog:*"
            ]
        );
    }

    #[test]
    fn bearer_is_preferred_wherever_it_stands() {
        let expected = bearer("https://t.example", None, &["repository:myapp/api:pull"]);
        assert_eq!(
            challenge(&["Basic realm=\"r\"", "Bearer realm=\"https://t.example\""]),
            expected
        );
        assert_eq!(
            challenge(&["Basic realm=\"r\", Bearer realm=\"https://t.example\""]),
            expected
        );
        assert_eq!(
            challenge(&["Basic realm=\"Registry, private\""]),
            Some(Challenge::Basic)
        );
    }

    #[test]
    fn credentials_go_only_to_encrypted_token_servers_unless_all_is_plain() {
        let url = |realm: &str, plain_http| {
            let challenge = BearerChallenge {
                realm: realm.into(),
                service: None,
                scopes: vec!["a:b".into()],
            };
            token_url(&challenge, plain_http).map(String::from)
        };
        let encrypted = Ok("https://auth.example/t?x=1&scope=a%3Ab".to_owned());
        assert_eq!(url("https://me:pw@auth.example/t?x=1", false), encrypted);
        assert_eq!(
            url("http://auth.example/t", true),
            Ok("http://auth.example/t?scope=a%3Ab".into())
        );
        let error = url("http://auth.example/t?secret", false).unwrap_err();
        assert!(error.contains("http://auth.example, and"), "{error}");
        for realm in ["/token", "", "file:///etc/passwd", "ftp://auth.example/t"] {
            assert!(url(realm, true).is_err(), "{realm}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for values in [&[][..], &["Negotiate"], &["Bearer service=\"x\""], &["\"", ",,=,"]] {
            assert_eq!(challenge(values), None, "{values:?}");
        }
    }
}
