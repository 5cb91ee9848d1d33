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
