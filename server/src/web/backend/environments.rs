//! What an environment asks for, and pausing it.

use super::{RequestBackend, forward};
use crate::service::{configure, gates, promotion};
use contract::{
    backend::{At, Environments},
    environment_images::{EnvironmentImagesView, ImagesDraft},
    error::AppError,
    policy::PolicyView,
};
use domain::id::PromotionId;

forward! {
    Environments;
    fn policy(at: &At) -> PolicyView = gates::policy;
    fn set_policy(at: &At, text: &str, before: Option<&str>) -> () = gates::set_policy;
    fn environment_images(at: &At) -> EnvironmentImagesView = configure::environment_images;
    fn set_environment_images(at: &At, draft: &ImagesDraft) -> () = configure::set_environment_images;
    fn set_tags_again(at: &At) -> () = configure::set_tags_again;
    fn adopt(at: &At, resource: &str, digest: &str, reason: &str) -> () = promotion::adopt;
    fn adopt_all(at: &At) -> () = promotion::adopt_all;
    fn promote_declared(at: &At, resource: &str) -> PromotionId = promotion::promote_declared;
    ;

    async fn pause_promotions(&self, at: &At, of_project: bool, reason: &str) -> Result<(), AppError> {
        let environment = (!of_project).then_some(at.environment.as_str());
        let caller = self.caller()?;
        promotion::pause_promotions(&self.services, caller, &at.workspace, &at.project, environment, reason).await
    }

    async fn resume_promotions(&self, at: &At, of_project: bool) -> Result<(), AppError> {
        let environment = (!of_project).then_some(at.environment.as_str());
        let caller = self.caller()?;
        promotion::resume_promotions(&self.services, caller, &at.workspace, &at.project, environment).await
    }
}
