//! The use cases and the doors over HTTP, on a real database, with an outside world that holds state. `TEST_DATABASE=postgres`
//! runs them on PostgreSQL.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test, and what helps it, says what it expects that way"
)]

mod activity;
mod applications;
mod apply;
mod authorisation;
mod bad_input;
mod changed_in_git;
mod changes;
mod clocks;
mod command;
mod commit_subject;
mod connections;
mod crash;
mod custody;
mod damaged;
mod data_dir;
mod depth;
mod encryption_key;
mod environment_tags;
mod following;
mod fuzz;
mod gates;
mod graphql;
mod hold;
mod inbox;
mod keyless;
mod keys;
mod last_word;
mod ledger;
mod local_paths;
mod migrations;
mod mirroring;
mod moods;
mod notifications;
mod outage;
mod owner;
mod people;
mod policies;
mod presence;
mod preview;
mod promotion;
mod proof;
mod pushes;
mod recalls;
mod registry_looks;
mod released_databases;
mod removal;
mod replicas;
mod rest;
mod rights;
mod security;
mod serving;
mod settings;
mod sign_ins;
mod signatures;
mod soak;
mod sso;
mod statements;
mod store_story;
mod story;
mod strict;
mod summaries;
mod support;
mod take_back;
mod telemetry;
mod token;
mod traps;
mod unpromoted;
mod web;
mod workspaces;
