//! Notifications out: the channels of a workspace's projects, and what went through them.

use domain::{
    id::{ChannelId, DeliveryId},
    name::Name,
    notification::{ChannelKind, DeliveryState, Occasion},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The channels of a workspace, and what went through them last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotificationsView {
    /// The workspace.
    pub workspace: Name,
    /// Its projects with their environments.
    pub places: Vec<(Name, Vec<Name>)>,
    /// The channels, by project and name.
    pub channels: Vec<ChannelView>,
    /// The last deliveries, newest first.
    pub deliveries: Vec<DeliveryView>,
    /// Whether the server can send e-mail.
    pub mail: bool,
    /// When it was read.
    pub now: Timestamp,
}

/// A channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its id.
    pub id: ChannelId,
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: Name,
    /// How it tells.
    pub kind: ChannelKind,
    /// Where it leads, as far as that is shown: a host, or addresses of people.
    pub shown: String,
    /// What it tells.
    pub occasions: Vec<Occasion>,
    /// Of which environments; empty for all.
    pub environments: Vec<Name>,
    /// Whether it tells just now.
    pub active: bool,
}

/// A notification on its way, or there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The channel's name.
    pub channel: String,
    /// The channel's project.
    pub project: Name,
    /// What it tells, a line.
    pub title: String,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: u32,
    /// What the other side answered last, a number.
    pub status: Option<u16>,
    /// And in words.
    pub answer: Option<String>,
    /// When it was written.
    pub at: Timestamp,
    /// When it is sent next.
    pub next_at: Option<Timestamp>,
}

/// What the form for a new channel posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelDraft {
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Its kind, a word.
    pub kind: String,
    /// Where it leads: an address, or addresses of people with commas between.
    pub address: String,
    /// What it tells, words with commas between.
    pub occasions: String,
    /// Of which environments, names with commas between; empty for all.
    pub environments: String,
}

/// A new channel; a webhook's key is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelMade {
    /// Its name.
    pub name: String,
    /// The key that a webhook is signed with.
    pub secret: Option<String>,
}

impl std::fmt::Debug for ChannelMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelMade")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What came of sending something by hand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// How it stands.
    pub state: DeliveryState,
    /// The same, and what was answered, in words.
    pub words: String,
}
