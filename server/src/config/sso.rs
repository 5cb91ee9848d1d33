//! Single sign-on: whom people come from, and how they are let in. All of it is set, or none: the issuer decides.

use super::{
    ConfigError, duration,
    given::{Given, ValueSource},
    optional, required,
};
use crate::adapters::oidc::is_private;
use domain::{name::Name, rights::Role};
use reqwest::Url;
use secrecy::SecretString;
use std::time::Duration;

/// Whom people may sign in through, and how they are let in.
#[derive(Clone, Debug)]
pub struct SsoConfig {
    /// Who says who people are, exactly as they call themselves.
    pub issuer: String,
    /// What Waybill is called there.
    pub client_id: String,
    /// What Waybill proves itself with; public clients have none.
    pub client_secret: Option<SecretString>,
    /// What people call it, on buttons and in sentences.
    pub name: String,
    /// The workspace that people are let into.
    pub workspace: Name,
    /// What they are there at first.
    pub role: Role,
    /// What is asked for, separated by spaces.
    pub scopes: String,
    /// The claim that names people's groups.
    pub group_claim: String,
    /// The domains whose addresses are let in, in lower case; all when empty.
    pub email_domains: Vec<String>,
    /// When an account that is there already becomes theirs.
    pub link: Link,
    /// How long a session lasts that began there; then the provider says again who somebody is.
    pub session: Duration,
}

/// When somebody who comes through single sign-on gets the account that has their address already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// When they are signed in with it.
    WhenSignedIn,
    /// Also when the issuer alone says that the address is theirs.
    ByVerifiedEmail,
}

/// Everything about single sign-on; `None` when it isn't set up.
pub(super) fn read(given: &mut Given) -> Result<Option<SsoConfig>, ConfigError> {
    let secret = given.take_secret("sso.client_secret")?;
    let Some(value) = given.take("sso.issuer") else {
        // Somebody who set any of this expects a button; that there is none must not stay unnoticed.
        let stray = secret.map(|(_, place)| place).or_else(|| stray(given));
        return match stray {
            Some(place) => Err(place.wrong("is given without sso.issuer, so there is nobody to sign in through")),
            None => Ok(None),
        };
    };
    let place = value.place;
    let without = |key| place.wrong(format!("is given without {key}"));
    Ok(Some(SsoConfig {
        issuer: issuer(&value.text).map_err(|problem| place.wrong(problem))?,
        client_id: optional(given, "sso.client_id", text)?.ok_or_else(|| without("sso.client_id"))?,
        client_secret: secret.map(|(secret, _)| secret),
        name: required(given, "sso.name", shown_name)?,
        workspace: optional(given, "sso.workspace", name)?.ok_or_else(|| without("sso.workspace"))?,
        role: required(given, "sso.role", role)?,
        scopes: required(given, "sso.scopes", scopes)?,
        group_claim: required(given, "sso.group_claim", text)?,
        email_domains: optional(given, "sso.email_domains", domains)?.unwrap_or_default(),
        link: required(given, "sso.link_accounts", link)?,
        session: required(given, "sso.session", duration)?,
    }))
}

/// Where another key about it was given.
fn stray(given: &mut Given) -> Option<ValueSource> {
    let keys = super::keys::KEYS.iter().map(|key| key.name);
    let mut found = keys
        .filter(|name| name.starts_with("sso."))
        .filter_map(|name| given.take(name));
    found.next().map(|value| value.place)
}

/// The text stays as it is: what the issuer calls itself is compared letter by letter.
fn issuer(text: &str) -> Result<String, String> {
    let wrong = || format!("must be an address like https://login.example.com/realm, not {text:?}");
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !url.has_host() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or password".into());
    }
    if !is_private(&url) {
        return Err("must begin with https://: who people are must not be changed on the way".into());
    }
    Ok(text.to_owned())
}

fn text(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err("must be a text of 1 to 200 characters".into());
    }
    Ok(text.to_owned())
}

/// It stands on a button, which has one line.
fn shown_name(given: &str) -> Result<String, String> {
    match text(given) {
        Ok(name) if name.chars().count() <= 30 => Ok(name),
        _ => Err("must be a text of 1 to 30 characters".into()),
    }
}

fn name(text: &str) -> Result<Name, String> {
    text.parse()
        .map_err(|_| format!("must be the name of a workspace, not {text:?}"))
}

fn role(text: &str) -> Result<Role, String> {
    text.parse()
        .map_err(|_| format!("must be viewer, developer, approver or admin, not {text:?}"))
}

fn scopes(text: &str) -> Result<String, String> {
    let all: Vec<&str> = text.split_whitespace().collect();
    let fine = |scope: &&str| {
        scope
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
    };
    if !all.contains(&"openid") || !all.iter().all(fine) {
        return Err(format!(
            "must be scopes separated by spaces, openid among them, not {text:?}"
        ));
    }
    Ok(all.join(" "))
}

fn domains(text: &str) -> Result<Vec<String>, String> {
    let wrong =
        || format!("must be domains separated by spaces, for example \"example.com example.org\", not {text:?}");
    let all = text.split(|c: char| c.is_whitespace() || c == ',');
    let all: Vec<String> = all.filter(|one| !one.is_empty()).map(str::to_lowercase).collect();
    let fine = |one: &String| !one.contains(['@', '/', '*', ':']) && !one.starts_with('.');
    if all.is_empty() || !all.iter().all(fine) {
        return Err(wrong());
    }
    Ok(all)
}

fn link(text: &str) -> Result<Link, String> {
    match text {
        "when_signed_in" => Ok(Link::WhenSignedIn),
        "by_verified_email" => Ok(Link::ByVerifiedEmail),
        _ => Err(format!("must be when_signed_in or by_verified_email, not {text:?}")),
    }
}
