//! No such page.

use crate::{
    components::frame::{Crumb, Frame},
    pages::error::error_view,
};
use contract::error::AppError;
use leptos::prelude::*;

/// Shown for an address that is no page.
#[component]
pub fn NotFound() -> AnyView {
    let crumbs = Signal::stored(vec![Crumb::new("Not found", "/")]);
    view! {
        <Frame title=Signal::stored("Not found".to_owned()) crumbs=crumbs>
            {error_view(
                AppError::NotFound(
                    "Nothing is at this address. It may have been mistyped, or what was here has another name now.".into(),
                ),
            )}
        </Frame>
    }
    .into_any()
}
