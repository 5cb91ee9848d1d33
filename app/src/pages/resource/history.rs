//! What ran here before, and the way back to each.

use super::actions::ResourceForm;
use crate::{
    api::resource::{AdoptedImage, EarlierImage, PromotionRow, ResourceView},
    components::{
        digest_chip::DigestChip,
        preview,
        state_badge::{badge, meaning, word},
        time::Ago,
    },
};
use domain::{artifact::ExactImage, promotion::Purpose, time::Timestamp};
use leptos::prelude::*;

/// The promotions, newest first, and what ran before them; and what was adopted.
pub(super) fn history(view: &ResourceView, sent: ResourceForm, now: Signal<Timestamp>) -> AnyView {
    view! {
        {promotions(view, sent, now)}
        {adopted(view, now)}
    }
    .into_any()
}

/// What others brought here, and who said that it is right.
fn adopted(view: &ResourceView, now: Signal<Timestamp>) -> Option<AnyView> {
    let line = |one: &AdoptedImage| {
        let reason = one.reason.as_ref().map(|reason| format!(": {reason}"));
        view! {
            <li>
                {format!("{} adopted {}, which was never promoted, ", one.by, one.digest.short())}
                <Ago at=one.at now />
                {reason}
            </li>
        }
    };
    let lines: Vec<AnyView> = view.adopted.iter().map(|one| line(one).into_any()).collect();
    (!lines.is_empty()).then(|| view! { <ul class="plain">{lines}</ul> }.into_any())
}

fn promotions(view: &ResourceView, sent: ResourceForm, now: Signal<Timestamp>) -> AnyView {
    if view.history.is_empty() {
        return view! { <p class="muted">"Nothing was promoted here yet."</p> }.into_any();
    }
    // The newest entry of each image offers the way back to it; what ran before the first promotion has an entry of its own.
    let first_of = |image: &ExactImage| view.history.iter().find(|row| row.image.digest == image.digest);
    let mut rows: Vec<_> = Vec::new();
    for row in &view.history {
        let earlier = view
            .earlier
            .iter()
            .find(|earlier| first_of(&earlier.image).is_some_and(|first| first.id == row.id));
        rows.push(history_row(
            row,
            earlier.map(|earlier| way_back(earlier, sent, now)),
            now,
        ));
    }
    for earlier in view.earlier.iter().filter(|earlier| first_of(&earlier.image).is_none()) {
        rows.push(unknown_row(&earlier.image, way_back(earlier, sent, now)));
    }
    view! {
        <div class="table history">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Image"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"What for"</th>
                        <th scope="col">"Who"</th>
                        <th scope="col">"When"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Promotion"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The button *Roll back*, and what it would change.
fn way_back(earlier: &EarlierImage, sent: ResourceForm, now: Signal<Timestamp>) -> WayBack {
    WayBack {
        button: rollback_form(earlier, sent),
        preview: earlier.preview.clone().map(|preview| {
            let followers = preview::followers(&preview.followers);
            view! { {followers} {preview::folded(preview, now)} }.into_any()
        }),
    }
}

struct WayBack {
    button: AnyView,
    preview: Option<AnyView>,
}

/// An image that ran before the promotions that are listed.
fn unknown_row(image: &ExactImage, back: WayBack) -> AnyView {
    view! {
        <tr>
            <td data-label="">
                <DigestChip image=image.clone() tag=true />
            </td>
            <td colspan="4">
                <span class="muted">"Ran before these promotions."</span>
                {back.preview}
            </td>
            <td class="row">{back.button}</td>
        </tr>
    }
    .into_any()
}

fn history_row(row: &PromotionRow, back: Option<WayBack>, now: Signal<Timestamp>) -> AnyView {
    let what_for = match row.purpose {
        Purpose::Deploy => "Deploy",
        Purpose::Promote => "Promote",
        Purpose::Pin => "Pin",
        Purpose::Rollback => "Rollback",
    };
    let reason = row
        .reason
        .clone()
        .map(|reason| view! { <p class="muted small break">{reason}</p> });
    let said = if row.overtaken { "Overtaken" } else { word(row.state) };
    let at = row.ended_at.unwrap_or(row.created_at);
    let (back, preview) = match back {
        Some(back) => (Some(back.button), back.preview),
        None => (None, None),
    };
    view! {
        <tr>
            <td data-label="">
                <DigestChip image=row.image.clone() tag=true />
            </td>
            <td>{badge(meaning(row.state), said)} {reason} {preview}</td>
            <td data-label="What for">{what_for}</td>
            <td data-label="Who">{row.requested_by.clone()}</td>
            <td data-label="When">
                <Ago at now />
            </td>
            <td class="row">
                {back} <a href=format!("/promotions/{}", row.id)>"Promotion"</a>
            </td>
        </tr>
    }
    .into_any()
}

/// *Roll back*, beside an image of the history.
fn rollback_form(earlier: &EarlierImage, sent: ResourceForm) -> AnyView {
    let intent = format!("rollback-{}", earlier.image.digest);
    let name = format!("Roll back to {}", earlier.image.short_label());
    let lost = (!earlier.missing.is_empty()).then(|| {
        let title = earlier.missing.join(", ");
        view! {
            <span class="bad small" title=title>
                "Can't be pulled any more"
            </span>
        }
    });
    view! {
        <form method="post" on:submit=sent.on_submit()>
            {lost}
            {preview::file_to_make(earlier.preview.as_ref())}
            <button
                type="submit"
                class="button small"
                name="intent"
                value=intent
                aria-label=name
                aria-disabled=move || sent.pending.get().then_some("true")
            >
                "Roll back"
            </button>
        </form>
    }
    .into_any()
}
