//! What programs may change through GraphQL: the same use cases that pages call.

use super::{
    error,
    objects::{Check, Promotion, Removal},
    schema::at,
};
use crate::{
    service::{
        Caller, Services, configure,
        gates::{self, ReportedCheck},
        promotion, removal,
        views::{self},
    },
    web::rest::checks::moment,
};
use async_graphql::{Context, ID, InputObject, Object, Result};
use contract::{backend::At, removal::Removing};
use domain::removal::RemovalChoices;

/// What to promote, and where to.
#[derive(InputObject)]
pub struct PromoteInput {
    /// The project's name or id.
    pub project_id: String,
    /// The resource's name, the same in both environments.
    pub service: String,
    /// The environment whose image is taken.
    pub from_environment: String,
    /// The environment in which it is to run.
    pub to_environment: String,
    /// Whether the values file is made, where there is none. Else that is refused.
    #[graphql(default)]
    pub create_file: bool,
}

/// A resource, by names.
#[derive(InputObject)]
pub struct ResourceInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// The resource's name.
    pub service: String,
    /// Whether the values file is made, where there is none. Else that is refused.
    #[graphql(default)]
    pub create_file: bool,
}

/// A resource, and the digest that it is to run.
#[derive(InputObject)]
pub struct DigestInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// The resource's name.
    pub service: String,
    /// `sha256:` and 64 lower-case hexadecimal characters.
    pub digest: String,
    /// Whether the values file is made, where there is none. Else that is refused.
    #[graphql(default)]
    pub create_file: bool,
}

/// A resource to delete.
#[derive(InputObject)]
pub struct RemoveResourceInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// The resource's name.
    pub service: String,
    /// Whether its block is removed from the values file, too. Else Git is left alone.
    #[graphql(default)]
    pub remove_from_git: bool,
    /// Whether who follows it becomes pinned to what it runs. Else a follower is in the way.
    #[graphql(default)]
    pub pin_followers: bool,
}

/// An environment to delete, with its resources.
#[derive(InputObject)]
pub struct RemoveEnvironmentInput {
    /// The project's name or id.
    pub project_id: String,
    /// The environment's name.
    pub environment: String,
    /// Whether the blocks of its resources are removed from the values file, too. Else Git is left alone.
    #[graphql(default)]
    pub remove_from_git: bool,
    /// Whether who follows its resources becomes pinned to what it runs. Else a follower is in the way.
    #[graphql(default)]
    pub pin_followers: bool,
}

/// The result of a check.
#[derive(InputObject)]
pub struct ReportCheckInput {
    /// The workspace's name; needed by those who are in several.
    pub workspace: Option<String>,
    /// `sha256:` and 64 lower-case hexadecimal characters.
    pub digest: String,
    /// The check's name, as policies name it.
    pub name: String,
    /// `pending`, `passed` or `failed`.
    pub status: String,
    /// What it found, a sentence.
    pub summary: Option<String>,
    /// Where more is said.
    pub url: Option<String>,
    /// When it was so, RFC 3339; now unless given.
    pub at: Option<String>,
}

/// Where an input points, as the use cases want it.
async fn place(services: &Services, caller: &Caller, project: &str, environment: String) -> Result<At> {
    let project = views::project_named(services, caller, project).await.map_err(error)?;
    let workspace = caller.access.iter().find(|(w, _)| w.id == project.workspace);
    Ok(At {
        workspace: workspace.map(|(w, _)| w.name.to_string()).unwrap_or_default(),
        project: project.name.to_string(),
        environment,
    })
}

/// The promotion with this id, as it is now.
pub(super) async fn named(services: &Services, caller: &Caller, id: &str) -> Result<Promotion> {
    views::promotion_named(services, caller, id)
        .await
        .map(Promotion)
        .map_err(error)
}

/// What can be done.
pub struct Mutation;

