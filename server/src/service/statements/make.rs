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
    /// It is required, and can't be made; why and what to do.
    Cannot(String),
}

/// Whether a statement about a promotion to an environment will be written, as far as can be said beforehand.
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

/// Whether a statement about a promotion to an environment is to be written. What ran before is committed as it ran: its statement hangs on it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn attests(
    services: &Services,
    tx: &mut dyn Tx,
    environment: &Environment,
    purpose: Purpose,
) -> Result<Attests, AppError> {
    let is_required = match environment.policy.attests() {
        _ if purpose == Purpose::Rollback => return Ok(Attests::No),
        Attestation::Off => return Ok(Attests::No),
        Attestation::BestEffort => false,
        Attestation::Required => true,
    };
    Ok(match signing_key(services, tx).await {
        Ok(Some(key)) => Attests::With { key, is_required },
        Ok(None) if is_required => Attests::Cannot(format!(
            "The policy of {} requires a signed statement, and this Waybill has no key to sign with. Whoever runs it makes one with `waybill keys generate`.",
            environment.name
        )),
        Ok(None) => Attests::No,
        Err(error @ AppError::Unavailable(_)) => return Err(error),
        Err(error) if is_required => Attests::Cannot(format!(
            "The policy of {} requires a signed statement, and Waybill's key can't be opened: {error}",
            environment.name
        )),
        Err(error) => {
            tracing::error!(%error, "the signing key could not be opened");
            Attests::No
        }
    })
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
    // Another try of the same promotion pushes the same bytes, so that it is one statement.
    if let Some(before) = before {
        let says = signature::payload(before.layer.as_bytes());
        let is_same = says.is_some_and(|says| says == passed(before.made_at).statement());
        if is_same && before.repository == image.repository {
            return Ok(Made::Statement(before));
        }
    }
    let passed = passed(now);
    let envelope = signature::sign(&passed.statement(), key).map_err(|e| internal(&e))?;
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
        fingerprint: key.fingerprint(),
        layer: text(parts.layer)?,
        config: text(parts.config)?,
        manifest: text(parts.manifest)?,
        made_at: now,
        written_at: None,
        refusal: None,
    };
    let policy = signature::canonical(passed.policy);
    tx.keep_policy(&signature::policy_digest(passed.policy), &policy)
        .await?;
    tx.set_statement(&statement).await?;
    tx.commit().await?;
    Ok(Made::Statement(statement))
}
