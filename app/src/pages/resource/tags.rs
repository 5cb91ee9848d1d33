//! *Change which tags count*, for what follows a repository: what the rule picks is shown before it is saved.

use super::actions::{ActionOutcome, ResourceForm, ResourcePost, is_pinned, names};
use crate::{
    api::{preview::preview_tags, resource::ResourceView},
    components::{notice::ErrorSummary, preview, tag_rule::tag_rule_fields},
    form,
};
use contract::error::AppError;
use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;

/// The form, read once: what is typed must not change under somebody's hands. Nothing for what doesn't follow a repository.
pub(super) fn tags_form(
    view: Signal<ResourceView>,
    posted: Option<&ResourcePost>,
    sent: ResourceForm,
) -> Option<AnyView> {
    let rule = view.with_untracked(|view| view.counts.clone().filter(|_| !is_pinned(&view.cell)))?;
    let posted = posted.filter(|post| post.is_tags());
    let is_open = posted.is_some();
    let (tags, value, leave_out) = match posted {
        Some(post) => (post.tags.clone(), post.tags_value.clone(), post.leave_out.clone()),
        None => (
            rule.order.as_str().to_owned(),
            rule.value().to_owned(),
            rule.leave_out.join(", "),
        ),
    };
    // Nothing is asked before somebody touches it: what counts now stands above.
    let typed = RwSignal::new(posted.cloned());
    let on_input = move |event: ev::Event| {
        let form = (event.target())
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .and_then(|element| element.closest("form").ok().flatten())
            .and_then(|form| form.dyn_into().ok());
        let body = form.and_then(|form| form::typed_in(&form));
        typed.set(body.and_then(|body| form::read(&body).ok()));
    };
    let first = untrack(move || sent.done()).and_then(|done| match done {
        ActionOutcome::Picked(sentences) => Some(sentences),
        ActionOutcome::Started(_) | ActionOutcome::Previewed(_) => None,
    });
    let leaves = Signal::derive(move || sent.pending.get());
    let picked = preview::foresee(
        first,
        Memo::new(move |_| typed.get()),
        leaves,
        move |post: ResourcePost| {
            let [w, p, e, r] = names(view);
            preview_tags(w, p, e, r, post.tags, post.tags_value, post.leave_out)
        },
    );
    let error = Signal::derive(move || {
        let is_it = sent.latest().is_some_and(|post| post.draft.is_tags());
        sent.error().filter(|_| is_it)
    });
    // What is typed now counts before what was sent.
    let of_field = move |field: &'static str| {
        Signal::derive(move || {
            let foreseen = picked.with(|picked| picked.outcome.clone());
            let error = match foreseen {
                Some(outcome) => outcome.err(),
                None => error.get(),
            };
            error?.fields()?.get(field).map(str::to_owned)
        })
    };
    // A mistake stands beside its field.
    let shown = move || {
        let picked = picked.get();
        let is_mistake = matches!(&picked.outcome, Some(Err(AppError::Invalid(_))));
        (!is_mistake).then(|| preview::picked(picked))
    };
    let form = view! {
        <details class="panel padded" open=is_open>
            <summary>"Change which tags count"</summary>
            <form class="stack" method="post" on:submit=sent.on_submit() on:input=on_input on:change=on_input>
                <p class="muted">"Images that are there already are not deployed by this. Promote them by hand."</p>
                <ErrorSummary error />
                {tag_rule_fields(&tags, value, leave_out, of_field)}
                {shown}
                <div class="row">
                    <button
                        type="submit"
                        class="button"
                        name="intent"
                        value="tags"
                        aria-disabled=move || sent.pending.get().then_some("true")
                    >
                        "Save"
                    </button>
                    <button type="submit" class="button plain needs-no-script" name="intent" value="preview-tags">
                        "Show what it picks"
                    </button>
                </div>
            </form>
        </details>
    };
    Some(form.into_any())
}