#[Object]
impl Mutation {
    /// Promotes the exact image that a service runs in one environment to another one. Returns at once: ask `promotion(id)`
    /// for how it goes.
    #[graphql(complexity = "250 + child_complexity")]
    async fn promote(&self, context: &Context<'_>, input: PromoteInput) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let promotion = promotion::promote_between(
            services,
            caller,
            [
                &input.project_id,
                &input.service,
                &input.from_environment,
                &input.to_environment,
            ],
            input.create_file,
        )
        .await
        .map_err(error)?;
        named(services, caller, &promotion.id.to_string()).await
    }

    /// Pins a resource to a digest, and promotes it to that.
    #[graphql(complexity = "250 + child_complexity")]
    async fn pin(&self, context: &Context<'_>, input: DigestInput) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let id = promotion::edit_pin(
            services,
            caller,
            &place,
            &input.service,
            &input.digest,
            input.create_file,
        )
        .await
        .map_err(error)?;
        named(services, caller, &id.to_string()).await
    }

    /// Brings a resource back to an image that ran there before, and holds it there until it is resumed.
    #[graphql(complexity = "250 + child_complexity")]
    async fn rollback(&self, context: &Context<'_>, input: DigestInput) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let id = promotion::rollback(
            services,
            caller,
            &place,
            &input.service,
            &input.digest,
            input.create_file,
        )
        .await
        .map_err(error)?;
        named(services, caller, &id.to_string()).await
    }

    /// Lifts the hold of a resource. Returns the promotion that catches up with its source; null when there is nothing to catch up with.
    #[graphql(complexity = "250 + child_complexity")]
    async fn resume(&self, context: &Context<'_>, input: ResourceInput) -> Result<Option<Promotion>> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let resumed = promotion::resume(services, caller, &place, &input.service, input.create_file).await;
        match resumed.map_err(error)? {
            Some(id) => named(services, caller, &id.to_string()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives a held resource the key that it seems to have in Git now, and lifts the hold. Returns the key.
    #[graphql(complexity = "250")]
    async fn take_new_key(&self, context: &Context<'_>, input: ResourceInput) -> Result<String> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let taken = configure::take_new_key(services, caller, &place, &input.service).await;
        taken.map(|key| key.to_string()).map_err(error)
    }

    /// Reports the result of a check on a digest. The newest result of a name counts; the same again changes nothing.
    #[graphql(complexity = "250 + child_complexity")]
    async fn report_check(&self, context: &Context<'_>, input: ReportCheckInput) -> Result<Check> {
        let (services, caller) = at(context)?;
        let at = input.at.as_deref().map(moment).transpose();
        let reported = ReportedCheck {
            workspace: input.workspace,
            digest: input.digest,
            name: input.name,
            status: input.status,
            summary: input.summary,
            url: input.url,
            at: at.map_err(|e| error(e.into()))?,
        };
        gates::report_check(services, caller, &reported)
            .await
            .map(Check)
            .map_err(error)
    }

    /// Approves a promotion that waits; only people do.
    #[graphql(complexity = "250 + child_complexity")]
    async fn approve(&self, context: &Context<'_>, id: ID, comment: Option<String>) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        let comment = comment.unwrap_or_default();
        promotion::approve(services, caller, &id, &comment)
            .await
            .map_err(error)?;
        named(services, caller, &id).await
    }

    /// Rejects a promotion that waits, with a reason; only people do.
    #[graphql(complexity = "250 + child_complexity")]
    async fn reject(&self, context: &Context<'_>, id: ID, comment: String) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        promotion::reject(services, caller, &id, &comment)
            .await
            .map_err(error)?;
        named(services, caller, &id).await
    }

    /// Withdraws a promotion whose commit isn't on its way yet.
    #[graphql(complexity = "250 + child_complexity")]
    async fn cancel(&self, context: &Context<'_>, id: ID) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        promotion::cancel(services, caller, &id).await.map_err(error)?;
        named(services, caller, &id).await
    }

    /// Tries a failed promotion again.
    #[graphql(complexity = "250 + child_complexity")]
    async fn retry(&self, context: &Context<'_>, id: ID) -> Result<Promotion> {
        let (services, caller) = at(context)?;
        promotion::retry(services, caller, &id).await.map_err(error)?;
        named(services, caller, &id).await
    }
    /// Deletes a resource. Its history stays, what runs goes on running, and its name is free again.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_resource(&self, context: &Context<'_>, input: RemoveResourceInput) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let target = Removing {
            what: "resource".into(),
            workspace: place.workspace,
            project: place.project,
            environment: place.environment,
            name: input.service,
        };
        let choices = RemovalChoices {
            from_git: input.remove_from_git,
            pin_followers: input.pin_followers,
        };
        remove(services, caller, &target, choices, "").await
    }

    /// Deletes an environment with its resources. Their history stays, and what runs goes on running.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_environment(&self, context: &Context<'_>, input: RemoveEnvironmentInput) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &input.project_id, input.environment).await?;
        let target = Removing {
            what: "environment".into(),
            workspace: place.workspace,
            project: place.project,
            environment: String::new(),
            name: place.environment,
        };
        let choices = RemovalChoices {
            from_git: input.remove_from_git,
            pin_followers: input.pin_followers,
        };
        remove(services, caller, &target, choices, "").await
    }

    /// Deletes a project (its name or id) with its environments. Its credentials are erased, and Git is left alone.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_project(&self, context: &Context<'_>, project_id: String) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let place = place(services, caller, &project_id, String::new()).await?;
        let target = Removing {
            what: "project".into(),
            workspace: place.workspace,
            name: place.project,
            ..Removing::default()
        };
        remove(services, caller, &target, RemovalChoices::default(), "").await
    }

    /// Deletes a cluster that no environment runs on. Its token is erased.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_cluster(&self, context: &Context<'_>, workspace: String, name: String) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let target = Removing {
            what: "cluster".into(),
            workspace,
            name,
            ..Removing::default()
        };
        remove(services, caller, &target, RemovalChoices::default(), "").await
    }

    /// Deletes a registry that no cluster pulls from. Its passwords are erased.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_registry(&self, context: &Context<'_>, workspace: String, name: String) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let target = Removing {
            what: "registry".into(),
            workspace,
            name,
            ..Removing::default()
        };
        remove(services, caller, &target, RemovalChoices::default(), "").await
    }

    /// Deletes a workspace with all that is in it. Its tokens end, also the one that asks; `confirm` is its name once more.
    #[graphql(complexity = "250 + child_complexity")]
    async fn remove_workspace(&self, context: &Context<'_>, name: String, confirm: String) -> Result<Removal> {
        let (services, caller) = at(context)?;
        let target = Removing {
            what: "workspace".into(),
            workspace: name.clone(),
            name,
            ..Removing::default()
        };
        remove(services, caller, &target, RemovalChoices::default(), &confirm).await
    }
}

async fn remove(
    services: &Services,
    caller: &Caller,
    target: &Removing,
    choices: RemovalChoices,
    typed: &str,
) -> Result<Removal> {
    let removed = removal::remove(services, caller, target, choices, typed).await;
    removed.map(Removal).map_err(error)
}
