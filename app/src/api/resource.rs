//! One resource: what it runs, what it follows, what ran before.

use crate::{
    api::{
        board::{Cell, EnvironmentHead},
        connection::PassedOver,
        preview::Preview,
    },
    error::AppError,
};
use domain::{
    artifact::{Artifact, ExactImage, Repository, Tag},
    id::PromotionId,
    key::Key,
    name::Name,
    promotion::{Purpose, State},
    resource::Runtime,
    tag_rule::TagRule,
    time::Timestamp,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// A resource with its history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceView {
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// The environment.
    pub head: EnvironmentHead,
    /// Its name.
    pub name: Name,
    /// Its key in Git.
    pub key: Key,
    /// Why the actor may not change what runs, and who may; `None` when they may.
    pub denied: Option<String>,
    /// The key that it seems to have in Git now, where Git no longer declares it under its own.
    pub new_key: Option<Key>,
    /// Whether the actor may delete it.
    pub may_remove: bool,
    /// What runs, as on the board.
    pub cell: Cell,
    /// Its image's repository, once known.
    pub repository: Option<Repository>,
    /// What its source offers now, when that is exact: what *Promote* would run.
    pub latest: Option<ExactImage>,
    /// What *Promote* would do; `None` when there is nothing to promote, or Git can't say.
    pub preview: Option<Preview>,
    /// Artifacts of its repository, newest first: what a pin may be set to.
    pub recent: Vec<Artifact>,
    /// All tags of the image that runs, as far as the registry was asked.
    pub tags: Vec<Tag>,
    /// Artifacts of the repository that it follows that arrived after what runs, but were built before it; the last first.
    pub backdated: Vec<Artifact>,
    /// Which tags of that repository count; `None` for what another resource runs.
    #[serde(default)]
    pub counts: Option<TagRule>,
    /// Tags of that repository that name no image to deploy, or don't count.
    pub passed_over: Vec<PassedOver>,
    /// How it runs.
    pub runtime: Runtime,
    /// Who follows it: environment and resource.
    pub followers: Vec<(Name, Name)>,
    /// Its promotions, newest first, at most 50.
    pub history: Vec<PromotionRow>,
    /// What it can be rolled back to, by the actor, newest first, at most 10.
    pub earlier: Vec<EarlierImage>,
    /// When this was read.
    pub now: Timestamp,
}

/// An image that ran here before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EarlierImage {
    /// The image.
    pub image: ExactImage,
    /// What rolling back to it would do; `None` when Git can't say.
    pub preview: Option<Preview>,
}

/// A promotion in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromotionRow {
    /// The promotion.
    pub id: PromotionId,
    /// What it was for.
    pub purpose: Purpose,
    /// What it runs.
    pub image: ExactImage,
    /// Where it stands.
    pub state: State,
    /// Whether it was superseded though its commit is in Git.
    #[serde(default)]
    pub overtaken: bool,
    /// Why it failed, or was overtaken, if it did.
    pub reason: Option<String>,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What the form *Edit pin* posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PinDraft {
    /// The digest to pin to.
    pub digest: String,
}

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
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .resource(
                &At {
                    workspace,
                    project,
                    environment,
                },
                &resource,
            )
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
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .edit_pin(
                &At {
                    workspace,
                    project,
                    environment,
                },
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
    use crate::backend::{At, answer, backend};
    use domain::draft::ResourceDraft;
    let at = At {
        workspace,
        project,
        environment,
    };
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
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .promote(
                &At {
                    workspace,
                    project,
                    environment,
                },
                &resource,
                create_file,
            )
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
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .rollback(
                &At {
                    workspace,
                    project,
                    environment,
                },
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
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .take_new_key(
                &At {
                    workspace,
                    project,
                    environment,
                },
                &resource,
            )
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
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .resume(
                &At {
                    workspace,
                    project,
                    environment,
                },
                &resource,
                create_file,
            )
            .await,
    )
}
