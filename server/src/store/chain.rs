//! The ledger's chain: each entry of a workspace holds the hash of the one before it, and its own.
//!
//! The hash is SHA-256, in hexadecimal, over these texts in this order: `waybill ledger 1`, the hash before (64 zeros for the first
//! entry), and the row's `at`, `workspace_id`, `project_id`, `environment_id`, `resource_id`, `promotion_id`, `actor`, `door`,
//! `address`, `happened`, all exactly as they are stored. Each text is written as its length in bytes, a colon, the text and a comma
//! (`3:api,`); one that isn't there as `-,`. So no two rows are written alike, and a dozen lines in any language can check it.
//!
//! What is stored is hashed, not what it means: entries of older releases stay as they were written. The place in the ledger
//! (`sequence`) is the database's, and not hashed: what counts is who comes after whom. Who can write to the
//! database can also write a whole new chain; its newest hash, kept elsewhere, is what such a chain can't have.
//!
//! `migrations/postgres/0004_ledger.sql` has the same once more, for what an older release writes meanwhile.

use sha2::{Digest as _, Sha256};

/// What stands for the hash before the first.
pub const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Names the encoding, so that a later one can't be taken for it.
const VERSION: &str = "waybill ledger 1";

/// A row of the ledger as it is stored: what is hashed, and the hashes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Its place.
    pub sequence: i64,
    /// When it happened, in milliseconds.
    pub at: i64,
    /// The workspace.
    pub workspace: String,
    /// The project.
    pub project: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// The promotion.
    pub promotion: Option<String>,
    /// Who, as JSON.
    pub actor: String,
    /// Through which door; entries that are older than the chain have none.
    pub door: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// What, as JSON.
    pub happened: String,
    /// The hash of the entry before; `None` for entries that are older than the chain.
    pub previous_hash: Option<String>,
    /// Its own hash.
    pub hash: Option<String>,
}

impl Entry {
    /// The hash that it has after an entry with the hash `previous`.
    #[must_use]
    pub fn hash_after(&self, previous: &str) -> String {
        // By name: what isn't hashed could be changed unseen.
        let Self {
            // The chain itself says what comes after what.
            sequence: _,
            at,
            workspace,
            project,
            environment,
            resource,
            promotion,
            actor,
            door,
            address,
            happened,
            previous_hash: _,
            hash: _,
        } = self;
        let at = at.to_string();
        let texts = [
            Some(VERSION),
            Some(previous),
            Some(&*at),
            Some(&**workspace),
            project.as_deref(),
            environment.as_deref(),
            resource.as_deref(),
            promotion.as_deref(),
            Some(&**actor),
            door.as_deref(),
            address.as_deref(),
            Some(&**happened),
        ];
        let mut hash = Sha256::new();
        for text in texts {
            match text {
                Some(text) => {
                    hash.update(text.len().to_string());
                    hash.update(":");
                    hash.update(text);
                    hash.update(",");
                }
                None => hash.update("-,"),
            }
        }
        hex::encode(hash.finalize())
    }
}

/// Where a workspace's chain ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The newest entry's hash.
    pub hash: String,
    /// How many entries it has.
    pub entries: i64,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            hash: BEGINNING.into(),
            entries: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            sequence: 7,
            at: 1_800_000_000_000,
            workspace: "w".into(),
            actor: r#"{"kind":"waybill"}"#.into(),
            door: Some("waybill".into()),
            happened: r#"{"kind":"signed_in"}"#.into(),
            ..Entry::default()
        }
    }

    #[test]
    fn the_encoding_stays_what_it_was_announced_to_be() {
        let text = format!(
            "16:waybill ledger 1,64:{BEGINNING},13:1800000000000,1:w,-,-,-,-,18:{{\"kind\":\"waybill\"}},7:waybill,-,20:{{\"kind\":\"signed_in\"}},"
        );
        let wanted = hex::encode(Sha256::digest(text));
        assert_eq!(entry().hash_after(BEGINNING), wanted);
        assert_eq!(entry().hash_after(BEGINNING).len(), 64);
    }

    #[test]
    fn every_field_counts_and_no_two_fields_are_taken_for_each_other() {
        let base = entry().hash_after(BEGINNING);
        let changes: [fn(&mut Entry); 10] = [
            |e| e.at += 1,
            |e| e.workspace = "v".into(),
            |e| e.project = Some(String::new()),
            |e| e.environment = Some("1".into()),
            |e| e.resource = Some("1".into()),
            |e| e.promotion = Some("1".into()),
            |e| e.actor.push(' '),
            |e| e.door = Some("token".into()),
            |e| e.address = Some("::1".into()),
            |e| e.happened.push(' '),
        ];
        let mut all = vec![base, entry().hash_after(&"1".repeat(64))];
        for change in changes {
            let mut changed = entry();
            change(&mut changed);
            all.push(changed.hash_after(BEGINNING));
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        let moved = Entry { sequence: 8, ..entry() };
        assert_eq!(moved.hash_after(BEGINNING), entry().hash_after(BEGINNING));
    }
}
