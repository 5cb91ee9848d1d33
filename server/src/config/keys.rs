//! The one table of keys. The file, the environment, the defaults and `docs/configuration.md` are all checked against it.

/// A key that may be set.
pub(super) struct Key {
    /// As it stands in the file, tables joined with dots: `admin.email`.
    pub(super) name: &'static str,
    pub(super) default: DefaultValue,
    pub(super) kind: Kind,
}

/// What holds when a key isn't set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DefaultValue {
    /// This text, read like one that was set.
    Text(&'static str),
    /// Something that follows from other keys; the words are those of the documentation.
    Words(&'static str),
}

/// How a value is written in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    /// A list of texts; as a variable, with commas between them.
    List,
    Boolean,
    /// A text, and a twin with `_file` at its end that names a file holding it.
    Secret,
}

use DefaultValue::{Text, Words};

const fn key(name: &'static str, default: DefaultValue, kind: Kind) -> Key {
    Key { name, default, kind }
}

/// All keys, in the order of the documentation. Twins with `_file` follow from [`Kind::Secret`].
pub(super) const KEYS: [Key; 45] = [
    key("listen", Text("127.0.0.1:3000"), Kind::Text),
    key("public_url", Words("`http://` and `listen`"), Kind::Text),
    key("trusted_proxies", Words("none"), Kind::List),
    key("ops.listen", Words("none"), Kind::Text),
    key("ops.public_metrics", Text("true"), Kind::Boolean),
    key("data_dir", Text("./data"), Kind::Text),
    key("site_dir", Text("target/site"), Kind::Text),
    key("database.url", Words("`waybill.db` in `data_dir`"), Kind::Secret),
    key("encryption_key", Words("`encryption.key` in `data_dir`"), Kind::Secret),
    key("admin.email", Words("none"), Kind::Text),
    key("admin.password", Words("none"), Kind::Secret),
    key("workspaces.create", Text("command_line"), Kind::Text),
    key("sso.issuer", Words("none"), Kind::Text),
    key("sso.client_id", Words("none"), Kind::Text),
    key("sso.client_secret", Words("none"), Kind::Secret),
    key("sso.name", Text("single sign-on"), Kind::Text),
    key("sso.workspace", Words("none"), Kind::Text),
    key("sso.role", Text("viewer"), Kind::Text),
    key("sso.scopes", Text("openid email profile"), Kind::Text),
    key("sso.group_claim", Text("groups"), Kind::Text),
    key("sso.email_domains", Words("all"), Kind::Text),
    key("sso.link_accounts", Text("when_signed_in"), Kind::Text),
    key("sso.session", Text("24h"), Kind::Text),
    key("registry.poll_interval", Text("60s"), Kind::Text),
    key("registry.webhook_secret", Words("none"), Kind::Secret),
    key("git.webhook_secret", Words("none"), Kind::Secret),
    key("git.local_paths", Words("none"), Kind::List),
    key("git.poll_interval", Text("30s"), Kind::Text),
    key("promotion.sync_timeout", Text("10m"), Kind::Text),
    key("promotion.verify_timeout", Text("10m"), Kind::Text),
    key("promotion.stable_for", Text("5s"), Kind::Text),
    key("smtp.host", Words("none"), Kind::Text),
    key("smtp.port", Text("587"), Kind::Integer),
    key("smtp.encryption", Text("starttls"), Kind::Text),
    key("smtp.ca_file", Words("none"), Kind::Text),
    key("smtp.user", Words("none"), Kind::Text),
    key("smtp.password", Words("none"), Kind::Secret),
    key("smtp.from", Words("none"), Kind::Text),
    key("notifications.allow_private_targets", Text("false"), Kind::Boolean),
    key("limits.sign_in_attempts", Text("10"), Kind::Integer),
    key("limits.connections", Text("4096"), Kind::Integer),
    key("limits.connections_per_address", Text("256"), Kind::Integer),
    key("log.format", Text("text"), Kind::Text),
    key("log.level", Text("info"), Kind::Text),
    key("otlp.endpoint", Words("none"), Kind::Text),
];

/// Variables that belong to the command line.
pub(super) const COMMAND_LINE: [&str; 3] = ["WAYBILL_CONFIG", "WAYBILL_SERVER", "WAYBILL_TOKEN"];

/// The variable by which OpenTelemetry names a collector everywhere, and the key that it stands for when that isn't given.
pub(super) const OPEN_TELEMETRY: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp.endpoint");

pub(super) const PREFIX: &str = "WAYBILL_";

/// What a key name stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) kind: Kind,
    /// Whether it is the `_file` twin.
    pub(super) twin: bool,
}

/// Every name that may be set, twins included.
pub(super) fn names() -> impl Iterator<Item = (String, Meaning)> {
    KEYS.iter().flat_map(|key| {
        let plain = Meaning {
            kind: key.kind,
            twin: false,
        };
        let twin = (key.kind == Kind::Secret).then(|| {
            let meaning = Meaning {
                kind: Kind::Text,
                twin: true,
            };
            (twin(key.name), meaning)
        });
        std::iter::once((key.name.to_owned(), plain)).chain(twin)
    })
}

/// The name of the key that names a file: `admin.password_file`.
pub(super) fn twin(name: &str) -> String {
    format!("{name}_file")
}

/// The variable of a key: `database.url` → `WAYBILL_DATABASE_URL`.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "_").to_ascii_uppercase())
}

/// ` Did you mean …?` with the most similar of `known`, or nothing when none is similar.
pub(super) fn suggestion(given: &str, known: impl Iterator<Item = String>) -> String {
    // A key may be right but stand in the wrong table, or in none: its last part counts too.
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let similar = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(given, candidate);
        let end = strsim::normalized_damerau_levenshtein(&last(given), &last(candidate));
        whole.max(end * 0.9)
    };
    known
        .map(|candidate| (similar(&candidate), candidate))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| format!(" Did you mean {candidate}?"))
        .unwrap_or_default()
}
