//! What pages and programs are shown: the board, a resource, a promotion, the inbox, the activity, a preview.

mod activity;
mod board;
mod cells;
mod changes;
mod copy;
mod custody;
mod form;
mod inbox;
mod inventory;
mod ledger;
mod pod_logs;
mod presence;
mod preview;
mod project;
mod promotion;
mod recall;
mod resource;
mod statement;
mod tags;
mod unpromoted;

pub use activity::activity;
pub use board::{board, environment};
pub use changes::changes;
pub use custody::{ExportForm, custody, export_custody};
pub use form::form_options;
pub(crate) use form::{check_draft, check_tags, check_values, first_image, form_options_in};
pub use inbox::{inbox, inbox_count};
pub(crate) use inventory::illness_of;
pub use inventory::{
    Contents, NamedPromotion, PromotionsOf, contents, project_list, project_named, promotion_named, promotions_in,
    promotions_of,
};
pub use ledger::{Checked, Fault, check_ledger, export_ledger, ledger_lines, ledger_workspaces};
pub use pod_logs::{PodLogs, pod_logs};
pub(crate) use preview::preview_picked;
pub use preview::{preview_create, preview_pin, preview_promote};
pub use project::projects;
pub use promotion::promotion;
pub use recall::recall;
pub use resource::resource;
pub(crate) use tags::tag_view;
pub use unpromoted::unpromoted;
