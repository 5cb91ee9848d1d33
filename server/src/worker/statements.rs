//! Signed statements: what a promotion passed is hung on its image before the commit, so that the admission of the cluster can ask for it.
//!
//! The bytes are kept before they are pushed. A server that is killed pushes the same bytes again, and the registry finds that it has them.

use super::{Outcome, Worker};
use crate::{
    ports::image_statements::StatementHung,
    service::{
        Services,
        context::internal,
        reach::ProjectPlace,
        sources,
        statements::{self, Attests, Made},
    },
    signature::{self, SigningKey, StatementParts},
    store::{NewEvent, StatementRecord},
    telemetry,
};
use contract::error::AppError;
use domain::{
    environment::Environment,
    event::{Happened, Subject},
    promotion::{Actor, Promotion},
};
use std::time::Duration;

/// A try that takes longer hangs, and is made again. A registry may ask to wait for a minute.
const LONGEST: Duration = Duration::from_secs(90);
/// Tries in a row after which a promotion goes on without a statement that isn't required, and one that is required is tried more rarely.
const MOST_TRIES: u32 = 3;
/// How often it is tried again then, and where a person must change something at the registry.
const RARELY_MILLIS: i64 = 60_000;
/// How often it is looked for the key that is missing: whoever makes one is nobody who could tell.
const KEYLESS_MILLIS: i64 = 15_000;

/// What came of trying to write a statement.
enum Written {
    /// The registry has it.
    There(StatementRecord),
    /// Something stands in the way until a person changes it; a sentence.
    Refused(String),
    /// It failed in a way that may pass; a sentence.
    Failed(String),
    /// The image isn't there; a sentence.
    NoImage(String),
    /// A gate shut meanwhile; what it waits for, in a few words.
    Shut(String),
}

impl Worker {
    /// What keeps a promotion before anything is done about its image, if its policy requires a statement that can't be made.
    pub(super) async fn lacks_key(&self, promotion: &Promotion) -> Result<Option<Outcome>, AppError> {
        Ok(match self.attests(promotion).await? {
            Attests::Cannot { why, is_required: true } => Some(waits(why, KEYLESS_MILLIS)),
            _ => None,
        })
    }

    /// As the policy is now: it may have changed since the step began.
    async fn attests(&self, promotion: &Promotion) -> Result<Attests, AppError> {
        let mut tx = self.services.store.read().await?;
        let environments = tx.environments(promotion.project).await?;
        match environments.iter().find(|e| e.id == promotion.environment) {
            Some(environment) => statements::attests(&self.services, &mut *tx, environment, promotion.purpose).await,
            None => Ok(Attests::No),
        }
    }

    /// Writes the statement about a promotion, where there is to be one. Within, a sentence of what came of it, or what keeps the promotion.
    pub(super) async fn attest(
        &self,
        promotion: &Promotion,
        place: &ProjectPlace,
        environment: &Environment,
    ) -> Result<Result<Option<String>, Outcome>, AppError> {
        let services = &self.services;
        let (key, is_required) = match self.attests(promotion).await? {
            Attests::No => return Ok(Ok(None)),
            Attests::Cannot { why, is_required: true } => return Ok(Err(waits(why, KEYLESS_MILLIS))),
            Attests::Cannot { why, .. } => return Ok(Ok(Some(not_written(&why)))),
            Attests::With { key, is_required } => (key, is_required),
        };
        let writing = write(services, promotion, place, environment, &key);
        let written = match tokio::time::timeout(LONGEST, writing).await {
            Ok(Ok(written)) => written,
            // A fault of our own doesn't keep it from its commit either, where nothing is required.
            Ok(Err(error)) => Written::Failed(error.to_string()),
            Err(_) => Written::Failed(format!("The registry hung for {} seconds.", LONGEST.as_secs())),
        };
        let is_early = promotion.attempts + 1 < MOST_TRIES;
        let (why, word) = match written {
            Written::There(statement) => {
                telemetry::wrote_statement("written");
                settle(services, promotion, statement, None).await?;
                return Ok(Ok(Some("A signed statement hangs on the image.".into())));
            }
            Written::Shut(what) => return Ok(Err(Outcome::held(&what))),
            Written::Failed(why) | Written::NoImage(why) if is_early => {
                telemetry::wrote_statement("retry");
                return Ok(Err(Outcome::Retry { why }));
            }
            Written::NoImage(reason) => return Ok(Err(Outcome::Fail { reason })),
            Written::Failed(why) => (why, "retry"),
            Written::Refused(why) => (why, "refused"),
        };
        telemetry::wrote_statement(word);
        let kept = services.store.read().await?.statement(promotion.id).await?;
        if let Some(kept) = kept.filter(|kept| kept.written_at.is_none()) {
            settle(services, promotion, kept, Some(&why)).await?;
        }
        Ok(match is_required {
            true => Err(waits(
                format!("The policy requires a signed statement. {why}"),
                RARELY_MILLIS,
            )),
            false => Ok(Some(not_written(&why))),
        })
    }
}

