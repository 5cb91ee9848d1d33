//! The nouns and rules of Waybill: no I/O, no async, no framework.
//!
//! Everything here is a value or a pure function, built twice: natively for the server, and to WebAssembly for the
//! browser, so that both say the same words about the same input.
//!
//! - Who and where: [`id`], [`name`], [`environment`], [`rights`]; where no connection may lead, [`outside`]; which paths a
//!   file of a repository may have, [`repository_path`].
//! - What runs: [`artifact`], how it is copied, [`mod@copy`], whether it can still be pulled, [`presence`], which commits lie between two images, [`source`], [`resource`], which tags of a repository count for one, [`tag_rule`], and the rules of the form that creates one, [`draft`].
//! - What an environment asks for, [`policy`], and whether it is there, [`gate`]; which tags it has in the registry, [`environment_tags`].
//! - What happens: [`promotion`] (the state machine), [`succession`] (who goes first of those that wait), [`plan`] (what Argo CD reports, and what to do next),
//!   [`event`] (one per transition: feeds the ledger and the live pages), [`door`] (how it came in),
//!   [`recall`] (which digests are marked bad), [`removal`] (what can be taken away again), [`told`] (what happened, in words), [`notification`] (who is told elsewhere).

pub mod arrival;
pub mod artifact;
pub mod bytes;
pub mod commit_template;
pub mod copy;
pub mod custody;
pub mod door;
pub mod draft;
pub mod environment;
pub mod environment_tags;
pub mod event;
pub mod field;
pub mod follow;
pub mod gate;
pub mod id;
pub mod key;
pub mod name;
pub mod notification;
pub mod outside;
pub mod plan;
pub mod policy;
pub mod presence;
pub mod promotion;
pub mod recall;
pub mod removal;
pub mod repository_path;
pub mod resource;
pub mod rights;
pub mod source;
pub mod statement;
pub mod succession;
pub mod tag_rule;
pub mod tags;
mod text;
pub mod time;
pub mod told;
