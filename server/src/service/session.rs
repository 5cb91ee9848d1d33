//! Signing in with a local account, and the first account.

use super::{Caller, Services, caller::person, internal, member::join_as_administrator};
use crate::store::{NewEvent, User};
use app::{api::session::Me, error::AppError};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use domain::{
    door::{Door, Entrance},
    event::{Happened, Subject},
    field::FieldErrors,
    id::UserId,
    promotion::Actor,
    time::Timestamp,
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// Failed sign-ins in this span count.
const WINDOW_MILLIS: i64 = 5 * 60 * 1000;
/// Fewest characters of a new password.
const SHORTEST_PASSWORD: usize = 12;
/// Most bytes of a new password.
const LONGEST_PASSWORD: usize = 1000;
/// Most addresses that are remembered; beyond it the oldest are forgotten, so that a flood can't fill the memory.
const MOST_KEYS: usize = 50_000;
/// How often what no longer counts is forgotten.
const PRUNE_EVERY_MILLIS: i64 = 60_000;
/// Passwords that are checked at once: each takes 19 MiB and a processor's whole attention for some 20 ms.
const MOST_HASHED: usize = 4;
/// Those that may wait for it; whoever comes then is sent away for a moment.
const MOST_WAITING: usize = 200;

/// Counts failed sign-ins per e-mail and per network address, in this process; and lets few passwords be hashed at once.
#[derive(Debug)]
pub struct SignInLimit {
    most: usize,
    failures: Mutex<Failures>,
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
}

/// When which key failed, oldest first.
#[derive(Debug, Default)]
struct Failures {
    times: HashMap<String, Vec<Timestamp>>,
    pruned_at: Timestamp,
}

impl Failures {
    /// Forgets what no longer counts, now and then; and the oldest, where there are too many.
    fn prune(&mut self, now: Timestamp) {
        let counts = |times: &Vec<Timestamp>| times.last().is_some_and(|at| now.millis_since(*at) < WINDOW_MILLIS);
        if now.millis_since(self.pruned_at) >= PRUNE_EVERY_MILLIS || self.times.len() >= MOST_KEYS {
            self.times.retain(|_, times| counts(times));
            self.pruned_at = now;
        }
        if self.times.len() >= MOST_KEYS {
            let mut newest: Vec<Timestamp> = self.times.values().filter_map(|times| times.last().copied()).collect();
            newest.sort_unstable();
            // An eighth at once, so that this is seldom done.
            let limit = newest.get(MOST_KEYS / 8).copied().unwrap_or(now);
            self.times.retain(|_, times| times.last().is_some_and(|at| *at > limit));
        }
    }
}

impl SignInLimit {
    /// Allows `most` failures in five minutes for one e-mail or network address.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            failures: Mutex::default(),
            hashing: Arc::new(Semaphore::new(MOST_HASHED)),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// Whether another try is allowed for all of `keys`; counts it as failed until [`SignInLimit::succeeded`] takes it back, so that
    /// tries made at once are all counted.
    ///
    /// # Errors
    /// After too many failures: how long to wait.
    pub(crate) fn begin(&self, keys: &[String], now: Timestamp) -> Result<(), AppError> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let Some(times) = failures.times.get_mut(key) else {
                continue;
            };
            times.retain(|at| now.millis_since(*at) < WINDOW_MILLIS);
            if times.len() >= self.most {
                let oldest = times.first().copied().unwrap_or(now);
                let millis = (WINDOW_MILLIS - now.millis_since(oldest)).max(1000);
                return Err(AppError::TooMany {
                    seconds: u64::try_from(millis / 1000).unwrap_or(1),
                });
            }
        }
        failures.prune(now);
        for key in keys {
            failures.times.entry(key.clone()).or_default().push(now);
        }
        Ok(())
    }

    /// Does slow work with a password beside the threads that answer requests, when it is its turn.
    ///
    /// # Errors
    /// When too many wait already.
    pub(crate) async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let busy = || AppError::TooMany { seconds: 5 };
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let turn = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| busy())?;
        // The turn lasts as long as the work, also when nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|e| internal(&e))
    }

    pub(crate) fn succeeded(&self, keys: &[String]) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if let Entry::Occupied(mut times) = failures.times.entry(key.clone()) {
                times.get_mut().pop();
                if times.get().is_empty() {
                    times.remove();
                }
            }
        }
    }
}

