//! The form *Create Resource*: where the image comes from, how it is followed, how the resource runs.
//!
//! It is one plain form. Without a script each of its buttons posts it ([`post`]), and the page comes back with what was
//! typed; with one, [`state`] reads the same form after every input, so that choices narrow, errors appear in place, and
//! the summary ([`outlook`]) always says what would happen. Its parts: [`source`], [`binding`], [`runtime`].

use crate::{
    api::{
        environment::{EnvironmentView, create_resource, environment, form_options},
        preview::preview_create,
    },
    components::{
        frame::{Crumb, Frame},
        notice::ErrorSummary,
        preview::foresee,
        summary::Summary,
    },
    form::{Form, form},
    pages::error::error_view,
};
use contract::error::AppError;

mod binding;
mod outlook;
mod parts;
mod post;
mod runtime;
mod source;
mod state;

use domain::draft::FormOptions;
use leptos::{ev, prelude::*};
use leptos_router::{components::Redirect, hooks::use_params_map};
use post::{CreateOutcome, Intent, Submission};
use state::FormState;

/// The names of the address.
#[derive(Clone, PartialEq, Eq, Debug)]
struct EnvironmentAddress {
    workspace: String,
    project: String,
    environment: String,
}

impl EnvironmentAddress {
    fn board(&self) -> String {
        format!("/w/{}/{}", self.workspace, self.project)
    }

    fn environment(&self) -> String {
        format!("{}/{}", self.board(), self.environment)
    }
}

/// The page with the form.
#[component]
pub fn CreateResource() -> impl IntoView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        params.with(|params| {
            let name = |key: &str| params.get(key).unwrap_or_default();
            EnvironmentAddress {
                workspace: name("workspace"),
                project: name("project"),
                environment: name("environment"),
            }
        })
    });
    let sent = form::<Submission, CreateOutcome, _>(move |mut submission| {
        let place = place.get_untracked();
        async move {
            let intent = Intent::parse(&submission.intent);
            intent.apply(&mut submission.draft);
            let draft = submission.draft.clone();
            let (w, p, e) = (place.workspace, place.project, place.environment);
            let outcome = match intent {
                Intent::Create => Some(create_resource(w, p, e, draft).await.map(CreateOutcome::Created)),
                Intent::Preview => {
                    let preview = preview_create(w, p, e, draft).await;
                    Some(
                        preview
                            .and_then(|outlook| outlook)
                            .map(|preview| CreateOutcome::Previewed(Box::new(preview))),
                    )
                }
                _ => None,
            };
            (submission, outcome)
        }
    });
    // Read once: what is offered must not change under somebody's hands.
    let read = Resource::new(
        move || place.get(),
        |place| async move {
            let here = environment(
                place.workspace.clone(),
                place.project.clone(),
                place.environment.clone(),
            );
            let here = here.await?;
            let options = form_options(place.workspace, place.project, place.environment).await?;
            Ok::<_, AppError>((here, options))
        },
    );
    let crumbs = Signal::derive(move || {
        let place = place.get();
        vec![
            Crumb::new(place.project.clone(), place.board()),
            Crumb::new(place.environment.clone(), place.environment()),
            Crumb::new("Create resource", format!("{}/-/new", place.environment())),
        ]
    });
    let title = Signal::derive(move || format!("Create resource in {}", place.with(|p| p.environment.clone())));
    view! {
        <Frame title crumbs>
            {move || {
                let posted = sent.posted_draft();
                read.get()
                    .map(|read| match read {
                        Ok((here, options)) => the_form(&here, options, posted, sent, place).into_any(),
                        Err(error) => error_view(error),
                    })
            }}
            {move || {
                sent.done()
                    .and_then(|done| match done {
                        CreateOutcome::Created(id) => Some(view! { <Redirect path=format!("/promotions/{id}") /> }),
                        CreateOutcome::Previewed(_) => None,
                    })
            }}
        </Frame>
    }
    .into_any()
}

fn the_form(
    here: &EnvironmentView,
    options: FormOptions,
    posted: Option<Submission>,
    sent: Form<Submission, CreateOutcome>,
    place: Memo<EnvironmentAddress>,
) -> AnyView {
    let (draft, focus) = match posted {
        Some(posted) => {
            let focus = Intent::parse(&posted.intent).focus(&posted.draft);
            (posted.draft, focus)
        }
        None => (outlook::fresh(&options), None),
    };
    let state = FormState::new(options, draft, untrack(move || sent.error()), focus);
    let now = here.now;
    let environment = here.head.name.to_string();
    let is_protected = here.head.protected;
    let summary = state.memo(outlook::outlook);
    let first = untrack(move || sent.done()).and_then(|done| match done {
        CreateOutcome::Previewed(preview) => Some(*preview),
        CreateOutcome::Created(_) => None,
    });
    let complete = state.memo(|draft, options| draft.check(options).is_ok().then(|| draft.clone()));
    let leaves = Signal::derive(move || sent.pending.get() || sent.sent_and_done());
    let foreseen = foresee(first, complete, leaves, move |draft| {
        let place = place.get_untracked();
        preview_create(place.workspace, place.project, place.environment, draft)
    });

    // What came of sending it in place.
    Effect::new(move |before: Option<()>| {
        let error = sent.error();
        if let (Some(()), Some(error)) = (before, error) {
            state.refuse(error);
        }
    });
    let on_submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if let Some(draft) = state.checked() {
            sent.send(Submission {
                draft,
                intent: String::new(),
            });
        }
    };
    view! {
        <div class="page-head">
            <div class="title">
                <h1>{format!("Create resource in {environment}")}</h1>
                {is_protected
                    .then(|| view! { <p>"This environment is protected: only approvers may change what runs here."</p> })}
            </div>
        </div>
        <form
            class="create"
            method="post"
            novalidate
            node_ref=state.form
            on:submit=on_submit
            on:input=move |event| state.typed_in(event.target())
            on:change=move |event| state.typed_in(event.target())
            on:focusout=move |event| state.left(event.target())
        >
            // The button that Enter presses: browsers take the first of the form.
            <button type="submit" class="visually-hidden" name="intent" value="create" tabindex="-1" aria-hidden="true">
                "Create Resource"
            </button>
            <ErrorSummary error=state.summary() />
            <div class="columns">
            <div class="parts">
                {source::source_fields(state, now)} {binding::binding_fields(state, now)} {runtime::runtime_fields(state)}
                {parts::file_to_make(state)}
            </div>
            <aside class="aside" aria-labelledby="summary">
                <h2 id="summary">"Summary"</h2>
                <Summary summary foreseen now=Signal::stored(now) />
            </aside>
            <div class="actions">
                <button
                    type="submit"
                    class="button primary"
                    name="intent"
                    value="create"
                    aria-disabled=move || sent.pending.get().then_some("true")
                >
                    "Create Resource"
                </button>
                <button type="submit" class="button needs-no-script" name="intent" value="preview">
                    "Preview the change"
                </button>
                <a class="button plain" href=move || place.get().environment()>
                    "Cancel"
                </a>
            </div>
            </div>
        </form>
    }
    .into_any()
}
