//! Checking the ledger's chain, and handing the ledger out as JSON lines.
//!
//! Both read it page by page, beside a server that runs and writes: it is only ever added to, so pages read one after another are
//! as good as one look at the whole.

use crate::{
    service::{
        context::Services,
        reach::{Caller, not_found},
    },
    store::{
        Store, StoreError,
        chain::{BEGINNING, Entry, Head},
    },
};
use contract::error::AppError;
use domain::{
    environment::Workspace,
    id::WorkspaceId,
    rights::{self, Right},
    time::Timestamp,
};
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::{fmt, sync::Arc};

/// Entries that are read at once.
const PAGE: i64 = 1000;

/// What checking a workspace's chain found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Entries of the chain that fit; all of them, when nothing is broken.
    pub chained: i64,
    /// Entries from before there was a chain: nothing proves them.
    pub unchained: i64,
    /// Hash of the newest entry that fits. Kept elsewhere, it also proves that nobody wrote the whole chain anew.
    pub newest_hash: String,
    /// The first place where the chain is broken.
    pub broken: Option<Broken>,
}

/// Where and how a chain is broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// The entry's place; of the last one that is there, when those after it are missing.
    pub sequence: i64,
    /// When that entry says it happened.
    pub at: Timestamp,
    /// How.
    pub fault: Fault,
}

/// How a chain may be broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The content isn't what was hashed.
    Changed,
    /// It doesn't follow the entry before it.
    NotNext,
    /// It has no hash, although the chain had begun.
    Unchained,
    /// The newest entries are missing, so many (or more than were ever written are there, when negative).
    EndMissing(i64),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sequence, at) = (self.sequence, self.at.exact());
        match self.fault {
            Fault::Changed => write!(f, "entry {sequence} ({at}) was changed after it was written"),
            Fault::NotNext => write!(
                f,
                "entry {sequence} ({at}) does not follow the one before it: entries between them were removed, or one was put in"
            ),
            Fault::Unchained => write!(f, "entry {sequence} ({at}) has no hash: it was put in past Waybill"),
            Fault::EndMissing(missing) if missing > 0 => {
                write!(
                    f,
                    "after entry {sequence} ({at}) the newest {missing} entries are missing"
                )
            }
            Fault::EndMissing(_) => write!(
                f,
                "after entry {sequence} ({at}) the chain does not end as Waybill wrote it: its end was exchanged"
            ),
        }
    }
}

/// Follows a chain entry by entry.
#[derive(Default)]
struct Check {
    found: Checked,
    last: Option<(i64, i64)>,
}

impl Check {
    fn new() -> Self {
        let mut check = Self::default();
        check.found.newest_hash = BEGINNING.into();
        check
    }

    /// Looks at the next entry; `false` when the chain is broken there.
    fn take(&mut self, entry: &Entry) -> bool {
        let fault = match (&entry.previous_hash, &entry.hash) {
            (None, None) if self.found.chained == 0 => {
                self.found.unchained += 1;
                self.last = Some((entry.sequence, entry.at));
                return true;
            }
            (Some(previous), Some(hash)) if entry.hash_after(previous) != *hash => Some(Fault::Changed),
            (Some(previous), Some(_)) if *previous != self.found.newest_hash => Some(Fault::NotNext),
            (Some(_), Some(hash)) => {
                self.found.newest_hash.clone_from(hash);
                None
            }
            (None, None) => Some(Fault::Unchained),
            _ => Some(Fault::Changed),
        };
        if let Some(fault) = fault {
            self.found.broken = Some(Broken {
                sequence: entry.sequence,
                at: Timestamp(entry.at),
                fault,
            });
            return false;
        }
        self.found.chained += 1;
        self.last = Some((entry.sequence, entry.at));
        true
    }

    /// All entries fit: are they all that were written?
    fn end(mut self, head: &Head) -> Checked {
        if head.hash != self.found.newest_hash || head.entries != self.found.chained {
            let (sequence, at) = self.last.unwrap_or_default();
            self.found.broken = Some(Broken {
                sequence,
                at: Timestamp(at),
                fault: Fault::EndMissing(head.entries - self.found.chained),
            });
        }
        self.found
    }
}

