//! Notifications out.

use super::{RequestBackend, forward};
use crate::service::notification;
use contract::{
    backend::Notifications,
    notification::{ChannelDraft, ChannelMade, NotificationsView, Tried},
};

forward! {
    Notifications;
    fn notifications(workspace: &str) -> NotificationsView = notification::notifications;
    fn add_channel(workspace: &str, draft: ChannelDraft) -> ChannelMade = notification::add_channel;
    fn pause_channel(workspace: &str, channel: &str, paused: bool) -> () = notification::pause_channel;
    fn remove_channel(workspace: &str, channel: &str) -> () = notification::remove_channel;
    fn test_channel(workspace: &str, channel: &str) -> Tried = notification::test_channel;
    fn redeliver(workspace: &str, delivery: &str) -> Tried = notification::redeliver;
}
