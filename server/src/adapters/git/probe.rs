//! Looking at a repository to find out whether it can be worked with, for people who are about to say so.
//!
//! Nothing of the mirror is used: its objects would answer for a server that doesn't, and promotions wait for its turn. A
//! repository of its own gets the newest commit of the branch and is thrown away. A push is asked for dry: the program signs in
//! to push, is told the references, and sends nothing.

use std::{path::Path, time::Duration};

use git2::Repository;

use super::{
    GitError, Probe, RepositoryAccess, Unprobed,
    address::Address,
    fault::LocalError,
    local::Remote,
    reader::Reader,
    smart::Wire,
    transport::{Transport, is_of_the_branch},
    values, view,
};

/// For the newest commit.
const PATIENCE_TO_READ: Duration = Duration::from_secs(6);
/// For each further question.
const PATIENCE_TO_ASK: Duration = Duration::from_millis(1800);
/// Branches that are named when another was meant.
const MOST_BRANCHES: usize = 8;

/// Looks. `mirror` is where the repository's mirror lies: beside it stands which host key was seen.
pub(super) async fn look(
    mirror: &Path,
    repository: &RepositoryAccess,
    remote: &Remote,
    wire: Option<&Wire>,
    paths: &[String],
    prefix: &str,
) -> Result<Probe, Unprobed> {
    let url = Address::parse(&repository.url).url;
    let broken = |reason: String| GitError::Machine {
        url: url.clone(),
        reason,
    };
    let seen = mirror.with_extension("seen_hosts");
    let directory = mirror.parent().unwrap_or(mirror).to_owned();
    let made = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&directory)?;
        let room = tempfile::Builder::new().prefix(".probe-").tempdir_in(&directory)?;
        let bare = room.path().join("bare.git");
        Repository::init_bare(&bare).map_err(std::io::Error::other)?;
        if seen.exists() {
            std::fs::copy(seen, bare.with_extension("seen_hosts"))?;
        }
        Ok::<_, std::io::Error>((room, bare))
    });
    let (room, bare) = match made.await {
        Ok(Ok(made)) => made,
        Ok(Err(error)) => return Err(broken(error.to_string()).into()),
        Err(error) => return Err(broken(error.to_string()).into()),
    };
    let transport = Transport::new(repository, &bare, remote, wire);
    let found = look_from(&bare, &transport, paths, prefix, &broken).await;
    // Nothing of it is there any more when the answer is. Taking it away is work for the disk.
    if let Err(error) = tokio::task::spawn_blocking(move || room.close())
        .await
        .unwrap_or(Ok(()))
    {
        tracing::warn!(url = %url, %error, "what was fetched to look at a repository could not be removed");
    }
    found
}

async fn look_from(
    bare: &Path,
    transport: &Transport<'_>,
    paths: &[String],
    prefix: &str,
    broken: &(dyn Fn(String) -> GitError + Sync),
) -> Result<Probe, Unprobed> {
    if let Err(error) = transport.fetch_newest(PATIENCE_TO_READ).await {
        if !is_of_the_branch(&error) {
            return Err(error.into());
        }
        // Only a whole list of the branches says that this one isn't among them.
        let branches = transport.branches(PATIENCE_TO_ASK).await?;
        return Err(Unprobed {
            error,
            branches: branches.into_iter().take(MOST_BRANCHES).collect(),
        });
    }
    let (place, name, url) = (bare.to_owned(), transport.tracking_ref(), transport.url().to_owned());
    let (paths, prefix) = (paths.to_owned(), prefix.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let repository = Repository::open_bare(&place)?;
        let tip = repository.refname_to_id(&name)?;
        let reader = Reader::new(&repository)?;
        let (mut files, mut refusals) = (Vec::with_capacity(paths.len()), Vec::with_capacity(paths.len()));
        for path in &paths {
            files.push(view::services(&reader, tip, path, &prefix).map_err(|error| LocalError::at(error, &url)));
            // As strictly as a commit would read it.
            let text = view::read_file(&reader, tip, path).ok().flatten();
            refusals.push(
                text.map(|text| values::refusals(&text, &prefix, &[]))
                    .unwrap_or_default(),
            );
        }
        Ok::<_, git2::Error>((tip, files, refusals))
    });
    let (tip, files, refusals) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(broken(error.message().to_owned()).into()),
        Err(error) => return Err(broken(error.to_string()).into()),
    };
    let push = transport.may_push(tip, PATIENCE_TO_ASK).await;
    Ok(Probe {
        tip: tip.to_string(),
        files,
        refusals,
        push,
    })
}

impl From<GitError> for Unprobed {
    fn from(error: GitError) -> Self {
        Self {
            error,
            branches: Vec::new(),
        }
    }
}
