//! What differs about one thing between a document and what is stored, in words.

use std::fmt;

/// Collects what differs about one thing.
#[derive(Default)]
pub(super) struct Differences(Vec<String>);

impl Differences {
    pub(super) fn compare<T: PartialEq + fmt::Display>(&mut self, what: &str, from: &T, to: &T) {
        if from != to {
            self.0.push(step(what, from, to));
        }
    }

    /// As `compare`, where the words may hide a difference: `differs` decides.
    pub(super) fn told(&mut self, what: &str, differs: bool, from: &str, to: &str) {
        match differs {
            true if from == to => self.0.push(what.to_owned()),
            true => self.0.push(step(what, from, to)),
            false => {}
        }
    }

    pub(super) fn option(&mut self, what: &str, from: Option<&String>, to: Option<&String>) {
        if from != to {
            self.0.push(step(
                what,
                from.map_or("", String::as_str),
                to.map_or("", String::as_str),
            ));
        }
    }

    /// All of them; empty when nothing differs.
    pub(super) fn words(&self) -> String {
        self.0.join(", ")
    }

    /// Something whose values aren't shown.
    pub(super) fn hidden(&mut self, what: &str, differs: bool) {
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
