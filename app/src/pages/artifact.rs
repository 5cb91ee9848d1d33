//! One image: where it comes from, what vouches for it, where it went, and the export of all that.

use crate::{
    api::artifact::{AdoptionShown, CheckShown, CopyShown, Custody, Evidence, Held, Stage, TagShown, custody},
    components::{
        digest_chip::BareDigest,
        frame::{Crumb, Frame},
        image_change::is_web,
        notice::Notice,
        state_badge::{Meaning, badge, meaning, word},
    },
    live,
    pages::error::shown,
};
use domain::{
    artifact::Digest,
    bytes,
    custody::{Fact, FactKind},
    gate::CheckStatus,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

/// The page.
#[component]
pub fn ArtifactPage() -> impl IntoView {
    let params = use_params_map();
    let which = Memo::new(move |_| {
        params.with(|p| {
            let get = |key: &str| p.get(key).unwrap_or_default();
            (get("workspace"), get("digest"))
        })
    });
    let read = live::read(
        move || which.get(),
        |(workspace, digest)| custody(workspace, digest),
        |(workspace, _), changed| changed.workspace == *workspace,
    );
    let title = Signal::derive(move || named(&which.get().1));
    let crumbs = Signal::derive(move || {
        let (workspace, digest) = which.get();
        vec![
            Crumb::new(workspace.clone(), "/"),
            Crumb::new(title.get(), format!("/w/{workspace}/-/artifacts/{digest}")),
        ]
    });
    view! {
        <Frame title crumbs>
            {shown(read, content)}
        </Frame>
    }
    .into_any()
}

fn content(view: Signal<Custody>) -> AnyView {
    let whole = move || view.with(page);
    view! { {whole} }.into_any()
}

fn page(view: &Custody) -> AnyView {
    let (workspace, digest) = (&view.workspace, &view.digest);
    let export = format!("/api/v1/artifacts/{digest}/custody?workspace={workspace}");
    let hidden = match view.hidden {
        0 => None,
        1 => Some("1 more promotion went to an environment that you may not see.".to_owned()),
        more => Some(format!(
            "{more} more promotions went to environments that you may not see."
        )),
    };
    let is_cut = view
        .is_cut
        .then_some("Older promotions are left out here and in the export.");
    let conflicts = (!view.conflicts.is_empty()).then(|| {
        let kinds: Vec<&str> = view.conflicts.iter().map(|kind| kind.title()).collect();
        let words = format!("The sources differ about: {}.", kinds.join(", "));
        view! {
            <Notice meaning=Meaning::Waiting>
                <p>{words}</p>
            </Notice>
        }
    });
    let journey = match view.journey.is_empty() {
        true => view! { <p class="muted">"It was promoted nowhere that you may see."</p> }.into_any(),
        false => view! { <ol class="journey">{view.journey.iter().map(stage).collect_view()}</ol> }.into_any(),
    };
    view! {
        <div class="page-head">
            <div class="title">
                <h1>{named(digest.as_str())}</h1>
                <BareDigest digest=digest.clone() />
            </div>
        </div>
        <div class="stack">
            {held(&view.held)}
            <section class="stack tight" aria-labelledby="origin">
                <h2 id="origin">"Origin"</h2>
                {conflicts}
                {origin(&view.origin)}
            </section>
            <section class="stack tight" aria-labelledby="evidence">
                <h2 id="evidence">"Evidence"</h2>
                {evidence(&view.evidence, &view.checks)}
            </section>
            <section class="stack tight" aria-labelledby="journey">
                <h2 id="journey">"Journey"</h2>
                {journey}
                {hidden.map(|words| view! { <p class="muted">{words}</p> })}
                {is_cut.map(|words| view! { <p class="muted">{words}</p> })}
            </section>
            {adoptions(&view.adoptions)}
            {tags(&view.tags)}
            {copies(&view.copies)}
            <section class="stack tight" aria-labelledby="export">
                <h2 id="export">"Export"</h2>
                <p>
                    "The same as a file: " <a href=export.clone() rel="external" download>"JSON"</a> ", and the signed statements as "
                    <a href=format!("{export}&format=bundle") rel="external" download>
                        "Sigstore bundles"
                    </a> " or " <a href=format!("{export}&format=envelopes") rel="external" download>
                        "envelopes"
                    </a> "."
                </p>
            </section>
        </div>
    }
    .into_any()
}

fn held(held: &[Held]) -> AnyView {
    let row = |one: &Held| {
        let name = match &one.tag {
            Some(tag) => format!("{}:{tag}", one.repository),
            None => one.repository.to_string(),
        };
        let size = one.size_bytes.map(bytes::shown).unwrap_or_else(|| "unknown".into());
        view! {
            <tr>
                <th scope="row" class="mono">
                    {name}
                </th>
                <td data-label="Size">{size}</td>
                <td data-label="Platforms">{one.platforms.join(", ")}</td>
                <td data-label="First seen">{time(&one.seen_at)}</td>
            </tr>
        }
    };
    view! {
        <table class="table">
            <caption class="visually-hidden">"Repositories that hold it"</caption>
            <thead>
                <tr>
                    <th scope="col">"Repository"</th>
                    <th scope="col">"Size"</th>
                    <th scope="col">"Platforms"</th>
                    <th scope="col">"First seen"</th>
                </tr>
            </thead>
            <tbody>{held.iter().map(row).collect_view()}</tbody>
        </table>
    }
    .into_any()
}

fn origin(facts: &[Fact]) -> AnyView {
    if facts.is_empty() {
        return view! {
            <p class="muted">
                "Unknown. Build the image with the labels org.opencontainers.image.source and .revision, or ask for provenance in a policy."
            </p>
        }
        .into_any();
    }
    let row = |fact: &Fact| {
        let value = match is_web(&fact.value) {
            true => view! { <a href=fact.value.clone() rel="noreferrer">{fact.value.clone()}</a> }.into_any(),
            false if fact.kind == FactKind::BuiltAt => fact.value.clone().into_any(),
            false => view! { <span class="mono">{fact.value.clone()}</span> }.into_any(),
        };
        view! {
            <dt>{fact.kind.title()}</dt>
            <dd>
                {value} " " <span class="muted">{format!("{}, {}", fact.level.word(), fact.by)}</span>
            </dd>
        }
    };
    view! { <dl class="facts">{facts.iter().map(row).collect_view()}</dl> }.into_any()
}

fn evidence(evidence: &[Evidence], checks: &[CheckShown]) -> AnyView {
    if evidence.is_empty() && checks.is_empty() {
        return view! {
            <p class="muted">
                "None yet. What a policy asks for appears here once it was looked for, and checks once CI reports them."
            </p>
        }
        .into_any();
    }
    let found = |one: &Evidence| {
        let state = match one.is_valid {
            true => badge(Meaning::Good, "Valid"),
            false => badge(Meaning::Waiting, "Missing"),
        };
        view! {
            <dt>{one.gate.clone()}</dt>
            <dd>{state} " " {one.why.clone()}</dd>
        }
    };
    let check = |one: &CheckShown| {
        let state = match one.status {
            CheckStatus::Passed => badge(Meaning::Good, "Passed"),
            CheckStatus::Pending => badge(Meaning::Moving, "Running"),
            _ => badge(Meaning::Bad, "Failed"),
        };
        let report = one.url.clone().filter(|url| is_web(url)).map(|url| {
            view! {
                " "
                <a href=url rel="noreferrer">
                    "Report"
                </a>
            }
        });
        view! {
            <dt>{format!("Check {}", one.name)}</dt>
            <dd>
                {state} " " {one.summary.clone()} " " <span class="muted">{format!("by {}, ", one.by)} {time(&one.at)}</span>
                {report}
            </dd>
        }
    };
    view! {
        <dl class="facts">
            {evidence.iter().map(found).collect_view()} {checks.iter().map(check).collect_view()}
        </dl>
    }
    .into_any()
}

fn stage(stage: &Stage) -> AnyView {
    let place = format!("{} / {} / {}", stage.project, stage.environment, stage.resource);
    let gates: Vec<String> = (stage.gates.iter())
        .map(|gate| format!("{}: {}", gate.id.title(), gate.short))
        .collect();
    let line = |what: &'static str, lines: Vec<String>| {
        (!lines.is_empty()).then(|| {
            let each = |line: String| view! { <li>{line}</li> };
            view! {
                <dt>{what}</dt>
                <dd>
                    <ul class="plain-list">{lines.into_iter().map(each).collect_view()}</ul>
                </dd>
            }
        })
    };
    let ran = stage.ran.iter().map(|(since, until)| match until {
        Some(until) => format!("{} to {}", exact(since), exact(until)),
        None => format!("since {}", exact(since)),
    });
    view! {
        <li class="panel padded stack tight">
            <div class="row">
                <a href=format!("/promotions/{}", stage.promotion)>{place}</a>
                {badge(meaning(stage.state), word(stage.state))}
            </div>
            <dl class="facts">
                <dt>"Requested"</dt>
                <dd>{format!("by {}, ", stage.by)} {time(&stage.at)}</dd>
                {stage.commit.clone().map(|commit| view! {
                    <dt>"Commit"</dt>
                    <dd class="mono">{commit}</dd>
                })}
                {line("Gates", gates)}
                {line("Decisions", stage.decisions.clone())}
                {line("Live and healthy", ran.collect())}
                {stage.statement.clone().map(|digest| view! {
                    <dt>"Signed statement"</dt>
                    <dd class="mono">{digest}</dd>
                })}
            </dl>
        </li>
    }
    .into_any()
}

