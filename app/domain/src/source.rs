//! Where an image was built from, and which commits lie between two images.
//!
//! What a label says is a claim of whoever built the image. An address in it is never connected to for that alone: only where an administrator
//! listed its host. Everything here is read from text, and nothing is asked.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

mod changes;

pub use changes::{Changes, Commits, Side, SourceChanges, SourceCommit, Unknown};

/// Commits that are listed at most, for each direction.
pub const MOST_COMMITS: usize = 250;
/// Longer addresses are nobody's repository.
const LONGEST: usize = 500;

/// The repository that a label names, without what somebody may sign in with.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SourceRepository {
    /// The host in lower case, with its port where it isn't the one of HTTPS (or of HTTP, where the label says so). Of an address for SSH, whose port
    /// says nothing about HTTP, the host alone.
    pub host: String,
    /// Whether the address is one for SSH.
    pub is_ssh: bool,
    /// Its path on the host, without a slash at its ends and without `.git`.
    pub path: String,
    /// The folder in the repository that the label points to: of a monorepo, say.
    pub folder: Option<String>,
}

/// How a host writes the addresses of its pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostShape {
    /// `github.com`, and GitHub Enterprise at `github.…`.
    GitHub,
    /// `gitlab.com`, and GitLab at `gitlab.…`.
    GitLab,
    /// `bitbucket.org`.
    Bitbucket,
    /// Gitea and Forgejo: `codeberg.org`, `gitea.…`, `forgejo.…`.
    Gitea,
}

impl HostShape {
    /// The shape of a host; `None` where it isn't known by its name.
    #[must_use]
    pub fn of(host: &str) -> Option<Self> {
        let name = host.split(':').next().unwrap_or_default();
        match name {
            "codeberg.org" | "gitea.com" => Some(Self::Gitea),
            "bitbucket.org" => Some(Self::Bitbucket),
            _ if name.starts_with("github.") => Some(Self::GitHub),
            _ if name.starts_with("gitlab.") => Some(Self::GitLab),
            _ if name.starts_with("gitea.") || name.starts_with("forgejo.") => Some(Self::Gitea),
            _ => None,
        }
    }
}

impl SourceRepository {
    /// Reads the address of a label: `https://`, `http://`, `ssh://`, `git@host:path`, with `git+` before it or a folder behind it. `None` when it is no
    /// repository on a host.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        let label = label.trim();
        if label.is_empty() || label.len() > LONGEST || label.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let label = label.strip_prefix("git+").unwrap_or(label);
        // As BuildKit writes it, `#REF:FOLDER`. A query says nothing about the repository, and may be a secret.
        let (address, fragment) = label
            .split_once('#')
            .map_or((label, None), |(address, rest)| (address, Some(rest)));
        let address = address.split('?').next().unwrap_or_default();
        let (scheme, rest) = match address.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => ("scp".to_owned(), address),
        };
        let is_ssh = match scheme.as_str() {
            "https" | "http" => false,
            "ssh" | "scp" => true,
            _ => return None,
        };
        let (authority, path) = match scheme.as_str() {
            "scp" => rest.split_once(':').filter(|(host, _)| !host.contains('/'))?,
            _ => rest.split_once('/')?,
        };
        let authority = authority.rsplit('@').next()?.to_ascii_lowercase();
        let (name, port) = host_and_port(&authority)?;
        let host = match (scheme.as_str(), port) {
            (_, None) | ("https", Some(443)) | ("http", Some(80)) | ("ssh" | "scp", _) => name.to_owned(),
            (_, Some(port)) => format!("{name}:{port}"),
        };
        let (path, of_page) = repository_and_folder(HostShape::of(&host), path);
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        if path.is_empty() || !is_plain_path(path) {
            return None;
        }
        let of_fragment = fragment.and_then(|text| text.split_once(':')).map(|(_, folder)| folder);
        let folder = of_fragment.or(of_page).map(|folder| folder.trim_matches('/'));
        let folder = folder.filter(|folder| !folder.is_empty() && is_plain_path(folder));
        Some(Self {
            host,
            is_ssh,
            path: path.to_owned(),
            folder: folder.map(str::to_owned),
        })
    }

    /// Host and path: what people call it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// Whether both are the same repository, however its address is written and whatever folder of it is meant.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let name = |host: &str| host.split(':').next().unwrap_or_default().to_owned();
        let is_same_host = match self.is_ssh == other.is_ssh {
            true => self.host == other.host,
            false => name(&self.host) == name(&other.host),
        };
        is_same_host && self.path == other.path
    }

    /// Whether a listed host, written as administrators write it (`git.example.com`, `git.example.com:8443`), is this repository's.
    #[must_use]
    pub fn is_at(&self, listed: &str) -> bool {
        match self.is_ssh {
            true => listed.split(':').next() == Some(self.host.as_str()),
            false => listed == self.host,
        }
    }

    /// Where a browser shows a commit, where the host's shape is known.
    #[must_use]
    pub fn commit_link(&self, commit: &Revision) -> Option<String> {
        let commit = commit.as_str();
        let base = self.page();
        Some(match HostShape::of(&self.host)? {
            HostShape::GitHub | HostShape::Gitea => format!("{base}/commit/{commit}"),
            HostShape::GitLab => format!("{base}/-/commit/{commit}"),
            HostShape::Bitbucket => format!("{base}/commits/{commit}"),
        })
    }

    /// Where a browser shows what is in `new` and not in `old`, where the host's shape is known.
    #[must_use]
    pub fn compare_link(&self, old: &Revision, new: &Revision) -> Option<String> {
        let (base, old, new) = (self.page(), old.as_str(), new.as_str());
        Some(match HostShape::of(&self.host)? {
            HostShape::GitHub | HostShape::Gitea => format!("{base}/compare/{old}...{new}"),
            HostShape::GitLab => format!("{base}/-/compare/{old}...{new}"),
            // The branch first, then what it is compared with.
            HostShape::Bitbucket => format!("{base}/branches/compare/{new}%0D{old}"),
        })
    }

    fn page(&self) -> String {
        format!("https://{}/{}", self.host, self.path)
    }
}

