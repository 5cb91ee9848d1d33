//! From names in an address to the things they name, for a caller, and from what is stored to how an outside system is reached.

mod caller;
mod connection;
mod place;
mod workspace;

pub use caller::{Caller, Scope};
pub(crate) use caller::{
    administer, administer_in_person, as_of, caller_behind, person, token_is_valid, write_as_of_now,
};
pub use connection::{
    SealedCredentials, application, application_page, argocd_token_context, channel_context, credentials_context,
    pull_password_context, push_password_context, sealed_context, signing_key_context, source_token_context,
};
pub(crate) use connection::{
    argocd_access, pull_access, push_access, push_access_to, registry_access, repository_access, source_access, unseal,
};
pub use place::{EnvironmentPlace, ProjectPlace};
pub(crate) use place::{
    PromotionEver, STOP, complete_place, environment_place, not_found, place_for_waybill, project_place,
    project_place_by_id, promotion_ever, promotion_place, reread, resource_to_change, write_change,
};
pub(crate) use workspace::find_told_workspace;
pub use workspace::not_yours;
