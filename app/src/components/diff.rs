//! A unified diff: lines that go and come are told apart by sign, word and colour.

use leptos::prelude::*;

/// What a line of a unified diff is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    File,
    Hunk,
    Added,
    Removed,
    Same,
    Note,
}

impl Line {
    fn class(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Hunk => "hunk",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Same => "same",
            Self::Note => "note",
        }
    }
}

/// Sorts the lines of a unified diff. A line that begins with `---` belongs to the file's head only before the first
/// hunk: within one, it is a removed line of two dashes.
fn lines(diff: &str) -> Vec<(Line, &str)> {
    let mut in_hunk = false;
    diff.lines()
        .map(|text| {
            let line = match text.as_bytes().first() {
                _ if text.starts_with("@@") => {
                    in_hunk = true;
                    Line::Hunk
                }
                _ if text.starts_with("diff ") => {
                    in_hunk = false;
                    Line::File
                }
                _ if !in_hunk => Line::File,
                Some(b'+') => Line::Added,
                Some(b'-') => Line::Removed,
                Some(b'\\') => Line::Note,
                _ => Line::Same,
            };
            (line, text)
        })
        .collect()
}

/// A unified diff, in a box that scrolls by itself.
#[component]
pub fn Diff(
    /// The diff; nothing is shown of an empty one.
    #[prop(into)]
    diff: String,
    /// What it is, for those who can't see the box.
    #[prop(into)]
    label: String,
) -> AnyView {
    let shown: Vec<_> = lines(&diff)
        .into_iter()
        .map(|(line, text)| {
            // Signs stay part of the text, so that copying gives a diff; words are for those who don't see colours.
            let (sign, rest) = match line {
                Line::Added | Line::Removed | Line::Same if !text.is_empty() => text.split_at(1),
                _ => ("", text),
            };
            let word = match line {
                Line::Added => Some("added: "),
                Line::Removed => Some("removed: "),
                _ => None,
            };
            view! {
                <span class=format!("line {}", line.class())>
                    {word.map(|word| view! { <span class="visually-hidden">{word}</span> })}
                    <span class="sign">{sign.to_owned()}</span>
                    {rest.to_owned()}
                    "\n"
                </span>
            }
        })
        .collect();
    view! {
        <div class="diff" role="region" aria-label=label tabindex="0">
            <pre>
                <code>{shown}</code>
            </pre>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_by_place_not_by_look() {
        let diff = "diff --git a/v.yaml b/v.yaml\n--- a/v.yaml\n+++ b/v.yaml\n@@ -1,4 +1,4 @@\n a: 1\n---- \n+++x\n\n-b\n\\ No newline at end of file";
        let sorted: Vec<Line> = lines(diff).into_iter().map(|(line, _)| line).collect();
        assert_eq!(
            sorted,
            [
                Line::File,
                Line::File,
                Line::File,
                Line::Hunk,
                Line::Same,
                Line::Removed,
                Line::Added,
                Line::Same,
                Line::Removed,
                Line::Note
            ]
        );
        assert!(lines("").is_empty());
    }
}
