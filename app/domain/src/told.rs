//! What happened, in words: the kinds of events, and the sentence of each. Every list of what happened says it like this.
//!
//! A new kind of event is a variant of [`Happened`], a line in the table below, and an arm in [`Happened::told`], [`Happened::shuts_out`]
//! and [`Occasion::of`](crate::notification::Occasion::of): the compiler asks for all of them.

use crate::{event::Happened, promotion::Purpose, resource::HoldCause, text::unknown};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

macro_rules! kinds {
    ($($name:ident $rate:ident $label:literal),* $(,)?) => {
        /// The kinds of events: what the ledger can be searched for.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Display, EnumString, IntoStaticStr, VariantArray)]
        #[strum(serialize_all = "snake_case", parse_err_ty = UnknownKind, parse_err_fn = unknown)]
        pub enum EventKind {
            $(
                #[doc = concat!("[`Happened::", stringify!($name), "`]")]
                $name,
            )*
        }

        impl EventKind {
            /// All of them, as people choose from them.
            pub const ALL: &'static [Self] = Self::VARIANTS;

            /// The word for it, as it is stored: the `kind` of [`Happened`].
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The words for people.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            /// Whether machines write it by the thousand: looking for it alone finds a lot, so that who did it or where leads the search
            /// instead. Checks are: each build of each pipeline reports some.
            #[must_use]
            pub fn is_frequent(self) -> bool {
                let rate = match self {
                    $(Self::$name => Rate::$rate,)*
                };
                rate == Rate::Often
            }
        }

        impl Happened {
            /// Its kind.
            #[must_use]
            pub fn kind(&self) -> EventKind {
                match self {
                    $(Self::$name { .. } => EventKind::$name,)*
                }
            }
        }
    };
}

/// How often a kind of event is written.
#[derive(PartialEq, Eq)]
enum Rate {
    /// People cause it, or it happens rarely.
    Seldom,
    /// Machines cause it by the thousand.
    Often,
}

kinds! {
    PromotionRequested Often "Promotion asked for",
    PromotionMoved Often "Promotion moved on",
    TakenBack Seldom "Taken back",
    PromotionWaits Often "Promotion waits",
    Committed Often "Commit",
    Approved Seldom "Approved",
    Rejected Seldom "Rejected",
    GateOverridden Seldom "Gate overridden",
    LineStopped Seldom "Promotions paused",
    LineResumed Seldom "Promotions resumed",
    PolicyChanged Seldom "Policy changed",
    CheckReported Often "Check reported",
    PinChanged Seldom "Pin changed",
    Held Seldom "Held",
    Resumed Seldom "Resumed",
    KeyTaken Seldom "Key changed",
    ResourceCreated Seldom "Resource created",
    Removed Seldom "Deleted",
    RemovedFromGit Seldom "Removed from Git",
    NotRemovedFromGit Seldom "Not removed from Git",
    Applied Seldom "Configuration applied",
    SignedIn Seldom "Sign-in",
    SignInFailed Seldom "Sign-in refused",
    TokenCreated Seldom "Token created",
    TokenRevoked Seldom "Token revoked",
    MemberInvited Seldom "Member invited",
    InvitationWithdrawn Seldom "Invitation taken back",
    MemberJoined Seldom "Member joined",
    RoleChanged Seldom "Role changed",
    MemberRemoved Seldom "Member removed",
    AccountDeactivated Seldom "Account deactivated",
    AccountActivated Seldom "Account activated",
    GroupCreated Seldom "Group created",
    GroupJoined Seldom "Group joined",
    GroupLeft Seldom "Group left",
    ChannelAdded Seldom "Channel added",
    ChannelPaused Seldom "Channel paused",
    ChannelRemoved Seldom "Channel removed",
    NotificationRedelivered Seldom "Notification sent again",
    PasswordRemoved Seldom "Password removed",
    PasswordChanged Seldom "Password changed",
    SignedOutEverywhere Seldom "Signed out everywhere",
    ArtifactSeen Often "New artifact",
    DesiredChanged Often "Git changed",
    SwitchedInGit Seldom "Switched in Git",
    LiveChanged Often "Live state changed",
    LiveForgotten Often "Live state lost",
    ApplicationNotFound Often "Application not found",
    SyncEnded Seldom "Running sync ended",
    PromotionLiveAfterAll Seldom "Live after all",
    ArgoCdLost Seldom "Lost connection to Argo CD",
    ArgoCdFound Seldom "Argo CD reached again",
    TagMoved Often "Tag moved",
    TagRefused Seldom "Tag not set",
    TagDrifted Seldom "Tag moved by somebody else",
    TagRemoved Often "Tag removed",
    TagsSetAgain Seldom "Tags set again",
    ImageIncomplete Seldom "Image incomplete",
    HealAsked Seldom "Heal asked for",
    HealFailed Seldom "Heal failed",
    ImageWhole Seldom "Image whole again",
    StatementWritten Often "Statement written",
    StatementRefused Seldom "Statement not written",
    SigningKeySet Seldom "Signing key set",
    TrustedRootSet Seldom "Trusted root set",
    TrustedRootRemoved Seldom "Trusted root removed",
    DigestRecalled Seldom "Digest recalled",
    RecallLifted Seldom "Recall lifted",
    ImageAdopted Seldom "Image adopted",
    SourceHostAdded Seldom "Source host added",
    SourceHostChanged Seldom "Source host changed",
    SourceHostRemoved Seldom "Source host removed",
}

