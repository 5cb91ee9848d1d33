//! Secrets leave the server with their values hidden.

use serde_json::{Value, json};

/// A Secret with its values hidden; those that differ between the two states are hidden by different numbers of signs.
pub(super) fn hide_secrets(target: &mut Option<Value>, live: &mut Option<Value>) {
    let mut seen: Vec<Value> = Vec::new();
    for object in [target, live].into_iter().flatten() {
        if object["kind"] != "Secret" || object["apiVersion"] != "v1" {
            continue;
        }
        for list in ["data", "stringData"] {
            for value in object[list]
                .as_object_mut()
                .into_iter()
                .flat_map(serde_json::Map::values_mut)
            {
                let at = seen.iter().position(|other| other == value).unwrap_or_else(|| {
                    seen.push(value.clone());
                    seen.len() - 1
                });
                *value = json!("+".repeat(8 + at));
            }
        }
    }
}
