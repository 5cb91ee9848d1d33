//! Reusable views: properties in, callbacks out; they never fetch.
//!
//! What makes it Waybill: [`digest_chip`], [`flow_strip`], [`state_badge`], [`truth`], [`cell`]. Forms: [`field`],
//! [`radio_card`], [`rows`], [`digest_picker`], [`summary`], [`notice`]. A promotion: [`stepper`], [`diff`],
//! [`timeline`]. Around all pages: [`frame`] with [`live_status`]. `style/components/` has a file for each.

pub mod board_filter;
pub mod cell;
pub mod command;
pub mod decide;
pub mod diff;
pub mod digest_chip;
pub mod digest_picker;
pub mod empty_state;
pub mod field;
pub mod flow_strip;
pub mod frame;
pub mod gates;
pub mod icon;
pub mod image_change;
pub mod live_status;
pub mod notice;
pub mod once;
pub mod preview;
pub mod radio_card;
pub mod rows;
pub mod state_badge;
pub mod stepper;
pub mod summary;
pub mod tag_rule;
pub mod tag_state;
pub mod time;
pub mod timeline;
pub mod truth;
