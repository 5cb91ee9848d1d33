//! One resource: what it runs and follows, what may be done now, how it runs, and what ran before.

use crate::{
    api::{
        board::{Behind, Cell, Follows, Truth},
        connection::PassedOver,
        preview::{preview_pin, preview_tags},
        resource::{ResourceView, change_tags, edit_pin, heal, promote, resource, resume, rollback, take_new_key},
    },
    components::{
        cell::{out_of_sight, starved_words},
        digest_chip::DigestChip,
        frame::{Crumb, Frame},
        notice::{ErrorSummary, Notice},
        state_badge::{Meaning, badge, meaning, word},
        time::Ago,
        truth::TruthLine,
    },
    form::{form, redirect},
    live,
    pages::{artifact, error::shown, recall},
};

mod actions;
mod history;
mod tags;

use actions::{ActionOutcome, ResourceForm, ResourcePost};
use domain::{artifact::Artifact, follow::Course, resource::Binding, resource::Runtime, time::Timestamp};
use leptos::prelude::*;
use leptos_router::{components::Redirect, hooks::use_params_map};

/// The names of the address.
#[derive(Clone, PartialEq, Eq, Debug)]
struct ResourceAddress {
    workspace: String,
    project: String,
    environment: String,
    resource: String,
}

impl ResourceAddress {
    fn board(&self) -> String {
        format!("/w/{}/{}", self.workspace, self.project)
    }
}

/// The page of one resource.
#[component]
pub fn ResourcePage() -> impl IntoView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        params.with(|params| {
            let name = |key: &str| params.get(key).unwrap_or_default();
            ResourceAddress {
                workspace: name("workspace"),
                project: name("project"),
                environment: name("environment"),
                resource: name("resource"),
            }
        })
    });
    let sent = form::<ResourcePost, ActionOutcome, _>(move |post| {
        let at = place.get_untracked();
        async move {
            let (w, p, e, r) = (at.workspace, at.project, at.environment, at.resource);
            let digest = post.digest.trim().to_owned();
            let started = |id| ActionOutcome::Started(Some(id));
            let makes_file = !post.create_file.is_empty();
            let outcome = match (post.intent.as_str(), post.rolls_back_to()) {
                ("promote", _) => Some(promote(w, p, e, r, makes_file).await.map(started)),
                ("resume", _) => Some(resume(w, p, e, r, makes_file).await.map(ActionOutcome::Started)),
                ("take-new-key", _) => Some(take_new_key(w, p, e, r).await.map(|()| ActionOutcome::Started(None))),
                ("tags" | "preview-tags", _) => {
                    let ResourcePost {
                        tags: order,
                        tags_value: value,
                        leave_out,
                        ..
                    } = post.clone();
                    Some(match post.intent.as_str() {
                        "tags" => {
                            let changed = change_tags(w, p, e, r, order, value, leave_out).await;
                            changed.map(|()| ActionOutcome::Started(None))
                        }
                        _ => {
                            let picked = preview_tags(w, p, e, r, order, value, leave_out).await;
                            picked.and_then(|outlook| outlook).map(ActionOutcome::Picked)
                        }
                    })
                }
                ("pin", _) => Some(edit_pin(w, p, e, r, digest, makes_file).await.map(started)),
                ("preview-pin", _) => {
                    let preview = preview_pin(w, p, e, r, digest).await;
                    Some(
                        preview
                            .and_then(|outlook| outlook)
                            .map(|preview| ActionOutcome::Previewed(Box::new(preview))),
                    )
                }
                _ if post.heals_from().is_some() => {
                    let from = post.heals_from().unwrap_or_default().to_owned();
                    Some(heal(w, p, e, r, from).await.map(|()| ActionOutcome::Started(None)))
                }
                (_, Some(back)) => Some(rollback(w, p, e, r, back.to_owned(), makes_file).await.map(started)),
                _ => None,
            };
            (post.used(), outcome)
        }
    });
    let read = live::read(
        move || place.get(),
        |at| resource(at.workspace, at.project, at.environment, at.resource),
        |at, change| change.concerns(&at.workspace, &at.project),
    );
    // Shows at once, also while the event stream is cut off.
    Effect::new(move |before: Option<()>| {
        if sent.sent_and_done() && before.is_some() {
            read.refetch();
        }
    });
    let crumbs = Signal::derive(move || {
        let at = place.get();
        let board = at.board();
        let environment = format!("{board}/{}", at.environment);
        let here = format!("{environment}/{}", at.resource);
        vec![
            Crumb::new(at.project, board),
            Crumb::new(at.environment, environment),
            Crumb::new(at.resource, here),
        ]
    });
    let title = Signal::derive(move || place.with(|at| format!("{} in {}", at.resource, at.environment)));
    view! {
        <Frame title crumbs>
            {move || {
                let posted = StoredValue::new(sent.posted_draft());
                shown(read, move |view| content(view, posted.get_value(), sent))
            }}
            {move || {
                match sent.done()? {
                    ActionOutcome::Started(Some(id)) => Some(view! { <Redirect path=format!("/promotions/{id}") /> }.into_any()),
                    // It caught up with nothing: the page itself says that nobody holds it any more.
                    ActionOutcome::Started(None) => {
                        let at = place.get_untracked();
                        redirect(format!("{}/{}/{}", at.board(), at.environment, at.resource))
                    }
                    ActionOutcome::Previewed(_) | ActionOutcome::Picked(_) => None,
                }
            }}
        </Frame>
    }
    .into_any()
}

