//! `waybill keys generate`, `import` and `public`: the key that signs what Waybill states about promotions. On the database itself; the server
//! may be running, and signs with the new key from the next statement on.

use super::{Failure, chain, load_config, token};
use crate::{
    adapters::system::System,
    service::statements::{self, NewSigningKey},
    startup,
    store::SigningKeyRecord,
};
use contract::error::AppError;
use secrecy::SecretString;
use std::{
    io::{Read as _, Write as _},
    path::Path,
};

/// Bytes of a key's file, at most.
const LARGEST: u64 = 64 * 1024;

/// Makes a key, has it sign, and prints its public half.
pub(super) async fn generate(replace: bool, config: Option<&Path>) -> Result<(), Failure> {
    set(NewSigningKey::Generated, replace, config).await
}

/// Has the key of a file sign, and prints its public half.
pub(super) async fn import(file: &Path, replace: bool, config: Option<&Path>) -> Result<(), Failure> {
    let unread = |e: std::io::Error| Failure::Usage(format!("{}: {e}.", file.display()));
    let mut text = String::new();
    if file == Path::new("-") {
        (std::io::stdin().take(LARGEST).read_to_string(&mut text)).map_err(unread)?;
    } else {
        let opened = std::fs::File::open(file).map_err(unread)?;
        opened.take(LARGEST).read_to_string(&mut text).map_err(unread)?;
    }
    set(NewSigningKey::Given(SecretString::from(text)), replace, config).await
}

async fn set(new: NewSigningKey, replace: bool, config: Option<&Path>) -> Result<(), Failure> {
    let config = load_config(config)?;
    let store = token::open(&config).await?;
    let sealer = startup::key::sealer(&config, &*store).await;
    let sealer = sealer.map_err(|e| Failure::Failed(chain(&e)))?;
    let key = statements::set_signing_key(&*store, &System, &sealer, new, replace).await;
    let key = key.map_err(|error| match error {
        AppError::Conflict(why) => Failure::Usage(why),
        other => Failure::Failed(other.to_string()),
    })?;
    let name = statements::shortened(&key.fingerprint);
    let _ = writeln!(
        std::io::stderr(),
        "The key {name} signs from now on. Its private half is in the database, encrypted. This is its public half:"
    );
    print(&key)
}

/// Prints the public half of the key that signs now; with `all`, of every key there ever was.
pub(super) async fn public(all: bool, config: Option<&Path>) -> Result<(), Failure> {
    let config = load_config(config)?;
    let store = token::open(&config).await?;
    let failed = |e: &dyn std::fmt::Display| Failure::Failed(e.to_string());
    let mut tx = store.read().await.map_err(|e| failed(&e))?;
    let mut keys = tx.signing_keys().await.map_err(|e| failed(&e))?;
    if !all {
        keys.retain(|key| key.retired_at.is_none());
    }
    if keys.is_empty() {
        return Err(Failure::Failed(
            "There is no signing key. Make one with: waybill keys generate".into(),
        ));
    }
    keys.iter().try_for_each(print)
}

fn print(key: &SigningKeyRecord) -> Result<(), Failure> {
    let printed = write!(std::io::stdout(), "{}", key.public_key);
    printed.map_err(|e| Failure::Failed(format!("The key could not be printed: {e}.")))
}
