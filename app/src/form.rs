//! One form, two ways: without a script it is a plain post of the page's own address, with one it is sent in place.
//!
//! Both ways run the same server function. A plain post renders the page again with the outcome, status and all, so that
//! nothing typed is lost; [`form`] puts both ways together.

use crate::{
    held::{self, Held},
    request,
};
use contract::error::AppError;
use leptos::{ev, prelude::*, task::spawn_local};
use leptos_router::components::Redirect;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use wasm_bindgen::JsCast;

/// Id of the summary of errors, where the focus goes after a form was sent in vain.
pub const SUMMARY: &str = "errors";

/// What came of a post: the form as it was typed, and what the use case said.
#[derive(Clone, PartialEq, Debug, Serialize, serde::Deserialize)]
pub struct Posted<D, T> {
    /// The form as typed.
    pub draft: D,
    /// What came of it; `None` when the post only asked for another row of the form.
    pub outcome: Option<Result<T, AppError>>,
}

/// What is to be sent, one after the other.
struct Line<D>(Mutex<VecDeque<D>>);

impl<D: Clone + PartialEq> Line<D> {
    fn all(&self) -> MutexGuard<'_, VecDeque<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first(&self) -> Option<D> {
        self.all().front().cloned()
    }

    /// At the end, unless the same is in it already: it was sent twice.
    fn join(&self, draft: D) {
        let mut all = self.all();
        if !all.contains(&draft) {
            all.push_back(draft);
        }
    }

    /// Leaves it; how many still wait.
    fn leave(&self) -> usize {
        let mut all = self.all();
        all.pop_front();
        all.len()
    }
}

/// Leads a plain post that was carried out to a page, so that reading that page again posts nothing; `None` in the browser, where the page
/// shows in place what came of it.
pub fn redirect(path: String) -> Option<AnyView> {
    cfg!(feature = "ssr").then(|| view! { <Redirect path /> }.into_any())
}

/// Reads a form's body.
type Read<D> = fn(&str) -> Result<D, AppError>;

/// A form of a page, both ways; made by [`form`]. Read it below a `Suspense` or `Transition` (a page's `Frame` is one).
pub struct Form<D: Send + Sync + 'static, T: Send + Sync + 'static> {
    read: Read<D>,
    first: Resource<Option<Held>>,
    sent: RwSignal<Option<Posted<D, T>>>,
    /// Whether it is being sent in place.
    pub pending: RwSignal<bool>,
    send: Callback<D>,
}

impl<D: Send + Sync, T: Send + Sync> Clone for Form<D, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Send + Sync, T: Send + Sync> Copy for Form<D, T> {}

