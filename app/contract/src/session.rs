//! Who is signed in.

use domain::{name::Name, rights::Role};
use serde::{Deserialize, Serialize};

/// The person who is signed in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Me {
    /// Name to show.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Workspaces, with the role in each.
    pub workspaces: Vec<(Name, Role)>,
}

/// What the sign-in form posts.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SignInDraft {
    /// E-mail address.
    pub email: String,
    /// Password; never given back.
    #[serde(skip_serializing)]
    pub password: String,
}

impl std::fmt::Debug for SignInDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInDraft")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

/// Where to go after signing in: only a path of this site. Browsers take `//host` and `/\host` for another site, and
/// leave out control characters before they look.
#[must_use]
pub fn safe_next(wanted: Option<&str>) -> String {
    let fine = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.starts_with("/\\")
            && path.bytes().all(|b| b.is_ascii_graphic())
    };
    wanted.filter(fine).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::safe_next;

    #[test]
    fn only_paths_of_this_site_are_gone_to() {
        for good in ["/", "/w/acme/shop?q=a&diff=1", "/promotions/1"] {
            assert_eq!(safe_next(Some(good)), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x",
            "w/acme",
            "/é",
        ] {
            assert_eq!(safe_next(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(safe_next(None), "/");
    }
}
