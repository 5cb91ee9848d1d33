//! One promotion: what changes, how far it is, and what to do when it is stuck.
//!
//! It moves by itself: the event stream says that something changed, and the page reads again. Without a script there
//! is a link to read it again, and *Retry* is a plain form.

use crate::{
    api::{
        inbox::{approve, override_gate, reject},
        promotion::{CommitShown, PromotionView, cancel, promotion, retry},
    },
    components::{
        decide::DecisionPost,
        diff::Diff,
        flow_strip::{FlowEnd, FlowStrip},
        frame::{Crumb, Frame},
        icon::icon,
        image_change::{image_change, is_web},
        notice::ErrorSummary,
        preview,
        state_badge::{badge, meaning, word},
        stepper::Stepper,
        time::Ago,
        timeline::Timeline,
    },
    form::{Form, form, redirect},
    live,
    pages::{artifact, error::shown},
};

mod changes;
mod gates;
mod recalled;
mod registry;

use domain::{
    id::PromotionId,
    promotion::{Purpose, State, Step},
    time::Timestamp,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

/// The page of one promotion.
#[component]
pub fn PromotionPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let retried = form::<DecisionPost, (), _>(move |post| {
        let id = id.get_untracked();
        async move {
            let outcome = match post.intent.as_str() {
                "retry" => Some(retry(id).await),
                "cancel" => Some(cancel(id).await),
                "approve" => Some(approve(id, post.comment.clone()).await),
                "reject" => Some(reject(id, post.comment.clone()).await),
                "override" => Some(override_gate(id, post.gate.clone(), post.reason.clone()).await),
                _ => None,
            };
            (post, outcome)
        }
    });
    let read = live::read(
        move || id.get(),
        promotion,
        |id, change| change.promotion.as_deref() == Some(id),
    );
    let commits = changes::read(id);
    read.keep_reading(|view| view.state == State::Mirroring);
    // Written when it is there: on the server before the document's head is sent, in the browser with each reading.
    let title = RwSignal::new("Promotion".to_owned());
    let said = RwSignal::new(String::new());
    let crumbs = Signal::derive(move || {
        let here = format!("/promotions/{}", id.get());
        match read.get() {
            Some(Ok(view)) => crumbs(&view, here),
            _ => vec![Crumb::new("Promotion", here)],
        }
    });
    // A retry shows at once, also while the event stream is cut off.
    Effect::new(move |before: Option<()>| {
        if retried.done().is_some() && before.is_some() {
            read.refetch();
        }
    });
    view! {
        <Frame title crumbs>
            {move || {
                commits.wait();
                retried.done().and_then(|_| redirect(format!("/promotions/{}", id.get_untracked())))
            }} {shown(read, move |view| content(view, commits, retried, title, said))}
            <p class="visually-hidden" role="status" aria-live="polite">
                {said}
            </p>
        </Frame>
    }
    .into_any()
}

fn crumbs(view: &PromotionView, here: String) -> Vec<Crumb> {
    let board = format!("/w/{}/{}", view.workspace, view.project);
    let environment = format!("{board}/{}", view.environment);
    let resource = format!("{environment}/{}", view.resource);
    vec![
        Crumb::new(view.project.as_str(), board),
        Crumb::new(view.environment.as_str(), environment),
        Crumb::new(view.resource.as_str(), resource),
        Crumb::new("Promotion", here),
    ]
}

fn name(view: &PromotionView) -> String {
    format!("{} → {}", view.resource, view.environment)
}

fn content(
    view: Signal<PromotionView>,
    commits: changes::ReadChanges,
    retried: Form<DecisionPost, ()>,
    title: RwSignal<String>,
    said: RwSignal<String>,
) -> AnyView {
    title.set(view.with_untracked(name));
    // Says once that it has ended, to those who can't see it; nothing when it had ended before the page was opened.
    Effect::new(move |was: Option<State>| {
        view.with(|view| {
            if let Some(text) = ended(was, view) {
                said.set(text);
            }
            view.state
        })
    });
    let now = live::now(Signal::derive(move || view.with(|view| view.now)));
    let part = move |show: fn(&PromotionView, Signal<Timestamp>) -> AnyView| move || view.with(|view| show(view, now));
    view! {
        {part(head)}
        {failure(view, retried)}
        {gates::gates(view, now, retried)}
        {withdraw(view, retried)}
        <div class="promotion">
            <section class="steps stack" aria-labelledby="steps">
                <h2 id="steps">"Steps"</h2>
                {part(|view, now| view! { <Stepper steps=view.steps.clone() copy=view.copy.clone() now /> }.into_any())}
                {part(|view, _| in_argo_cd(view).into_any())}
            </section>
            <div class="evidence">
                {part(|view, _| change(view))}
                <section class="stack" aria-labelledby="image">
                    <h2 id="image">"Image"</h2>
                    {part(|view, now| {
                        let before = view.previous.as_ref().map(|image| (image, view.previous_details.as_ref()));
                        let life = artifact::link(view.workspace.as_str(), &view.image.digest);
                        view! {
                            {image_change(before, (&view.image, view.details.as_ref()), now)}
                            <p>{life}</p>
                        }
                        .into_any()
                    })}
                    {part(|view, now| registry::tags(view, now).into_any())}
                </section>
                {changes::section(view, commits, now)}
                {part(|view, now| registry::statement(view, now).into_any())}
            </div>
        </div>
        <section class="stack tight" aria-labelledby="story">
            <h2 id="story">"Timeline"</h2>
            {part(|view, now| view! { <Timeline entries=view.timeline.clone() now /> }.into_any())}
        </section>
    }
    .into_any()
}

