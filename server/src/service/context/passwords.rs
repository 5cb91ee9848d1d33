//! Hashing passwords, on threads of its own that each keep one buffer.
//!
//! A hash fills 19 MiB and takes a processor for some 20 ms. Buffers that are allocated for each hash, on whatever thread, stay with the
//! allocator for ever: 200 sign-ins took half a gigabyte. So a few threads do all of it ([`Passwords`]): each makes its buffer with its first
//! hash and fills it again for the next. Few may wait for them; whoever comes then is asked to come again in a moment.

use crate::service::context::faults::internal;
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use contract::error::AppError;
use secrecy::{ExposeSecret as _, SecretString};
use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};
use tokio::sync::oneshot;

/// Threads, at most. A machine with fewer processors has fewer: more of them hash no faster.
const MOST_THREADS: usize = 4;
/// Passwords that may wait for a thread.
const MOST_WAITING: usize = 64;
/// When to come again, where so many wait.
const BUSY_SECONDS: u64 = 5;
/// Fewest characters of a new password.
const SHORTEST: usize = 12;
/// Most bytes of a new password.
const LONGEST: usize = 1000;
/// What passwords of nobody are compared with, made as [`Passwords::hash`] would: what it was made of is text, and no password's hash.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$d2hvbSBub2JvZHkga25vdw$bm8gcGFzc3dvcmQgaGFzIGV2ZXIgYmVjb21lIHRoaXM";
/// What a thread is given to do, with its buffer.
type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

/// The threads that hash passwords. They end when this is dropped.
pub struct Passwords {
    jobs: SyncSender<Job>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

impl Passwords {
    /// Starts the threads. They take no memory worth mentioning until the first password is hashed.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn start() -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        Self::with(threads, MOST_WAITING)
    }

    fn with(threads: usize, waiting: usize) -> io::Result<Self> {
        let (jobs, line) = sync_channel::<Job>(waiting);
        let line = Arc::new(Mutex::new(line));
        for n in 0..threads {
            let line = Arc::clone(&line);
            thread::Builder::new()
                .name(format!("password-{n}"))
                .spawn(move || work(&line))?;
        }
        Ok(Self { jobs })
    }

    /// Hashes a password as it is stored: argon2id with the library's defaults, which follow OWASP's recommendation (19 MiB, 2
    /// passes), as a PHC string.
    ///
    /// # Errors
    /// When too many wait already, or the system gives no random numbers.
    pub async fn hash(&self, password: SecretString) -> Result<String, AppError> {
        self.run(move |buffer| hash(&password, buffer)).await?
    }

    /// Whether a password fits a stored hash. Without a hash it never does, which takes as long.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn fits(&self, password: SecretString, hash: Option<String>) -> Result<bool, AppError> {
        let against = hash.clone().unwrap_or_else(|| DECOY.to_owned());
        let fits = self.run(move |buffer| fits(&password, &against, buffer)).await?;
        Ok(fits && hash.is_some())
    }

    /// Has a thread do something slow with its buffer, when it is its turn.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |buffer| {
            // Who asked may be gone: a flood of requests that are broken off costs nothing.
            if !done.is_closed() {
                let _ = done.send(work(buffer));
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => AppError::Busy { seconds: BUSY_SECONDS },
            TrySendError::Disconnected(_) => internal(&io::Error::other("no thread hashes passwords any more")),
        })?;
        answer.await.map_err(|e| internal(&e))
    }
}

/// A thread: does what is in line, one after another, in its own buffer.
fn work(line: &Mutex<Receiver<Job>>) {
    let mut buffer = Vec::new();
    loop {
        let next = line.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A thread that ended would be missed for good. Whoever waits for this answer learns that there is none.
        if catch_unwind(AssertUnwindSafe(|| job(&mut buffer))).is_err() {
            tracing::error!("a thread that hashes passwords panicked");
        }
    }
}

/// The part of the buffer that a hash with these parameters fills, which grows to the largest there was: of stored hashes all have the same.
fn room<'a>(buffer: &'a mut Vec<Block>, params: &Params) -> &'a mut [Block] {
    let blocks = params.block_count();
    if buffer.len() < blocks {
        buffer.resize(blocks, Block::default());
    }
    &mut buffer[..blocks]
}

fn hash(password: &SecretString, buffer: &mut Vec<Block>) -> Result<String, AppError> {
    let failed = |e: password_hash::Error| internal(&e);
    let params = Params::default();
    let salt = password_hash::try_generate_salt().map_err(|e| internal(&e))?;
    let mut out = [0_u8; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2
        .hash_password_into_with_memory(
            password.expose_secret().as_bytes(),
            &salt,
            &mut out,
            room(buffer, &params),
        )
        .map_err(|e| internal(&e))?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(failed)?,
        salt: Some(Salt::new(&salt).map_err(|e| internal(&e))?),
        hash: Some(Output::new(&out).map_err(|e| internal(&e))?),
    };
    Ok(hash.to_string())
}

