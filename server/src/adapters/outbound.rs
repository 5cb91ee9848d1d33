//! Requests to addresses that people typed: never to where they could do harm.
//!
//! An address of the network the server stands in is worth more than it looks: cloud providers hand out keys at link-local addresses, and
//! services on the same machine trust who is near. So [`Outbound`] looks at what it connects to, and when it connects: an address in
//! the URL is checked as it was understood (whichever way it was spelt), a name by the [`guard`]. It follows no redirect, takes no
//! proxy from the surroundings, waits for nobody for long, and keeps the beginning of an answer only.

use super::guard::{self, Guard, permitted};
use reqwest::{Client, Url, header::HeaderMap, redirect};
use std::{error::Error as _, fmt, net::IpAddr, time::Duration};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a whole exchange may take.
pub const EXCHANGE: Duration = Duration::from_secs(10);
/// How much of an answer is kept.
const KEPT: usize = 1024;

/// A part of an address that is shorter than this is a word, and no secret.
const LEAST_SECRET: usize = 12;

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It isn't one, or not of a kind that is spoken here.
    #[error("Write an address like https://hooks.example.com/path.")]
    Malformed,
    /// It names a user or a password.
    #[error("The address must not hold a user or a password.")]
    Credentials,
    /// It leads where nothing is ever sent: link-local addresses, where clouds keep keys, and those that are no single machine's.
    #[error(
        "This address is never sent to: it belongs to the machine's surroundings (link-local, metadata, multicast). Use another."
    )]
    Never,
    /// It leads into a private network, which wasn't allowed.
    #[error(
        "This address leads into a private network or to this machine. Use a public one, or have notifications.allow_private_targets set in the server's configuration."
    )]
    Private,
}

impl From<guard::Refused> for Refused {
    fn from(refused: guard::Refused) -> Self {
        match refused {
            guard::Refused::Never => Self::Never,
            guard::Refused::Private => Self::Private,
        }
    }
}

/// Why something could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// It isn't sent there, however often it is tried.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nobody took it; that may pass.
    #[error("{0}")]
    Unreachable(String),
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundAnswer {
    /// The status.
    pub status: u16,
    /// The beginning of what was said with it, without what only machines read, and without what the address keeps secret.
    pub beginning: String,
}

/// Sends to addresses that people typed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    http: Client,
    allow_private: bool,
}

impl Outbound {
    /// `allow_private` lets it send to private networks and this machine too.
    ///
    /// # Errors
    /// When no client can be set up: the system's certificates can't be read.
    pub fn new(allow_private: bool) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .dns_resolver(Guard::new(allow_private))
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("waybill/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, allow_private })
    }

    /// Reads an address, and checks as much of it as can be without asking for names.
    ///
    /// # Errors
    /// Why nothing is sent there.
    pub fn check(&self, address: &str) -> Result<Url, Refused> {
        let url = Url::parse(address.trim()).map_err(|_| Refused::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        let host = url.host_str().unwrap_or_default();
        // However it was written (127.1, 0x7f000001, 017700000001, [::ffff:127.0.0.1]): this is what would be connected to.
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(address) => permitted(address, self.allow_private)?,
            Err(_) if host.trim_matches('.').is_empty() => return Err(Refused::Malformed),
            Err(_) => {}
        }
        Ok(url)
    }

    /// Posts a body. Any status is an answer.
    ///
    /// # Errors
    /// Why it wasn't sent, or nothing came back.
    pub async fn post(&self, address: &str, headers: HeaderMap, body: String) -> Result<OutboundAnswer, OutboundError> {
        let url = self.check(address)?;
        let secrets = secrets(&url);
        let request = self.http.post(url).headers(headers).body(body);
        let mut response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        // What was said with it is for people to read; without it the status counts all the same.
        while bytes.len() < KEPT {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        bytes.truncate(KEPT);
        Ok(OutboundAnswer {
            status,
            beginning: readable(&bytes, &secrets),
        })
    }
}

/// What went wrong, without the address: it may be a secret.
fn failure(error: &reqwest::Error) -> OutboundError {
    let mut cause = error.source();
    let mut innermost = None;
    while let Some(e) = cause {
        if let Some(refused) = e.downcast_ref::<guard::Refused>() {
            return Refused::from(*refused).into();
        }
        innermost = Some(e);
        cause = e.source();
    }
    let because = Because(innermost.map(ToString::to_string));
    OutboundError::Unreachable(if error.is_timeout() {
        format!("No answer came within {} seconds.", EXCHANGE.as_secs())
    } else if error.is_connect() {
        format!("It could not be connected to{because}.")
    } else {
        format!("The connection broke{because}.")
    })
}

struct Because(Option<String>);

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(why) => write!(f, ": {}", why.trim_end_matches('.')),
            None => Ok(()),
        }
    }
}

