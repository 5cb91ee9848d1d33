//! How a server is set up: a TOML file, `WAYBILL_*` variables, and defaults, in that rising order of distance.
//!
//! `keys` is the one table of what may be set, `given` collects what was, and [`Config`] is what it means. A wrong or unknown
//! key never starts a server: each error is one sentence with the file, the line and the key, or the variable.
//! For people: `docs/configuration.md`, which a test holds to the table.

mod creators;
mod given;
mod keys;
mod limits;
mod network;
mod sso;

use crate::{
    adapters::mail::{self, Encryption, MailSettings},
    secrets::EncryptionKey,
};
pub use creators::Creators;
use given::{Given, Value, ValueSource};
use keys::{DefaultValue, KEYS};
pub use limits::Limits;
pub use network::Network;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
pub use sso::{Link, SsoConfig};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// Why a server can't be set up as asked.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("The configuration {} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file isn't TOML.
    #[error("{}, line {line}: this is not valid TOML ({reason}).", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A key that doesn't exist.
    #[error("{}, line {line}: there is no key {key}.{suggestion}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// As it was written, with its table.
        key: String,
        /// The nearest known key as a question, or nothing.
        suggestion: String,
    },
    /// A variable that doesn't exist.
    #[error("There is no variable {variable}.{suggestion}")]
    UnknownVariable {
        /// Its name.
        variable: String,
        /// The nearest known variable as a question, or nothing.
        suggestion: String,
    },
    /// A value that can't be used.
    #[error("{place} {problem}.")]
    Wrong {
        /// File, line and key, or the variable.
        place: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A secret given directly and as a file.
    #[error("{one} and {other} are both given; give only one of them.")]
    Both {
        /// Where the secret itself is given.
        one: String,
        /// Where its file is given.
        other: String,
    },
}

/// Everything a server needs to know before it starts.
#[derive(Debug)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address people use, without a slash at its end; see [`Config::public_url`].
    pub public_url: Option<String>,
    /// Proxies that are believed when they say from where a request comes.
    pub trusted_proxies: Vec<Network>,
    /// Where health and metrics are answered too, whatever goes on at `listen`.
    pub ops_listen: Option<SocketAddr>,
    /// Whether metrics are also answered at `listen`.
    pub public_metrics: bool,
    /// Limits of connections; two of them can be set.
    pub connections: Limits,
    /// Where the server keeps its files.
    pub data_dir: PathBuf,
    /// Where styles, scripts and `pkg/` lie.
    pub site_dir: PathBuf,
    /// Where state is stored.
    pub database: Database,
    /// The key that secrets are encrypted with, when it was given; see [`Config::default_encryption_key_file`].
    pub encryption_key: Option<EncryptionKey>,
    /// E-mail of the administrator that the first start creates.
    pub admin_email: Option<String>,
    /// The administrator's password; without one the first start makes one up and prints it.
    pub admin_password: Option<SecretString>,
    /// Who may create workspaces, beside the command line.
    pub workspaces_create: Creators,
    /// Whom people may sign in through, beside local accounts.
    pub sso: Option<SsoConfig>,
    /// How often tags are looked up, in case a notification got lost.
    pub registry_poll_interval: Duration,
    /// What registries must present at the webhook; none closes it.
    pub registry_webhook_secret: Option<SecretString>,
    /// What Git hosts sign their pushes with; without it the webhook is closed.
    pub git_webhook_secret: Option<SecretString>,
    /// How often Git repositories are fetched, in case a notification got lost.
    pub git_poll_interval: Duration,
    /// Folders in which GitOps repositories may be used by path, absolute; none turns that off.
    pub git_local_paths: Vec<PathBuf>,
    /// How long Argo CD may take to sync a promotion's commit.
    pub promotion_sync_timeout: Duration,
    /// How long a synced promotion may take to become healthy.
    pub promotion_verify_timeout: Duration,
    /// How long health must hold before a promotion has succeeded.
    pub promotion_stable_for: Duration,
    /// The mail server, when there is one.
    pub smtp: Option<MailSettings>,
    /// Whether notifications may be sent to private networks, and to this machine.
    pub allow_private_targets: bool,
    /// Sign-in attempts per 5 minutes, per network address and per e-mail address.
    pub sign_in_attempts: u32,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// What is logged: a level, or directives like `info,server::worker=debug`.
    pub log_level: String,
    /// Where traces go, without the path: an OpenTelemetry collector that takes OTLP over HTTP.
    pub otlp_endpoint: Option<String>,
}

