//! What the app and the server agree on: a file for each noun with what pages show (`…View`) and what forms post (`…Draft`), the errors
//! that people see, and the port through which server functions reach the use cases ([`backend`]).
//!
//! It is built natively and to WebAssembly, and knows neither Leptos' pages nor the server.

pub mod account;
pub mod activity;
pub mod backend;
pub mod board;
pub mod board_filter;
pub mod changed;
pub mod connection;
pub mod custody;
pub mod environment;
pub mod environment_images;
pub mod error;
pub mod group;
pub mod inbox;
pub mod member;
pub mod notification;
pub mod policy;
pub mod preview;
pub mod project;
pub mod promotion;
mod query;
pub mod recall;
pub mod removal;
pub mod resource;
pub mod session;
pub mod source;
pub mod sso;
pub mod statement;
pub mod token;
