//! Where sealed values lie, all of them, and the proof of the key that they were sealed with.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    tx::{SqlTx, run},
};
use async_trait::async_trait;
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A column that holds sealed values. A test holds the list against the tables and the uses of the sealer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedColumn {
    /// How a project signs in to Git.
    ProjectCredentials,
    /// A cluster's token for Argo CD.
    ArgoCdToken,
    /// A registry's password for pulling.
    PullPassword,
    /// A registry's password for pushing.
    PushPassword,
    /// Where a channel for notifications leads, and its key.
    ChannelTarget,
    /// The token that reads source repositories on a host.
    SourceToken,
    /// The private half of the key that signs statements.
    SigningKey,
}

impl SealedColumn {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::ProjectCredentials,
        Self::ArgoCdToken,
        Self::PullPassword,
        Self::PushPassword,
        Self::ChannelTarget,
        Self::SourceToken,
        Self::SigningKey,
    ];

    /// Its table and name, joined with a dot.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ProjectCredentials => "projects.credentials",
            Self::ArgoCdToken => "clusters.argocd_token",
            Self::PullPassword => "registries.pull_password",
            Self::PushPassword => "registries.push_password",
            Self::ChannelTarget => "channels.target",
            Self::SourceToken => "source_hosts.token",
            Self::SigningKey => "signing_keys.private_key",
        }
    }
}

/// A sealed value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedValue {
    /// Where it lies.
    pub column: SealedColumn,
    /// The row's id.
    pub id: String,
    /// The name of what it belongs to: of a project, a cluster, a registry, a channel or a host, or a key's fingerprint.
    pub of: String,
    /// The name of its workspace; `None`: it is the installation's.
    pub workspace: Option<String>,
    /// The value.
    pub sealed: String,
}

/// What can be read and written of sealed values, whatever they belong to.
#[async_trait]
pub trait Sealed: Send {
    /// The fixed text as the key of this database sealed it; `None` before the first server of a release that writes it.
    async fn key_proof(&mut self) -> Result<Option<String>, StoreError>;
    /// Writes it, in place of one that is there.
    async fn set_key_proof(&mut self, proof: &str) -> Result<(), StoreError>;
    /// All sealed values.
    async fn sealed_values(&mut self) -> Result<Vec<SealedValue>, StoreError>;
}

#[derive(FromRow)]
struct Row {
    place: String,
    id: String,
    name: String,
    workspace: Option<String>,
    sealed: String,
}

const KEY_PROOF: &str = "SELECT proof FROM sealed_check WHERE id = 1";
const SET_KEY_PROOF: &str =
    "INSERT INTO sealed_check (id, proof) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET proof = excluded.proof";
const SEALED_VALUES: &str = "\
     SELECT 'projects.credentials' AS place, x.id, x.name, w.name AS workspace, x.credentials AS sealed \
     FROM projects x JOIN workspaces w ON w.id = x.workspace_id WHERE x.credentials IS NOT NULL UNION ALL \
     SELECT 'clusters.argocd_token' AS place, x.id, x.name, w.name AS workspace, x.argocd_token AS sealed \
     FROM clusters x JOIN workspaces w ON w.id = x.workspace_id WHERE x.argocd_token IS NOT NULL UNION ALL \
     SELECT 'registries.pull_password' AS place, x.id, x.name, w.name AS workspace, x.pull_password AS sealed \
     FROM registries x JOIN workspaces w ON w.id = x.workspace_id WHERE x.pull_password IS NOT NULL UNION ALL \
     SELECT 'registries.push_password' AS place, x.id, x.name, w.name AS workspace, x.push_password AS sealed \
     FROM registries x JOIN workspaces w ON w.id = x.workspace_id WHERE x.push_password IS NOT NULL UNION ALL \
     SELECT 'channels.target' AS place, x.id, x.name, w.name AS workspace, x.target AS sealed \
     FROM channels x JOIN workspaces w ON w.id = x.workspace_id UNION ALL \
     SELECT 'source_hosts.token' AS place, x.id, x.host AS name, w.name AS workspace, x.token AS sealed \
     FROM source_hosts x JOIN workspaces w ON w.id = x.workspace_id WHERE x.token IS NOT NULL UNION ALL \
     SELECT 'signing_keys.private_key' AS place, x.fingerprint AS id, x.fingerprint AS name, NULL AS workspace, x.private_key AS sealed \
     FROM signing_keys x WHERE x.private_key IS NOT NULL";

#[async_trait]
impl<D: Dialect> Sealed for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    String: Stored<D>,
    for<'v> &'v str: Encode<'v, D>,
{
    async fn key_proof(&mut self) -> Result<Option<String>, StoreError> {
        let found = sqlx::query_scalar::<D, String>(KEY_PROOF);
        Ok(found.fetch_optional(&mut self.tx).await?)
    }

    async fn set_key_proof(&mut self, proof: &str) -> Result<(), StoreError> {
        run!(self, SET_KEY_PROOF, proof)?;
        Ok(())
    }

    async fn sealed_values(&mut self) -> Result<Vec<SealedValue>, StoreError> {
        let rows = sqlx::query_as::<D, Row>(SEALED_VALUES).fetch_all(&mut self.tx).await?;
        let value = |row: Row| {
            let column = SealedColumn::ALL.into_iter().find(|column| column.name() == row.place);
            Ok(SealedValue {
                column: column.ok_or_else(|| StoreError::Corrupt {
                    what: "sealed value",
                    why: row.place,
                })?,
                id: row.id,
                of: row.name,
                workspace: row.workspace,
                sealed: row.sealed,
            })
        };
        rows.into_iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    /// Columns whose comment in the migrations says that they are sealed.
    fn in_the_schema(database: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../migrations")
            .join(database);
        let (mut found, mut dropped) = (BTreeSet::new(), BTreeSet::new());
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let mut table = String::new();
            for line in text.lines() {
                if let Some((_, column)) = line.split_once("DROP COLUMN ") {
                    let table = line.split_whitespace().nth(2).unwrap();
                    dropped.insert(format!("{table}.{}", column.trim_end_matches(';')));
                    continue;
                }
                let mut words = line.split_whitespace();
                if let (Some("CREATE" | "ALTER"), Some("TABLE"), Some(name)) =
                    (words.next(), words.next(), words.next())
                {
                    table = name.to_owned();
                }
                let Some((column, comment)) = line.split_once("--") else {
                    continue;
                };
                if comment.contains("sealed") && !column.trim().is_empty() {
                    let column = column.split_once("ADD COLUMN ").map_or(column, |(_, rest)| rest);
                    found.insert(format!("{table}.{}", column.split_whitespace().next().unwrap()));
                }
            }
        }
        &found - &dropped
    }

    #[test]
    fn the_list_is_what_the_tables_say() {
        let listed: BTreeSet<String> = SealedColumn::ALL
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        assert_eq!(listed.len(), SealedColumn::ALL.len());
        for database in ["sqlite", "postgres"] {
            assert_eq!(in_the_schema(database), listed, "{database}");
        }
        for name in &listed {
            assert!(SEALED_VALUES.contains(&format!("'{name}'")), "{name} is never read");
            let (_, column) = name.split_once('.').unwrap();
            assert!(SEALED_VALUES.contains(&format!("x.{column} AS sealed")), "{name}");
        }
    }
}
