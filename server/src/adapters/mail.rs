//! E-mail through the mail server of the configuration.
//!
//! Whoever runs Waybill chose that server, so it may stand in a private network. What people typed reaches a message as text: names and
//! subjects are cleared of what would begin another header, and encoded by the library.

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use std::{
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// How long the server may take for one step of an exchange.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest subject.
const LONGEST_SUBJECT: usize = 200;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Begun in the open, and encrypted before anything is said.
    StartTls,
    /// Encrypted from the beginning.
    Tls,
    /// Not at all: for a relay on the same machine.
    None,
}

/// Which server, and as whom.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// A file with the certificate (PEM) of who signed its, when the system doesn't know them.
    pub authority: Option<PathBuf>,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
    /// Who it is from: `Waybill <waybill@example.com>`.
    pub from: String,
}

/// Why e-mail could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The sender.
    #[error("smtp.from is no address")]
    From(#[source] lettre::address::AddressError),
    /// The file with the authority's certificate can't be read.
    #[error("smtp.ca_file names {}, which can't be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds none.
    #[error("smtp.ca_file names {}, which holds no certificate; it must be PEM", path.display())]
    Authority {
        /// Which.
        path: PathBuf,
    },
    /// The encryption.
    #[error("the connection to the mail server could not be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Why a message wasn't taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailError {
    /// What the server answered, a number.
    pub status: Option<u16>,
    /// What went wrong, for people.
    pub reason: String,
    /// Whether trying again is in vain.
    pub is_final: bool,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Mail<'a> {
    /// Tells it from others: the same each time it is sent.
    pub id: String,
    /// Who it is for.
    pub to: &'a [String],
    /// Its subject.
    pub subject: &'a str,
    /// Its text.
    pub text: String,
    /// When it was written, milliseconds.
    pub at: i64,
}

/// Sends e-mail. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Whether a text is an address of a person, without a name.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.is_ascii() && text.parse::<Address>().is_ok()
}

/// Whether a text can be a sender: an address, with or without a name.
#[must_use]
pub fn is_sender(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.parse::<Mailbox>().is_ok()
}

fn authority(path: &Path) -> Result<Certificate, SetupError> {
    let path = || path.to_owned();
    let text = std::fs::read(path()).map_err(|source| SetupError::Unreadable { path: path(), source })?;
    match Certificate::from_pem(&text) {
        Ok(certificate) => Ok(certificate),
        Err(_) => Err(SetupError::Authority { path: path() }),
    }
}

impl Mailer {
    /// Sets it up; nothing is connected to yet.
    ///
    /// # Errors
    /// When the sender or the host's name can't be used.
    pub fn new(settings: &MailSettings) -> Result<Self, SetupError> {
        let authority = settings.authority.as_deref().map(authority).transpose()?;
        let parameters = || {
            let mut builder = TlsParameters::builder(settings.host.clone());
            if let Some(authority) = &authority {
                builder = builder.add_root_certificate(authority.clone());
            }
            builder.build().map_err(SetupError::Tls)
        };
        let tls = match settings.encryption {
            Encryption::StartTls => Tls::Required(parameters()?),
            Encryption::Tls => Tls::Wrapper(parameters()?),
            Encryption::None => Tls::None,
        };
        let from: Mailbox = settings.from.parse().map_err(SetupError::From)?;
        // What the machine is called says nothing outside of it.
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .tls(tls)
            .hello_name(hello)
            .timeout(Some(PATIENCE));
        if let Some((user, password)) = &settings.credentials {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            builder = builder.credentials(credentials);
        }
        Ok(Self {
            transport: builder.build(),
            from,
        })
    }

    /// Sends a message; returns the server's number and words.
    ///
    /// # Errors
    /// Why it wasn't taken.
    pub async fn send(&self, mail: Mail<'_>) -> Result<(u16, String), MailError> {
        let message = self.message(&mail)?;
        // The library waits for each step; the whole must end too.
        let sent = tokio::time::timeout(3 * PATIENCE, self.transport.send(message)).await;
        match sent {
            Err(_) => Err(MailError {
                status: None,
                reason: format!("The mail server took longer than {} seconds.", 3 * PATIENCE.as_secs()),
                is_final: false,
            }),
            Ok(Err(error)) => Err(MailError {
                status: error.status().map(u16::from),
                reason: reason(&error),
                is_final: error.is_permanent(),
            }),
            Ok(Ok(response)) => {
                let words: Vec<&str> = response.message().collect();
                Ok((u16::from(response.code()), one_line(&words.join(" "))))
            }
        }
    }

