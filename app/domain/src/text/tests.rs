//! The words of all enums that are stored, sent or in the interfaces. A word that changes here breaks what others have stored.

use crate::{
    door::{Door, UnknownDoor},
    event::Happened,
    gate::{CheckStatus, GateKind},
    notification::{ChannelKind, DeliveryState, Occasion, UnknownWord as UnknownOccasion},
    plan::Health,
    promotion::{Purpose, State, Step, UnknownWord},
    removal::{Removable, UnknownRemovable},
    resource::Size,
    rights::{Role, UnknownRole},
    told::{EventKind, UnknownKind},
};
use std::{
    fmt::{Debug, Display},
    str::FromStr,
};
use strum::VariantArray;

/// Holds all variants, in order, against their words; a text that is none of them gives `error`.
fn check<T>(words: &[&str], error: &T::Err)
where
    T: VariantArray + Copy + PartialEq + Debug + FromStr<Err: PartialEq + Debug> + Into<&'static str>,
{
    let written: Vec<&str> = T::VARIANTS.iter().map(|one| (*one).into()).collect();
    assert_eq!(written, words);
    for (one, word) in T::VARIANTS.iter().zip(words) {
        assert_eq!(word.parse(), Ok(*one));
        assert!(
            word.to_uppercase().parse::<T>().is_err(),
            "{word}: upper case is another word"
        );
    }
    assert_eq!("pigeon".parse::<T>().as_ref(), Err(error));
}

/// Holds them against their words as JSON, too.
fn check_json<T>(words: &[&str])
where
    T: VariantArray + PartialEq + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    for (one, word) in T::VARIANTS.iter().zip(words) {
        let json = format!("\"{word}\"");
        assert_eq!(serde_json::to_string(one).unwrap(), json);
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *one);
    }
}

#[test]
fn words_of_promotions_stay_as_stored() {
    let unknown = UnknownWord("pigeon".into());
    let states = [
        "waiting",
        "queued",
        "mirroring",
        "committing",
        "syncing",
        "verifying",
        "succeeded",
        "rejected",
        "cancelled",
        "superseded",
        "failed",
    ];
    check::<State>(&states, &unknown);
    check_json::<State>(&states);
    assert_eq!(State::ALL.map(|state| state.to_string()), states);
    assert_eq!(State::ALL.map(State::as_str), states);
    let steps = ["gates", "resolve", "mirror", "commit", "sync", "verify"];
    check::<Step>(&steps, &unknown);
    check_json::<Step>(&steps);
    assert!(Step::VARIANTS.iter().map(|step| step.as_str()).eq(steps));
    let purposes = ["deploy", "promote", "pin", "rollback"];
    check::<Purpose>(&purposes, &unknown);
    check_json::<Purpose>(&purposes);
    assert_eq!(unknown.to_string(), "unknown word \"pigeon\"");
}

#[test]
fn words_of_gates_stay_as_stored() {
    let unknown = UnknownWord("pigeon".into());
    let kinds = [
        "approvals",
        "check",
        "ranIn",
        "signature",
        "provenance",
        "summary",
        "freeze",
        "stop",
    ];
    check::<GateKind>(&kinds, &unknown);
    check_json::<GateKind>(&kinds);
    let statuses = ["pending", "passed", "failed"];
    check::<CheckStatus>(&statuses, &unknown);
    check_json::<CheckStatus>(&statuses);
    assert!(CheckStatus::ALL.iter().map(|status| status.as_str()).eq(statuses));
}

#[test]
fn words_of_roles_doors_and_removals_stay_as_stored() {
    let roles = ["viewer", "developer", "approver", "admin"];
    check::<Role>(&roles, &UnknownRole);
    check_json::<Role>(&roles);
    assert_eq!(Role::ALL.map(|role| role.to_string()), roles);
    let doors = ["browser", "graphql", "rest", "command_line", "webhook", "waybill"];
    check::<Door>(&doors, &UnknownDoor);
    check_json::<Door>(&doors);
    assert_eq!(Door::CommandLine.to_string(), "command_line");
    let removables = ["resource", "environment", "project", "cluster", "registry", "workspace"];
    check::<Removable>(&removables, &UnknownRemovable);
    check_json::<Removable>(&removables);
    assert_eq!(Removable::ALL.map(|what| what.to_string()), removables);
}