fn head(view: &PromotionView, now: Signal<Timestamp>) -> AnyView {
    let ended = view.ended_at.map(|at| {
        view! {
            <span>
                "Ended " <Ago at now />
            </span>
        }
    });
    let waits_for = view.waits_for.clone().filter(|_| !view.state.is_ended());
    let reload = (!view.state.is_ended()).then(|| {
        view! {
            <p class="needs-no-script">
                "It is under way. " <a href=format!("/promotions/{}", view.id)>"Reload"</a> " to see how far it is."
            </p>
        }
    });
    let removed = view.is_removed.then(|| {
        let what = format!(
            "{}/{} was deleted. This is its history.",
            view.environment, view.resource
        );
        view! { <p class="muted">{what}</p> }
    });
    view! {
        <div class="stack">
            <div class="page-head">
                <div class="title">
                    <h1>{name(view)}</h1>
                    <p>{lead(view)}</p>
                    {preview::followers(&view.followers)}
                </div>
                {badge(meaning(view.state), word(view.state))}
            </div>
            {removed}
            {view.taken_back_by.map(|id| linked("What was healthy before is committed again:", "the way back", id))}
            {view.takes_back.map(|id| linked("It takes back", "a promotion that failed", id))}
            {waits_for.map(|why| view! { <p>{why}</p> })}
            {flow(view)}
            {recalled::recalled(view)}
            <p class="row muted">
                <span>
                    "Asked for by " <strong>{view.requested_by.clone()}</strong> " " <Ago at=view.created_at now />
                </span>
                {ended}
            </p>
            {reload}
        </div>
    }
    .into_any()
}

/// What to say when a promotion that was moving has ended.
fn ended(was: Option<State>, view: &PromotionView) -> Option<String> {
    let has_just_ended = was.is_some_and(|was| !was.is_ended()) && view.state.is_ended();
    has_just_ended.then(|| {
        let name = format!("{} in {}", view.resource, view.environment);
        match (view.state, &view.failure) {
            (State::Succeeded, _) => format!("Succeeded: {name} runs {}.", view.image.short_label()),
            (state, Some(failure)) => format!("{}: {name}. {}", word(state), failure.reason),
            (state, None) => format!("{}: {name}.", word(state)),
        }
    })
}

/// A sentence that leads to another promotion.
fn linked(before: &'static str, words: &'static str, id: PromotionId) -> AnyView {
    view! {
        <p>
            {before} " " <a href=format!("/promotions/{id}")>{words}</a> "."
        </p>
    }
    .into_any()
}

/// What it is for, a sentence.
fn lead(view: &PromotionView) -> String {
    let (resource, environment) = (&view.resource, &view.environment);
    match (view.purpose, &view.origin) {
        (Purpose::Promote, Some((from, source))) => {
            format!("Promotes the image of {from}/{source} to {environment}/{resource}.")
        }
        (Purpose::Pin, Some((from, source))) => {
            format!("Pins {environment}/{resource} to an image of {from}/{source}.")
        }
        (Purpose::Pin, None) => format!("Pins {environment}/{resource} to an image."),
        (Purpose::Rollback, _) => format!("Brings {environment}/{resource} back to an image that ran there before."),
        (Purpose::Promote | Purpose::Deploy, _) => format!("Deploys an image to {environment}/{resource}."),
    }
}

fn flow(view: &PromotionView) -> AnyView {
    let from = match &view.origin {
        Some((environment, resource)) => format!("{environment}/{resource}"),
        None => view.image.repository.to_string(),
    };
    // Until it is proven to be there, what ran there before.
    let there = match view.state {
        State::Succeeded => Some(view.image.clone()),
        _ => view.previous.clone(),
    };
    view! {
        <FlowStrip
            from=FlowEnd {
                place: from,
                image: Some(view.image.clone()),
            }
            to=FlowEnd {
                place: format!("{}/{}", view.environment, view.resource),
                image: there,
            }
        />
    }
    .into_any()
}

