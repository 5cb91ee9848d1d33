//! Smart HTTP spoken directly: a look at a branch is one request, a push is one, and the fetch that follows a lost race is two.
//!
//! The program `git` starts other programs and asks for all references before it pushes. Whoever races others for a branch
//! loses that time; so does every promotion. Here the push names the commit it builds on and the server compares and sets,
//! as it does for every push: never by force. Only clear answers count. Whatever else comes (a redirect, other credentials, an
//! answer in other words) is [`ServerAnswer::Unclear`], and the caller asks again with the program, which has the last word: pushing
//! the same commit twice does no harm. Formats: gitprotocol-http(5), gitprotocol-pack(5), gitprotocol-v2(5).

use std::time::Duration;

use crate::adapters::guard::Guard;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use git2::Oid;
use reqwest::{Body, Client, RequestBuilder, StatusCode, header, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;

const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_TO_CONNECT: Duration = Duration::from_secs(10);
/// A look answers at once. Where it doesn't, the program asks, and has a patience of its own.
const PATIENCE_TO_LOOK: Duration = Duration::from_secs(5);
/// Larger answers are left to the program, which need not hold them in memory.
const LARGEST: usize = 16 << 20;
pub(super) const FLUSH: &[u8] = b"0000";
const DELIMITER: &[u8] = b"0001";
/// Some hosts tell Git from browsers by this name.
const AGENT: &str = concat!("git/2.39 (waybill/", env!("CARGO_PKG_VERSION"), ")");

/// What a server said, when it was clear.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerAnswer<T> {
    /// Done.
    Done(T),
    /// The branch was not moved: the server's reason, and what it said beside.
    Rejected {
        /// In brackets after the branch, in Git's own output.
        reason: String,
        /// What hooks printed.
        said: String,
    },
    /// The server has trouble of its own: another request now will not fare better.
    Down(String),
    /// Something else: the program is to be asked.
    Unclear,
}

/// Where a server redirects to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Another address of the repository.
    To(String),
    /// Something that isn't one: a page to sign in, say.
    Elsewhere(String),
}

/// What a fetch brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// Where the branch is.
    pub(super) tip: Oid,
    /// What is new, as a pack; `None` when nothing is.
    pub(super) pack: Option<Vec<u8>>,
}

/// Requests that were begun before it is known what to say in them. The server's programs start meanwhile, so that in a race for
/// the branch nobody waits for them. What isn't finished is broken off.
pub(super) struct Begun {
    refs: Request,
    objects: Request,
    push: Request,
}

/// A request whose body is still to come.
struct Request {
    body: mpsc::Sender<Result<Vec<u8>, std::io::Error>>,
    answer: JoinHandle<ServerAnswer<Vec<u8>>>,
}

/// Connections to Git servers, kept open.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client,
    /// Certificates were named for the program, and only it knows them.
    is_plain: bool,
}

/// A repository over HTTP.
pub(super) struct Server<'a> {
    pub(super) wire: &'a Wire,
    pub(super) url: &'a str,
    pub(super) login: Option<(&'a str, &'a SecretString)>,
}

impl Wire {
    /// `None` when this machine can't speak HTTP by itself; the program can.
    pub(super) fn new() -> Option<Self> {
        let is_plain = std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("GIT_SSL_CA"));
        let client = Client::builder()
            .connect_timeout(PATIENCE_TO_CONNECT)
            .timeout(PATIENCE)
            .dns_resolver(Guard::of_connections())
            .redirect(redirect::Policy::none())
            .user_agent(AGENT)
            .build()
            .ok()?;
        Some(Self { client, is_plain })
    }

    /// The connections themselves, without credentials.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A request with credentials, if there are some; `None` when they can't stand in one.
    pub(super) fn signed(login: Option<(&str, &SecretString)>, request: RequestBuilder) -> Option<RequestBuilder> {
        let Some((user, password)) = login else {
            return Some(request);
        };
        let basic = BASE64.encode(format!("{user}:{}", password.expose_secret()));
        let mut value = header::HeaderValue::from_str(&format!("Basic {basic}")).ok()?;
        value.set_sensitive(true);
        Some(request.header(header::AUTHORIZATION, value))
    }

    /// Whether it can speak to a server at this address.
    pub(super) fn serves(&self, url: &str) -> bool {
        !self.is_plain
            || url
                .get(..7)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
    }
}

