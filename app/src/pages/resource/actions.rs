//! What may be done with a resource now: promote it, pin it.

use super::behind_words;
use crate::{
    api::{board::Cell, resource::ResourceView},
    components::{
        digest_picker::DigestPicker,
        flow_strip::{FlowEnd, FlowStrip},
        notice::ErrorSummary,
    },
    error::AppError,
    form::{self, Form},
};
use domain::{draft::check_digest, field::FieldErrors, id::PromotionId, resource::Binding, time::Timestamp};
use leptos::{ev, prelude::*};
use serde::{Deserialize, Serialize};

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ResourcePost {
    /// `promote`, `pin`, or `use-sha256:…` to fill the digest in.
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

    /// Whether it was about the pin.
    fn is_pin(&self) -> bool {
        self.intent == "pin" || self.intent.starts_with("use-")
    }
}

/// The forms; nothing for those who may not change it.
pub(super) fn actions(
    view: Signal<ResourceView>,
    posted: Option<ResourcePost>,
    sent: Form<ResourcePost, PromotionId>,
    now: Signal<Timestamp>,
) -> AnyView {
    let may_change = Memo::new(move |_| view.with(|view| view.head.may_change));
    // Which of the two forms was sent last: its error is shown there.
    let was_pin = Signal::derive(move || sent.latest().is_some_and(|post| post.draft.is_pin()));
    view! {
        {move || {
            if may_change.get() {
                let posted = posted.clone();
                view! { {promote_form(view, sent, was_pin)} {pin_form(view, posted, sent, was_pin, now)} }.into_any()
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

/// Promote, while it is behind its source.
fn promote_form(
    view: Signal<ResourceView>,
    sent: Form<ResourcePost, PromotionId>,
    was_pin: Signal<bool>,
) -> impl IntoView {
    let error = Signal::derive(move || sent.error().filter(|_| !was_pin.get()));
    let offer = Memo::new(move |_| {
        view.with(|view| {
            let words = behind_words(&view.cell)?;
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
            Some((words, ends.clone(), is_pinned(&view.cell)))
        })
    });
    move || {
        offer.get().map(|(words, ends, is_pinned)| {
            let strip = ends.map(|(from, to)| view! { <FlowStrip from to /> });
            let note = is_pinned.then(|| view! { <p class="muted">"Moves its pin to the newest artifact."</p> });
            view! {
                <section class="panel padded stack" aria-labelledby="promote">
                    <h2 id="promote">{words}</h2>
                    {strip}
                    {note}
                    <ErrorSummary error />
                    <form method="post" on:submit=sent.on_submit()>
                        <button
                            type="submit"
                            class="button primary"
                            name="intent"
                            value="promote"
                            aria-disabled=move || sent.pending.get().then_some("true")
                        >
                            "Promote"
                        </button>
                    </form>
                </section>
            }
            .into_any()
        })
    }
}

/// Edit pin, or pin a tracking resource.
fn pin_form(
    view: Signal<ResourceView>,
    posted: Option<ResourcePost>,
    sent: Form<ResourcePost, PromotionId>,
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
            "It stops tracking its source and stays on this digest until a person moves it."
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
