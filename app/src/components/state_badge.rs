//! What a state means: one icon, one word, one colour, the same everywhere.

use crate::components::icon::icon;
use domain::promotion::State;
use leptos::prelude::*;

/// What something means to the person who looks: its colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// As it should be.
    Good,
    /// Under way, by itself.
    Moving,
    /// Something or somebody is waited for.
    Waiting,
    /// A person must look.
    Bad,
    /// Paused by a person.
    Held,
    /// Nothing to do with anybody.
    Quiet,
}

impl Meaning {
    /// The class that colours it.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Moving => "moving",
            Self::Waiting => "waiting",
            Self::Bad => "bad",
            Self::Held => "held",
            Self::Quiet => "quiet",
        }
    }

    /// The name of its icon.
    #[must_use]
    pub fn icon(self) -> &'static str {
        match self {
            Self::Quiet => "ended",
            other => other.class(),
        }
    }
}

/// What a promotion's state means.
#[must_use]
pub fn meaning(state: State) -> Meaning {
    match state {
        State::Waiting => Meaning::Waiting,
        State::Queued | State::Mirroring | State::Committing | State::Syncing | State::Verifying => Meaning::Moving,
        State::Succeeded => Meaning::Good,
        State::Rejected | State::Failed => Meaning::Bad,
        State::Cancelled | State::Superseded => Meaning::Quiet,
    }
}

/// A state's word as it begins a line: `Verifying`.
#[must_use]
pub fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "Waiting",
        State::Queued => "Queued",
        State::Mirroring => "Mirroring",
        State::Committing => "Committing",
        State::Syncing => "Syncing",
        State::Verifying => "Verifying",
        State::Succeeded => "Succeeded",
        State::Rejected => "Rejected",
        State::Cancelled => "Cancelled",
        State::Superseded => "Superseded",
        State::Failed => "Failed",
    }
}

/// Any word with its meaning, on its own.
#[must_use]
pub fn badge(meaning: Meaning, word: &'static str) -> AnyView {
    view! {
        <span class=format!("badge {}", meaning.class())>
            {icon(meaning.icon())} <span>{word}</span>
        </span>
    }
    .into_any()
}

/// Words with their meaning, in a line of text.
#[must_use]
pub fn says(meaning: Meaning, icon_name: &'static str, words: impl IntoAny) -> AnyView {
    view! { <span class=format!("says {}", meaning.class())>{icon(icon_name)} <span>{words.into_any()}</span></span> }
        .into_any()
}
