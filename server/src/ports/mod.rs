//! What Waybill asks of the outside world, in the domain's words: a trait for each system with the types that it speaks, and its errors.
//! `adapters` implements them; tests put fixed ones in their place.

pub mod argocd;
pub mod clock;
pub mod git;
pub mod identity_provider;
pub mod image_copy;
pub mod image_look;
pub mod image_statements;
pub mod image_tags;
pub mod registry;
pub mod source_history;
