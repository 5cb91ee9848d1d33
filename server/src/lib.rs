//! The Waybill server: one binary that renders the pages, carries promotions out, and speaks to Git, registries and Argo CD.
//!
//! Read it in this order:
//! - [`startup`] puts everything together; [`run`] is what the program and tests call. [`config`] says how it is set up, and [`data_dir`]
//!   keeps its folder to one server.
//! - [`web`] is the door over HTTP; every door calls the use cases in [`service`].
//! - [`service`] authorises, decides and writes through [`store`]: the change, the next step and the event at once.
//! - [`worker`] carries promotions out, step by step. What it asks of the outside world stands in [`ports`]; [`adapters`] ask.
//! - [`events`] tells open pages what was written. [`secrets`] seals what must not be read; [`calendar`] says
//!   when freezes are on, [`signature`] whether an image is signed;
//!   [`telemetry`] counts and traces, [`nesting`] is the door to JSON that somebody else wrote. `gather` has what is written at about the
//!   same time written at once, and [`back_off`] says when what failed is tried again.

// A page's type is the type of all it shows: deep, and deeper with each component.
#![recursion_limit = "512"]

pub mod adapters;

pub mod back_off;
pub mod calendar;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod events;
mod gather;
pub mod nesting;
pub mod ports;
pub mod secrets;
pub mod service;
pub mod signature;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod worker;

pub use startup::{RunError, run, run_by};
