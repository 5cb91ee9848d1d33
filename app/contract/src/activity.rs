//! What happened in a workspace: the ledger, page by page, and which part of it is shown.

use crate::query;
use domain::{id::PromotionId, name::Name, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Which entries are shown, as the address holds it. Empty fields leave nothing out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ActivityFilter {
    /// Part of the name or address of who did it.
    pub actor: String,
    /// The environment: `project/environment`.
    pub env: String,
    /// The resource's name.
    pub resource: String,
    /// The kind of event, as `EventKind` is stored.
    pub kind: String,
    /// The first day or minute, UTC: `2026-11-20` or `2026-11-20T10:04`.
    pub from: String,
    /// The last day or minute.
    pub to: String,
    /// Where the page before this one ended, as [`ActivityView::older`] said.
    pub before: String,
}

impl ActivityFilter {
    /// Reads the address.
    #[must_use]
    pub fn from_query(query: impl Fn(&str) -> Option<String>) -> Self {
        let get = |key: &str| query(key).unwrap_or_default();
        Self {
            actor: get("actor"),
            env: get("env"),
            resource: get("resource"),
            kind: get("kind"),
            from: get("from"),
            to: get("to"),
            before: get("before"),
        }
    }

    /// The address's query, `?` included; empty when everything is shown.
    #[must_use]
    pub fn to_query(&self) -> String {
        query::of(&[
            ("actor", &self.actor),
            ("env", &self.env),
            ("resource", &self.resource),
            ("kind", &self.kind),
            ("from", &self.from),
            ("to", &self.to),
            ("before", &self.before),
        ])
    }

    /// Whether nothing is left out, the page aside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                before: self.before.clone(),
                ..Self::default()
            }
    }

    /// The same entries from another page on; an empty place is the newest.
    #[must_use]
    pub fn page(&self, before: &str) -> Self {
        Self {
            before: before.to_owned(),
            ..self.clone()
        }
    }
}

/// A page of what happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActivityView {
    /// The workspace.
    pub workspace: Name,
    /// Newest first.
    pub entries: Vec<ActivityEntry>,
    /// Where the next page begins; `None` when this is the last.
    pub older: Option<String>,
    /// What of the filter could not be understood, a sentence each.
    pub problems: Vec<String>,
    /// Environments to choose from: `project/environment`.
    pub environments: Vec<String>,
    /// Who to choose from.
    pub actors: Vec<String>,
    /// Whether the reader may take the whole ledger out.
    pub may_export: bool,
    /// When this was read.
    pub now: Timestamp,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActivityEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What to look for to see more of theirs.
    pub actor_search: String,
    /// What they did, to stand behind their name.
    pub did: String,
    /// More about it.
    pub more: Vec<String>,
    /// Where: project, environment and resource, as much as applies and is still there.
    pub project: Option<Name>,
    /// The environment.
    pub environment: Option<Name>,
    /// The resource.
    pub resource: Option<Name>,
    /// The promotion.
    pub promotion: Option<PromotionId>,
    /// Through which door, in words, when that is known.
    pub door: Option<String>,
    /// From which address; only administrators are told.
    pub address: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_holds_what_was_chosen_and_the_place() {
        let filter = ActivityFilter {
            actor: "ada@example.com".into(),
            kind: "held".into(),
            ..ActivityFilter::default()
        };
        assert!(ActivityFilter::default().page("1-2").is_empty() && !filter.is_empty());
        assert_eq!(
            filter.page("1-2").to_query(),
            "?actor=ada%40example.com&kind=held&before=1-2"
        );
        assert_eq!(filter.page("1-2").page(""), filter);
        assert_eq!(ActivityFilter::default().to_query(), "");
    }
}
