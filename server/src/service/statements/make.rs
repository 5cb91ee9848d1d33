//! The statement about a promotion: whether there is to be one, and what it says.

use super::signing_key;
use crate::{
    service::{
        context::{Services, internal},
        gates,
        reach::ProjectPlace,
    },
    signature::{self, Passed, SUMMARY, SigningKey, StatementSubject},
    store::{StatementRecord, StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    environment::Environment,
    policy::Attestation,
    promotion::{Promotion, Purpose},
};

/// Whether a statement about a promotion is to be written.
pub(crate) enum Attests {
    /// It isn't.
    No,
    /// It is, with this key. `is_required`: the commit waits for it.
    With {
        /// The key.
        key: SigningKey,
        /// Whether the commit waits for it.
        is_required: bool,
    },
    /// It should be, and can't be made.
    Cannot {
        /// Why, and what to do.
        why: String,
        /// Whether the commit waits for it.
        is_required: bool,
    },
}

/// Whether a statement about a promotion to an environment will be written, as far as can be said beforehand. What ran before is committed as it
/// ran, and gets none.
///
/// # Errors
/// When the database fails.
pub(crate) async fn will_attest(
    tx: &mut dyn Tx,
    environment: &Environment,
    purpose: Purpose,
) -> Result<bool, StoreError> {
    Ok(match environment.policy.attests() {
        _ if purpose == Purpose::Rollback => false,
        Attestation::Off => false,
        Attestation::Required => true,
        Attestation::BestEffort => tx.signing_key().await?.is_some(),
    })
}

/// Whether a statement about a promotion to an environment is to be written, and with which key.
///
/// # Errors
/// When the database fails.
pub(crate) async fn attests(
    services: &Services,
    tx: &mut dyn Tx,
    environment: &Environment,
    purpose: Purpose,
) -> Result<Attests, AppError> {
    if !will_attest(tx, environment, purpose).await? {
        return Ok(Attests::No);
    }
    let is_required = environment.policy.attests() == Attestation::Required;
    let why = match signing_key(services, tx).await {
        Ok(Some(key)) => return Ok(Attests::With { key, is_required }),
        Ok(None) => "Waybill has no key to sign statements with. An administrator of the server can make one with `waybill keys generate`.".to_owned(),
        Err(error @ AppError::Unavailable(_)) => return Err(error),
        Err(error) => format!(
            "The key that signs statements can't be opened. An administrator of the server can make another with `waybill keys generate --replace`. {error}"
        ),
    };
    Ok(Attests::Cannot { why, is_required })
}

/// Whether the statement that a policy requires before the commit of a promotion hangs on its image, and is about that policy.
///
/// # Errors
/// When the database fails.
pub(crate) async fn is_attested(
    tx: &mut dyn Tx,
    environment: &Environment,
    promotion: &Promotion,
) -> Result<bool, AppError> {
    let policy = &environment.policy;
    if policy.attests() != Attestation::Required || promotion.purpose == Purpose::Rollback {
        return Ok(true);
    }
    let placed = promotion.placed();
    let digest = signature::policy_digest(policy).map_err(|e| internal(&e))?;
    Ok(tx.statement(promotion.id).await?.is_some_and(|statement| {
        statement.written_at.is_some()
            && (&statement.repository, &statement.digest) == (&placed.repository, &placed.digest)
            && signature::stated_policy(statement.layer.as_bytes()) == Some(digest)
    }))
}

/// What came of making a statement.
pub(crate) enum Made {
    /// It is kept, and can be pushed.
    Statement(StatementRecord),
    /// A gate shut meanwhile, so that there is nothing to state; what it waits for, in a few words.
    Shut(String),
}

/// The statement about a promotion: the one that was made before where it says the same, else a new one, which is kept before anybody pushes it.
/// The gates are held against the policy that it names, there and then.
///
/// # Errors
/// When the database fails, or the system gives no randomness.
pub(crate) async fn make(
    services: &Services,
    place: &ProjectPlace,
    promotion: &Promotion,
    subject: &StatementSubject,
    key: &SigningKey,
) -> Result<Made, AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    // The policy may have changed while the image was copied.
    let environments = tx.environments(promotion.project).await?;
    let Some(environment) = environments.iter().find(|e| e.id == promotion.environment) else {
        return Ok(Made::Shut("its environment no longer exists".into()));
    };
    let decision = gates::decide_gates(services, &mut *tx, environment, &environments, promotion).await?;
    if !decision.opens() {
        return Ok(Made::Shut(decision.waits_for().unwrap_or_default()));
    }
    let before = tx.statement(promotion.id).await?;
    let image = promotion.placed();
    let origin = promotion.origin.as_ref().map(|origin| &origin.environment);
    let passed = |at| Passed {
        installation: &services.public_url,
        workspace: &place.workspace.name,
        project: &place.record.project.name,
        environment: &environment.name,
        from: origin,
        promotion: promotion.id,
        image: &image,
        policy: &environment.policy,
        gates: &decision.gates,
        at,
    };
    let fingerprint = key.fingerprint();
    // Another try of the same promotion pushes the same bytes, so that it is one statement. It says the same, hides nothing that was signed
    // meanwhile, and is of the key that signs.
    if let Some(before) = before
        && before.repository == image.repository
        && before.form == subject.form
        && before.fingerprint == fingerprint
        && (passed(before.made_at).is_said_by(before.layer.as_bytes())).map_err(|e| internal(&e))?
    {
        return Ok(Made::Statement(before));
    }
    let statement = passed(now).statement().map_err(|e| internal(&e))?;
    let envelope = signature::sign(&statement, key).map_err(|e| internal(&e))?;
    let parts = signature::parts(
        subject.form,
        &envelope,
        &key.hint(),
        SUMMARY,
        subject,
        &image.digest,
        now,
    );
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|e| internal(&e));
    let statement = StatementRecord {
        promotion: promotion.id,
        form: parts.form,
        repository: image.repository.clone(),
        digest: image.digest.clone(),
        fingerprint,
        layer: text(parts.layer)?,
        config: text(parts.config)?,
        manifest: text(parts.manifest)?,
        made_at: now,
        written_at: None,
        refusal: None,
    };
    tx.set_statement(&statement).await?;
    tx.commit().await?;
    Ok(Made::Statement(statement))
}
