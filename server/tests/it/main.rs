//! The use cases and the doors over HTTP, on a real database in a file, with an outside world that holds state.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test, and what helps it, says what it expects that way"
)]

mod apply;
mod bad_input;
mod command;
mod crash;
mod graphql;
mod migrations;
mod promotion;
mod rest;
mod soak;
mod store_story;
mod story;
mod support;
mod token;
mod web;
