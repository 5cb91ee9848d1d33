//! One resource with its history.

use super::{
    Caller, Services,
    artifact::RECENT,
    board::{Cells, head},
    place::{EnvironmentPlace, not_found},
};
use app::{
    api::resource::{PromotionRow, ResourceView},
    backend::At,
    error::AppError,
};
use domain::{promotion::Promotion, resource::Source};

/// Promotions that a resource's page lists.
const HISTORY: i64 = 50;

impl Services {
    /// One resource with its history.
    ///
    /// # Errors
    /// When there is no such resource for the caller.
    pub async fn resource(&self, caller: &Caller, at: &At, name: &str) -> Result<ResourceView, AppError> {
        let mut tx = self.store.read().await?;
        let EnvironmentPlace {
            project: place,
            environment,
        } = self.environment_place(&mut *tx, caller, at).await?;
        let resource = tx.resource_by_name(environment.id, name).await?;
        let resource = resource.ok_or_else(|| not_found("resource", name))?;
        let cells = Cells::read(&mut *tx, &place).await?;
        let cell = cells.cell(&mut *tx, &resource).await?;
        let latest = cells.latest(&mut *tx, &resource).await?;
        let history = tx.promotions_of(resource.id, HISTORY).await?;
        let repository = match (&resource.desired, &resource.source, &latest) {
            (Some(desired), ..) => Some(desired.repository.clone()),
            (None, Source::Image { repository }, _) => Some(repository.clone()),
            (None, _, latest) => latest.as_ref().map(|image| image.repository.clone()),
        };
        let mut recent = Vec::new();
        if let Some(repository) = &repository {
            let records = tx.recent_artifacts(place.workspace.id, repository, RECENT).await?;
            recent.extend(records);
        }
        let followers = tx.followers(resource.id).await?;
        Ok(ResourceView {
            head: head(&place, &environment),
            name: resource.name,
            cell,
            repository,
            latest,
            recent,
            runtime: resource.runtime,
            followers: followers.into_iter().filter_map(|f| cells.name_of(f.id)).collect(),
            history: history.into_iter().map(row).collect(),
            now: self.now(),
            workspace: place.workspace.name,
            project: place.record.project.name,
        })
    }
}

fn row(promotion: Promotion) -> PromotionRow {
    PromotionRow {
        id: promotion.id,
        purpose: promotion.purpose,
        image: promotion.image,
        state: promotion.state,
        reason: promotion.failure.map(|failure| failure.reason),
        requested_by: promotion.requested_by.name().to_owned(),
        created_at: promotion.created_at,
        ended_at: promotion.ended_at,
    }
}
