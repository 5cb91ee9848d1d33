//! Members, groups, invitations and tokens of a workspace.

use super::{RequestBackend, forward, is_person};
use crate::service::access;
use contract::{
    backend::People,
    error::AppError,
    group::GroupsView,
    member::{InvitationLink, InvitationView, MembersView},
    token::{TokenDraft, TokenMade, TokensView},
};

forward! {
    People;
    fn members(workspace: &str) -> MembersView = access::members;
    fn set_role(workspace: &str, user: &str, role: &str) -> () = access::set_role;
    fn remove_member(workspace: &str, user: &str) -> () = access::remove_member;
    fn deactivate(workspace: &str, user: &str) -> () = access::deactivate;
    fn activate(workspace: &str, user: &str) -> () = access::activate;
    fn invite(workspace: &str, email: &str, role: &str) -> InvitationLink = access::invite;
    fn withdraw_invitation(workspace: &str, invitation: &str) -> () = access::withdraw_invitation;
    fn groups(workspace: &str) -> GroupsView = access::groups;
    fn create_group(workspace: &str, name: &str) -> () = access::create_group;
    fn join_group(workspace: &str, group: &str, user: &str) -> () = access::join_group;
    fn leave_group(workspace: &str, group: &str, user: &str) -> () = access::leave_group;
    fn tokens(workspace: &str) -> TokensView = access::tokens;
    fn create_token(workspace: &str, draft: TokenDraft) -> TokenMade = access::create_token_drafted;
    fn revoke_token(workspace: &str, token: &str) -> () = access::revoke_token;
    ;

    async fn invitation(&self, key: &str) -> Result<InvitationView, AppError> {
        let mut view = access::invitation(&self.services, key).await?;
        view.yours = self
            .caller
            .as_ref()
            .is_some_and(|caller| is_person(caller, &view.email));
        Ok(view)
    }

    async fn accept_invitation(&self, key: &str, name: &str, password: &str) -> Result<(), AppError> {
        if let Some(caller) = &self.caller
            && is_person(caller, &access::invitation(&self.services, key).await?.email)
        {
            // The session goes on.
            return access::accept_invitation_as(&self.services, caller, key)
                .await
                .map(|_| ());
        }
        let password = password.to_owned().into();
        let user = access::accept_invitation(&self.services, key, name, password, &self.address, &self.browser).await?;
        self.begin(user).await
    }
}