impl Server<'_> {
    /// Moves the branch from `old` (`None`: there is no branch) to `new`, whose objects are in `pack`.
    pub(super) async fn push(&self, branch: &str, old: Option<Oid>, new: Oid, pack: Vec<u8>) -> ServerAnswer<()> {
        let reference = format!("refs/heads/{branch}");
        let body = update(&reference, old, new, &pack);
        let request = self
            .wire
            .client
            .post(format!("{}/git-receive-pack", self.url))
            .header(header::CONTENT_TYPE, "application/x-git-receive-pack-request")
            .header(header::ACCEPT, "application/x-git-receive-pack-result")
            .body(body);
        match self.send(request, "application/x-git-receive-pack-result").await {
            ServerAnswer::Done(bytes) => report(&bytes, &reference),
            ServerAnswer::Down(reason) => ServerAnswer::Down(reason),
            _ => ServerAnswer::Unclear,
        }
    }

    /// Asks where the branch is, of a server that speaks protocol version 2: it lists no other references then.
    pub(super) async fn tip(&self, branch: &str) -> ServerAnswer<Oid> {
        let reference = format!("refs/heads/{branch}");
        let request = self
            .of_version_2("git-upload-pack")
            .body(command("ls-refs", &[format!("ref-prefix {reference}\n")]))
            .timeout(PATIENCE_TO_LOOK);
        match self.send(request, "application/x-git-upload-pack-result").await {
            ServerAnswer::Done(listed) => {
                advertised_tip(&listed, &reference).map_or(ServerAnswer::Unclear, ServerAnswer::Done)
            }
            ServerAnswer::Down(reason) => ServerAnswer::Down(reason),
            _ => ServerAnswer::Unclear,
        }
    }

    /// Where the server redirects a look at the repository to; `None` when it doesn't, or doesn't say.
    pub(super) async fn moved(&self) -> Option<Moved> {
        let asked = format!("{}/info/refs?service=git-upload-pack", self.url);
        let request = self.signed(self.wire.client.get(&asked).timeout(PATIENCE_TO_LOOK))?;
        let response = request.send().await.ok()?;
        let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
        redirected(&asked, location)
    }

    /// A request of protocol version 2 to a service, without its body.
    fn of_version_2(&self, service: &str) -> RequestBuilder {
        (self.wire.client)
            .post(format!("{}/{service}", self.url))
            .header(header::CONTENT_TYPE, format!("application/x-{service}-request"))
            .header(header::ACCEPT, format!("application/x-{service}-result"))
            .header("Git-Protocol", "version=2")
    }

    /// Asks where the branch is, and for what is new since `known`.
    pub(super) async fn fetch(&self, branch: &str, known: Oid) -> ServerAnswer<Fetched> {
        let request = self
            .wire
            .client
            .get(format!("{}/info/refs?service=git-upload-pack", self.url));
        let advertised = match self.send(request, "application/x-git-upload-pack-advertisement").await {
            ServerAnswer::Done(bytes) => bytes,
            ServerAnswer::Down(reason) => return ServerAnswer::Down(reason),
            _ => return ServerAnswer::Unclear,
        };
        let Some(tip) = advertised_tip(&advertised, &format!("refs/heads/{branch}")) else {
            return ServerAnswer::Unclear;
        };
        if tip == known {
            return ServerAnswer::Done(Fetched { tip, pack: None });
        }
        let mut body = line(&format!(
            "want {tip} ofs-delta no-progress agent={}\n",
            AGENT.replace(' ', "-")
        ));
        body.extend_from_slice(FLUSH);
        body.extend_from_slice(&line(&format!("have {known}\n")));
        body.extend_from_slice(&line("done\n"));
        let request = self
            .wire
            .client
            .post(format!("{}/git-upload-pack", self.url))
            .header(header::CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(header::ACCEPT, "application/x-git-upload-pack-result")
            .body(body);
        match self.send(request, "application/x-git-upload-pack-result").await {
            ServerAnswer::Done(bytes) => match pack_in(&bytes) {
                Some(pack) => ServerAnswer::Done(Fetched {
                    tip,
                    pack: Some(pack.to_vec()),
                }),
                None => ServerAnswer::Unclear,
            },
            ServerAnswer::Down(reason) => ServerAnswer::Down(reason),
            _ => ServerAnswer::Unclear,
        }
    }

    /// Begins the requests of a race: where the branch is, what is new there, and the push. Protocol version 2 lets the first
    /// two do without asking for more before.
    pub(super) fn begin(&self) -> Begun {
        let request = |service: &str| {
            let (body, rest) = mpsc::channel(1);
            let kind = format!("application/x-{service}-result");
            let request = self.of_version_2(service);
            let request = self.signed(request.body(Body::wrap_stream(ReceiverStream::new(rest))));
            let answer = tokio::spawn(async move {
                match request {
                    Some(request) => answer(request, &kind).await,
                    None => ServerAnswer::Unclear,
                }
            });
            Request { body, answer }
        };
        Begun {
            refs: request("git-upload-pack"),
            objects: request("git-upload-pack"),
            push: request("git-receive-pack"),
        }
    }

    /// The body of an answer of the right kind.
    async fn send(&self, request: RequestBuilder, kind: &str) -> ServerAnswer<Vec<u8>> {
        match self.signed(request) {
            Some(request) => answer(request, kind).await,
            None => ServerAnswer::Unclear,
        }
    }

    fn signed(&self, request: RequestBuilder) -> Option<RequestBuilder> {
        Wire::signed(self.login, request)
    }
}

