//! Clusters: each with its Argo CD, the registry it pulls from, and where images are copied to.

use super::{
    Here, SettingsView, button,
    fields::{area, error_of, secret, set, text},
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::{
    api::connection::{ClusterDraft, ClusterView, ClustersView, Secrets, save_cluster, test_cluster},
    components::{
        empty_state::EmptyState,
        field::{SelectField, TextField, attachments_field, tick},
    },
};
use contract::error::AppError;
use domain::name::Name;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    SaveCluster,
    TestCluster,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    #[serde(default)]
    pub(super) cluster: ClusterDraft,
    /// What goes with it; never given back.
    #[serde(default, skip_serializing)]
    pub(super) secrets: Secrets,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        let w = workspace;
        match self.intent {
            Intent::SaveCluster => save_cluster(w, self.cluster, self.secrets)
                .await
                .map(SettingsOutcome::Saved),
            Intent::TestCluster => test_cluster(w, self.cluster, self.secrets)
                .await
                .map(SettingsOutcome::Tested),
        }
    }
}

/// The cluster that a post is about.
fn of_cluster(post: &SettingsPost) -> Option<&ClusterDraft> {
    match post {
        SettingsPost::Clusters(post) => Some(&post.cluster),
        _ => None,
    }
}

pub(super) fn section(view: Signal<SettingsView>, here: Here) -> AnyView {
    view! {
        {move || match here.asked.get() {
            Some(was) if !here.is_saved() => form(view, &was, here),
            _ => list(view, here),
        }}
    }
    .into_any()
}

fn list(view: Signal<SettingsView>, here: Here) -> AnyView {
    let clusters = move || {
        view.with(|view| match view {
            SettingsView::Clusters(view) => all(view, here),
            _ => ().into_any(),
        })
    };
    view! {
        {clusters}
        <p>
            <a class="button primary" href="?new">
                "Add a cluster"
            </a>
        </p>
    }
    .into_any()
}