/// Where state is stored.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file, created when missing.
    Sqlite(PathBuf),
    /// The address of a PostgreSQL database; it may hold a password.
    Postgres(SecretString),
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Reads the file, if one is named, and the environment (`std::env::vars_os()`), which wins over the file.
    ///
    /// # Errors
    /// At the first thing that is unknown, malformed, contradictory or unreadable.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut given = Given::read(file, environment)?;
        let data_dir = required(&mut given, "data_dir", path)?;
        let admin_email = optional(&mut given, "admin.email", email)?;
        let admin_password = given.take_secret("admin.password")?;
        if let (None, Some((_, place))) = (&admin_email, &admin_password) {
            return Err(place.wrong("is given without admin.email, so there is nobody whose password it could be"));
        }
        let encryption_key = match given.take_secret("encryption_key")? {
            Some((text, place)) => Some(EncryptionKey::parse(&text).map_err(|e| place.wrong(e.to_string()))?),
            None => None,
        };
        let database = match given.take_secret("database.url")? {
            Some((text, place)) => database(text.expose_secret()).map_err(|problem| place.wrong(problem))?,
            None => Database::Sqlite(data_dir.join("waybill.db")),
        };
        Ok(Self {
            listen: required(&mut given, "listen", listen)?,
            public_url: optional(&mut given, "public_url", public_url)?,
            trusted_proxies: optional(&mut given, "trusted_proxies", networks)?.unwrap_or_default(),
            ops_listen: optional(&mut given, "ops.listen", listen)?,
            public_metrics: required(&mut given, "ops.public_metrics", yes_or_no)?,
            connections: Limits {
                total: required(&mut given, "limits.connections", connections)?,
                per_address: required(&mut given, "limits.connections_per_address", connections)?,
                ..Limits::default()
            },
            site_dir: required(&mut given, "site_dir", path)?,
            database,
            encryption_key,
            admin_email,
            admin_password: admin_password.map(|(secret, _)| secret),
            workspaces_create: required(&mut given, "workspaces.create", str::parse)?,
            sso: sso::read(&mut given)?,
            registry_poll_interval: required(&mut given, "registry.poll_interval", duration)?,
            registry_webhook_secret: given.take_secret("registry.webhook_secret")?.map(|(secret, _)| secret),
            git_webhook_secret: given.take_secret("git.webhook_secret")?.map(|(secret, _)| secret),
            git_poll_interval: required(&mut given, "git.poll_interval", duration)?,
            git_local_paths: optional(&mut given, "git.local_paths", folders)?.unwrap_or_default(),
            promotion_sync_timeout: required(&mut given, "promotion.sync_timeout", duration)?,
            promotion_verify_timeout: required(&mut given, "promotion.verify_timeout", duration)?,
            promotion_stable_for: required(&mut given, "promotion.stable_for", duration)?,
            smtp: smtp(&mut given)?,
            allow_private_targets: required(&mut given, "notifications.allow_private_targets", yes_or_no)?,
            sign_in_attempts: required(&mut given, "limits.sign_in_attempts", attempts)?,
            log_format: required(&mut given, "log.format", log_format)?,
            log_level: required(&mut given, "log.level", log_level)?,
            otlp_endpoint: optional(&mut given, "otlp.endpoint", collector)?,
            data_dir,
        })
    }

    /// The address people use: as given, else `http://` and the address that the server really listens on.
    #[must_use]
    pub fn public_url(&self, listening: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{listening}"))
    }

    /// Whether cookies are for encrypted connections only: people come over https.
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        self.public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"))
    }

    /// Where the encryption key lies when none was given; created at the first start.
    #[must_use]
    pub fn default_encryption_key_file(&self) -> PathBuf {
        self.data_dir.join("encryption.key")
    }
}

