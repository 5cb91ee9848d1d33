//! Trusted roots: whose certificates count for keyless signatures. Shown with the registries, where the signatures are.

use super::{
    Here, Sent, button,
    fields::{area, text},
    labelled_button,
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::api::connection::{TrustedRootDraft, TrustedRootView, remove_trusted_root, save_trusted_root};
use contract::error::AppError;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    SaveRoot,
    RemoveRoot,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    #[serde(default)]
    pub(super) root: TrustedRootDraft,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        match self.intent {
            Intent::SaveRoot => save_trusted_root(workspace, self.root).await.map(SettingsOutcome::Said),
            Intent::RemoveRoot => remove_trusted_root(workspace, self.root.name)
                .await
                .map(|()| SettingsOutcome::said("The trusted root is removed.")),
        }
    }
}

/// The list, and the form that adds to it.
pub(super) fn trusted_roots(roots: Signal<Vec<TrustedRootView>>, here: Here) -> AnyView {
    let sent = here.sent;
    let list = move || {
        let roots = roots.get();
        roots.iter().map(|root| row(root, sent)).collect_view()
    };
    let draft = match here.posted() {
        Some(SettingsPost::TrustedRoots(post)) if post.intent == Intent::SaveRoot && sent.error().is_some() => {
            post.root
        }
        _ => TrustedRootDraft::default(),
    };
    view! {
        <section class="stack tight" aria-labelledby="roots">
            <h2 id="roots">"Trusted roots"</h2>
            <p class="muted">
                "Whose certificates count where a policy asks for a keyless signature. Add one for a Sigstore instance of your own."
            </p>
            <table class="table">
                <caption class="visually-hidden">"Trusted roots"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Name"</th>
                        <th scope="col">"Trusts"</th>
                        <th scope="col">"Since"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{list}</tbody>
            </table>
            <form method="post" class="fields" novalidate>
                {text(here, "root[name]", "Name", &draft.name, "What policies call it. A name that is there already is replaced.")}
                {area(
                    here,
                    "root[document]",
                    "trusted_root.json",
                    &draft.document,
                    "The whole file, for example as cosign trusted-root create writes it.",
                )}
                <div class="row">{button(sent, Intent::SaveRoot, "Save trusted root", "button")}</div>
            </form>
        </section>
    }
    .into_any()
}

fn row(root: &TrustedRootView, sent: Sent) -> AnyView {
    let since = match root.given_at {
        Some(at) => view! { <time datetime=at.rfc3339()>{at.exact()}</time> }.into_any(),
        None => view! { <span class="muted">"built in"</span> }.into_any(),
    };
    let remove = root.given_at.map(|_| {
        view! {
            <form method="post">
                <input type="hidden" name="root[name]" value=root.name.clone() />
                {labelled_button(sent, Intent::RemoveRoot, "Remove", "button danger small", Some(format!("Remove {}", root.name)))}
            </form>
        }
    });
    view! {
        <tr>
            <th scope="row" class="mono">
                {root.name.clone()}
            </th>
            <td data-label="Trusts">{root.trusts.clone()}</td>
            <td data-label="Since">{since}</td>
            <td class="number">{remove}</td>
        </tr>
    }
    .into_any()
}