/// A text that is no [`EventKind`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, thiserror::Error)]
#[error("There is no such kind of event.")]
pub struct UnknownKind;

impl Happened {
    /// What the actor did, to stand behind their name, without a full stop: `asked for a promotion to v1.4`. And more about it, whole
    /// sentences or lines, where there is more.
    #[must_use]
    pub fn told(&self) -> (String, Vec<String>) {
        let mut more = Vec::new();
        let did = match self {
            Self::SignedIn { through: None } => "signed in".into(),
            Self::SignedIn { through: Some(name) } => format!("signed in through {name}"),
            Self::SignInFailed { email } => format!("refused a sign-in as {email}"),
            Self::TokenCreated { name, role } => format!("created the token {name} with the role {role}"),
            Self::TokenRevoked { name } => format!("revoked the token {name}"),
            Self::MemberInvited { email, role } => format!("invited {email} with the role {role}"),
            Self::InvitationWithdrawn { email } => format!("took back the invitation of {email}"),
            Self::MemberJoined { email, role } => format!("joined as {email} with the role {role}"),
            Self::RoleChanged { email, role } => format!("gave {email} the role {role}"),
            Self::MemberRemoved { email } => format!("removed {email} from the workspace"),
            Self::AccountDeactivated { email } => format!("deactivated the account {email}"),
            Self::AccountActivated { email } => format!("activated the account {email} again"),
            Self::GroupCreated { name } => format!("created the group {name}"),
            Self::GroupJoined { group, email } => format!("put {email} into the group {group}"),
            Self::GroupLeft { group, email } => format!("took {email} out of the group {group}"),
            Self::ChannelAdded { name, channel } => format!("added the channel {name}: notifications by {channel}"),
            Self::ChannelPaused { name, paused: true } => format!("paused the channel {name}"),
            Self::ChannelPaused { name, paused: false } => format!("resumed the channel {name}"),
            Self::ChannelRemoved { name } => format!("removed the channel {name}"),
            Self::NotificationRedelivered { name, title } => {
                more.push(title.clone());
                format!("sent a notification again through the channel {name}")
            }
            Self::PasswordChanged => "changed their password".into(),
            Self::PasswordRemoved => {
                "took over the account through single sign-on: its password and sessions ended".into()
            }
            Self::SignedOutEverywhere => "signed out everywhere".into(),
            Self::Applied { changes } => {
                more.clone_from(changes);
                match changes.len() {
                    1 => "applied configuration, with one change".into(),
                    count => format!("applied configuration, with {count} changes"),
                }
            }
            Self::ResourceCreated => "created the resource".into(),
            Self::Removed {
                what,
                name,
                with,
                from_git,
            } => {
                more.clone_from(with);
                if what.is_in_git() {
                    let git = match from_git {
                        true => "It is to be removed from Git, too.",
                        false => "Git was left alone.",
                    };
                    more.push(git.into());
                }
                format!("deleted the {what} {name}")
            }
            Self::RemovedFromGit { path, services, commit } => match commit {
                Some(commit) => format!(
                    "removed {} from {path} with commit {}",
                    services.join(", "),
                    commit.get(..7).unwrap_or(commit)
                ),
                None => format!("found that {path} no longer declares {}", services.join(", ")),
            },
            Self::NotRemovedFromGit { path, services, reason } => {
                more.push(reason.clone());
                format!("could not remove {} from {path}", services.join(", "))
            }
            Self::Approved { digest, comment } => {
                more.extend(comment.clone());
                format!("approved {}", digest.short())
            }
            Self::Rejected { comment } => {
                more.push(comment.clone());
                "rejected it".into()
            }
            Self::GateOverridden { gate, reason } => {
                more.push(reason.clone());
                format!("overrode the gate {}", gate.title())
            }
            Self::LineStopped { reason } => {
                more.push(reason.clone());
                "paused promotions".into()
            }
            Self::LineResumed => "resumed promotions".into(),
            Self::PolicyChanged { policy } => {
                more = policy.words();
                match policy.is_empty() {
                    true => "took the policy away".into(),
                    false => "changed the policy".into(),
                }
            }
            Self::CheckReported { digest, name, status } => {
                format!(
                    "reported that check {name} is {} on {}",
                    status.as_str(),
                    digest.short()
                )
            }
            Self::PinChanged { to } => format!("moved the pin to {}", to.short()),
            Self::Held {
                cause: HoldCause::SetUp,
                ..
            } => "put a hold on it: others may change what runs here".into(),
            Self::Held {
                cause,
                outside: Some(outside),
            } => {
                more.push(outside.subject.clone());
                let commit = outside.commit.get(..7).unwrap_or(&outside.commit);
                format!("put a hold on it: {} by {} in {commit}", cause.deed(), outside.author)
            }
            Self::Held {
                cause: HoldCause::NoFile,
                ..
            } => "put a hold on it: it has no values file".into(),
            Self::Held { cause, .. } => format!("put a hold on it: {} by hand", cause.deed()),
            Self::Resumed => "resumed it; it follows its source again".into(),
            Self::KeyTaken { from, to } => format!("gave it the key {to} in place of {from}, as in Git"),
            Self::ArtifactSeen { image } => format!("saw {} in {}", image.short_label(), image.repository),
            Self::PromotionRequested { purpose, image, .. } => {
                let label = image.short_label();
                match purpose {
                    Purpose::Deploy => format!("asked for a deploy of {label}"),
                    Purpose::Promote => format!("asked for a promotion to {label}"),
                    Purpose::Pin => format!("asked for a pin to {label}"),
                    Purpose::Rollback => format!("asked for a rollback to {label}"),
                }
            }
            Self::PromotionMoved { from, to, detail } => {
                more.extend(detail.clone());
                format!("moved the promotion from {from} to {to}")
            }
            Self::TakenBack { to, .. } => {
                more.push("It doesn't follow its source until somebody resumes it.".into());
                format!("took it back to {}, which was healthy here last", to.short_label())
            }
            Self::PromotionWaits { detail } => {
                more.push(detail.clone());
                "waits with the promotion".into()
            }
            Self::Committed { commit, pushes } => {
                let commit = commit.get(..7).unwrap_or(commit);
                match pushes {
                    0 => format!("found commit {commit} in Git already"),
                    1 => format!("pushed commit {commit}"),
                    _ => format!("pushed commit {commit} at try {pushes}: others pushed first"),
                }
            }
            Self::DesiredChanged { image, commit, by } => {
                let commit = commit.get(..7).unwrap_or(commit);
                let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                match image {
                    Some(image) => format!(
                        "saw that Git declares {} now, with commit {commit}{by}",
                        image.short_label()
                    ),
                    None => format!("saw that Git declares no exact image any more, with commit {commit}{by}"),
                }
            }
            Self::SwitchedInGit { off, commit, by } => {
                let commit = commit.get(..7).unwrap_or(commit);
                let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                let word = if *off { "off" } else { "on again" };
                format!("saw that Git switches it {word}, with commit {commit}{by}")
            }
            Self::LiveChanged { digests, health } => match digests.as_slice() {
                [] => format!("saw nothing live, {}", health.as_str().to_lowercase()),
                digests => format!("saw {} live, {}", digests.join(" and "), health.as_str().to_lowercase()),
            },
            Self::LiveForgotten => "lost sight of what is live: Argo CD can't be reached".into(),
            Self::ApplicationNotFound { application } => {
                format!("lost sight of what is live: Argo CD has no application {application}, or doesn't show it")
            }
            Self::SyncEnded { sync, revision } => {
                format!("ended {sync}, which applied {}", revision.get(..7).unwrap_or(revision))
            }
            Self::PromotionLiveAfterAll { evidence, .. } => {
                format!("saw that the failed promotion is live after all: {evidence}")
            }
            Self::ArgoCdLost { cluster, why } => format!("lost the connection to the Argo CD of {cluster}: {why}"),
            Self::ArgoCdFound { cluster } => format!("reached the Argo CD of {cluster} again"),
            Self::TagMoved {
                repository,
                tag,
                from,
                to,
            } => match from {
                Some(from) => format!(
                    "moved the tag {tag} of {repository} from {} to {}",
                    from.short(),
                    to.short()
                ),
                None => format!("set the tag {tag} of {repository} to {}", to.short()),
            },
            Self::TagRefused {
                repository,
                tag,
                reason,
            } => {
                more.push(reason.clone());
                format!("could not change the tag {tag} of {repository}")
            }
            Self::TagDrifted { repository, tag, to } => match to {
                Some(to) => format!(
                    "saw that somebody else moved the tag {tag} of {repository} to {}",
                    to.short()
                ),
                None => format!("saw that somebody else deleted the tag {tag} of {repository}"),
            },
            Self::TagRemoved { repository, tag } => {
                more.push("The image left the last few that ran here, and runs nowhere.".into());
                format!("removed the tag {tag} of {repository}")
            }
            Self::TagsSetAgain => "had all tags of the environment set again".into(),
            Self::ImageIncomplete {
                repository,
                digest,
                missing,
            } => {
                more.clone_from(missing);
                format!(
                    "found that {} can't be pulled from {repository} any more",
                    digest.short()
                )
            }
            Self::HealAsked {
                repository,
                digest,
                from,
            } => format!("started to heal {} in {repository} from {from}", digest.short()),
            Self::HealFailed {
                repository,
                digest,
                reason,
            } => {
                more.push(reason.clone());
                format!("could not copy what {repository} lost of {}", digest.short())
            }
            Self::ImageWhole { repository, digest } => {
                format!("found that {} can be pulled from {repository} again", digest.short())
            }
            Self::StatementWritten { repository, form, .. } => {
                more.push(form.words().to_owned());
                format!("wrote a signed statement to {repository}")
            }
            Self::StatementRefused { repository, reason } => {
                more.push(reason.clone());
                format!("could not write a signed statement to {repository}")
            }
            Self::SigningKeySet { key, before } => match before {
                Some(before) => format!("set the key that signs statements to {key}; before, it was {before}"),
                None => format!("set the key that signs statements to {key}"),
            },
            Self::TrustedRootSet { name, fingerprint } => {
                more.push(format!("SHA-256 {fingerprint}"));
                format!("set the trusted root {name} for keyless signatures")
            }
            Self::TrustedRootRemoved { name } => format!("removed the trusted root {name}"),
            Self::DigestRecalled { digest, reason, places } => {
                more.push(reason.clone());
                match places {
                    0 => {}
                    1 => more.push("1 resource here ran it, or was to run it.".into()),
                    many => more.push(format!("{many} resources here ran it, or were to run it.")),
                }
                format!("recalled {}", digest.short())
            }
            Self::RecallLifted { digest, reason } => {
                more.push(reason.clone());
                format!("lifted the recall of {}", digest.short())
            }
            Self::ImageAdopted { image, reason } => {
                more.extend(reason.clone());
                format!("adopted {}, which nobody promoted", image.short_label())
            }
            Self::SourceHostAdded { host, user } => match user {
                Some(user) => format!("listed {host} as a host of source repositories, read as {user}"),
                None => format!("listed {host} as a host of source repositories, read without signing in"),
            },
            Self::SourceHostChanged { host, how } => {
                more.push(how.clone());
                format!("changed how source repositories on {host} are read")
            }
            Self::SourceHostRemoved { host } => format!("removed {host} from the hosts of source repositories"),
        };
        (did, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Health, promotion::State};

    fn image() -> crate::artifact::ExactImage {
        crate::artifact::ExactImage {
            repository: "r.example/myapp/api".parse().unwrap(),
            tag: Some("v1.4".parse().unwrap()),
            digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
        }
    }

    #[test]
    fn kinds_have_one_word_and_words_for_people_each() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert!(!kind.label().is_empty() && !kind.label().ends_with('.'));
        }
    }

    #[test]
    fn what_happened_is_said_in_plain_words() {
        let moved = Happened::PromotionMoved {
            from: State::Committing,
            to: State::Syncing,
            detail: Some("Commit c0ffee1 is on main.".into()),
        };
        assert_eq!(
            moved.told(),
            (
                "moved the promotion from committing to syncing".into(),
                vec!["Commit c0ffee1 is on main.".into()]
            )
        );
        let asked = Happened::PromotionRequested {
            purpose: Purpose::Rollback,
            image: image(),
            preview: None,
        };
        assert_eq!(asked.told().0, "asked for a rollback to v1.4");
        let live = Happened::LiveChanged {
            digests: vec!["aaaaaaa".into(), "bbbbbbb".into()],
            health: Health::Progressing,
        };
        assert_eq!(live.told().0, "saw aaaaaaa and bbbbbbb live, progressing");
    }
}
