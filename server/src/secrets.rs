//! Secrets at rest: connection passwords, tokens and keys are sealed before they reach the database.
//!
//! [`Sealer`] uses XChaCha20-Poly1305 with a random nonce per value. The caller names the place a value belongs to (its
//! *context*, for example `cluster/0198…/argocd_token`), which is authenticated along: a sealed value that is copied to
//! another row doesn't open there. The key comes from the configuration, or from a file made at the first start; without it
//! the sealed values are lost, so it belongs into backups, apart from the database. Whether it is the right one is asked at each start
//! (`startup/key.rs`).

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, Payload},
};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::{
    fs::DirBuilder,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Stands before every sealed value, so that another algorithm can follow one day.
const VERSION: &str = "v1";
const NONCE_BYTES: usize = 24;
/// More than any key file has.
const KEY_FILE_LIMIT: u64 = 4096;

/// The key: 32 bytes.
#[derive(Debug)]
pub struct EncryptionKey(SecretBox<[u8; 32]>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text isn't a key. The words fit after the name of what holds it.
    #[error("must be 32 bytes in base64, as printed by: head -c 32 /dev/urandom | base64")]
    Malformed,
    /// The file holds something else.
    #[error(
        "{} holds no key: it must be 32 bytes in base64. Restore it from a backup; without it, stored secrets cannot be read.", path.display()
    )]
    MalformedFile {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read or written.
    #[error("The encryption key {} cannot be read or created: {source}.", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is none, although something was sealed with one.
    #[error(
        "The encryption key {} is missing, and the database holds secrets that were encrypted with it. Put the key's back-up there, or \
         give the key with encryption_key. If it is lost for good, `waybill key replace` goes on with a new one; passwords and tokens of \
         connections then have to be entered again.", path.display()
    )]
    Lost {
        /// Where it should be.
        path: PathBuf,
    },
    /// The database's secrets were sealed with another one.
    #[error(
        "The encryption key {place} is not the one that the database's secrets were encrypted with. Give the server that key: the back-up \
         of its file, or the same encryption_key for every server of this database. If it is lost for good, `waybill key replace` goes \
         on with this one; passwords and tokens of connections then have to be entered again."
    )]
    Wrong {
        /// Where the key comes from, to go on after "the key".
        place: String,
    },
    /// The system gives no randomness.
    #[error("The system gave no random numbers, so no encryption key could be made.")]
    Random,
}

/// Why a value couldn't be sealed: the system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The system gave no random numbers, so the secret could not be encrypted.")]
pub struct SealError;

/// Why a sealed value doesn't open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no sealed value, or one of a newer release.
    #[error("A stored secret has an unknown form. Was the database written by a newer release?")]
    Unknown,
    /// Another key, another place, or changed bytes: which of them can't be told.
    #[error(
        "A stored secret cannot be decrypted. Check that the encryption key is the one it was stored with, or enter the secret again."
    )]
    Refused,
}

impl EncryptionKey {
    /// Reads a key as people write it: base64 of 32 bytes, with or without `=` at its end.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret().trim().trim_end_matches('=');
        let bytes = SecretBox::new(Box::new(STANDARD_NO_PAD.decode(text).map_err(|_| KeyError::Malformed)?));
        let key = <[u8; 32]>::try_from(bytes.expose_secret().as_slice()).map_err(|_| KeyError::Malformed)?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// Reads the key from its file, or makes one there: readable by its owner alone, complete or not there at all. `is_sealed` says that
    /// something was sealed already: then no key is made, because it would open nothing of that.
    ///
    /// # Errors
    /// When the file can't be read or written, holds something else, or is missing although something is sealed.
    pub fn read_or_create(path: &Path, is_sealed: bool) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        match read_key_file(path) {
            Ok(text) => return Self::from_file(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_sealed => {
                return Err(KeyError::Lost { path: path.to_owned() });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let key = Key::try_generate().map_err(|_| KeyError::Random)?;
        let text = SecretString::from(format!("{}\n", STANDARD.encode(key)));
        // Created with mode 0600, as the crate documents; it gets its name only when it is complete.
        let mut file = tempfile::Builder::new()
            .prefix(".encryption.key.")
            .tempfile_in(directory)
            .map_err(failed)?;
        file.write_all(text.expose_secret().as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        match file.persist_noclobber(path) {
            Ok(_) => {
                // The name must survive a power cut as well as the content does.
                std::fs::File::open(directory)
                    .and_then(|d| d.sync_all())
                    .map_err(failed)?;
            }
            // Another process was faster: its key is the key.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error.error)),
        }
        let text = read_key_file(path).map_err(failed)?;
        Self::from_file(path, &text)
    }

    fn from_file(path: &Path, text: &SecretString) -> Result<Self, KeyError> {
        Self::parse(text).map_err(|_| KeyError::MalformedFile { path: path.to_owned() })
    }
}

fn read_key_file(path: &Path) -> io::Result<SecretString> {
    let metadata = std::fs::metadata(path)?;
    if metadata.len() > KEY_FILE_LIMIT {
        return Err(io::Error::other("it is too large for a key"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "The encryption key can be read by others; give it mode 0600");
    }
    std::fs::read_to_string(path).map(Into::into)
}

/// Seals and opens values with one key.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

impl Sealer {
    /// A sealer with this key.
    #[must_use]
    pub fn new(key: &EncryptionKey) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.0.expose_secret().into()),
        }
    }

    /// Encrypts a value for the place that `context` names: `v1:` and base64, safe to store as text.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, context: &str, plaintext: &SecretString) -> Result<String, SealError> {
        let nonce = XNonce::try_generate().map_err(|_| SealError)?;
        let payload = Payload {
            msg: plaintext.expose_secret().as_bytes(),
            aad: &associated_data(context),
        };
        let ciphertext = self.cipher.encrypt(&nonce, payload).map_err(|_| SealError)?;
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(&ciphertext);
        Ok(format!("{VERSION}:{}", STANDARD_NO_PAD.encode(sealed)))
    }

