//! A recalled digest is not promoted: by nobody, through no door.

use crate::store::Tx;
use contract::error::AppError;
use domain::{artifact::Digest, field::FieldErrors, id::WorkspaceId};

/// Refuses a digest that is recalled. What automation does asks before, and goes on without it.
///
/// # Errors
/// In the field `digest`, with who recalled it, when and why.
pub(crate) async fn check_recall(tx: &mut dyn Tx, workspace: WorkspaceId, digest: &Digest) -> Result<(), AppError> {
    match tx.recall_of(workspace, digest).await? {
        Some(recall) => Err(FieldErrors::one("digest", recall.refusal()).into()),
        None => Ok(()),
    }
}
