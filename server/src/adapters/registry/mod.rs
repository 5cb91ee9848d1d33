//! OCI registries: which digest a tag names, whether a digest exists, and what is known about an image.
//!
//! [`Registry`] is what services and steps use; [`RegistryClient`] implements it with a thin client over reqwest: `client`
//! asks the questions, `attached` looks for what is signed, `manifest` reads manifests and configurations, `auth` signs in, `transport` does one exchange.
//! [`Copier`] copies images between registries (`copy`), with requests that change something (`push`).
//! Notifications that registries send to Waybill are read in [`notification`].

mod attached;
mod auth;
mod client;
mod copy;
mod manifest;
pub mod notification;
mod push;
mod transport;

pub use client::RegistryClient;
pub use copy::{Copier, CopySettings};
pub use transport::{SetupError, Timeouts};

use crate::ports::registry::{Hanging, Registry, RegistryAccess, RegistryError};
