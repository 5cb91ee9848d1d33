//! The use cases and the doors over HTTP, on a real database, with an outside world that holds state. `TEST_DATABASE=postgres`
//! runs them on PostgreSQL.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test, and what helps it, says what it expects that way"
)]

mod activity;
mod apply;
mod authorisation;
mod bad_input;
mod command;
mod connections;
mod crash;
mod gates;
mod graphql;
mod hold;
mod inbox;
mod ledger;
mod migrations;
mod notifications;
mod owner;
mod people;
mod policies;
mod preview;
mod promotion;
mod removal;
mod replicas;
mod rest;
mod rights;
mod security;
mod settings;
mod signatures;
mod soak;
mod sso;
mod store_story;
mod story;
mod support;
mod telemetry;
mod token;
mod traps;
mod web;
