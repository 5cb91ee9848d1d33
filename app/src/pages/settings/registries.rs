//! Registries: where images are, who pulls from them, and who pushes what is copied.

use super::{
    Here, SettingsView, button,
    fields::{area, error_of, secret, set, text},
    post::{SectionPost, SettingsOutcome, SettingsPost},
    trusted_roots::trusted_roots,
};
use crate::{
    api::connection::{
        PassedOver, RegistriesView, RegistryDraft, RegistryView, Secrets, SigningKeyView, save_registry, test_registry,
    },
    components::{
        command::command,
        empty_state::EmptyState,
        field::{TextField, tick},
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
    SaveRegistry,
    TestRegistry,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    #[serde(default)]
    pub(super) registry: RegistryDraft,
    /// What goes with it; never given back.
    #[serde(default, skip_serializing)]
    pub(super) secrets: Secrets,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        let w = workspace;
        match self.intent {
            Intent::SaveRegistry => save_registry(w, self.registry, self.secrets)
                .await
                .map(SettingsOutcome::Saved),
            Intent::TestRegistry => test_registry(w, self.registry, self.secrets)
                .await
                .map(SettingsOutcome::Tested),
        }
    }
}

/// The registry that a post is about.
fn of_registry(post: &SettingsPost) -> Option<&RegistryDraft> {
    match post {
        SettingsPost::Registries(post) => Some(&post.registry),
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
    let registries = move || {
        view.with(|view| match view {
            SettingsView::Registries(view) => all(view, here),
            _ => ().into_any(),
        })
    };
    let roots = Memo::new(move |_| {
        view.with(|view| match view {
            SettingsView::Registries(view) => view.trusted_roots.clone(),
            _ => Vec::new(),
        })
    });
    view! {
        {registries}
        <p>
            <a class="button primary" href="?new">
                "Add a registry"
            </a>
        </p>
        {move || view.with(|view| match view {
            SettingsView::Registries(view) => Some(signing_keys(&view.signing_keys)),
            _ => None,
        })}
        {trusted_roots(roots.into(), here)}
    }
    .into_any()
}

/// The keys with which statements are signed that hang on images.
fn signing_keys(keys: &[SigningKeyView]) -> AnyView {
    let [active, before @ ..] = keys else {
        return view! {
            <section class="stack tight" aria-labelledby="signing">
                <h2 id="signing">"Signing key"</h2>
                <p class="muted">
                    "None. With one, Waybill hangs a signed statement on each image of what it passed. Whoever runs Waybill makes it with "
                    <code>"waybill keys generate"</code> "."
                </p>
            </section>
        }
        .into_any();
    };
    let old = |key: &SigningKeyView| {
        view! {
            <li>
                <a class="mono" href=key.address.clone()>
                    {key.name.clone()}
                </a>
            </li>
        }
    };
    let before = (!before.is_empty()).then(|| {
        view! {
            <p>"Keys that signed before, whose statements stay valid:"</p>
            <ul class="plain-list">{before.iter().map(old).collect_view()}</ul>
        }
    });
    view! {
        <section class="stack tight" aria-labelledby="signing">
            <h2 id="signing">"Signing key"</h2>
            <p>
                "Signs what images passed, for all workspaces. Give this public half to whoever verifies that; it is also served at "
                <a href=active.address.clone()>{active.address.clone()}</a> "."
            </p>
            {command("Public key", active.public_key.clone())}
            {before}
        </section>
    }
    .into_any()
}

fn all(view: &RegistriesView, here: Here) -> AnyView {
    if view.registries.is_empty() {
        return view! {
            <EmptyState title="No registry yet">
                <p>
                    "Add the registries that need a sign-in, speak plain HTTP, or receive copies of images. Public ones need no entry."
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let registries: Vec<AnyView> = view.registries.iter().map(|registry| one(registry, here)).collect();
    view! { <div class="stack">{registries}</div> }.into_any()
}

fn one(registry: &RegistryView, here: Here) -> AnyView {
    let draft = &registry.draft;
    let name = draft.was.clone();
    let how = if draft.plain_http { ", plain HTTP" } else { "" };
    let signs_in = |user: &str, nobody: &str, has_password| match user {
        "" => nobody.to_owned(),
        user => format!("as {user}, password {}", set(has_password)),
    };
    let pulls = signs_in(&draft.pull_user, "without signing in", registry.has_pull_password);
    let nobody = match registry.mirrors.is_empty() {
        true => "no user, so nothing is copied to it",
        false => "no user: promotions that copy images to it fail",
    };
    let pushes = signs_in(&draft.push_user, nobody, registry.has_push_password);
    let used = match registry.clusters.as_slice() {
        [] => "no cluster".to_owned(),
        clusters => clusters.iter().map(Name::as_str).collect::<Vec<_>>().join(", "),
    };
    let delete = format!("/w/{}/-/delete/registry/{name}", here.workspace());
    let was = name.clone();
    let answer =
        here.answer(move |post| of_registry(post).is_some_and(|registry| registry.stored && registry.was == was));
    view! {
        <section class="panel padded stack tight group" aria-label=format!("Registry {name}")>
            <h2>{name.clone()}</h2>
            <dl class="facts">
                <dt>"Host"</dt>
                <dd>
                    <span class="mono">{draft.host.clone()}</span>
                    {how}
                </dd>
                {(!draft.ca.is_empty()).then(|| view! {
                    <dt>"Certificates"</dt>
                    <dd>"own, beside the system's"</dd>
                })}
                <dt>"Pull"</dt>
                <dd>{pulls}</dd>
                <dt>"Push"</dt>
                <dd>{pushes}</dd>
                <dt>"Clusters"</dt>
                <dd>{used}</dd>
                {lines("Receives", &registry.mirrors)}
                {passed_over(&registry.passed_over)}
            </dl>
            <form method="post" class="row">
                <input type="hidden" name="registry[was]" value=name.clone() />
                <input type="hidden" name="registry[stored]" value="true" />
                <a class="button small" href=format!("?edit={name}")>
                    "Edit"
                    <span class="visually-hidden">{format!(" {name}")}</span>
                </a>
                {button(here.sent, Intent::TestRegistry, "Test connection", "button small")}
                <a class="button plain danger small" href=delete>
                    {format!("Delete {name}…")}
                </a>
            </form>
            {answer}
        </section>
    }
    .into_any()
}

fn lines(what: &'static str, lines: &[String]) -> Option<AnyView> {
    if lines.is_empty() {
        return None;
    }
    let each = |line: &String| view! { <li class="mono">{line.clone()}</li> };
    let list = view! {
        <dt>{what}</dt>
        <dd>
            <ul>{lines.iter().map(each).collect_view()}</ul>
        </dd>
    };
    Some(list.into_any())
}

/// Tags that can't be read: none of them stops the others.
fn passed_over(tags: &[PassedOver]) -> Option<AnyView> {
    if tags.is_empty() {
        return None;
    }
    let each = |tag: &PassedOver| {
        view! {
            <li>
                <span class="mono">{tag.image.clone()}</span>
                ": "
                {tag.why.clone()}
            </li>
        }
    };
    let list = view! {
        <dt>"Tags passed over"</dt>
        <dd>
            <ul>{tags.iter().map(each).collect_view()}</ul>
        </dd>
    };
    Some(list.into_any())
}

/// The form of one registry; `was` is empty for a new one.
fn form(view: Signal<SettingsView>, was: &str, here: Here) -> AnyView {
    let stored = view.with_untracked(|view| match view {
        SettingsView::Registries(view) => view.registries.iter().find(|known| known.draft.was == was).cloned(),
        _ => None,
    });
    if stored.is_none() && !was.is_empty() {
        let missing = format!("There is no registry {was}. ");
        return view! {
            <EmptyState title="No such registry">
                <p>
                    {missing} <a href="?">"See those that there are"</a>
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let has_pull = stored.as_ref().is_some_and(|stored| stored.has_pull_password);
    let has_push = stored.as_ref().is_some_and(|stored| stored.has_push_password);
    let draft: RegistryDraft = here
        .posted()
        .and_then(|post| of_registry(&post).cloned())
        .or(stored.map(|stored| stored.draft))
        .unwrap_or_default();
    let (title, name) = if was.is_empty() {
        let error = error_of(here, "registry[name]");
        let field = view! {
            <TextField name="registry[name]" label="Name" value=draft.name.clone() required=true error=error />
        };
        ("New registry".to_owned(), field.into_any())
    } else {
        let hidden = view! { <input type="hidden" name="registry[was]" value=was.to_owned() /> };
        (format!("Registry {was}"), hidden.into_any())
    };
    view! {
        <section class="stack" aria-labelledby="registry">
            <h2 id="registry">{title}</h2>
            <form method="post" class="fields" novalidate>
                {name}
                {text(
                    here,
                    "registry[host]",
                    "Host",
                    &draft.host,
                    "With the port if there is one: registry.example.com, 10.0.0.5:5000.",
                )}
                {tick("registry[plain_http]", "It speaks plain HTTP", draft.plain_http)}
                {area(
                    here,
                    "registry[ca]",
                    "Certificates",
                    &draft.ca,
                    "PEM, to trust beside the system's: for an authority of your own.",
                )}
                <fieldset class="within">
                    <legend>"Pull"</legend>
                    {text(here, "registry[pull_user]", "User", &draft.pull_user, "Empty: read without signing in.")}
                    {secret(here, "secrets[pull_password]", "Password", has_pull)}
                    {(has_pull || draft.anonymous).then(|| tick(
                        "registry[anonymous]",
                        "Read without signing in, and forget user and password",
                        draft.anonymous,
                    ))}
                </fieldset>
                <fieldset class="within">
                    <legend>"Push"</legend>
                    {text(
                        here,
                        "registry[push_user]",
                        "User",
                        &draft.push_user,
                        "Only for a registry that images are copied to. Give this user the right to pull and push there.",
                    )}
                    {secret(here, "secrets[push_password]", "Password", has_push)}
                    {(has_push || draft.no_push).then(|| tick(
                        "registry[no_push]",
                        "Copy nothing to it, and forget user and password",
                        draft.no_push,
                    ))}
                </fieldset>
                <div class="row">
                    {button(here.sent, Intent::SaveRegistry, "Save registry", "button primary")}
                    {button(here.sent, Intent::TestRegistry, "Test connection", "button")}
                    <a class="button plain" href="?">
                        "Cancel"
                    </a>
                </div>
            </form>
            {here.answer(|post| of_registry(post).is_some_and(|registry| !registry.stored))}
        </section>
    }
    .into_any()
}