    fn message(&self, mail: &Mail<'_>) -> Result<Message, MailError> {
        let unfit = |reason: String| MailError {
            status: None,
            reason,
            is_final: true,
        };
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(mail.at).unwrap_or_default());
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(subject(mail.subject))
            .date(at)
            .message_id(Some(format!("<{}@{domain}>", mail.id)))
            .header(ContentType::TEXT_PLAIN);
        for to in mail.to {
            let address: Address = to.parse().map_err(|_| unfit(format!("{to:?} is no e-mail address.")))?;
            builder = builder.to(Mailbox::new(None, address));
        }
        let body = builder.body(mail.text.clone());
        body.map_err(|error| unfit(format!("The message could not be written: {error}.")))
    }
}

/// A subject: one line, not too long.
fn subject(text: &str) -> String {
    one_line(text).chars().take(LONGEST_SUBJECT).collect()
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// What went wrong, without what was sent.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    let text = one_line(&text);
    format!("The mail server did not take it: {}.", text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(encryption: Encryption) -> MailSettings {
        MailSettings {
            host: "127.0.0.1".into(),
            port: 25,
            encryption,
            authority: None,
            credentials: None,
            from: "Waybill <waybill@example.com>".into(),
        }
    }

    fn mailer() -> Mailer {
        Mailer::new(&settings(Encryption::None)).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_never_sent_in_the_open() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // A server that knows no encryption, or somebody between who takes it out.
        let heard = tokio::spawn(async move {
            let mut heard = Vec::new();
            for greets in [true, false] {
                let (mut stream, _) = listener.accept().await.unwrap();
                if greets {
                    stream.write_all(b"220 old\r\n").await.unwrap();
                }
                let mut bytes = [0_u8; 4096];
                while let Ok(many @ 1..) = stream.read(&mut bytes).await {
                    heard.extend_from_slice(&bytes[..many]);
                    if !greets || stream.write_all(b"250 AUTH PLAIN LOGIN\r\n").await.is_err() {
                        break;
                    }
                }
            }
            String::from_utf8_lossy(&heard).into_owned()
        });
        for encryption in [Encryption::StartTls, Encryption::Tls] {
            let settings = MailSettings {
                port,
                credentials: Some(("waybill".into(), "hidden".to_owned().into())),
                ..settings(encryption)
            };
            let mail = Mail {
                id: "1".into(),
                to: &["ada@example.com".to_owned()],
                subject: "Hello",
                text: "Secret plans".into(),
                at: 0,
            };
            let refused = Mailer::new(&settings).unwrap().send(mail).await.unwrap_err();
            assert!(!refused.reason.contains("hidden"), "{refused:?}");
        }
        let heard = heard.await.unwrap();
        assert!(heard.contains("EHLO example.com"), "{heard}");
        for secret in ["AUTH", "hidden", "d2F5YmlsbA", "Secret plans", "ada@"] {
            assert!(!heard.contains(secret), "{heard}");
        }
    }

    #[test]
    fn a_name_begins_no_header_of_its_own() {
        let to = ["ada@example.com".to_owned()];
        let mail = Mail {
            id: "1".into(),
            to: &to,
            subject: "api\r\nBcc: eve@example.com\r\n\r\nHello → ada",
            text: "One\nTwo".into(),
            at: 1_800_000_000_000,
        };
        let message = mailer().message(&mail).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
        assert!(headers.contains("Message-ID: <1@example.com>"), "{headers}");
        assert!(headers.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000"), "{headers}");
        assert!(body.contains("One"), "{body}");
    }

    #[test]
    fn addresses_are_those_of_people() {
        for good in ["ada@example.com", "a.b+c@mail.example.com"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "a@b\r\nBcc: c@d",
            "Ada <ada@example.com>",
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
        assert!(is_sender("Waybill <waybill@example.com>") && is_sender("waybill@example.com"));
        assert!(!is_sender("Waybill") && !is_sender("a@b.example\nBcc: c@d.example"));
    }
}
