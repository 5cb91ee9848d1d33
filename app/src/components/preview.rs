//! What a decision would do, before anybody takes it.

use crate::{
    api::preview::{Outlook, Preview},
    components::{diff::Diff, image_change::image_change},
};
use contract::error::AppError;
use domain::time::Timestamp;
use leptos::{prelude::*, task::spawn_local};
use std::{future::Future, time::Duration};

/// How long a form rests before it is asked what it would do.
const REST: Duration = Duration::from_millis(400);

/// What a form would do, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foreseen<T = Preview> {
    /// What it would do, or why that can't be said; `None` while the form isn't complete.
    pub outcome: Option<Outlook<T>>,
    /// Whether the form says something else meanwhile.
    pub is_old: bool,
}

impl<T> Default for Foreseen<T> {
    fn default() -> Self {
        Self {
            outcome: None,
            is_old: false,
        }
    }
}

/// Foresees what a form would do: in the browser, each time that `about` is something else and has rested; `about` is `None`
/// while the form would be refused anyway, and nothing is asked while it is `sent`. `first` is what the server foresaw for a form
/// that was posted without a script.
#[must_use]
pub fn foresee<A, T, F>(
    first: Option<T>,
    about: Memo<Option<A>>,
    sent: Signal<bool>,
    preview: impl Fn(A) -> F + Copy + Send + Sync + 'static,
) -> Signal<Foreseen<T>>
where
    A: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Result<Outlook<T>, AppError>> + 'static,
{
    let foreseen = RwSignal::new(Foreseen {
        outcome: first.map(Ok),
        is_old: false,
    });
    let newest = StoredValue::new(0_u32);
    let is_asking = StoredValue::new(false);
    // One question at a time: what the form says meanwhile is asked about afterwards.
    let ask = move || {
        if is_asking.try_get_value() != Some(false) {
            return;
        }
        is_asking.set_value(true);
        spawn_local(async move {
            while let (Some(asked), Some(Some(now)), Some(false)) = (
                newest.try_get_value(),
                about.try_get_untracked(),
                sent.try_get_untracked(),
            ) {
                let outcome = preview(now).await.and_then(|outlook| outlook);
                if newest.try_get_value() == Some(asked) {
                    foreseen.try_set(Foreseen {
                        outcome: Some(outcome),
                        is_old: false,
                    });
                    break;
                }
            }
            is_asking.try_set_value(false);
        });
    };
    Effect::new(move |_| {
        let is_complete = about.with(Option::is_some);
        newest.update_value(|newest| *newest += 1);
        let this = newest.get_value();
        if sent.get() {
            return;
        }
        if !is_complete {
            foreseen.set(Foreseen::default());
            return;
        }
        foreseen.update(|foreseen| foreseen.is_old = foreseen.outcome.is_some());
        let rested = move || {
            if newest.try_get_value() == Some(this) {
                ask();
            }
        };
        set_timeout(rested, REST);
    });
    foreseen.into()
}

/// What was foreseen, or `otherwise` while nothing is.
#[must_use]
pub fn shown(foreseen: Foreseen, now: Signal<Timestamp>, otherwise: AnyView) -> AnyView {
    around(foreseen, |preview| whole(preview, now)).unwrap_or(otherwise)
}

/// What a rule for tags would pick; nothing while that isn't known.
#[must_use]
pub fn picked(foreseen: Foreseen<Vec<String>>) -> Option<AnyView> {
    around(foreseen, |sentences| listed(&sentences, "").into_any())
}

/// What was foreseen, or why it can't be, marked while the form says something else meanwhile.
fn around<T>(foreseen: Foreseen<T>, show: impl FnOnce(T) -> AnyView) -> Option<AnyView> {
    let busy = foreseen.is_old.then_some("true");
    let inside = either(foreseen.outcome?, show);
    Some(view! { <div class="foreseen" aria-busy=busy>{inside}</div> }.into_any())
}

/// What will change, or why that can't be said.
#[must_use]
pub fn open(outlook: Outlook, now: Signal<Timestamp>) -> AnyView {
    either(outlook, |preview| whole(preview, now))
}

fn either<T>(outlook: Outlook<T>, show: impl FnOnce(T) -> AnyView) -> AnyView {
    match outlook {
        Ok(foreseen) => show(foreseen),
        // Which field it is stands beside the field.
        Err(AppError::Invalid(errors)) => {
            let said: Vec<&str> = errors.0.iter().map(|error| error.message.as_str()).collect();
            view! { <p class="why">{said.join(" ")}</p> }.into_any()
        }
        Err(error) => view! { <p class="why">{error.to_string()}</p> }.into_any(),
    }
}

/// What will change, behind a word to open it.
#[must_use]
pub fn folded(preview: Preview, now: Signal<Timestamp>) -> AnyView {
    view! {
        <details>
            <summary>"What will change"</summary>
            {whole(preview, now)}
        </details>
    }
    .into_any()
}

/// What becomes of those who follow.
#[must_use]
pub fn followers(sentences: &[String]) -> Option<AnyView> {
    listed(sentences, "muted small")
}

/// Sentences, if there are any.
fn listed(sentences: &[String], class: &'static str) -> Option<AnyView> {
    let items: Vec<_> = sentences
        .iter()
        .map(|sentence| view! { <li>{sentence.clone()}</li> })
        .collect();
    (!items.is_empty()).then(|| view! { <ul class=class>{items}</ul> }.into_any())
}

/// The question whether the values file may be made, where what was foreseen would make it.
#[must_use]
pub fn file_to_make(preview: Option<&Preview>) -> Option<AnyView> {
    made_file(preview).map(tick)
}

/// The values file that what was foreseen would make.
#[must_use]
pub fn made_file(preview: Option<&Preview>) -> Option<String> {
    Some(preview.filter(|preview| preview.creates_file)?.path.clone())
}

/// The tick that lets a values file be made.
#[must_use]
pub fn tick(path: String) -> AnyView {
    view! {
        <label class="check">
            <input type="checkbox" name="create_file" value="true" required />
            {format!("This creates {path}")}
        </label>
    }
    .into_any()
}

/// What will change.
fn whole(preview: Preview, now: Signal<Timestamp>) -> AnyView {
    let before = preview
        .previous
        .as_ref()
        .map(|image| (image, preview.previous_details.as_ref()));
    let images = image_change(before, (&preview.image, preview.details.as_ref()), now);
    let Preview {
        path,
        diff,
        revisions,
        application,
        adopts,
        besides,
        copy,
        followers: sentences,
        tags,
        ..
    } = preview;
    let picked = listed(&tags, "muted small");
    let followers = followers(&sentences);
    let revisions = revisions.map(|(from, to)| {
        view! {
            <p class="muted">"Source commits " <code>{format!("{from}..{to}")}</code></p>
        }
    });
    let change = if diff.is_empty() {
        view! { <p class="muted">"The values file says so already: no commit is needed."</p> }.into_any()
    } else {
        view! { <Diff diff label=format!("Preview of the change in {path}") /> }.into_any()
    };
    let rollout = match application {
        Some(application) => {
            format!("Argo CD then brings {application} to this commit, and Waybill proves what is live.")
        }
        None => "This cluster has no Argo CD: it ends at the push.".to_owned(),
    };
    view! {
        <div class="stack tight">
            {adopts.map(|adopts| view! { <p>{adopts}</p> })} {picked} {change} {images} {revisions}
            {copy.map(|copy| view! { <p>{copy}</p> })} <p class="muted">{rollout}</p>
            {besides.map(|besides| view! { <p>{besides}</p> })}
            {followers}
        </div>
    }
    .into_any()
}
