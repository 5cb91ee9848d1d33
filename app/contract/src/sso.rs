//! Single sign-on: whether it is offered, and what people are told when it came to nothing.

use std::str::FromStr;

/// Where single sign-on begins.
pub const BEGIN: &str = "/sign-in/sso";

/// Why somebody who came through single sign-on is not signed in. It travels as a word in the sign-in page's address, and the page
/// has the sentence: nobody can put words of their own there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SsoFault {
    /// It isn't set up.
    Off,
    /// The provider can't be reached.
    Unreachable,
    /// The provider, or the person there, said no.
    Denied,
    /// The answer is to no question of this browser, or comes too late, or again.
    Stale,
    /// The provider's answer can't be believed.
    Untrusted,
    /// The clocks are too far apart.
    Clock,
    /// No address was told.
    NoEmail,
    /// The address isn't verified.
    Unverified,
    /// The address isn't of a domain that is let in.
    Domain,
    /// There is an account with the address, and a password.
    Known,
    /// The account with the address came through single sign-on, as another person there.
    Taken,
    /// Who came isn't whose account was to be connected.
    Other,
    /// The account is closed.
    Closed,
    /// The workspace that people are let into isn't there.
    Workspace,
    /// Too many tries.
    TooMany,
    /// A fault of Waybill's own.
    Internal,
}

impl SsoFault {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Off,
        Self::Unreachable,
        Self::Denied,
        Self::Stale,
        Self::Untrusted,
        Self::Clock,
        Self::NoEmail,
        Self::Unverified,
        Self::Domain,
        Self::Known,
        Self::Taken,
        Self::Other,
        Self::Closed,
        Self::Workspace,
        Self::TooMany,
        Self::Internal,
    ];

    /// The word for it, in addresses and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Stale => "stale",
            Self::Untrusted => "untrusted",
            Self::Clock => "clock",
            Self::NoEmail => "no-email",
            Self::Unverified => "unverified",
            Self::Domain => "domain",
            Self::Known => "known",
            Self::Taken => "taken",
            Self::Other => "other",
            Self::Closed => "closed",
            Self::Workspace => "workspace",
            Self::TooMany => "too-many",
            Self::Internal => "internal",
        }
    }

    /// What happened and what to do; `name` is what people call the provider.
    #[must_use]
    pub fn sentence(self, name: &str) -> String {
        match self {
            Self::Off => "Single sign-on isn't set up here. Sign in with your password.".into(),
            Self::Unreachable => {
                format!("Waybill could not reach {name}. Try again in a moment; if it stays so, tell an administrator.")
            }
            Self::Denied => {
                format!(
                    "Signing in with {name} was called off, or refused there. Try again, or ask who looks after it."
                )
            }
            Self::Stale => {
                "This sign-in took too long, began in another browser, or has been used already. Try again.".into()
            }
            Self::Untrusted => {
                format!("What {name} answered can't be used. Tell an administrator: Waybill's log says why.")
            }
            Self::Clock => {
                format!("The clocks of Waybill and of {name} disagree. Tell an administrator to set them right.")
            }
            Self::NoEmail => {
                format!(
                    "Waybill needs your e-mail address, and {name} did not tell it. Ask who looks after it to do so."
                )
            }
            Self::Unverified => {
                format!("Your e-mail address isn't verified at {name}. Verify it there, then try again.")
            }
            Self::Domain => {
                "People with an e-mail address like yours are not let in here. Ask an administrator for an invitation."
                    .into()
            }
            Self::Known => {
                "There is an account with your e-mail address already. Sign in with its password, then choose \
                Connect on the page Account."
                    .into()
            }
            Self::Taken => {
                format!(
                    "The account with your e-mail address belongs to somebody else at {name}. Ask an administrator."
                )
            }
            Self::Other => format!(
                "At {name} you have another e-mail address than here, or another account here: they were not connected."
            ),
            Self::Closed => "Your account is closed. Ask an administrator to open it again.".into(),
            Self::Workspace => {
                format!("The workspace that {name} leads to does not exist yet. Tell an administrator (sso.workspace).")
            }
            Self::TooMany => "Too many tries. Wait five minutes, then try again.".into(),
            Self::Internal => {
                "Waybill could not sign you in because of a fault of its own. Tell an administrator: its log says more."
                    .into()
            }
        }
    }
}

impl FromStr for SsoFault {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == s).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_word_and_a_sentence() {
        for fault in SsoFault::ALL {
            assert_eq!(fault.as_str().parse(), Ok(fault));
            assert!(fault.sentence("Example").ends_with('.'));
        }
        assert!("<script>".parse::<SsoFault>().is_err());
    }
}
