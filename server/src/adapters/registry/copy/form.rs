//! In which form something signed hangs on an image already: what is hung there next has the same.
//!
//! Once a bundle hangs on an image, whatever it says, cosign (2.6 and 3) and Kyverno read bundles only. So a first bundle would hide what was
//! signed in the older form, and fail those who check it (sigstore/cosign#4573, conforma/cli#3185); and where a bundle hangs, nobody sees the
//! older form.

use super::{
    CopyError,
    closure::{Manifests as _, PARALLEL},
    document::{self, BUNDLE},
    end::End,
    referrers::{listed, tag_of},
    tags::digest_of,
};
use crate::ports::registry::RegistryError;
use domain::{artifact::Digest, statement::StatementForm};
use futures::{StreamExt as _, stream};
use serde_json::Value;

/// Types of entries that say nothing, so that their manifests are read. Tools that write the list themselves give the type of the manifest's
/// configuration, which is empty for a bundle (cosign up to 3.0.6, sigstore/cosign#5098). The last may be envelopes, or statements that nobody signed.
const UNCLEAR: [&str; 4] = [
    "",
    "application/vnd.oci.empty.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.in-toto+json",
];
/// The type of a signature of the older form that refers to the image (cosign's `--registry-referrers-mode=oci-1-1`).
const OLDER: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// So many of those manifests are read, the last first: who adds to a list adds at its end.
const MOST_UNCLEAR: usize = 100;

impl End {
    /// The form in which a statement should hang on an image.
    pub(super) async fn form(&self, digest: &Digest) -> Result<StatementForm, CopyError> {
        let (sig, att) = (tag_of(digest, "sig"), tag_of(digest, "att"));
        let (referring, sig, att) =
            futures::try_join!(self.form_of_referrers(digest), self.names(&sig), self.names(&att))?;
        let is_older = sig.is_some() || att.is_some();
        Ok(match referring {
            Some(form) => form,
            None if is_older => StatementForm::Attachment,
            None => StatementForm::Bundle,
        })
    }

    /// The form of what refers to an image: bundles, where there is one. `None` where nothing signed does.
    async fn form_of_referrers(&self, digest: &Digest) -> Result<Option<StatementForm>, CopyError> {
        let (entries, _, _) = listed(self, digest).await?;
        let kind = |entry: &Value| {
            entry
                .get("artifactType")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if entries.iter().any(|entry| kind(entry).starts_with(BUNDLE)) {
            return Ok(Some(StatementForm::Bundle));
        }
        let mut found = entries
            .iter()
            .any(|entry| kind(entry) == OLDER)
            .then_some(StatementForm::Attachment);
        let unclear: Vec<Digest> = (entries.iter().rev())
            .filter(|entry| UNCLEAR.contains(&kind(entry).as_str()))
            .filter_map(|entry| digest_of(entry)?.parse().ok())
            .take(MOST_UNCLEAR)
            .collect();
        let mut forms = stream::iter(unclear)
            .map(|of| async move { self.form_of_referrer(&of).await })
            .buffered(PARALLEL);
        while let Some(form) = forms.next().await {
            match form? {
                Some(StatementForm::Bundle) => return Ok(Some(StatementForm::Bundle)),
                older => found = found.or(older),
            }
        }
        Ok(found)
    }

    /// The form of what one manifest holds. What is odd is passed over: everybody who may push may list something.
    async fn form_of_referrer(&self, digest: &Digest) -> Result<Option<StatementForm>, CopyError> {
        match self.manifest(digest).await {
            Ok(Some(raw)) => Ok(document::read(&raw.bytes)
                .ok()
                .and_then(|document| document.signed_form())),
            Ok(None)
            | Err(
                CopyError::Changed { .. }
                | CopyError::Source(RegistryError::Protocol { .. })
                | CopyError::Target(RegistryError::Protocol { .. }),
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
