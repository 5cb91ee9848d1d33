//! What Waybill says of promotions, signed: the key that signs, who is told of it, and the statement itself.

mod commands;
mod make;
mod signing_keys;

pub(crate) use commands::commands;
pub use commands::verify_command;
pub(crate) use make::{Attests, Made, attests, is_attested, make, will_attest};
pub(crate) use signing_keys::signing_key;
pub use signing_keys::{NewSigningKey, public_key_called, public_keys, set_signing_key, shortened};
