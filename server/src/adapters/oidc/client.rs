//! The protocol: where the provider is, how somebody is sent there, and how their code is redeemed.

use super::{
    AuthorizationRequest, Identity, IdentityProvider, OidcError,
    http::{Http, send},
    id_token::{Claims, Expected, IdToken},
    is_private,
    keys::KeySet,
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::time::Timestamp;
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::Mutex;

/// How long what a provider says of itself is believed; keys that are missing are looked for at once.
const FRESH_MILLIS: i64 = 3_600_000;

/// How Waybill is known to a provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The provider, exactly as it calls itself.
    pub issuer: String,
    /// What Waybill is called there.
    pub client_id: String,
    /// What it proves itself with, unless it is a public client.
    pub client_secret: Option<SecretString>,
    /// What is asked for, separated by spaces.
    pub scopes: String,
    /// The claim that names groups.
    pub group_claim: String,
}

/// A provider of OpenID Connect.
pub struct OidcClient {
    settings: Settings,
    http: Http,
    known: Mutex<Option<Arc<Known>>>,
}

/// What a provider says of itself.
struct Known {
    metadata: Arc<Metadata>,
    keys: KeySet,
    read_at: Timestamp,
}

struct Metadata {
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    /// Whether the client's secret goes into a header.
    takes_basic: bool,
}

/// The same as it is published.
#[derive(Deserialize)]
struct Published {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What a code is redeemed for.
#[derive(Deserialize)]
struct Tokens {
    id_token: SecretString,
    access_token: Option<SecretString>,
}

impl OidcClient {
    /// Nothing is asked before somebody signs in: a provider that is down keeps no server from starting.
    ///
    /// # Errors
    /// When the HTTP client can't be set up.
    pub fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        Ok(Self {
            settings,
            http: Http::new()?,
            known: Mutex::default(),
        })
    }

    /// What the provider says of itself, not older than an hour. Whoever asks meanwhile waits for the same answer.
    async fn known(&self, now: Timestamp) -> Result<Arc<Known>, OidcError> {
        let mut kept = self.known.lock().await;
        if let Some(known) = kept
            .as_ref()
            .filter(|known| now.millis_since(known.read_at) < FRESH_MILLIS)
        {
            return Ok(known.clone());
        }
        let known = match (self.discover(now).await, kept.as_ref()) {
            (Ok(known), _) => Arc::new(known),
            // What was true an hour ago most likely still is, and the token itself will show.
            (Err(error), Some(known)) => {
                tracing::warn!(%error, "what the sign-in provider says of itself could not be read again");
                return Ok(known.clone());
            }
            (Err(error), None) => return Err(error),
        };
        *kept = Some(known.clone());
        Ok(known)
    }

    async fn discover(&self, now: Timestamp) -> Result<Known, OidcError> {
        let issuer = &self.settings.issuer;
        let at = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let at = Url::parse(&at).map_err(|_| OidcError::Untrusted(format!("{issuer} is no address")))?;
        let published: Published = send(&at, self.http.get(&at)).await?.json()?;
        if published.issuer != *issuer {
            let called: String = published.issuer.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(OidcError::Untrusted(format!(
                "{at} calls itself {called}, not {issuer}: set sso.issuer to what it calls itself"
            )));
        }
        let metadata = Metadata::read(published)?;
        let keys = self.keys(&metadata).await?;
        Ok(Known {
            metadata: Arc::new(metadata),
            keys,
            read_at: now,
        })
    }

    async fn keys(&self, metadata: &Metadata) -> Result<KeySet, OidcError> {
        let url = &metadata.jwks_uri;
        send(url, self.http.get(url)).await?.json()
    }

    /// Reads the keys again: the provider may sign with another one than before.
    async fn keys_again(&self, known: &Known) -> Result<Arc<Known>, OidcError> {
        let again = Arc::new(Known {
            metadata: known.metadata.clone(),
            keys: self.keys(&known.metadata).await?,
            read_at: known.read_at,
        });
        *self.known.lock().await = Some(again.clone());
        Ok(again)
    }

    /// Redeems a code at the provider itself.
    async fn exchange(
        &self,
        metadata: &Metadata,
        code: &SecretString,
        authorization: &AuthorizationRequest,
        back: &str,
    ) -> Result<Tokens, OidcError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", back),
            ("code_verifier", &authorization.verifier),
        ];
        let url = &metadata.token_endpoint;
        let mut request = self.http.post(url);
        let id = &self.settings.client_id;
        match &self.settings.client_secret {
            Some(secret) if metadata.takes_basic => request = basic(request, id, secret),
            Some(secret) => form.extend([("client_id", id.as_str()), ("client_secret", secret.expose_secret())]),
            None => form.push(("client_id", id)),
        }
        let answer = send(url, request.form(&form)).await?;
        if answer.status.is_success() {
            return answer.json();
        }
        Err(match answer.error_code().as_deref() {
            Some("invalid_grant") => OidcError::Code,
            Some("invalid_client" | "unauthorized_client") => OidcError::Untrusted(
                "the provider doesn't know Waybill by sso.client_id and sso.client_secret: compare them".into(),
            ),
            _ => answer.unexpected(),
        })
    }

    /// What the provider says at its own endpoint, about the same person. The ID token's own claims win.
    async fn more(&self, url: &Url, access: &SecretString, claims: Claims) -> Result<Claims, OidcError> {
        let request = self.http.get(url).bearer_auth(access.expose_secret());
        let mut more: Claims = send(url, request).await?.json()?;
        if more.get("sub") != claims.get("sub") {
            return Err(OidcError::Untrusted(format!("{url} answers about somebody else")));
        }
        more.extend(claims);
        Ok(more)
    }
}

