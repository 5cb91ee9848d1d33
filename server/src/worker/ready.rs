//! *Mirroring*: the registry that an image will be pulled from is made ready before the commit. The image is copied there ([`super::copies`]), then
//! the tag is set that keeps it ([`super::tags`]), then the statement is hung on it that says what it passed ([`super::statements`]); each where it
//! is asked for, and each is found done when it was.

use super::{Outcome, Worker, steps::gone};
use contract::error::AppError;
use domain::promotion::{Promotion, State};
use std::time::Instant;

impl Worker {
    /// What came of the step of a promotion whose image is to be copied or kept. The promotion was read before `since`.
    pub(super) async fn make_ready(&self, promotion: &Promotion, since: Instant) -> Result<Outcome, AppError> {
        let Some(place) = self.known.place(&self.services, promotion.project, since).await? else {
            return Ok(gone("project"));
        };
        let Some(environment) = place.environments.iter().find(|e| e.id == promotion.environment) else {
            return Ok(gone("environment"));
        };
        // No copy is made, and no registry is asked again and again, for what can't be committed yet.
        if let Some(outcome) = self.lacks_key(promotion).await? {
            return Ok(outcome);
        }
        let copied = match &promotion.copied_to {
            Some(to) => match self.copy_image(promotion, &place, environment, to).await? {
                Ok(proof) => proof,
                Err(outcome) => return Ok(outcome),
            },
            None => "It is pulled from where it is.".to_owned(),
        };
        let kept = match self.keep(promotion, environment).await? {
            Ok(kept) => kept,
            Err(outcome) => return Ok(outcome),
        };
        let attested = match self.attest(promotion, &place, environment).await? {
            Ok(attested) => attested,
            Err(outcome) => return Ok(outcome),
        };
        let done: Vec<String> = [Some(copied), kept, attested].into_iter().flatten().collect();
        Ok(Outcome::done(State::Committing, done.join(" ")))
    }
}
