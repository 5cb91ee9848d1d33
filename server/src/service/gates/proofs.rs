//! Proofs for gates: registries are asked whether a digest is signed, built, and vouched for, as its environment's policy asks for.
//!
//! Asking is network, so it happens beside the gates: the worker asks for a promotion that waits ([`ask_for_signatures`]),
//! what came of it is stored, and the promotion is looked at again. What was found is so for good. What wasn't is asked again, soon at
//! first (signing follows pushing), then once a minute; sooner when the registry tells that a signature was pushed.

use crate::{
    ports::{image_copy::CopyEnd, registry::RegistryError},
    service::{context::Services, reach},
    signature::{Sought, TrustedRoot, TrustedRoots, named_roots, sought},
    store::{Asked, StoreError, Tx, Waiting},
};
use contract::error::AppError;
use domain::{
    artifact::{Digest, ExactImage, Repository, Tag},
    custody::Fact,
    gate::{Found, GateId, Proof},
    id::WorkspaceId,
    policy::Policy,
    promotion::Promotion,
    time::Timestamp,
};
use std::time::Duration;

/// The first pause before asking again; it doubles each time.
const FIRST_PAUSE_MILLIS: i64 = 1_000;
/// The longest pause.
const LONGEST_PAUSE_MILLIS: i64 = 60_000;
/// How long asking may take: a signature is a handful of requests.
const LONGEST: Duration = Duration::from_secs(60);
/// The tags under which something hangs on an image: this, and what follows the digest in the older places.
const TAG: (&str, [&str; 2]) = ("sha256-", [".sig", ".att"]);

/// What is known of the proofs that a policy asks for about an image.
pub(crate) async fn proofs(
    tx: &mut dyn Tx,
    policy: &Policy,
    workspace: WorkspaceId,
    image: &ExactImage,
) -> Result<Vec<Proof>, StoreError> {
    let sought = sought(policy, &roots_of(tx, policy, workspace).await?);
    if sought.is_empty() {
        return Ok(Vec::new());
    }
    let known = tx.asked(workspace, &image.digest).await?;
    let proof = |(gate, sought): (GateId, Sought)| {
        let asked = known_of(&known, &sought.fingerprint(), &image.repository)?;
        Some(Proof {
            gate,
            found: asked.found.clone(),
            repository: asked.repository.clone(),
            at: asked.at,
            again: (!asked.is_proven()).then_some(asked.next_at),
        })
    };
    Ok(sought.into_iter().filter_map(proof).collect())
}

/// The trusted roots that a policy may name: those of the workspace are read only where one is named.
pub(crate) async fn roots_of(
    tx: &mut dyn Tx,
    policy: &Policy,
    workspace: WorkspaceId,
) -> Result<TrustedRoots, StoreError> {
    let built_in = TrustedRoots::built_in();
    let named = named_roots(policy);
    if named.iter().all(|(_, name)| built_in.get(name).is_some()) {
        return Ok(built_in);
    }
    let own = tx.trusted_roots(workspace).await?;
    Ok((own.iter()).fold(built_in, |roots, own| {
        roots.with(own.name.as_str(), TrustedRoot::stored(&own.document))
    }))
}

