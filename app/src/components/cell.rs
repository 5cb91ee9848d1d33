//! A resource as board and environment page show it: what runs, since when, and one line with what matters most.

use crate::{
    api::board::{Behind, Cell, EnvironmentHead, Follows, HoldView, Moving, Truth},
    components::{
        digest_chip::DigestChip,
        icon::icon,
        state_badge::{Meaning, meaning, says, word},
        time::Ago,
        truth,
    },
};
use domain::{
    artifact::ExactImage,
    follow::Course,
    name::Name,
    resource::{Binding, HoldCause, Kind},
    time::{Timestamp, span},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Where a cell stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CellContext {
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// The environment.
    pub environment: Name,
    /// The resource.
    pub resource: Name,
    /// Whether the actor may change what runs here.
    pub may_change: bool,
}

impl CellContext {
    /// Address of the resource's page.
    #[must_use]
    pub fn href(&self) -> String {
        format!(
            "/w/{}/{}/{}/{}",
            self.workspace, self.project, self.environment, self.resource
        )
    }
}

/// What the button *Promote* or *Resume* of a cell, and of its preview, posts to the page.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CellPost {
    /// `promote` or `resume`; `preview-promote` or `preview-resume` to see first what that would do.
    pub intent: String,
    /// The environment.
    pub environment: String,
    /// The resource.
    pub resource: String,
    /// Anything when the values file may be made, where there is none.
    pub create_file: String,
    /// Why promotions are paused, on an environment's page.
    pub reason: String,
    /// The digest that is adopted, on an environment's page.
    pub digest: String,
}

/// A cell of the board.
#[must_use]
pub fn cell_view(cell: &Cell, place: &CellContext, now: Signal<Timestamp>) -> AnyView {
    let age = cell.since.map(|since| {
        view! {
            <span class="age">
                <Ago at=since now=now />
            </span>
        }
    });
    // The column's head says already that there is only Git.
    let plain = cell.truth == Truth::GitOnly && cell.moving.is_none() && cell.failed.is_none() && cell.behind.is_none();
    let said = (!plain || cell.follows.hold.is_some()).then(|| how(cell, now));
    // "3 behind staging" names the source already.
    let pinned_behind = cell.behind.is_some() && matches!(cell.follows.binding, Binding::Pin(_));
    let how_it_follows = if pinned_behind {
        Some(view! { <span>"pinned"</span> }.into_any())
    } else {
        follows(&cell.follows, place)
    };
    view! {
        <div class="cell" class:dimmed=cell.out_of_sight.is_some()>
            <div class="what">{what(cell, place)} {age}</div>
            <div class="how">{said} {seen(cell, now)} {changed_outside(cell)} {registry_trouble(cell)} {how_it_follows} {kind(&cell.kind)} {button(cell, place)}</div>
        </div>
    }
    .into_any()
}

/// What runs, as a link to the resource.
#[must_use]
pub fn what(cell: &Cell, place: &CellContext) -> AnyView {
    let shown = match &cell.image {
        Some(image) => view! { <DigestChip image=image.clone() tag=true /> }.into_any(),
        None => match &cell.unclear {
            Some(unclear) => {
                view! { <span class="says bad">{format!("{}.", unclear.trim_end_matches('.'))}</span> }.into_any()
            }
            None => view! { <span class="muted">"No image yet"</span> }.into_any(),
        },
    };
    view! {
        <a class="what-link" href=place.href()>
            <span class="visually-hidden">{format!("{} in {}: ", place.resource, place.environment)}</span>
            {shown}
        </a>
    }
    .into_any()
}

/// What matters most, in a few words: in flight, failed, unhealthy, drift, held, behind; else that all is well.
#[must_use]
pub fn how(cell: &Cell, now: Signal<Timestamp>) -> AnyView {
    if let Some(moving) = &cell.moving {
        let what = format!("{} {}", word(moving.state), moving.image.digest.short());
        let meaning = meaning(moving.state);
        let href = format!("/promotions/{}", moving.id);
        let starved = starved_words(moving, now);
        return says(meaning, meaning.icon(), view! { <a href=href>{what}</a> {starved} });
    }
    if let Some(id) = &cell.failed {
        let href = format!("/promotions/{id}");
        return says(Meaning::Bad, "bad", view! { <a href=href>"Promotion failed"</a> });
    }
    let (meaning, icon_name, words) = truth::words(&cell.truth);
    let calm = matches!(meaning, Meaning::Good | Meaning::Quiet);
    let held = cell.follows.hold.as_ref();
    if let Some(hold) = held.filter(|hold| calm || hold.cause.is_in_git()) {
        return says(Meaning::Held, "held", held_words(hold, now));
    }
    match &cell.behind {
        Some(behind) if calm => {
            let of = behind
                .of
                .as_ref()
                .map_or_else(|| "its repository".to_owned(), Name::to_string);
            let words = match (behind.course, behind.count) {
                (Course::Older, _) => "Ahead of its source".to_owned(),
                (_, Some(count)) => format!("{count} behind {of}"),
                (Course::Newer | Course::Same, None) => format!("Behind {of}"),
                (Course::Unknown, None) => format!("Differs from {of}"),
            };
            view! { <span class="says behind">{icon("behind")} <span>{words}</span></span> }.into_any()
        }
        // Nearly grey: what is well asks for nothing.
        _ if calm => says(Meaning::Quiet, icon_name, words),
        _ => says(meaning, icon_name, words),
    }
}

