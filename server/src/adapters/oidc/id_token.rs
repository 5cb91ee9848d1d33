//! What a provider signs about somebody: taken apart, its signature checked against the provider's keys, and its claims against
//! what was asked for. Nothing in it counts before both.

use super::{AuthorizationRequest, OidcError, keys::KeySet};
use crate::nesting;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::time::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// How far the provider's clock may be from ours.
const SKEW_MILLIS: i64 = 60_000;
/// Most characters of a subject: the protocol allows no more.
const LONGEST_SUBJECT: usize = 255;

/// All that is said of somebody, by name.
pub(super) type Claims = Map<String, Value>;

/// A token that nobody has checked yet.
pub(super) struct IdToken<'a> {
    header: Header,
    /// Header and claims, as they were signed.
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood to believe the token; nothing of it is.
    crit: Option<Value>,
}

/// What a token must say to be about this very authorization.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) authorization: &'a AuthorizationRequest,
    pub(super) now: Timestamp,
}

impl<'a> IdToken<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, OidcError> {
        let unreadable = || untrusted("the ID token can't be read");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(unreadable)?;
        let (header, claims) = signed.split_once('.').ok_or_else(unreadable)?;
        let header: Header = decoded(header).ok_or_else(unreadable)?;
        if header.crit.is_some() {
            return Err(untrusted("the ID token asks for more than Waybill understands (crit)"));
        }
        Ok(Self {
            header,
            signed,
            claims,
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| unreadable())?,
        })
    }

    /// Whether one of the provider's keys signed it.
    pub(super) fn is_signed_by(&self, keys: &KeySet) -> bool {
        keys.signed(
            &self.header.alg,
            self.header.kid.as_deref(),
            self.signed.as_bytes(),
            &self.signature,
        )
    }

    /// The claims of a token whose signature was checked, if they are about this authorization.
    pub(super) fn claims(&self, expected: &Expected<'_>) -> Result<Claims, OidcError> {
        let claims: Claims = decoded(self.claims).ok_or_else(|| untrusted("the ID token can't be read"))?;
        check(&claims, expected)?;
        Ok(claims)
    }
}

fn decoded<T: DeserializeOwned>(part: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    nesting::json(&bytes).ok()
}

fn untrusted(what: &str) -> OidcError {
    OidcError::Untrusted(what.into())
}

fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), OidcError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    if text("iss") != Some(expected.issuer) {
        return Err(untrusted("the ID token is from another issuer"));
    }
    let audience: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let party = text("azp");
    let is_ours = audience.contains(&expected.client)
        && (audience.len() == 1 || party.is_some())
        && party.is_none_or(|party| party == expected.client);
    if !is_ours {
        return Err(untrusted("the ID token is for another client"));
    }
    if text("nonce") != Some(expected.authorization.nonce.as_str()) {
        return Err(untrusted("the ID token answers another sign-in (nonce)"));
    }
    let Some(expires) = seconds("exp") else {
        return Err(untrusted("the ID token doesn't say when it ends (exp)"));
    };
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age of the world")]
    let now = expected.now.0 as f64;
    #[allow(clippy::cast_precision_loss, reason = "a minute")]
    let skew = SKEW_MILLIS as f64;
    if expires * 1000.0 + skew <= now {
        return Err(OidcError::Clock(
            "the ID token has ended already: compare the clocks of the provider and of Waybill".into(),
        ));
    }
    let later = |name: &str| seconds(name).is_some_and(|at| at * 1000.0 - skew > now);
    if later("iat") || later("nbf") {
        return Err(OidcError::Clock(
            "the ID token is from the future: compare the clocks of the provider and of Waybill".into(),
        ));
    }
    let subject = text("sub").unwrap_or_default();
    if subject.is_empty() || subject.len() > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
        return Err(untrusted("the ID token doesn't say who it is about (sub)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        rand::SystemRandom,
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
            RsaKeyPair,
        },
    };
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn authorization() -> AuthorizationRequest {
        AuthorizationRequest {
            state: "s".into(),
            nonce: "n".into(),
            verifier: "v".into(),
        }
    }

    fn good() -> Value {
        json!({
            "iss": "https://login.example.com", "aud": "waybill", "sub": "7", "nonce": "n",
            "exp": 1_800_000_300, "iat": 1_799_999_990,
        })
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn outcome(claims: &Value) -> Result<(), OidcError> {
        let authorization = authorization();
        let expected = Expected {
            issuer: "https://login.example.com",
            client: "waybill",
            authorization: &authorization,
            now: NOW,
        };
        let text = format!("{}.{}.", part(&json!({ "alg": "RS256" })), part(claims));
        IdToken::read(&text)?.claims(&expected).map(|_| ())
    }

    fn with(changes: &Value) -> Value {
        let mut claims = good();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    #[test]
    fn a_token_is_about_this_sign_in_or_not_believed() {
        assert_eq!(outcome(&good()), Ok(()));
        for fine in [
            json!({ "aud": ["waybill"] }),
            json!({ "aud": ["waybill", "other"], "azp": "waybill" }),
            json!({ "exp": 1_799_999_941 }),
            json!({ "iat": 1_800_000_059 }),
            json!({ "exp": 1_800_000_000.5 }),
        ] {
            assert_eq!(outcome(&with(&fine)), Ok(()), "{fine}");
        }
        for (wrong, why) in [
            (json!({ "iss": "https://login.example.com/" }), "issuer"),
            (json!({ "iss": null }), "issuer"),
            (json!({ "aud": "other" }), "client"),
            (json!({ "aud": ["other"] }), "client"),
            (json!({ "aud": ["waybill", "other"] }), "client"),
            (json!({ "azp": "other" }), "client"),
            (json!({ "nonce": "m" }), "nonce"),
            (json!({ "nonce": null }), "nonce"),
            (json!({ "exp": null }), "exp"),
            (json!({ "exp": "soon" }), "exp"),
            (json!({ "exp": 1_799_999_940 }), "ended"),
            (json!({ "iat": 1_800_000_061 }), "future"),
            (json!({ "nbf": 1_800_000_061 }), "future"),
            (json!({ "sub": "" }), "sub"),
            (json!({ "sub": 7 }), "sub"),
            (json!({ "sub": "x".repeat(256) }), "sub"),
            (json!({ "sub": "a\u{0}" }), "sub"),
        ] {
            let error = outcome(&with(&wrong)).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
        for text in ["", "a", "a.b", "a.b.c", "e30.e30.", "e30.e30.*"] {
            assert!(IdToken::read(text).is_err(), "{text}");
        }
        let critical = format!("{}.e30.", part(&json!({ "alg": "RS256", "crit": ["b64"] })));
        assert!(IdToken::read(&critical).is_err());
    }

    /// A key with what the provider publishes of it.
    struct Rsa(RsaKeyPair, Value);

    fn rsa(kid: &str) -> Rsa {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // DER: a modulus of 2048 bits and the exponent 65537 lie where they always do.
        let der = pair.public_key().as_ref();
        let published = json!({
            "kty": "RSA", "kid": kid, "use": "sig",
            "n": URL_SAFE_NO_PAD.encode(&der[9..265]), "e": URL_SAFE_NO_PAD.encode(&der[267..270]),
        });
        Rsa(pair, published)
    }

    impl Rsa {
        fn sign(&self, header: &Value, how: &'static dyn RsaEncoding) -> String {
            let signed = format!("{}.{}", part(header), part(&good()));
            let mut signature = vec![0; self.0.public_modulus_len()];
            let random = SystemRandom::new();
            self.0.sign(how, &random, signed.as_bytes(), &mut signature).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn is_believed(text: &str, keys: &[&Value]) -> bool {
        let keys: KeySet = serde_json::from_value(json!({ "keys": keys })).unwrap();
        IdToken::read(text).unwrap().is_signed_by(&keys)
    }

    #[test]
    fn a_signature_counts_when_it_is_the_providers() {
        let (first, second) = (rsa("1"), rsa("2"));
        let token = first.sign(&json!({ "alg": "RS256", "kid": "1" }), &RSA_PKCS1_SHA256);
        assert!(is_believed(&token, &[&first.1]));
        assert!(is_believed(&token, &[&second.1, &first.1]));
        assert!(!is_believed(&token, &[&second.1]), "another key");
        let pss = first.sign(&json!({ "alg": "PS256" }), &RSA_PSS_SHA256);
        assert!(
            is_believed(&pss, &[&second.1, &first.1]),
            "without a name all are tried"
        );

        let mut renamed = first.1.clone();
        renamed["kid"] = json!("2");
        assert!(!is_believed(&token, &[&renamed]), "the key that it names, no other");
        for (field, value) in [("use", "enc"), ("alg", "RS512")] {
            let mut other = first.1.clone();
            other[field] = json!(value);
            assert!(!is_believed(&token, &[&other]), "{field}");
        }
        let mut changed = token.clone().into_bytes();
        let middle = changed.iter().position(|b| *b == b'.').unwrap() + 5;
        changed[middle] ^= 1;
        assert!(!is_believed(&String::from_utf8(changed).unwrap(), &[&first.1]));
    }

    #[test]
    fn the_token_does_not_choose_how_it_is_checked() {
        let key = rsa("1");
        for alg in ["none", "HS256", "RS512", "ES256", "rs256", ""] {
            let token = key.sign(&json!({ "alg": alg, "kid": "1" }), &RSA_PKCS1_SHA256);
            assert!(!is_believed(&token, &[&key.1]), "{alg}");
        }
        let unsigned = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&good()));
        assert!(!is_believed(&unsigned, &[&key.1]));
    }

    #[test]
    fn curves_are_known_too() {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let published = json!({
            "kty": "EC", "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        });
        let signed = format!("{}.{}", part(&json!({ "alg": "ES256" })), part(&good()));
        let signature = pair.sign(&random, signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert!(is_believed(&token, &[&published]));
        let mut short = published.clone();
        short["x"] = json!("AA");
        assert!(!is_believed(&token, &[&short]));
    }
}
