//! The signed statement about a promotion, as its page shows it, with the commands that verify it.

use crate::{
    nesting,
    service::{reach::ProjectPlace, statements},
    signature::{self, SUMMARY},
    store::StatementRecord,
};
use contract::statement::{StatementState, StatementView};
use domain::artifact::Repository;
use serde_json::Value;

/// A statement of this installation.
pub(super) fn statement_view(of: StatementRecord, place: &ProjectPlace, installation: &str) -> StatementView {
    let payload = signature::payload(of.layer.as_bytes()).unwrap_or_default();
    let said: Value = nesting::json(&payload).unwrap_or_default();
    let levels = said.pointer("/predicate/verifiedLevels").and_then(Value::as_array);
    let levels = levels.into_iter().flatten().filter_map(Value::as_str);
    let key = statements::shortened(&of.fingerprint);
    StatementView {
        levels: levels.map(str::to_owned).collect(),
        text: serde_json::to_string_pretty(&said).unwrap_or_default(),
        commands: commands(&of, &key, is_plain_http(place, &of.repository), installation),
        state: match (of.written_at, of.refusal) {
            (Some(at), _) => StatementState::Written { at },
            (None, Some(why)) => StatementState::Refused { why },
            (None, None) => StatementState::Due,
        },
        repository: of.repository,
        form: of.form,
        key,
    }
}

fn is_plain_http(place: &ProjectPlace, repository: &Repository) -> bool {
    let host = repository.registry();
    (place.registries.iter()).any(|record| record.registry.host == host && record.registry.plain_http)
}

/// Fetches the key, and has cosign verify the statement: both of its current major versions take the same words.
fn commands(of: &StatementRecord, key: &str, is_plain_http: bool, installation: &str) -> String {
    let plain = if is_plain_http {
        "  --allow-http-registry \\\n"
    } else {
        ""
    };
    let StatementRecord { repository, digest, .. } = of;
    format!(
        "curl -fsSo waybill.pub {installation}/.well-known/waybill/keys/{key}.pub\n\
         cosign verify-attestation --key waybill.pub --insecure-ignore-tlog=true \\\n  --type {SUMMARY} \\\n{plain}  {repository}@{digest}"
    )
}