/// Asks the registry for the signatures that a promotion waits for, where it is time to, and has it looked at again.
///
/// # Errors
/// When the database fails. What the registry fails with is stored: the gate says it.
pub(crate) async fn ask_for_signatures(services: &Services, promotion: &Promotion) -> Result<(), AppError> {
    let (workspace, image) = (promotion.workspace, &promotion.image);
    let mut tx = services.store.read().await?;
    let environments = tx.environments(promotion.project).await?;
    let Some(environment) = environments.iter().find(|e| e.id == promotion.environment) else {
        return Ok(());
    };
    let known = tx.asked(workspace, &image.digest).await?;
    let now = services.now();
    let due = |(_, sought): (GateId, Sought)| match known_of(&known, &sought.fingerprint(), &image.repository) {
        None => Some((sought, 0)),
        Some(asked) => (!asked.is_proven() && is_due(asked, now)).then_some((sought, asked.tries)),
    };
    let roots = roots_of(&mut *tx, &environment.policy, workspace).await?;
    let wanted: Vec<(Sought, u32)> = sought(&environment.policy, &roots)
        .into_iter()
        .filter_map(due)
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let registries = tx.registries(workspace).await?;
    drop(tx);
    let answer = match reach::registry_access(services, &registries, &image.repository) {
        Ok(access) => {
            let says: Vec<&str> = wanted.iter().flat_map(|(sought, _)| sought.says()).copied().collect();
            let asking = (services.registry).attached(&access, &image.repository, &image.digest, &says);
            match tokio::time::timeout(LONGEST, asking).await {
                Ok(answer) => answer.map_err(|error| unknown(&error)),
                Err(_) => Err(Found::Unknown {
                    why: format!(
                        "{} did not answer within {} s.",
                        image.repository.registry(),
                        LONGEST.as_secs()
                    ),
                    passes: true,
                }),
            }
        }
        Err(error) => Err(Found::Unknown {
            why: error.to_string(),
            passes: false,
        }),
    };
    let found = wanted.into_iter().map(|(sought, tries)| {
        let found = match &answer {
            Ok(there) => match (sought.find(&image.digest, &there.attached), &there.unseen) {
                (found, None) | (found @ Found::Valid, _) => found,
                // What wasn't seen may be the one.
                (_, Some(error)) => unknown(error),
            },
            Err(unknown) => unknown.clone(),
        };
        let facts = match (&answer, &found) {
            (Ok(there), Found::Valid) => sought.facts(&image.digest, &there.attached),
            _ => Vec::new(),
        };
        Answer {
            sought: sought.fingerprint(),
            found,
            facts,
            tries,
        }
    });
    answered(services, workspace, image, found.collect()).await
}

/// Whether what opened a promotion's gates is at another place, too.
#[derive(Debug)]
pub(crate) enum ProofsThere {
    /// All of it.
    All,
    /// Not that of this gate.
    Lacks(String),
    /// It could not be seen; why.
    Unknown(String),
}

/// Looks at the target of a copy for the signatures, provenance and verification summaries that opened the promotion's gates: admission there asks for them.
///
/// # Errors
/// When the database fails.
pub(crate) async fn missing_proofs(
    services: &Services,
    promotion: &Promotion,
    policy: &Policy,
    target: &CopyEnd,
) -> Result<ProofsThere, AppError> {
    let image = &promotion.image;
    let mut tx = services.store.read().await?;
    let sought = sought(policy, &roots_of(&mut *tx, policy, promotion.workspace).await?);
    if sought.is_empty() {
        return Ok(ProofsThere::All);
    }
    let known = tx.asked(promotion.workspace, &image.digest).await?;
    drop(tx);
    let opened = |(gate, sought): (GateId, Sought)| {
        let asked = known_of(&known, &sought.fingerprint(), &image.repository)?;
        asked.is_proven().then_some((gate, sought))
    };
    let opened: Vec<(GateId, Sought)> = sought.into_iter().filter_map(opened).collect();
    if opened.is_empty() {
        return Ok(ProofsThere::All);
    }
    let says: Vec<&str> = opened.iter().flat_map(|(_, sought)| sought.says()).copied().collect();
    let asking = (services.registry).attached(&target.access, &target.repository, &image.digest, &says);
    let there = match tokio::time::timeout(LONGEST, asking).await {
        Ok(Ok(there)) => there,
        Ok(Err(error)) => return Ok(ProofsThere::Unknown(error.to_string())),
        Err(_) => {
            let host = target.repository.registry();
            let why = format!("{host} did not answer within {} s.", LONGEST.as_secs());
            return Ok(ProofsThere::Unknown(why));
        }
    };
    for (gate, sought) in opened {
        if sought.find(&image.digest, &there.attached) != Found::Valid {
            return Ok(match &there.unseen {
                Some(error) => ProofsThere::Unknown(error.to_string()),
                None => ProofsThere::Lacks(gate.to_string().replace(':', " ")),
            });
        }
    }
    Ok(ProofsThere::All)
}

/// What the registry said about something that was sought.
struct Answer {
    sought: String,
    found: Found,
    facts: Vec<Fact>,
    /// How often it was sought in vain before.
    tries: u32,
}