fn content(view: Signal<ResourceView>, posted: Option<ResourcePost>, sent: ResourceForm) -> AnyView {
    let now = live::now(Signal::derive(move || view.with(|view| view.now)));
    let part = move |show: fn(&ResourceView, Signal<Timestamp>) -> AnyView| move || view.with(|view| show(view, now));
    view! {
        {part(head)}
        <div class="resource">
            <div class="stack">
                <section class="panel padded stack" aria-labelledby="runs">
                    <h2 id="runs">"What runs"</h2>
                    {part(recalls)}
                    {part(runs)}
                </section>
                {actions::actions(view, posted, sent, now)}
            </div>
            <section class="panel padded stack" aria-labelledby="runtime">
                <h2 id="runtime">"Runtime"</h2>
                {part(|view, _| runtime(&view.runtime))}
            </section>
        </div>
        <section class="stack tight" aria-labelledby="history">
            <h2 id="history">"History"</h2>
            <ErrorSummary error=actions::rollback_error(sent) />
            {move || view.with(|view| history::history(view, sent, now))}
        </section>
        {part(delete)}
    }
    .into_any()
}

fn head(view: &ResourceView, _: Signal<Timestamp>) -> AnyView {
    let protected = view
        .head
        .protected
        .then(|| view! { <span class="label">"Protected"</span> });
    view! {
        <div class="page-head">
            <div class="title">
                <h1>{view.name.to_string()}</h1>
                <p class="row">
                    <span>{format!("A {} in {} on {}.", view.cell.kind, view.head.name, view.head.cluster)}</span>
                    {protected}
                </p>
            </div>
        </div>
    }
    .into_any()
}

/// What is recalled of what it runs, and of what its source offers; that what it runs was never promoted; and the way to recall it.
fn recalls(view: &ResourceView, _: Signal<Timestamp>) -> AnyView {
    let workspace = view.workspace.as_str();
    let notices: Vec<AnyView> = (view.recalls.iter())
        .map(|notice| {
            let href = recall::address(workspace, notice.recall.digest.as_str());
            let means = match notice.here {
                true => "It runs or is to run here.",
                false => "It doesn't arrive here. The next image of the source that isn't recalled does.",
            };
            let words = notice.recall.words();
            let meaning = if notice.here { Meaning::Bad } else { Meaning::Quiet };
            view! {
                <Notice meaning>
                    <p>{words}</p>
                    <p>
                        {means} " " <a href=href>"All places"</a>
                    </p>
                </Notice>
            }
            .into_any()
        })
        .collect();
    let runs = view.cell.image.as_ref().map(|image| &image.digest);
    let is_known =
        |digest: &domain::artifact::Digest| view.recalls.iter().any(|notice| notice.recall.digest == *digest);
    let link = runs.filter(|digest| !is_known(digest)).map(|digest| {
        let href = recall::address(workspace, digest.as_str());
        view! {
            <p>
                <a href=href>{format!("Recall {}…", digest.short())}</a>
            </p>
        }
    });
    let unpromoted = view.is_unpromoted.then(|| {
        let href = format!("/w/{workspace}/{}/{}#unpromoted", view.project, view.head.name);
        view! {
            <Notice meaning=Meaning::Waiting>
                <p>
                    "What runs here was never promoted. " <a href=href>"Adopt it, or promote what Git declares"</a>
                </p>
            </Notice>
        }
    });
    view! {
        {notices}
        {unpromoted}
        {link}
    }
    .into_any()
}

/// The way to delete it, for those who may.
fn delete(view: &ResourceView, _: Signal<Timestamp>) -> AnyView {
    if !view.may_remove {
        return ().into_any();
    }
    let href = format!(
        "/w/{}/-/delete/project/{}/{}/{}",
        view.workspace, view.project, view.head.name, view.name
    );
    view! {
        <p>
            <a class="button plain danger small" href=href>
                {format!("Delete {}…", view.name)}
            </a>
        </p>
    }
    .into_any()
}

