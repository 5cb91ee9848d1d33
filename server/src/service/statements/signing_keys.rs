//! The key of this installation that signs its statements: made or given on the command line, for all workspaces. Another key takes its place;
//! the public half of each stays, because what it signed is still there.

use crate::{
    ports::clock::Clock,
    secrets::Sealer,
    service::{
        context::{Services, internal},
        reach::{signing_key_context, unseal},
    },
    signature::SigningKey,
    store::{NewEvent, SigningKeyRecord, Store, Tx},
};
use contract::error::AppError;
use domain::{
    door::{Door, Entrance},
    event::{Happened, Subject},
    promotion::Actor,
};
use secrecy::SecretString;

/// Characters of a fingerprint that addresses and people use.
const SHORT: usize = 16;

/// A key to sign with from now on.
#[derive(Debug)]
pub enum NewSigningKey {
    /// One that is made now.
    Generated,
    /// A private key, PEM.
    Given(SecretString),
}

/// Has another key sign statements. Works on the database itself. Returns it; only its public half is of use to others.
///
/// # Errors
/// When what is given is no key that can sign, when there is one already and it shall not be replaced, when the database fails.
pub async fn set_signing_key(
    store: &dyn Store,
    clock: &dyn Clock,
    sealer: &Sealer,
    new: NewSigningKey,
    replaces: bool,
) -> Result<SigningKeyRecord, AppError> {
    let (key, private) = match new {
        NewSigningKey::Generated => SigningKey::generate().map_err(|e| internal(&e))?,
        NewSigningKey::Given(text) => {
            let key = SigningKey::read(&text).map_err(|why| AppError::Conflict(why.into()))?;
            (key, text)
        }
    };
    let fingerprint = key.fingerprint();
    let sealed = sealer.seal(&signing_key_context(&fingerprint), &private);
    let now = clock.now();
    let record = SigningKeyRecord {
        public_key: key.public_pem(),
        private_key: Some(sealed.map_err(|e| internal(&e))?),
        fingerprint,
        created_at: now,
        retired_at: None,
    };
    let mut tx = store.write().await?;
    tx.entered_by(&Entrance::by(Door::CommandLine));
    let before = tx.signing_key().await?;
    if let Some(before) = &before {
        if !replaces && before.fingerprint == record.fingerprint {
            return Err(AppError::Conflict("This key signs already.".into()));
        }
        if !replaces {
            return Err(AppError::Conflict(format!(
                "There is a signing key already, {}. To have another sign from now on, add --replace: what the old one signed stays valid, and its public half stays where it is served.",
                shortened(&before.fingerprint)
            )));
        }
    }
    tx.set_signing_key(&record, now).await?;
    // The same key once more is only encrypted anew: after the encryption key was lost.
    if before
        .as_ref()
        .is_some_and(|before| before.fingerprint == record.fingerprint)
    {
        tx.commit().await?;
        return Ok(record);
    }
    for workspace in tx.workspaces().await? {
        let event = NewEvent {
            workspace: workspace.id,
            subject: Subject::default(),
            actor: Actor::Waybill,
            happened: Happened::SigningKeySet {
                key: shortened(&record.fingerprint),
                before: before.as_ref().map(|before| shortened(&before.fingerprint)),
            },
        };
        tx.append_event(&event, now).await?;
    }
    tx.commit().await?;
    Ok(record)
}

/// The key that signs now; `None` when there is none.
///
/// # Errors
/// When the database fails, or the key can't be opened.
pub(crate) async fn signing_key(services: &Services, tx: &mut dyn Tx) -> Result<Option<SigningKey>, AppError> {
    let Some(record) = tx.signing_key().await? else {
        return Ok(None);
    };
    let Some(sealed) = &record.private_key else {
        return Ok(None);
    };
    let text = unseal(services, &signing_key_context(&record.fingerprint), sealed)?;
    let key = SigningKey::read(&text).map_err(|why| internal(&std::io::Error::other(why)))?;
    Ok(Some(key))
}

/// All keys there ever were, the one that signs now first, for whoever wants to verify.
///
/// # Errors
/// When the database fails.
pub async fn public_keys(services: &Services) -> Result<Vec<SigningKeyRecord>, AppError> {
    Ok(services.store.read().await?.signing_keys().await?)
}

/// The public key whose fingerprint begins so, PEM.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn public_key_called(services: &Services, name: &str) -> Result<String, AppError> {
    let keys = public_keys(services).await?;
    let found = keys.into_iter().find(|key| shortened(&key.fingerprint) == name);
    found
        .map(|key| key.public_key)
        .ok_or_else(|| AppError::NotFound("There is no such key.".into()))
}

/// How a key is called: the beginning of its fingerprint.
#[must_use]
pub fn shortened(fingerprint: &str) -> String {
    fingerprint.get(..SHORT).unwrap_or(fingerprint).to_owned()
}