/// The key of a network address. Of IPv6 somebody has at least a whole /64: its addresses are one.
pub(super) fn address_key(from: &str) -> String {
    match from.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            format!("address {network}/64")
        }
        Ok(address) => format!("address {address}"),
        Err(_) => format!("address {from}"),
    }
}

/// Hashes a password: argon2id with the library's defaults, which follow OWASP's recommendation (19 MiB, 2 passes).
///
/// # Errors
/// When the library fails.
pub fn hash_password(password: &SecretString) -> Result<String, AppError> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|e| AppError::Internal(format!("password: {e}")))
}

pub(crate) fn matches(password: &SecretString, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose_secret().as_bytes(), &hash)
            .is_ok()
    })
}

/// Whether a new password keeps the rules: long enough to withstand guessing, short enough to be hashed.
///
/// # Errors
/// What to do instead.
pub fn check_password(password: &SecretString) -> Result<(), &'static str> {
    let text = password.expose_secret();
    if text.chars().count() < SHORTEST_PASSWORD {
        return Err("Use at least 12 characters; a few words are fine.");
    }
    if text.len() > LONGEST_PASSWORD {
        return Err("Use at most 1,000 characters.");
    }
    Ok(())
}

/// An e-mail address as it is stored and compared.
#[must_use]
pub fn normalised_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Bytes of an e-mail address, at most: RFC 5321 allows no more.
const LONGEST_EMAIL: usize = 254;

