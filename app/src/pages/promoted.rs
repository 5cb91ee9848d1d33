//! What came of the button *Promote* on a page that lists resources.

use crate::{
    components::{cell::PromoteDraft, notice::Notice, state_badge::Meaning},
    form::Form,
};
use domain::id::PromotionId;
use leptos::prelude::*;
use leptos_router::components::Redirect;

/// Says that a promotion is under way. A plain post leads to the promotion instead.
#[component]
pub fn Promoted(
    /// The form that the button posts.
    form: Form<PromoteDraft, PromotionId>,
) -> AnyView {
    let words = move || {
        form.done().map(|id| {
            let href = format!("/promotions/{id}");
            if cfg!(feature = "ssr") {
                return view! { <Redirect path=href /> }.into_any();
            }
            let what = form.latest().map(|posted| {
                format!(
                    "{} is on its way to {}. ",
                    posted.draft.resource, posted.draft.environment
                )
            });
            view! {
                <Notice meaning=Meaning::Moving>
                    <p>
                        {what} <a href=href>"See the promotion"</a>
                    </p>
                </Notice>
            }
            .into_any()
        })
    };
    view! { {words} }.into_any()
}