fn address(view: &ResourceView, environment: &str, resource: &str) -> String {
    format!("/w/{}/{}/{environment}/{resource}", view.workspace, view.project)
}

fn runs(view: &ResourceView, now: Signal<Timestamp>) -> AnyView {
    let cell = &view.cell;
    let image = match &cell.image {
        Some(image) => {
            let life = artifact::link(view.workspace.as_str(), &image.digest);
            view! { <DigestChip image=image.clone() tag=true copy=true /> " " {life} }.into_any()
        }
        None => match &cell.unclear {
            Some(unclear) => {
                view! { <span class="says bad">{format!("{}.", unclear.trim_end_matches('.'))}</span> }.into_any()
            }
            None => view! { <span class="muted">"Git declares no exact image yet."</span> }.into_any(),
        },
    };
    let off = cell.switched_off.then(|| {
        view! {
            <dt>"Switched off"</dt>
            <dd>"Git has it switched off (enabled: false). Where the chart heeds that, nothing of it runs."</dd>
        }
    });
    let since = cell.since.map(|at| {
        view! {
            <dt>"Since"</dt>
            <dd>
                <Ago at now />
            </dd>
        }
    });
    let outside = cell.outside.as_ref().map(|outside| {
        let short = outside.commit.get(..7).unwrap_or_default().to_owned();
        view! {
            <dt>"Changed in Git"</dt>
            <dd>
                {format!("by {}, without Waybill: ", outside.author)} <code class="mono">{short}</code> " "
                <span class="break">{outside.subject.clone()}</span>
            </dd>
        }
    });
    let moving = cell.moving.as_ref().map(|moving| {
        let href = format!("/promotions/{}", moving.id);
        view! {
            <dt>"On its way"</dt>
            <dd class="row">
                <DigestChip image=moving.image.clone() tag=true />
                {badge(meaning(moving.state), word(moving.state))}
                <a href=href>"Promotion"</a>
                {starved_words(moving, now)}
            </dd>
        }
    });
    let failed = cell.failed.map(|id| {
        view! {
            <dt>"Last promotion"</dt>
            <dd class="row">
                {badge(meaning(domain::promotion::State::Failed), word(domain::promotion::State::Failed))}
                <a href=format!("/promotions/{id}")>"See why"</a>
            </dd>
        }
    });
    let runs_from = cell.image.as_ref().map(|image| &image.repository);
    let repository = runs_from.or(view.repository.as_ref()).map(|repository| {
        view! {
            <dt>"Repository"</dt>
            <dd class="mono">{repository.to_string()}</dd>
        }
    });
    let key = (!view.key.is(&view.name)).then(|| {
        view! {
            <dt>"Key in Git"</dt>
            <dd class="mono break">{view.key.to_string()}</dd>
        }
    });
    let tags = (view.tags.len() > 1).then(|| {
        let tags: Vec<&str> = view.tags.iter().map(domain::artifact::Tag::as_str).collect();
        view! {
            <dt>"Tags"</dt>
            <dd class="mono">{tags.join(", ")}</dd>
        }
    });
    view! {
        <dl class="facts">
            <dt>"Image"</dt>
            <dd>{image}</dd>
            {off}
            {tags}
            {since}
            {outside}
            <dt>"Live"</dt>
            <dd>
                <TruthLine truth=cell.truth.clone() />
                {out_of_sight(cell, now)}
                {no_application(view, cell)}
            </dd>
            {moving}
            {failed}
            {view.unseen.clone().map(|why| view! {
                <dt>"In the registry"</dt>
                <dd>{format!("Waybill can't check whether the image can still be pulled. {why}")}</dd>
            })}
            {repository}
            {key}
            <dt>"Follows"</dt>
            <dd>{follows(view, &cell.follows)}</dd>
            {view.counts.as_ref().map(|rule| view! {
                <dt>"Tags that count"</dt>
                <dd>{rule.words()}</dd>
            })}
            {passed_over(view, now)}
            <dt>"Followed by"</dt>
            <dd>{followers(view)}</dd>
        </dl>
    }
    .into_any()
}

/// Why nothing is known where Argo CD has no Application; the environment's page names it.
fn no_application(view: &ResourceView, cell: &Cell) -> Option<AnyView> {
    let href = format!("/w/{}/{}/{}", view.workspace, view.project, view.head.name);
    (cell.truth == Truth::NoApplication).then(|| {
        view! {
            <p class="muted">
                "Argo CD has no Application for " <a href=href>{view.head.name.to_string()}</a>
                ", or Waybill's token may not see it. What runs there is not known until it can be read."
            </p>
        }
        .into_any()
    })
}

