//! A file per route: fetch, wait, compose.

pub mod account;
pub mod activity;
pub mod artifact;
pub mod board;
pub mod create_resource;
pub mod environment;
pub mod environment_images;
pub mod error;
pub mod inbox;
pub mod invitation;
pub mod lazy;
pub mod not_found;
pub mod policy;
pub mod projects;
pub mod promoted;
pub mod promotion;
pub mod recall;
pub mod removal;
pub mod resource;
pub mod settings;
pub mod sign_in;
