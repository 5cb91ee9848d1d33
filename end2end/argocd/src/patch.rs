//! RFC 7386 merge patches and RFC 6902 JSON patches.

use serde_json::{Map, Value};

/// Applies a merge patch: null removes, objects merge, everything else replaces.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// Applies the operations of a JSON patch in order; the first that does not fit ends it with its reason.
pub(crate) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), String> {
    let operations = patch.as_array().ok_or("the patch is not an array")?;
    for operation in operations {
        let text = |key: &str| {
            operation[key]
                .as_str()
                .ok_or_else(|| format!("operation without {key:?}"))
        };
        let path = text("path")?;
        match text("op")? {
            "add" => add(target, path, operation["value"].clone())?,
            "remove" => drop(remove(target, path)?),
            "replace" => {
                *target.pointer_mut(path).ok_or_else(|| missing(path))? = operation["value"].clone();
            }
            "test" => {
                if target.pointer(path) != Some(&operation["value"]) {
                    return Err(format!("testing value {path} failed: test failed"));
                }
            }
            "move" => {
                let value = remove(target, text("from")?)?;
                add(target, path, value)?;
            }
            "copy" => {
                let from = text("from")?;
                let value = target.pointer(from).cloned().ok_or_else(|| missing(from))?;
                add(target, path, value)?;
            }
            other => return Err(format!("unexpected kind: {other}")),
        }
    }
    Ok(())
}

fn missing(path: &str) -> String {
    format!("doc is missing path: {path}: missing value")
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let Some((parent, key)) = split(path) else {
        *target = value;
        return Ok(());
    };
    match target.pointer_mut(parent) {
        Some(Value::Object(object)) => {
            object.insert(key, value);
            Ok(())
        }
        Some(Value::Array(list)) => {
            let index = if key == "-" { Some(list.len()) } else { key.parse().ok() };
            let index = index
                .filter(|index| *index <= list.len())
                .ok_or_else(|| missing(path))?;
            list.insert(index, value);
            Ok(())
        }
        _ => Err(missing(path)),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = split(path).ok_or_else(|| missing(path))?;
    let removed = match target.pointer_mut(parent) {
        Some(Value::Object(object)) => object.remove(&key),
        Some(Value::Array(list)) => key
            .parse()
            .ok()
            .filter(|index: &usize| *index < list.len())
            .map(|index| list.remove(index)),
        _ => None,
    };
    removed.ok_or_else(|| missing(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_replaces_lists_and_removes_nulls() {
        let mut value = json!({"a": {"b": 1, "c": [1, 2]}, "d": 4});
        merge(&mut value, &json!({"a": {"c": [3], "e": {"f": 1}}, "d": null}));
        assert_eq!(value, json!({"a": {"b": 1, "c": [3], "e": {"f": 1}}}));
    }

    #[test]
    fn a_json_patch_stops_at_a_failed_test() {
        let mut value = json!({"a": {"x/y": [1]}});
        json_patch(
            &mut value,
            &json!([{"op": "test", "path": "/a/x~1y/0", "value": 1}, {"op": "add", "path": "/a/x~1y/-", "value": 2}]),
        )
        .unwrap();
        assert_eq!(value, json!({"a": {"x/y": [1, 2]}}));
        assert!(json_patch(&mut value, &json!([{"op": "test", "path": "/a", "value": 1}])).is_err());
        json_patch(
            &mut value,
            &json!([{"op": "move", "from": "/a/x~1y/0", "path": "/b"}, {"op": "remove", "path": "/a"}]),
        )
        .unwrap();
        assert_eq!(value, json!({"b": 1}));
    }
}
