//! Which paths a file of a repository may have: one rule for what is typed and for what is written.
//!
//! Git keeps `.git` for itself. Whoever checks a repository out on a file system that ignores case, invisible characters or what a name
//! ends with (HFS+, APFS, NTFS) would have a path written there that only looks like another one; Git's own rules against it are
//! `verify_path` in its `read-cache.c`, `is_ntfs_dotgit` in `path.c` and `is_hfs_dotgit` in `utf8.c`. And what people can't see in a
//! path they can't tell from another path.

use std::fmt;

/// Names that Git reads itself wherever they lie, without the dot. NTFS knows each by a short name too: the first six letters, `~` and a
/// number.
const GITS_OWN: [&str; 3] = ["git", "gitmodules", "gitattributes"];

/// Characters of the general category Cf, those that programs may leave out when they show a text (`Default_Ignorable_Code_Point`), and
/// the separators of lines and paragraphs. From `DerivedGeneralCategory.txt` and `DerivedCoreProperties.txt` of Unicode 16.
const INVISIBLE: [(char, char); 25] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Why a path can't be used. The words are a clause, to go on from "this path can't be used: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It isn't a path from the repository's root down to a file.
    Outside,
    /// It holds a character that can't be seen, this one.
    Invisible(char),
    /// A name in it begins or ends as names don't.
    Edge,
    /// A name in it is Git's own on some file system.
    Reserved,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str(
                "it must stay inside the repository, without a slash at its beginning or end, without backslashes, and without \
                 . or .. in it",
            ),
            Self::Invisible(c) => write!(f, "it holds a character that can't be seen, U+{:04X}", u32::from(*c)),
            Self::Edge => f.write_str("a name in it begins or ends with a blank, or ends with a dot"),
            Self::Reserved => {
                f.write_str("a name in it is, or is taken by some file systems for, .git, .gitmodules or .gitattributes")
            }
        }
    }
}

impl std::error::Error for PathError {}

/// Whether a character can't be seen, or changes how those around it are shown.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Holds a path within a repository, such as `environments/staging/values.yaml`, against the rule.
///
/// # Errors
/// Why it can't be used.
pub fn check(path: &str) -> Result<(), PathError> {
    if let Some(c) = path.chars().find(|c| is_invisible(*c)) {
        return Err(PathError::Invisible(c));
    }
    path.split('/').try_for_each(check_name)
}

fn check_name(name: &str) -> Result<(), PathError> {
    if matches!(name, "" | "." | "..") || name.contains('\\') {
        return Err(PathError::Outside);
    }
    // NTFS: what follows a colon is a stream of the file before it, and blanks and dots before that aren't there.
    let file = name.split(':').next().unwrap_or(name);
    if is_gits_own(file.trim_end_matches([' ', '.'])) {
        return Err(PathError::Reserved);
    }
    if name.starts_with(char::is_whitespace) || name.ends_with(|c: char| c.is_whitespace() || c == '.') {
        return Err(PathError::Edge);
    }
    Ok(())
}

fn is_gits_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if let Some((short, number)) = name.split_once('~') {
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        // `gi7eba~1` and `gi7d29~1`: what NTFS makes of .gitmodules and .gitattributes when the first four short names are taken.
        let is_short =
            matches!(short, "gi7eba" | "gi7d29") || GITS_OWN.iter().any(|own| &own[..own.len().min(6)] == short);
        return is_number && is_short;
    }
    name.strip_prefix('.').is_some_and(|rest| GITS_OWN.contains(&rest))
}

#[cfg(test)]
mod tests {
    use super::{
        PathError::{Edge, Invisible, Outside, Reserved},
        *,
    };
    use proptest::prelude::*;

