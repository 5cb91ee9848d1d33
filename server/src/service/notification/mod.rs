//! Notifications out: channels, what they are told, and in which words.

mod channels;
mod draft;
mod message;

pub(crate) use channels::channel_target;
pub use channels::{add_channel, notifications, pause_channel, redeliver, remove_channel, test_channel};
pub use draft::Target;
pub use message::Message;
pub(crate) use message::{About, Names};
