//! What the settings post: the form of one section, told by the word of the button that was pressed.

use super::{clusters, groups, members, notifications, registries, repositories, sources, tokens, trusted_roots};
use crate::{
    api::{
        connection::ConnectionTest,
        member::InvitationLink,
        notification::{ChannelMade, Tried},
        token::TokenMade,
    },
    form,
};
use contract::error::AppError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{future::Future, str::FromStr};

/// A section's form as posted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum SettingsPost {
    Members(members::Post),
    Groups(groups::Post),
    Tokens(tokens::Post),
    Registries(registries::Post),
    TrustedRoots(trusted_roots::Post),
    Clusters(clusters::Post),
    Repositories(repositories::Post),
    Sources(sources::Post),
    Notifications(notifications::Post),
    /// No button of the page.
    Unknown,
}

impl SettingsPost {
    /// The word of the button; empty if there is none.
    pub(super) fn intent(&self) -> &'static str {
        match self {
            Self::Members(post) => post.intent.into(),
            Self::Groups(post) => post.intent.into(),
            Self::Tokens(post) => post.intent.into(),
            Self::Registries(post) => post.intent.into(),
            Self::TrustedRoots(post) => post.intent.into(),
            Self::Clusters(post) => post.intent.into(),
            Self::Repositories(post) => post.intent.into(),
            Self::Sources(post) => post.intent.into(),
            Self::Notifications(post) => post.intent.into(),
            Self::Unknown => "",
        }
    }
}

/// The form of a section, which each section has for itself.
pub(super) trait SectionPost: DeserializeOwned {
    /// The section's buttons.
    type Intent: FromStr;

    /// Does what its button says.
    fn carry_out(self, workspace: String) -> impl Future<Output = Result<SettingsOutcome, AppError>> + Send;
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum SettingsOutcome {
    /// It is done; in words.
    Said(String),
    /// What a form holds is saved; in words.
    Saved(String),
    /// A connection was tried.
    Tested(ConnectionTest),
    /// Somebody is invited; the link.
    Invited(InvitationLink),
    /// A token is made; its text.
    Made(TokenMade),
    /// A channel is added; its key.
    Added(ChannelMade),
    /// Something was sent by hand; what came of it.
    Tried(Tried),
}

impl SettingsOutcome {
    /// Done, in these words.
    pub(super) fn said(words: &str) -> Self {
        Self::Said(words.to_owned())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pressed {
    intent: String,
}

/// Reads a body: the section whose button was pressed says which fields there are.
pub(super) fn read(body: &str) -> Result<SettingsPost, AppError> {
    let Pressed { intent } = form::read(body)?;
    let of_a_section = of(body, &intent, SettingsPost::Members)
        .or_else(|| of(body, &intent, SettingsPost::Groups))
        .or_else(|| of(body, &intent, SettingsPost::Tokens))
        .or_else(|| of(body, &intent, SettingsPost::Registries))
        .or_else(|| of(body, &intent, SettingsPost::TrustedRoots))
        .or_else(|| of(body, &intent, SettingsPost::Clusters))
        .or_else(|| of(body, &intent, SettingsPost::Repositories))
        .or_else(|| of(body, &intent, SettingsPost::Sources))
        .or_else(|| of(body, &intent, SettingsPost::Notifications));
    of_a_section.unwrap_or(Ok(SettingsPost::Unknown))
}

fn of<P: SectionPost>(body: &str, intent: &str, post: fn(P) -> SettingsPost) -> Option<Result<SettingsPost, AppError>> {
    intent.parse::<P::Intent>().ok()?;
    Some(form::read(body).map(post))
}

/// Carries a post out.
pub(super) async fn carry_out(
    post: SettingsPost,
    workspace: String,
) -> (SettingsPost, Option<Result<SettingsOutcome, AppError>>) {
    let outcome = match post.clone() {
        SettingsPost::Members(post) => post.carry_out(workspace).await,
        SettingsPost::Groups(post) => post.carry_out(workspace).await,
        SettingsPost::Tokens(post) => post.carry_out(workspace).await,
        SettingsPost::Registries(post) => post.carry_out(workspace).await,
        SettingsPost::TrustedRoots(post) => post.carry_out(workspace).await,
        SettingsPost::Clusters(post) => post.carry_out(workspace).await,
        SettingsPost::Repositories(post) => post.carry_out(workspace).await,
        SettingsPost::Sources(post) => post.carry_out(workspace).await,
        SettingsPost::Notifications(post) => post.carry_out(workspace).await,
        SettingsPost::Unknown => Err(AppError::BadRequest(
            "This form doesn't say what to do. Use the buttons of the page.".into(),
        )),
    };
    (post, Some(outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantNames as _;

    #[test]
    fn the_pressed_button_says_which_section_it_is_of() {
        let posted = |body: &str| read(body).unwrap();
        for intent in ["set-role", "remove", "deactivate", "activate", "invite", "withdraw"] {
            let post = posted(&format!("user=u&role=admin&intent={intent}"));
            assert!(
                matches!(&post, SettingsPost::Members(post) if post.user == "u"),
                "{post:?}"
            );
            assert_eq!(post.intent(), intent);
        }
        let post = posted("cluster[name]=prod&cluster[keep_syncs]=true&secrets[argocd_token]=t&intent=test-cluster");
        let SettingsPost::Clusters(clusters::Post { cluster, .. }) = &post else {
            panic!("{post:?}");
        };
        assert!(cluster.name == "prod" && cluster.keep_syncs);
        assert_eq!(post.intent(), "test-cluster");
        assert!(
            matches!(posted("occasions[failed]=on&intent=add-channel"), SettingsPost::Notifications(post) if post.occasions.len() == 1)
        );
        for nothing in ["", "user=u", "intent=destroy", "intent=SetRole"] {
            assert_eq!(posted(nothing), SettingsPost::Unknown, "{nothing}");
        }
        // What is typed into a form of the section, and can't be read, is refused: it is not taken for another's.
        assert!(read("cluster[keep_syncs]=maybe&intent=save-cluster").is_err());
    }

    #[test]
    fn no_two_sections_have_a_button_of_the_same_word() {
        let words = |text: &str| {
            [
                text.parse::<members::Intent>().is_ok(),
                text.parse::<groups::Intent>().is_ok(),
                text.parse::<tokens::Intent>().is_ok(),
                text.parse::<registries::Intent>().is_ok(),
                text.parse::<clusters::Intent>().is_ok(),
                text.parse::<repositories::Intent>().is_ok(),
                text.parse::<sources::Intent>().is_ok(),
                text.parse::<notifications::Intent>().is_ok(),
            ]
        };
        let all = members::Intent::VARIANTS
            .iter()
            .chain(groups::Intent::VARIANTS)
            .chain(tokens::Intent::VARIANTS)
            .chain(registries::Intent::VARIANTS)
            .chain(clusters::Intent::VARIANTS)
            .chain(repositories::Intent::VARIANTS)
            .chain(sources::Intent::VARIANTS)
            .chain(notifications::Intent::VARIANTS);
        for word in all {
            assert_eq!(words(word).iter().filter(|knows| **knows).count(), 1, "{word}");
        }
    }
}