    /// Decrypts what [`Sealer::seal`] made with the same key for the same context.
    ///
    /// # Errors
    /// When it is no such value.
    pub fn open(&self, context: &str, sealed: &str) -> Result<SecretString, OpenError> {
        let encoded = sealed
            .strip_prefix(VERSION)
            .and_then(|rest| rest.strip_prefix(':'))
            .ok_or(OpenError::Unknown)?;
        let bytes = STANDARD_NO_PAD.decode(encoded).map_err(|_| OpenError::Refused)?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Refused)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &associated_data(context),
        };
        let plaintext = self
            .cipher
            .decrypt(nonce.into(), payload)
            .map_err(|_| OpenError::Refused)?;
        String::from_utf8(plaintext)
            .map(Into::into)
            .map_err(|_| OpenError::Refused)
    }
}

fn associated_data(context: &str) -> Vec<u8> {
    format!("waybill:{VERSION}:{context}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "cluster/1/argocd_token";

    fn key(byte: u8) -> EncryptionKey {
        EncryptionKey::parse(&STANDARD.encode([byte; 32]).into()).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_with_the_same_key_in_the_same_place_only() {
        let sealer = Sealer::new(&key(1));
        for text in ["", "a token", "ä\n\0"] {
            let sealed = sealer.seal(CONTEXT, &text.into()).unwrap();
            assert!(sealed.starts_with("v1:") && (text.is_empty() || !sealed.contains(text)));
            assert_eq!(sealer.open(CONTEXT, &sealed).unwrap().expose_secret(), text);
            let refused = Some(OpenError::Refused);
            assert_eq!(Sealer::new(&key(2)).open(CONTEXT, &sealed).err(), refused);
            assert_eq!(sealer.open("cluster/2/argocd_token", &sealed).err(), refused);
            for end in 3..sealed.len() {
                assert_eq!(sealer.open(CONTEXT, &sealed[..end]).err(), refused, "{end}");
            }
        }
    }

    #[test]
    fn no_two_sealed_values_are_alike() {
        let sealer = Sealer::new(&key(1));
        let seal = || sealer.seal(CONTEXT, &"same".into()).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn changed_and_unknown_values_are_told_apart() {
        let sealer = Sealer::new(&key(1));
        let sealed = sealer.seal(CONTEXT, &"x".into()).unwrap();
        let last = if sealed.ends_with('A') { "B" } else { "A" };
        for (text, expected) in [
            (format!("v1:{last}{}", &sealed[4..]), OpenError::Refused),
            ("v1:***".into(), OpenError::Refused),
            (sealed.replace("v1:", "v2:"), OpenError::Unknown),
            ("plain".into(), OpenError::Unknown),
            (String::new(), OpenError::Unknown),
        ] {
            // The first character of the nonce may happen to be the replacement already.
            if text != sealed {
                assert_eq!(sealer.open(CONTEXT, &text).err(), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn keys_are_32_bytes_in_base64() {
        let whole = STANDARD.encode([7; 32]);
        for good in [
            whole.clone(),
            format!("{whole}\n"),
            whole.trim_end_matches('=').to_owned(),
        ] {
            assert!(EncryptionKey::parse(&good.clone().into()).is_ok(), "{good:?}");
        }
        for bad in [
            String::new(),
            "x".into(),
            STANDARD.encode([7; 31]),
            STANDARD.encode([7; 33]),
            "*".repeat(43),
        ] {
            assert!(EncryptionKey::parse(&bad.clone().into()).is_err(), "{bad:?}");
        }
        assert!(!format!("{:?}", key(7)).contains('7'));
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/encryption.key");
        let sealed = Sealer::new(&EncryptionKey::read_or_create(&path, false).unwrap())
            .seal(CONTEXT, &"kept".into())
            .unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let again = Sealer::new(&EncryptionKey::read_or_create(&path, false).unwrap());
        assert_eq!(again.open(CONTEXT, &sealed).unwrap().expose_secret(), "kept");
        let entries = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(entries, 1, "nothing else is left lying there");
        std::fs::remove_file(&path).unwrap();
        let lost = EncryptionKey::read_or_create(&path, true);
        assert!(
            matches!(lost, Err(KeyError::Lost { .. })),
            "no key is made that opens nothing"
        );
        assert!(!path.exists());
    }

    #[test]
    fn starts_at_the_same_time_agree_on_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("encryption.key");
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| *EncryptionKey::read_or_create(&path, false).unwrap().0.expose_secret()))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_damaged_key_file_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("encryption.key");
        std::fs::write(&path, "not a key").unwrap();
        let error = EncryptionKey::read_or_create(&path, false).unwrap_err().to_string();
        assert!(
            error.contains("holds no key") && !error.contains("not a key"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a key");
        let error = EncryptionKey::read_or_create(directory.path(), false).unwrap_err();
        assert!(matches!(error, KeyError::File { .. }), "{error}");
    }
}