/// Writes what the registry said about what was sought, so many times in vain before, and has the promotions of the digest looked
/// at that wait.
async fn answered(
    services: &Services,
    workspace: WorkspaceId,
    image: &ExactImage,
    found: Vec<Answer>,
) -> Result<(), AppError> {
    let mut tx = services.store.write().await?;
    let now = services.now();
    let known = tx.asked(workspace, &image.digest).await?;
    for Answer {
        sought,
        found,
        facts,
        tries,
    } in found
    {
        // It was told of while it was asked: what was pushed may not have been seen.
        let is_told = known_of(&known, &sought, &image.repository).is_some_and(|asked| asked.tries < tries);
        let (tries, next_at) = match is_told {
            true => (0, now),
            false => (tries.saturating_add(1), now.plus_millis(pause(tries))),
        };
        let asked = Asked {
            sought,
            found,
            facts,
            repository: image.repository.clone(),
            at: now,
            tries,
            next_at,
        };
        tx.set_asked(workspace, &image.digest, &asked).await?;
    }
    tx.wake_waiting(Waiting::Digest(workspace, &image.digest), now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// A registry told that something was hung on an image: what isn't proven about it is asked again at once.
pub(crate) async fn signature_pushed(
    services: &Services,
    workspace: WorkspaceId,
    digest: &Digest,
) -> Result<(), AppError> {
    // Most images have no promotion that waits for a signature: they need not take the writer's turn.
    let known = services.store.read().await?.asked(workspace, digest).await?;
    if known.iter().all(Asked::is_proven) {
        return Ok(());
    }
    let now = services.now();
    let mut tx = services.store.write().await?;
    if tx.ask_again(workspace, digest, now).await? {
        tx.wake_waiting(Waiting::Digest(workspace, digest), now).await?;
        tx.commit().await?;
        services.wrote();
    }
    Ok(())
}

/// What is known of what is sought: that it was found, wherever; else how it stands in this repository.
fn known_of<'a>(known: &'a [Asked], sought: &str, repository: &Repository) -> Option<&'a Asked> {
    let of = || known.iter().filter(move |asked| asked.sought == sought);
    of().find(|asked| asked.is_proven())
        .or_else(|| of().find(|asked| asked.repository == *repository))
}

fn unknown(error: &RegistryError) -> Found {
    Found::Unknown {
        why: error.to_string(),
        passes: error.is_passing(),
    }
}

/// Whether it is asked again now. What is put off for longer than anything is was put off by a clock that ran ahead.
fn is_due(asked: &Asked, now: Timestamp) -> bool {
    asked.next_at <= now || asked.next_at > now.plus_millis(LONGEST_PAUSE_MILLIS)
}

/// How long to wait after so many times in vain.
fn pause(tries: u32) -> i64 {
    FIRST_PAUSE_MILLIS
        .saturating_mul(1_i64 << tries.min(16))
        .min(LONGEST_PAUSE_MILLIS)
}

/// The image that something hangs on which has this tag.
pub(crate) fn digest_it_hangs_on(tag: &Tag) -> Option<Digest> {
    let hex = tag.as_str().strip_prefix(TAG.0)?;
    let hex = TAG.1.iter().find_map(|end| hex.strip_suffix(end)).unwrap_or(hex);
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_again_soon_and_then_now_and_then() {
        assert_eq!(
            [0, 1, 2, 5, 6, 7, 4000].map(pause),
            [1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]
        );
    }

    #[test]
    fn tags_of_signatures_name_their_image() {
        let hex = "0a".repeat(32);
        let of = |tag: String| digest_it_hangs_on(&tag.parse().unwrap()).map(|digest| digest.hex().to_owned());
        assert_eq!(of(format!("sha256-{hex}.sig")), Some(hex.clone()));
        assert_eq!(of(format!("sha256-{hex}")), Some(hex.clone()));
        assert_eq!(of(format!("sha256-{hex}.att")), Some(hex.clone()));
        for other in [format!("sha256-{hex}.sbom"), "sha256-0a.sig".into(), "1.0.0".into()] {
            assert_eq!(of(other), None);
        }
    }
}
