//! Where images of an environment come from before they run there, which tags they get in the registry, and how those stand.

use crate::{
    api::environment_images::{
        EnvironmentImagesView, ImagesDraft, TagState, TagView, environment_images, set_environment_images,
        set_tags_again,
    },
    components::{
        digest_chip::BareDigest,
        field::{TextField, attachments_field, tick},
        frame::{Crumb, Frame},
        notice::{ErrorSummary, Notice},
        state_badge::Meaning,
        tag_state::tag_state,
    },
    form::{Form, form},
    live,
    pages::error::shown,
};
use domain::{environment_tags::TagUse, time::Timestamp};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use serde::{Deserialize, Serialize};

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ImagesPost {
    /// The word of the button.
    intent: String,
    /// The form.
    images: ImagesDraft,
}

/// The button that saves.
const SAVE: &str = "save";
/// The button that has all tags set again.
const AGAIN: &str = "set-again";

/// The page.
#[component]
pub fn EnvironmentImages() -> impl IntoView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        params.with(|p| {
            let get = |key: &str| p.get(key).unwrap_or_default();
            (get("workspace"), get("project"), get("environment"))
        })
    });
    let read = live::read(
        move || place.get(),
        |(workspace, project, name)| environment_images(workspace, project, name),
        |(workspace, project, _), changed| changed.concerns(workspace, project),
    );
    let sent = form::<ImagesPost, (), _>(move |post| {
        let (workspace, project, name) = place.get_untracked();
        async move {
            let outcome = match post.intent.as_str() {
                AGAIN => set_tags_again(workspace, project, name).await,
                SAVE => set_environment_images(workspace, project, name, post.images.clone()).await,
                // No button of the page: an empty form would take everything away.
                _ => return (post, None),
            };
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
            Crumb::new("Images", format!("{environment}/-/images")),
        ]
    });
    let title = Signal::derive(move || format!("Images of {}", place.get().2));
    view! {
        <Frame title crumbs>
            <div class="page-head">
                <div class="title">
                    <h1>{title}</h1>
                    <p>"Where images are copied to before they run here, and the tags they get in the registry."</p>
                </div>
            </div>
            {shown(read, move |view| content(view, sent, place))}
        </Frame>
    }
    .into_any()
}

type Place = Memo<(String, String, String)>;

fn content(view: Signal<EnvironmentImagesView>, sent: Form<ImagesPost, ()>, place: Place) -> AnyView {
    let may_edit = Memo::new(move |_| view.with(|view| view.may_edit));
    let may_change = Memo::new(move |_| view.with(|view| view.may_change));
    let now = live::now(Signal::derive(move || view.with(|view| view.now)));
    let tags = Memo::new(move |_| view.with(|view| view.tags.clone()));
    let said = move || {
        sent.done().map(|()| {
            let again = sent.latest().is_some_and(|post| post.draft.intent == AGAIN);
            let words = match again {
                true => "Waybill sets the tags again.",
                false => "Saved. In a moment, the tags follow what runs.",
            };
            view! {
                <Notice meaning=Meaning::Good>
                    <p>{words}</p>
                </Notice>
            }
        })
    };
    view! {
        {said}
        {move || match may_edit.get() {
            true => edit(view, sent),
            false => facts(view),
        }}
        {move || in_registry(&tags.get(), may_change.get(), now, sent, place)}
    }
    .into_any()
}

/// What holds, for those who may not change it.
fn facts(view: Signal<EnvironmentImagesView>) -> AnyView {
    let (draft, of_cluster) = view.with(|view| (view.draft.clone(), view.of_cluster.clone()));
    let line = |what: &'static str, value: String| {
        (!value.is_empty()).then(|| {
            view! {
                <dt>{what}</dt>
                <dd class="mono">{value}</dd>
            }
        })
    };
    let mirror = match draft.mirror.as_str() {
        "" => of_cluster.unwrap_or_default(),
        own => own.to_owned(),
    };
    if mirror.is_empty() && draft.marker.is_empty() && draft.prefix.is_empty() {
        return view! { <p class="muted">"Images are pulled from where they are, and get no tags."</p> }.into_any();
    }
    let keeps = match draft.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}… for the last {}", draft.last),
    };
    view! {
        <dl class="facts">
            {line("Copied to", mirror)}
            {line("Marker", draft.marker)}
            {line("Keepers", keeps)}
        </dl>
    }
    .into_any()
}

