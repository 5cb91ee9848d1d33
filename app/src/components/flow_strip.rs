//! Where an image comes from and where it goes: `staging [chip] ──▶ production [chip]`.

use crate::components::{digest_chip::DigestChip, icon::icon};
use domain::artifact::ExactImage;
use leptos::prelude::*;

/// One end of a flow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowEnd {
    /// An environment's name, or an image repository.
    pub place: String,
    /// What runs there, or will.
    pub image: Option<ExactImage>,
}

/// From one place to another.
#[component]
pub fn FlowStrip(
    /// Where it comes from.
    from: FlowEnd,
    /// Where it goes.
    to: FlowEnd,
) -> AnyView {
    view! {
        <div class="flow">
            {end(from)} <span class="arrow">{icon("arrow")}<span class="visually-hidden">"to"</span></span> {end(to)}
        </div>
    }
    .into_any()
}

fn end(end: FlowEnd) -> AnyView {
    view! {
        <span class="end">
            <span class="where">{end.place}</span>
            {end.image.map(|image| view! { <DigestChip image=image tag=true /> })}
        </span>
    }
    .into_any()
}
