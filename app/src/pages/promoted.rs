//! The buttons of a page that lists resources, *Promote* and *Resume*: what they would do, carried out, and what came of it.

use crate::{
    api::{
        preview::{Outlook, preview_promote},
        resource::{promote, resume},
    },
    components::{cell::CellPost, notice::Notice, preview, state_badge::Meaning},
    form::{Form, redirect},
    held::Held,
};
use contract::error::AppError;
use domain::{id::PromotionId, time::Timestamp};
use leptos::{html, prelude::*};
use serde::{Deserialize, Serialize};

/// What came of a button.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum ButtonOutcome {
    /// What it would do: an [`Outlook`], which is read where it is shown, so that the board's download lacks it.
    Previewed(Held),
    /// It was carried out; the promotion that it started, if any.
    Started(Option<PromotionId>),
    /// It was carried out, and the page itself shows it.
    Changed,
}

/// What a button would do; its code comes with that of the page that shows it.
#[lazy]
async fn foreseen(workspace: String, project: String, environment: String, resource: String) -> Result<Held, AppError> {
    preview_promote(workspace, project, environment, resource)
        .await
        .map(Held::new)
}

/// Carries a button out, or says what it would do.
pub async fn carry_out(
    post: CellPost,
    workspace: String,
    project: String,
) -> (CellPost, Option<Result<ButtonOutcome, AppError>>) {
    let (w, p, e, r) = (workspace, project, post.environment.clone(), post.resource.clone());
    let outcome = match post.intent.as_str() {
        "preview-promote" | "preview-resume" => foreseen(w, p, e, r).await.map(ButtonOutcome::Previewed),
        "resume" => resume(w, p, e, r, !post.create_file.is_empty())
            .await
            .map(ButtonOutcome::Started),
        "promote" => promote(w, p, e, r, !post.create_file.is_empty())
            .await
            .map(|id| ButtonOutcome::Started(Some(id))),
        _ => return (post, None),
    };
    (post, Some(outcome))
}

/// Shows what a button would do, with the button that does it; or says that a promotion is under way. A plain post leads to
/// the promotion instead.
#[component]
pub fn Promoted(
    /// The form that the buttons post.
    form: Form<CellPost, ButtonOutcome>,
    /// When the page was read.
    read_at: Signal<Option<Timestamp>>,
) -> AnyView {
    let now = crate::live::now(Signal::derive(move || read_at.get().unwrap_or(Timestamp(0))));
    let words = move || {
        form.done().map(|done| {
            let post = form.latest().map(|posted| posted.draft).unwrap_or_default();
            match done {
                ButtonOutcome::Previewed(outlook) => {
                    let asked = Suspend::new(async move { asked(post, outlook, form, now).await });
                    view! { {asked} }.into_any()
                }
                ButtonOutcome::Started(started) => said(&post, started),
                ButtonOutcome::Changed => ().into_any(),
            }
        })
    };
    view! { {words} }.into_any()
}

/// What a button would do, above the page, until somebody decides. Its code comes when it is first needed, as that of other pages
/// does.
#[lazy]
fn asked(post: CellPost, outlook: Held, form: Form<CellPost, ButtonOutcome>, now: Signal<Timestamp>) -> AnyView {
    let outlook: Outlook = outlook.get().unwrap_or(Err(AppError::Unreachable));
    let dialog = NodeRef::<html::Dialog>::new();
    // Drawn open, so that it is there without a script; with one, nothing below it can be reached meanwhile.
    Effect::new(move |_| {
        if let Some(dialog) = dialog.get() {
            dialog.close();
            let _ = dialog.show_modal();
        }
    });
    let (intent, word, title) = match post.intent.as_str() {
        "preview-resume" => (
            "resume",
            "Resume",
            format!("Resume {} in {}", post.resource, post.environment),
        ),
        _ => (
            "promote",
            "Promote",
            format!("Promote {} to {}", post.resource, post.environment),
        ),
    };
    let tick = preview::file_to_make(outlook.as_ref().ok());
    view! {
        <dialog class="panel decision" open aria-labelledby="decision" node_ref=dialog>
            <h2 id="decision">{title}</h2>
            <div class="body foreseen" role="region" aria-label="What will change" tabindex="0">
                {preview::open(outlook, now)}
            </div>
            <div class="row">
                <form method="post" on:submit=form.on_submit()>
                    <input type="hidden" name="environment" value=post.environment />
                    <input type="hidden" name="resource" value=post.resource />
                    {tick}
                    <button
                        class="button primary"
                        name="intent"
                        value=intent
                        autofocus
                        aria-disabled=move || form.pending.get().then_some("true")
                    >
                        {word}
                    </button>
                </form>
                <form method="dialog">
                    <button class="button">"Not now"</button>
                </form>
            </div>
        </dialog>
    }
    .into_any()
}

/// What came of it.
fn said(post: &CellPost, started: Option<PromotionId>) -> AnyView {
    let href = started.map(|id| format!("/promotions/{id}"));
    if let Some(elsewhere) = href.clone().and_then(redirect) {
        return elsewhere;
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
}
