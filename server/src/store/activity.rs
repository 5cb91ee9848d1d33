//! The ledger as people search it: newest first, a page at a time, quick however long it is.
//!
//! Each page is read along an index that has the wanted order, from where the last page ended. Which index is said here and not left
//! to the database: the thing that is looked for with the fewest entries leads ([`Along`]), and what else is
//! wanted only drops rows on the way. A place in the order is the time and, among equal times, the sequence.

use domain::{
    id::{EnvironmentId, ResourceId, WorkspaceId},
    time::Timestamp,
    told::EventKind,
};

/// What is looked for: all that is said must be so.
#[derive(Clone, Debug)]
pub struct Search {
    /// Whose ledger.
    pub workspace: WorkspaceId,
    /// The index that leads.
    pub along: Along,
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// In this environment.
    pub environment: Option<EnvironmentId>,
    /// By one of these, as [`super::Ledger::actors`] tells them. Where one of them leads, nothing need be said here.
    pub actors: Option<Vec<String>>,
    /// Not before this.
    pub from: Timestamp,
    /// Before this place.
    pub before: Position,
    /// So many at most.
    pub limit: i64,
}

/// What leads a search.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Along {
    /// Nothing: all of the workspace.
    Time,
    /// Entries of one kind.
    Kind(EventKind),
    /// Entries of one actor, as [`super::Ledger::actors`] tells them.
    Actor(String),
    /// Entries about one environment of the workspace.
    Environment(EnvironmentId),
    /// Entries about one resource of the workspace.
    Resource(ResourceId),
}

/// A place in the order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// When.
    pub at: Timestamp,
    /// The sequence, among entries of one time.
    pub sequence: i64,
}

/// The statement for each thing that may lead.
pub(crate) struct Statements {
    pub(crate) by_time: &'static str,
    pub(crate) by_kind: &'static str,
    pub(crate) by_actor: &'static str,
    pub(crate) by_environment: &'static str,
    pub(crate) by_resource: &'static str,
}

/// `$1` leads; `$2` and `$3` are the place, `$4` the earliest time, `$5` to `$7` what else is wanted (actors as [`listed`] writes them,
/// among which `$place` finds one), `$8` how many, `$9` the workspace beside a kind or an actor. What drops rows is written so that no
/// index can be chosen for it.
macro_rules! search {
    ($place:literal, $leads:literal, $($along:literal)?) => {
        concat!(
            "SELECT sequence, at, workspace_id, project_id, environment_id, resource_id, promotion_id, actor, door, address, \
             happened FROM events",
            $(" INDEXED BY ", $along,)?
            " WHERE ",
            $leads,
            " AND (at, sequence) < ($2, $3) AND at >= $4 AND (kind = $5 OR $5 IS NULL) \
             AND (environment_id = $6 OR $6 IS NULL) AND (",
            $place,
            " > 0 OR $7 IS NULL) \
             ORDER BY at DESC, sequence DESC LIMIT $8"
        )
    };
}

/// An actor's place in a list, if it is there. How letters of all languages are written small the databases don't know; so it is found out
/// before who is meant, and they compare whole texts.
macro_rules! in_sqlite {
    ($leads:literal, $along:literal) => {
        search!("instr($7, char(10) || actor_key || char(10))", $leads, $along)
    };
}

macro_rules! in_postgres {
    ($leads:literal) => {
        search!("strpos($7, chr(10) || actor_key || chr(10))", $leads,)
    };
}

/// SQLite guesses how many rows there are of each, and may guess wrong: it is told.
pub(crate) const SQLITE: Statements = Statements {
    by_time: in_sqlite!("workspace_id = $1", "events_by_time"),
    by_kind: in_sqlite!("workspace_id = $9 AND kind = $1", "events_by_kind"),
    by_actor: in_sqlite!("workspace_id = $9 AND actor_key = $1", "events_by_actor"),
    by_environment: in_sqlite!("environment_id = $1", "events_by_environment"),
    by_resource: in_sqlite!("resource_id = $1", "events_by_resource"),
};

/// PostgreSQL counts.
pub(crate) const POSTGRES: Statements = Statements {
    by_time: in_postgres!("workspace_id = $1"),
    by_kind: in_postgres!("workspace_id = $9 AND kind = $1"),
    by_actor: in_postgres!("workspace_id = $9 AND actor_key = $1"),
    by_environment: in_postgres!("environment_id = $1"),
    by_resource: in_postgres!("resource_id = $1"),
};

/// From one actor to the next along the index, however many entries each has.
pub(crate) const ACTORS: &str = "WITH RECURSIVE actors (name) AS (\
     SELECT MIN(actor_key) FROM events WHERE workspace_id = $1 UNION ALL \
     SELECT (SELECT MIN(e.actor_key) FROM events e WHERE e.workspace_id = $1 AND e.actor_key > a.name) \
     FROM actors a WHERE a.name IS NOT NULL) SELECT name FROM actors WHERE name IS NOT NULL";

/// Actors as the statements search them: each between line feeds.
pub(crate) fn listed(actors: &[String]) -> String {
    let mut list = String::from("\n");
    for actor in actors {
        list.push_str(actor);
        list.push('\n');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ledger, sqlite::SqliteStore};
    use sqlx::AssertSqlSafe;

    /// Each search goes along its own index, in its order: nothing is sorted, and no more is read than is shown and dropped.
    #[tokio::test]
    async fn each_search_goes_along_its_index() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("waybill.db");
        drop(SqliteStore::open(&file).await.unwrap());
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
            .await
            .unwrap();
        let by = |index: &str| format!("SEARCH events USING INDEX {index}");
        for (statement, wanted) in [
            (SQLITE.by_time, by("events_by_time (workspace_id=? AND at>? AND at<?)")),
            (
                SQLITE.by_kind,
                by("events_by_kind (workspace_id=? AND kind=? AND at>? AND at<?)"),
            ),
            (
                SQLITE.by_actor,
                by("events_by_actor (workspace_id=? AND actor_key=? AND at>? AND at<?)"),
            ),
            (
                SQLITE.by_environment,
                by("events_by_environment (environment_id=? AND at>? AND at<?)"),
            ),
            (
                SQLITE.by_resource,
                by("events_by_resource (resource_id=? AND at>? AND at<?)"),
            ),
            // Checking and exporting go through all of it in its order.
            (
                ledger::LEDGER_ENTRIES,
                "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)".into(),
            ),
        ] {
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
                    .fetch_all(&pool)
                    .await
                    .unwrap();
            let plan: Vec<_> = plan.into_iter().map(|(.., what)| what).collect();
            assert_eq!(plan, [wanted], "{statement}");
        }
    }

    #[test]
    fn actors_are_found_whole() {
        let list = listed(&["ada <a@b>".into(), "waybill".into()]);
        let has = |key: &str| list.contains(&format!("\n{key}\n"));
        assert!(has("ada <a@b>") && has("waybill") && !has("way") && !has(""));
        assert!(!listed(&[]).contains("\n\n"));
    }
}
