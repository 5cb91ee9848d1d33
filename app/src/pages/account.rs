//! A person's own account: how they sign in, the password, and where they are signed in.

use crate::{
    api::{
        account::{AccountView, SessionView, SsoView, account, change_password, sign_out_everywhere},
        sso::BEGIN,
    },
    components::{
        field::TextField,
        frame::{Crumb, Frame},
        notice::{ErrorSummary, Notice},
        state_badge::Meaning,
        time::Ago,
    },
    form::{Form, form, redirect},
    live,
    pages::error::shown,
};
use contract::error::AppError;
use domain::time::Timestamp;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct AccountPost {
    /// `password` or `everywhere`.
    intent: String,
    /// The password until now; never given back.
    #[serde(skip_serializing)]
    current: String,
    /// The password from now on; never given back.
    #[serde(skip_serializing)]
    new: String,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum AccountOutcome {
    /// The password is changed.
    Changed,
    /// All sessions ended.
    SignedOut,
}

async fn carry_out(post: AccountPost) -> (AccountPost, Option<Result<AccountOutcome, AppError>>) {
    let outcome = match post.intent.as_str() {
        "everywhere" => sign_out_everywhere().await.map(|()| AccountOutcome::SignedOut),
        _ => change_password(post.current.clone(), post.new.clone())
            .await
            .map(|()| AccountOutcome::Changed),
    };
    (post, Some(outcome))
}

/// The account of who is signed in.
#[component]
pub fn Account() -> AnyView {
    let sent = form(carry_out);
    let read = live::read(
        || (),
        move |()| async move {
            sent.settled().await;
            account().await
        },
        |(), _| false,
    );
    let is_out = move || sent.done() == Some(AccountOutcome::SignedOut);
    Effect::new(move |_| {
        if sent.sent_and_done() {
            if is_out() {
                let _ = window().location().set_href("/sign-in");
            } else {
                read.refetch();
            }
        }
    });
    let changed = move || {
        (sent.done() == Some(AccountOutcome::Changed)).then(|| {
            view! {
                <Notice meaning=Meaning::Good>
                    <p>"Your password is changed. Your other sessions have ended."</p>
                </Notice>
            }
        })
    };
    let led_on = move || is_out().then(|| redirect("/sign-in".into())).flatten();
    let title = Signal::stored("Account".to_owned());
    let crumbs = Signal::stored(vec![Crumb::new("Projects", "/"), Crumb::new("Account", "/account")]);
    view! {
        <Frame title=title crumbs=crumbs>
            {led_on}
            <ErrorSummary error=Signal::derive(move || sent.error()) />
            {changed}
            <div class="stack settings" on:submit=sent.on_submit()>
                {shown(read, move |view| whole(view, sent))}
            </div>
        </Frame>
    }
    .into_any()
}

fn whole(view: Signal<AccountView>, sent: Form<AccountPost, AccountOutcome>) -> AnyView {
    let now = live::now(Signal::derive(move || view.with(|v| v.now)));
    let has_password = Memo::new(move |_| view.with(|v| v.has_password));
    view! {
        <div class="page-head">
            <div class="title">
                <h1>{move || view.with(|v| v.name.clone())}</h1>
                <p>{move || view.with(|v| v.email.clone())}</p>
            </div>
        </div>
        {move || view.with(|v| v.sso.as_ref().map(|sso| elsewhere(sso, v.has_password)))}
        {move || has_password.get().then(|| password_form(sent))}
        <section class="stack tight" aria-labelledby="sessions">
            <h2 id="sessions">"Where you are signed in"</h2>
            {move || view.with(|view| sessions(&view.sessions, now))}
            <form method="post">
                <button type="submit" class="button danger" name="intent" value="everywhere">
                    "Sign out everywhere"
                </button>
            </form>
        </section>
    }
    .into_any()
}

/// Whom one may sign in through, and who keeps the password.
fn elsewhere(sso: &SsoView, has_password: bool) -> AnyView {
    let name = &sso.name;
    let said = match (sso.connected, has_password) {
        (true, false) => format!("You sign in with {name}. Your password is kept and changed there."),
        (true, true) => format!("You can sign in with {name}, or with your password."),
        (false, true) => {
            format!("Connect your account to sign in with {name}, too. It must know you by the same e-mail address.")
        }
        (false, false) => {
            format!("Your account has no password here, and {name} doesn't know it. Ask an administrator.")
        }
    };
    let connect = (!sso.connected && has_password).then(|| {
        view! {
            <p>
                <a class="button" href=format!("{BEGIN}?connect=yes&next=/account") rel="external">
                    {format!("Connect with {name}")}
                </a>
            </p>
        }
    });
    view! {
        <section class="stack tight" aria-labelledby="sso">
            <h2 id="sso">"Single sign-on"</h2>
            <p>{said}</p>
            {connect}
        </section>
    }
    .into_any()
}

fn password_form(sent: Form<AccountPost, AccountOutcome>) -> AnyView {
    view! {
        <section class="stack tight" aria-labelledby="password">
            <h2 id="password">"Change password"</h2>
            <form method="post" class="fields" novalidate>
                <TextField
                    name="current"
                    label="Current password"
                    kind="password"
                    autocomplete="current-password"
                    required=true
                    error=Signal::derive(move || sent.field_error("current"))
                />
                <TextField
                    name="new"
                    label="New password"
                    kind="password"
                    autocomplete="new-password"
                    help="At least 12 characters. Your other sessions end."
                    required=true
                    error=Signal::derive(move || sent.field_error("new"))
                />
                <button
                    type="submit"
                    class="button primary"
                    name="intent"
                    value="password"
                    aria-disabled=move || sent.pending.get().then_some("true")
                >
                    "Change password"
                </button>
            </form>
        </section>
    }
    .into_any()
}

fn sessions(all: &[SessionView], now: Signal<Timestamp>) -> AnyView {
    let when = move |at: Option<Timestamp>| match at {
        Some(at) => view! { <Ago at=at now=now /> }.into_any(),
        None => view! { <span class="muted">"unknown"</span> }.into_any(),
    };
    let rows: Vec<AnyView> = all
        .iter()
        .map(|session| {
            let browser = if session.browser.is_empty() {
                "Unknown browser".to_owned()
            } else {
                session.browser.clone()
            };
            view! {
                <tr>
                    <th scope="row">
                        {browser} {session.current.then(|| view! { <span class="label">"this one"</span> })}
                    </th>
                    <td data-label="From">{session.address.clone().unwrap_or_else(|| "unknown".into())}</td>
                    <td data-label="Since">{when(session.since)}</td>
                    <td data-label="Last seen">{when(session.seen)}</td>
                </tr>
            }
            .into_any()
        })
        .collect();
    view! {
        <table class="table">
            <caption class="visually-hidden">"Your sessions"</caption>
            <thead>
                <tr>
                    <th scope="col">"Browser"</th>
                    <th scope="col">"From"</th>
                    <th scope="col">"Since"</th>
                    <th scope="col">"Last seen"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
