//! Real parts to test Waybill against: server tests, browser tests and the demo all use them.
//!
//! Nothing here is a mock. Git is the `git` program behind smart HTTP, the registry is Debian's `docker-registry`,
//! and the server is the `waybill` binary itself. What this crate adds is the ability to start them on free local
//! ports, to hold or fail what a test wants held or failed, and to look at what they ended up with.
//!
//! - [`git_repo`]: bare repositories, a writer from outside, and what the history says.
//! - [`git_http`]: those repositories served over smart HTTP, with knobs for pushes.
//! - [`gate`]: in front of any of these, to hold requests before or after they are carried out.
//! - [`oci_registry`]: a registry, and [`image`]: tiny real images to push into it.
//! - [`oidc`]: a provider that people sign in through.
//! - [`sigstore`]: who certifies and logs keyless signatures.
//! - [`postgres`]: a PostgreSQL with a database per test.
//! - [`waybill`]: the server binary as a child process.
//! - [`demo`]: all of them together, with a story in them.
//!
//! Everything binds 127.0.0.1, or a socket in a directory of its own, and ends with the value that started it.

pub mod demo;
pub mod error;
pub mod gate;
pub mod git_http;
pub mod git_repo;
pub mod image;
pub mod oci_registry;
pub mod oidc;
pub mod postgres;
mod process;
pub mod sigstore;
pub mod waybill;

pub use error::TestbedError;
pub use gate::{Gate, Held, Moment};
pub use git_http::{Cut, GitServer, PushHold};
pub use git_repo::{BareRepo, ChangedLine, CommitInfo, OutsideWriter};
pub use image::ImageSpec;
pub use oci_registry::{NotificationEndpoint, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions};
pub use oidc::{OIDC_CLIENT, OIDC_SECRET, OidcProvider};
pub use postgres::{Postgres, PostgresDatabase};
pub use waybill::{WaybillOptions, WaybillProcess, free_port, waybill_binary};