impl Begun {
    /// Asks where the branch is, and for what is new since `known`.
    pub(super) async fn fetch(&mut self, branch: &str, known: Oid) -> ServerAnswer<Fetched> {
        let reference = format!("refs/heads/{branch}");
        let ask = command("ls-refs", &[format!("ref-prefix {reference}\n")]);
        let listed = match self.refs.finish(ask).await {
            ServerAnswer::Done(listed) => listed,
            ServerAnswer::Down(reason) => return ServerAnswer::Down(reason),
            _ => return ServerAnswer::Unclear,
        };
        let Some(tip) = advertised_tip(&listed, &reference) else {
            return ServerAnswer::Unclear;
        };
        if tip == known {
            return ServerAnswer::Done(Fetched { tip, pack: None });
        }
        let words = ["no-progress\n", "ofs-delta\n"].map(str::to_owned);
        let wanted = [format!("want {tip}\n"), format!("have {known}\n"), "done\n".to_owned()];
        let ask = command("fetch", &[&words[..], &wanted[..]].concat());
        match self.objects.finish(ask).await {
            ServerAnswer::Done(bytes) => match pack_within(&bytes) {
                Some(pack) => ServerAnswer::Done(Fetched { tip, pack: Some(pack) }),
                None => ServerAnswer::Unclear,
            },
            ServerAnswer::Down(reason) => ServerAnswer::Down(reason),
            _ => ServerAnswer::Unclear,
        }
    }

    /// As [`Server::push`].
    pub(super) async fn push(mut self, branch: &str, old: Oid, new: Oid, pack: &[u8]) -> ServerAnswer<()> {
        let reference = format!("refs/heads/{branch}");
        match self.push.finish(update(&reference, Some(old), new, pack)).await {
            ServerAnswer::Done(bytes) => report(&bytes, &reference),
            ServerAnswer::Down(reason) => ServerAnswer::Down(reason),
            _ => ServerAnswer::Unclear,
        }
    }
}

impl Request {
    async fn finish(&mut self, body: Vec<u8>) -> ServerAnswer<Vec<u8>> {
        let (closed, _) = mpsc::channel(1);
        let sender = std::mem::replace(&mut self.body, closed);
        if sender.send(Ok(body)).await.is_err() {
            return ServerAnswer::Unclear;
        }
        drop(sender);
        (&mut self.answer).await.unwrap_or(ServerAnswer::Unclear)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

async fn answer(request: RequestBuilder, kind: &str) -> ServerAnswer<Vec<u8>> {
    let Ok(mut response) = request.send().await else {
        return ServerAnswer::Unclear;
    };
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return ServerAnswer::Down(format!("answered with status {}", status.as_u16()));
    }
    let is_kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == kind);
    if status != StatusCode::OK || !is_kind {
        return ServerAnswer::Unclear;
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= LARGEST => bytes.extend_from_slice(&chunk),
            Ok(None) => return ServerAnswer::Done(bytes),
            _ => return ServerAnswer::Unclear,
        }
    }
}

