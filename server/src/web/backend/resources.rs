//! One resource: creating it, and what a person decides about it.

use super::{RequestBackend, forward};
use crate::service::{configure, promotion, views};
use contract::{
    backend::{At, Resources},
    error::AppError,
    preview::Preview,
    resource::ResourceView,
};
use domain::{
    draft::{FormOptions, ResourceDraft},
    id::PromotionId,
};

forward! {
    Resources;
    fn form_options(at: &At) -> FormOptions = views::form_options;
    fn preview_create(at: &At, draft: ResourceDraft) -> Preview = views::preview_create;
    fn create_resource(at: &At, draft: ResourceDraft) -> PromotionId = configure::create_resource;
    fn resource(at: &At, resource: &str) -> ResourceView = views::resource;
    fn preview_pin(at: &At, resource: &str, digest: &str) -> Preview = views::preview_pin;
    fn edit_pin(at: &At, resource: &str, digest: &str, create_file: bool) -> PromotionId = promotion::edit_pin;
    fn preview_tags(at: &At, resource: &str, draft: &ResourceDraft) -> Vec<String> = configure::preview_tags;
    fn change_tags(at: &At, resource: &str, draft: &ResourceDraft) -> () = configure::change_tags;
    fn preview_promote(at: &At, resource: &str) -> Preview = views::preview_promote;
    fn promote(at: &At, resource: &str, create_file: bool) -> PromotionId = promotion::promote;
    fn rollback(at: &At, resource: &str, digest: &str, create_file: bool) -> PromotionId = promotion::rollback;
    fn heal(at: &At, resource: &str, from: &str) -> () = promotion::heal;
    fn resume(at: &At, resource: &str, create_file: bool) -> Option<PromotionId> = promotion::resume;
    ;

    async fn take_new_key(&self, at: &At, resource: &str) -> Result<(), AppError> {
        configure::take_new_key(&self.services, self.caller()?, at, resource)
            .await
            .map(drop)
    }
}
