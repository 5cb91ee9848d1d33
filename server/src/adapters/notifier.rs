//! What notifications leave through: requests to addresses that people typed ([`outbound`](super::outbound)), and e-mail
//! ([`mail`](super::mail)) where the server is set up for it.

use super::{
    mail::{MailSettings, Mailer, SetupError},
    outbound::Outbound,
};

/// Carries notifications out of the house.
#[derive(Clone, Debug)]
pub struct Notifier {
    /// Requests.
    pub outbound: Outbound,
    /// E-mail; `None` without a mail server.
    pub mail: Option<Mailer>,
}

/// Why it could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// The client for requests.
    #[error("the client for webhooks could not be set up")]
    Http(#[from] reqwest::Error),
    /// The client for e-mail.
    #[error(transparent)]
    Mail(#[from] SetupError),
}

impl Notifier {
    /// Sets it up; nothing is connected to yet.
    ///
    /// # Errors
    /// When a client can't be set up.
    pub fn new(allow_private: bool, mail: Option<&MailSettings>) -> Result<Self, NotifierError> {
        Ok(Self {
            outbound: Outbound::new(allow_private)?,
            mail: mail.map(Mailer::new).transpose()?,
        })
    }
}