impl Services {
    /// Checks address and password; `from` is the network address. Returns who it is.
    ///
    /// # Errors
    /// When they are wrong (which of them isn't said), or after too many tries.
    pub async fn sign_in(&self, email: &str, password: SecretString, from: &str) -> Result<UserId, AppError> {
        let email = normalised_email(email);
        let mut missing = FieldErrors::default();
        if email.is_empty() {
            missing.add("email", "Enter your e-mail address.");
        } else if email.len() > LONGEST_EMAIL {
            missing.add("email", "This is no e-mail address: it is too long.");
        }
        if password.expose_secret().is_empty() {
            missing.add("password", "Enter your password.");
        }
        missing.into_result()?;

        let now = self.now();
        let keys = [format!("email {email}"), address_key(from)];
        self.sign_ins.begin(&keys, now)?;
        let user = self.store.read().await?.user_by_email(&email).await?;
        // An unknown address, or an account that has no password, costs as long as a wrong one, so that the answer's time says nothing.
        let known = user.as_ref().filter(|user| user.has_password());
        let hash = known.map(|user| user.password_hash.clone());
        let check = move || -> Result<bool, AppError> { Ok(matches(&password, &hash.map_or_else(decoy, Ok)?)) };
        let fits = match self.sign_ins.hash(check).await {
            Ok(fits) => fits,
            Err(busy) => {
                // Nothing was tried.
                self.sign_ins.succeeded(&keys);
                return Err(busy);
            }
        };
        let fits = fits?;
        let entrance = Entrance {
            door: Door::Browser,
            address: Some(from.to_owned()),
        };
        let known = user.as_ref().map(|user| user.id);
        let Some(user) = user.filter(|user| fits && user.active) else {
            tracing::warn!(address = %from, "a sign-in failed");
            if let Some(id) = known {
                // Beside the answer, whose time says nothing of whether there is such an account.
                let services = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = services.tell_of_failure(id, email, &entrance).await {
                        tracing::error!(%error, "a failed sign-in could not be recorded");
                    }
                });
            }
            return Err(FieldErrors::one("password", "The e-mail address or the password is wrong.").into());
        };
        self.sign_ins.succeeded(&keys);
        let actor = person(&user);
        let mut tx = self.write_through(&entrance).await?;
        // While it was checked, the password may have been changed, or the account closed.
        let is_same = |now: &User| now.active && now.password_hash == user.password_hash;
        if !tx.user(user.id).await?.as_ref().is_some_and(is_same) {
            return Err(FieldErrors::one("password", "The e-mail address or the password is wrong.").into());
        }
        for (workspace, _) in tx.memberships(user.id).await? {
            let happened = Happened::SignedIn { through: None };
            let event = NewEvent {
                workspace: workspace.id,
                subject: Subject::default(),
                actor: actor.clone(),
                happened,
            };
            tx.append_event(&event, now).await?;
        }
        tx.delete_expired_sessions(now).await?;
        tx.commit().await?;
        Ok(user.id)
    }

    /// Writes into the ledgers of a person's workspaces that somebody tried to sign in as them.
    pub(super) async fn tell_of_failure(&self, id: UserId, email: String, entrance: &Entrance) -> Result<(), AppError> {
        let now = self.now();
        let mut tx = self.write_through(entrance).await?;
        for (workspace, _) in tx.memberships(id).await? {
            let event = NewEvent {
                workspace: workspace.id,
                subject: Subject::default(),
                actor: Actor::Waybill,
                happened: Happened::SignInFailed { email: email.clone() },
            };
            tx.append_event(&event, now).await?;
        }
        tx.commit().await?;
        self.wrote();
        Ok(())
    }

    /// The caller behind a signed-in session; `None` when the account is gone or may no longer sign in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn caller_of_user(&self, id: UserId) -> Result<Option<Caller>, AppError> {
        let mut tx = self.store.read().await?;
        let Some(user) = tx.user(id).await?.filter(|user| user.active) else {
            return Ok(None);
        };
        Ok(Some(Caller::of(&mut *tx, &user).await?))
    }

    /// Makes the first account when there is none: an administrator of every workspace there is and of those made
    /// later by applying configuration as this person. Without a password one is made up and returned, to be shown once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_administrator(
        &self,
        email: Option<&str>,
        password: Option<&SecretString>,
    ) -> Result<Option<(String, SecretString)>, AppError> {
        if self.store.read().await?.count_users().await? > 0 {
            return Ok(None);
        }
        let email = normalised_email(email.unwrap_or("admin@waybill.local"));
        let made_up = password.is_none().then(|| SecretString::from(random_text(24)));
        let password = password.or(made_up.as_ref()).cloned().unwrap_or_default();
        let hash = self.sign_ins.hash(move || hash_password(&password)).await??;
        let name = email.split('@').next().unwrap_or("admin").to_owned();
        let user = User {
            id: UserId(self.ids.next()),
            email: email.clone(),
            name,
            password_hash: hash,
            active: true,
            created_at: self.now(),
        };
        let mut tx = self.store.write().await?;
        // Another server may start for the first time too.
        if tx.count_users().await? > 0 {
            return Ok(None);
        }
        tx.insert_user(&user).await?;
        for workspace in tx.workspaces().await? {
            join_as_administrator(&mut *tx, &workspace, &user, self.now()).await?;
        }
        tx.commit().await?;
        self.wrote();
        Ok(made_up.map(|password| (email, password)))
    }
}

/// What pages show of a caller.
#[must_use]
pub fn me(caller: &Caller) -> Me {
    let email = match &caller.actor {
        Actor::Person { email, .. } => email.clone(),
        _ => String::new(),
    };
    let workspaces = caller
        .access
        .iter()
        .map(|(workspace, role)| (workspace.name.clone(), *role))
        .collect();
    Me {
        name: caller.actor.name().to_owned(),
        email,
        workspaces,
    }
}

/// A hash that no password fits, made once.
fn decoy() -> Result<String, AppError> {
    static DECOY: std::sync::OnceLock<Result<Arc<str>, AppError>> = std::sync::OnceLock::new();
    DECOY
        .get_or_init(|| hash_password(&random_text(32).into()).map(Arc::from))
        .clone()
        .map(|hash| hash.to_string())
}

