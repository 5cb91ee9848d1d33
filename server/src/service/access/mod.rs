//! Who may come in: accounts, sessions, single sign-on, tokens, members, groups, invitations.

mod account;
mod group;
mod invitation;
mod known_browser;
mod member;
mod session;
mod sso;
mod token;

pub use account::{account, change_password, sign_out_everywhere};
pub use group::{create_group, groups, join_group, leave_group};
pub use invitation::{accept_invitation, accept_invitation_as, invitation, invite, withdraw_invitation};
pub use known_browser::{COOKIE, DAYS, remember_browser};
pub(crate) use member::create_workspace;
pub use member::{activate, deactivate, members, remove_member, set_role};
pub use session::{caller_of_user, first_administrator, me, normalised_email, sign_in};
pub use sso::{PATIENCE_MILLIS, ProviderCallback, begin_sso, finish_sso};
pub use token::{
    NewToken, TOKEN_PREFIX, caller_of_token, create_token, create_token_drafted, create_token_for, create_token_here,
    hash_token, parse_span, revoke_token, tokens,
};