fn adoptions(adoptions: &[AdoptionShown]) -> Option<AnyView> {
    let line = |one: &AdoptionShown| {
        let place = format!("{} / {} / {}", one.project, one.environment, one.resource);
        let reason = one.reason.as_ref().map(|reason| format!(": {reason}"));
        view! { <li>{format!("{} adopted it in {place} at ", one.by)} {time(&one.at)} {reason}</li> }
    };
    (!adoptions.is_empty()).then(|| {
        view! {
            <section class="stack tight" aria-labelledby="adopted">
                <h2 id="adopted">"Adopted without a promotion"</h2>
                <ul class="plain">{adoptions.iter().map(line).collect_view()}</ul>
            </section>
        }
        .into_any()
    })
}

fn tags(tags: &[TagShown]) -> Option<AnyView> {
    if tags.is_empty() {
        return None;
    }
    let row = |one: &TagShown| {
        let moved = one.is_moved.then_some(" Someone else moved it since.");
        view! {
            <tr>
                <th scope="row" class="mono">
                    {format!("{}:{}", one.repository, one.tag)}
                </th>
                <td data-label="Environment">{format!("{} / {}, {}", one.project, one.environment, one.usage)}</td>
                <td data-label="Set">{time(&one.set_at)} {moved}</td>
            </tr>
        }
    };
    Some(
        view! {
            <section class="stack tight" aria-labelledby="tags">
                <h2 id="tags">"Tags"</h2>
                <table class="table">
                    <caption class="visually-hidden">"Tags that Waybill set on it"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Tag"</th>
                            <th scope="col">"Environment"</th>
                            <th scope="col">"Set"</th>
                        </tr>
                    </thead>
                    <tbody>{tags.iter().map(row).collect_view()}</tbody>
                </table>
            </section>
        }
        .into_any(),
    )
}