/// The application in Argo CD, where there is one.
fn in_argo_cd(view: &PromotionView) -> impl IntoView + use<> {
    view.application.clone().map(|(name, href)| {
        view! {
            <p>
                <a href=href rel="external noopener noreferrer">
                    {format!("Open {name} in Argo CD")}
                </a>
            </p>
        }
    })
}

/// All that was said of a failure, folded.
fn said(said: Vec<String>) -> Option<AnyView> {
    if said.is_empty() {
        return None;
    }
    let messages: Vec<_> = said
        .into_iter()
        .map(|message| view! { <li class="mono">{message}</li> })
        .collect();
    Some(
        view! {
            <details>
                <summary>"All that Argo CD said"</summary>
                <ul class="plain">{messages}</ul>
            </details>
        }
        .into_any(),
    )
}

/// Why it failed and what to do; nothing while it hasn't.
fn failure(view: Signal<PromotionView>, retried: Form<DecisionPost, ()>) -> AnyView {
    let failed = Memo::new(move |_| {
        view.with(|view| {
            let failure = view.failure.clone().filter(|_| view.state == State::Failed);
            failure.map(|failure| (failure, view.may_retry))
        })
    });
    let retry = move || {
        view! {
            <form method="post" on:submit=retried.on_submit()>
                <button
                    type="submit"
                    class="button primary"
                    name="intent"
                    value="retry"
                    aria-disabled=move || retried.pending.get().then_some("true")
                >
                    {icon("retry")}
                    "Retry"
                </button>
            </form>
        }
    };
    view! {
        {move || {
            failed
                .get()
                .map(|(failure, may_retry)| {
                    view! {
                        <section class="notice bad" aria-labelledby="failure">
                            {icon("bad")}
                            <div class="body">
                                <h2 id="failure">{format!("{} failed", deed(failure.step))}</h2>
                                <p class="reason">{failure.reason}</p>
                                {failure.remedy.map(|remedy| view! { <p class="remedy">{remedy}</p> })}
                                {said(failure.said)}
                                <ErrorSummary error=Signal::derive(move || {
                                    let is_it = retried.latest().is_some_and(|post| post.draft.intent == "retry");
                                    retried.error().filter(|_| is_it)
                                }) />
                                {may_retry.then(retry)}
                            </div>
                        </section>
                    }
                })
        }}
    }
    .into_any()
}

/// *Cancel*, as long as it can be withdrawn.
fn withdraw(view: Signal<PromotionView>, sent: Form<DecisionPost, ()>) -> AnyView {
    let may = Memo::new(move |_| view.with(|view| view.may_cancel));
    let error = Signal::derive(move || {
        let is_it = sent.latest().is_some_and(|post| post.draft.intent == "cancel");
        sent.error().filter(|_| is_it)
    });
    view! {
        <ErrorSummary error />
        {move || {
            may.get()
                .then(|| {
                    view! {
                        <form method="post" on:submit=sent.on_submit()>
                            <button
                                type="submit"
                                class="button"
                                name="intent"
                                value="cancel"
                                aria-disabled=move || sent.pending.get().then_some("true")
                            >
                                "Cancel promotion"
                            </button>
                        </form>
                    }
                })
        }}
    }
    .into_any()
}

/// What a step does, as a noun.
fn deed(step: Step) -> &'static str {
    match step {
        Step::Gates => "Checking the gates",
        Step::Resolve => "Resolving the image",
        Step::Mirror => "Copying the image",
        Step::Commit => "The commit",
        Step::Sync => "The sync",
        Step::Verify => "Verifying what is live",
    }
}

/// The commit; before there is one, what it would change.
fn change(view: &PromotionView) -> AnyView {
    let path = view.path.clone();
    let body = match (&view.commit, &view.preview) {
        (Some(commit), _) => {
            let other = view.shown_before.clone().map(|shown| {
                view! {
                    <div class="notice waiting">
                        {icon("waiting")}
                        <div class="body stack tight">
                            <p>"Others changed the file in between: the commit differs from what was expected when it was asked for, which was:"</p>
                            <Diff diff=shown label="What was expected" />
                        </div>
                    </div>
                }
            });
            view! { {committed(commit, &path)} {other} }.into_any()
        }
        (None, Some(preview)) if !preview.is_empty() => view! {
            <p class="muted">"Preview: the commit isn't made yet. It would change " <code>{path.clone()}</code> ":"</p>
            <Diff diff=preview.clone() label=format!("Preview of the change in {path}") />
        }
        .into_any(),
        (None, Some(_)) => view! {
            <p class="muted"><code>{path}</code> " says so already. There will be no commit."</p>
        }
        .into_any(),
        (None, None) if view.state.is_ended() => view! { <p class="muted">"No commit was made."</p> }.into_any(),
        (None, None) => view! {
            <p class="muted">"The commit will change " <code>{path}</code> "."</p>
        }
        .into_any(),
    };
    view! {
        <section class="stack tight" aria-labelledby="change">
            <h2 id="change">"Change in Git"</h2>
            {body}
        </section>
    }
    .into_any()
}

