//! What may be done with a resource now: promote it, pin it.

use super::{behind_words, tags::tags_form};
use crate::{
    api::{
        board::Cell,
        preview::{Preview, preview_pin},
        resource::ResourceView,
    },
    components::{
        cell::held_words,
        digest_picker::DigestPicker,
        flow_strip::{FlowEnd, FlowStrip},
        icon::icon,
        notice::ErrorSummary,
        preview,
        time::Ago,
    },
    form::{self, Form},
};
use contract::error::AppError;
use domain::{
    draft::check_digest,
    field::FieldErrors,
    follow::Course,
    id::PromotionId,
    resource::{Binding, HoldCause},
    time::Timestamp,
};
use leptos::{ev, prelude::*};
use serde::{Deserialize, Serialize};

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ResourcePost {
    /// `promote`, `resume`, `take-new-key`, `tags`, `preview-tags`, `pin`, `preview-pin`, `use-sha256:…` to fill the digest in, or `rollback-sha256:…`, or
    /// `heal-registry.example.com/api`.
    pub(super) intent: String,
    /// The digest to pin to.
    pub(super) digest: String,
    /// Which tags count, as in the form *Create Resource*.
    pub(super) tags: String,
    /// The range, the pattern or the tag that goes with it.
    pub(super) tags_value: String,
    /// Tags that never count.
    pub(super) leave_out: String,
    /// Anything when the values file may be made, where there is none.
    pub(super) create_file: String,
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

    /// The repository to heal from.
    pub(super) fn heals_from(&self) -> Option<&str> {
        self.intent.strip_prefix("heal-")
    }

    /// Whether it was about which tags count.
    pub(super) fn is_tags(&self) -> bool {
        ["tags", "preview-tags"].contains(&self.intent.as_str())
    }

    /// Whether it was about the pin.
    fn is_pin(&self) -> bool {
        ["pin", "preview-pin"].contains(&self.intent.as_str()) || self.intent.starts_with("use-")
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum ActionOutcome {
    /// It was carried out; the promotion that it started, if any.
    Started(Option<PromotionId>),
    /// What pinning would do.
    Previewed(Box<Preview>),
    /// What a rule for tags would pick, a sentence each.
    Picked(Vec<String>),
}

/// The forms of the page.
pub(super) type ResourceForm = Form<ResourcePost, ActionOutcome>;

/// The forms; nothing for those who may not change it.
pub(super) fn actions(
    view: Signal<ResourceView>,
    posted: Option<ResourcePost>,
    sent: ResourceForm,
    now: Signal<Timestamp>,
) -> AnyView {
    let denied = Memo::new(move |_| view.with(|view| view.denied.clone()));
    // Which of the forms was sent last: its error is shown there.
    let was_pin = Signal::derive(move || sent.latest().is_some_and(|post| post.draft.is_pin()));
    view! {
        {move || {
            if let Some(denied) = denied.get() {
                view! { {incomplete_notice(view, sent, now)} <p class="muted">{denied}</p> }.into_any()
            } else {
                let posted = posted.clone();
                view! { {incomplete_notice(view, sent, now)} {hold_form(view, sent, now)} {promote_form(view, sent, now)} {tags_form(view, posted.as_ref(), sent)} {pin_form(view, posted, sent, was_pin, now)} }.into_any()
            }
        }}
    }
    .into_any()
}

/// Workspace, project, environment and resource, as server functions take them.
pub(super) fn names(view: Signal<ResourceView>) -> [String; 4] {
    view.with_untracked(|view| [&view.workspace, &view.project, &view.head.name, &view.name].map(ToString::to_string))
}

pub(super) fn is_pinned(cell: &Cell) -> bool {
    matches!(cell.follows.binding, Binding::Pin(_))
}

/// The error of the button `intent`, while it was the last that was sent.
fn error_of(sent: ResourceForm, intent: &'static str) -> Signal<Option<AppError>> {
    Signal::derive(move || {
        let is_it = sent.latest().is_some_and(|post| post.draft.intent == intent);
        sent.error().filter(|_| is_it)
    })
}

/// A form that is only a button.
fn button_form(
    sent: ResourceForm,
    intent: String,
    word: String,
    class: &'static str,
    asked: Option<AnyView>,
) -> AnyView {
    view! {
        <form method="post" on:submit=sent.on_submit()>
            {asked}
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

/// What its registry lost of the image that runs, and *Heal*.
fn incomplete_notice(view: Signal<ResourceView>, sent: ResourceForm, now: Signal<Timestamp>) -> impl IntoView {
    let incomplete = Memo::new(move |_| view.with(|view| view.incomplete.clone()));
    let error = Signal::derive(move || {
        let is_it = sent.latest().is_some_and(|post| post.draft.heals_from().is_some());
        sent.error().filter(|_| is_it)
    });
    move || {
        let may_change = view.with(|view| view.denied.is_none());
        incomplete.get().map(|incomplete| {
            let lost = format!(
                "{} lost parts of it, found ",
                incomplete.repository
            );
            let parts = incomplete.missing.join(", ");
            let next = match (&incomplete.healing_from, incomplete.from.is_empty()) {
                (Some(from), _) => format!("What is missing is being copied from {from}."),
                (None, true) => "No other repository of this project is known to hold it. Push the image again, or promote another one.".to_owned(),
                (None, false) => "Running pods continue until a node must pull the image. Heal copies what is missing from another repository.".to_owned(),
            };
            let buttons: Vec<AnyView> = (incomplete.from.iter())
                .filter(|_| may_change && incomplete.healing_from.is_none())
                .map(|from| button_form(sent, format!("heal-{from}"), format!("Heal from {from}"), "button", None))
                .collect();
            view! {
                <section class="notice bad" aria-labelledby="incomplete">
                    {icon("bad")}
                    <div class="body stack">
                        <h2 id="incomplete">"This image can't be pulled any more"</h2>
                        <p>{lost} <Ago at=incomplete.since now /> ": " <span class="break">{parts}</span> "."</p>
                        <p>{next}</p>
                        {incomplete.failure.clone().map(|why| view! { <p>{format!("The last try failed. {why}")}</p> })}
                        <ErrorSummary error />
                        <div class="row">{buttons}</div>
                    </div>
                </section>
            }
        })
    }
}

/// Who holds it and why, and *Resume*.
fn hold_form(view: Signal<ResourceView>, sent: ResourceForm, now: Signal<Timestamp>) -> impl IntoView {
    let hold = Memo::new(move |_| {
        view.with(|view| {
            Some((
                view.cell.follows.hold.clone()?,
                view.preview.clone(),
                view.new_key.clone(),
            ))
        })
    });
    move || {
        hold.get().map(|(hold, preview, new_key)| {
            let is_removed = hold.cause == HoldCause::RemovedFromGit;
            let (what_holds, word) = if is_removed {
                (
                    "Git no longer declares it, and Waybill doesn't write it back until somebody says so.",
                    "Create again",
                )
            } else {
                (
                    "New artifacts of its source don't reach it until somebody resumes it. It catches up then.",
                    "Resume",
                )
            };
            // Deleting it here leaves Git as it is.
            let forget = view.with(|view| {
                let href = format!(
                    "/w/{}/-/delete/project/{}/{}/{}",
                    view.workspace, view.project, view.head.name, view.name
                );
                (is_removed && view.may_remove).then(|| view! { <a class="button plain" href=href>"Forget"</a> })
            });
            let asked = preview::file_to_make(preview.as_ref());
            let take = new_key.map(|key| {
                button_form(
                    sent,
                    "take-new-key".into(),
                    format!("Take the key {key}"),
                    "button primary",
                    None,
                )
            });
            view! {
                <section class="notice held" aria-labelledby="hold">
                    {icon("held")}
                    <div class="body stack">
                        <h2 id="hold">{held_words(&hold, now)}</h2>
                        <p>{what_holds}</p>
                        <ErrorSummary error=error_of(sent, "take-new-key") />
                        {take}
                        {preview.map(|preview| preview::folded(preview, now))}
                        <ErrorSummary error=error_of(sent, "resume") />
                        <div class="row">{button_form(sent, "resume".into(), word.into(), "button", asked)} {forget}</div>
                    </div>
                </section>
            }
        })
    }
}

/// Why a rollback was refused.
pub(super) fn rollback_error(sent: ResourceForm) -> Signal<Option<AppError>> {
    Signal::derive(move || {
        let is_it = sent.latest().is_some_and(|post| post.draft.rolls_back_to().is_some());
        sent.error().filter(|_| is_it)
    })
}

/// Promote, while it is behind its source and nobody holds it: *Resume* does the same then.
fn promote_form(view: Signal<ResourceView>, sent: ResourceForm, now: Signal<Timestamp>) -> impl IntoView {
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
            let back = view
                .cell
                .behind
                .as_ref()
                .filter(|behind| behind.course == Course::Older);
            let back = back.map(|behind| {
                let to = behind.latest.short_label();
                let too = if behind.of.is_some() { " too" } else { "" };
                format!("Go back to {to}{too}")
            });
            Some((words, ends.clone(), is_pinned(&view.cell), view.preview.clone(), back))
        })
    });
    move || {
        offer.get().map(|(words, ends, is_pinned, preview, back)| {
            let strip = ends.map(|(from, to)| view! { <FlowStrip from to /> });
            let asked = preview::file_to_make(preview.as_ref());
            let note = match (&back, is_pinned) {
                (Some(_), false) => Some("What runs is newer, so it stays until somebody takes it back."),
                (None, true) => Some("Moves its pin to the newest artifact."),
                _ => None,
            };
            let note = note.map(|note| view! { <p class="muted">{note}</p> });
            let word = back.unwrap_or_else(|| "Promote".to_owned());
            view! {
                <section class="panel padded stack" aria-labelledby="promote">
                    <h2 id="promote">{words}</h2>
                    {strip}
                    {note}
                    {preview.map(|preview| preview::folded(preview, now))}
                    <ErrorSummary error />
                    {button_form(sent, "promote".into(), word, "button primary", asked)}
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
    sent: ResourceForm,
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
                let typed = form::typed(&event).and_then(|body| form::read::<ResourcePost>(&body).ok());
                sent.send(ResourcePost {
                    intent: "pin".into(),
                    digest,
                    create_file: typed.unwrap_or_default().create_file,
                    ..ResourcePost::default()
                });
            }
        }
    };
    let complete = Memo::new(move |_| {
        let digest = typed.get();
        let runs = view.with(|view| view.cell.image.as_ref().map(|image| image.digest.to_string()));
        // What runs now is part of the change, too.
        (refusal(&digest).is_none() && runs.as_deref() != Some(digest.trim())).then_some((digest, runs))
    });
    let first = untrack(move || sent.done()).and_then(|done| match done {
        ActionOutcome::Previewed(preview) => Some(*preview),
        ActionOutcome::Started(_) | ActionOutcome::Picked(_) => None,
    });
    let leaves =
        Signal::derive(move || sent.pending.get() || matches!(sent.done(), Some(ActionOutcome::Started(Some(_)))));
    let foreseen = preview::foresee(first, complete, leaves, move |(digest, _)| {
        let [w, p, e, r] = names(view);
        preview_pin(w, p, e, r, digest)
    });
    // Of what the button would do; before that is known, of what others on this page would.
    let file = Memo::new(move |_| {
        let of_pin = foreseen.with(|foreseen| preview::made_file(foreseen.outcome.as_ref()?.as_ref().ok()));
        of_pin.or_else(|| {
            view.with(|view| {
                let mut others = view.earlier.iter().map(|earlier| earlier.preview.as_ref());
                preview::made_file(view.preview.as_ref()).or_else(|| others.find_map(preview::made_file))
            })
        })
    });
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
                {move || preview::shown(foreseen.get(), now, ().into_any())}
                {move || file.get().map(preview::tick)}
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
                    <button type="submit" class="button plain needs-no-script" name="intent" value="preview-pin">
                        "Preview the change"
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
