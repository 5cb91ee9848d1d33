//! Tests of the configuration, and of its documentation.

use super::{
    keys::{Kind, names, twin, variable},
    *,
};
use secrecy::ExposeSecret;
use std::fmt::Write as _;

const DOCUMENTATION: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"));

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waybill.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    Config::load(Some(&path), environment).map_err(|error| {
        let place = format!("{}/", directory.path().display());
        error.to_string().replace(&place, "")
    })
}

fn error(file: &str, environment: &[(&str, &str)]) -> String {
    load(file, environment).unwrap_err()
}

fn file_of(config: &Config) -> &Path {
    match &config.database {
        Database::Sqlite(file) => file,
        Database::Postgres(_) => panic!("not a file"),
    }
}

#[test]
fn nothing_given_gives_the_defaults() {
    let config = Config::load(None, []).unwrap();
    assert_eq!(config.listen, "127.0.0.1:3000".parse().unwrap());
    assert_eq!(config.public_url(config.listen), "http://127.0.0.1:3000");
    assert!(!config.secure_cookies());
    assert_eq!(config.data_dir, Path::new("./data"));
    assert_eq!(config.site_dir, Path::new("target/site"));
    assert_eq!(file_of(&config), Path::new("./data/waybill.db"));
    assert_eq!(config.default_encryption_key_file(), Path::new("./data/encryption.key"));
    assert!(config.encryption_key.is_none() && config.admin_email.is_none() && config.admin_password.is_none());
    assert!(config.registry_webhook_secret.is_none() && config.trusted_proxies.is_empty() && config.sso.is_none());
    assert_eq!(config.registry_poll_interval, Duration::from_secs(60));
    assert_eq!(config.git_poll_interval, Duration::from_secs(30));
    assert_eq!(config.promotion_sync_timeout, Duration::from_secs(600));
    assert_eq!(config.promotion_verify_timeout, Duration::from_secs(600));
    assert_eq!((config.sign_in_attempts, config.log_format), (10, LogFormat::Text));
    assert_eq!(config.log_level, "info");
    assert_eq!(config.otlp_endpoint, None);
    assert!(config.smtp.is_none() && !config.allow_private_targets);
    assert!(config.git_local_paths.is_empty());
    assert_eq!(config.workspaces_create, Creators::CommandLine);
    assert_eq!(config.connections, Limits::default());
    assert_eq!((config.connections.total, config.connections.per_address), (4096, 256));
    assert!(config.ops_listen.is_none() && config.public_metrics);
}

