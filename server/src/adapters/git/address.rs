//! Addresses of repositories, without the secrets that people put into them.

use secrecy::SecretString;

/// An address without secrets.
#[derive(Clone)]
pub(super) struct Address {
    /// What is given to git and shown to people.
    pub(super) url: String,
    /// A user and password that stood in it.
    pub(super) login: Option<(String, SecretString)>,
}

impl Address {
    /// Takes credentials out of an HTTP address.
    pub(super) fn parse(url: &str) -> Self {
        let plain = |url: String| Self { url, login: None };
        let Some((scheme, rest)) = url.split_once("://") else {
            return plain(url.to_owned());
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let Some((login, host)) = rest[..end].rsplit_once('@') else {
            return plain(url.to_owned());
        };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        if !is_http {
            return plain(format!("{scheme}://{user}@{host}{}", &rest[end..]));
        }
        Self {
            url: format!("{scheme}://{host}{}", &rest[end..]),
            login: Some((decode(user), SecretString::from(decode(password)))),
        }
    }

    /// Scheme, host and port, for `http.<url>.*` settings.
    pub(super) fn origin(&self) -> Option<&str> {
        let host = self.url.find("://")? + 3;
        let end = self.url[host..].find('/').map_or(self.url.len(), |i| host + i);
        self.url.get(..4).filter(|s| s.eq_ignore_ascii_case("http"))?;
        Some(&self.url[..end])
    }
}

/// How Git gets to an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GitRoute {
    /// Over HTTP, encrypted or not.
    Http,
    /// Over SSH.
    Ssh,
    /// A path on this machine, as Git reads it: absolute or not.
    Local(String),
    /// Some other way that Git knows: a program to run, a protocol without sign-in.
    Unknown,
}

impl Address {
    /// How Git would get there: `url_is_local_not_ssh` and `parse_connect_url` in its `connect.c`, and `transport_get` in `transport.c`.
    pub(super) fn way(&self) -> GitRoute {
        let url = self.url.as_str();
        if let Some((scheme, rest)) = url.split_once("://") {
            return match scheme {
                "ssh" => GitRoute::Ssh,
                // Git undoes escapes in every address with a scheme.
                "file" => GitRoute::Local(decode(rest)),
                _ if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => GitRoute::Http,
                _ => GitRoute::Unknown,
            };
        }
        let helper = url.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'));
        if helper.is_some_and(|end| url[end..].starts_with("::")) {
            return GitRoute::Unknown;
        }
        match (url.find(':'), url.find('/')) {
            (Some(colon), slash) if slash.is_none_or(|slash| colon < slash) => GitRoute::Ssh,
            _ => GitRoute::Local(url.to_owned()),
        }
    }
}

/// Where an address leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    /// A name, or an address without brackets.
    pub(super) host: &'a str,
    /// Its port, when HTTP is spoken there.
    pub(super) http_port: Option<u16>,
}

impl Address {
    /// The server behind it. `None` for a folder of this machine.
    pub(super) fn destination(&self) -> Option<Destination<'_>> {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            // What is left is a path, or scp's form.
            let (authority, _) = self.url.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            let host = authority.rsplit('@').next()?;
            return Some(Destination { host, http_port: None });
        };
        let authority = rest.split('/').next()?.rsplit('@').next()?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = port.strip_prefix(':').and_then(|port| port.parse().ok());
        let http_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => Some(port.unwrap_or(80)),
            "https" => Some(port.unwrap_or(443)),
            _ => None,
        };
        Some(Destination { host, http_port }).filter(|to| !to.host.is_empty())
    }
}

/// Percent-decoding, as RFC 3986 has it for the user part of an address.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = text.get(i + 1..i + 3).filter(|_| bytes[i] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Addresses in a text lose what stands before `@`.
pub(super) fn without_logins(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail
            .find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '\'' | '"'))
            .unwrap_or(tail.len());
        let host = tail[..end].rsplit('@').next().unwrap_or_default();
        out.push_str(host);
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn addresses_say_where_they_lead() {
        for (url, expected) in [
            ("https://git.example.com/a/b.git", Some(("git.example.com", Some(443)))),
            ("http://git.example.com:3000/a", Some(("git.example.com", Some(3000)))),
            (
                "HTTPS://u:p@git.example.com:8443/a@b",
                Some(("git.example.com", Some(8443))),
            ),
            ("https://[::1]:8443/a", Some(("::1", Some(8443)))),
            ("ssh://git@git.example.com:22/a", Some(("git.example.com", None))),
            ("git@git.example.com:a/b.git", Some(("git.example.com", None))),
            ("/srv/git/a:b.git", None),
            ("file:///srv/a", None),
        ] {
            let address = Address::parse(url);
            let found = address.destination().map(|to| (to.host, to.http_port));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn ways_are_told_apart_as_git_does() {
        let local = |path: &str| GitRoute::Local(path.to_owned());
        for (url, expected) in [
            ("https://git.example.com/a.git", GitRoute::Http),
            ("HTTP://git.example.com/a.git", GitRoute::Http),
            ("https://u:p@git.example.com/a.git", GitRoute::Http),
            ("ssh://git@git.example.com/a.git", GitRoute::Ssh),
            ("git@git.example.com:a/b.git", GitRoute::Ssh),
            ("git@[::1]:a/b.git", GitRoute::Ssh),
            ("/srv/git/a:b.git", local("/srv/git/a:b.git")),
            ("file:///srv/a.git", local("/srv/a.git")),
            ("file:///srv/%2e%2e/etc", local("/srv/../etc")),
            ("file://host/srv", local("host/srv")),
            ("srv/a@b:c.git", local("srv/a@b:c.git")),
            ("./a.git", local("./a.git")),
            ("~/a.git", local("~/a.git")),
            ("~root/a.git", local("~root/a.git")),
            ("a.git", local("a.git")),
            ("", local("")),
            ("FILE:///srv/a.git", GitRoute::Unknown),
            ("git://git.example.com/a.git", GitRoute::Unknown),
            ("ftp://git.example.com/a.git", GitRoute::Unknown),
            ("git+ssh://git.example.com/a.git", GitRoute::Unknown),
            ("ext::sh -c true", GitRoute::Unknown),
            ("fd::17/a", GitRoute::Unknown),
            ("file::/srv/a.git", GitRoute::Unknown),
            ("::/srv/a.git", GitRoute::Unknown),
        ] {
            assert_eq!(Address::parse(url).way(), expected, "{url}");
        }
    }

    #[test]
    fn addresses_give_up_their_secrets() {
        let address = Address::parse("https://bob:s%40cret@git.example.com:8443/a/b.git");
        assert_eq!(address.url, "https://git.example.com:8443/a/b.git");
        assert_eq!(address.origin(), Some("https://git.example.com:8443"));
        let (user, password) = address.login.unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("bob", "s@cret"));
        for kept in [
            "git@example.com:a/b.git",
            "ssh://git@example.com/a",
            "/srv/git/a.git",
            "file:///srv/a",
        ] {
            assert_eq!(Address::parse(kept).url, kept);
        }
        assert_eq!(
            Address::parse("ssh://git:pw@example.com/a").url,
            "ssh://git@example.com/a"
        );
        assert_eq!(
            without_logins("unable to access 'https://u:t@h/x': see http://v@w"),
            "unable to access 'https://h/x': see http://w"
        );
    }
}
