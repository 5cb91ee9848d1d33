//! OCI registries: which digest a tag names, whether a digest exists, and what is known about an image.
//!
//! [`Registry`] is what services and steps use; [`RegistryClient`] implements it with a thin client over reqwest: `client`
//! asks the questions, `attached` looks for what is signed, `manifest` reads manifests and configurations, `auth` signs in, `transport` does one exchange.
//! Notifications that registries send to Waybill are read in [`notification`].

mod attached;
mod auth;
mod client;
mod manifest;
pub mod notification;
mod transport;

pub use client::RegistryClient;
pub use transport::{SetupError, Timeouts};

use crate::ports::registry::{Hanging, Registry, RegistryAccess, RegistryError};
