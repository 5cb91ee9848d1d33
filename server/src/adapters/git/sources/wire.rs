//! Asks a server for history and nothing else: protocol version 2 with the filter `tree:0` (gitprotocol-v2(5)).

use super::super::smart::{FLUSH, Wire, command, next};
use crate::adapters::guard;
use git2::Oid;
use reqwest::{RequestBuilder, StatusCode, header};
use secrecy::SecretString;
use std::{collections::BTreeSet, error::Error as _};

/// The largest history that is fetched, in bytes as it is sent: some 400 000 commits.
const LARGEST: usize = 64 << 20;
/// The largest of the other answers.
const LARGEST_LIST: usize = 4 << 20;
/// Branches and tags that are asked for at once, at most.
const MOST_TIPS: usize = 2000;
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const RESULT: &str = "application/x-git-upload-pack-result";

/// Why a server could not be asked.
#[derive(Debug)]
pub(super) enum WireError {
    /// User and token are refused.
    Refused,
    /// There is no such repository.
    Missing,
    /// It can't send history without files.
    NoHistoryAlone,
    /// The answer is larger than what is read.
    TooLarge,
    /// It doesn't give a commit that was asked for; in its words.
    NotOurs(String),
    /// Anything else, without a full stop.
    Broken(String),
}

/// A source repository over HTTP.
pub(super) struct Remote<'a> {
    pub(super) wire: &'a Wire,
    pub(super) url: &'a str,
    pub(super) login: Option<(&'a str, &'a SecretString)>,
}

