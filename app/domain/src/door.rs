//! How a change came in: through which door, from which address. The ledger keeps it with each entry.

use crate::text::unknown;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A door of the product.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownDoor, parse_err_fn = unknown)]
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
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The word for it, as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
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

/// A text that is no [`Door`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, thiserror::Error)]
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