/// The name of a commit: 7 to 40 hexadecimal characters, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// Reads what a label says. `None` when it is a branch, a tag or something else that isn't one commit for good.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        let text = label.trim().to_ascii_lowercase();
        let is_name = (7..=40).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_hexdigit());
        is_name.then_some(Self(text))
    }

    /// As it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven characters.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }

    /// Whether it is the whole name, and not only its beginning.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.len() == 40
    }

    /// Whether both may name one commit: one begins with the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

/// Reads a host as an administrator lists it: a name or an address, with the port where there is one.
#[must_use]
pub fn listed_host(typed: &str) -> Option<String> {
    let typed = typed.trim().to_ascii_lowercase();
    let (name, port) = host_and_port(&typed)?;
    Some(match port {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    })
}

/// A host's name and its port. Addresses of IP version 6 aren't read.
fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match authority.split_once(':') {
        Some((name, port)) => (name, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        None => (authority, None),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_name = !name.is_empty() && name.len() <= 253 && name.chars().all(is_plain) && !name.starts_with(['.', '-']);
    is_name.then_some((name, port))
}

/// Takes a page of a folder apart: the repository's path, and the folder.
fn repository_and_folder(shape: Option<HostShape>, path: &str) -> (&str, Option<&str>) {
    let found = match shape {
        Some(HostShape::GitHub) => parted(path, &["/tree/", "/blob/"]).map(|(path, rest)| (path, after(rest, 1))),
        Some(HostShape::GitLab) => parted(path, &["/-/tree/", "/-/blob/"]).map(|(path, rest)| (path, after(rest, 1))),
        Some(HostShape::Bitbucket) => parted(path, &["/src/"]).map(|(path, rest)| (path, after(rest, 1))),
        // `branch/main/folder`, `commit/ID/folder`, `tag/v1/folder`.
        Some(HostShape::Gitea) => parted(path, &["/src/"]).map(|(path, rest)| (path, after(rest, 2))),
        None => None,
    };
    found.unwrap_or((path, None))
}

fn parted<'a>(path: &'a str, marks: &[&str]) -> Option<(&'a str, &'a str)> {
    marks.iter().find_map(|mark| path.split_once(mark))
}

/// What comes after so many parts.
fn after(path: &str, parts: usize) -> Option<&str> {
    path.splitn(parts + 1, '/').nth(parts)
}

/// Whether a path can stand in an address as it is, and leads nowhere else.
fn is_plain_path(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '+' | '@');
    path.split('/')
        .all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(is_plain))
}

#[cfg(test)]
mod tests;
