//! How anybody verifies a statement: with cosign, and jq to look at what it says.

use crate::signature::SUMMARY;
use domain::artifact::{Digest, Repository};

/// What cosign is asked: whether a statement of this key hangs on an image. The key is in `waybill.pub`.
#[must_use]
pub fn verify_command(repository: &Repository, digest: &Digest, plain_http: bool) -> String {
    let plain = if plain_http { "  --allow-http-registry \\\n" } else { "" };
    format!(
        "cosign verify-attestation --key waybill.pub --insecure-ignore-tlog=true \\\n  --type {SUMMARY} \\\n{plain}  {repository}@{digest}"
    )
}

/// Fetches the key, asks cosign, and looks for the statement by this policy: others may hang there, too. It fails where there is none.
pub(crate) fn commands(
    installation: &str,
    key: &str,
    repository: &Repository,
    digest: &Digest,
    policy: &str,
    plain_http: bool,
) -> String {
    let verify = verify_command(repository, digest, plain_http);
    format!(
        "curl -fsSo waybill.pub {installation}/.well-known/waybill/keys/{key}.pub\n{verify} |\n  jq -e '.payload | @base64d | fromjson | .predicate | select(.policy.uri == \"{policy}\")'"
    )
}