fn all(view: &ClustersView, here: Here) -> AnyView {
    if view.clusters.is_empty() {
        return view! {
            <EmptyState title="No cluster yet">
                <p>
                    "A cluster says which Argo CD deploys to it and which registry it pulls from. Environments run on one."
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let clusters: Vec<AnyView> = view.clusters.iter().map(|cluster| one(cluster, here)).collect();
    view! { <div class="stack">{clusters}</div> }.into_any()
}

fn one(cluster: &ClusterView, here: Here) -> AnyView {
    let draft = &cluster.draft;
    let name = draft.was.clone();
    let argocd = match draft.argocd_url.as_str() {
        "" => view! { <dd class="muted">"none: a promotion ends at the push"</dd> }.into_any(),
        url => view! { <dd class="mono">{url.to_owned()}</dd> }.into_any(),
    };
    let of_argocd = (!draft.argocd_url.is_empty()).then(|| {
        let place = match (draft.argocd_project.as_str(), draft.namespace.as_str()) {
            ("", "") => String::new(),
            (project, "") => format!(" in project {project}"),
            ("", namespace) => format!(" in namespace {namespace}"),
            (project, namespace) => format!(" in project {project}, namespace {namespace}"),
        };
        let ca = if draft.argocd_ca.is_empty() {
            "the system's"
        } else {
            "own, beside the system's"
        };
        view! {
            <dt>"Applications"</dt>
            <dd>
                <span class="mono">{draft.application.clone()}</span>
                {place}
            </dd>
            <dt>"Token"</dt>
            <dd>{set(cluster.has_token)}</dd>
            <dt>"Certificates"</dt>
            <dd>{ca}</dd>
        }
    });
    let registry = match draft.registry.as_str() {
        "" => view! { <dd class="muted">"none"</dd> }.into_any(),
        name => {
            let page = format!("/w/{}/-/settings/registries?edit={name}", here.workspace());
            view! {
                <dd>
                    <a href=page>{name.to_owned()}</a>
                </dd>
            }
            .into_any()
        }
    };
    let used = match cluster.environments.as_slice() {
        [] => "no environment".to_owned(),
        environments => environments.join(", "),
    };
    let delete = format!("/w/{}/-/delete/cluster/{name}", here.workspace());
    let was = name.clone();
    let answer = here.answer(move |post| of_cluster(post).is_some_and(|cluster| cluster.stored && cluster.was == was));
    view! {
        <section class="panel padded stack tight group" aria-label=format!("Cluster {name}")>
            <h2>{name.clone()}</h2>
            <dl class="facts">
                <dt>"Argo CD"</dt>
                {argocd}
                {of_argocd}
                <dt>"Registry"</dt>
                {registry}
                {(!draft.mirror.is_empty()).then(|| view! {
                    <dt>"Copies images to"</dt>
                    <dd class="mono">{draft.mirror.clone()}</dd>
                })}
                {(!draft.platforms.is_empty()).then(|| view! {
                    <dt>"Platforms"</dt>
                    <dd class="mono">{draft.platforms.clone()}</dd>
                })}
                <dt>"Runs"</dt>
                <dd>{used}</dd>
            </dl>
            <form method="post" class="row">
                <input type="hidden" name="cluster[was]" value=name.clone() />
                <input type="hidden" name="cluster[stored]" value="true" />
                <a class="button small" href=format!("?edit={name}")>
                    "Edit"
                    <span class="visually-hidden">{format!(" {name}")}</span>
                </a>
                {button(here.sent, Intent::TestCluster, "Test connection", "button small")}
                <a class="button plain danger small" href=delete>
                    {format!("Delete {name}…")}
                </a>
            </form>
            {answer}
        </section>
    }
    .into_any()
}

fn registry_options(registries: &[Name], chosen: &str) -> Vec<AnyView> {
    let option = |value: String, label: String| {
        let selected = value == chosen;
        view! {
            <option value=value selected=selected>
                {label}
            </option>
        }
        .into_any()
    };
    let none = option(String::new(), "None".to_owned());
    let named = registries.iter().map(|name| option(name.to_string(), name.to_string()));
    std::iter::once(none).chain(named).collect()
}

/// The form of one cluster; `was` is empty for a new one.
fn form(view: Signal<SettingsView>, was: &str, here: Here) -> AnyView {
    let stored = view.with_untracked(|view| match view {
        SettingsView::Clusters(view) => view.clusters.iter().find(|cluster| cluster.draft.was == was).cloned(),
        _ => None,
    });
    if stored.is_none() && !was.is_empty() {
        let missing = format!("There is no cluster {was}. ");
        return view! {
            <EmptyState title="No such cluster">
                <p>
                    {missing} <a href="?">"See those that there are"</a>
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let has_token = stored.as_ref().is_some_and(|stored| stored.has_token);
    let registries = view.with_untracked(|view| match view {
        SettingsView::Clusters(view) => view.registries.clone(),
        _ => Vec::new(),
    });
    let registry_error = error_of(here, "cluster[registry]");
    let draft: ClusterDraft = here
        .posted()
        .and_then(|post| of_cluster(&post).cloned())
        .or(stored.map(|stored| stored.draft))
        .unwrap_or_default();
    let (title, name) = if was.is_empty() {
        let error = error_of(here, "cluster[name]");
        let field = view! {
            <TextField name="cluster[name]" label="Name" value=draft.name.clone() required=true error=error />
        };
        ("New cluster".to_owned(), field.into_any())
    } else {
        let hidden = view! { <input type="hidden" name="cluster[was]" value=was.to_owned() /> };
        (format!("Cluster {was}"), hidden.into_any())
    };
    view! {
        <section class="stack" aria-labelledby="cluster">
            <h2 id="cluster">{title}</h2>
            <form method="post" class="fields" novalidate>
                {name}
                <fieldset class="within">
                    <legend>"Argo CD"</legend>
                    {text(
                        here,
                        "cluster[argocd_url]",
                        "Address",
                        &draft.argocd_url,
                        "For example https://argocd.example.com. Empty: there is none, a promotion ends at the push, and the token is forgotten.",
                    )}
                    {secret(here, "secrets[argocd_token]", "Token", has_token)}
                    {text(
                        here,
                        "cluster[application]",
                        "Application",
                        &draft.application,
                        "Name of an environment's application. Empty: {project}-{environment}.",
                    )}
                    {text(
                        here,
                        "cluster[argocd_project]",
                        "Argo CD project",
                        &draft.argocd_project,
                        "With it, a missing application is told from one that the token may not see. May hold {project} and {environment}.",
                    )}
                    {text(
                        here,
                        "cluster[namespace]",
                        "Namespace of the applications",
                        &draft.namespace,
                        "Only where it isn't Argo CD's own.",
                    )}
                    {area(
                        here,
                        "cluster[argocd_ca]",
                        "Certificates",
                        &draft.argocd_ca,
                        "PEM, to trust beside the system's: for an authority of your own.",
                    )}
                    {tick(
                        "cluster[keep_syncs]",
                        "Never end a sync that runs in Argo CD, not even when a rollback replaces what it applies",
                        draft.keep_syncs,
                    )}
                </fieldset>
                <fieldset class="within">
                    <legend>"Registry"</legend>
                    <SelectField name="cluster[registry]" label="Pulls from" error=registry_error>
                        {registry_options(&registries, &draft.registry)}
                    </SelectField>
                    {text(
                        here,
                        "cluster[mirror]",
                        "Copies images to",
                        &draft.mirror,
                        "Before an image runs here, Waybill copies it by digest: registry.example.com/production/{name}. May hold {name} and {path}. Empty: images are pulled from where they are.",
                    )}
                    {attachments_field("cluster[attachments]", draft.attachments)}
                    {text(
                        here,
                        "cluster[platforms]",
                        "Platforms",
                        &draft.platforms,
                        "An image must run on one of these: linux/amd64. Empty: on any Linux.",
                    )}
                </fieldset>
                <div class="row">
                    {button(here.sent, Intent::SaveCluster, "Save cluster", "button primary")}
                    {button(here.sent, Intent::TestCluster, "Test connection", "button")}
                    <a class="button plain" href="?">
                        "Cancel"
                    </a>
                </div>
            </form>
            {here.answer(|post| of_cluster(post).is_some_and(|cluster| !cluster.stored))}
        </section>
    }
    .into_any()
}