/// A form of a page. `submit` carries a draft out, with a server function; it may give back `None` when there was
/// nothing to carry out, and the draft changed, for example with another row. While it is under way nothing else is sent.
pub fn form<D, T, F>(submit: impl Fn(D) -> F + Send + Sync + Copy + 'static) -> Form<D, T>
where
    D: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = (D, Option<Result<T, AppError>>)> + Send + 'static,
{
    of(read, submit, false)
}

/// The same for a page whose forms differ: `read` tells which it is.
pub fn form_read_by<D, T, F>(read: Read<D>, submit: impl Fn(D) -> F + Send + Sync + Copy + 'static) -> Form<D, T>
where
    D: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = (D, Option<Result<T, AppError>>)> + Send + 'static,
{
    of(read, submit, false)
}

/// The same for a page with a row of forms: what another one sends meanwhile is sent after it.
pub fn form_in_turn<D, T, F>(submit: impl Fn(D) -> F + Send + Sync + Copy + 'static) -> Form<D, T>
where
    D: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = (D, Option<Result<T, AppError>>)> + Send + 'static,
{
    of(read, submit, true)
}

fn of<D, T, F>(read: Read<D>, submit: impl Fn(D) -> F + Send + Sync + Copy + 'static, in_turn: bool) -> Form<D, T>
where
    D: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = (D, Option<Result<T, AppError>>)> + Send + 'static,
{
    let first = posted(read, submit);
    let sent = RwSignal::new(None);
    let pending = RwSignal::new(false);
    // The first is under way. It outlives the page: who leaves it has decided all the same.
    let line = Arc::new(Line(Mutex::new(VecDeque::new())));
    let send = Callback::new(move |draft: D| {
        if pending.get_untracked() {
            if in_turn {
                line.join(draft);
            }
            return;
        }
        pending.set(true);
        line.join(draft);
        let line = Arc::clone(&line);
        spawn_local(async move {
            // So many were sent before anybody could see the last failure: what goes well of these must not hide it.
            let mut unaware = 0;
            while let Some(draft) = line.first() {
                let (draft, outcome) = submit(draft).await;
                let failed = matches!(outcome, Some(Err(_)));
                if failed || unaware == 0 {
                    let _ = sent.try_set(Some(Posted { draft, outcome }));
                }
                let waiting = line.leave();
                if failed {
                    unaware = waiting;
                    focus_summary_soon();
                } else {
                    unaware = unaware.saturating_sub(1);
                }
            }
            let _ = pending.try_set(false);
        });
    });
    Form {
        read,
        first,
        sent,
        pending,
        send,
    }
}

impl<D, T> Form<D, T>
where
    D: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn first(self) -> Option<Posted<D, T>> {
        self.first.get().flatten()?.get()
    }

    /// Waits until a plain post of the page was carried out, for what is to be read after it.
    pub async fn settled(self) {
        let _ = self.first.await;
    }

    /// The newest post and what came of it.
    #[must_use]
    pub fn latest(self) -> Option<Posted<D, T>> {
        self.sent.get().or_else(|| self.first())
    }

    /// What the use case gave back, once it was carried out.
    #[must_use]
    pub fn done(self) -> Option<T> {
        self.latest()?.outcome?.ok()
    }

    /// Whether it was sent in place, and carried out.
    #[must_use]
    pub fn sent_and_done(self) -> bool {
        self.sent.with(|sent| {
            sent.as_ref()
                .is_some_and(|posted| matches!(posted.outcome, Some(Ok(_))))
        })
    }

    /// Why the newest post was not carried out.
    #[must_use]
    pub fn error(self) -> Option<AppError> {
        self.latest()?.outcome?.err()
    }

    /// What is wrong with a field, by its name in the form.
    #[must_use]
    pub fn field_error(self, field: &str) -> Option<String> {
        self.error()?.fields()?.get(field).map(str::to_owned)
    }

    /// The form as it was posted to the page, to be filled in again.
    #[must_use]
    pub fn posted_draft(self) -> Option<D> {
        self.first().map(|posted| posted.draft)
    }

    /// Sends a draft in place.
    pub fn send(self, draft: D) {
        self.send.run(draft);
    }

    /// For `on:submit`: sends the form in place instead of posting the page.
    pub fn on_submit(self) -> impl Fn(ev::SubmitEvent) + Clone + 'static {
        move |event: ev::SubmitEvent| {
            if event.default_prevented() {
                return;
            }
            // What can't be read here is posted the plain way, and the server says why.
            if let Some(Ok(draft)) = typed(&event).map(|body| (self.read)(&body)) {
                event.prevent_default();
                self.send(draft);
            }
        }
    }
}

/// A form's body as the browser would post it now.
#[must_use]
pub fn typed_in(form: &web_sys::HtmlFormElement) -> Option<String> {
    encoded(&web_sys::FormData::new_with_form(form).ok()?)
}

/// A form's body as the browser would post it, the pressed button included.
#[must_use]
pub fn typed(event: &ev::SubmitEvent) -> Option<String> {
    let form: web_sys::HtmlFormElement = event.target()?.dyn_into().ok()?;
    let data = web_sys::FormData::new_with_form(&form).ok()?;
    if let Some(button) = event
        .submitter()
        .and_then(|pressed| pressed.dyn_into::<web_sys::HtmlButtonElement>().ok())
        && !button.name().is_empty()
    {
        data.append_with_str(&button.name(), &button.value()).ok()?;
    }
    encoded(&data)
}

fn encoded(data: &web_sys::FormData) -> Option<String> {
    let pairs = web_sys::UrlSearchParams::new_with_str_sequence_sequence(data).ok()?;
    pairs.to_string().as_string()
}

/// Puts the focus on the summary of errors once it is there: for a form that the browser itself refused.
pub fn focus_summary_soon() {
    focus_soon(SUMMARY);
}

/// Puts the focus on the element with this id, once it is there; that also brings it into view.
pub fn focus_soon(id: &'static str) {
    request_animation_frame(move || {
        let element = document().get_element_by_id(id);
        if let Some(element) = element.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = element.focus();
        }
    });
}

/// The outcome of a plain post of this page: reads the form and runs `submit` with it, on the server, while the page is
/// rendered; `None` when the page was just got. The browser gets the outcome with the page and runs nothing.
fn posted<D, T, F>(read: Read<D>, submit: impl Fn(D) -> F + Send + Sync + Copy + 'static) -> Resource<Option<Held>>
where
    D: Serialize + Send + Sync + 'static,
    T: Serialize + Send + Sync + 'static,
    F: Future<Output = (D, Option<Result<T, AppError>>)> + Send + 'static,
{
    first_post(Arc::new(move |body| {
        let draft = read(&body);
        Box::pin(async move {
            let (draft, outcome) = match draft {
                Ok(draft) => submit(draft).await,
                // Not made by the page's own form: it says why it can't be read, above a form to begin anew.
                Err(error) => (read("").ok()?, Some(Err(error))),
            };
            if let Some(Err(error)) = &outcome {
                request::refuse(error);
            }
            Some(Held::new(Posted { draft, outcome }))
        })
    }))
}

/// Carries a posted body out.
type Carry = Arc<dyn Fn(Arc<str>) -> held::Fetching + Send + Sync>;

fn first_post(carry: Carry) -> Resource<Option<Held>> {
    let fetch = move || -> held::Fetching {
        let carry = carry.clone();
        Box::pin(async move {
            // In the browser there is no request.
            let body = use_context::<request::PageRequest>()?.posted?;
            carry(body).await
        })
    };
    held::read_once(Arc::new(fetch), true)
}

/// Reads a form's body; unknown fields are ignored, missing ones are left empty where the draft says so.
///
/// # Errors
/// When it is no form of this kind.
pub fn read<D: DeserializeOwned>(body: &str) -> Result<D, AppError> {
    // Browsers escape the brackets of `env[0][name]`; both spellings are read.
    serde_qs::Config::new(5, false)
        .deserialize_str(body)
        .map_err(|e| AppError::BadRequest(format!("The form could not be read: {e}.")))
}