impl Remote<'_> {
    /// Makes sure that the server can do what is asked of it.
    pub(super) async fn check(&self) -> Result<(), WireError> {
        let request = self
            .wire
            .client()
            .get(format!("{}/info/refs?service=git-upload-pack", self.url))
            .header("Git-Protocol", "version=2");
        let bytes = self.ask(request, ADVERTISEMENT, LARGEST_LIST).await?;
        let (mut rest, mut is_version_2, mut filters) = (&bytes[..], false, false);
        while !rest.is_empty() {
            let (text, after) = next(rest).ok_or_else(|| WireError::Broken("its answer was cut off".into()))?;
            rest = after;
            let text = String::from_utf8_lossy(text.unwrap_or_default());
            match text.trim_end_matches('\n') {
                "version 2" => is_version_2 = true,
                text => {
                    if let Some(format) = text.strip_prefix("object-format=")
                        && format != "sha1"
                    {
                        return Err(WireError::Broken(format!("its commits are named by {}", plain(format))));
                    }
                    let fetch = text.strip_prefix("fetch=").unwrap_or_default();
                    filters |= fetch.split(' ').any(|ability| ability == "filter");
                }
            }
        }
        match is_version_2 && filters {
            true => Ok(()),
            false => Err(WireError::NoHistoryAlone),
        }
    }

    /// The commits that branches and tags lead to.
    pub(super) async fn tips(&self) -> Result<Vec<Oid>, WireError> {
        let arguments = ["peel\n", "ref-prefix refs/heads/\n", "ref-prefix refs/tags/\n"].map(str::to_owned);
        let request = self.post(command("ls-refs", &arguments));
        let bytes = self.ask(request, RESULT, LARGEST_LIST).await?;
        let (mut rest, mut tips) = (&bytes[..], BTreeSet::new());
        while !rest.is_empty() && tips.len() < MOST_TIPS {
            let (text, after) = next(rest).ok_or_else(|| WireError::Broken("its answer was cut off".into()))?;
            rest = after;
            let text = String::from_utf8_lossy(text.unwrap_or_default());
            let mut words = text.trim_end_matches('\n').split(' ');
            let id = words.next();
            // Of a tag with a message of its own, the commit behind it.
            let peeled = words.find_map(|word| word.strip_prefix("peeled:"));
            tips.extend(peeled.or(id).and_then(|id| Oid::from_str(id).ok()));
        }
        Ok(tips.into_iter().collect())
    }

    /// The history of some commits without what there is already, as a pack. `done` is said at once, so that it is whole whatever
    /// the server knows of that.
    pub(super) async fn history(&self, want: &[Oid], have: &[Oid]) -> Result<Vec<u8>, WireError> {
        let mut arguments = ["no-progress\n", "ofs-delta\n", "filter tree:0\n"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(want.iter().map(|id| format!("want {id}\n")));
        arguments.extend(have.iter().map(|id| format!("have {id}\n")));
        arguments.push("done\n".to_owned());
        let request = self.post(command("fetch", &arguments));
        let bytes = self.ask(request, RESULT, LARGEST).await?;
        pack_in(&bytes)
    }

    fn post(&self, body: Vec<u8>) -> RequestBuilder {
        (self.wire.client())
            .post(format!("{}/git-upload-pack", self.url))
            .header(header::CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(header::ACCEPT, RESULT)
            .header("Git-Protocol", "version=2")
            .body(body)
    }

    /// The body of an answer of the right kind.
    async fn ask(&self, request: RequestBuilder, kind: &str, largest: usize) -> Result<Vec<u8>, WireError> {
        let broken = |why: &str| WireError::Broken(why.to_owned());
        let request = Wire::signed(self.login, request).ok_or(WireError::Refused)?;
        let mut response = request.send().await.map_err(|error| failure(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(WireError::Refused),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(WireError::Missing),
            // Where it leads to is nobody's whom an administrator listed.
            status if status.is_redirection() => return Err(WireError::Missing),
            status => {
                return Err(WireError::Broken(format!(
                    "it answered with status {}",
                    status.as_u16()
                )));
            }
        }
        let given = response.headers().get(header::CONTENT_TYPE);
        if given.is_none_or(|given| given != kind) {
            return Err(broken("its answer isn't one of a Git server"));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
            if bytes.len() + chunk.len() > largest {
                return Err(WireError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// The pack in the answer to a fetch.
fn pack_in(bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    let cut = || WireError::Broken("its answer was cut off".into());
    let (mut rest, mut pack, mut is_pack) = (bytes, Vec::new(), false);
    while !rest.is_empty() {
        let (text, after) = next(rest).ok_or_else(cut)?;
        rest = after;
        match text {
            Some([b'E', b'R', b'R', b' ', why @ ..]) => return Err(refusal(why)),
            Some([3, why @ ..]) if is_pack => return Err(refusal(why)),
            Some(b"packfile\n") => is_pack = true,
            Some([1, part @ ..]) if is_pack => pack.extend_from_slice(part),
            _ => {}
        }
    }
    // What doesn't end with a flush was cut.
    match pack.starts_with(b"PACK") && bytes.ends_with(FLUSH) {
        true => Ok(pack),
        false => Err(cut()),
    }
}

/// What a server means by refusing a fetch.
fn refusal(why: &[u8]) -> WireError {
    let why = plain(&String::from_utf8_lossy(why));
    match why.contains("filter") {
        true => WireError::NoHistoryAlone,
        false => WireError::NotOurs(why),
    }
}

/// A server's words on one line, and not too many of them.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.join(" ").trim().chars().take(200).collect()
}

/// Why nothing came, without the address.
fn failure(error: &reqwest::Error) -> WireError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<guard::Refused>() {
            return WireError::Broken(refused.to_string());
        }
        cause = inner.source();
    }
    WireError::Broken(match () {
        () if error.is_timeout() => "no answer came in time".into(),
        () if error.is_connect() => "it could not be connected to".into(),
        () => "the connection broke".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> Vec<u8> {
        let mut line = format!("{:04x}", text.len() + 4).into_bytes();
        line.extend_from_slice(text);
        line
    }

    #[test]
    fn a_pack_counts_only_when_it_is_whole() {
        let mut answer = line(b"packfile\n");
        answer.extend(line(b"\x02Counting"));
        answer.extend(line(b"\x01PACK12"));
        answer.extend(line(b"\x0134"));
        assert!(matches!(pack_in(&answer), Err(WireError::Broken(_))), "without its end");
        answer.extend_from_slice(FLUSH);
        assert_eq!(pack_in(&answer).unwrap(), b"PACK1234");
        assert!(matches!(
            pack_in(&answer[..answer.len() - 9]),
            Err(WireError::Broken(_))
        ));
        assert!(matches!(pack_in(FLUSH), Err(WireError::Broken(_))), "no pack at all");
    }

    #[test]
    fn refusals_are_told_apart() {
        let not_ours = line(b"ERR upload-pack: not our ref 1234\n");
        assert!(matches!(pack_in(&not_ours), Err(WireError::NotOurs(why)) if why == "upload-pack: not our ref 1234"));
        let filter = line(b"ERR filter 'tree' not supported\n");
        assert!(matches!(pack_in(&filter), Err(WireError::NoHistoryAlone)));
    }
}