fn waits(why: String, millis: i64) -> Outcome {
    Outcome::Wait { millis, why }
}

fn not_written(why: &str) -> String {
    format!("No signed statement was written. {why}")
}

/// Makes the statement, and pushes it.
async fn write(
    services: &Services,
    promotion: &Promotion,
    place: &ProjectPlace,
    environment: &Environment,
    key: &SigningKey,
) -> Result<Written, AppError> {
    let image = promotion.placed();
    let at = match sources::push_end(services, place, environment, &image.repository)? {
        Ok(at) => at,
        Err(why) => return Ok(Written::Refused(why)),
    };
    let subject = match services.statements.look(&at, &image.digest).await {
        Ok(Some(subject)) => subject,
        Ok(None) => return Ok(Written::NoImage(lacks(promotion))),
        Err(error) if error.is_passing() => return Ok(Written::Failed(error.to_string())),
        Err(error) => return Ok(Written::Refused(error.to_string())),
    };
    let made = statements::make(services, place, promotion, &subject, key).await?;
    let statement = match made {
        Made::Statement(statement) => statement,
        Made::Shut(what) => return Ok(Written::Shut(what)),
    };
    let parts = StatementParts::from(&statement);
    Ok(match services.statements.hang(&at, &image.digest, &parts).await {
        Ok(StatementHung::Was | StatementHung::Hung) => Written::There(statement),
        Ok(StatementHung::Refused(said)) => Written::Refused(format!(
            "The registry {} doesn't take it: {said}.",
            image.repository.registry()
        )),
        Ok(StatementHung::NoImage) => Written::NoImage(lacks(promotion)),
        Err(error) if error.is_passing() => Written::Failed(error.to_string()),
        Err(error) => Written::Refused(error.to_string()),
    })
}

fn lacks(promotion: &Promotion) -> String {
    let image = promotion.placed();
    format!(
        "{} no longer holds {}. Push the image again, or promote another.",
        image.repository, image.digest
    )
}

/// Writes what came of pushing a statement, and tells it where that is new.
async fn settle(
    services: &Services,
    promotion: &Promotion,
    statement: StatementRecord,
    refusal: Option<&str>,
) -> Result<(), AppError> {
    let now = services.now();
    let repository = statement.repository.clone();
    let happened = match refusal {
        Some(why) if statement.refusal.as_deref() == Some(why) => return Ok(()),
        // Told once: registries put another number into each answer.
        Some(_) if statement.refusal.is_some() => None,
        Some(why) => Some(Happened::StatementRefused {
            repository,
            reason: why.to_owned(),
        }),
        None if statement.written_at.is_some() => return Ok(()),
        None => Some(Happened::StatementWritten {
            repository,
            form: statement.form,
            layer: (signature::sum(statement.layer.as_bytes()).parse()).map_err(|e| internal(&e))?,
        }),
    };
    let settled = StatementRecord {
        written_at: refusal.is_none().then_some(now),
        refusal: refusal.map(str::to_owned),
        ..statement
    };
    let mut tx = services.store.write().await?;
    // Another server may have made another one meanwhile.
    if !tx.settle_statement(&settled).await? {
        return Ok(());
    }
    if let Some(happened) = happened {
        let event = NewEvent {
            workspace: promotion.workspace,
            subject: Subject::promotion(promotion),
            actor: Actor::Waybill,
            happened,
        };
        tx.append_event(&event, now).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}
