//! Server functions, a file per noun, with what travels through them (`contract`). Each parses, calls the backend, returns.

#![allow(
    missing_docs,
    reason = "the server macro makes a struct of the parameters, which the function's own words describe"
)]

pub mod account;
pub mod activity;
pub mod artifact;
pub mod board;
pub mod connection;
pub mod environment;
pub mod environment_images;
pub mod group;
pub mod inbox;
pub mod member;
pub mod notification;
pub mod policy;
pub mod preview;
pub mod project;
pub mod promotion;
pub mod recall;
pub mod removal;
pub mod resource;
pub mod session;
pub mod source;
pub mod sso;
pub mod token;
