//! The steps, a file each. A step looks at the world, acts at most once, and says what came of it.

mod commit_and_push;
mod resolve;
mod rollout;

use super::{Outcome, Settings};
use crate::{
    service::{Services, place::ProjectPlace},
    store::ClusterRecord,
};
use app::error::AppError;
use domain::{
    environment::Environment,
    id::PromotionId,
    promotion::{Promotion, State},
    resource::Resource,
};

/// Promotions of a resource that are looked at for newer ones.
const NEIGHBOURS: i64 = 20;

/// What every step works with.
struct Work<'a> {
    services: &'a Services,
    settings: &'a Settings,
    promotion: &'a Promotion,
    place: ProjectPlace,
    environment: Environment,
    resource: Resource,
}

impl Work<'_> {
    fn cluster(&self) -> Option<&ClusterRecord> {
        self.place.cluster(&self.environment)
    }

    /// The newer promotion of the resource whose commit is on the remote, if there is one: what this one promises will not be live.
    async fn overtaken_by(&self) -> Result<Option<PromotionId>, AppError> {
        let this = self.promotion;
        let newest = self
            .services
            .store
            .read()
            .await?
            .promotions_of(self.resource.id, NEIGHBOURS)
            .await?;
        let newer = newest
            .into_iter()
            .find(|p| p.id > this.id && p.commit.is_some() && p.image.digest != this.image.digest);
        Ok(newer.map(|p| p.id))
    }
}

/// Runs the step of the promotion's state.
pub(super) async fn run(services: &Services, settings: &Settings, promotion: &Promotion) -> Result<Outcome, AppError> {
    let mut tx = services.store.read().await?;
    let gone = |what: &str| {
        Ok(Outcome::Fail {
            reason: format!("The {what} no longer exists."),
        })
    };
    let Some(record) = tx.project(promotion.project).await? else {
        return gone("project");
    };
    let Some(resource) = tx.resource(promotion.resource).await? else {
        return gone("resource");
    };
    let place = services.place_for_waybill(&mut *tx, record).await?;
    drop(tx);
    let Some(environment) = place
        .environments
        .iter()
        .find(|e| e.id == promotion.environment)
        .cloned()
    else {
        return gone("environment");
    };
    let work = Work {
        services,
        settings,
        promotion,
        place,
        environment,
        resource,
    };
    match promotion.state {
        // No gates yet: what waits goes on.
        State::Waiting => Ok(Outcome::Done {
            next: State::Queued,
            detail: None,
            commit: None,
        }),
        State::Queued => resolve::run(&work).await,
        // No copying yet: every cluster pulls from where the image is.
        State::Mirroring => Ok(Outcome::Done {
            next: State::Committing,
            detail: None,
            commit: None,
        }),
        State::Committing => commit_and_push::run(&work).await,
        State::Syncing | State::Verifying => rollout::run(&work).await,
        ended => Ok(Outcome::Fail {
            reason: format!("A promotion that is {ended} has no step."),
        }),
    }
}