#[async_trait]
impl IdentityProvider for OidcClient {
    async fn ask(&self, authorization: &AuthorizationRequest, back: &str, now: Timestamp) -> Result<Url, OidcError> {
        let known = self.known(now).await?;
        let mut url = known.metadata.authorization_endpoint.clone();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(authorization.verifier.as_bytes()));
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", back),
            ("scope", &self.settings.scopes),
            ("state", &authorization.state),
            ("nonce", &authorization.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(url)
    }

    async fn redeem(
        &self,
        code: &SecretString,
        authorization: &AuthorizationRequest,
        back: &str,
        now: Timestamp,
    ) -> Result<Identity, OidcError> {
        let known = self.known(now).await?;
        let tokens = self.exchange(&known.metadata, code, authorization, back).await?;
        let token = IdToken::read(tokens.id_token.expose_secret())?;
        if !token.is_signed_by(&known.keys) && !token.is_signed_by(&self.keys_again(&known).await?.keys) {
            return Err(OidcError::Untrusted(
                "the ID token isn't signed by a key of the provider".into(),
            ));
        }
        let expected = Expected {
            issuer: &self.settings.issuer,
            client: &self.settings.client_id,
            authorization,
            now,
        };
        let mut claims = token.claims(&expected)?;
        let lacks = ["email", "email_verified", &self.settings.group_claim];
        if let (true, Some(url), Some(access)) = (
            lacks.iter().any(|name| !claims.contains_key(*name)),
            &known.metadata.userinfo_endpoint,
            &tokens.access_token,
        ) {
            claims = self.more(url, access, claims).await?;
        }
        Ok(identity(&claims, &self.settings.group_claim))
    }
}

impl Metadata {
    fn read(published: Published) -> Result<Self, OidcError> {
        let address = |text: String| match Url::parse(&text) {
            Ok(url) if is_private(&url) => Ok(url),
            _ => {
                let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                let why = format!("the provider names {shown}, which is no encrypted address");
                Err(OidcError::Untrusted(why))
            }
        };
        // Where nothing is said, the protocol's default holds.
        let methods = published.token_endpoint_auth_methods_supported;
        Ok(Self {
            authorization_endpoint: address(published.authorization_endpoint)?,
            token_endpoint: address(published.token_endpoint)?,
            jwks_uri: address(published.jwks_uri)?,
            userinfo_endpoint: published.userinfo_endpoint.map(address).transpose()?,
            takes_basic: methods.is_none_or(|all| all.iter().any(|method| method == "client_secret_basic")),
        })
    }
}

/// The client's name and secret, each written like a part of a form, as the protocol asks for.
fn basic(request: RequestBuilder, id: &str, secret: &SecretString) -> RequestBuilder {
    let written = |text: &str| {
        let url = Url::parse_with_params("http://x/", [(text, "")]).ok();
        let query = url.as_ref().and_then(Url::query).unwrap_or_default();
        query.trim_end_matches('=').to_owned()
    };
    request.basic_auth(written(id), Some(written(secret.expose_secret())))
}

/// What the claims say, as far as Waybill wants to know.
fn identity(claims: &Claims, group_claim: &str) -> Identity {
    let text = |name: &str| {
        let text = claims.get(name).and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let groups = match claims.get(group_claim) {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    Identity {
        // To the letter: who it is mustn't depend on what is left out.
        subject: claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned(),
        email: text("email"),
        // Some write it in quotes.
        email_verified: match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        },
        name: text("name").or_else(|| text("preferred_username")),
        groups,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(claims: &Value) -> Identity {
        identity(claims.as_object().unwrap(), "groups")
    }

    #[test]
    fn claims_are_read_as_providers_write_them() {
        let usual = of(&json!({
            "sub": "7", "email": " Ada@example.com ", "email_verified": true, "name": "Ada", "groups": ["release", 3, "ops"],
        }));
        assert_eq!(
            usual,
            Identity {
                subject: "7".into(),
                email: Some("Ada@example.com".into()),
                email_verified: true,
                name: Some("Ada".into()),
                groups: vec!["release".into(), "ops".into()],
            }
        );
        let odd = of(
            &json!({ "sub": "7", "email": "", "email_verified": "true", "preferred_username": "ada", "groups": "ops" }),
        );
        assert_eq!((odd.email, odd.email_verified), (None, true));
        assert_eq!((odd.name.as_deref(), odd.groups), (Some("ada"), vec!["ops".to_owned()]));
        for unverified in [json!(false), json!("false"), json!(1), json!(null)] {
            assert!(!of(&json!({ "sub": "7", "email_verified": unverified })).email_verified);
        }
    }

    #[test]
    fn names_and_secrets_travel_as_the_protocol_writes_them() {
        let request = reqwest::Client::new().post("http://127.0.0.1/");
        let request = basic(request, "way:bill", &SecretString::from("a b=%"))
            .build()
            .unwrap();
        let header = request.headers()["authorization"].to_str().unwrap().to_owned();
        let plain = base64::engine::general_purpose::STANDARD
            .decode(header.trim_start_matches("Basic "))
            .unwrap();
        assert_eq!(String::from_utf8(plain).unwrap(), "way%3Abill:a+b%3D%25");
    }
}
