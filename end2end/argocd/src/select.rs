//! Choosing among Applications and among their fields: label selectors and the `fields` parameter.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::app::Application;

/// A Kubernetes label selector: `env=prod,team in (a,b),!x`.
#[derive(Debug, Default)]
pub(crate) struct Selector(Vec<Rule>);

#[derive(Debug)]
enum Rule {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selector {
    /// The error is the text that Kubernetes gives.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            rules.push(
                rule(part)
                    .ok_or_else(|| format!("unable to parse requirement: found '{part}', expected: identifier"))?,
            );
        }
        Ok(Self(rules))
    }

    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|rule| match rule {
            Rule::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Rule::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Rule::Exists(key) => labels.contains_key(key),
            Rule::Missing(key) => !labels.contains_key(key),
        })
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn rule(part: &str) -> Option<Rule> {
    let key = |text: &str| {
        let text = text.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!text.is_empty() && text.chars().all(fits)).then(|| text.to_owned())
    };
    if let Some((name, set)) = part.split_once('(') {
        let values = set
            .strip_suffix(')')?
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        let (name, word) = name.trim().rsplit_once(' ')?;
        return match word {
            "in" => Some(Rule::In(key(name)?, values)),
            "notin" => Some(Rule::NotIn(key(name)?, values)),
            _ => None,
        };
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Some(Rule::NotIn(key(name)?, vec![value.trim().to_owned()]));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Rule::In(key(name)?, vec![value.trim().to_owned()]));
    }
    match part.strip_prefix('!') {
        Some(name) => Some(Rule::Missing(key(name)?)),
        None => Some(Rule::Exists(key(part)?)),
    }
}

/// The `fields` parameter: paths to keep, or with a leading `-` paths to leave out.
#[derive(Debug)]
pub(crate) struct Fields {
    paths: Vec<String>,
    exclude: bool,
}

/// What list can select; other paths silently give nothing.
const LIST_FIELDS: [&str; 24] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.annotations",
    "metadata.labels",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "spec",
    "status.sync.status",
    "status.sync.revision",
    "status.health",
    "status.summary",
    "status.operationState.startedAt",
    "status.operationState.finishedAt",
    "status.operationState.phase",
    "status.operationState.operation.sync",
    "status.resources",
    "status.sourceHydrator",
    "operation.sync",
    "spec.destination",
    "spec.project",
    "spec.source",
    "spec.sources",
    "spec.sourceHydrator",
    "spec.syncPolicy",
];

impl Fields {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (exclude, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let paths: Vec<String> = rest
            .split(',')
            .map(|path| path.trim().to_owned())
            .filter(|path| !path.is_empty())
            .collect();
        (!paths.is_empty()).then_some(Self { paths, exclude })
    }

    /// One item of a list, with the quirks of list: fixed paths only, and `operationState.operation.sync` shows the
    /// sync result.
    pub(crate) fn list_item(&self, app: &Application) -> Value {
        let whole = json!(app);
        let mut out = json!({});
        for path in LIST_FIELDS {
            if self
                .paths
                .iter()
                .any(|asked| asked.strip_prefix("items.") == Some(path))
                == self.exclude
            {
                continue;
            }
            let from = if path == "status.operationState.operation.sync" {
                "status.operationState.syncResult"
            } else {
                path
            };
            let value = from.split('.').try_fold(&whole, |node, key| node.get(key));
            if let Some(value) = value {
                put(&mut out, path, value.clone());
            }
        }
        out
    }

    /// Any other message, filtered by paths from its root.
    pub(crate) fn filter(&self, value: &Value) -> Value {
        self.walk(value, "").unwrap_or_else(|| json!({}))
    }

    fn walk(&self, value: &Value, at: &str) -> Option<Value> {
        let hit = self.paths.iter().any(|path| path == at);
        let inside = self.paths.iter().any(|path| {
            path.strip_prefix(at)
                .is_some_and(|rest| at.is_empty() || rest.starts_with('.'))
        });
        if hit {
            return (!self.exclude).then(|| value.clone());
        }
        if !inside {
            return self.exclude.then(|| value.clone());
        }
        match value {
            Value::Object(object) => {
                let mut out = Map::new();
                for (key, child) in object {
                    let path = if at.is_empty() {
                        key.clone()
                    } else {
                        format!("{at}.{key}")
                    };
                    if let Some(kept) = self.walk(child, &path) {
                        out.insert(key.clone(), kept);
                    }
                }
                Some(Value::Object(out))
            }
            Value::Array(list) => Some(Value::Array(
                list.iter().filter_map(|child| self.walk(child, at)).collect(),
            )),
            other => self.exclude.then(|| other.clone()),
        }
    }
}

fn put(out: &mut Value, path: &str, value: Value) {
    let mut node = out;
    for key in path.split('.') {
        if !node.is_object() {
            *node = json!({});
        }
        node = &mut node[key];
    }
    match (node.as_object_mut(), &value) {
        (Some(old), Value::Object(new)) => old.extend(new.clone()),
        _ => *node = value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_follow_kubernetes() {
        let labels = BTreeMap::from([
            ("env".to_owned(), "prod".to_owned()),
            ("team".to_owned(), "a".to_owned()),
        ]);
        for (text, fits) in [
            ("env=prod,team in (a, b),!x", true),
            ("env==prod", true),
            ("env!=prod", false),
            ("team notin (a)", false),
            ("x", false),
            ("", true),
        ] {
            assert_eq!(Selector::parse(text).unwrap().matches(&labels), fits, "{text}");
        }
        assert!(Selector::parse("env in").is_err());
        assert!(Selector::parse("a b=c").is_err());
    }

    #[test]
    fn fields_keep_or_leave_out() {
        let value = json!({"result": {"type": "ADDED", "application": {"metadata": {"name": "a"}, "spec": {"x": 1}}}});
        let keep = Fields::parse("result.type,result.application.metadata.name").unwrap();
        assert_eq!(
            keep.filter(&value),
            json!({"result": {"type": "ADDED", "application": {"metadata": {"name": "a"}}}})
        );
        let drop = Fields::parse("-result.application.spec").unwrap();
        assert_eq!(
            drop.filter(&value),
            json!({"result": {"type": "ADDED", "application": {"metadata": {"name": "a"}}}})
        );
        assert_eq!(keep.filter(&json!({"error": {"message": "x"}})), json!({}));
    }
}
