//! Repositories on the machine that Waybill runs on: off, but in the folders that the configuration lists (`git.local_paths`).
//!
//! Whoever administers a workspace writes an address; Git opens a path with the rights of the server. So a path is looked at whenever it is
//! used, as Git will open it: links are resolved, and nothing that Git would follow from within the repository (a `.git` file, a `commondir`,
//! alternate object stores, symbolic links) may lead out of the listed folders. What is given to Git is the place that was looked at. See
//! gitrepository-layout(5); the order in which a path is tried is that of `enter_repo` in Git's `path.c`.
//!
//! Git runs what a repository's own configuration and hooks say: a listed folder is one that only trusted people write to.

use super::{
    GitError,
    address::{Address, GitRoute},
};
use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

const OFF: &str = "no folder that holds it is listed";
const LEADS_OUT: &str =
    "something in it leads out of the listed folders: a symbolic link, an alternate object store or a gitdir";
const TOO_MUCH: &str =
    "it has too many files to look for links that lead out of the listed folders; git gc makes them fewer";
/// Files and directories that are looked at in one repository.
const MOST_ENTRIES: usize = 200_000;
/// More than any file that names one other place has.
const LARGEST_POINTER: u64 = 64 * 1024;

/// The folders in which repositories may be used by path.
#[derive(Clone, Debug, Default)]
pub struct LocalPaths(Vec<PathBuf>);

/// What the program git is given for an address.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    /// The address; of a path, the directory that was looked at.
    pub(super) address: String,
    /// The only ways that Git may go, as `GIT_ALLOW_PROTOCOL` names them.
    pub(super) protocols: &'static str,
}

/// Why a path can't be used.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// There is nothing there.
    Missing,
    /// It isn't in a listed folder, or leads out of it.
    Not(&'static str),
}

impl LocalPaths {
    /// Repositories below these folders, absolute or from where the server was started; none without any.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// What Git may be given for an address.
    ///
    /// # Errors
    /// For a path that may not be used or isn't there, and for addresses that are none.
    pub(super) async fn admit(&self, address: &Address) -> Result<Remote, GitError> {
        let url = address.url.clone();
        let path = match address.way() {
            GitRoute::Http => return Ok(remote(url, "http:https")),
            GitRoute::Ssh => return Ok(remote(url, "ssh")),
            GitRoute::Unknown => {
                let what = "The repository (write its address with https, http or ssh)".to_owned();
                return Err(GitError::NotFound { what, url });
            }
            GitRoute::Local(path) => PathBuf::from(path),
        };
        let folders = self.0.clone();
        let looked = tokio::task::spawn_blocking(move || resolve(&folders, &path)).await;
        let refused = match looked {
            Ok(Ok(directory)) => match directory.into_os_string().into_string() {
                Ok(address) => return Ok(remote(address, "file")),
                Err(_) => Refused::Not(OFF),
            },
            Ok(Err(refused)) => refused,
            Err(_) => Refused::Missing,
        };
        Err(match refused {
            Refused::Missing => GitError::NotFound {
                what: "The repository".to_owned(),
                url,
            },
            Refused::Not(reason) => GitError::LocalPath { url, reason },
        })
    }
}

fn remote(address: String, protocols: &'static str) -> Remote {
    Remote { address, protocols }
}

/// The Git directory that Git would open for `path`, when everything about it lies in `folders`.
fn resolve(folders: &[PathBuf], path: &Path) -> Result<PathBuf, Refused> {
    let is_plain = path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        && !path.as_os_str().as_encoded_bytes().contains(&0);
    if !is_plain {
        return Err(Refused::Not(OFF));
    }
    let inside = Inside(folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect());
    // What isn't there is said to be missing only where it may be looked for.
    let there = path.ancestors().find_map(|part| part.canonicalize().ok());
    if !there.is_some_and(|there| inside.holds(&there)) {
        return Err(Refused::Not(OFF));
    }
    let with = |base: &Path, suffix: &str| {
        let mut name = OsString::from(base);
        name.push(suffix);
        PathBuf::from(name)
    };
    let found = ["/.git", "", ".git/.git", ".git"]
        .into_iter()
        .find_map(|suffix| git_directory(&with(path, suffix)).transpose())
        .transpose()?
        .ok_or(Refused::Missing)?;
    let directory = inside.canonical(&found, OFF)?;
    // Git would look there first, whatever it is given.
    if directory.join(".git").symlink_metadata().is_ok() {
        return Err(Refused::Not(LEADS_OUT));
    }
    inside.look_through(&directory)?;
    Ok(directory)
}

