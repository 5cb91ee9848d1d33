//! *Tags that count*: a person says which tags of its repository count for a resource. What is there already starts nothing.

use super::{
    Caller, Services,
    apply::plan::{Change, Sign},
    create_resource::check_tags,
};
use crate::store::NewEvent;
use app::{backend::At, error::AppError};
use domain::{
    draft::ResourceDraft,
    event::{Happened, Subject},
    field::FieldErrors,
    resource::Source,
};

impl Services {
    /// Says which tags count for a resource whose source is an image; of the draft only that is read.
    ///
    /// # Errors
    /// By field where the rule can't be read; else when the caller may not, or its image comes from another resource.
    pub async fn change_tags(
        &self,
        caller: &Caller,
        at: &At,
        resource: &str,
        draft: &ResourceDraft,
    ) -> Result<(), AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        let mut errors = FieldErrors::default();
        let rule = draft.check_tags(&mut errors).ok_or(errors)?;
        check_tags(&rule)?;
        let (mut tx, caller, place) = self.write_change(caller, &place).await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        let Source::Image { repository: _, tags } = &mut resource.source else {
            return Err(AppError::Conflict(format!(
                "{}/{} takes its image from another resource. Say which tags count where that one's source is an image.",
                place.environment.name, resource.name
            )));
        };
        if *tags == rule {
            return Ok(());
        }
        let before = std::mem::replace(tags, rule);
        let words = resource.source.tags().map(|now| now.words()).unwrap_or_default();
        tx.update_resource(&resource).await?;
        let platforms = place.project.platforms(place.environment.id);
        self.learn_anew(&mut *tx, place.project.workspace.id, &resource, platforms)
            .await?;
        // The ledger tells of it in the words of `waybill apply`.
        let change = Change {
            sign: Sign::Change,
            what: format!(
                "resource {}/{}/{}: tags that count {} → {words}",
                place.project.record.project.name,
                place.environment.name,
                resource.name,
                before.words()
            ),
        };
        let event = NewEvent {
            workspace: place.project.workspace.id,
            subject: Subject::resource(place.project.record.project.id, &resource),
            actor: caller.actor.clone(),
            happened: Happened::Applied {
                changes: vec![change.to_string()],
            },
        };
        tx.append_event(&event, self.now()).await?;
        tx.commit().await?;
        self.wrote();
        Ok(())
    }
}