/// What of an address only its owner knows, the longest first: whoever answers may repeat it, or a part of it.
fn secrets(url: &Url) -> Vec<String> {
    let (path, query) = (url.path(), url.query().unwrap_or_default());
    let parts = path.split('/').chain(query.split(['&', '=']));
    let parts = parts.filter(|part| part.len() >= LEAST_SECRET);
    [path, query].into_iter().chain(parts).map(str::to_owned).collect()
}

/// Text of an answer for people: on one line, and without the parts of the address that only its owner knows.
fn readable(bytes: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for secret in secrets.iter().filter(|secret| secret.len() > 1) {
        text = text.replace(secret.as_str(), "…");
    }
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    fn outbound(allow_private: bool) -> Outbound {
        Outbound::new(allow_private).unwrap()
    }

    #[test]
    fn addresses_are_refused_however_they_are_spelt() {
        use Refused::{Credentials, Malformed, Never, Private};
        for (address, strict, lenient) in [
            ("https://hooks.example.com/x", None, None),
            ("http://8.8.8.8/", None, None),
            ("https://[2606:4700::1111]:8443/x?y", None, None),
            // Never, allowed or not.
            ("http://169.254.169.254/latest/meta-data/", Some(Never), Some(Never)),
            ("http://169.254.0.1", Some(Never), Some(Never)),
            ("http://2852039166/", Some(Never), Some(Never)),
            ("http://0xa9fea9fe/", Some(Never), Some(Never)),
            ("http://0xa9.0xfe.0xa9.0xfe/", Some(Never), Some(Never)),
            ("http://0251.0376.0251.0376/", Some(Never), Some(Never)),
            ("http://169.254.43518/", Some(Never), Some(Never)),
            ("http://１６９.254.169.254/", Some(Never), Some(Never)),
            ("http://169%2e254%2e169%2e254/", Some(Never), Some(Never)),
            ("http://169.254.169.254./", Some(Never), Some(Never)),
            ("http://[::ffff:169.254.169.254]/", Some(Never), Some(Never)),
            ("http://[::ffff:a9fe:a9fe]/", Some(Never), Some(Never)),
            ("http://[::169.254.169.254]/", Some(Never), Some(Never)),
            ("http://[64:ff9b::a9fe:a9fe]/", Some(Never), Some(Never)),
            ("http://[2002:a9fe:a9fe::1]/", Some(Never), Some(Never)),
            ("http://[2001:0:1:2::3]/", Some(Never), Some(Never)),
            ("http://[fe80::1]/", Some(Never), Some(Never)),
            ("http://[febf::1]/", Some(Never), Some(Never)),
            ("http://[fd00:ec2::254]/", Some(Never), Some(Never)),
            ("http://[fd20:ce::254]/", Some(Never), Some(Never)),
            ("http://192.0.0.192/", Some(Never), Some(Never)),
            ("http://100.100.100.200/", Some(Never), Some(Never)),
            ("http://168.63.129.16/", Some(Never), Some(Never)),
            ("http://0.0.0.0/", Some(Never), Some(Never)),
            ("http://0/", Some(Never), Some(Never)),
            ("http://[::]/", Some(Never), Some(Never)),
            ("http://224.0.0.1/", Some(Never), Some(Never)),
            ("http://[ff02::1]/", Some(Never), Some(Never)),
            ("http://255.255.255.255/", Some(Never), Some(Never)),
            ("http://240.0.0.1/", Some(Never), Some(Never)),
            // Private, unless that is allowed.
            ("http://127.0.0.1:8080/", Some(Private), None),
            ("http://127.1/", Some(Private), None),
            ("http://2130706433/", Some(Private), None),
            ("http://017700000001/", Some(Private), None),
            ("http://0x7f.1/", Some(Private), None),
            ("http://[::1]/", Some(Private), None),
            ("http://[::ffff:127.0.0.1]/", Some(Private), None),
            ("http://10.1.2.3/", Some(Private), None),
            ("http://172.31.255.255/", Some(Private), None),
            ("http://172.32.0.1/", None, None),
            ("http://192.168.0.1/", Some(Private), None),
            ("http://100.64.0.1/", Some(Private), None),
            ("http://[fc00::1]/", Some(Private), None),
            ("http://[fdff::1]/", Some(Private), None),
            ("http://[fec0::1]/", Some(Private), None),
            ("http://[64:ff9b::a00:1]/", Some(Private), None),
            // No address that is spoken here.
            (
                "https://user:pw@hooks.example.com/",
                Some(Credentials),
                Some(Credentials),
            ),
            ("https://token@hooks.example.com/", Some(Credentials), Some(Credentials)),
            ("ftp://hooks.example.com/", Some(Malformed), Some(Malformed)),
            ("file:///etc/passwd", Some(Malformed), Some(Malformed)),
            ("gopher://127.0.0.1:25/", Some(Malformed), Some(Malformed)),
            ("hooks.example.com", Some(Malformed), Some(Malformed)),
            ("http://", Some(Malformed), Some(Malformed)),
            ("http://./", Some(Malformed), Some(Malformed)),
            ("", Some(Malformed), Some(Malformed)),
        ] {
            assert_eq!(outbound(false).check(address).err(), strict, "{address}");
            assert_eq!(
                outbound(true).check(address).err(),
                lenient,
                "{address}, private allowed"
            );
        }
    }

    /// Answers each connection with this text, and tells how many came.
    async fn answering(text: &'static str) -> (u16, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = [0_u8; 4096];
                let _ = stream.read(&mut bytes).await;
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        (port, task)
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_connected_to() {
        let (port, server) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let url = format!("http://localhost:{port}/hook");
        assert!(
            outbound(false).check(&url).is_ok(),
            "nothing is wrong with the name itself"
        );
        let refused = outbound(false).post(&url, HeaderMap::new(), String::new()).await;
        assert_eq!(refused, Err(Refused::Private.into()));
        let answer = outbound(true)
            .post(&url, HeaderMap::new(), String::new())
            .await
            .unwrap();
        assert_eq!((answer.status, answer.beginning.as_str()), (200, "ok"));
        server.abort();
    }

    #[tokio::test]
    async fn redirects_are_answers_and_secrets_in_answers_are_left_out() {
        let text = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 40\r\n\r\nno /services/T0/hidden here,\r\n\tnor\u{7} k=v.";
        let (port, server) = answering(text).await;
        let url = format!("http://127.0.0.1:{port}/services/T0/hidden?k=v");
        let answer = outbound(true)
            .post(&url, HeaderMap::new(), String::new())
            .await
            .unwrap();
        assert_eq!(answer.status, 302);
        assert_eq!(answer.beginning, "no … here, nor ….");
        server.abort();
    }

    #[test]
    fn parts_of_an_address_are_left_out_of_answers_too() {
        let url = Url::parse("https://h.example/services/T012345/abcdefghijklmnop?token=0123456789abcdef&v=1").unwrap();
        let text = readable(
            b"services: abcdefghijklmnop is no hook, nor is 0123456789abcdef",
            &secrets(&url),
        );
        assert_eq!(text, "services: … is no hook, nor is …");
    }

    #[tokio::test]
    async fn of_a_long_answer_the_beginning_is_kept() {
        let text: &'static str = Box::leak(
            format!(
                "HTTP/1.1 500 Oh\r\ncontent-length: 100000\r\n\r\n{}",
                "x".repeat(50_000)
            )
            .into_boxed_str(),
        );
        let (port, server) = answering(text).await;
        let url = format!("http://127.0.0.1:{port}/");
        let answer = outbound(true)
            .post(&url, HeaderMap::new(), String::new())
            .await
            .unwrap();
        assert_eq!((answer.status, answer.beginning.len()), (500, KEPT));
        server.abort();
        let nobody = outbound(true).post(&url, HeaderMap::new(), String::new()).await;
        let nobody = match nobody {
            Err(OutboundError::Unreachable(why)) => why,
            // The socket may take one more connection before it is gone.
            other => return assert!(other.is_ok(), "{other:?}"),
        };
        assert!(!nobody.contains("127.0.0.1"), "{nobody}");
    }
}
