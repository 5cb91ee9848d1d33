//! Accepting an invitation: who has the link sets a name and a password, or joins with the account they have.

use crate::{
    api::member::{InvitationView, accept_invitation, invitation},
    components::{
        field::TextField,
        frame::{theme_switch, waiting},
        icon::icon,
        notice::ErrorSummary,
    },
    form::{Form, form, redirect},
    live,
    pages::{error::shown, sign_in::way_elsewhere},
};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use serde::{Deserialize, Serialize};

/// What the page posts. The key is in its address.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Acceptance {
    /// Name to show.
    name: String,
    /// Password; never given back.
    #[serde(skip_serializing)]
    password: String,
}

/// The page that an invitation's link leads to.
#[component]
pub fn Invitation() -> AnyView {
    let query = use_query_map();
    let key = Memo::new(move |_| query.with(|q| q.get("key").unwrap_or_default()));
    let sent = form(move |post: Acceptance| {
        let key = key.get_untracked();
        async move {
            let outcome = accept_invitation(key, post.name.clone(), post.password.clone()).await;
            (post, Some(outcome))
        }
    });
    let read = live::read(move || key.get(), invitation, |_, _| false);
    // A new document: whoever was signed in here before is somebody else.
    Effect::new(move |_| {
        if sent.sent_and_done() {
            let _ = window().location().set_href("/");
        }
    });
    let inside = move || {
        let led_on = move || sent.done().and_then(|_| redirect("/".into()));
        view! {
            <p class="brand">{icon("waybill")} "Waybill"</p>
            {led_on}
            {shown(read, move |view| acceptance(&view.get_untracked(), sent, &key.get_untracked()))}
            {theme_switch()}
        }
        .into_any()
    };
    view! {
        <Title text="Invitation · Waybill" />
        <main class="sign-in" id="main">
            {waiting(Box::new(inside))}
        </main>
    }
    .into_any()
}

fn acceptance(view: &InvitationView, sent: Form<Acceptance, ()>, key: &str) -> AnyView {
    // Who comes back signed in joins with one click.
    let elsewhere = view.sso.as_ref().filter(|_| !view.yours).map(|name| {
        let next = format!("/invitation?key={key}");
        way_elsewhere(name, &next)
    });
    let form = (view.yours || !view.needs_sso).then(|| joining(view, sent));
    let lost = view.needs_sso && view.sso.is_none();
    view! {
        <h1>{format!("Join {}", view.workspace)}</h1>
        <p>{format!("{} is invited as {}.", view.email, view.role)}</p>
        <ErrorSummary error=Signal::derive(move || sent.error()) />
        {lost.then(|| view! { <p>"Your account has no password. Ask an administrator how to sign in."</p> })}
        {form}
        {elsewhere}
    }
    .into_any()
}

fn joining(view: &InvitationView, sent: Form<Acceptance, ()>) -> AnyView {
    if view.yours {
        return view! {
            <form class="stack" method="post" on:submit=sent.on_submit() novalidate>
                {join(sent)}
            </form>
        }
        .into_any();
    }
    let typed = sent.posted_draft().map(|draft| draft.name).unwrap_or_default();
    let name = (!view.known).then(|| {
        view! {
            <TextField
                name="name"
                label="Your name"
                value=typed
                autocomplete="name"
                help="Others see it, and it stands in commits."
                required=true
                error=Signal::derive(move || sent.field_error("name"))
            />
        }
    });
    let (label, kind, help) = if view.known {
        (
            "Password of your account",
            "current-password",
            "You have an account already.",
        )
    } else {
        ("Password", "new-password", "At least 12 characters.")
    };
    view! {
        <form class="stack" method="post" on:submit=sent.on_submit() novalidate>
            {name}
            <TextField
                name="password"
                label=label
                kind="password"
                autocomplete=kind
                help=help
                required=true
                error=Signal::derive(move || sent.field_error("password"))
            />
            {join(sent)}
        </form>
    }
    .into_any()
}

fn join(sent: Form<Acceptance, ()>) -> AnyView {
    view! {
        <button class="button primary" aria-disabled=move || sent.pending.get().then_some("true")>
            "Join"
        </button>
    }
    .into_any()
}
