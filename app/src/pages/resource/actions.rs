//! What may be done with a resource now: promote it, pin it.

use super::behind_words;
use crate::{
    api::{
        board::Cell,
        resource::{EarlierImage, ResourceView},
    },
    components::{
        cell::held_words,
        diff::Diff,
        digest_picker::DigestPicker,
        flow_strip::{FlowEnd, FlowStrip},
        icon::icon,
        notice::ErrorSummary,
    },
    error::AppError,
    form::{self, Form},
};
use domain::{
    artifact::ExactImage, draft::check_digest, field::FieldErrors, id::PromotionId, resource::Binding, time::Timestamp,
};
use leptos::{ev, prelude::*};
use serde::{Deserialize, Serialize};

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ResourcePost {
    /// `promote`, `resume`, `pin`, `use-sha256:…` to fill the digest in, or `rollback-sha256:…`.
    pub(super) intent: String,
    /// The digest to pin to.
    pub(super) digest: String,
}

impl ResourcePost {
    /// With the digest filled in that a button offered.
    pub(super) fn used(mut self) -> Self {
        if let Some(digest) = self.intent.strip_prefix("use-") {
            self.digest = digest.to_owned();
        }
        self
    }

    /// The digest to roll back to.
    pub(super) fn rolls_back_to(&self) -> Option<&str> {
        self.intent.strip_prefix("rollback-")
    }

    /// Whether it was about the pin.
    fn is_pin(&self) -> bool {
        self.intent == "pin" || self.intent.starts_with("use-")
    }
}

/// The forms; nothing for those who may not change it.
pub(super) fn actions(
    view: Signal<ResourceView>,
    posted: Option<ResourcePost>,
    sent: Form<ResourcePost, Option<PromotionId>>,
    now: Signal<Timestamp>,
) -> AnyView {
    let may_change = Memo::new(move |_| view.with(|view| view.head.may_change));
    // Which of the forms was sent last: its error is shown there.
    let was_pin = Signal::derive(move || sent.latest().is_some_and(|post| post.draft.is_pin()));
    view! {
        {move || {
            if may_change.get() {
                let posted = posted.clone();
                view! { {hold_form(view, sent, now)} {promote_form(view, sent)} {pin_form(view, posted, sent, was_pin, now)} }.into_any()
            } else {
                view! {
                    <p class="muted">
                        "You may look, not change: promoting and pinning here needs another role. Ask an administrator."
                    </p>
                }
                    .into_any()
            }
        }}
    }
    .into_any()
}

fn is_pinned(cell: &Cell) -> bool {
    matches!(cell.follows.binding, Binding::Pin(_))
}

/// The error of the button `intent`, while it was the last that was sent.
fn error_of(sent: Form<ResourcePost, Option<PromotionId>>, intent: &'static str) -> Signal<Option<AppError>> {
    Signal::derive(move || {
        let is_it = sent.latest().is_some_and(|post| post.draft.intent == intent);
        sent.error().filter(|_| is_it)
    })
}

/// A form that is only a button.
fn button_form(
    sent: Form<ResourcePost, Option<PromotionId>>,
    intent: String,
    word: &'static str,
    class: &'static str,
) -> AnyView {
    view! {
        <form method="post" on:submit=sent.on_submit()>
            <button
                type="submit"
                class=class
                name="intent"
                value=intent
                aria-disabled=move || sent.pending.get().then_some("true")
            >
                {word}
            </button>
        </form>
    }
    .into_any()
}

/// Who holds it and why, and *Resume*.
fn hold_form(
    view: Signal<ResourceView>,
    sent: Form<ResourcePost, Option<PromotionId>>,
    now: Signal<Timestamp>,
) -> impl IntoView {
    let hold = Memo::new(move |_| view.with(|view| view.cell.follows.hold.clone()));
    move || {
        hold.get().map(|hold| {
            view! {
                <section class="notice held" aria-labelledby="hold">
                    {icon("held")}
                    <div class="body stack">
                        <h2 id="hold">{held_words(&hold, now)}</h2>
                        <p>"New artifacts of its source don't reach it until somebody resumes it. It catches up then."</p>
                        <ErrorSummary error=error_of(sent, "resume") />
                        {button_form(sent, "resume".into(), "Resume", "button")}
                    </div>
                </section>
            }
        })
    }
}

