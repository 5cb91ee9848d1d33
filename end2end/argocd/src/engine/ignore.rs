//! `spec.ignoreDifferences`: parts of an object that do not count when Git is compared with the cluster.
//!
//! JSON pointers are taken as they are; of `jqPathExpressions` only plain paths (`.spec.template.spec.containers[].image`),
//! which is what people write to leave an image to somebody else.

use serde_json::Value;

use crate::{app::Spec, manifest::Manifest, options::glob};

/// The paths that do not count for an object.
pub(crate) fn ignored(spec: &Spec, manifest: &Manifest) -> Vec<Vec<String>> {
    let rules = spec.rest.get("ignoreDifferences").and_then(Value::as_array);
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    let mut paths = Vec::new();
    for rule in rules.into_iter().flatten() {
        let means = |key: &str, is: &str| {
            let wanted = text(rule, key);
            wanted.is_empty() || glob(&wanted, is)
        };
        // The group has to be named: without one it is the core group.
        let group = text(rule, "group");
        let is_meant = (group == manifest.group() || glob(&group, manifest.group()))
            && means("kind", manifest.kind())
            && means("name", manifest.name())
            && means("namespace", manifest.namespace());
        if !is_meant {
            continue;
        }
        let list = |key: &str| rule[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        paths.extend(list("jsonPointers").map(pointer));
        paths.extend(list("jqPathExpressions").map(plain_jq));
    }
    paths
}

fn pointer(text: &str) -> Vec<String> {
    let parts = text.split('/').skip(1);
    parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
}

/// `*` stands for every element of a list.
fn plain_jq(text: &str) -> Vec<String> {
    let spread = text.replace("[]", ".*").replace('[', ".").replace(']', "");
    let parts = spread.split('.').filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Whether two objects are the same but for those paths.
pub(crate) fn same(wanted: &Manifest, live: &Manifest, ignored: &[Vec<String>]) -> bool {
    if wanted == live {
        return true;
    }
    let (mut wanted, mut live) = (wanted.0.clone(), live.0.clone());
    for path in ignored {
        remove(&mut wanted, path);
        remove(&mut live, path);
    }
    wanted == live
}

/// The wanted object with the live values at those paths: `RespectIgnoreDifferences=true`.
pub(crate) fn respect(wanted: &Manifest, live: &Manifest, ignored: &[Vec<String>]) -> Manifest {
    let mut out = wanted.clone();
    for path in ignored {
        copy(&mut out.0, &live.0, path);
    }
    out
}

fn remove(node: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    match node {
        Value::Array(list) if first == "*" => list.iter_mut().for_each(|item| remove(item, rest)),
        Value::Array(list) => {
            if let Some(item) = first.parse::<usize>().ok().and_then(|at| list.get_mut(at)) {
                remove(item, rest);
            }
        }
        Value::Object(object) if rest.is_empty() => {
            object.remove(first);
        }
        Value::Object(object) => {
            if let Some(child) = object.get_mut(first) {
                remove(child, rest);
            }
        }
        _ => {}
    }
}

fn copy(to: &mut Value, from: &Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        if !from.is_null() {
            *to = from.clone();
        }
        return;
    };
    match (to, from) {
        (Value::Array(to), Value::Array(from)) if first == "*" => {
            for (to, from) in to.iter_mut().zip(from) {
                copy(to, from, rest);
            }
        }
        (Value::Array(to), Value::Array(from)) => {
            let at = first.parse::<usize>().ok();
            if let Some((to, from)) = at.and_then(|at| Some((to.get_mut(at)?, from.get(at)?))) {
                copy(to, from, rest);
            }
        }
        (Value::Object(to), Value::Object(from)) => {
            if let (Some(to), Some(from)) = (to.get_mut(first), from.get(first)) {
                copy(to, from, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(image: &str, replicas: u64) -> Manifest {
        Manifest(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
        }))
    }

    #[test]
    fn an_image_can_be_left_to_somebody_else() {
        for rule in [
            json!({"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/template/spec/containers/0/image"]}),
            json!({"group": "*", "kind": "*", "jqPathExpressions": [".spec.template.spec.containers[].image"]}),
        ] {
            let mut spec = Spec::default();
            spec.rest.insert("ignoreDifferences".to_owned(), json!([rule]));
            let (git, live) = (deployment("r:1", 2), deployment("r:2", 2));
            let paths = ignored(&spec, &git);
            assert!(same(&git, &live, &paths));
            assert!(!same(&deployment("r:1", 3), &live, &paths));
            assert_eq!(respect(&deployment("r:1", 3), &live, &paths), deployment("r:2", 3));
            let other = Manifest(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}));
            assert_eq!(ignored(&spec, &other).len(), usize::from(rule["group"] == "*"));
        }
    }
}
