//! How a change came in: through which door, from which address. The ledger keeps it with each entry.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A door of the product.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A page.
    Browser,
    /// The GraphQL interface.
    Graphql,
    /// The REST interface.
    Rest,
    /// The command `waybill`.
    CommandLine,
    /// A registry, a Git host or another system told of something.
    Webhook,
    /// None: Waybill did it by itself.
    #[default]
    Waybill,
}

impl Door {
    /// All doors.
    pub const ALL: [Self; 6] = [
        Self::Browser,
        Self::Graphql,
        Self::Rest,
        Self::CommandLine,
        Self::Webhook,
        Self::Waybill,
    ];

    /// The word for it, as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Graphql => "graphql",
            Self::Rest => "rest",
            Self::CommandLine => "command_line",
            Self::Webhook => "webhook",
            Self::Waybill => "waybill",
        }
    }

    /// The word for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Graphql => "GraphQL",
            Self::Rest => "REST",
            Self::CommandLine => "command line",
            Self::Webhook => "webhook",
            Self::Waybill => "by itself",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Door {
    type Err = UnknownDoor;

    fn from_str(s: &str) -> Result<Self, UnknownDoor> {
        Self::ALL.into_iter().find(|door| door.as_str() == s).ok_or(UnknownDoor)
    }
}

/// A text that is no [`Door`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("There is no such door.")]
pub struct UnknownDoor;

/// How somebody came in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Entrance {
    /// Through which door.
    pub door: Door,
    /// From which network address, where there is one.
    pub address: Option<String>,
}

impl Entrance {
    /// A door without an address.
    #[must_use]
    pub fn by(door: Door) -> Self {
        Self { door, address: None }
    }
}
