//! *Runs, but was never promoted*: images that others brought into an environment, with the buttons that adopt them or promote what Git declares.

use crate::{
    api::environment::{EnvironmentView, Unpromoted},
    components::{
        digest_chip::{BareDigest, DigestChip},
        time::Ago,
    },
};
use domain::time::Timestamp;
use leptos::prelude::*;

/// The section; nothing where all was promoted or adopted.
pub(super) fn unpromoted(view: &EnvironmentView, now: Signal<Timestamp>) -> Option<AnyView> {
    if view.unpromoted.is_empty() {
        return None;
    }
    let rows: Vec<AnyView> = view.unpromoted.iter().map(|one| row(view, one, now)).collect();
    let adoptable = view.unpromoted.iter().filter(|one| one.is_adoptable()).count();
    let all = (view.head.may_change && adoptable > 1).then(|| {
        view! {
            <form method="post">
                <button class="button small" name="intent" value="adopt-all">
                    {format!("Adopt all {adoptable} that Git declares")}
                </button>
            </form>
        }
    });
    let section = view! {
        <section class="stack tight" aria-labelledby="unpromoted">
            <h2 id="unpromoted">"Runs, but was never promoted"</h2>
            <p class="muted">
                "Someone changed Git or the cluster without Waybill, so no gate was asked. Adopt an image that is right as it is, or promote what Git declares through the gates."
            </p>
            <table class="table">
                <caption class="visually-hidden">"Images that were never promoted"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Resource"</th>
                        <th scope="col">"Runs"</th>
                        <th scope="col">"Git declares"</th>
                        <th scope="col">"Since"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            {all}
        </section>
    };
    Some(section.into_any())
}

fn row(view: &EnvironmentView, one: &Unpromoted, now: Signal<Timestamp>) -> AnyView {
    let href = format!(
        "/w/{}/{}/{}/{}",
        view.workspace, view.project, view.head.name, one.resource
    );
    let recalled = one.is_recalled.then(|| view! { <span class="label">"Recalled"</span> });
    let declares = match &one.declared {
        _ if one.is_declared() => "The same".into_any(),
        Some(image) => view! { <DigestChip image=image.clone() tag=true /> }.into_any(),
        None => view! { <span class="muted">"No exact image"</span> }.into_any(),
    };
    let by = one.declared_by.as_ref().map(|by| {
        let commit = by.commit.get(..7).unwrap_or(&by.commit).to_owned();
        view! { <span class="muted">{format!("by {} in {commit}", by.author)}</span> }
    });
    view! {
        <tr>
            <th scope="row">
                <a href=href>{one.resource.to_string()}</a>
            </th>
            <td data-label="Runs">
                <span class="row">
                    <BareDigest digest=one.digest.clone() />
                    {one.tag.as_ref().map(ToString::to_string)}
                    {recalled}
                </span>
            </td>
            <td data-label="Git declares">
                <span class="row">{declares} {by}</span>
            </td>
            <td data-label="Since" class="muted">
                <Ago at=one.since now />
            </td>
            <td class="number">{view.head.may_change.then(|| buttons(view, one))}</td>
        </tr>
    }
    .into_any()
}

fn buttons(view: &EnvironmentView, one: &Unpromoted) -> AnyView {
    let (environment, resource) = (view.head.name.to_string(), one.resource.to_string());
    let adopt = one.is_adoptable().then(|| {
        view! {
            <button class="button small" name="intent" value="adopt" aria-label=format!("Adopt what {resource} runs")>
                "Adopt"
            </button>
        }
    });
    let promote = one.declared.as_ref().map(|_| {
        view! {
            <button
                class="button small"
                name="intent"
                value="promote-declared"
                aria-label=format!("Promote what Git declares for {resource}")
            >
                "Promote the declared one"
            </button>
        }
    });
    view! {
        <form method="post" class="row">
            <input type="hidden" name="environment" value=environment />
            <input type="hidden" name="resource" value=resource.clone() />
            <input type="hidden" name="digest" value=one.digest.to_string() />
            {adopt}
            {promote}
        </form>
    }
    .into_any()
}
