//! The life of an image, found by its digest.

use super::{
    StoreError,
    artifacts::ArtifactRow,
    copies::{CopyRecord, CopyRow},
    dialect::{Dialect, Stored},
    promotions::PromotionRow,
    tx::{SqlTx, all},
};
use async_trait::async_trait;
use domain::{
    artifact::{Artifact, Digest},
    id::WorkspaceId,
    promotion::Promotion,
};
use sqlx::{ColumnIndex, Encode, Executor, IntoArguments, Type};

/// What is known of an image in all repositories.
#[async_trait]
pub trait LivesOfImages: Send {
    /// Where it was seen, by repository.
    async fn held(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Artifact>, StoreError>;
    /// So many promotions of it, the newest first.
    async fn promotions_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
        limit: i64,
    ) -> Result<Vec<Promotion>, StoreError>;
    /// Its copies, oldest first.
    async fn copies_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
    ) -> Result<Vec<CopyRecord>, StoreError>;
}

const HELD: &str = "SELECT * FROM artifacts WHERE workspace_id = $1 AND digest = $2 ORDER BY repository";
const PROMOTIONS_OF_DIGEST: &str = "SELECT * FROM promotions WHERE workspace_id = $1 AND digest = $2 \
     ORDER BY created_at DESC, id DESC LIMIT $3";
const COPIES_OF_DIGEST: &str =
    "SELECT * FROM copies WHERE workspace_id = $1 AND digest = $2 ORDER BY created_at, target, attachments";

#[async_trait]
impl<D: Dialect> LivesOfImages for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn held(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Artifact>, StoreError> {
        all!(self, ArtifactRow, HELD, workspace.to_string(), digest.as_str())
    }

    async fn promotions_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
        limit: i64,
    ) -> Result<Vec<Promotion>, StoreError> {
        all!(
            self,
            PromotionRow,
            PROMOTIONS_OF_DIGEST,
            workspace.to_string(),
            digest.as_str(),
            limit
        )
    }

    async fn copies_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
    ) -> Result<Vec<CopyRecord>, StoreError> {
        all!(self, CopyRow, COPIES_OF_DIGEST, workspace.to_string(), digest.as_str())
    }
}
