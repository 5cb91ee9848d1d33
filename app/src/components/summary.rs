//! The pane beside the form that always says what will happen.

use crate::components::{
    digest_chip::{BareDigest, DigestChip, copy_button},
    flow_strip::{FlowEnd, FlowStrip},
    preview::{self, Foreseen},
};
use domain::{
    artifact::{Digest, ExactImage},
    time::Timestamp,
};
use leptos::prelude::*;

/// What a form would do, as far as it says so yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SummaryView {
    /// Where the image comes from: `staging/api` or a repository; empty while nothing is chosen.
    pub from: String,
    /// What its source runs now.
    pub source_image: Option<ExactImage>,
    /// Where it goes: `production/api`.
    pub to: String,
    /// What will run.
    pub image: WillRun,
    /// What becomes of it later, a sentence; empty while nothing is chosen.
    pub later: String,
    /// The file that changes.
    pub path: String,
    /// Keys that change in it, dotted, in the order they are written.
    pub keys: Vec<String>,
    /// What must be met before it starts, a sentence each.
    pub gates: Vec<String>,
}

/// What will run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WillRun {
    /// Not known yet: what to do, a sentence.
    Choose(String),
    /// Exactly this.
    Exact(ExactImage),
    /// This digest, of a repository that isn't chosen yet.
    Digest(Digest),
    /// What a tag means when the promotion starts; the tag.
    Tag(String),
    /// The newest image of a repository when the promotion starts; the repository.
    Newest(String),
}

/// The pane.
#[component]
pub fn Summary(
    /// What would happen.
    #[prop(into)]
    summary: Signal<SummaryView>,
    /// Exactly what would change, once the form is complete.
    foreseen: Signal<Foreseen>,
    /// The server's clock.
    now: Signal<Timestamp>,
) -> AnyView {
    view! { <div class="summary panel padded">{move || shown(summary.get(), foreseen, now)}</div> }.into_any()
}

fn shown(summary: SummaryView, foreseen: Signal<Foreseen>, now: Signal<Timestamp>) -> AnyView {
    let target_image = match &summary.image {
        WillRun::Exact(image) => Some(image.clone()),
        _ => None,
    };
    let from = if summary.from.is_empty() {
        "…".to_owned()
    } else {
        summary.from
    };
    let keys = summary.keys;
    let change = move || {
        let keys: Vec<_> = keys.iter().map(|key| view! { <li>{key.clone()}</li> }).collect();
        preview::shown(foreseen.get(), now, view! { <ul class="keys">{keys}</ul> }.into_any())
    };
    let gates = if summary.gates.is_empty() {
        view! { <p>"No gates: starts at once."</p> }.into_any()
    } else {
        let gates: Vec<_> = summary
            .gates
            .into_iter()
            .map(|gate| view! { <li>{gate}</li> })
            .collect();
        view! { <ul>{gates}</ul> }.into_any()
    };
    let later = (!summary.later.is_empty()).then(|| view! { <p class="muted">{summary.later}</p> });
    view! {
        <FlowStrip
            from=FlowEnd {
                place: from,
                image: summary.source_image,
            }
            to=FlowEnd {
                place: summary.to,
                image: target_image,
            }
        />
        <section>
            <h3>"What will run"</h3>
            {will_run(summary.image)}
            {later}
        </section>
        <section>
            <h3>"What changes in Git"</h3>
            <p class="mono break">{summary.path}</p>
            {change}
        </section>
        <section>
            <h3>"Gates"</h3>
            {gates}
        </section>
    }
    .into_any()
}

fn will_run(image: WillRun) -> AnyView {
    match image {
        WillRun::Choose(what) => view! { <p class="muted">{what}</p> }.into_any(),
        WillRun::Exact(image) => {
            let digest = image.digest.to_string();
            view! {
                <p class="row">
                    <DigestChip image=image.clone() tag=true />
                    {copy_button(image.reference(), "Copy reference")}
                </p>
                <p class="mono break small">{digest}</p>
            }
            .into_any()
        }
        WillRun::Digest(digest) => view! {
            <p>
                <BareDigest digest=digest.clone() />
            </p>
            <p class="mono break small">{digest.to_string()}</p>
        }
        .into_any(),
        WillRun::Tag(tag) => view! {
            <p>
                "The image that the tag " <code>{tag}</code>
                " means when the promotion starts. From then on its digest is what counts."
            </p>
        }
        .into_any(),
        WillRun::Newest(repository) => view! {
            <p>"The newest image of " <code class="break">{repository}</code> " when the promotion starts."</p>
        }
        .into_any(),
    }
}
