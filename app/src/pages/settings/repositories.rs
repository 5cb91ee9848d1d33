//! Projects: the GitOps repository of each, and its environments.

use super::{
    Here, SettingsView, button,
    fields::{area, error_of, secret, secret_area, text},
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::{
    api::connection::{
        EnvironmentDraft, RepositoriesView, RepositoryDraft, RepositoryView, Secrets, add_environment, save_repository,
        test_repository,
    },
    components::{
        empty_state::EmptyState,
        field::{SelectField, TextField, attachments_field, tick},
        state_badge::{Meaning, says},
    },
};
use contract::error::AppError;
use domain::name::Name;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// How to sign in: what is posted, and the words.
const WAYS: [(&str, &str); 3] = [
    ("none", "Without credentials"),
    ("token", "User and token, over HTTPS"),
    ("key", "Key, over SSH"),
];

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    SaveRepository,
    TestRepository,
    AddEnvironment,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    /// A project's repository.
    #[serde(default)]
    pub(super) repository: RepositoryDraft,
    /// What goes with it; never given back.
    #[serde(default, skip_serializing)]
    pub(super) secrets: Secrets,
    /// A new environment.
    #[serde(default)]
    pub(super) environment: EnvironmentDraft,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        let w = workspace;
        match self.intent {
            Intent::SaveRepository => save_repository(w, self.repository, self.secrets)
                .await
                .map(SettingsOutcome::Saved),
            Intent::TestRepository => test_repository(w, self.repository, self.secrets)
                .await
                .map(SettingsOutcome::Tested),
            Intent::AddEnvironment => add_environment(w, self.environment).await.map(SettingsOutcome::Saved),
        }
    }
}

