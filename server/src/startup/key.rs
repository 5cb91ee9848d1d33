//! Whether the encryption key is the one that the database's secrets were sealed with: asked before anything is served.
//!
//! The database holds a fixed text, sealed with the key. A database from before that is believed a key that opens one of its sealed values,
//! or any key when it holds none; then the text is written. Several servers on one database find other keys the same way.

use crate::{
    config::Config,
    secrets::{EncryptionKey, KeyError, Sealer},
    service::reach::sealed_context,
    store::{SealedValue, Store, StoreError, Tx},
};
use secrecy::{ExposeSecret as _, SecretString};

/// What the text is sealed for.
const CONTEXT: &str = "installation/encryption-key";

const TEXT: &str = "the key of this installation";

/// Why there is no key to go on with.
#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What seals and opens this database's secrets.
///
/// # Errors
/// When the key is not there although something is sealed, when it is another one, when it can't be read or made.
pub async fn sealer(config: &Config, store: &dyn Store) -> Result<Sealer, SealerError> {
    let mut tx = store.read().await?;
    let proof = tx.key_proof().await?;
    let is_sealed = proof.is_some() || !tx.sealed_values().await?.is_empty();
    drop(tx);
    let (sealer, place) = configured(config, is_sealed)?;
    match proof {
        Some(proof) => is_proven(&sealer, &proof, &place)?,
        None => adopt(&sealer, store, &place).await?,
    }
    Ok(sealer)
}

/// The configured key, else that in the data directory, and where it comes from. `is_sealed`: none is made, because another one was used.
fn configured(config: &Config, is_sealed: bool) -> Result<(Sealer, String), KeyError> {
    if let Some(key) = &config.encryption_key {
        return Ok((Sealer::new(key), "that encryption_key gives".to_owned()));
    }
    let file = config.default_encryption_key_file();
    let key = EncryptionKey::read_or_create(&file, is_sealed)?;
    Ok((Sealer::new(&key), format!("in {}", file.display())))
}

fn is_proven(sealer: &Sealer, proof: &str, place: &str) -> Result<(), KeyError> {
    match sealer.open(CONTEXT, proof) {
        Ok(text) if text.expose_secret() == TEXT => Ok(()),
        _ => Err(KeyError::Wrong {
            place: place.to_owned(),
        }),
    }
}

/// Writes the proof where there is none yet, once the key has opened something.
async fn adopt(sealer: &Sealer, store: &dyn Store, place: &str) -> Result<(), SealerError> {
    let mut tx = store.write().await?;
    // Another server may have been faster.
    if let Some(proof) = tx.key_proof().await? {
        return Ok(is_proven(sealer, &proof, place)?);
    }
    let (unopened, all) = unopened(sealer, &mut *tx).await?;
    if all > 0 && unopened.len() == all {
        return Err(KeyError::Wrong {
            place: place.to_owned(),
        }
        .into());
    }
    for value in &unopened {
        tracing::warn!(
            column = value.column.name(), of = %value.of, workspace = value.workspace.as_deref(),
            "a stored secret was sealed with another key and has to be entered again"
        );
    }
    prove(sealer, &mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

async fn prove(sealer: &Sealer, tx: &mut dyn Tx) -> Result<(), SealerError> {
    let proof = sealer
        .seal(CONTEXT, &SecretString::from(TEXT))
        .map_err(|_| KeyError::Random)?;
    Ok(tx.set_key_proof(&proof).await?)
}

/// The sealed values that this key doesn't open, and how many there are in all.
async fn unopened(sealer: &Sealer, tx: &mut dyn Tx) -> Result<(Vec<SealedValue>, usize), StoreError> {
    let values = tx.sealed_values().await?;
    let all = values.len();
    let is_closed = |value: &SealedValue| {
        let context = sealed_context(value.column, &value.id);
        sealer.open(&context, &value.sealed).is_err()
    };
    Ok((values.into_iter().filter(is_closed).collect(), all))
}

/// Goes on with the configured key, or a new one, whatever the database's secrets were sealed with; returns those that it doesn't open.
///
/// # Errors
/// When the key can't be read or made, or the database fails.
pub async fn replace(config: &Config, store: &dyn Store) -> Result<Vec<SealedValue>, SealerError> {
    let (sealer, _) = configured(config, false)?;
    let mut tx = store.write().await?;
    let (unopened, _) = unopened(&sealer, &mut *tx).await?;
    prove(&sealer, &mut *tx).await?;
    tx.commit().await?;
    Ok(unopened)
}