/// Letters and digits from the operating system's random numbers, without those that look alike.
fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0_u8; length];
    // Without random numbers from the system nothing here is safe; it fails only where the system lacks them altogether.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gave no random numbers");
        std::process::abort();
    }
    bytes
        .iter()
        .map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_failures_close_the_door_for_a_while() {
        let limit = SignInLimit::new(3);
        let keys = ["email a".to_owned(), "address b".to_owned()];
        let at = Timestamp(1_000_000);
        for _ in 0..3 {
            assert_eq!(limit.begin(&keys, at), Ok(()));
        }
        assert_eq!(
            limit.begin(&keys, at.plus_millis(60_000)),
            Err(AppError::TooMany { seconds: 240 })
        );
        assert!(
            limit
                .begin(&["address c".to_owned(), "email a".to_owned()], at)
                .is_err()
        );
        assert_eq!(limit.begin(&keys, at.plus_millis(WINDOW_MILLIS)), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        assert_eq!(address_key("2001:db8:1:2::5"), address_key("2001:db8:1:2:ffff::1"));
        assert_ne!(address_key("2001:db8:1:2::5"), address_key("2001:db8:1:3::5"));
        assert_eq!(address_key("::ffff:192.0.2.1"), address_key("192.0.2.1"));
        assert_ne!(address_key("192.0.2.1"), address_key("192.0.2.2"));
    }

    #[test]
    fn what_no_longer_counts_is_forgotten_and_a_flood_takes_only_the_oldest() {
        let limit = SignInLimit::new(3);
        let remembered = || limit.failures.lock().unwrap().times.len();
        let at = Timestamp(1_000_000_000);
        let flood = i64::try_from(MOST_KEYS).unwrap() * 2;
        for n in 0..flood {
            let now = at.plus_millis(n / 1000);
            limit.begin(&[format!("email {n}")], now).unwrap();
            assert!(remembered() <= MOST_KEYS);
        }
        // The newest still count.
        let last = [format!("email {}", flood - 1)];
        let now = at.plus_millis(flood / 1000);
        assert_eq!(limit.begin(&last, now), Ok(()));
        assert_eq!(limit.begin(&last, now), Ok(()));
        assert!(limit.begin(&last, now).is_err());
        // Later nothing of it is left.
        limit
            .begin(&["email x".to_owned()], now.plus_millis(WINDOW_MILLIS))
            .unwrap();
        assert_eq!(remembered(), 1);
    }

    #[tokio::test]
    async fn few_passwords_are_hashed_at_once_and_few_wait() {
        let limit = Arc::new(SignInLimit::new(3));
        let now = Arc::new(Mutex::new((0_usize, 0_usize)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..MOST_WAITING + 100 {
            let (limit, now) = (limit.clone(), now.clone());
            tasks.spawn(async move {
                let work = move || {
                    {
                        let mut now = now.lock().unwrap();
                        now.0 += 1;
                        now.1 = now.1.max(now.0);
                    }
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    now.lock().unwrap().0 -= 1;
                };
                limit.hash(work).await.is_ok()
            });
        }
        let done = tasks.join_all().await;
        assert!(now.lock().unwrap().1 <= MOST_HASHED);
        assert!(done.iter().filter(|done| **done).count() >= MOST_WAITING);
        assert!(done.iter().any(|done| !done), "the others were sent away");
    }

    #[test]
    fn successes_do_not_count() {
        let limit = SignInLimit::new(2);
        let keys = ["email a".to_owned()];
        for _ in 0..10 {
            assert_eq!(limit.begin(&keys, Timestamp(5)), Ok(()));
            limit.succeeded(&keys);
        }
    }

    #[test]
    fn passwords_are_hashed_with_argon2id() {
        let hash = hash_password(&"correct horse".to_owned().into()).unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(matches(&"correct horse".to_owned().into(), &hash));
        assert!(!matches(&"battery staple".to_owned().into(), &hash));
    }
}