/// Why a rollback was refused.
pub(super) fn rollback_error(sent: Form<ResourcePost, Option<PromotionId>>) -> Signal<Option<AppError>> {
    Signal::derive(move || {
        let is_it = sent.latest().is_some_and(|post| post.draft.rolls_back_to().is_some());
        sent.error().filter(|_| is_it)
    })
}

/// *Roll back*, beside an image of the history.
pub(super) fn rollback_form(image: &ExactImage, sent: Form<ResourcePost, Option<PromotionId>>) -> AnyView {
    let intent = format!("rollback-{}", image.digest);
    let name = format!("Roll back to {}", image.short_label());
    view! {
        <form method="post" on:submit=sent.on_submit()>
            <button
                type="submit"
                class="button small"
                name="intent"
                value=intent
                aria-label=name
                aria-disabled=move || sent.pending.get().then_some("true")
            >
                "Roll back"
            </button>
        </form>
    }
    .into_any()
}

/// Promote, while it is behind its source and nobody holds it: *Resume* does the same then.
fn promote_form(view: Signal<ResourceView>, sent: Form<ResourcePost, Option<PromotionId>>) -> impl IntoView {
    let error = error_of(sent, "promote");
    let offer = Memo::new(move |_| {
        view.with(|view| {
            let words = behind_words(&view.cell).filter(|_| view.cell.follows.hold.is_none())?;
            let from = match &view.cell.follows.source {
                Some((environment, resource)) => format!("{environment}/{resource}"),
                None => view.repository.as_ref().map_or_else(String::new, ToString::to_string),
            };
            let ends = view.latest.clone().map(|latest| {
                let to = format!("{}/{}", view.head.name, view.name);
                (
                    FlowEnd {
                        place: from,
                        image: Some(latest),
                    },
                    FlowEnd {
                        place: to,
                        image: view.cell.image.clone(),
                    },
                )
            });
            Some((words, ends.clone(), is_pinned(&view.cell), Preview::of(view)))
        })
    });
    move || {
        offer.get().map(|(words, ends, is_pinned, preview)| {
            let strip = ends.map(|(from, to)| view! { <FlowStrip from to /> });
            let note = is_pinned.then(|| view! { <p class="muted">"Moves its pin to the newest artifact."</p> });
            view! {
                <section class="panel padded stack" aria-labelledby="promote">
                    <h2 id="promote">{words}</h2>
                    {strip}
                    {note}
                    {preview.map(Preview::show)}
                    <ErrorSummary error />
                    {button_form(sent, "promote".into(), "Promote", "button primary")}
                </section>
            }
            .into_any()
        })
    }
}

/// What a promotion will do, before anyone asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Preview {
    diff: String,
    path: String,
    /// Revisions of the image now and then, as their builder labelled them.
    revisions: Option<(String, String)>,
    application: Option<String>,
}

impl Preview {
    fn of(view: &ResourceView) -> Option<Self> {
        let revision = |image: &ExactImage| {
            let known = view.recent.iter().find(|a| a.image.digest == image.digest)?;
            Some(known.details.as_ref()?.revision()?.chars().take(12).collect::<String>())
        };
        let (now, then) = (view.cell.image.as_ref(), view.latest.as_ref());
        Some(Self {
            diff: view.preview.clone()?,
            path: view.path.clone(),
            revisions: now.and_then(revision).zip(then.and_then(revision)),
            application: view.application.clone(),
        })
    }

    /// Of rolling back.
    pub(super) fn of_earlier(view: &ResourceView, earlier: &EarlierImage) -> Option<Self> {
        Some(Self {
            diff: earlier.preview.clone()?,
            path: view.path.clone(),
            revisions: None,
            application: view.application.clone(),
        })
    }

    pub(super) fn show(self) -> AnyView {
        let revisions = self.revisions.map(|(from, to)| {
            view! {
                <p class="muted">"Source commits " <code>{format!("{from}..{to}")}</code></p>
            }
        });
        let rollout = match self.application {
            Some(application) => {
                format!("Argo CD then brings {application} to this commit, and Waybill proves what is live.")
            }
            None => "This cluster has no Argo CD: it ends at the push.".to_owned(),
        };
        view! {
            <details class="preview">
                <summary>"What will change"</summary>
                <div class="stack tight">
                    {revisions} <Diff diff=self.diff label=format!("Preview of the change in {}", self.path) />
                    <p class="muted">{rollout}</p>
                </div>
            </details>
        }
        .into_any()
    }
}

