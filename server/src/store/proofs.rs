//! What registries were asked about digests, and what they held: proofs for gates, kept for good once they were found.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{from_json, parse, to_json},
    tx::{SqlTx, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, Repository},
    custody::Fact,
    gate::Found,
    id::WorkspaceId,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// What came of looking for one proof of a digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// What was looked for: the fingerprint of a key.
    pub sought: String,
    /// What was found.
    pub found: Found,
    /// What it says of where the image comes from; empty unless it was found.
    pub facts: Vec<Fact>,
    /// Where it was looked for: an image may lie in several repositories, and be signed in one.
    pub repository: Repository,
    /// When that was.
    pub at: Timestamp,
    /// How often it was looked for in vain.
    pub tries: u32,
    /// When it is looked for again, unless it was found.
    pub next_at: Timestamp,
}

impl Asked {
    /// Whether it was found.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.found == Found::Valid
    }
}

/// What can be read and written of proofs in a transaction.
#[async_trait]
pub trait Proofs: Send {
    /// What is known about a digest in a workspace.
    async fn asked(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Asked>, StoreError>;
    /// Writes what came of asking. What is proven stays as it is.
    async fn set_asked(&mut self, workspace: WorkspaceId, digest: &Digest, asked: &Asked) -> Result<(), StoreError>;
    /// Has what isn't proven about a digest asked again at this time, as if for the first time; whether there is something.
    async fn ask_again(&mut self, workspace: WorkspaceId, digest: &Digest, at: Timestamp) -> Result<bool, StoreError>;
}

#[derive(FromRow)]
struct Row {
    sought: String,
    found: String,
    facts: Option<String>,
    repository: String,
    asked_at: i64,
    tries: i64,
    next_at: i64,
}

const ASKED: &str = "SELECT sought, found, facts, repository, asked_at, tries, next_at FROM proofs \
     WHERE workspace_id = $1 AND digest = $2";
const SET_ASKED: &str = "INSERT INTO proofs (workspace_id, digest, sought, found, is_proven, repository, asked_at, tries, next_at, facts) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (workspace_id, digest, sought, repository) DO UPDATE SET found = excluded.found, is_proven = excluded.is_proven, \
     asked_at = excluded.asked_at, tries = excluded.tries, next_at = excluded.next_at, facts = excluded.facts \
     WHERE NOT proofs.is_proven";
const ASK_AGAIN: &str =
    "UPDATE proofs SET tries = 0, next_at = $3 WHERE workspace_id = $1 AND digest = $2 AND NOT is_proven";

#[async_trait]
impl<D: Dialect> Proofs for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    for<'v> &'v str: Encode<'v, D>,
{
    async fn asked(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Asked>, StoreError> {
        let rows = sqlx::query_as::<D, Row>(ASKED)
            .bind(workspace.to_string())
            .bind(digest.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let asked = |row: Row| {
            Ok(Asked {
                sought: row.sought,
                found: from_json("proof", &row.found)?,
                facts: match &row.facts {
                    Some(facts) => from_json("facts", facts)?,
                    None => Vec::new(),
                },
                repository: parse("repository", &row.repository)?,
                at: Timestamp(row.asked_at),
                tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
                next_at: Timestamp(row.next_at),
            })
        };
        rows.into_iter().map(asked).collect()
    }

    async fn set_asked(&mut self, workspace: WorkspaceId, digest: &Digest, asked: &Asked) -> Result<(), StoreError> {
        run!(
            self,
            SET_ASKED,
            workspace.to_string(),
            digest.to_string(),
            &asked.sought,
            to_json("proof", &asked.found)?,
            asked.is_proven(),
            asked.repository.as_str(),
            asked.at.0,
            i64::from(asked.tries),
            asked.next_at.0,
            to_json("facts", &asked.facts)?,
        )?;
        Ok(())
    }

    async fn ask_again(&mut self, workspace: WorkspaceId, digest: &Digest, at: Timestamp) -> Result<bool, StoreError> {
        let changed = run!(self, ASK_AGAIN, workspace.to_string(), digest.to_string(), at.0)?;
        Ok(changed > 0)
    }
}