/// Where a redirect of a look leads, by the address that was asked and its `Location`, which may be relative (RFC 9110, 10.2.2).
fn redirected(asked: &str, location: &str) -> Option<Moved> {
    let mut to = reqwest::Url::parse(asked).ok()?.join(location).ok()?;
    if !matches!(to.scheme(), "http" | "https") || to.as_str() == asked {
        return None;
    }
    // Whoever reads of it is shown no secrets.
    to.set_username("").ok()?;
    to.set_password(None).ok()?;
    let is_look = to
        .query()
        .is_some_and(|query| query.contains("service=git-upload-pack"));
    to.set_query(None);
    to.set_fragment(None);
    Some(match to.as_str().strip_suffix("/info/refs") {
        Some(repository) if is_look => Moved::To(repository.to_owned()),
        _ => Moved::Elsewhere(to.to_string()),
    })
}

/// The body of a push.
fn update(reference: &str, old: Option<Oid>, new: Oid, pack: &[u8]) -> Vec<u8> {
    let old = old.unwrap_or(Oid::ZERO_SHA1);
    let mut body = line(&format!(
        "{old} {new} {reference}\0report-status side-band-64k agent={}",
        AGENT.replace(' ', "-")
    ));
    body.extend_from_slice(FLUSH);
    body.extend_from_slice(pack);
    body
}

/// A command of protocol version 2.
pub(super) fn command(name: &str, arguments: &[String]) -> Vec<u8> {
    let mut body = line(&format!("command={name}\n"));
    body.extend_from_slice(DELIMITER);
    for argument in arguments {
        body.extend_from_slice(&line(argument));
    }
    body.extend_from_slice(FLUSH);
    body
}

/// A pkt-line: its length in four hexadecimal digits, then the text.
fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// The next pkt-line and what follows; `Some((None, …))` for a flush.
pub(super) fn next(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let length = std::str::from_utf8(bytes.get(..4)?).ok()?;
    match usize::from_str_radix(length, 16).ok()? {
        0..4 => Some((None, bytes.get(4..)?)),
        length => Some((Some(bytes.get(4..length)?), bytes.get(length..)?)),
    }
}

/// What the report on a push says of `reference`: gitprotocol-pack(5), "Report Status", within the side band.
fn report(bytes: &[u8], reference: &str) -> ServerAnswer<()> {
    let (mut status, mut said, mut rest) = (Vec::new(), Vec::new(), bytes);
    while !rest.is_empty() {
        let Some((text, after)) = next(rest) else {
            return ServerAnswer::Unclear;
        };
        rest = after;
        match text.and_then(|text| text.split_first()) {
            None => {}
            Some((1, text)) => status.extend_from_slice(text),
            Some((2, text)) => said.extend_from_slice(text),
            Some(_) => return ServerAnswer::Unclear,
        }
    }
    let (mut is_unpacked, mut rest) = (false, &status[..]);
    while !rest.is_empty() {
        let Some((text, after)) = next(rest) else {
            return ServerAnswer::Unclear;
        };
        rest = after;
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        let mut words = text.trim_end_matches('\n').splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("unpack"), Some("ok"), None) => is_unpacked = true,
            (Some("ok"), Some(name), None) if is_unpacked && name == reference => return ServerAnswer::Done(()),
            (Some("ng"), Some(name), reason) if is_unpacked && name == reference => {
                return ServerAnswer::Rejected {
                    reason: reason.unwrap_or_default().to_owned(),
                    said: String::from_utf8_lossy(&said).into_owned(),
                };
            }
            _ => {}
        }
    }
    ServerAnswer::Unclear
}

/// Where the advertised references say that `reference` is.
fn advertised_tip(bytes: &[u8], reference: &str) -> Option<Oid> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (text, after) = next(rest)?;
        rest = after;
        let Some(text) = text else { continue };
        // The first one carries the server's abilities behind a NUL.
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(text).ok()?.trim_end_matches('\n');
        if let Some((id, name)) = text.split_once(' ')
            && name == reference
        {
            return Oid::from_str(id).ok();
        }
    }
    None
}

/// The pack behind the acknowledgements; `None` when the known commit was not acknowledged, so that it may not be whole.
fn pack_in(bytes: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut is_known) = (bytes, false);
    while !rest.starts_with(b"PACK") {
        let (text, after) = next(rest)?;
        is_known |= text.is_some_and(|text| text.starts_with(b"ACK "));
        rest = after;
    }
    is_known.then_some(rest)
}