/// Edit pin, or pin a tracking resource.
fn pin_form(
    view: Signal<ResourceView>,
    posted: Option<ResourcePost>,
    sent: Form<ResourcePost, Option<PromotionId>>,
    was_pin: Signal<bool>,
    now: Signal<Timestamp>,
) -> AnyView {
    let is_pinned = Memo::new(move |_| view.with(|view| is_pinned(&view.cell)));
    let artifacts = Memo::new(move |_| view.with(|view| view.recent.clone()));
    let posted = posted.filter(ResourcePost::is_pin);
    let autofocus = posted.as_ref().is_some_and(|post| post.intent.starts_with("use-"));
    let value = posted.as_ref().map(|post| post.digest.clone()).unwrap_or_default();
    let typed = RwSignal::new(value.clone());
    // What the browser said about the field before it was sent; the newest word counts.
    let checked = RwSignal::new(None::<AppError>);
    let error = Signal::derive(move || checked.get().or_else(|| sent.error().filter(|_| was_pin.get())));
    let field_error = Signal::derive(move || {
        let error = error.get()?;
        error.fields()?.get("digest").map(str::to_owned)
    });
    let on_change = Callback::new(move |digest: String| {
        typed.set(digest);
        // What was said about another digest is no longer true.
        if checked.with_untracked(Option::is_some) {
            checked.set(refusal(&typed.get_untracked()));
        }
    });
    let on_submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let digest = typed.get_untracked();
        match refusal(&digest) {
            Some(error) => {
                checked.set(Some(error));
                form::focus_summary_soon();
            }
            None => {
                checked.set(None);
                sent.send(ResourcePost {
                    intent: "pin".into(),
                    digest,
                });
            }
        }
    };
    let name = move || if is_pinned.get() { "Edit pin" } else { "Pin to digest" };
    let note = move || {
        if is_pinned.get() {
            "It stays on the new digest until a person moves it again."
        } else {
            "It stays on this digest, held, until a person moves it or resumes it."
        }
    };
    view! {
        <section class="panel padded stack" aria-labelledby="pin">
            <h2 id="pin">{name}</h2>
            <p class="muted">{note}</p>
            <ErrorSummary error />
            <form class="stack" method="post" novalidate on:submit=on_submit>
                <button type="submit" class="visually-hidden" name="intent" value="pin" tabindex="-1" aria-hidden="true">
                    {name}
                </button>
                <DigestPicker
                    value
                    typed
                    error=field_error
                    artifacts
                    none=Signal::stored("No artifacts of its repository are known yet. Paste a digest.")
                    now
                    autofocus
                    on_change
                />
                <div class="row">
                    <button
                        type="submit"
                        class="button"
                        name="intent"
                        value="pin"
                        aria-disabled=move || sent.pending.get().then_some("true")
                    >
                        {name}
                    </button>
                </div>
            </form>
        </section>
    }
    .into_any()
}

/// Why a digest can't be pinned to, as far as the browser knows.
fn refusal(digest: &str) -> Option<AppError> {
    let why = check_digest(digest).err()?;
    Some(AppError::Invalid(FieldErrors::one("digest", why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_read_and_offers_filled_in() {
        let post: ResourcePost = form::read("intent=use-sha256%3Aab&digest=old").unwrap();
        let post = post.used();
        assert_eq!(post.digest, "sha256:ab");
        assert!(post.is_pin());
        let post: ResourcePost = form::read("intent=promote").unwrap();
        assert!(!post.is_pin());
        assert_eq!(post.used().digest, "");
    }

    #[test]
    fn a_digest_is_refused_in_the_same_words_everywhere() {
        let refused = refusal("sha256:AB").unwrap();
        assert!(refused.fields().unwrap().get("digest").is_some());
        assert_eq!(refusal(&format!(" sha256:{} ", "ab".repeat(32))), None);
    }
}
