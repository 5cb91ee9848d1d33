//! Which tags of a repository count: the fields of the forms that say it.

use super::field::{SelectField, TextField};
use leptos::prelude::*;

/// The fields, with what they hold at first. One is for range, pattern and tag, so that a form is whole without a script.
#[must_use]
pub fn tag_rule_fields(
    tags: &str,
    value: String,
    leave_out: String,
    error: impl Fn(&'static str) -> Signal<Option<String>>,
) -> AnyView {
    let options: Vec<_> = [
        ("newest", "All, newest by build time"),
        ("semver", "SemVer versions, the highest in a range"),
        ("pattern", "A pattern, by the part in parentheses"),
        ("only", "One tag"),
    ]
    .into_iter()
    .map(|(value, text)| {
        view! {
            <option value=value selected=value == tags>
                {text}
            </option>
        }
    })
    .collect();
    view! {
        <SelectField name="tags" label="Tags that count" error=error("tags")>
            {options}
        </SelectField>
        <TextField
            name="tags_value"
            label="Range, pattern or tag"
            help=r"For example >=1.4, <2, or build-(\d+), or stable. SemVer without a range: every release."
            value
            error=error("tags_value")
            mono=true
        />
        <TextField
            name="leave_out"
            label="Tags to leave out"
            help="Optional. * stands for any characters: pr-*, *-rc*."
            value=leave_out
            error=error("leave_out")
            mono=true
        />
    }
    .into_any()
}
