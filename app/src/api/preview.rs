//! What a decision would do, before anybody takes it.

use crate::error::AppError;
use domain::{artifact::ExactImage, draft::ResourceDraft};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What a promotion would do, as things are now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Preview {
    /// What would run.
    pub image: ExactImage,
    /// The file of the repository that changes.
    pub path: String,
    /// Its change, as a unified diff; empty when the file says so already.
    pub diff: String,
    /// Revisions of the source code now and then, shortened, as the images' builders labelled them.
    pub revisions: Option<(String, String)>,
    /// The Application that Argo CD syncs; `None` without an Argo CD.
    pub application: Option<String>,
}

/// What Create Resource would do with a draft.
///
/// # Errors
/// What creating it would be refused for, in the same fields and words.
#[server(prefix = "/api/ui", endpoint = "preview_create")]
pub async fn preview_create(
    workspace: String,
    project: String,
    environment: String,
    draft: ResourceDraft,
) -> Result<Preview, AppError> {
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .preview_create(
                &At {
                    workspace,
                    project,
                    environment,
                },
                draft,
            )
            .await,
    )
}

/// What pinning a resource to a digest would do.
///
/// # Errors
/// What the pin would be refused for, in the same field and words.
#[server(prefix = "/api/ui", endpoint = "preview_pin")]
pub async fn preview_pin(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    digest: String,
) -> Result<Preview, AppError> {
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .preview_pin(
                &At {
                    workspace,
                    project,
                    environment,
                },
                &resource,
                &digest,
            )
            .await,
    )
}