#[test]
fn words_of_sizes_and_healths_stay_as_stored() {
    let sizes = ["small", "medium", "large"];
    check::<Size>(&sizes, &strum::ParseError::VariantNotFound);
    check_json::<Size>(&sizes);
    let healths = [
        (Health::Healthy, "Healthy"),
        (Health::Progressing, "Progressing"),
        (Health::Degraded, "Degraded"),
        (Health::Suspended, "Suspended"),
        (Health::Missing, "Missing"),
        (Health::Unknown, "Unknown"),
    ];
    for (health, word) in healths {
        assert_eq!(health.as_str(), word);
        assert_eq!(serde_json::to_value(health).unwrap(), word);
    }
}

#[test]
fn words_of_notifications_stay_as_stored() {
    fn all<T: VariantArray + Display>() -> Vec<String> {
        T::VARIANTS.iter().map(ToString::to_string).collect()
    }
    let occasions = [
        "needs_approval",
        "approved",
        "failed",
        "succeeded",
        "drift",
        "hold",
        "image_gone",
        "recalled",
    ];
    check::<Occasion>(&occasions, &UnknownOccasion);
    check_json::<Occasion>(&occasions);
    assert_eq!(all::<Occasion>(), occasions);
    let channels = ["webhook", "slack", "email"];
    check::<ChannelKind>(&channels, &UnknownOccasion);
    check_json::<ChannelKind>(&channels);
    assert_eq!(all::<ChannelKind>(), channels);
    let deliveries = ["waiting", "delivered", "given_up"];
    check::<DeliveryState>(&deliveries, &UnknownOccasion);
    check_json::<DeliveryState>(&deliveries);
    assert_eq!(all::<DeliveryState>(), deliveries);
}

#[test]
fn words_of_events_stay_as_stored() {
    let kinds = [
        "promotion_requested",
        "promotion_moved",
        "taken_back",
        "promotion_waits",
        "committed",
        "approved",
        "rejected",
        "gate_overridden",
        "line_stopped",
        "line_resumed",
        "policy_changed",
        "check_reported",
        "pin_changed",
        "held",
        "resumed",
        "key_taken",
        "resource_created",
        "removed",
        "removed_from_git",
        "not_removed_from_git",
        "applied",
        "signed_in",
        "sign_in_failed",
        "token_created",
        "token_revoked",
        "member_invited",
        "invitation_withdrawn",
        "member_joined",
        "role_changed",
        "member_removed",
        "account_deactivated",
        "account_activated",
        "group_created",
        "group_joined",
        "group_left",
        "channel_added",
        "channel_paused",
        "channel_removed",
        "notification_redelivered",
        "password_removed",
        "password_changed",
        "signed_out_everywhere",
        "artifact_seen",
        "desired_changed",
        "switched_in_git",
        "live_changed",
        "live_forgotten",
        "application_not_found",
        "sync_ended",
        "promotion_live_after_all",
        "argo_cd_lost",
        "argo_cd_found",
        "tag_moved",
        "tag_refused",
        "tag_drifted",
        "tag_removed",
        "tags_set_again",
        "image_incomplete",
        "heal_asked",
        "heal_failed",
        "image_whole",
        "statement_written",
        "statement_refused",
        "signing_key_set",
        "trusted_root_set",
        "trusted_root_removed",
        "digest_recalled",
        "recall_lifted",
        "image_adopted",
        "source_host_added",
        "source_host_changed",
        "source_host_removed",
    ];
    check::<EventKind>(&kinds, &UnknownKind);
    // As the ledger stores them: serde lists all that it knows.
    let known = serde_json::from_str::<Happened>(r#"{"kind":"pigeon"}"#)
        .unwrap_err()
        .to_string();
    let mut known: Vec<&str> = known.split('`').skip(3).step_by(2).collect();
    known.sort_unstable();
    let mut kinds = kinds;
    kinds.sort_unstable();
    assert_eq!(known, kinds);
}