fn committed(commit: &CommitShown, path: &str) -> AnyView {
    let short: String = commit.commit.chars().take(7).collect();
    let name = match commit.url.clone().filter(|url| is_web(url)) {
        Some(url) => view! {
            <a class="mono" href=url rel="noreferrer" title=commit.commit.clone()>
                {short}
            </a>
        }
        .into_any(),
        None => view! {
            <code class="mono" title=commit.commit.clone()>
                {short}
            </code>
        }
        .into_any(),
    };
    let diff = if commit.diff.is_empty() {
        view! { <p class="muted"><code>{path.to_owned()}</code> " said so already. Nothing had to change."</p> }
            .into_any()
    } else {
        view! { <Diff diff=commit.diff.clone() label=format!("Change in {path}") /> }.into_any()
    };
    view! {
        <p class="commit">
            {icon("git")} {name} <span class="break">{commit.subject.clone()}</span>
            <span class="muted">"by " {commit.author.clone()}</span>
        </p>
        {diff}
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{artifact::ExactImage, promotion::Failure};

    fn view(state: State) -> PromotionView {
        let image = ExactImage {
            repository: "r.example/myapp/api".parse().unwrap(),
            tag: "v2".parse().ok(),
            digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        };
        PromotionView {
            recall: None,
            tags: Vec::new(),
            statement: None,
            copy: None,
            is_removed: false,
            id: "01934000-0000-7000-8000-000000000005".parse::<PromotionId>().unwrap(),
            workspace: "demo".parse().unwrap(),
            project: "myapp".parse().unwrap(),
            environment: "production".parse().unwrap(),
            resource: "api".parse().unwrap(),
            purpose: Purpose::Promote,
            requested_by: "Ada".into(),
            origin: Some(("staging".parse().unwrap(), "api".parse().unwrap())),
            image,
            details: None,
            previous: None,
            previous_details: None,
            state,
            waits_for: None,
            gates: Vec::new(),
            may_say: None,
            taken_back_by: None,
            takes_back: None,
            failure: None,
            followers: Vec::new(),
            steps: Vec::new(),
            path: "environments/production/values.yaml".into(),
            commit: None,
            application: None,
            preview: None,
            shown_before: None,
            timeline: Vec::new(),
            may_retry: false,
            may_cancel: false,
            created_at: Timestamp(0),
            ended_at: None,
            now: Timestamp(0),
        }
    }

    #[test]
    fn the_end_is_said_once_and_only_when_it_was_seen_coming() {
        let done = view(State::Succeeded);
        assert_eq!(ended(None, &done), None);
        assert_eq!(ended(Some(State::Succeeded), &done), None);
        assert_eq!(ended(Some(State::Syncing), &view(State::Verifying)), None);
        assert_eq!(
            ended(Some(State::Verifying), &done).as_deref(),
            Some("Succeeded: api in production runs v2.")
        );
        let failed = PromotionView {
            failure: Some(Failure {
                step: Step::Commit,
                reason: "Git refused the push.".into(),
                remedy: None,
                said: Vec::new(),
            }),
            ..view(State::Failed)
        };
        assert_eq!(
            ended(Some(State::Committing), &failed).as_deref(),
            Some("Failed: api in production. Git refused the push.")
        );
    }

    #[test]
    fn a_promotion_says_what_it_is_for_and_where_it_stands() {
        let mut view = view(State::Queued);
        assert_eq!(name(&view), "api → production");
        assert_eq!(lead(&view), "Promotes the image of staging/api to production/api.");
        let trail: Vec<String> = crumbs(&view, "/promotions/5".into())
            .into_iter()
            .map(|c| c.href)
            .collect();
        assert_eq!(
            trail,
            [
                "/w/demo/myapp",
                "/w/demo/myapp/production",
                "/w/demo/myapp/production/api",
                "/promotions/5"
            ]
        );
        view.origin = None;
        view.purpose = Purpose::Deploy;
        assert_eq!(lead(&view), "Deploys an image to production/api.");
    }
}
