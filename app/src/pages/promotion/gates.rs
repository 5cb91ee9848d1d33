//! What the environment asks for: each gate, with what this person may do about it.

use crate::{
    api::promotion::{GateView, MaySay, PromotionView},
    components::{
        decide::{DecisionPost, decide},
        gates::gate,
        notice::ErrorSummary,
    },
    form::Form,
};
use domain::time::Timestamp;
use leptos::prelude::*;

/// The gates; nothing where the environment asks for nothing.
pub(super) fn gates(view: Signal<PromotionView>, now: Signal<Timestamp>, sent: Form<DecisionPost, ()>) -> AnyView {
    let shown = Memo::new(move |_| view.with(|view| (view.gates.clone(), view.id.to_string())));
    let asks = Memo::new(move |_| shown.with(|(gates, _)| !gates.is_empty()));
    // Apart from the gates, so that what somebody types stays when one of them changes.
    let decides = Memo::new(move |_| {
        view.with(|view| {
            let name = format!("{} to {}", view.resource, view.environment);
            view.may_say.map(|may| (view.id.to_string(), name, may))
        })
    });
    let is_about = move || sent.latest().is_some_and(|post| is_decision(&post.draft));
    let error = Signal::derive(move || sent.error().filter(|_| is_about()));
    let rows = move || shown.with(|(gates, id)| gates.iter().map(|one| row(one, id, now, sent)).collect::<Vec<_>>());
    view! {
        {move || {
            asks.get()
                .then(|| {
                    view! {
                        <section class="panel padded stack" aria-labelledby="gates">
                            <h2 id="gates">"Gates"</h2>
                            <ErrorSummary error />
                            <ul class="gates">{rows}</ul>
                            {move || decides.get().map(|(id, name, may)| decision(&id, &name, may, sent))}
                        </section>
                    }
                })
        }}
    }
    .into_any()
}

/// Whether a post was about the gates.
pub(super) fn is_decision(post: &DecisionPost) -> bool {
    ["approve", "reject", "override"].contains(&post.intent.as_str())
}

fn decision(id: &str, name: &str, may: MaySay, sent: Form<DecisionPost, ()>) -> AnyView {
    let typed = untrack(move || sent.posted_draft())
        .map(|post| post.comment)
        .unwrap_or_default();
    let (id, name) = (id.to_owned(), name.to_owned());
    view! {
        <form class="decide" method="post" on:submit=sent.on_submit()>
            {move || decide(&id, "", &name, may, typed.clone(), sent.field_error("comment"), sent.pending)}
        </form>
    }
    .into_any()
}

fn row(shown: &GateView, id: &str, now: Signal<Timestamp>, sent: Form<DecisionPost, ()>) -> AnyView {
    let more = shown.may_override.then(|| {
        let (gate, title) = (shown.gate.id.to_string(), shown.gate.id.title());
        let field = format!("reason-{gate}");
        view! {
            <details>
                <summary>"Override"</summary>
                <form class="decide" method="post" on:submit=sent.on_submit()>
                    <input type="hidden" name="id" value=id.to_owned() />
                    <input type="hidden" name="gate" value=gate />
                    <label for=field.clone()>"Why? It is shown with this promotion ever after."</label>
                    <input class="control" type="text" id=field name="reason" maxlength="1000" autocomplete="off" />
                    <div class="row">
                        <button
                            class="button small"
                            name="intent"
                            value="override"
                            aria-disabled=move || sent.pending.get().then_some("true")
                        >
                            {format!("Override {title}")}
                        </button>
                    </div>
                </form>
            </details>
        }
        .into_any()
    });
    gate(&shown.gate, shown.since, now, more)
}
