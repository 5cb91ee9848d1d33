//! Who may do what: roles, rights, and the one place that compares them.

use crate::{name::Name, text::unknown};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A role in a workspace; each includes the ones before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownRole, parse_err_fn = unknown)]
pub enum Role {
    /// Sees everything of the workspace.
    Viewer,
    /// Creates resources and promotes.
    Developer,
    /// Also promotes to protected environments.
    Approver,
    /// Everything, connections and tokens included.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 4] = *Self::VARIANTS.as_array().unwrap();

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A text that is no [`Role`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, thiserror::Error)]
#[error("Choose one of viewer, developer, approver and admin.")]
pub struct UnknownRole;

/// Something that may be allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// See projects, boards, resources, promotions.
    View,
    /// Create a resource, promote, edit a pin, retry, in an environment.
    Change {
        /// Whether that environment is protected.
        protected: bool,
    },
    /// Read what a pod writes into its log.
    ReadLogs,
    /// Create API tokens, apply configuration.
    Administer,
    /// Take the ledger out as a whole.
    Export,
}

/// Whether `role` includes `right`.
///
/// # Errors
/// The lowest role that would, and what it is needed for.
pub fn check(role: Role, right: Right) -> Result<(), Denied> {
    let (needed, deed) = match right {
        Right::View => (Role::Viewer, "see this"),
        Right::Change { protected: false } => (Role::Developer, "change what runs"),
        Right::Change { protected: true } => (Role::Approver, "change what runs in a protected environment"),
        Right::ReadLogs => (Role::Developer, "read the logs of pods"),
        Right::Administer => (Role::Admin, "change connections, members and tokens"),
        Right::Export => (Role::Admin, "export the ledger"),
    };
    if role >= needed {
        Ok(())
    } else {
        Err(Denied::Role { role, needed, deed })
    }
}

/// Whether somebody who is in the groups `mine` may change what runs in `environment`, which only `allowed` may; everybody,
/// when that is empty.
///
/// # Errors
/// Which groups may.
pub fn check_groups(environment: &Name, allowed: &[Name], mine: &[Name]) -> Result<(), Denied> {
    if allowed.is_empty() || allowed.iter().any(|group| mine.contains(group)) {
        return Ok(());
    }
    Err(Denied::Group {
        environment: environment.clone(),
        groups: allowed.iter().map(Name::as_str).collect::<Vec<_>>().join(" or "),
    })
}

/// Why something isn't allowed, and who may help.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// The role doesn't include it.
    #[error("As {role} you may not {deed}. Ask an administrator for the role {needed}.")]
    Role {
        /// The role that was held.
        role: Role,
        /// The lowest role that suffices.
        needed: Role,
        /// What was wanted, to follow "you may not".
        deed: &'static str,
    },
    /// The environment is for groups that the person isn't in.
    #[error(
        "Only members of the group {groups} may change what runs in {environment}. Ask one of them, or an administrator to add you."
    )]
    Group {
        /// The environment.
        environment: Name,
        /// The groups, to follow "of the group".
        groups: String,
    },
    /// A token for a part of the workspace was used for all of it.
    #[error("This token is for {part} of the workspace only. Use a token of the whole workspace.")]
    Scope {
        /// `one project` or `one environment`.
        part: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_the_rights_of_the_ones_before_it() {
        let rights = [
            Right::View,
            Right::Change { protected: false },
            Right::Change { protected: true },
            Right::Administer,
        ];
        for (i, role) in Role::ALL.into_iter().enumerate() {
            for (j, right) in rights.into_iter().enumerate() {
                assert_eq!(check(role, right).is_ok(), j <= i, "{role} {right:?}");
            }
        }
    }

    #[test]
    fn a_restricted_environment_is_for_its_groups() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let (production, release) = (name("production"), [name("release"), name("on-call")]);
        assert_eq!(check_groups(&production, &[], &[]), Ok(()));
        assert_eq!(check_groups(&production, &release, &[name("on-call")]), Ok(()));
        let denied = check_groups(&production, &release, &[name("web")]).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "Only members of the group release or on-call may change what runs in production. Ask one of them, or an \
             administrator to add you."
        );
    }

    #[test]
    fn a_refusal_names_the_role_that_is_needed() {
        let denied = check(Role::Viewer, Right::Change { protected: false }).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "As viewer you may not change what runs. Ask an administrator for the role developer."
        );
    }
}