/// As the library's own verification does it (the parameters are the hash's, the comparison takes the same time wherever they differ).
fn fits(password: &SecretString, hash: &str, buffer: &mut Vec<Block>) -> bool {
    let mut computed = || -> Option<bool> {
        let hash = PasswordHash::new(hash).ok()?;
        let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = match hash.version {
            Some(version) => Version::try_from(version).ok()?,
            None => Version::default(),
        };
        let params = Params::try_from(&hash).ok()?;
        let mut out = vec![0_u8; expected.len()];
        Argon2::new(algorithm, version, params.clone())
            .hash_password_into_with_memory(
                password.expose_secret().as_bytes(),
                salt,
                &mut out,
                room(buffer, &params),
            )
            .ok()?;
        Some(Output::new(&out).ok()? == *expected)
    };
    computed().unwrap_or_default()
}

/// Whether a new password keeps the rules: long enough to withstand guessing, short enough to be hashed.
///
/// # Errors
/// What to do instead.
pub fn check_password(password: &SecretString) -> Result<(), &'static str> {
    let text = password.expose_secret();
    if text.chars().count() < SHORTEST {
        return Err("Use at least 12 characters; a few words are fine.");
    }
    if text.len() > LONGEST {
        return Err("Use at most 1,000 characters.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{PasswordHasher as _, PasswordVerifier as _};
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn passwords_are_hashed_with_argon2id_and_a_buffer_serves_many() {
        let passwords = Passwords::with(1, 8).unwrap();
        let right = || SecretString::from("correct horse");
        let mut hashes = Vec::new();
        for _ in 0..2 {
            let hash = passwords.hash(right()).await.unwrap();
            assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
            // The library itself, with a buffer of its own, agrees.
            let library = Argon2::default();
            let parsed = PasswordHash::new(&hash).unwrap();
            assert!(library.verify_password(b"correct horse", &parsed).is_ok());
            hashes.push(hash);
        }
        assert_ne!(hashes[0], hashes[1], "each has a salt of its own");
        assert!(passwords.fits(right(), Some(hashes[0].clone())).await.unwrap());
        assert!(
            !passwords
                .fits("battery staple".into(), Some(hashes[0].clone()))
                .await
                .unwrap()
        );
        assert!(!passwords.fits(right(), None).await.unwrap());
        let cost = |hash: &str| PasswordHash::new(hash).unwrap().params;
        assert_eq!(cost(DECOY), cost(&hashes[0]), "takes as long");
        for broken in ["", "$argon2id$", "$2b$05$7fL1PmELfD0G8iupnl1Tdu", "plain"] {
            assert!(!passwords.fits(right(), Some(broken.into())).await.unwrap(), "{broken}");
        }
    }

    #[tokio::test]
    async fn hashes_that_were_stored_before_still_fit() {
        let passwords = Passwords::with(1, 8).unwrap();
        // By the library's own way, with the defaults and with other parameters.
        let with = |memory, passes, lanes| Argon2::from(Params::new(memory, passes, lanes, None).unwrap());
        for library in [
            Argon2::default(),
            with(64, 1, 1),
            with(32 * 1024, 1, 2),
            Argon2::default(),
        ] {
            let stored = library.hash_password(b"correct horse").unwrap().to_string();
            assert!(
                passwords
                    .fits("correct horse".into(), Some(stored.clone()))
                    .await
                    .unwrap()
            );
            assert!(!passwords.fits("correct hors".into(), Some(stored)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn few_wait_and_who_left_costs_nothing() {
        let passwords = Arc::new(Passwords::with(1, 3).unwrap());
        let (begun, begins) = channel();
        let (go, gate) = channel::<()>();
        let first = tokio::spawn({
            let passwords = Arc::clone(&passwords);
            async move {
                let held = move |_: &mut Vec<Block>| {
                    begun.send(()).unwrap();
                    gate.recv().unwrap();
                };
                passwords.run(held).await
            }
        });
        tokio::task::spawn_blocking(move || begins.recv())
            .await
            .unwrap()
            .unwrap();
        let (did, done) = channel();
        let mut waiting = Vec::new();
        for n in 0..3 {
            let did = did.clone();
            waiting.push(Box::pin(passwords.run(move |_| did.send(n).unwrap())));
            // It stands in line from its first poll on.
            assert!(futures::poll!(waiting.last_mut().unwrap()).is_pending());
        }
        assert_eq!(
            passwords.run(|_| ()).await,
            Err(AppError::Busy { seconds: BUSY_SECONDS })
        );
        drop(waiting.remove(1));
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        for one in waiting {
            assert_eq!(one.await, Ok(()));
        }
        drop(did);
        assert_eq!(done.iter().collect::<Vec<_>>(), [0, 2]);
    }

    #[tokio::test]
    async fn a_thread_outlives_what_goes_wrong() {
        let passwords = Passwords::with(1, 3).unwrap();
        let lost: Result<(), AppError> = passwords.run(|_| panic!("meant")).await;
        assert!(matches!(lost, Err(AppError::Internal(_))), "{lost:?}");
        assert_eq!(passwords.run(|_| 7).await, Ok(7));
    }
}
