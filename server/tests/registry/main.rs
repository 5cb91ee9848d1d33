//! The registry client against real registries (Debian's `docker-registry`, open, with Basic and with token sign-in), and
//! against an odd one that does what real ones do on bad days.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping, its helpers too"
)]

mod copies;
mod encrypted;
mod fake;
mod hang;
mod look;
mod odd;
mod odd_cases;
mod odd_closures;
mod odd_copies;
mod odd_images;
mod real;
mod retag;
mod signatures;
mod statement_form;
mod token_registry;
mod untag;