fn follows(view: &ResourceView, follows: &Follows) -> AnyView {
    let source = match &follows.source {
        Some((environment, resource)) => {
            let href = address(view, environment.as_str(), resource.as_str());
            view! { <a href=href>{format!("{environment}/{resource}")}</a> }.into_any()
        }
        None => view! { <span>"Its image repository"</span> }.into_any(),
    };
    let how = match &follows.binding {
        Binding::TrackLatest => "Tracks latest",
        Binding::Pin(_) => "Pinned to digest",
    };
    view! {
        {source}
        " "
        <span class="label">{how}</span>
    }
    .into_any()
}

/// What its repository holds, and automation doesn't deploy: it is older than what runs, or no image to run.
fn passed_over(view: &ResourceView, now: Signal<Timestamp>) -> Option<AnyView> {
    if view.backdated.is_empty() && view.passed_over.is_empty() {
        return None;
    }
    let backdated = |artifact: &Artifact| {
        view! {
            <li>
                <span class="mono">{artifact.image.short_label().to_owned()}</span>
                " was pushed "
                <Ago at=artifact.seen_at now />
                ", but was built before what runs. Promote it by hand."
            </li>
        }
    };
    let unread = |tag: &PassedOver| {
        view! {
            <li>
                <span class="mono">{tag.image.clone()}</span>
                ": "
                {tag.why.clone()}
            </li>
        }
    };
    let list = view! {
        <dt>"Passed over"</dt>
        <dd>
            <ul>
                {view.backdated.iter().map(backdated).collect_view()}
                {view.passed_over.iter().map(unread).collect_view()}
            </ul>
        </dd>
    };
    Some(list.into_any())
}

fn followers(view: &ResourceView) -> AnyView {
    if view.followers.is_empty() {
        return view! { <span class="muted">"Nobody"</span> }.into_any();
    }
    let links: Vec<_> = view
        .followers
        .iter()
        .map(|(environment, resource)| {
            let href = address(view, environment.as_str(), resource.as_str());
            view! {
                <li>
                    <a href=href>{format!("{environment}/{resource}")}</a>
                </li>
            }
        })
        .collect();
    view! { <ul class="row">{links}</ul> }.into_any()
}

/// How far it is behind its source: `3 artifacts behind development`.
fn behind_words(cell: &Cell) -> Option<String> {
    let Behind {
        course,
        count,
        of,
        latest,
    } = cell.behind.as_ref()?;
    let latest = latest.short_label();
    let from = of.as_ref().map_or("its image repository", |name| name.as_str());
    Some(match (course, count) {
        (Course::Older, _) if of.is_some() => format!("Ahead of its source: {from} went back to {latest}"),
        // An image is gone from it, or which tags count was changed.
        (Course::Older, _) => format!("Ahead of {from}, where {latest} is the newest that counts"),
        (_, Some(1)) => format!("1 artifact behind {from}"),
        (_, Some(n)) => format!("{n} artifacts behind {from}"),
        (Course::Newer | Course::Same, None) => format!("Behind {from}"),
        (Course::Unknown, None) => format!("Differs from {from}"),
    })
}

fn runtime(runtime: &Runtime) -> AnyView {
    let text = |term: &'static str, value: Option<String>| {
        value.map(|value| {
            view! {
                <dt>{term}</dt>
                <dd class="mono">{value}</dd>
            }
        })
    };
    let ports: Vec<String> = runtime.ports.iter().map(ToString::to_string).collect();
    let ports_term = if ports.len() > 1 { "Ports" } else { "Port" };
    let env = (!runtime.env.is_empty()).then(|| {
        let rows: Vec<_> = runtime
            .env
            .iter()
            .map(|(name, value)| view! { <li class="mono break">{format!("{name}={value}")}</li> })
            .collect();
        view! {
            <div class="stack tight">
                <h3>"Environment variables"</h3>
                <ul>{rows}</ul>
            </div>
        }
    });
    if *runtime == Runtime::default() {
        return view! { <p class="muted">"All of it is left to the chart."</p> }.into_any();
    }
    view! {
        <dl class="facts">
            {text("Replicas", runtime.replicas.map(|n| n.to_string()))}
            {text(ports_term, (!ports.is_empty()).then(|| ports.join(", ")))}
            {text("Ingress host", runtime.ingress_host.clone())}
            {text("Resource size", runtime.size.map(|size| size.as_str().to_owned()))}
            {text("Health path", runtime.health_path.clone())}
        </dl>
        {env}
    }
    .into_any()
}