/// The Git directory at `path`: itself, or what a `.git` file there names. `None` when there is none.
fn git_directory(path: &Path) -> Result<Option<PathBuf>, Refused> {
    let Ok(about) = path.metadata() else { return Ok(None) };
    if about.is_file() {
        let text = pointer(path)?;
        let Some(named) = text.strip_prefix("gitdir:") else {
            return Ok(None);
        };
        let from = path.parent().unwrap_or(path);
        return Ok(Some(from.join(named.trim())));
    }
    let has = |name: &str| path.join(name).symlink_metadata().is_ok();
    let is_git = has("HEAD") && (has("commondir") || (has("objects") && has("refs")));
    Ok(is_git.then(|| path.to_owned()))
}

/// The text of a small file that names other places.
fn pointer(path: &Path) -> Result<String, Refused> {
    use io::Read as _;
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(LARGEST_POINTER).read_to_string(&mut text));
    match read {
        Ok(read) if (read as u64) < LARGEST_POINTER => Ok(text),
        Ok(_) => Err(Refused::Not(LEADS_OUT)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(_) => Err(Refused::Missing),
    }
}

/// The listed folders, without links.
struct Inside(Vec<PathBuf>);

impl Inside {
    fn holds(&self, canonical: &Path) -> bool {
        self.0.iter().any(|folder| canonical.starts_with(folder))
    }

    /// `path` without links, when it lies inside.
    fn canonical(&self, path: &Path, otherwise: &'static str) -> Result<PathBuf, Refused> {
        let canonical = path.canonicalize().map_err(|_| Refused::Missing)?;
        match self.holds(&canonical) {
            true => Ok(canonical),
            false => Err(Refused::Not(otherwise)),
        }
    }

    /// Looks at all that Git may read below a Git directory, and at where it sends it.
    fn look_through(&self, directory: &Path) -> Result<(), Refused> {
        let mut seen = HashSet::new();
        let mut open = vec![directory.to_owned()];
        let mut entries = 0;
        while let Some(directory) = open.pop() {
            if !seen.insert(directory.clone()) {
                continue;
            }
            self.follow_pointers(&directory, &mut open)?;
            // What the server can't read, Git can't either.
            let Ok(listed) = fs::read_dir(&directory) else { continue };
            for entry in listed.flatten() {
                entries += 1;
                if entries > MOST_ENTRIES {
                    return Err(Refused::Not(TOO_MUCH));
                }
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_symlink()
                    && let Ok(target) = entry.path().canonicalize()
                {
                    let target = self.canonical(&target, LEADS_OUT)?;
                    if target.is_dir() {
                        open.push(target);
                    }
                }
            }
        }
        Ok(())
    }

