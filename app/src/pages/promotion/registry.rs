//! What a promotion leaves in the registry: tags of its environment, and a signed statement of what it passed.

use crate::{
    api::{environment_images::TagView, promotion::PromotionView},
    components::{command::command, tag_state::tag_state, time::Ago},
};
use contract::statement::{StatementState, StatementView};
use domain::{statement::StatementForm, time::Timestamp};
use leptos::prelude::*;

/// The tags that it set, or is about to set.
pub(super) fn tags(view: &PromotionView, now: Signal<Timestamp>) -> Option<AnyView> {
    if view.tags.is_empty() {
        return None;
    }
    let each = |tag: &TagView| {
        view! {
            <dt class="mono">{tag.tag.to_string()}</dt>
            <dd>{tag_state(&tag.state, now)}</dd>
        }
    };
    Some(
        view! {
            <div class="stack tight">
                <h3>"Tags in the registry"</h3>
                <dl class="facts">{view.tags.iter().map(each).collect_view()}</dl>
            </div>
        }
        .into_any(),
    )
}

/// The signed statement, and the commands that verify it.
pub(super) fn statement(view: &PromotionView, now: Signal<Timestamp>) -> Option<AnyView> {
    let StatementView {
        repository,
        form,
        state,
        key,
        levels,
        text,
        commands,
    } = view.statement.clone()?;
    let is_written = matches!(state, StatementState::Written { .. });
    let state = match state {
        StatementState::Written { at } => view! {
            "Written "
            <Ago at=at now=now />
            {format!(" to {repository}")}
        }
        .into_any(),
        StatementState::Due => format!("Is being written to {repository}").into_any(),
        StatementState::Refused { why } => view! { <span class="waiting">{why}</span> }.into_any(),
    };
    let verify = match form {
        StatementForm::Bundle => "Anybody who can pull the image can verify this with cosign 3 and jq:",
        StatementForm::Attachment => "Anybody who can pull the image can verify this with cosign and jq:",
    };
    let verify = is_written.then(|| {
        view! {
            <p>{verify}</p>
            {command("Commands", commands)}
        }
    });
    let level = |level: String| view! { <li class="mono">{level}</li> };
    Some(
        view! {
            <section class="stack" aria-labelledby="statement">
                <h2 id="statement">"Signed statement"</h2>
                <dl class="facts">
                    <dt>"In the registry"</dt>
                    <dd>{state}</dd>
                    <dt>"Form"</dt>
                    <dd>{form.words()}</dd>
                    <dt>"Signed with key"</dt>
                    <dd class="mono">{key}</dd>
                    <dt>"Says"</dt>
                    <dd>
                        <ul class="levels">{levels.into_iter().map(level).collect_view()}</ul>
                    </dd>
                </dl>
                {verify}
                <details>
                    <summary>"The whole statement"</summary>
                    {command("The whole statement", text)}
                </details>
            </section>
        }
        .into_any(),
    )
}
