//! The buttons of a page that lists resources, *Promote* and *Resume*: carried out, and what came of it.

use crate::{
    api::resource::{promote, resume},
    components::{cell::CellPost, notice::Notice, state_badge::Meaning},
    error::AppError,
    form::Form,
};
use domain::id::PromotionId;
use leptos::prelude::*;
use leptos_router::components::Redirect;

/// What came of a button: the promotion that it started, if any.
pub type Outcome = Option<Result<Option<PromotionId>, AppError>>;

/// Carries a button out.
pub async fn carry_out(post: CellPost, workspace: String, project: String) -> (CellPost, Outcome) {
    let (environment, resource) = (post.environment.clone(), post.resource.clone());
    let outcome = match post.intent.as_str() {
        "resume" => resume(workspace, project, environment, resource).await,
        _ => promote(workspace, project, environment, resource).await.map(Some),
    };
    (post, Some(outcome))
}

/// Says that a promotion is under way. A plain post leads to the promotion instead.
#[component]
pub fn Promoted(
    /// The form that the buttons post.
    form: Form<CellPost, Option<PromotionId>>,
) -> AnyView {
    let words = move || {
        form.done().map(|started| {
            let post = form.latest().map(|posted| posted.draft).unwrap_or_default();
            let href = started.map(|id| format!("/promotions/{id}"));
            if let (true, Some(href)) = (cfg!(feature = "ssr"), &href) {
                return view! { <Redirect path=href.clone() /> }.into_any();
            }
            let what = match &href {
                Some(_) => format!("{} is on its way to {}. ", post.resource, post.environment),
                None => format!("{} in {} follows its source again.", post.resource, post.environment),
            };
            let link = href.map(|href| view! { <a href=href>"See the promotion"</a> });
            view! {
                <Notice meaning=Meaning::Moving>
                    <p>{what} {link}</p>
                </Notice>
            }
            .into_any()
        })
    };
    view! { {words} }.into_any()
}
