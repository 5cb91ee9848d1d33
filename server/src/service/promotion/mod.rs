//! What people and programs decide about resources and promotions: promote, pin, roll back,
//! resume what is held, approve, retry, cancel, pause, take back what failed, recall a digest and move
//! back what runs it, adopt what others brought.

mod adopt;
mod approve;
mod cancel;
mod heal;
mod mark;
mod move_back;
mod pause;
mod pin;
mod promote;
mod recall;
mod resume;
mod retry;
mod rollback;
mod take_back;

pub use adopt::{adopt, adopt_all, promote_declared};
pub use approve::{approve, override_gate, reject};
pub(crate) use approve::{approver, gates_for};
pub use cancel::cancel;
pub use heal::heal;
pub(crate) use heal::{healers, image_at};
pub(crate) use mark::mark;
pub(crate) use move_back::last_good;
pub use move_back::move_places_back;
pub use pause::{pause_promotions, resume_promotions};
pub use pin::edit_pin;
pub(crate) use pin::image_to_pin;
pub use promote::{promote, promote_between};
pub(crate) use recall::digest_of;
pub use recall::{lift_recall, recall_digest};
pub use resume::resume;
pub use retry::retry;
pub use rollback::rollback;
pub(crate) use take_back::take_back;