    /// Where files in a directory send Git: a worktree to the repository it belongs to, an object store to others.
    fn follow_pointers(&self, directory: &Path, open: &mut Vec<PathBuf>) -> Result<(), Refused> {
        let common = pointer(&directory.join("commondir"))?;
        if !common.is_empty() {
            open.push(self.canonical(&directory.join(common.trim_end_matches(['\n', '\r'])), LEADS_OUT)?);
        }
        // `objects/info/alternates`: relative to `objects`. A line in quotes is one that Git reads otherwise than it looks.
        for line in pointer(&directory.join("info/alternates"))?.lines() {
            match line {
                "" => {}
                line if line.starts_with('#') => {}
                line if line.starts_with('"') => return Err(Refused::Not(LEADS_OUT)),
                line => {
                    if let Ok(store) = directory.join(line).canonicalize() {
                        open.push(self.canonical(&store, LEADS_OUT)?);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Ground {
        root: tempfile::TempDir,
        folders: Vec<PathBuf>,
    }

    impl Ground {
        /// `listed/repo.git`, which is listed, and `private/secret.git`, which isn't.
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for name in ["listed/repo.git", "private/secret.git"] {
                git2::Repository::init_bare(root.path().join(name)).unwrap();
            }
            let folders = vec![root.path().join("listed")];
            Self { root, folders }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        fn resolve(&self, path: &str) -> Result<PathBuf, Refused> {
            resolve(&self.folders, &self.at(path))
        }
    }

    #[test]
    fn only_listed_folders_are_opened_however_the_way_there_looks() {
        let ground = Ground::new();
        let repo = ground.at("listed/repo.git").canonicalize().unwrap();
        assert_eq!(ground.resolve("listed/repo.git"), Ok(repo.clone()));
        assert_eq!(ground.resolve("listed/repo"), Ok(repo), "Git adds it too");
        assert_eq!(ground.resolve("listed/nothing.git"), Err(Refused::Missing));
        let off = Err(Refused::Not(OFF));
        for path in [
            "private/secret.git",
            "private/nothing.git",
            "private",
            "listed/../private/secret.git",
            "listed-too",
        ] {
            assert_eq!(ground.resolve(path), off, "{path}");
        }
        for path in ["", "relative/repo.git", "~/repo.git", "./repo.git"] {
            assert_eq!(resolve(&ground.folders, Path::new(path)), off, "{path}");
        }
        assert_eq!(resolve(&[], &ground.at("listed/repo.git")), off, "nothing is listed");
        symlink(ground.at("private/secret.git"), ground.at("listed/link.git")).unwrap();
        symlink(ground.at("private"), ground.at("listed/private")).unwrap();
        for path in [
            "listed/link.git",
            "listed/link",
            "listed/private/secret.git",
            "listed/private/nothing.git",
        ] {
            assert_eq!(ground.resolve(path), off, "{path}");
        }
        // A folder that is listed by a link counts as what it leads to.
        symlink(ground.at("private"), ground.at("elsewhere")).unwrap();
        assert!(resolve(&[ground.at("elsewhere")], &ground.at("private/secret.git")).is_ok());
    }

    #[test]
    fn nothing_in_a_repository_leads_git_out_of_the_listed_folders() {
        let secret = |ground: &Ground| ground.at("private/secret.git").display().to_string();
        type Plant = fn(&Ground, &str);
        let plants: [(&str, Plant); 9] = [
            ("a .git file", |ground, secret| {
                fs::create_dir(ground.at("listed/work")).unwrap();
                fs::write(ground.at("listed/work/.git"), format!("gitdir: {secret}\n")).unwrap();
            }),
            ("a file that is one", |ground, secret| {
                fs::write(ground.at("listed/work"), format!("gitdir: {secret}\n")).unwrap();
            }),
            ("a .git directory in a bare repository", |ground, secret| {
                fs::rename(ground.at("listed/repo.git"), ground.at("listed/work")).unwrap();
                symlink(secret, ground.at("listed/work/.git")).unwrap();
            }),
            ("commondir", |ground, secret| {
                fs::rename(ground.at("listed/repo.git"), ground.at("listed/work")).unwrap();
                fs::write(ground.at("listed/work/commondir"), format!("{secret}\n")).unwrap();
            }),
            ("alternates", |ground, secret| {
                fs::rename(ground.at("listed/repo.git"), ground.at("listed/work")).unwrap();
                fs::write(
                    ground.at("listed/work/objects/info/alternates"),
                    format!("{secret}/objects\n"),
                )
                .unwrap();
            }),
            ("relative alternates", |ground, _| {
                fs::rename(ground.at("listed/repo.git"), ground.at("listed/work")).unwrap();
                let lines = "# a comment\n\n../../../private/secret.git/objects\n";
                fs::write(ground.at("listed/work/objects/info/alternates"), lines).unwrap();
            }),
            ("alternates of alternates", |ground, secret| {
                fs::rename(ground.at("listed/repo.git"), ground.at("listed/work")).unwrap();
                let other = ground.at("listed/other.git");
                git2::Repository::init_bare(&other).unwrap();
                fs::write(other.join("objects/info/alternates"), format!("{secret}/objects\n")).unwrap();
                let lines = format!("{}/objects\n", other.display());
                fs::write(ground.at("listed/work/objects/info/alternates"), lines).unwrap();
            }),
            ("a link to objects", |ground, secret| {
                fs::rename(ground.at("listed/repo.git"), ground.at("listed/work")).unwrap();
                symlink(format!("{secret}/objects"), ground.at("listed/work/objects/ab")).unwrap();
            }),
            ("a link to a branch", |ground, secret| {
                fs::rename(ground.at("listed/repo.git"), ground.at("listed/work")).unwrap();
                symlink(format!("{secret}/HEAD"), ground.at("listed/work/refs/heads/main")).unwrap();
            }),
        ];
        for (what, plant) in plants {
            let ground = Ground::new();
            plant(&ground, &secret(&ground));
            let refused = ground.resolve("listed/work");
            assert!(matches!(refused, Err(Refused::Not(_))), "{what}: {refused:?}");
        }
    }

    #[test]
    fn links_and_alternates_within_the_listed_folders_are_fine() {
        let ground = Ground::new();
        let other = ground.at("listed/other.git");
        git2::Repository::init_bare(&other).unwrap();
        fs::write(
            ground.at("listed/repo.git/objects/info/alternates"),
            "../../other.git/objects\n",
        )
        .unwrap();
        symlink("repo.git", ground.at("listed/link.git")).unwrap();
        let repo = ground.at("listed/repo.git").canonicalize();
        assert_eq!(ground.resolve("listed/link.git").ok(), repo.ok());
        // A working tree, and one that belongs to another.
        let work = git2::Repository::init(ground.at("listed/work")).unwrap();
        assert_eq!(ground.resolve("listed/work").ok(), work.path().canonicalize().ok());
        fs::create_dir(ground.at("listed/tree")).unwrap();
        fs::write(ground.at("listed/tree/.git"), "gitdir: ../work/.git\n").unwrap();
        assert_eq!(ground.resolve("listed/tree").ok(), work.path().canonicalize().ok());
    }
}
