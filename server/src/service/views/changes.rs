//! What is in a promotion: the commits between the image that ran before and the new one, by what their labels say.
//!
//! Labels are claims. They lead to a request only where an administrator listed their host; elsewhere at most to a link for a person to follow.

use crate::service::{
    context::{ChangesKey, Services},
    reach::{self, Caller},
};
use contract::error::AppError;
use domain::{
    artifact::{Artifact, ArtifactDetails, ExactImage, Repository},
    id::WorkspaceId,
    outside,
    source::{Changes, Commits, Revision, Side, SourceChanges, SourceRepository, Unknown},
};

/// The commits between the image before a promotion and the new one. It may take as long as the source's host does: nothing waits for it.
///
/// # Errors
/// When there is no such promotion for the caller.
pub async fn changes(services: &Services, caller: &Caller, id: &str) -> Result<SourceChanges, AppError> {
    let mut tx = services.store.read().await?;
    let reach::PromotionEver { promotion, place, .. } = reach::promotion_ever(&mut *tx, caller, id).await?;
    let workspace = place.project.workspace.id;
    let of = &promotion.image.repository;
    let after = read(&mut *tx, workspace, &promotion.image, of).await?;
    let before = match &promotion.previous {
        Some(image) => Some(read(&mut *tx, workspace, image, of).await?),
        None => None,
    };
    let hosts = tx.source_hosts(workspace).await?;
    drop(tx);
    let claims = Claims::of(before.as_ref().map(Option::as_ref), after.as_ref());
    let unknown = |why| {
        Ok(SourceChanges {
            repository: claims.repository.as_ref().map(SourceRepository::name),
            folder: claims.repository.as_ref().and_then(|found| found.folder.clone()),
            before: claims.before.clone(),
            after: claims.after.clone(),
            compare: claims.compare(),
            changes: Changes::Unknown { why },
        })
    };
    if let Some(why) = claims.why.clone() {
        return unknown(why);
    }
    let (Some(repository), Some(before), Some(after)) = (&claims.repository, &claims.before, &claims.after) else {
        return unknown(Unknown::NothingBefore);
    };
    let same = before.is_same(after).then_some(Changes::Same);
    let changes = match same {
        Some(same) => same,
        None => {
            let Some(record) = hosts.iter().find(|record| repository.is_at(&record.host)) else {
                let host = repository.host.clone();
                return unknown(Unknown::NotListed { host });
            };
            if outside::is_forbidden(&record.host) {
                let (host, why) = (record.host.clone(), outside::WHY.trim_end_matches('.').to_owned());
                return unknown(Unknown::Unreachable { host, why });
            }
            let key = ChangesKey {
                workspace,
                repository: format!("{}/{}", record.host, repository.path),
                before: before.clone(),
                after: after.clone(),
            };
            match services.kept_changes.get(&key, services.now()) {
                Some(kept) => kept,
                None => {
                    let access = reach::source_access(services, record, repository)?;
                    let read = services.sources.between(&access, before, after).await;
                    let changes = read.unwrap_or_else(|why| Changes::Unknown { why });
                    services.kept_changes.keep(key, changes.clone(), services.now());
                    changes
                }
            }
        }
    };
    Ok(SourceChanges {
        repository: Some(repository.name()),
        folder: repository.folder.clone(),
        before: Some(before.clone()),
        after: Some(after.clone()),
        compare: claims.compare(),
        changes: linked(changes, repository),
    })
}

/// What is known of an image. What was copied is known by where it came from.
async fn read(
    tx: &mut dyn crate::store::Tx,
    workspace: WorkspaceId,
    image: &ExactImage,
    of: &Repository,
) -> Result<Option<ArtifactDetails>, AppError> {
    let details = |found: Option<Artifact>| found.and_then(|artifact| artifact.details);
    if let Some(known) = details(tx.artifact(workspace, &image.repository, &image.digest).await?) {
        return Ok(Some(known));
    }
    Ok(details(tx.artifact(workspace, of, &image.digest).await?))
}

/// What labels say of two images.
struct Claims {
    /// The repository of both, with the folder that the new image names.
    repository: Option<SourceRepository>,
    before: Option<Revision>,
    after: Option<Revision>,
    /// Why nothing can be said about the two.
    why: Option<Unknown>,
}

impl Claims {
    /// `before` is `None` when nothing ran, and holds `None` when it isn't known what ran.
    fn of(before: Option<Option<&ArtifactDetails>>, after: Option<&ArtifactDetails>) -> Self {
        let mut why = None;
        let mut note = |unknown: Unknown| {
            why.get_or_insert(unknown);
        };
        if before.is_none() {
            note(Unknown::NothingBefore);
        }
        let sides = [(Side::Before, before.flatten()), (Side::After, after)];
        let [(source_before, before), (source_after, after)] = sides.map(|(side, details)| {
            let Some(details) = details else {
                note(Unknown::NotRead { side });
                return (None, None);
            };
            let source = details.source().and_then(SourceRepository::parse);
            match (details.source(), &source) {
                (None, _) => note(Unknown::NoSource { side }),
                (Some(_), None) => note(Unknown::OddSource { side }),
                _ => {}
            }
            let revision = details.revision().and_then(Revision::parse);
            match (details.revision(), &revision) {
                (None, _) => note(Unknown::NoRevision { side }),
                (Some(_), None) => note(Unknown::OddRevision { side }),
                _ => {}
            }
            (source, revision)
        });
        if let (Some(before), Some(after)) = (&source_before, &source_after)
            && !before.is_same(after)
        {
            note(Unknown::OtherRepository {
                before: before.name(),
                after: after.name(),
            });
        }
        let is_one = source_before
            .zip(source_after.as_ref())
            .is_some_and(|(b, a)| b.is_same(a));
        Self {
            repository: source_after.filter(|_| is_one),
            before,
            after,
            why,
        }
    }

    /// Where a browser compares the two.
    fn compare(&self) -> Option<String> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        let differs = !before.is_same(after);
        self.repository
            .as_ref()?
            .compare_link(before, after)
            .filter(|_| differs)
    }
}

/// The same with links to each commit, where the host's shape is known.
fn linked(mut changes: Changes, repository: &SourceRepository) -> Changes {
    let link = |commits: &mut Commits| {
        for commit in &mut commits.commits {
            commit.url = repository.commit_link(&commit.id);
        }
    };
    match &mut changes {
        Changes::Known { commits, .. } => link(commits),
        Changes::BothWays { new, gone, .. } => {
            link(new);
            link(gone);
        }
        Changes::Same | Changes::Unknown { .. } => {}
    }
    changes
}
