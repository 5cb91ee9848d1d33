//! What users see: built natively to render pages on the server, and to WebAssembly to bring them to life.
//!
//! [`routes`] is the table of pages, [`pages`] fetch and compose, [`components`] show. [`api`] holds the server
//! functions; what travels through them, and the one port to everything else that they call on the server, is the crate `contract`. [`form`] lets one form work as a plain post and in place; [`live`] tells pages when to read again.

// A page's type is the type of all it shows: deep, and deeper with each component.
#![recursion_limit = "512"]

pub mod api;

#[cfg(feature = "ssr")]
pub mod backend;
pub mod components;
pub mod form;
pub mod held;
pub mod live;
pub mod pages;
pub mod request;
pub mod routes;
pub mod shell;

pub use routes::App;
pub use shell::shell;
