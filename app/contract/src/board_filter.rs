//! Which rows and columns of the board are shown: kept in the address, so that a view can be sent to somebody.
//!
//! The server answers with the rows that match, as many as are asked for; the browser hides what no longer matches while
//! one types, until that answer comes.

use crate::{
    board::{Behind, BoardRow, Cell, EnvironmentHead, Truth},
    query,
};
use domain::{follow::Course, plan::Health};
use serde::{Deserialize, Serialize};

/// Rows that are shown unless more are asked for.
pub const ROWS: usize = 50;

/// The board's view, as the address holds it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BoardFilter {
    /// Part of a resource's name, a tag, or the start of a digest.
    pub q: String,
    /// Only resources that are so somewhere: `moving`, `failed`, `drift`, `behind`, `unhealthy`; empty or `all` for all.
    pub state: String,
    /// Only this environment; empty for all.
    pub env: String,
    /// `1`: only resources that differ between the environments.
    pub diff: String,
    /// How many rows; empty for [`ROWS`].
    pub rows: String,
}

impl BoardFilter {
    /// Reads the address.
    #[must_use]
    pub fn from_query(query: impl Fn(&str) -> Option<String>) -> Self {
        let get = |key: &str| query(key).unwrap_or_default();
        Self {
            q: get("q"),
            state: get("state"),
            env: get("env"),
            diff: get("diff"),
            rows: get("rows"),
        }
    }

    /// The address's query, `?` included; empty when everything is shown.
    #[must_use]
    pub fn to_query(&self) -> String {
        query::of(&[
            ("q", &self.q),
            ("state", &self.state),
            ("env", &self.env),
            ("diff", &self.diff),
            ("rows", &self.rows),
        ])
    }

    /// Whether everything is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            q,
            state,
            env,
            diff,
            rows: _,
        } = self;
        [q, state, env, diff].into_iter().all(String::is_empty)
    }

    /// Most rows to show.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.rows.parse().unwrap_or(ROWS).max(1)
    }

    /// The same view with more rows.
    #[must_use]
    pub fn more(&self) -> Self {
        Self {
            rows: (self.limit() * 5).to_string(),
            ..self.clone()
        }
    }

    /// The columns to show, with their places. An environment that there isn't hides none.
    #[must_use]
    pub fn columns(&self, environments: &[EnvironmentHead]) -> Vec<(usize, EnvironmentHead)> {
        let known = environments.iter().any(|head| head.name.as_str() == self.env);
        environments
            .iter()
            .cloned()
            .enumerate()
            .filter(|(_, head)| !known || head.name.as_str() == self.env)
            .collect()
    }

    /// Whether a row is shown, given the columns that are.
    #[must_use]
    pub fn shows(&self, row: &BoardRow, columns: &[(usize, EnvironmentHead)]) -> bool {
        let cells = || columns.iter().filter_map(|(i, _)| row.cells.get(*i)?.as_ref());
        let text = self.q.trim().to_ascii_lowercase();
        let by_text = text.is_empty()
            || row.resource.as_str().contains(&text)
            || cells().any(|cell| {
                cell.image.as_ref().is_some_and(|image| {
                    image
                        .tag
                        .as_ref()
                        .is_some_and(|tag| tag.as_str().to_ascii_lowercase().contains(&text))
                        || image.digest.hex().starts_with(text.trim_start_matches("sha256:"))
                })
            });
        let by_state = match self.state.as_str() {
            "moving" => cells().any(|cell| cell.moving.is_some()),
            "failed" => cells().any(|cell| cell.failed.is_some()),
            "drift" => cells().any(|cell| {
                matches!(cell.truth, Truth::Drift(_)) || cell.outside.is_some() || cell.moved_tag.is_some()
            }),
            "held" => cells().any(|cell| cell.follows.hold.is_some()),
            "behind" => cells().any(|cell| {
                let is_behind = |behind: &Behind| behind.course != Course::Older;
                cell.behind.as_ref().is_some_and(is_behind)
            }),
            "unhealthy" => cells().any(|cell| is_unhealthy(&cell.truth) || cell.incomplete),
            _ => true,
        };
        by_text && by_state && (self.diff != "1" || differs(&row.cells))
    }
}