    #[test]
    fn paths_are_held_against_the_rule() {
        for (path, expected) in [
            ("environments/staging/values.yaml", None),
            (".gitops/staging.yaml", None),
            (".github/staging/values.yaml", None),
            ("a/.gitignore.d/values.yaml", None),
            ("git/values.yaml", None),
            ("git~/values.yaml", None),
            ("digit~1/values.yaml", None),
            ("my charts/st\u{e4}ging \u{65e5}\u{672c}/values.yaml", None),
            ("env:prod/values.yaml", None),
            ("...a/.b./c", Some(Edge)),
            ("", Some(Outside)),
            ("/etc/passwd", Some(Outside)),
            ("a/../b", Some(Outside)),
            ("..", Some(Outside)),
            ("./a", Some(Outside)),
            ("a//b", Some(Outside)),
            ("a/", Some(Outside)),
            ("a\\b", Some(Outside)),
            ("a\\..\\.git\\config", Some(Outside)),
            (".git/config", Some(Reserved)),
            ("a/.GIT/x", Some(Reserved)),
            ("a/.gIt", Some(Reserved)),
            (".git ", Some(Reserved)),
            (".git...", Some(Reserved)),
            (".git . ./config", Some(Reserved)),
            (".git::$INDEX_ALLOCATION/config", Some(Reserved)),
            (".git:x/config", Some(Reserved)),
            (".Git. :x/config", Some(Reserved)),
            ("git~1/config", Some(Reserved)),
            ("GIT~1/config", Some(Reserved)),
            ("GIT~27./config", Some(Reserved)),
            ("git~1::$INDEX_ALLOCATION/config", Some(Reserved)),
            (".gitmodules", Some(Reserved)),
            ("a/.GitModules", Some(Reserved)),
            ("gitmod~1", Some(Reserved)),
            ("GI7EBA~1", Some(Reserved)),
            (".gitattributes", Some(Reserved)),
            ("gitatt~2", Some(Reserved)),
            ("gi7d29~9", Some(Reserved)),
            (".g\u{200c}it/config", Some(Invisible('\u{200c}'))),
            (".git\u{feff}/config", Some(Invisible('\u{feff}'))),
            ("\u{200b}.git/config", Some(Invisible('\u{200b}'))),
            (".g\u{ad}it/config", Some(Invisible('\u{ad}'))),
            (".git\u{fe0f}/config", Some(Invisible('\u{fe0f}'))),
            ("environments/\u{202e}lmay.seulav", Some(Invisible('\u{202e}'))),
            ("environments/\u{2067}x", Some(Invisible('\u{2067}'))),
            ("a\u{200f}/b", Some(Invisible('\u{200f}'))),
            ("a/b\0", Some(Invisible('\0'))),
            ("a\nb", Some(Invisible('\n'))),
            ("a\u{85}b", Some(Invisible('\u{85}'))),
            ("a\u{2028}b", Some(Invisible('\u{2028}'))),
            ("a\u{e0041}b", Some(Invisible('\u{e0041}'))),
            ("values.yaml ", Some(Edge)),
            ("values.yaml.", Some(Edge)),
            ("a /b", Some(Edge)),
            (" a/b", Some(Edge)),
            ("a/b\u{a0}", Some(Edge)),
            ("a\u{3000}/b", Some(Edge)),
            (".../b", Some(Edge)),
        ] {
            assert_eq!(check(path).err(), expected, "{path:?}");
        }
    }

    /// A name that some file system takes for Git's own.
    fn disguised() -> impl Strategy<Value = String> {
        let own = prop::sample::select(vec![".git", "git~1", ".gitmodules", "gitmod~4", ".gitattributes"]);
        let cases = prop::collection::vec(any::<bool>(), 16);
        let hidden = prop::sample::select(vec![
            "", "\u{200c}", "\u{200d}", "\u{202e}", "\u{206a}", "\u{feff}", "\u{ad}",
        ]);
        let end = prop::sample::select(vec![
            "",
            " ",
            ".",
            " . .",
            ":",
            "::$INDEX_ALLOCATION",
            ". :stream",
            " :x:y",
        ]);
        (own, cases, hidden, any::<prop::sample::Index>(), end).prop_map(|(own, cases, hidden, at, end)| {
            let mut name: String = own
                .chars()
                .zip(cases)
                .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c })
                .collect();
            name.insert_str(at.index(name.len() + 1), hidden);
            name + end
        })
    }

    proptest! {
        #[test]
        fn gits_own_names_are_refused_in_every_disguise(
            before in prop::collection::vec("[a-z][a-z0-9_-]{0,8}", 0..3),
            own in disguised(),
            after in prop::collection::vec("[a-z][a-z0-9_-]{0,8}", 0..3),
        ) {
            let path = [before, vec![own], after].concat().join("/");
            prop_assert!(check(&path).is_err(), "{path:?}");
        }

        #[test]
        fn usual_paths_are_fine(names in prop::collection::vec("[a-z0-9_][a-zA-Z0-9_. -]{0,8}[a-z0-9_-]", 1..6)) {
            let path = names.join("/");
            prop_assert_eq!(check(&path), Ok(()), "{:?}", path);
        }

        /// Whatever is let through shows as what it is: nothing unseen, no step upwards, nothing that a file system cuts off.
        #[test]
        fn what_passes_is_what_it_looks_like(path in "[.gGiItT~1: /\\\\\u{200c}\u{202e}a]{0,12}") {
            if check(&path).is_ok() {
                prop_assert!(!path.chars().any(is_invisible));
                for name in path.split('/') {
                    prop_assert!(!matches!(name, "" | "." | ".."));
                    let cut = name.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']).to_lowercase();
                    prop_assert!(cut != ".git" && cut != "git~1" && cut != "git~11", "{path:?}");
                }
            }
        }
    }
}
