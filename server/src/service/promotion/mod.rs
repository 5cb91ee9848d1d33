//! What people and programs decide about resources and promotions: promote, pin, roll back, hold, approve, retry, cancel, pause.

mod approve;
mod cancel;
mod hold;
mod pause;
mod pin;
mod promote;
mod retry;
mod rollback;
mod take_back;

pub use approve::{approve, override_gate, reject};
pub(crate) use approve::{approver, gates_for};
pub use cancel::cancel;
pub use hold::resume;
pub use pause::{resume_line, stop_line};
pub use pin::edit_pin;
pub(crate) use pin::image_to_pin;
pub use promote::{promote, promote_between};
pub use retry::retry;
pub use rollback::rollback;
pub(crate) use rollback::that_ran;
pub(crate) use take_back::take_back;