/// Whether the environments don't all run the same digest; a place where the resource isn't counts as different.
fn differs(cells: &[Option<Cell>]) -> bool {
    let digests = cells.iter().map(|cell| Some(&cell.as_ref()?.image.as_ref()?.digest));
    let others = digests.clone().skip(1);
    digests.zip(others).any(|(one, other)| one != other)
}

/// Whether Argo CD reports something that a person should look at.
#[must_use]
pub fn is_unhealthy(truth: &Truth) -> bool {
    matches!(
        truth,
        Truth::Live(Health::Degraded | Health::Missing | Health::Unknown) | Truth::NothingRuns | Truth::NoApplication
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Behind, Follows};
    use domain::resource::{Binding, Kind};

    fn cell(start: &str, tag: &str) -> Cell {
        Cell {
            kind: Kind::Deployment,
            image: Some(domain::artifact::ExactImage {
                repository: "r.example/api".parse().unwrap(),
                tag: tag.parse().ok(),
                digest: format!("sha256:{start}{}", "0".repeat(64 - start.len()))
                    .parse()
                    .unwrap(),
            }),
            since: None,
            outside: None,
            unclear: None,
            switched_off: false,
            truth: Truth::Live(Health::Healthy),
            incomplete: false,
            moved_tag: None,
            out_of_sight: None,
            follows: Follows {
                source: None,
                binding: Binding::TrackLatest,
                hold: None,
            },
            behind: None,
            moving: None,
            failed: None,
        }
    }

    fn head(name: &str) -> EnvironmentHead {
        EnvironmentHead {
            name: name.parse().unwrap(),
            cluster: "one".parse().unwrap(),
            protected: false,
            git_only: false,
            may_change: true,
        }
    }

    fn filter(q: &str, state: &str, env: &str, diff: &str) -> BoardFilter {
        BoardFilter {
            q: q.into(),
            state: state.into(),
            env: env.into(),
            diff: diff.into(),
            rows: String::new(),
        }
    }

    #[test]
    fn rows_are_found_by_name_tag_digest_state_and_difference() {
        let heads = [head("dev"), head("prod")];
        let mut behind = cell("bbb", "v1");
        behind.behind = Some(Behind {
            course: Course::Newer,
            count: Some(1),
            of: None,
            latest: behind.image.clone().unwrap(),
        });
        let row = |prod: Cell| BoardRow {
            resource: "api".parse().unwrap(),
            cells: vec![Some(cell("aaa", "V2")), Some(prod)],
        };
        let differs = row(behind);
        for (wanted, filter) in [
            (true, filter("", "", "", "")),
            (true, filter(" AP", "", "", "")),
            (true, filter("v2", "all", "", "1")),
            (false, filter("v2", "", "prod", "")),
            (true, filter("sha256:bb", "behind", "", "")),
            (false, filter("web", "", "", "")),
            (false, filter("", "drift", "", "")),
            (false, filter("", "behind", "dev", "")),
            (true, filter("", "behind", "nowhere", "")),
        ] {
            assert_eq!(filter.shows(&differs, &filter.columns(&heads)), wanted, "{filter:?}");
        }
        let same = row(cell("aaa", "other"));
        assert!(!filter("", "", "", "1").shows(&same, &filter("", "", "", "").columns(&heads)));
    }

    #[test]
    fn the_address_holds_only_what_was_chosen() {
        assert_eq!(filter("", "", "", "").to_query(), "");
        assert_eq!(
            filter("a b&c", "", "dev", "1").to_query(),
            "?q=a%20b%26c&env=dev&diff=1"
        );
        let more = filter("", "", "", "").more();
        assert_eq!((more.to_query(), more.limit()), ("?rows=250".into(), 250));
        assert!(more.is_empty(), "more rows hide nothing");
    }
}
