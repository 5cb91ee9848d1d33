//! What an environment asks for, and, for administrators, the text that says so.

use crate::{
    api::policy::{PolicyView, policy, set_policy},
    components::{
        field::{Field, described_by, field_id, in_textarea},
        frame::{Crumb, Frame},
        notice::{ErrorSummary, Notice},
        state_badge::Meaning,
    },
    form::{Form, form},
    live,
    pages::error::shown,
};
use contract::error::AppError;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use serde::{Deserialize, Serialize};

const EXAMPLE: &str = "\
approvals: { count: 2, by: [{ role: approver }], requiredGroup: release }
checks: [{ name: integration, maxAgeHours: 24 }]
ranIn: [{ environment: staging, soakMinutes: 30, continuesWhenReplaced: true }]
freezes:
  - name: weekend
    timeZone: Europe/Berlin
    when: { weekly: { from: friday 17:00, to: monday 09:00 } }
signatures:
  - name: release
    key: |
      -----BEGIN PUBLIC KEY-----
      …
      -----END PUBLIC KEY-----
provenance:
  - name: ci
    builder: https://ci.example.com/build
    repository: https://git.example.com/acme/api
    key: |
      -----BEGIN PUBLIC KEY-----
      …
      -----END PUBLIC KEY-----
summaries:
  - name: platform
    verifier: https://waybill.example.com/verifier/v1
    policy: https://waybill.example.com/w/platform/base/production/-/policy
    levels: [WAYBILL_ENVIRONMENT_production]
    key: |
      -----BEGIN PUBLIC KEY-----
      …
      -----END PUBLIC KEY-----
overrides: [{ gates: [freeze, stop], by: [{ role: admin }] }]
onRollback: [check]
onFailure: takeBack
sync: service
attestation: required
";
/// A policy that asks for nothing.
const NOTHING: &str = "{}";

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct PolicyPost {
    /// The text.
    policy: String,
    /// The text as it was when the editing began: what others save meanwhile is not written over.
    before: Option<String>,
}

/// A policy's text as it is posted along: an empty one would count as none.
fn as_read(text: &str) -> String {
    match text.trim() {
        "" => NOTHING.to_owned(),
        _ => text.to_owned(),
    }
}

/// The page.
#[component]
pub fn PolicyPage() -> impl IntoView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        params.with(|p| {
            let get = |key: &str| p.get(key).unwrap_or_default();
            (get("workspace"), get("project"), get("environment"))
        })
    });
    let read = live::read(
        move || place.get(),
        |(workspace, project, name)| policy(workspace, project, name),
        |(workspace, project, _), changed| changed.concerns(workspace, project),
    );
    let sent = form::<PolicyPost, (), _>(move |mut post| {
        let (workspace, project, name) = place.get_untracked();
        async move {
            let (text, before) = (post.policy.clone(), post.before.clone());
            let outcome = set_policy(workspace.clone(), project.clone(), name.clone(), text, before).await;
            match &outcome {
                Ok(()) => post.before = Some(as_read(&post.policy)),
                // Who was told what the others saved, and saves again, means it.
                Err(AppError::Conflict(_)) => {
                    if let Ok(now) = policy(workspace, project, name).await {
                        post.before = Some(as_read(&now.text));
                    }
                }
                Err(_) => {}
            }
            (post, Some(outcome))
        }
    });
    Effect::new(move |before: Option<()>| {
        if sent.sent_and_done() && before.is_some() {
            read.refetch();
        }
    });
    let crumbs = Signal::derive(move || {
        let (workspace, project, name) = place.get();
        let board = format!("/w/{workspace}/{project}");
        let environment = format!("{board}/{name}");
        vec![
            Crumb::new(project, board),
            Crumb::new(name, environment.clone()),
            Crumb::new("Policy", format!("{environment}/-/policy")),
        ]
    });
    let title = Signal::derive(move || format!("Policy of {}", place.get().2));
    view! {
        <Frame title crumbs>
            <div class="page-head">
                <div class="title">
                    <h1>{title}</h1>
                    <p>"What must be there before an image may run here."</p>
                </div>
            </div>
            {shown(read, move |view| content(view, sent))}
        </Frame>
    }
    .into_any()
}

fn content(view: Signal<PolicyView>, sent: Form<PolicyPost, ()>) -> AnyView {
    let words = Memo::new(move |_| view.with(|view| view.words.clone()));
    let may_edit = Memo::new(move |_| view.with(|view| view.may_edit));
    let list = move || {
        let words = words.get();
        if words.is_empty() {
            return view! { <p class="muted">"Nothing: promotions to it start at once."</p> }.into_any();
        }
        let words: Vec<_> = words.into_iter().map(|words| view! { <li>{words}</li> }).collect();
        view! { <ul class="plain">{words}</ul> }.into_any()
    };
    let saved = move || {
        sent.done().map(|()| {
            view! {
                <Notice meaning=Meaning::Good>
                    <p>"Saved. Promotions that wait are looked at again."</p>
                </Notice>
            }
        })
    };
    view! {
        <section class="stack tight" aria-labelledby="asks">
            <h2 id="asks">"Gates"</h2>
            {list}
        </section>
        {saved}
        {move || may_edit.get().then(|| edit(view, sent))}
    }
    .into_any()
}

fn edit(view: Signal<PolicyView>, sent: Form<PolicyPost, ()>) -> AnyView {
    let text = untrack(move || {
        let typed = sent.posted_draft().map(|post| post.policy);
        typed.unwrap_or_else(|| view.with(|view| view.text.clone()))
    });
    let error = Signal::derive(move || sent.field_error("policy"));
    // As it was when it was put into the field, not as it is now.
    let first = untrack(move || view.with(|view| as_read(&view.text)));
    let before = move || {
        sent.latest()
            .and_then(|post| post.draft.before)
            .unwrap_or_else(|| first.clone())
    };
    view! {
        <form class="stack" method="post" on:submit=sent.on_submit() novalidate>
            <input type="hidden" name="before" value=before />
            <ErrorSummary error=Signal::derive(move || sent.error()) />
            <Field
                name="policy".to_owned()
                label="Policy"
                help="YAML, as below `policy` of an environment in the file of `waybill apply`. Empty asks for nothing."
                error
            >
                <textarea
                    class="control mono"
                    id=field_id("policy")
                    name="policy"
                    rows="14"
                    spellcheck="false"
                    aria-describedby=described_by("policy")
                    aria-invalid=move || error.get().is_some().then_some("true")
                >
                    {in_textarea(text)}
                </textarea>
            </Field>
            <div class="row">
                <button class="button primary" aria-disabled=move || sent.pending.get().then_some("true")>
                    "Save policy"
                </button>
            </div>
            <details>
                <summary>"An example with everything"</summary>
                <pre class="example">
                    <code>{EXAMPLE}</code>
                </pre>
            </details>
        </form>
    }
    .into_any()
}
