//! What takes a right from somebody: whoever is signed in, or follows along with a token, must be asked again who they are.

use super::Happened;
use crate::removal::Removable;

impl Happened {
    /// Whether somebody may be shut out by it, so that whoever is connected should be asked again who they are.
    #[must_use]
    pub fn shuts_out(&self) -> bool {
        match self {
            Self::TokenRevoked { .. }
            | Self::RoleChanged { .. }
            | Self::MemberRemoved { .. }
            | Self::AccountDeactivated { .. }
            | Self::PasswordChanged
            | Self::PasswordRemoved
            | Self::SignedOutEverywhere => true,
            Self::Removed { what, .. } => match what {
                Removable::Workspace | Removable::Project | Removable::Environment => true,
                Removable::Resource | Removable::Cluster | Removable::Registry => false,
            },
            Self::SignedIn { .. }
            | Self::SignInFailed { .. }
            | Self::TokenCreated { .. }
            | Self::SigningKeySet { .. }
            | Self::TrustedRootSet { .. }
            | Self::TrustedRootRemoved { .. }
            | Self::DigestRecalled { .. }
            | Self::RecallLifted { .. }
            | Self::ImageAdopted { .. }
            | Self::SourceHostAdded { .. }
            | Self::SourceHostChanged { .. }
            | Self::SourceHostRemoved { .. }
            | Self::MemberInvited { .. }
            | Self::InvitationWithdrawn { .. }
            | Self::MemberJoined { .. }
            | Self::AccountActivated { .. }
            | Self::GroupCreated { .. }
            | Self::GroupJoined { .. }
            | Self::GroupLeft { .. }
            | Self::ChannelAdded { .. }
            | Self::ChannelPaused { .. }
            | Self::ChannelRemoved { .. }
            | Self::NotificationRedelivered { .. }
            | Self::Applied { .. }
            | Self::ResourceCreated
            | Self::RemovedFromGit { .. }
            | Self::NotRemovedFromGit { .. }
            | Self::PinChanged { .. }
            | Self::Held { .. }
            | Self::Resumed
            | Self::KeyTaken { .. }
            | Self::ArtifactSeen { .. }
            | Self::PromotionRequested { .. }
            | Self::Approved { .. }
            | Self::Rejected { .. }
            | Self::GateOverridden { .. }
            | Self::LineStopped { .. }
            | Self::LineResumed
            | Self::PolicyChanged { .. }
            | Self::CheckReported { .. }
            | Self::PromotionMoved { .. }
            | Self::TakenBack { .. }
            | Self::PromotionWaits { .. }
            | Self::Committed { .. }
            | Self::DesiredChanged { .. }
            | Self::SwitchedInGit { .. }
            | Self::LiveChanged { .. }
            | Self::LiveForgotten
            | Self::ApplicationNotFound { .. }
            | Self::SyncEnded { .. }
            | Self::PromotionLiveAfterAll { .. }
            | Self::ArgoCdLost { .. }
            | Self::ArgoCdFound { .. }
            | Self::TagMoved { .. }
            | Self::TagRefused { .. }
            | Self::TagDrifted { .. }
            | Self::TagRemoved { .. }
            | Self::TagsSetAgain
            | Self::ImageIncomplete { .. }
            | Self::HealAsked { .. }
            | Self::HealFailed { .. }
            | Self::ImageWhole { .. }
            | Self::StatementWritten { .. }
            | Self::StatementRefused { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuts_out_who_loses_a_right() {
        let removed = |what| Happened::Removed {
            what,
            name: "x".into(),
            with: Vec::new(),
            from_git: false,
        };
        let email = || "ada@example.com".to_owned();
        for (happened, shuts_out) in [
            (Happened::TokenRevoked { name: "ci".into() }, true),
            (
                Happened::RoleChanged {
                    email: email(),
                    role: "viewer".into(),
                },
                true,
            ),
            (Happened::MemberRemoved { email: email() }, true),
            (Happened::AccountDeactivated { email: email() }, true),
            (Happened::PasswordChanged, true),
            (Happened::PasswordRemoved, true),
            (Happened::SignedOutEverywhere, true),
            (removed(Removable::Workspace), true),
            (removed(Removable::Project), true),
            (removed(Removable::Environment), true),
            (removed(Removable::Resource), false),
            (removed(Removable::Cluster), false),
            (removed(Removable::Registry), false),
            (Happened::AccountActivated { email: email() }, false),
            (Happened::LineResumed, false),
        ] {
            assert_eq!(happened.shuts_out(), shuts_out, "{happened:?}");
        }
    }
}
