//! Identifiers: UUIDv7 newtypes, so that one kind of id can't be taken for another. They order
//! nothing: they begin with the clock of the server that made them, and clocks differ.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
    )*};
}

ids! {
    /// A workspace: the tenant.
    WorkspaceId,
    /// A project: environments that share one GitOps repository.
    ProjectId,
    /// A cluster: an Argo CD and a registry.
    ClusterId,
    /// A registry: where images are.
    RegistryId,
    /// A copy of an image, which promotions may share.
    CopyId,
    /// An environment of a project.
    EnvironmentId,
    /// A resource in an environment.
    ResourceId,
    /// A promotion.
    PromotionId,
    /// A person with a local account.
    UserId,
    /// An API token.
    TokenId,
    /// A group of members.
    GroupId,
    /// An invitation.
    InvitationId,
    /// A channel for notifications.
    ChannelId,
    /// A host of source repositories that an administrator listed.
    SourceHostId,
    /// A notification on its way through a channel.
    DeliveryId,
    /// Blocks of removed resources that are to be removed from Git.
    GitRemovalId,
}
