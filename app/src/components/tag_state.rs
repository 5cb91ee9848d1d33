//! How a tag stands that Waybill sets in the registry, in words.

use crate::{api::environment_images::TagState, components::time::Ago};
use domain::time::Timestamp;
use leptos::prelude::*;

/// The words: `Set 3 min ago`.
#[must_use]
pub fn tag_state(state: &TagState, now: Signal<Timestamp>) -> AnyView {
    match state.clone() {
        TagState::Set { at } => view! {
            "Set "
            <Ago at=at now=now />
        }
        .into_any(),
        TagState::Due => "Is being set".into_any(),
        TagState::Drifted { to, at, is_left } => {
            let what = match &to {
                Some(to) => format!("Somebody else moved it to {}, seen ", to.short()),
                None => "Somebody else deleted it, seen ".to_owned(),
            };
            let then = match is_left {
                true => ". Waybill leaves it there.",
                false => ". The next promotion sets it again.",
            };
            view! {
                <span class="waiting">{what} <Ago at=at now=now /> {then}</span>
            }
            .into_any()
        }
        TagState::Stays { why } => view! { <span class="muted">{why}</span> }.into_any(),
        TagState::Refused { why } => view! { <span class="waiting">{why}</span> }.into_any(),
    }
}
