//! Waybill's copier as a program.

use crate::Outcome;
use domain::copy::{Attachments, CopyPlan, CopyProgress};
use server::{
    adapters::registry::Copier,
    ports::{
        image_copy::{CopyEnd, CopyRequest, CopyWatch, ImageCopier as _},
        registry::RegistryAccess,
    },
};
use tokio_util::sync::CancellationToken;

/// Nobody watches.
struct Unwatched;

impl CopyWatch for Unwatched {
    fn planned(&self, _: &CopyPlan) {}
    fn moved(&self, _: CopyProgress) {}
}

/// Copies an image with all that hangs on it, as a promotion does, and says what was proven.
pub(crate) async fn copy(from: &str, to: &str, digest: &str) -> Outcome<()> {
    let end = |repository: &str| -> Outcome<CopyEnd> {
        Ok(CopyEnd {
            access: RegistryAccess {
                plain_http: true,
                ..RegistryAccess::default()
            },
            repository: repository.parse()?,
        })
    };
    let request = CopyRequest {
        from: end(from)?,
        to: end(to)?,
        digest: digest.parse()?,
        attachments: Attachments::All,
    };
    let proof = Copier::new()?
        .copy(&request, &Unwatched, &CancellationToken::new())
        .await?;
    println!("{}", proof.words());
    for left_out in &proof.left_out {
        println!("{left_out}");
    }
    Ok(())
}
