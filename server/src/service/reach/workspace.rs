//! Workspaces: who may create one.
//!
//! Names of workspaces are unique in the installation, so whoever may create one learns which names are taken. Everybody else is answered
//! alike about a workspace that they are not in and about one that there isn't.

use crate::{
    config::Creators,
    service::reach::caller::Caller,
    store::{StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    environment::Workspace,
    name::Name,
    promotion::Actor,
    rights::{self, Right, Role},
};

impl Creators {
    /// Whether a caller is among them.
    #[must_use]
    pub fn include(self, caller: &Caller) -> bool {
        let administers = |role: Role| rights::check(role, Right::Administer).is_ok();
        match self {
            Self::CommandLine => false,
            Self::Everyone if matches!(caller.actor, Actor::Person { .. }) => true,
            Self::Administrators | Self::Everyone => caller.access.iter().any(|(_, role)| administers(*role)),
        }
    }
}

/// The answer to whoever may not apply to a workspace: the same whether there is one of this name or not.
#[must_use]
pub fn not_yours(caller: &Caller, name: &Name) -> AppError {
    AppError::Forbidden(format!(
        "{} may neither change nor create a workspace {name}. Ask an administrator. Where the server runs, \
         `waybill token create --name setup --role admin --workspace {name} --create-workspace` makes a token that may, \
         and the workspace when there is none.",
        caller.actor.name()
    ))
}

/// The workspace that a webhook's address names. Whoever knows the webhook's secret is not told whether there is one; whoever reads the log
/// is, because a misspelt address would go unnoticed.
pub(crate) async fn find_told_workspace(tx: &mut dyn Tx, name: &str) -> Result<Option<Workspace>, StoreError> {
    let found = tx.workspace_by_name(name).await?;
    if found.is_none() {
        tracing::warn!(workspace = ?name, "a webhook told of something in a workspace that there isn't; check its address");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{UserId, WorkspaceId};
    use uuid::Uuid;

    #[test]
    fn who_may_create_workspaces_is_the_configurations_word() {
        let token = Actor::Token { name: "ci".into() };
        let person = Actor::Person {
            id: UserId(Uuid::from_u128(1)),
            name: "Ada".into(),
            email: "ada@example.com".into(),
        };
        let workspace = Workspace {
            id: WorkspaceId(Uuid::from_u128(2)),
            name: "demo".parse().unwrap(),
        };
        let caller = |actor: &Actor, role: Option<Role>| {
            let access = role.map(|role| (workspace.clone(), role));
            Caller::new(actor.clone(), access.into_iter().collect())
        };
        for (creators, expected) in [
            ("command_line", [false; 6]),
            ("administrators", [false, false, true, false, false, true]),
            ("everyone", [false, false, true, true, true, true]),
        ] {
            let creators: Creators = creators.parse().unwrap();
            let asked = [&token, &person].map(|actor| {
                [None, Some(Role::Approver), Some(Role::Admin)].map(|role| creators.include(&caller(actor, role)))
            });
            assert_eq!(asked.concat(), expected, "{creators:?}");
        }
        assert!("admins".parse::<Creators>().is_err());
    }
}