/// Checks a workspace's chain from its first entry to its newest.
///
/// # Errors
/// When the database fails.
pub async fn check_ledger(store: &dyn Store, workspace: WorkspaceId) -> Result<Checked, StoreError> {
    let mut check = Check::new();
    let mut after = i64::MIN;
    loop {
        let mut tx = store.read().await?;
        let page = tx.ledger_entries(workspace, after, PAGE).await?;
        for entry in &page {
            if !check.take(entry) {
                return Ok(check.found);
            }
        }
        match page.last() {
            Some(last) => after = last.sequence,
            // Seen at the same moment: who writes meanwhile adds to neither.
            None => return Ok(check.end(&tx.ledger_head(workspace).await?)),
        }
    }
}

/// A workspace's ledger as JSON lines, oldest first, some of them at a time.
pub fn ledger_lines(store: Arc<dyn Store>, workspace: WorkspaceId) -> impl Stream<Item = Result<String, StoreError>> {
    stream::try_unfold((store, i64::MIN), move |(store, after)| async move {
        let page = store.read().await?.ledger_entries(workspace, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        let next = (store, last.sequence);
        Ok(Some((page.iter().map(line).collect::<String>(), next)))
    })
}

/// An entry as a line. What was hashed as text, `actor` and `happened`, stands in it byte for byte.
fn line(entry: &Entry) -> String {
    // Somebody may have put in what is no JSON; the line still has to be.
    let whole = |text: &str| match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) if !text.contains('\n') => text.to_owned(),
        _ => Value::from(text).to_string(),
    };
    let value = |field: &Option<String>| json!(field).to_string();
    format!(
        "{{\"sequence\":{},\"at\":{},\"time\":{},\"workspace\":{},\"project\":{},\"environment\":{},\"resource\":{},\
         \"promotion\":{},\"actor\":{},\"door\":{},\"address\":{},\"happened\":{},\"previousHash\":{},\"hash\":{}}}\n",
        entry.sequence,
        entry.at,
        json!(Timestamp(entry.at).rfc3339()),
        json!(entry.workspace),
        value(&entry.project),
        value(&entry.environment),
        value(&entry.resource),
        value(&entry.promotion),
        whole(&entry.actor),
        value(&entry.door),
        value(&entry.address),
        whole(&entry.happened),
        value(&entry.previous_hash),
        value(&entry.hash),
    )
}

/// The workspaces that a person with the database in hand means: the one of this name, or else those that had it when they were
/// deleted, or the one of this id; all without a name. What was deleted keeps its ledger.
///
/// # Errors
/// When there is none of this name, or the database fails.
pub async fn ledger_workspaces(store: &dyn Store, name: Option<&str>) -> Result<Vec<Workspace>, AppError> {
    let mut tx = store.read().await?;
    let all = tx.workspaces_ever().await?;
    let Some(name) = name else { return Ok(all) };
    let named = tx.workspace_by_name(name).await?;
    let found: Vec<_> = match named {
        Some(workspace) => vec![workspace],
        None => (all.into_iter())
            .filter(|w| w.name.as_str() == name || w.id.to_string() == name)
            .collect(),
    };
    if found.is_empty() {
        return Err(AppError::NotFound(format!(
            "There is no workspace {name:?}. Correct the name."
        )));
    }
    Ok(found)
}

/// A workspace's ledger as JSON lines, for administrators who may see all of its projects.
///
/// # Errors
/// When there is no such workspace for the caller, or they don't administer it.
pub async fn export_ledger(
    services: &Services,
    caller: &Caller,
    workspace: &str,
) -> Result<BoxStream<'static, Result<String, StoreError>>, AppError> {
    let (workspace, role) = caller
        .access
        .iter()
        .find(|(w, _)| w.name.as_str() == workspace)
        .ok_or_else(|| not_found("workspace", workspace))?;
    rights::check(*role, Right::Export)?;
    caller.check_whole()?;
    let mut tx = services.store.read().await?;
    caller.check_sees_all(&mut *tx, workspace.id, "The ledger").await?;
    drop(tx);
    Ok(ledger_lines(services.store.clone(), workspace.id).boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_whatever_was_put_in() {
        let mut entry = Entry {
            sequence: 3,
            at: 1_800_000_000_123,
            actor: r#"{"kind":"token", "name":"ci"}"#.into(),
            happened: "no JSON\n".into(),
            ..Entry::default()
        };
        let text = line(&entry);
        assert!(text.contains(&entry.actor), "byte for byte: {text}");
        assert_eq!(text.matches('\n').count(), 1);
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["happened"], "no JSON\n");
        assert_eq!(
            (&read["door"], &read["time"]),
            (&Value::Null, &json!("2027-01-15T08:00:00Z"))
        );
        entry.happened = "{\n}".into();
        assert_eq!(line(&entry).matches('\n').count(), 1);
    }
}
