//! Removing things: what can be removed, and what a person chooses with it. History is kept, always.

use crate::text::unknown;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// What can be removed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownRemovable, parse_err_fn = unknown)]
pub enum Removable {
    /// A resource of an environment.
    Resource,
    /// An environment of a project, with its resources.
    Environment,
    /// A project, with its environments.
    Project,
    /// A cluster that no environment runs on.
    Cluster,
    /// A registry that no cluster pulls from.
    Registry,
    /// A workspace, with all that is in it.
    Workspace,
}

impl Removable {
    /// All of them: what is in another one before that.
    pub const ALL: [Self; 6] = *Self::VARIANTS.as_array().unwrap();

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether its blocks in the values file can be removed with it.
    #[must_use]
    pub fn is_in_git(self) -> bool {
        match self {
            Self::Resource | Self::Environment => true,
            Self::Project | Self::Cluster | Self::Registry | Self::Workspace => false,
        }
    }
}

/// A text that is no [`Removable`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, thiserror::Error)]
#[error("Choose one of resource, environment, project, cluster, registry and workspace.")]
pub struct UnknownRemovable;

/// What a person chooses when they remove something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RemovalChoices {
    /// Whether its blocks are removed from the values file, too. Else Git is left alone.
    pub from_git: bool,
    /// Whether those who follow it from elsewhere become pinned to what they run. Else they are in the way.
    pub pin_followers: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_word() {
        for what in Removable::ALL {
            assert_eq!(what.to_string().parse(), Ok(what));
        }
    }
}