/// The pack in the answer to a fetch of version 2. `done` was said, so that it is whole whatever the server knew of ours.
fn pack_within(bytes: &[u8]) -> Option<Vec<u8>> {
    // What doesn't end with a flush was cut.
    if !bytes.ends_with(FLUSH) {
        return None;
    }
    let (mut rest, mut pack, mut is_pack) = (bytes, Vec::new(), false);
    while !rest.is_empty() {
        let (text, after) = next(rest)?;
        rest = after;
        match text {
            Some(b"packfile\n") => is_pack = true,
            Some([1, part @ ..]) if is_pack => pack.extend_from_slice(part),
            Some([3, ..]) => return None,
            _ => {}
        }
    }
    pack.starts_with(b"PACK").then_some(pack)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "refs/heads/main";

    fn in_band(band: u8, bytes: &[u8]) -> Vec<u8> {
        let mut all = format!("{:04x}", bytes.len() + 5).into_bytes();
        all.push(band);
        all.extend_from_slice(bytes);
        all
    }

    fn reported(lines: &[&str], said: &str) -> Vec<u8> {
        let mut status: Vec<u8> = lines.iter().flat_map(|text| line(text)).collect();
        status.extend_from_slice(FLUSH);
        let mut all = in_band(2, said.as_bytes());
        all.extend_from_slice(&in_band(1, &status));
        all.extend_from_slice(FLUSH);
        all
    }

    #[test]
    fn only_clear_reports_count() {
        assert_eq!(
            report(&reported(&["unpack ok\n", "ok refs/heads/main\n"], ""), MAIN),
            ServerAnswer::Done(())
        );
        let rejected = reported(
            &["unpack ok\n", "ng refs/heads/main failed to update ref\n"],
            "cannot lock ref\n",
        );
        assert_eq!(
            report(&rejected, MAIN),
            ServerAnswer::Rejected {
                reason: "failed to update ref".into(),
                said: "cannot lock ref\n".into()
            }
        );
        for unclear in [
            reported(
                &[
                    "unpack index-pack abnormal exit\n",
                    "ng refs/heads/main unpacker error\n",
                ],
                "",
            ),
            reported(&["unpack ok\n", "ok refs/heads/other\n"], ""),
            reported(&["ok refs/heads/main\n"], ""),
            in_band(3, b"fatal"),
            b"<html>".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(
                report(&unclear, MAIN),
                ServerAnswer::Unclear,
                "{}",
                String::from_utf8_lossy(&unclear)
            );
        }
    }

    #[test]
    fn redirects_name_the_repository() {
        let asked = "https://git.example.com/old/a.git/info/refs?service=git-upload-pack";
        let to = |location: &str| redirected(asked, location);
        let moved = Some(Moved::To("https://git.example.com/new/a.git".to_owned()));
        assert_eq!(to("/new/a.git/info/refs?service=git-upload-pack"), moved);
        assert_eq!(
            to("https://u:p@git.example.com/new/a.git/info/refs?service=git-upload-pack"),
            moved
        );
        assert_eq!(
            to("/users/sign_in?next=/old"),
            Some(Moved::Elsewhere("https://git.example.com/users/sign_in".to_owned()))
        );
        for none in [asked, "ssh://git.example.com/a", "https://["] {
            assert_eq!(to(none), None, "{none}");
        }
    }

    #[test]
    fn advertisements_and_packs_are_read() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let mut bytes = line("# service=git-upload-pack\n");
        bytes.extend_from_slice(FLUSH);
        bytes.extend(line(&format!("{a} HEAD\0multi_ack side-band-64k\n")));
        bytes.extend(line(&format!("{a} refs/heads/main-2\n")));
        bytes.extend(line(&format!("{b} refs/heads/main\n")));
        bytes.extend_from_slice(FLUSH);
        assert_eq!(advertised_tip(&bytes, MAIN), Oid::from_str(&b).ok());
        assert_eq!(advertised_tip(&bytes, "refs/heads/none"), None);
        let mut answer = line(&format!("ACK {a}\n"));
        answer.extend_from_slice(b"PACKxyz");
        assert_eq!(pack_in(&answer), Some(&b"PACKxyz"[..]));
        assert_eq!(pack_in(b"0008NAK\nPACKxyz"), None);
        assert_eq!(pack_in(b""), None);
    }
}