/// The repository that a post is about.
fn of_repository(post: &SettingsPost) -> Option<&RepositoryDraft> {
    match post {
        SettingsPost::Repositories(post) => Some(&post.repository),
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
    let projects = move || {
        view.with(|view| match view {
            SettingsView::Repositories(view) => all(view, here),
            _ => ().into_any(),
        })
    };
    view! {
        {projects}
        <p>
            <a class="button primary" href="?new">
                "Add a project"
            </a>
        </p>
        {environment_form(view, here)}
        <p class="muted">
            "The order of environments, moving one to another cluster, and resources by the dozen: write them down for waybill apply."
        </p>
    }
    .into_any()
}

fn all(view: &RepositoriesView, here: Here) -> AnyView {
    if view.projects.is_empty() {
        return view! {
            <EmptyState title="No project yet">
                <p>"A project is a GitOps repository and the environments that it declares."</p>
            </EmptyState>
        }
        .into_any();
    }
    let projects: Vec<AnyView> = view.projects.iter().map(|project| one(project, here)).collect();
    view! { <div class="stack">{projects}</div> }.into_any()
}

fn one(project: &RepositoryView, here: Here) -> AnyView {
    let draft = &project.draft;
    let name = draft.was.clone();
    let stored = if project.has_secret { "stored" } else { "not set" };
    let sign_in = match (draft.sign_in.as_str(), project.has_secret) {
        ("token", _) => format!("as {}, token {stored}", draft.user),
        ("key", _) => format!("with a key, {stored}"),
        (_, true) => "stored, but they can't be opened with the server's key: give them again".to_owned(),
        _ => "without credentials".to_owned(),
    };
    let prefix = (!draft.values_prefix.is_empty()).then(|| {
        view! {
            <dt>"Keys above services"</dt>
            <dd class="mono">{draft.values_prefix.clone()}</dd>
        }
    });
    let environments = match project.environments.as_slice() {
        [] => "none yet".to_owned(),
        environments => environments
            .iter()
            .map(|(name, cluster)| format!("{name} on {cluster}"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let problem = project
        .problem
        .clone()
        .map(|problem| view! { <p>{says(Meaning::Bad, "bad", problem)}</p> });
    let delete = format!("/w/{}/-/delete/project/{name}", here.workspace());
    let was = name.clone();
    let answer = here.answer(move |post| of_repository(post).is_some_and(|draft| draft.stored && draft.was == was));
    view! {
        <section class="panel padded stack tight group" aria-label=format!("Project {name}")>
            <h2>{name.clone()}</h2>
            {problem}
            <dl class="facts">
                <dt>"Repository"</dt>
                <dd class="mono">{draft.url.clone()}</dd>
                <dt>"Branch"</dt>
                <dd class="mono">{draft.branch.clone()}</dd>
                <dt>"Values files"</dt>
                <dd class="mono">{draft.path_template.clone()}</dd>
                {prefix}
                <dt>"Signs in"</dt>
                <dd>{sign_in}</dd>
                <dt>"Environments"</dt>
                <dd>{environments}</dd>
            </dl>
            <form method="post" class="row">
                <input type="hidden" name="repository[was]" value=name.clone() />
                <input type="hidden" name="repository[stored]" value="true" />
                <a class="button small" href=format!("?edit={name}")>
                    "Edit"
                    <span class="visually-hidden">{format!(" {name}")}</span>
                </a>
                {button(here.sent, Intent::TestRepository, "Test connection", "button small")}
                <a class="button plain danger small" href=delete>
                    {format!("Delete {name}…")}
                </a>
            </form>
            {answer}
        </section>
    }
    .into_any()
}

/// The form of one project's repository; `was` is empty for a new one.
fn form(view: Signal<SettingsView>, was: &str, here: Here) -> AnyView {
    let stored = view.with_untracked(|view| match view {
        SettingsView::Repositories(view) => view.projects.iter().find(|project| project.draft.was == was).cloned(),
        _ => None,
    });
    if stored.is_none() && !was.is_empty() {
        let missing = format!("There is no project {was}. ");
        return view! {
            <EmptyState title="No such project">
                <p>
                    {missing} <a href="?">"See those that there are"</a>
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let stored_way = stored
        .as_ref()
        .filter(|stored| stored.has_secret)
        .map(|stored| stored.draft.sign_in.clone());
    let is_stored = |way: &str| stored_way.as_deref() == Some(way);
    let draft: RepositoryDraft = here
        .posted()
        .and_then(|post| of_repository(&post).cloned())
        .or(stored.map(|stored| stored.draft))
        .unwrap_or_else(|| RepositoryDraft {
            sign_in: "token".into(),
            ..RepositoryDraft::default()
        });
    let (title, name) = if was.is_empty() {
        let error = error_of(here, "repository[name]");
        let field = view! {
            <TextField name="repository[name]" label="Name" value=draft.name.clone() required=true error=error />
        };
        ("New project".to_owned(), field.into_any())
    } else {
        let hidden = view! { <input type="hidden" name="repository[was]" value=was.to_owned() /> };
        (format!("Project {was}"), hidden.into_any())
    };
    let ways: Vec<AnyView> = WAYS
        .iter()
        .map(|(value, words)| {
            view! {
                <option value=*value selected=*value == draft.sign_in>
                    {*words}
                </option>
            }
            .into_any()
        })
        .collect();
    view! {
        <section class="stack" aria-labelledby="repository">
            <h2 id="repository">{title}</h2>
            <form method="post" class="fields" novalidate>
                {name}
                {text(
                    here,
                    "repository[url]",
                    "Repository",
                    &draft.url,
                    "https://… or user@host:path, without user and token for HTTPS.",
                )}
                {text(here, "repository[branch]", "Branch", &draft.branch, "That is read and written. Empty: main.")}
                {text(
                    here,
                    "repository[path_template]",
                    "Values files",
                    &draft.path_template,
                    "Path of an environment's file. Empty: environments/{environment}/values.yaml.",
                )}
                {text(
                    here,
                    "repository[values_prefix]",
                    "Keys above services",
                    &draft.values_prefix,
                    "Joined by dots, for example lucity-app. Empty for none.",
                )}
                {text(
                    here,
                    "repository[commit_subject]",
                    "Commit subject",
                    &draft.commit_subject,
                    "For example JIRA-1: {verb}({environment}): {resource} {tag}. Also {digest} and {source}. Optional.",
                )}
                {text(
                    here,
                    "repository[author_address]",
                    "Author's address",
                    &draft.author_address,
                    "For example {user}@users.noreply.example.com. Default: the person's own.",
                )}
                <SelectField name="repository[sign_in]" label="Sign in" error=error_of(here, "repository[sign_in]")>
                    {ways}
                </SelectField>
                <fieldset class="within of-token">
                    <legend>"User and token"</legend>
                    {text(here, "repository[user]", "User", &draft.user, "For example x-access-token.")}
                    {secret(here, "secrets[git_token]", "Token", is_stored("token"))}
                </fieldset>
                <fieldset class="within of-key">
                    <legend>"Key"</legend>
                    {secret_area(here, "secrets[ssh_key]", "Private key", is_stored("key"))}
                    {area(
                        here,
                        "repository[known_hosts]",
                        "Known hosts",
                        &draft.known_hosts,
                        "Lines of known_hosts. Empty: the server's key is accepted at first sight and kept.",
                    )}
                </fieldset>
                <div class="row">
                    {button(here.sent, Intent::SaveRepository, "Save project", "button primary")}
                    {button(here.sent, Intent::TestRepository, "Test connection", "button")}
                    <a class="button plain" href="?">
                        "Cancel"
                    </a>
                </div>
            </form>
            {here.answer(|post| of_repository(post).is_some_and(|draft| !draft.stored))}
        </section>
    }
    .into_any()
}

/// A new environment.
fn environment_form(view: Signal<SettingsView>, here: Here) -> AnyView {
    let names = Memo::new(move |_| {
        view.with(|view| match view {
            SettingsView::Repositories(view) => {
                let projects: Vec<String> = view.projects.iter().map(|project| project.draft.was.clone()).collect();
                (projects, view.clusters.iter().map(Name::to_string).collect::<Vec<_>>())
            }
            _ => (Vec::new(), Vec::new()),
        })
    });
    let draft: EnvironmentDraft = here
        .posted()
        .and_then(|post| match post {
            SettingsPost::Repositories(post) if post.intent == Intent::AddEnvironment => Some(post.environment),
            _ => None,
        })
        .unwrap_or_default();
    let (project, cluster) = (draft.project.clone(), draft.cluster.clone());
    let projects = move || options(&names.with(|(projects, _)| projects.clone()), &project);
    let clusters = move || options(&names.with(|(_, clusters)| clusters.clone()), &cluster);
    let is_possible =
        Memo::new(move |_| names.with(|(projects, clusters)| !projects.is_empty() && !clusters.is_empty()));
    let project_error = error_of(here, "environment[project]");
    let cluster_error = error_of(here, "environment[cluster]");
    let name_error = error_of(here, "environment[name]");
    let key_error = error_of(here, "environment[key]");
    view! {
        <section class="stack tight" aria-labelledby="new-environment" hidden=move || !is_possible.get()>
            <h2 id="new-environment">"New environment"</h2>
            <p class="muted">"It comes behind the others of its project. Its policy has a page of its own."</p>
            <form method="post" class="fields" novalidate>
                <SelectField name="environment[project]" label="Project" error=project_error>
                    {projects}
                </SelectField>
                <TextField
                    name="environment[name]"
                    label="Name"
                    value=draft.name.clone()
                    help="For example staging."
                    required=true
                    error=name_error
                />
                <TextField
                    name="environment[key]"
                    label="Key in Git"
                    value=draft.key.clone()
                    help="What stands for {environment} in the path of its values file. Empty: the name."
                    mono=true
                    error=key_error
                />
                <SelectField name="environment[cluster]" label="Cluster" error=cluster_error>
                    {clusters}
                </SelectField>
                {text(
                    here,
                    "environment[mirror]",
                    "Copies images to",
                    &draft.mirror,
                    "Before an image runs here, Waybill copies it by digest: registry.example.com/production/{name}. Empty: as the cluster says.",
                )}
                {attachments_field("environment[attachments]", draft.attachments)}
                {tick("environment[protected]", "Protected: only approvers may change what runs here", draft.protected)}
                {button(here.sent, Intent::AddEnvironment, "Add environment", "button primary")}
            </form>
        </section>
    }
    .into_any()
}

fn options(names: &[String], chosen: &str) -> Vec<AnyView> {
    let option = |name: &String| {
        view! {
            <option value=name.clone() selected=name == chosen>
                {name.clone()}
            </option>
        }
        .into_any()
    };
    names.iter().map(option).collect()
}
