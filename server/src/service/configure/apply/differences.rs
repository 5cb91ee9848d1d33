//! What differs about one thing between a document and what is stored, in words.

use domain::{copy::Mirror, environment_tags::EnvironmentTags};
use std::fmt;

/// Collects what differs about one thing.
#[derive(Default)]
pub(crate) struct Differences(Vec<String>);

impl Differences {
    pub(crate) fn compare<T: PartialEq + fmt::Display>(&mut self, what: &str, from: &T, to: &T) {
        if from != to {
            self.0.push(step(what, from, to));
        }
    }

    /// As `compare`, where the words may hide a difference: `differs` decides.
    pub(crate) fn told(&mut self, what: &str, differs: bool, from: &str, to: &str) {
        match differs {
            true if from == to => self.0.push(what.to_owned()),
            true => self.0.push(step(what, from, to)),
            false => {}
        }
    }

    pub(crate) fn option<T: PartialEq + fmt::Display>(&mut self, what: &str, from: Option<&T>, to: Option<&T>) {
        if from != to {
            let text = |value: Option<&T>| value.map(T::to_string).unwrap_or_default();
            self.0.push(step(what, text(from), text(to)));
        }
    }

    /// Where images are copied to.
    pub(crate) fn mirror(&mut self, from: Option<&Mirror>, to: Option<&Mirror>) {
        let words = |mirror: Option<&Mirror>| match mirror {
            Some(mirror) => format!("{} with {} attachments", mirror.repository, mirror.attachments),
            None => String::new(),
        };
        self.told("mirror", from != to, &words(from), &words(to));
    }

    /// The tags that an environment has in the registry.
    pub(crate) fn tags(&mut self, from: &EnvironmentTags, to: &EnvironmentTags) {
        self.told("tags", from != to, &from.words(), &to.words());
    }

    /// All of them; empty when nothing differs.
    pub(crate) fn words(&self) -> String {
        self.0.join(", ")
    }

    /// Something whose values aren't shown.
    pub(crate) fn hidden(&mut self, what: &str, differs: bool) {
        if differs {
            self.0.push(what.to_owned());
        }
    }
}

/// `from → to`, with a word for nothing.
fn step(what: &str, from: impl fmt::Display, to: impl fmt::Display) -> String {
    let word = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    format!("{what} {} → {}", word(from.to_string()), word(to.to_string()))
}
