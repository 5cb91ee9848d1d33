//! What went wrong, as a page: what happened, what it means, where to look.

use crate::{components::icon::icon, live::Read, request::refuse};
use contract::error::AppError;
use leptos::prelude::*;
use leptos_router::{components::Redirect, hooks::use_location};
use serde::de::DeserializeOwned;

/// What was read, once it is there: `render` shows it, and shows newer readings without being called again. An error
/// takes its place, as `ErrorView`. Use it below a `Transition`, such as a page's `Frame`.
pub fn shown<T>(read: Read<T>, render: impl Fn(Signal<T>) -> AnyView + Copy + Send + 'static) -> AnyView
where
    T: Clone + PartialEq + DeserializeOwned + Send + Sync + 'static,
{
    let now = Memo::new(move |_| read.get());
    let error = Memo::new(move |_| now.with(|now| now.as_ref().map(|now| now.as_ref().err().cloned())));
    let newest = Memo::new(move |last: Option<&Option<T>>| {
        now.with(|now| match now {
            Some(Ok(value)) => Some(value.clone()),
            _ => last.cloned().flatten(),
        })
    });
    view! {
        {move || match error.get() {
            None => ().into_any(),
            Some(Some(error)) => error_view(error),
            Some(None) => {
                match newest.get_untracked() {
                    None => ().into_any(),
                    Some(first) => {
                        render(Memo::new(move |_| newest.get().unwrap_or_else(|| first.clone())).into())
                    }
                }
            }
        }}
    }
    .into_any()
}

/// An error in place of a page. Somebody who isn't signed in is led to the sign-in page, and back afterwards.
#[must_use]
pub fn error_view(error: AppError) -> AnyView {
    if error == AppError::SignedOut {
        let here = use_location();
        let path = here.pathname.get_untracked();
        let query = here.search.get_untracked();
        let next = if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        };
        let to = if next == "/" {
            "/sign-in".to_owned()
        } else {
            format!("/sign-in?next={}", leptos_router::location::Url::escape(&next))
        };
        return view! { <Redirect path=to /> }.into_any();
    }
    refuse(&error);
    let title = match &error {
        AppError::Forbidden(_) => "This needs another role",
        AppError::NotFound(_) => "There is no such page",
        AppError::Upstream(_) => "Another system did not answer as it should",
        AppError::Unavailable(_) => "Waybill can't do this just now",
        AppError::Unreachable => "Waybill could not be reached",
        AppError::TooMany { .. } => "Too many tries",
        AppError::Busy { .. } => "Waybill is busy",
        AppError::Internal(_) => "Waybill could not show this page",
        _ => "This request could not be answered",
    };
    view! {
        <section class="empty">
            {icon("bad")} <h1>{title}</h1> <p class="text">{error.to_string()}</p>
            <p>
                <a class="button" href="/">
                    "Go to projects"
                </a>
            </p>
        </section>
    }
    .into_any()
}
