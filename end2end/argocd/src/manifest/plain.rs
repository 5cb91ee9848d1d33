//! YAML files of the repository that are manifests as they stand: a plain directory, or the further templates of a chart.
//!
//! A template may name values (`{{ .Values.services.web.image.tag }}`) and the namespace of the release, and nothing
//! else: a file with any other expression is left out, because what it would make is what the values file stands for.

use super::Manifest;
use serde_json::{Value, json};

/// Reads the objects of the files, in their order. A file that holds no objects is no fault; the error is the text that
/// the repo-server would fail with.
pub(crate) fn render(files: &[(String, String)], values: &Value, namespace: &str) -> Result<Vec<Manifest>, String> {
    let mut out = Vec::new();
    for (path, text) in files {
        let Some(text) = fill(text, values, namespace) else {
            continue;
        };
        for document in documents(&text) {
            let object: Value = match serde_saphyr::from_str(&document) {
                Ok(object) => object,
                Err(_) if !looks_like_an_object(&document) => continue,
                Err(error) => return Err(format!("failed to unmarshal manifest {path:?}: {error}")),
            };
            if object["kind"] == "List" {
                out.extend(object["items"].as_array().into_iter().flatten().cloned().map(Manifest));
            } else if object["kind"].is_string() && object["apiVersion"].is_string() {
                out.push(Manifest(object));
            }
        }
    }
    for manifest in &mut out {
        if manifest.namespace().is_empty() && !is_cluster_wide(manifest.kind()) {
            manifest.0["metadata"]["namespace"] = json!(namespace);
        }
    }
    Ok(out)
}

/// Argo CD passes over what does not even look like an object.
fn looks_like_an_object(text: &str) -> bool {
    ["apiVersion:", "kind:", "metadata:"]
        .iter()
        .all(|key| text.contains(key))
}

fn is_cluster_wide(kind: &str) -> bool {
    kind.starts_with("Cluster") || matches!(kind, "Namespace" | "CustomResourceDefinition" | "PersistentVolume")
}

fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let says_something = |document: &String| {
        let mut lines = document.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with('#'))
    };
    documents.into_iter().filter(says_something).collect()
}

/// The text with its expressions filled in. `None` when it has one that is no plain value.
fn fill(text: &str, values: &Value, namespace: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, after) = after.split_once("}}")?;
        out.push_str(before);
        out.push_str(&value_of(expression, values, namespace)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn value_of(expression: &str, values: &Value, namespace: &str) -> Option<String> {
    let mut parts = expression
        .trim_matches(|c: char| c == '-' || c.is_whitespace())
        .split('|');
    let path = parts.next()?.trim();
    let quoted = match parts.next().map(str::trim) {
        None => false,
        Some("quote") => true,
        Some(_) => return None,
    };
    let text = if path == ".Release.Namespace" {
        namespace.to_owned()
    } else {
        let keys = path.strip_prefix(".Values.")?;
        if keys.contains(|c: char| !(c.is_ascii_alphanumeric() || ".-_".contains(c))) {
            return None;
        }
        let value = keys.split('.').fold(values, |node, key| &node[key]);
        if value.is_object() || value.is_array() {
            return None;
        }
        super::values::text(value)
    };
    Some(if quoted { json!(text).to_string() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Vec<Manifest>, String> {
        let values = json!({"services": {"web": {"image": {"tag": "v2"}}}});
        render(&[("a.yaml".to_owned(), text.to_owned())], &values, "shop")
    }

    #[test]
    fn objects_are_taken_as_they_stand() {
        let text = "# first\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: other}\n";
        let ids: Vec<String> = one(text).unwrap().iter().map(Manifest::id).collect();
        assert_eq!(ids, ["/Service/shop/a", "/Pod/other/b"]);
        assert_eq!(one("services: {web: {}}\n").unwrap(), []);
        assert!(one("apiVersion: v1\nkind: [\nmetadata: {}\n").is_err());
    }

    #[test]
    fn templates_name_values_and_nothing_else() {
        let with = |expression: &str| {
            let object = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{{{ {expression} }}}}\n");
            one(&object).unwrap().first().map(|pod| pod.name().to_owned())
        };
        assert_eq!(with(".Values.services.web.image.tag").unwrap(), "v2");
        assert_eq!(with(".Values.services.web.image.tag | quote").unwrap(), "v2");
        assert_eq!(with(".Release.Namespace").unwrap(), "shop");
        assert_eq!(
            with("include \"chart.name\" ."),
            None,
            "such a template is what the values stand for"
        );
        assert_eq!(with(".Values.services.web | toYaml"), None);
    }
}
