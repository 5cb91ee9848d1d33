//! The signed statement about a promotion, as its page shows it, with the commands that verify it.

use crate::{
    nesting,
    service::{reach::ProjectPlace, statements},
    signature,
    store::StatementRecord,
};
use contract::statement::{StatementState, StatementView};
use domain::{artifact::Repository, promotion::State};
use serde_json::Value;

/// A statement of this installation.
pub(super) fn statement_view(
    of: StatementRecord,
    place: &ProjectPlace,
    promotion: State,
    installation: &str,
) -> StatementView {
    let payload = signature::payload(of.layer.as_bytes()).unwrap_or_default();
    let said: Value = nesting::json(&payload).unwrap_or_default();
    let levels = said.pointer("/predicate/verifiedLevels").and_then(Value::as_array);
    let levels = levels.into_iter().flatten().filter_map(Value::as_str);
    let key = statements::shortened(&of.fingerprint);
    StatementView {
        levels: levels.map(str::to_owned).collect(),
        text: serde_json::to_string_pretty(&said).unwrap_or_default(),
        commands: {
            let policy = said
                .pointer("/predicate/policy/uri")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let plain_http = is_plain_http(place, &of.repository);
            statements::commands(installation, &key, &of.repository, &of.digest, policy, plain_http)
        },
        state: match (of.written_at, of.refusal) {
            (Some(at), _) => StatementState::Written { at },
            (None, Some(why)) => StatementState::Refused { why },
            (None, None) if promotion == State::Mirroring => StatementState::Due,
            // The promotion ended, or goes another way now.
            (None, None) => StatementState::Refused {
                why: "It was signed, and not written.".into(),
            },
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
