//! Signing in, with a password or elsewhere, and back to where one was going.

use crate::{
    api::{
        session::{SignInDraft, safe_next, sign_in},
        sso::{BEGIN, SsoFault, sso},
    },
    components::{
        field::TextField,
        frame::{theme_switch, waiting},
        icon::icon,
        notice::ErrorSummary,
    },
    form::{form, redirect},
    live,
};
use contract::error::AppError;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{hooks::use_query_map, location::Url};

/// The sign-in page.
#[component]
pub fn SignIn() -> AnyView {
    let query = use_query_map();
    let next = Memo::new(move |_| query.with(|q| safe_next(q.get("next").as_deref())));
    let session = form(|draft: SignInDraft| async move {
        let outcome = sign_in(draft.email.clone(), draft.password.clone()).await;
        (draft, Some(outcome))
    });
    let offered = live::read(|| (), |()| sso(), |(), _| false);
    // A new document, not a step within this one: all that was read before belongs to nobody.
    Effect::new(move |_| {
        if session.sent_and_done() {
            let _ = window().location().set_href(&next.get_untracked());
        }
    });
    let led_on = move || session.done().and_then(|()| redirect(next.get_untracked()));
    let fields = move || {
        let email = session.posted_draft().map(|draft| draft.email).unwrap_or_default();
        view! {
            <TextField
                name="email"
                label="E-mail address"
                value=email
                kind="email"
                autocomplete="username"
                required=true
                error=Signal::derive(move || session.field_error("email"))
            />
            <TextField
                name="password"
                label="Password"
                kind="password"
                autocomplete="current-password"
                required=true
                error=Signal::derive(move || session.field_error("password"))
            />
        }
    };
    let inside = move || {
        // Without an answer there is the form, as everywhere.
        let elsewhere = Memo::new(move |_| offered.get().and_then(Result::ok).flatten());
        let came_back = move || {
            let word = query.with(|q| q.get("sso"))?;
            let fault: SsoFault = word.parse().ok()?;
            let name = elsewhere.get().unwrap_or_else(|| "single sign-on".into());
            Some(AppError::Conflict(fault.sentence(&name)))
        };
        view! {
            <p class="brand">{icon("waybill")} "Waybill"</p>
            <h1>"Sign in"</h1>
            {led_on}
            <ErrorSummary error=Signal::derive(move || session.error().or_else(came_back)) />
            <form class="stack" method="post" on:submit=session.on_submit() novalidate>
                {fields}
                <button class="button primary" aria-disabled=move || session.pending.get().then_some("true")>
                    {move || if session.pending.get() { "Signing in…" } else { "Sign in" }}
                </button>
            </form>
            {move || elsewhere.get().map(|name| way_elsewhere(&name, &next.get()))}
            {theme_switch()}
        }
        .into_any()
    };
    view! {
        <Title text="Sign in · Waybill" />
        <main class="sign-in" id="main">
            {waiting(Box::new(inside))}
        </main>
    }
    .into_any()
}

/// The way to who says who people are: a link, since a form may not lead to another site.
pub(super) fn way_elsewhere(name: &str, next: &str) -> AnyView {
    let href = match next {
        "/" => BEGIN.to_owned(),
        next => format!("{BEGIN}?next={}", Url::escape(next)),
    };
    view! {
        <a class="button" href=href rel="external">
            {format!("Sign in with {name}")}
        </a>
    }
    .into_any()
}
