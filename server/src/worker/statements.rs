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
    signature::{SigningKey, StatementParts},
    store::{NewEvent, StatementRecord},
    telemetry,
};
use contract::error::AppError;
use domain::{
    artifact::Digest,
    environment::Environment,
    event::{Happened, Subject},
    promotion::{Actor, Promotion},
};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// A try that takes longer hangs, and is made again.
const LONGEST: Duration = Duration::from_secs(50);
/// Tries after which a promotion goes on without a statement that isn't required.
const MOST_TRIES: u32 = 3;
/// How often it is tried again where a registry doesn't take what is required: a person must change something there.
const REFUSED_MILLIS: i64 = 60_000;
/// How often it is looked for the key that is missing: whoever makes one is nobody who could tell.
const KEYLESS_MILLIS: i64 = 5_000;

/// What came of trying to write a statement.
enum Written {
    /// The registry has it.
    There(StatementRecord),
    /// Something stands in the way until a person changes it; a sentence.
    Refused(Option<StatementRecord>, String),
    /// It failed in a way that may pass; a sentence.
    Failed(String),
    /// A gate shut meanwhile; what it waits for, in a few words.
    Shut(String),
}

impl Worker {
    /// Writes the statement about a promotion, where there is to be one. Within, a sentence of what came of it, or what keeps the promotion.
    pub(super) async fn attest(
        &self,
        promotion: &Promotion,
        place: &ProjectPlace,
        environment: &Environment,
    ) -> Result<Result<Option<String>, Outcome>, AppError> {
        let services = &self.services;
        let mut tx = services.store.read().await?;
        let attests = statements::attests(services, &mut *tx, environment, promotion.purpose).await?;
        drop(tx);
        let (key, is_required) = match attests {
            Attests::No => return Ok(Ok(None)),
            Attests::Cannot(why) => return Ok(Err(waits(why, KEYLESS_MILLIS))),
            Attests::With { key, is_required } => (key, is_required),
        };
        let writing = write(services, promotion, place, environment, &key);
        let written = match tokio::time::timeout(LONGEST, writing).await {
            Ok(Ok(written)) => written,
            // A fault of our own doesn't keep it from its commit either, where nothing is required.
            Ok(Err(error)) => Written::Failed(error.to_string()),
            Err(_) => Written::Failed(format!("The registry hung for {} seconds.", LONGEST.as_secs())),
        };
        let repository = &promotion.placed().repository;
        Ok(match written {
            Written::There(statement) => {
                telemetry::wrote_statement("written");
                settle(services, promotion, statement, None).await?;
                Ok(Some("A signed statement hangs on it.".into()))
            }
            Written::Refused(statement, why) => {
                telemetry::wrote_statement("refused");
                if let Some(statement) = statement {
                    settle(services, promotion, statement, Some(&why)).await?;
                }
                match is_required {
                    true => {
                        let why = format!(
                            "The policy of {} requires a signed statement in {repository}. {why}",
                            environment.name
                        );
                        Err(waits(why, REFUSED_MILLIS))
                    }
                    false => Ok(Some(format!("No signed statement was written. {why}"))),
                }
            }
            Written::Shut(what) => Err(Outcome::held(&what)),
            Written::Failed(why) => {
                telemetry::wrote_statement("retry");
                match is_required || promotion.attempts + 1 < MOST_TRIES {
                    true => Err(Outcome::Retry { why }),
                    false => Ok(Some(format!("No signed statement was written. {why}"))),
                }
            }
        })
    }
}

fn waits(why: String, millis: i64) -> Outcome {
    Outcome::Wait { millis, why }
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
        Err(why) => return Ok(Written::Refused(None, why)),
    };
    let subject = match services.statements.look(&at, &image.digest).await {
        Ok(Some(subject)) => subject,
        Ok(None) => return Ok(Written::Failed(lacks(promotion))),
        Err(error) if error.is_passing() => return Ok(Written::Failed(error.to_string())),
        Err(error) => return Ok(Written::Refused(None, error.to_string())),
    };
    let made = statements::make(services, place, promotion, &subject, key).await?;
    let statement = match made {
        Made::Statement(statement) => statement,
        Made::Shut(what) => return Ok(Written::Shut(what)),
    };
    let parts = StatementParts {
        form: statement.form,
        layer: statement.layer.clone().into_bytes(),
        config: statement.config.clone().into_bytes(),
        manifest: statement.manifest.clone().into_bytes(),
    };
    Ok(match services.statements.hang(&at, &image.digest, &parts).await {
        Ok(StatementHung::Was | StatementHung::Hung) => Written::There(statement),
        Ok(StatementHung::Refused(said)) => {
            let why = format!("The registry {} doesn't take it: {said}.", image.repository.registry());
            Written::Refused(Some(statement), why)
        }
        Ok(StatementHung::NoImage) => Written::Failed(lacks(promotion)),
        Err(error) if error.is_passing() => Written::Failed(error.to_string()),
        Err(error) => Written::Refused(Some(statement), error.to_string()),
    })
}

fn lacks(promotion: &Promotion) -> String {
    let image = promotion.placed();
    format!("{} doesn't hold {}.", image.repository, image.digest)
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
        Some(why) => Happened::StatementRefused {
            repository,
            reason: why.to_owned(),
        },
        None if statement.written_at.is_some() => return Ok(()),
        None => Happened::StatementWritten {
            repository,
            form: statement.form,
            layer: sum(statement.layer.as_bytes())?,
        },
    };
    let settled = StatementRecord {
        written_at: refusal.is_none().then_some(now),
        refusal: refusal.map(str::to_owned),
        ..statement
    };
    let mut tx = services.store.write().await?;
    tx.set_statement(&settled).await?;
    let event = NewEvent {
        workspace: promotion.workspace,
        subject: Subject::promotion(promotion),
        actor: Actor::Waybill,
        happened,
    };
    tx.append_event(&event, now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

fn sum(bytes: &[u8]) -> Result<Digest, AppError> {
    let sum = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    sum.parse().map_err(|e| internal(&e))
}
