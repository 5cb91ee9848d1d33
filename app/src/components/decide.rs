//! *Approve* and *Reject* with a comment: on a promotion's page, and on each row of the inbox.

use crate::{api::promotion::MaySay, components::field::field_id};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What a person says about a promotion, as it is posted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionPost {
    /// `approve`, `reject`, or another button of the page.
    pub intent: String,
    /// The promotion.
    pub id: String,
    /// A comment, or the reason.
    pub comment: String,
    /// The gate to override: `check:integration`.
    pub gate: String,
    /// Why it is overridden.
    pub reason: String,
}

/// The fields and buttons for what one may say, to stand in a form that posts a [`DecisionPost`]. `of` tells several on one page
/// apart.
#[must_use]
pub fn decide(
    id: &str,
    of: &str,
    name: &str,
    may: MaySay,
    comment: String,
    error: Option<String>,
    pending: RwSignal<bool>,
) -> AnyView {
    let field = format!("{}{of}", field_id("comment"));
    let error_id = format!("{field}-error");
    let described = error.is_some().then(|| error_id.clone());
    let invalid = error.is_some().then_some("true");
    let (placeholder, approve) = match may {
        MaySay::Reject => ("You approved it; say why if you reject it now", None),
        MaySay::ApproveOrReject => (
            "Comment; needed to reject",
            Some(button(
                "approve",
                "Approve and deploy",
                format!("Approve {name}"),
                "button primary small",
                pending,
            )),
        ),
    };
    let error = error.map(|error| view! { <p class="error" id=error_id>{error}</p> });
    view! {
        // Enter presses a form's first button, here *Approve*, also when somebody typed why they reject. Where that one can't be pressed,
        // Enter does nothing.
        <button type="submit" hidden disabled></button>
        <input type="hidden" name="id" value=id.to_owned() />
        <label class="visually-hidden" for=field.clone()>
            {format!("Comment about {name}")}
        </label>
        <input
            class="control"
            type="text"
            id=field
            name="comment"
            value=comment
            maxlength="1000"
            placeholder=placeholder
            autocomplete="off"
            aria-invalid=invalid
            aria-describedby=described
        />
        {error}
        <div class="row">
            {approve}
            {button("reject", "Reject", format!("Reject {name}"), "button small", pending)}
        </div>
    }
    .into_any()
}

/// One that posts the form with this intent; `says` is its name for those who hear it, with what it is about.
fn button(
    intent: &'static str,
    words: &'static str,
    says: String,
    class: &'static str,
    pending: RwSignal<bool>,
) -> AnyView {
    view! {
        <button
            class=class
            name="intent"
            value=intent
            aria-label=says
            aria-disabled=move || pending.get().then_some("true")
        >
            {words}
        </button>
    }
    .into_any()
}