fn copies(copies: &[CopyShown]) -> Option<AnyView> {
    if copies.is_empty() {
        return None;
    }
    let row = |copy: &CopyShown| {
        let ended = copy.ended_at.as_deref().map(time);
        view! {
            <tr>
                <th scope="row" class="mono">
                    {format!("{} → {}", copy.source, copy.target)}
                </th>
                <td data-label="State">{copy.state.clone()} " " {copy.failure.clone()}</td>
                <td data-label="Ended">{ended}</td>
            </tr>
        }
    };
    Some(
        view! {
            <section class="stack tight" aria-labelledby="copies">
                <h2 id="copies">"Copies"</h2>
                <table class="table">
                    <caption class="visually-hidden">"Copies between registries"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"From and to"</th>
                            <th scope="col">"State"</th>
                            <th scope="col">"Ended"</th>
                        </tr>
                    </thead>
                    <tbody>{copies.iter().map(row).collect_view()}</tbody>
                </table>
            </section>
        }
        .into_any(),
    )
}

/// A link to the page of an image.
#[must_use]
pub fn link(workspace: &str, digest: &Digest) -> AnyView {
    let page = format!("/w/{workspace}/-/artifacts/{digest}");
    view! { <a href=page>"Origin and journey"</a> }.into_any()
}

/// The page's title.
fn named(digest: &str) -> String {
    match digest.parse::<Digest>() {
        Ok(digest) => format!("Image {}", digest.short()),
        Err(_) => "Image".to_owned(),
    }
}

/// A time of the export, as it is read.
fn exact(at: &str) -> String {
    at.replace('T', " ").replace('Z', " UTC")
}

fn time(at: &str) -> AnyView {
    view! { <time datetime=at.to_owned()>{exact(at)}</time> }.into_any()
}
