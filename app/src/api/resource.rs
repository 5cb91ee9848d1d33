//! One resource: what it runs, what it follows, what ran before.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
#[cfg(feature = "ssr")]
use contract::backend::At;
use contract::error::AppError;

pub use contract::resource::*;

use domain::id::PromotionId;
use leptos::prelude::*;

/// One resource with its history.
///
/// # Errors
/// When there is no such resource for the actor.
#[server(prefix = "/api/ui", endpoint = "resource")]
pub async fn resource(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
) -> Result<ResourceView, AppError> {
    answer(
        backend()?
            .resource(&At::new(workspace, project, environment), &resource)
            .await,
    )
}

/// Pins a resource to a digest and starts the promotion to it, whose id it returns.
/// With `create_file` the values file is made, where there is none.
///
/// # Errors
/// What is wrong with the digest, by field; or why it can't be done now.
#[server(prefix = "/api/ui", endpoint = "edit_pin")]
pub async fn edit_pin(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    digest: String,
    #[server(default)] create_file: bool,
) -> Result<PromotionId, AppError> {
    answer(
        backend()?
            .edit_pin(
                &At::new(workspace, project, environment),
                &resource,
                &digest,
                create_file,
            )
            .await,
    )
}

/// Says which tags of its repository count for a resource: the fields of the form *Create Resource*.
///
/// # Errors
/// What is wrong with them, by field; or why it can't be done now.
#[server(prefix = "/api/ui", endpoint = "change_tags")]
pub async fn change_tags(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    tags: String,
    #[server(default)] tags_value: String,
    #[server(default)] leave_out: String,
) -> Result<(), AppError> {
    use domain::draft::ResourceDraft;
    let at = At::new(workspace, project, environment);
    let draft = ResourceDraft {
        tags,
        tags_value,
        leave_out,
        ..ResourceDraft::default()
    };
    answer(backend()?.change_tags(&at, &resource, &draft).await)
}

/// Promotes a resource to its source's latest artifact; moves the pin of a pinned one. With `create_file` the values file is made, where there
/// is none. Returns the promotion's id.
///
/// # Errors
/// When there is nothing to promote, or it can't be done now.
#[server(prefix = "/api/ui", endpoint = "promote")]
pub async fn promote(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    #[server(default)] create_file: bool,
) -> Result<PromotionId, AppError> {
    answer(
        backend()?
            .promote(&At::new(workspace, project, environment), &resource, create_file)
            .await,
    )
}

/// Brings a resource back to an image that ran there before, and holds it there. Returns the promotion's id.
/// With `create_file` the values file is made, where there is none.
///
/// # Errors
/// When it never ran there, or runs already.
#[server(prefix = "/api/ui", endpoint = "rollback")]
pub async fn rollback(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    digest: String,
    #[server(default)] create_file: bool,
) -> Result<PromotionId, AppError> {
    answer(
        backend()?
            .rollback(
                &At::new(workspace, project, environment),
                &resource,
                &digest,
                create_file,
            )
            .await,
    )
}

/// Gives a held resource the key that it seems to have in Git now, and lifts the hold.
///
/// # Errors
/// When nothing looks like its new key, or that one is taken.
#[server(prefix = "/api/ui", endpoint = "take_new_key")]
pub async fn take_new_key(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
) -> Result<(), AppError> {
    answer(
        backend()?
            .take_new_key(&At::new(workspace, project, environment), &resource)
            .await,
    )
}

/// Has what its registry lost of a resource's image copied from another repository.
///
/// # Errors
/// In the field `from` when the image never lay there; when nothing is missing.
#[server(prefix = "/api/ui", endpoint = "heal")]
pub async fn heal(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    from: String,
) -> Result<(), AppError> {
    answer(
        backend()?
            .heal(&At::new(workspace, project, environment), &resource, &from)
            .await,
    )
}

/// Lifts the hold of a resource. Returns the promotion that catches up with its source, if there is anything to catch up with.
/// With `create_file` that one may make the values file.
///
/// # Errors
/// When nothing holds it.
#[server(prefix = "/api/ui", endpoint = "resume")]
pub async fn resume(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    #[server(default)] create_file: bool,
) -> Result<Option<PromotionId>, AppError> {
    answer(
        backend()?
            .resume(&At::new(workspace, project, environment), &resource, create_file)
            .await,
    )
}