#[test]
fn a_mail_server_is_given_whole() {
    let file = "[smtp]\nhost = 'mail.example.com'\nuser = 'w'\npassword = 'hidden'\nfrom = 'Waybill <w@example.com>'\n\
         [notifications]\nallow_private_targets = true";
    let config = load(
        file,
        &[("WAYBILL_SMTP_PORT", "465"), ("WAYBILL_SMTP_ENCRYPTION", "tls")],
    )
    .unwrap();
    assert!(config.allow_private_targets && !format!("{config:?}").contains("hidden"));
    let smtp = config.smtp.unwrap();
    assert_eq!((smtp.host.as_str(), smtp.port), ("mail.example.com", 465));
    assert_eq!(
        (smtp.encryption, smtp.from.as_str()),
        (Encryption::Tls, "Waybill <w@example.com>")
    );
    assert_eq!(smtp.credentials.unwrap().1.expose_secret(), "hidden");
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let file =
        "listen = '0.0.0.0:80'\ndata_dir = '/srv'\n[registry]\npoll_interval = '5m'\n[git]\npoll_interval = '250ms'\n";
    let config = load(
        file,
        &[
            ("WAYBILL_REGISTRY_POLL_INTERVAL", "1h"),
            ("WAYBILL_PUBLIC_URL", "https://waybill.example.com/"),
            ("WAYBILL_LIMITS_SIGN_IN_ATTEMPTS", "3"),
            ("WAYBILL_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("WAYBILL_LISTEN", ""),
            ("WAYBILL_TOKEN", "the command line's"),
            ("HOME", "/home/ci"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.port(), 80);
    assert_eq!(config.registry_poll_interval, Duration::from_secs(3600));
    assert_eq!(config.git_poll_interval, Duration::from_millis(250));
    assert_eq!(file_of(&config), Path::new("/srv/waybill.db"));
    assert_eq!(config.public_url(config.listen), "https://waybill.example.com");
    assert!(config.secure_cookies());
    assert_eq!(config.sign_in_attempts, 3);
    let listed = load("trusted_proxies = ['10.0.0.0/8', '::1']", &[]).unwrap();
    assert_eq!(config.trusted_proxies, listed.trusted_proxies);
    assert_eq!(config.trusted_proxies.len(), 2);
}

#[test]
fn unknown_keys_are_refused_with_their_line_and_the_nearest_known_one() {
    for (file, expected) in [
        (
            "listen = '127.0.0.1:1'\n\nlissten = ''",
            "waybill.toml, line 3: there is no key lissten. Did you mean listen?",
        ),
        (
            "[databse]\nurl = 'sqlite://x'",
            "waybill.toml, line 2: there is no key databse.url. Did you mean database.url?",
        ),
        (
            "[git]\npoll_intervall = '1s'",
            "waybill.toml, line 2: there is no key git.poll_intervall. Did you mean git.poll_interval?",
        ),
        (
            "email = 'a@b'",
            "waybill.toml, line 1: there is no key email. Did you mean admin.email?",
        ),
        (
            "[log]\n[log.format.deep]\nx = 1",
            "waybill.toml, line 2: log.format must be a text in quotes, not a table.",
        ),
        ("zzzzzz = 1", "waybill.toml, line 1: there is no key zzzzzz."),
        ("zz = 1\nyy = 2\n[empty]\n", "waybill.toml, line 1: there is no key zz."),
        ("[empty]\n", "waybill.toml, line 1: there is no key empty."),
    ] {
        assert_eq!(error(file, &[]), expected);
    }
    assert!(load("[admin]\n", &[]).is_ok(), "a known table may be empty");
    assert_eq!(
        error("", &[("WAYBILL_DATABASE_URI", "x")]),
        "There is no variable WAYBILL_DATABASE_URI. Did you mean WAYBILL_DATABASE_URL?"
    );
}

#[test]
fn wrong_values_are_named_with_what_would_be_right() {
    for (file, expected) in [
        (
            "listen = 'localhost'",
            r#"waybill.toml, line 1: listen must be an IP address and a port, for example 127.0.0.1:3000, not "localhost"."#,
        ),
        (
            "listen = 3000",
            "waybill.toml, line 1: listen must be a text in quotes, not a number.",
        ),
        ("listen = ", "waybill.toml, line 1: this is not valid TOML"),
        (
            "listen = 'a'\nlisten = 'b'",
            "waybill.toml, line 2: this is not valid TOML",
        ),
        (
            "[limits]\nsign_in_attempts = '10'",
            "waybill.toml, line 2: limits.sign_in_attempts must be a whole number, not a text.",
        ),
        (
            "[limits]\nsign_in_attempts = 0",
            "must be a whole number from 1 to 10000",
        ),
        (
            "public_url = 'waybill.example.com'",
            "must be an address like https://waybill.example.com",
        ),
        (
            "public_url = 'https://example.com/waybill'",
            "must end after the host and port",
        ),
        (
            "public_url = 'https://a:b@example.com'",
            "must not contain a user or password",
        ),
        (
            "database.url = 'postgres://u:hid den@db:x/waybill'",
            "must be an address like postgres://",
        ),
        (
            "database.url = 'postgres://u:hidden@db'",
            "must name the database after the host",
        ),
        ("database.url = 'mysql://u:hidden@db'", "must be sqlite://"),
        (
            "trusted_proxies = '10.0.0.0/8'",
            "waybill.toml, line 1: trusted_proxies must be a list of texts, not a text.",
        ),
        ("trusted_proxies = [10]", "must be a list of texts, not of a number"),
        (
            "trusted_proxies = ['10.0.0.0/40']",
            "must be IP addresses or networks like 10.0.0.0/8, not \"10.0.0.0/40\"",
        ),
        ("data_dir = ''", "must name a directory"),
        (
            "git.local_paths = ['/srv/git', 'repositories']",
            "must be absolute paths of folders, such as /srv/git, not \"repositories\"",
        ),
        (
            "workspaces.create = 'admins'",
            "must be command_line, administrators or everyone, not \"admins\"",
        ),
        ("git.poll_interval = '5'", "must be a time like 250ms, 30s, 5m or 1h"),
        ("git.poll_interval = '-5s'", "must be a time like"),
        ("git.poll_interval = '5 s'", "must be a time like"),
        ("git.poll_interval = '99999999999999999999h'", "must be a time like"),
        ("git.poll_interval = '18446744073709551615h'", "must be a time like"),
        ("git.poll_interval = '9999h'", "must be at most a year"),
        ("git.poll_interval = '0s'", "must be longer than nothing"),
        ("log.format = 'xml'", "must be text or json"),
        (
            "log.level = 'inof'",
            "must be one of off, error, warn, info, debug, trace",
        ),
        ("admin.email = 'me'", "must be an e-mail address"),
        ("admin.password = 'hidden'", "is given without admin.email"),
        ("admin.email = 'a@b'\nadmin.password = ''", "must not be empty"),
        ("encryption_key = 'hidden'", "must be 32 bytes in base64"),
        ("smtp.user = 'u'", "is given without smtp.host"),
        ("smtp.password = 'hidden'", "is given without smtp.host"),
        ("smtp.from = 'w@example.com'", "is given without smtp.host"),
        ("smtp.host = 'mail.example.com'", "is given without smtp.from"),
        ("smtp.host = 'https://mail'", "must be a host like mail.example.com"),
        (
            "smtp.host = 'm'\nsmtp.from = 'nobody'",
            "must be like Waybill <waybill@example.com>",
        ),
        (
            "smtp.host = 'm'\nsmtp.from = 'w@e.example'\nsmtp.user = 'u'",
            "is given without smtp.password",
        ),
        (
            "smtp.host = 'm'\nsmtp.from = 'w@e.example'\nsmtp.password = 'hidden'",
            "is given without smtp.user",
        ),
        (
            "smtp.host = 'm'\nsmtp.from = 'w@e.example'\nsmtp.encryption = 'none'\nsmtp.user = 'u'\nsmtp.password = 'hidden'",
            "would be sent in the open",
        ),
        ("smtp.encryption = 'ssl'", "must be starttls, tls or none"),
        ("smtp.port = 0", "must be a port from 1 to 65535"),
        ("smtp.port = '25'", "must be a whole number, not a text"),
        (
            "notifications.allow_private_targets = 'yes'",
            "must be true or false, not a text",
        ),
    ] {
        let text = error(file, &[]);
        assert!(text.contains(expected), "{file}: {text}");
        assert!(!text.contains("hidden"), "{file}: {text}");
    }
    assert_eq!(
        error("", &[("WAYBILL_NOTIFICATIONS_ALLOW_PRIVATE_TARGETS", "1")]),
        r#"WAYBILL_NOTIFICATIONS_ALLOW_PRIVATE_TARGETS must be true or false, not "1"."#
    );
    assert_eq!(
        error("", &[("WAYBILL_GIT_POLL_INTERVAL", "soon")]),
        r#"WAYBILL_GIT_POLL_INTERVAL must be a time like 250ms, 30s, 5m or 1h, not "soon"."#
    );
    assert!(load("log.level = 'info,server::worker=debug'", &[]).is_ok());
    let missing = Config::load(Some(Path::new("/nowhere/waybill.toml")), [])
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("The configuration /nowhere/waybill.toml cannot be read"),
        "{missing}"
    );
}

#[test]
fn a_file_that_is_nested_too_deeply_is_refused() {
    const MANY: usize = 100_000;
    let dotted = "a.".repeat(MANY) + "a = 1";
    for file in [
        format!("a = {}{}", "[".repeat(MANY), "]".repeat(MANY)),
        format!("a = {}", "{ a = ".repeat(MANY)),
        format!("[{}a]", "a.".repeat(MANY)),
        format!("a = {{ {dotted} }}"),
        dotted,
    ] {
        let said = error(&file, &[]);
        assert!(said.contains("line 1") && said.contains("nested too deeply"), "{said}");
    }
}

#[test]
fn single_sign_on_is_set_up_whole_or_not_at_all() {
    let base = "[sso]\nissuer = 'https://login.example.com/'\nclient_id = 'waybill'\nworkspace = 'demo'\n";
    let sso = load(base, &[]).unwrap().sso.unwrap();
    assert_eq!(sso.issuer, "https://login.example.com/", "to the letter");
    assert_eq!(
        (sso.name.as_str(), sso.role),
        ("single sign-on", domain::rights::Role::Viewer)
    );
    assert_eq!(
        (sso.scopes.as_str(), sso.group_claim.as_str()),
        ("openid email profile", "groups")
    );
    assert!(sso.client_secret.is_none() && sso.email_domains.is_empty() && sso.link == Link::WhenSignedIn);
    let more = "email_domains = 'Example.com, example.org'\nclient_secret = 'hidden'\nscopes = 'openid  groups'\n";
    let config = load(
        &format!("{base}{more}"),
        &[("WAYBILL_SSO_LINK_ACCOUNTS", "by_verified_email")],
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
    let sso = config.sso.unwrap();
    assert_eq!(
        (sso.email_domains, sso.link),
        (vec!["example.com".into(), "example.org".into()], Link::ByVerifiedEmail)
    );
    assert_eq!(sso.scopes, "openid groups");
    for (file, expected) in [
        (
            "sso.issuer = 'https://a.example'\nsso.workspace = 'demo'",
            "line 1: sso.issuer is given without sso.client_id.",
        ),
        (
            "sso.issuer = 'https://a.example'\nsso.client_id = 'w'",
            "sso.issuer is given without sso.workspace.",
        ),
        ("sso.client_id = 'w'", "sso.client_id is given without sso.issuer"),
        (
            "sso.client_secret = 'hidden'",
            "sso.client_secret is given without sso.issuer",
        ),
        ("sso.name = 'Example'", "sso.name is given without sso.issuer"),
    ] {
        let text = error(file, &[]);
        assert!(text.contains(expected) && !text.contains("hidden"), "{file}: {text}");
    }
    for (key, value, expected) in [
        (
            "ISSUER",
            "login.example.com",
            "must be an address like https://login.example.com/realm",
        ),
        ("ISSUER", "http://login.example.com", "must begin with https://"),
        (
            "ISSUER",
            "https://a:b@login.example.com",
            "must not contain a user or password",
        ),
        ("ISSUER", "https://login.example.com/?a=b", "must be an address like"),
        ("NAME", "x\u{7}", "must be a text of 1 to 30 characters"),
        ("WORKSPACE", "De mo", "must be the name of a workspace"),
        ("ROLE", "owner", "must be viewer, developer, approver or admin"),
        ("SCOPES", "email", "openid among them"),
        ("EMAIL_DOMAINS", "ada@example.com", "must be domains"),
        ("LINK_ACCOUNTS", "always", "must be when_signed_in or by_verified_email"),
    ] {
        let text = error(base, &[(&format!("WAYBILL_SSO_{key}"), value)]);
        assert!(text.contains(expected), "{key}: {text}");
    }
    for local in ["http://127.0.0.1:4000", "http://localhost:4000/realm"] {
        assert!(load(base, &[("WAYBILL_SSO_ISSUER", local)]).is_ok(), "{local}");
    }
}

#[test]
fn secrets_may_lie_in_files_but_not_also_beside_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let password = file("password", "two words \r\n");
    let base = "admin.email = 'a@b.example'\n";
    let config = load(&format!("{base}admin.password_file = '{password}'"), &[]).unwrap();
    assert_eq!(config.admin_password.as_ref().unwrap().expose_secret(), "two words ");
    assert!(!format!("{config:?}").contains("two words"));

    let both = error(
        &format!("{base}admin.password_file = '{password}'"),
        &[("WAYBILL_ADMIN_PASSWORD", "hidden")],
    );
    assert_eq!(
        both,
        "WAYBILL_ADMIN_PASSWORD and waybill.toml, line 2: admin.password_file are both given; give only one of them."
    );
    let empty = file("empty", "\n");
    let text = error(base, &[("WAYBILL_ADMIN_PASSWORD_FILE", &empty)]);
    assert!(
        text.starts_with("WAYBILL_ADMIN_PASSWORD_FILE names ") && text.ends_with("which is empty."),
        "{text}"
    );
    let text = error("", &[("WAYBILL_REGISTRY_WEBHOOK_SECRET_FILE", "/nowhere")]);
    assert!(text.contains("names /nowhere, which cannot be read"), "{text}");
    let key = file("key", &format!("{}=\n", "A".repeat(43)));
    assert!(
        load("", &[("WAYBILL_ENCRYPTION_KEY_FILE", &key)])
            .unwrap()
            .encryption_key
            .is_some()
    );
}

#[test]
fn a_database_is_a_file_or_an_address_that_nobody_gets_to_see() {
    for address in [
        "postgres://waybill:hidden@db.example.com:5432/waybill?sslmode=verify-full",
        "postgresql://waybill@%2Frun%2Fpostgresql/waybill",
        "postgres:///waybill?host=/run/postgresql",
        "postgres://db.example.com/?dbname=waybill",
    ] {
        let config = load("", &[("WAYBILL_DATABASE_URL", address)]).unwrap();
        let Database::Postgres(kept) = &config.database else {
            panic!("{address}");
        };
        assert_eq!(kept.expose_secret(), address);
        assert!(!format!("{config:?}").contains("hidden"));
    }
    let config = load("database.url = 'sqlite:///srv/w.db'", &[]).unwrap();
    assert_eq!(file_of(&config), Path::new("/srv/w.db"));
}

/// The rows of the documentation's tables whose first cell is a key; the chapters after the first are about other things.
fn documented() -> Vec<[String; 3]> {
    let chapter = DOCUMENTATION.split("\n# waybill apply").next().unwrap();
    let rows = chapter.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "key, variable, default, meaning: {line}");
        assert!(cells[3].len() > 10, "no meaning: {line}");
        [cells[0], cells[1], cells[2]].map(str::to_owned)
    })
    .collect()
}

