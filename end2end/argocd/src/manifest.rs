//! From a values file to the Deployments that a chart would make of it.
//!
//! The whole configuration of a service goes into its Deployment, so that any change of it (not only of the image) makes
//! the Application OutOfSync, and a change elsewhere in the file does not.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One rendered Deployment, as Kubernetes JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Deployment(pub(crate) Value);

impl Deployment {
    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.0["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    pub(crate) fn image(&self) -> &str {
        self.0["spec"]["template"]["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn set_image(&mut self, image: &str) {
        self.0["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    }

    pub(crate) fn replicas(&self) -> u64 {
        self.0["spec"]["replicas"].as_u64().unwrap_or(1)
    }

    /// What makes pods restart when it changes.
    pub(crate) fn template(&self) -> &Value {
        &self.0["spec"]["template"]
    }
}

/// Renders the services of a values file, sorted by name. The error is the text that the chart would fail with.
pub(crate) fn render(
    yaml: &str,
    prefix: Option<&str>,
    parameters: &[Value],
    namespace: &str,
) -> Result<Vec<Deployment>, String> {
    let mut values: Value = if yaml.trim().is_empty() {
        json!({})
    } else {
        serde_saphyr::from_str(yaml).map_err(|error| format!("Error: failed to parse values file: {error}"))?
    };
    for parameter in parameters {
        if let (Some(name), Some(value)) = (parameter["name"].as_str(), parameter["value"].as_str()) {
            set_path(&mut values, name, value);
        }
    }
    let mut node = &values;
    for key in prefix.unwrap_or_default().split('.').filter(|key| !key.is_empty()) {
        node = &node[key];
    }
    let Some(services) = node["services"].as_object() else {
        return Ok(Vec::new());
    };
    let mut rendered = Vec::new();
    for (name, service) in services {
        rendered.push(deployment(name, service, namespace)?);
    }
    rendered.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(rendered)
}

fn deployment(name: &str, service: &Value, namespace: &str) -> Result<Deployment, String> {
    let image = image_text(&service["image"]);
    if image.is_empty() {
        return Err(format!(
            "Error: execution error at (chart/templates/deployment.yaml): service {name} has no image.repository"
        ));
    }
    let mut container = Map::from_iter([("name".to_owned(), json!(name)), ("image".to_owned(), json!(image))]);
    let replicas = service["replicas"].as_u64().unwrap_or(1);
    let mut annotations = Map::new();
    for (key, value) in service.as_object().into_iter().flatten() {
        match key.as_str() {
            "image" | "replicas" => {}
            "port" => {
                container.insert("ports".to_owned(), json!([{"containerPort": value}]));
            }
            "env" => {
                let entries = value.as_object().into_iter().flatten();
                let env: Vec<_> = entries
                    .map(|(name, value)| json!({"name": name, "value": text(value)}))
                    .collect();
                container.insert("env".to_owned(), json!(env));
            }
            _ => {
                annotations.insert(format!("chart.example/{key}"), json!(text(value)));
            }
        }
    }
    let labels = json!({"app.kubernetes.io/name": name});
    Ok(Deployment(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels.clone()},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels.clone()},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container]}},
        },
    })))
}

/// `repository:tag@digest`, or what there is of it.
fn image_text(image: &Value) -> String {
    if let Some(whole) = image.as_str() {
        return whole.to_owned();
    }
    let mut out = text(&image["repository"]);
    if out.is_empty() {
        return out;
    }
    for (mark, key) in [(':', "tag"), ('@', "digest")] {
        let part = text(&image[key]);
        if !part.is_empty() {
            out.push(mark);
            out.push_str(&part);
        }
    }
    out
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Sets a Helm parameter (`services.api.image.tag`) over the values.
fn set_path(values: &mut Value, path: &str, to: &str) {
    let mut node = values;
    for key in path.split('.') {
        if !node.is_object() {
            *node = json!({});
        }
        node = &mut node[key];
    }
    *node = json!(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_becomes_a_deployment() {
        let yaml = "app:\n  services:\n    web:\n      image: {repository: r/web, tag: 1234567}\n    api:\n      replicas: 0\n      port: 80\n      image:\n        repository: r/api\n        tag: a1\n        digest: sha256:0f\n";
        let rendered = render(yaml, Some("app"), &[], "shop").unwrap();
        let seen: Vec<_> = rendered.iter().map(|d| (d.name(), d.image(), d.replicas())).collect();
        assert_eq!(seen, [("api", "r/api:a1@sha256:0f", 0), ("web", "r/web:1234567", 1)]);
        assert_eq!(render(yaml, None, &[], "shop").unwrap(), []);
        assert!(render("services: {web: {port: 1}}", None, &[], "shop").is_err());
        assert!(render("a: [", None, &[], "shop").is_err());
    }

    #[test]
    fn helm_parameters_win_over_the_file() {
        let parameters = [json!({"name": "services.web.image.tag", "value": "2"})];
        let rendered = render(
            "services: {web: {image: {repository: r, tag: 1}}}",
            None,
            &parameters,
            "n",
        )
        .unwrap();
        assert_eq!(rendered[0].image(), "r:2");
    }
}