fn edit(view: Signal<EnvironmentImagesView>, sent: Form<ImagesPost, ()>) -> AnyView {
    let (draft, of_cluster) = untrack(move || {
        let typed = sent
            .posted_draft()
            .filter(|post| post.intent != AGAIN)
            .map(|post| post.images);
        view.with(|view| (typed.unwrap_or_else(|| view.draft.clone()), view.of_cluster.clone()))
    });
    let error = move |name: &'static str| Signal::derive(move || sent.field_error(name));
    let mirror_help = match of_cluster {
        Some(cluster) => format!("Before an image runs here, Waybill copies it by digest. Empty: as the cluster says, to {cluster}."),
        None => "Before an image runs here, Waybill copies it by digest: registry.example.com/production/{name}. Empty: it is pulled from where it is.".to_owned(),
    };
    view! {
        <form class="stack images-form" method="post" on:submit=sent.on_submit() novalidate>
            <ErrorSummary error=Signal::derive(move || sent.error()) />
            <section class="stack tight fields" aria-labelledby="copies">
                <h2 id="copies">"Copies"</h2>
                <TextField
                    name="images[mirror]"
                    label="Copies images to"
                    value=draft.mirror.clone()
                    help=mirror_help
                    mono=true
                    error=error("images[mirror]")
                />
                {attachments_field("images[attachments]", draft.attachments)}
            </section>
            <section class="stack tight fields" aria-labelledby="tags">
                <h2 id="tags">"Tags"</h2>
                <p class="muted">"For people and for clean-up rules. Nothing is deployed by them, and no promotion fails because of them."</p>
                <TextField
                    name="images[marker]"
                    label="Marker"
                    value=draft.marker.clone()
                    help="Moves to an image once it is verified live, and back on a rollback. Example: production. Empty: none."
                    mono=true
                    error=error("images[marker]")
                />
                {tick("images[leave]", "Leave the marker where somebody else moved it", draft.leave)}
                <TextField
                    name="images[prefix]"
                    label="Keepers begin with"
                    value=draft.prefix.clone()
                    help="Each image gets such a tag before it is committed, so that clean-up rules keep it: prod- for prod-1a2b3c4d5e6f. Empty: none."
                    mono=true
                    error=error("images[prefix]")
                />
                <TextField
                    name="images[last]"
                    label="Images kept"
                    value=draft.last.clone()
                    help="Of each resource, how many that it ran last keep their tag. Empty: 10."
                    inputmode="numeric"
                    error=error("images[last]")
                />
                {clean_up(&draft)}
            </section>
            <div class="row">
                <button class="button primary" name="intent" value=SAVE aria-disabled=move || sent.pending.get().then_some("true")>
                    "Save"
                </button>
            </div>
        </form>
    }
    .into_any()
}

/// How a registry's clean-up rules keep what has these tags. Facts: the user guide of Amazon ECR, *Lifecycle policy properties*: what a rule
/// of higher priority selects, none of lower priority expires; several patterns in one rule select only what has them all; re-tagging doesn't
/// make an image younger (aws/containers-roadmap#2746).
fn clean_up(draft: &ImagesDraft) -> AnyView {
    let prefix = match draft.prefix.as_str() {
        "" => "prod-",
        prefix => prefix,
    };
    let marker = match draft.marker.as_str() {
        "" => "production",
        marker => marker,
    };
    let rules = [
        rule(1, "Keep what ran last", &format!("{prefix}*")),
        rule(2, "Keep what runs", marker),
    ]
    .join(",\n");
    view! {
        <details>
            <summary>"Clean-up rules for Amazon ECR"</summary>
            <p>
                "Put them before the rules that expire images by age: an image gets no younger when it is tagged again. What a rule selects, later rules keep. With other registries, exclude these tags from clean-up."
            </p>
            <pre class="example">
                <code>{rules}</code>
            </pre>
        </details>
    }
    .into_any()
}

/// A rule of ECR that selects what has such a tag, and expires nothing of it.
fn rule(priority: u8, description: &str, pattern: &str) -> String {
    format!(
        r#"{{
  "rulePriority": {priority},
  "description": "{description}",
  "selection": {{
    "tagStatus": "tagged",
    "tagPatternList": ["{pattern}"],
    "countType": "imageCountMoreThan",
    "countNumber": 1000
  }},
  "action": {{ "type": "expire" }}
}}"#
    )
}

/// The tags, and how they stand.
fn in_registry(
    tags: &[TagView],
    may_change: bool,
    now: Signal<Timestamp>,
    sent: Form<ImagesPost, ()>,
    place: Place,
) -> Option<AnyView> {
    if tags.is_empty() {
        return None;
    }
    let (workspace, project, environment) = place.get_untracked();
    let base = format!("/w/{workspace}/{project}/{environment}");
    let rows: Vec<AnyView> = tags.iter().map(|tag| row(tag, now, &base)).collect();
    let is_amiss = (tags.iter()).any(|tag| matches!(tag.state, TagState::Drifted { .. } | TagState::Refused { .. }));
    let again = (is_amiss && may_change).then(|| {
        view! {
            <form method="post" on:submit=sent.on_submit()>
                <button class="button" name="intent" value=AGAIN aria-disabled=move || sent.pending.get().then_some("true")>
                    "Set all tags again"
                </button>
            </form>
        }
    });
    Some(
        view! {
            <section class="stack tight" aria-labelledby="in-registry">
                <h2 id="in-registry">"In the registry"</h2>
                <table class="table">
                    <caption class="visually-hidden">"Tags that Waybill sets"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Tag"</th>
                            <th scope="col">"Resource"</th>
                            <th scope="col">"Image"</th>
                            <th scope="col">"State"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
                {again}
            </section>
        }
        .into_any(),
    )
}

fn row(tag: &TagView, now: Signal<Timestamp>, base: &str) -> AnyView {
    let resource = tag.resource.as_ref().map(|name| {
        let href = format!("{base}/{name}");
        view! { <a href=href>{name.to_string()}</a> }
    });
    let usage = match tag.usage {
        TagUse::Marker => "Marker",
        TagUse::Keeper => "Keeper",
    };
    view! {
        <tr>
            <th scope="row">
                <span class="mono">{tag.tag.to_string()}</span>
                " "
                <span class="label">{usage}</span>
                <div class="muted small mono">{tag.repository.to_string()}</div>
            </th>
            <td>{resource}</td>
            <td>
                <BareDigest digest=tag.digest.clone() />
            </td>
            <td>{tag_state(&tag.state, now)}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::rule;

    #[test]
    fn a_rule_of_ecr_selects_one_pattern() {
        let rule = rule(2, "Keep what runs", "production");
        // Several in one list would select only what has them all.
        assert!(rule.contains(r#""tagPatternList": ["production"],"#), "{rule}");
        assert!(rule.contains(r#""rulePriority": 2,"#), "{rule}");
    }
}
