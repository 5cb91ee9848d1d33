//! Copying images from one repository to another by digest, whether or not both are in one registry.

use super::registry::{RegistryAccess, RegistryError};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, Repository},
    copy::{Attachments, CopyPlan, CopyProgress, CopyProof},
};
use tokio_util::sync::CancellationToken;

/// One end of a copy.
#[derive(Clone, Debug)]
pub struct CopyEnd {
    /// How its registry is reached: with the credentials for pulling at the source, with those for pushing at the target.
    pub access: RegistryAccess,
    /// The repository.
    pub repository: Repository,
}

/// What is copied, from where to where.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// Where it is.
    pub from: CopyEnd,
    /// Where it shall be.
    pub to: CopyEnd,
    /// The image: a manifest or an index.
    pub digest: Digest,
    /// What goes along.
    pub attachments: Attachments,
}

/// Why nothing was copied, or not all. Every text is safe to show and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The registry that is copied from failed, or refused.
    #[error("{0}")]
    Source(#[source] RegistryError),
    /// The registry that is copied to failed, or refused.
    #[error("{0}")]
    Target(#[source] RegistryError),
    /// The source doesn't hold something that belongs to the image, or the image itself.
    #[error("{repository} no longer holds {what}. Push the image again, or promote another.")]
    Missing {
        /// The repository that is copied from.
        repository: String,
        /// What is missing, with its digest.
        what: String,
    },
    /// The image can't be copied as it is: too large, too deep, or of a form that can't be copied by digest.
    #[error("{0}")]
    Unfit(String),
    /// The target's registry refused a part, in its own words.
    #[error("{registry} refused {what}: {said}. {remedy}")]
    Refused {
        /// The registry's host.
        registry: String,
        /// The part, with its digest.
        what: String,
        /// What it said.
        said: String,
        /// What to do about it.
        remedy: String,
    },
    /// Nothing moved for too long, or too slowly.
    #[error("Copying from {from} to {to} stalled: {reason}. Waybill goes on where it stopped.")]
    Stalled {
        /// The host copied from.
        from: String,
        /// The host copied to.
        to: String,
        /// What was waited for.
        reason: String,
    },
    /// A registry served other bytes than the digest says.
    #[error(
        "{registry} served other content for {what} than its digest says. Nothing was promoted; look at that registry."
    )]
    Changed {
        /// The registry's host.
        registry: String,
        /// The part, with its digest.
        what: String,
    },
    /// After the last push, something is not there.
    #[error("After copying, {repository} lacks {what}. Waybill tries again.")]
    Unproven {
        /// The repository copied to.
        repository: String,
        /// What is not there.
        what: String,
    },
    /// Whoever asked for it no longer wants it.
    #[error("The copy was stopped.")]
    Stopped,
}

impl CopyError {
    /// Whether the same copy may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Source(error) | Self::Target(error) => error.is_passing(),
            Self::Stalled { .. } | Self::Unproven { .. } | Self::Stopped => true,
            Self::Missing { .. } | Self::Unfit(_) | Self::Refused { .. } | Self::Changed { .. } => false,
        }
    }
}

/// Who wants to know how far a copy is. Called often, from several tasks, and must not block.
pub trait CopyWatch: Send + Sync {
    /// What it has to do, once that is known.
    fn planned(&self, plan: &CopyPlan);
    /// How far it is.
    fn moved(&self, progress: CopyProgress);
}

/// Copies images by digest.
#[async_trait]
pub trait ImageCopier: Send + Sync {
    /// What a copy would have to do. Reads only.
    ///
    /// # Errors
    /// When either registry fails or refuses, or the image can't be copied.
    async fn plan(&self, request: &CopyRequest) -> Result<CopyPlan, CopyError>;

    /// Copies the image with what belongs to it, and reads it again at the target. Done twice it does nothing the second time; stopped
    /// anywhere, it goes on where it was.
    ///
    /// # Errors
    /// As [`ImageCopier::plan`], and when a part can't be pushed or isn't there afterwards. No tag has moved then.
    async fn copy(
        &self,
        request: &CopyRequest,
        watch: &dyn CopyWatch,
        stop: &CancellationToken,
    ) -> Result<CopyProof, CopyError>;

    /// Whether the access gives the right to push to the repository: an upload is begun there, and nothing is uploaded.
    ///
    /// # Errors
    /// When it doesn't, or the registry fails.
    async fn may_push(&self, target: &CopyEnd) -> Result<(), RegistryError>;
}
