//! Things said once, at the top of what they are about.

use crate::{
    components::{field::field_id, icon::icon, state_badge::Meaning},
    form::SUMMARY,
};
use contract::error::AppError;
use leptos::prelude::*;

/// A box with a meaning.
#[component]
pub fn Notice(
    /// What it means.
    meaning: Meaning,
    /// What it says.
    children: Children,
) -> AnyView {
    view! {
        <div class=format!("notice {}", meaning.class()) role="status">
            {icon(meaning.icon())}
            <div class="body">{children()}</div>
        </div>
    }
    .into_any()
}

/// Why a form was not carried out: all that is wrong, each with a link to its field. Takes the focus when a form was
/// sent in vain.
#[component]
pub fn ErrorSummary(
    /// Why; nothing is shown without.
    #[prop(into)]
    error: Signal<Option<AppError>>,
) -> AnyView {
    view! {
        {move || {
            error
                .get()
                .map(|error| {
                    view! {
                        <div class="notice bad" id=SUMMARY role="alert" tabindex="-1">
                            {icon("bad")}
                            <div class="body">{body(error)}</div>
                        </div>
                    }
                })
        }}
    }
    .into_any()
}

fn body(error: AppError) -> AnyView {
    match error {
        AppError::Invalid(errors) => {
            let lines: Vec<AnyView> = errors
                .0
                .into_iter()
                .map(|error| {
                    let href = format!("#{}", field_id(&error.field));
                    view! {
                        <li>
                            <a href=href rel="external">
                                {error.message}
                            </a>
                        </li>
                    }
                    .into_any()
                })
                .collect();
            let head = if lines.len() == 1 {
                "One thing needs another look:".to_owned()
            } else {
                format!("{} things need another look:", lines.len())
            };
            view! {
                <p>{head}</p>
                <ul>{lines}</ul>
            }
            .into_any()
        }
        other => view! { <p>{other.to_string()}</p> }.into_any(),
    }
}