type Parse<T> = fn(&str) -> Result<T, String>;

/// A key with a default: what was given, else the table's text, read the same way.
fn required<T>(given: &mut Given, name: &'static str, parse: Parse<T>) -> Result<T, ConfigError> {
    let value = given.take(name).or_else(|| {
        let key = KEYS.iter().find(|key| key.name == name)?;
        match key.default {
            DefaultValue::Text(text) => Some(Value {
                text: text.to_owned(),
                place: ValueSource::Default(name),
            }),
            DefaultValue::Words(_) => None,
        }
    });
    // Every key that comes here has a text in the table; a test loads an empty configuration.
    let value = value.ok_or_else(|| ValueSource::Default(name).wrong("is missing"))?;
    parse(&value.text).map_err(|problem| value.place.wrong(problem))
}

fn optional<T>(given: &mut Given, name: &str, parse: Parse<T>) -> Result<Option<T>, ConfigError> {
    let value = given.take(name);
    value
        .map(|value| parse(&value.text).map_err(|problem| value.place.wrong(problem)))
        .transpose()
}

/// The mail server: what belongs to it is given with `smtp.host`, or not at all.
fn smtp(given: &mut Given) -> Result<Option<MailSettings>, ConfigError> {
    let host = given.take("smtp.host");
    let port = required(given, "smtp.port", port)?;
    let encryption = required(given, "smtp.encryption", encryption)?;
    let authority = given.take("smtp.ca_file");
    let user = given.take("smtp.user");
    let password = given.take_secret("smtp.password")?;
    let from = given.take("smtp.from");
    let Some(host) = host else {
        let places = [
            authority.map(|value| value.place),
            user.map(|value| value.place),
            password.map(|(_, place)| place),
            from.map(|value| value.place),
        ];
        return match places.into_iter().flatten().next() {
            Some(place) => Err(place.wrong("is given without smtp.host, so no mail is sent")),
            None => Ok(None),
        };
    };
    let credentials = match (user, password) {
        (None, None) => None,
        (Some(user), None) => return Err(user.place.wrong("is given without smtp.password")),
        (None, Some((_, place))) => return Err(place.wrong("is given without smtp.user")),
        (Some(user), Some(_)) if encryption == Encryption::None => {
            let why = "is given with smtp.encryption none: the password would be sent in the open";
            return Err(user.place.wrong(why));
        }
        (Some(user), Some((password, _))) => Some((user.text, password)),
    };
    let name = mail_host(&host.text).map_err(|problem| host.place.wrong(problem))?;
    let from = from.ok_or_else(|| host.place.wrong("is given without smtp.from: say who mail is from"))?;
    if !mail::is_sender(&from.text) {
        let why = format!("must be like Waybill <waybill@example.com>, not {:?}", from.text);
        return Err(from.place.wrong(why));
    }
    Ok(Some(MailSettings {
        host: name,
        port,
        encryption,
        authority: authority.map(|value| value.text.into()),
        credentials,
        from: from.text,
    }))
}

fn mail_host(text: &str) -> Result<String, String> {
    let fine = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'));
    match fine {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "must be a host like mail.example.com, not {text:?}; the port is smtp.port"
        )),
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("must be a port from 1 to 65535, not {text:?}"))
}