/// How long something waits while others were superseded: ` waits for 3 h; 9 promotions were superseded`.
#[must_use]
pub fn starved_words(moving: &Moving, now: Signal<Timestamp>) -> Option<AnyView> {
    let (since, superseded) = moving.starved?;
    let many = match superseded {
        1 => "1 promotion was superseded".to_owned(),
        n => format!("{n} promotions were superseded"),
    };
    let waits = move || format!(" waits for {}; {many}", span(now.get().millis_since(since)));
    Some(view! { <span>{waits}</span> }.into_any())
}

/// Whether a cell says something else before what is live, in the order of [`how`].
fn says_else_first(cell: &Cell) -> bool {
    let (meaning, ..) = truth::words(&cell.truth);
    let calm = matches!(meaning, Meaning::Good | Meaning::Quiet);
    let is_held = (cell.follows.hold.as_ref()).is_some_and(|hold| calm || hold.cause.is_in_git());
    cell.moving.is_some() || cell.failed.is_some() || is_held || (calm && cell.behind.is_some())
}

/// How old what is live is, or since when nobody knows, beside whatever else a cell says first.
#[must_use]
pub fn seen(cell: &Cell, now: Signal<Timestamp>) -> Option<AnyView> {
    match &cell.truth {
        Truth::NotKnownSince(_) | Truth::NoApplication if says_else_first(cell) => {
            let (meaning, icon_name, words) = truth::words(&cell.truth);
            Some(says(meaning, icon_name, words))
        }
        _ => out_of_sight(cell, now),
    }
}

/// How old what is live is, where Argo CD can't be reached: `As of 40 s ago`.
#[must_use]
pub fn out_of_sight(cell: &Cell, now: Signal<Timestamp>) -> Option<AnyView> {
    let seen = cell.out_of_sight?;
    let title = "Argo CD can't be reached. This is what it reported last.";
    Some(
        view! {
            <span class="says waiting" title=title>
                {icon("unknown")}
                <span>"As of " <Ago at=seen now=now /></span>
            </span>
        }
        .into_any(),
    )
}

/// Who changed Git without Waybill, if that is how it came to what it runs.
#[must_use]
pub fn changed_outside(cell: &Cell) -> Option<AnyView> {
    cell.outside.as_ref().map(|outside| {
        let words = format!("Changed in Git by {}", outside.author);
        let title = format!("{} {}", outside.commit.get(..7).unwrap_or_default(), outside.subject);
        view! { <span class="says waiting" title=title>{icon("drift")} <span>{words}</span></span> }.into_any()
    })
}

/// What is wrong with its image in the registry: that it can't be pulled any more, or that somebody moved the environment's tag.
#[must_use]
pub fn registry_trouble(cell: &Cell) -> Option<AnyView> {
    if cell.incomplete {
        return Some(says(Meaning::Bad, "bad", "Can't be pulled any more"));
    }
    let tag = cell.moved_tag.as_ref()?;
    Some(says(Meaning::Waiting, "drift", format!("Tag {tag} was moved")))
}

/// Who holds a resource, why and since when: `Held: rolled back by Ada 5 min ago`.
#[must_use]
pub fn held_words(hold: &HoldView, now: Signal<Timestamp>) -> AnyView {
    let words = format!("Held: {} ", hold.words);
    view! {
        {words}
        <Ago at=hold.at now />
    }
    .into_any()
}

/// What it follows and how; nothing for a resource that takes its image from a repository as it comes.
#[must_use]
pub fn follows(follows: &Follows, place: &CellContext) -> Option<AnyView> {
    let source = follows.source.as_ref().map(|(environment, resource)| {
        if *resource == place.resource {
            environment.to_string()
        } else {
            format!("{environment}/{resource}")
        }
    });
    let words = match (&follows.binding, source) {
        (Binding::TrackLatest, Some(source)) => format!("tracks {source}"),
        (Binding::TrackLatest, None) => return None,
        (Binding::Pin(_), Some(source)) => format!("pinned, from {source}"),
        (Binding::Pin(_), None) => "pinned".to_owned(),
    };
    Some(view! { <span>{words}</span> }.into_any())
}