#[test]
fn the_documentation_names_every_key_its_variable_and_its_default() {
    let mut expected = Vec::new();
    for key in &KEYS {
        let default = match key.default {
            DefaultValue::Text(text) => format!("`{text}`"),
            DefaultValue::Words(words) => words.to_owned(),
        };
        expected.push([format!("`{}`", key.name), format!("`{}`", variable(key.name)), default]);
        if key.kind == Kind::Secret {
            let twin = twin(key.name);
            expected.push([format!("`{twin}`"), format!("`{}`", variable(&twin)), "none".to_owned()]);
        }
    }
    assert_eq!(documented(), expected);
}

#[test]
fn the_documentations_example_is_accepted_and_sets_every_key() {
    let (_, rest) = DOCUMENTATION.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    // Lines that are commented out are alternatives or secrets; here all but the twins are tried.
    let mut whole = String::new();
    for line in example.lines() {
        let line = line.strip_prefix("#: ").unwrap_or(line);
        writeln!(whole, "{line}").unwrap();
    }
    load(example, &[]).unwrap();
    load(&whole, &[]).unwrap();
    for (name, _) in names().filter(|(_, meaning)| !meaning.twin) {
        let last = name.rsplit('.').next().unwrap();
        assert!(
            whole.lines().any(|line| line.starts_with(&format!("{last} = "))),
            "{name}"
        );
    }
}

#[test]
fn no_two_keys_share_a_variable() {
    let variables: std::collections::BTreeSet<String> = names().map(|(name, _)| variable(&name)).collect();
    assert_eq!(variables.len(), names().count());
}

#[test]
fn the_collector_of_the_surroundings_counts_unless_waybill_has_one_of_its_own() {
    let surroundings = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://everybody.example:4318/");
    for (file, variables, expected) in [
        ("", vec![surroundings], "http://everybody.example:4318"),
        (
            "otlp.endpoint = 'https://file.example/otlp'",
            vec![surroundings],
            "https://file.example/otlp",
        ),
        (
            "",
            vec![surroundings, ("WAYBILL_OTLP_ENDPOINT", "http://own.example")],
            "http://own.example",
        ),
    ] {
        assert_eq!(
            load(file, &variables).unwrap().otlp_endpoint.as_deref(),
            Some(expected),
            "{file}"
        );
    }
    assert!(load("otlp.endpoint = 'collector:4318'", &[]).is_err());
}