fn encryption(text: &str) -> Result<Encryption, String> {
    match text {
        "starttls" => Ok(Encryption::StartTls),
        "tls" => Ok(Encryption::Tls),
        "none" => Ok(Encryption::None),
        _ => Err(format!("must be starttls, tls or none, not {text:?}")),
    }
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("must be true or false, not {text:?}"))
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("must be an IP address and a port, for example 127.0.0.1:3000, not {text:?}"))
}

fn networks(text: &str) -> Result<Vec<Network>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::parse).collect()
}

fn folders(text: &str) -> Result<Vec<PathBuf>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let folder = |part: &str| match Path::new(part).is_absolute() {
        true => Ok(PathBuf::from(part)),
        false => Err(format!(
            "must be absolute paths of folders, such as /srv/git, not {part:?}"
        )),
    };
    parts.map(folder).collect()
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("must name a directory".into());
    }
    Ok(text.into())
}

fn public_url(text: &str) -> Result<String, String> {
    let wrong = || format!("must be an address like https://waybill.example.com, not {text:?}");
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or password".into());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("must end after the host and port: Waybill needs a host name of its own".into());
    }
    Ok(url.origin().ascii_serialization())
}

fn collector(text: &str) -> Result<String, String> {
    let wrong = || format!("must be an address like http://collector.example.com:4318, not {text:?}");
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
        return Err(wrong());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn database(text: &str) -> Result<Database, String> {
    // The text isn't repeated: it may hold a password.
    if ["postgres:", "postgresql:"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        // Only what comes after the scheme can be wrong here; what it means is for the driver.
        return match Url::parse(text) {
            Ok(url) if url.path().len() > 1 || url.query_pairs().any(|(key, _)| key == "dbname") => {
                Ok(Database::Postgres(text.into()))
            }
            Ok(_) => Err("must name the database after the host: postgres://USER:PASSWORD@HOST:PORT/DATABASE".into()),
            Err(_) => Err("must be an address like postgres://USER:PASSWORD@HOST:PORT/DATABASE, \
                 with special characters of the password written as %40 and the like"
                .into()),
        };
    }
    let file = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:"));
    match file {
        Some(file) if !file.is_empty() && file != ":memory:" && !file.contains('?') => {
            Ok(Database::Sqlite(file.into()))
        }
        _ => Err(
            "must be sqlite:// and the path of a file, for example sqlite:///var/lib/waybill/waybill.db, \
             or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                .into(),
        ),
    }
}

fn email(text: &str) -> Result<String, String> {
    let fine = text
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    if !fine || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("must be an e-mail address, not {text:?}"));
    }
    Ok(text.to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("must be a time like 250ms, 30s, 5m or 1h, not {text:?}");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = u64::from_str(number).map_err(|_| wrong())?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let millis = number.checked_mul(millis_per_unit).ok_or_else(wrong)?;
    if millis == 0 {
        return Err("must be longer than nothing".into());
    }
    // A year is more than anyone waits, and far from where arithmetic on time overflows.
    if millis > 366 * 24 * 3_600_000 {
        return Err(format!("must be at most a year, not {text}"));
    }
    Ok(Duration::from_millis(millis))
}

fn attempts(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=10_000).contains(number))
        .ok_or_else(|| format!("must be a whole number from 1 to 10000, not {text:?}"))
}

fn connections(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (16..=1_000_000).contains(number))
        .ok_or_else(|| format!("must be a whole number from 16 to 1000000, not {text:?}"))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("must be text or json, not {text:?}")),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // The filter would take a misspelt level for the name of a module, and then log nothing at all.
    let fine = text
        .split(',')
        .all(|directive| match directive.trim().rsplit_once('=') {
            Some((module, level)) => !module.is_empty() && LEVELS.contains(&level),
            None => LEVELS.contains(&directive.trim()),
        });
    if !fine {
        return Err(format!(
            "must be one of {}, or such as info,server::worker=debug, not {text:?}",
            LEVELS.join(", ")
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
