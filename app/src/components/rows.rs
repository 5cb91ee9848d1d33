//! Rows of a form that can be added and taken away, also without a script: then the buttons post the form.

use crate::components::icon::icon;
use leptos::prelude::*;

/// Which rows there are. A row keeps its key while others come and go, so that what was typed stays with it.
#[derive(Clone, Copy)]
pub struct RowKeys {
    keys: RwSignal<Vec<usize>>,
    next: StoredValue<usize>,
}

impl RowKeys {
    /// Keys `0..count`.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            keys: RwSignal::new((0..count).collect()),
            next: StoredValue::new(count),
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.keys.with_untracked(Vec::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn add(self) {
        let key = self.next.get_value();
        self.next.set_value(key + 1);
        self.keys.update(|keys| keys.push(key));
    }

    /// Takes a row away; an empty one comes when it was the last.
    fn remove(self, key: usize) {
        self.keys.update(|keys| keys.retain(|other| *other != key));
        if self.is_empty() {
            self.add();
        }
    }
}

/// What happened to the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowChange {
    /// One was added at the end.
    Added,
    /// The one at this place was taken away.
    Removed(usize),
}

/// The rows, each with its button *Remove*, and the button that adds one.
#[component]
pub fn Rows(
    /// Which rows there are.
    rows: RowKeys,
    /// What a row is, in lower case: `port`. Buttons post `add-port`, `remove-port-2`.
    what: &'static str,
    /// Shows a row, given its key and its place counted from 0.
    row: Callback<(usize, Signal<usize>), AnyView>,
    /// Called after a change.
    on_change: Callback<RowChange>,
    /// Most rows.
    most: usize,
) -> AnyView {
    let remove = move |key: usize, place: usize| {
        rows.remove(key);
        on_change.run(RowChange::Removed(place));
    };
    view! {
        <div class="rows">
            <ForEnumerate each=move || rows.keys.get() key=|key| *key let(place, key)>
                <div class="entry">
                    {row.run((key, place.into()))}
                    <button
                        type="submit"
                        class="button plain"
                        name="intent"
                        value=move || format!("remove-{what}-{}", place.get() + 1)
                        on:click=move |event| {
                            event.prevent_default();
                            remove(key, place.get_untracked());
                        }
                    >
                        "Remove"
                        <span class="visually-hidden">{move || format!(" {what} {}", place.get() + 1)}</span>
                    </button>
                </div>
            </ForEnumerate>
            <button
                type="submit"
                class="button"
                name="intent"
                value=format!("add-{what}")
                disabled=move || rows.keys.with(|keys| keys.len() >= most)
                on:click=move |event| {
                    event.prevent_default();
                    rows.add();
                    on_change.run(RowChange::Added);
                }
            >
                {icon("plus")}
                {format!("Add {what}")}
            </button>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_keys_and_never_run_out() {
        let owner = Owner::new();
        owner.with(|| {
            let rows = RowKeys::new(2);
            rows.add();
            rows.remove(1);
            assert_eq!(rows.keys.get_untracked(), [0, 2]);
            rows.remove(0);
            rows.remove(2);
            assert_eq!(rows.keys.get_untracked(), [3]);
        });
    }
}