/// The kind, when it isn't the usual one.
#[must_use]
pub fn kind(kind: &Kind) -> Option<AnyView> {
    (*kind != Kind::Deployment).then(|| view! { <span>{kind.to_string()}</span> }.into_any())
}

/// What a cell's button would run, and in place of what.
fn will_run(behind: &Behind, cell: &Cell) -> String {
    let said = |image: &ExactImage| format!("{} ({})", image.short_label(), image.digest.short());
    match &cell.image {
        Some(image) => format!("Runs {} in place of {}", said(&behind.latest), said(image)),
        None => format!("Runs {}", said(&behind.latest)),
    }
}

/// *Resume*, where a person holds it, or *Promote*, where there is something newer (*Go back*, where what its source offers is older); if the actor may. Posts a [`CellPost`] to the
/// page, which shows first what will change, if anything will.
#[must_use]
pub fn button(cell: &Cell, place: &CellContext) -> Option<AnyView> {
    let (intent, word, name, title) = match &cell.behind {
        behind if cell.follows.hold.is_some() => {
            let is_removed = |hold: &HoldView| hold.cause == HoldCause::RemovedFromGit;
            let word = match cell.follows.hold.as_ref().is_some_and(is_removed) {
                true => "Create again",
                false => "Resume",
            };
            let name = format!("{word} {} in {}", place.resource, place.environment);
            match behind {
                // It stays ahead of its source: nothing is to be seen first.
                Some(behind) if behind.course == Course::Newer => {
                    ("preview-resume", word, name, Some(will_run(behind, cell)))
                }
                _ => ("resume", word, name, None),
            }
        }
        Some(behind) if cell.moving.is_none() => {
            let (word, name) = match behind.course {
                Course::Older => {
                    let here = format!("Take {} in {} back", place.resource, place.environment);
                    match behind.of {
                        Some(_) => ("Go back too", format!("{here} along with its source")),
                        None => ("Go back", here),
                    }
                }
                _ => (
                    "Promote",
                    format!("Promote {} to {}", place.resource, place.environment),
                ),
            };
            ("preview-promote", word, name, Some(will_run(behind, cell)))
        }
        _ => return None,
    };
    place.may_change.then(|| {
        view! {
            <form class="promote" method="post">
                <input type="hidden" name="environment" value=place.environment.to_string() />
                <input type="hidden" name="resource" value=place.resource.to_string() />
                <button class="button small" name="intent" value=intent aria-label=name title=title>
                    {word}
                </button>
            </form>
        }
        .into_any()
    })
}

/// What is to be known of an environment: cluster, protected, Git only.
#[must_use]
pub fn head_labels(head: &EnvironmentHead) -> AnyView {
    view! {
        <span class="row">
            <span class="label">{head.cluster.to_string()}</span>
            {head.protected.then(|| view! { <span class="label">{icon("lock")} "Protected"</span> })}
            {head.git_only.then(|| view! { <span class="label">{icon("git")} "Git only"</span> })}
        </span>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::board::{Behind, Follows};
    use domain::{
        artifact::ExactImage,
        resource::{Binding, Kind},
    };

    /// Behind its source, with this truth.
    fn behind(truth: Truth) -> Cell {
        let latest = ExactImage {
            repository: "r.example/api".parse().unwrap(),
            tag: None,
            digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
        };
        Cell {
            kind: Kind::Deployment,
            image: None,
            since: None,
            outside: None,
            unclear: None,
            switched_off: false,
            truth,
            incomplete: false,
            moved_tag: None,
            out_of_sight: None,
            follows: Follows {
                source: None,
                binding: Binding::TrackLatest,
                hold: None,
            },
            behind: Some(Behind {
                course: Course::Newer,
                count: Some(1),
                of: None,
                latest,
            }),
            moving: None,
            failed: None,
        }
    }

    #[test]
    fn what_is_not_known_is_said_once() {
        // Calm, it comes after how far the resource is behind, and is said beside it; a missing Application comes before.
        assert!(says_else_first(&behind(Truth::NotKnownSince(Timestamp(0)))));
        assert!(!says_else_first(&behind(Truth::NoApplication)));
        let mut failed = behind(Truth::NoApplication);
        failed.failed = "00000000-0000-0000-0000-000000000000".parse().ok();
        assert!(says_else_first(&failed));
    }
}
