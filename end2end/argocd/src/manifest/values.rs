//! From a values file to the workloads that a chart would make of it.
//!
//! The whole configuration of a service goes into its workload, so that any change of it (not only of the image) makes
//! the Application OutOfSync, and a change elsewhere in the file does not. A service is a Deployment unless it says
//! `kind: StatefulSet | DaemonSet | Rollout | CronJob | Job`; one that names its kind may also have `sidecars` and
//! `initContainers` (as Kubernetes writes containers), and a CronJob `schedule` and `suspend`.

use super::Manifest;
use serde_json::{Map, Value, json};

/// The keys of a service that make a workload of another kind than a Deployment, or more than its main container.
const SHAPE: [&str; 5] = ["kind", "schedule", "suspend", "sidecars", "initContainers"];

/// Reads a values file and sets the Helm parameters over it. The error is the text that the chart would fail with.
pub(crate) fn read(yaml: &str, parameters: &[Value]) -> Result<Value, String> {
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
    Ok(values)
}

/// Renders the services under `prefix`, sorted by name. The error is the text that the chart would fail with.
pub(crate) fn render(values: &Value, prefix: Option<&str>, namespace: &str) -> Result<Vec<Manifest>, String> {
    let keys = prefix.unwrap_or_default().split('.').filter(|key| !key.is_empty());
    let node = keys.fold(values, |node, key| &node[key]);
    let Some(services) = node["services"].as_object() else {
        return Ok(Vec::new());
    };
    let mut rendered = Vec::new();
    for (name, service) in services {
        rendered.push(workload(name, service, namespace)?);
    }
    rendered.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(rendered)
}

fn workload(name: &str, service: &Value, namespace: &str) -> Result<Manifest, String> {
    let image = image_text(&service["image"]);
    if image.is_empty() {
        return Err(format!(
            "Error: execution error at (chart/templates/deployment.yaml): service {name} has no image.repository"
        ));
    }
    let mut container = Map::from_iter([("name".to_owned(), json!(name)), ("image".to_owned(), json!(image))]);
    let kind = Kind::of(&service["kind"]);
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
            key if kind.is_some() && SHAPE.contains(&key) => {}
            _ => {
                annotations.insert(format!("chart.example/{key}"), json!(text(value)));
            }
        }
    }
    let labels = json!({"app.kubernetes.io/name": name});
    let mut containers = vec![Value::Object(container)];
    containers.extend(kind.and(service["sidecars"].as_array()).into_iter().flatten().cloned());
    let mut pod = json!({"containers": containers});
    if kind.is_some() && service["initContainers"].is_array() {
        pod["initContainers"] = service["initContainers"].clone();
    }
    let template = json!({"metadata": {"labels": labels.clone(), "annotations": annotations}, "spec": pod});
    let kind = kind.unwrap_or(Kind::Deployment);
    Ok(Manifest(json!({
        "apiVersion": kind.api_version(),
        "kind": kind.word(),
        "metadata": {"name": name, "namespace": namespace, "labels": labels.clone()},
        "spec": kind.spec(service, &labels, template),
    })))
}

/// What a service can be; one that says nothing is a Deployment.
#[derive(Clone, Copy)]
enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    Rollout,
    CronJob,
    Job,
}

impl Kind {
    fn of(word: &Value) -> Option<Self> {
        let kinds = [
            Self::Deployment,
            Self::StatefulSet,
            Self::DaemonSet,
            Self::Rollout,
            Self::CronJob,
            Self::Job,
        ];
        kinds.into_iter().find(|kind| word.as_str() == Some(kind.word()))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Rollout => "Rollout",
            Self::CronJob => "CronJob",
            Self::Job => "Job",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps/v1",
            Self::Rollout => "argoproj.io/v1alpha1",
            Self::CronJob | Self::Job => "batch/v1",
        }
    }

    fn spec(self, service: &Value, labels: &Value, mut template: Value) -> Value {
        let selector = json!({"matchLabels": labels});
        let replicas = service["replicas"].as_u64().unwrap_or(1);
        match self {
            Self::Deployment | Self::StatefulSet => {
                json!({"replicas": replicas, "selector": selector, "template": template})
            }
            Self::Rollout => json!({
                "replicas": replicas, "selector": selector, "template": template,
                "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}},
            }),
            Self::DaemonSet => json!({"selector": selector, "template": template}),
            Self::CronJob => {
                template["spec"]["restartPolicy"] = json!("OnFailure");
                let schedule = service["schedule"].as_str().unwrap_or("0 3 * * *");
                let mut spec = json!({"schedule": schedule, "jobTemplate": {"spec": {"template": template}}});
                if service["suspend"] == json!(true) {
                    spec["suspend"] = json!(true);
                }
                spec
            }
            Self::Job => {
                template["spec"]["restartPolicy"] = json!("Never");
                json!({"backoffLimit": 0, "template": template})
            }
        }
    }
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

/// A scalar as a template prints it.
pub(crate) fn text(value: &Value) -> String {
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

    fn rendered(yaml: &str, prefix: Option<&str>) -> Result<Vec<Manifest>, String> {
        render(&read(yaml, &[])?, prefix, "shop")
    }

    #[test]
    fn each_service_becomes_a_deployment() {
        let yaml = "app:\n  services:\n    web:\n      image: {repository: r/web, tag: 1234567}\n    api:\n      replicas: 0\n      port: 80\n      image:\n        repository: r/api\n        tag: a1\n        digest: sha256:0f\n";
        let seen = rendered(yaml, Some("app")).unwrap();
        let seen: Vec<_> = seen.iter().map(|d| (d.name(), d.image(), d.replicas())).collect();
        assert_eq!(seen, [("api", "r/api:a1@sha256:0f", 0), ("web", "r/web:1234567", 1)]);
        assert_eq!(rendered(yaml, None).unwrap(), []);
        assert!(rendered("services: {web: {port: 1}}", None).is_err());
        assert!(rendered("a: [", None).is_err());
    }

    #[test]
    fn a_service_can_be_of_another_kind() {
        let yaml = "services:\n  a: {kind: CronJob, schedule: '5 * * * *', image: r/a:1, sidecars: [{name: log, image: r/log:1}]}\n  b: {kind: Job, image: r/b:1, initContainers: [{name: wait, image: r/wait:1}]}\n  c: {kind: Unheard, image: r/c:1}\n";
        let seen = rendered(yaml, None).unwrap();
        let ids: Vec<String> = seen.iter().map(Manifest::id).collect();
        assert_eq!(
            ids,
            ["batch/CronJob/shop/a", "batch/Job/shop/b", "apps/Deployment/shop/c"]
        );
        assert_eq!(seen[0].images(), ["r/a:1", "r/log:1"]);
        assert_eq!(seen[0].0["spec"]["schedule"], "5 * * * *");
        assert_eq!(seen[1].images(), ["r/b:1", "r/wait:1"]);
        assert_eq!(
            seen[2].template()["metadata"]["annotations"]["chart.example/kind"],
            "Unheard"
        );
    }

    #[test]
    fn helm_parameters_win_over_the_file() {
        let parameters = [json!({"name": "services.web.image.tag", "value": "2"})];
        let values = read("services: {web: {image: {repository: r, tag: 1}}}", &parameters).unwrap();
        assert_eq!(render(&values, None, "n").unwrap()[0].image(), "r:2");
    }
}
