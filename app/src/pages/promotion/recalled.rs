//! Whether a promotion's image is recalled, and the way to the page that recalls it.

use crate::{
    api::promotion::PromotionView,
    components::{notice::Notice, state_badge::Meaning},
    pages::recall,
};
use leptos::prelude::*;

/// Whether its image is recalled; and the way to recall it, and to see where it runs.
pub(super) fn recalled(view: &PromotionView) -> AnyView {
    let href = recall::address(view.workspace.as_str(), view.image.digest.as_str());
    match &view.recall {
        Some(recall) => {
            let words = recall.words();
            view! {
                <Notice meaning=Meaning::Bad>
                    <p>{words}</p>
                    <p>
                        <a href=href>"All places"</a>
                    </p>
                </Notice>
            }
            .into_any()
        }
        None => view! {
            <p>
                <a href=href>{format!("Where {} runs, and recall", view.image.digest.short())}</a>
            </p>
        }
        .into_any(),
    }
}
