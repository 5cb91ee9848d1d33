//! What registries post when something was pushed.
//!
//! [`read`] recognises the sender by the shape of the body and takes from it which tags moved. All senders lose, repeat and
//! reorder their messages, so the result is a hint: whoever acts on it asks the registry what the tag names now. The sender
//! must have proven itself (a secret in a header or in the address) before any of this runs.
//!
//! Shapes, as the senders document them: distribution "Notifications"; Harbor "Configure Webhook Notifications" (default and
//! CloudEvents payloads); Docker Hub "Webhooks"; GitHub `package` and `registry_package` events; Quay "Repository
//! Notifications"; Amazon ECR "EventBridge events"; Azure Container Registry "Webhook schema reference".

use crate::nesting::{self, JsonError, TooDeep};
use domain::artifact::{Digest, Repository, Tag};
use http::HeaderMap;
use serde_json::Value;

/// One push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Path within the registry: `myapp/api`. Always well-formed.
    pub repository_path: String,
    /// The registry's host as the sender knows it, with its port if any; behind a proxy it may be another than people use.
    pub host: Option<String>,
    /// The tag; `None` for a push by digest, which may also be one platform of an image whose tag follows.
    pub tag: Option<Tag>,
    /// The digest, where the sender names it.
    pub digest: Option<Digest>,
}

/// Why a notification can't be used. The texts are answered to the sender and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// The body isn't JSON.
    #[error("The notification is not JSON. Set the webhook's content type to application/json.")]
    NotJson,
    /// It is nested too deeply.
    #[error("The notification can't be read: {0}.")]
    TooDeep(TooDeep),
    /// It is nobody's shape.
    #[error(
        "The notification is of an unknown kind. Waybill reads those of distribution (docker-registry), Harbor, Docker Hub, GitHub packages, Quay, Amazon ECR (EventBridge) and Azure Container Registry."
    )]
    UnknownShape,
    /// It is a sender's shape, but something is missing or odd.
    #[error("The notification from {sender} has no usable {field}.")]
    Malformed {
        /// Whose shape it is.
        sender: &'static str,
        /// What is missing.
        field: &'static str,
    },
}

type Pushes = Result<Vec<Pushed>, NotificationError>;

/// Reads a notification. Events that aren't pushes of images (pulls, deletions, pings) give an empty list.
///
/// The size of `body` is for the caller to bound.
///
/// # Errors
/// When the body is no JSON, of no known sender, or lacks what its sender always writes.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Pushes {
    let body: Value = nesting::json(body).map_err(|error| match error {
        JsonError::TooDeep(error) => NotificationError::TooDeep(error),
        JsonError::Json(_) => NotificationError::NotJson,
    })?;
    if let Some(event) = headers.get("x-github-event").and_then(|v| v.to_str().ok()) {
        return github(event, &body);
    }
    let has = |key: &str| body.get(key).is_some();
    let text = |key: &str| text(&body, &[key]);
    if body.get("events").is_some_and(Value::is_array) {
        distribution(&body)
    } else if text("source") == Some("aws.ecr") || text("detail-type") == Some("ECR Image Action") {
        ecr(&body)
    } else if has("event_data") && has("type") {
        harbor(&body, text("type") == Some("PUSH_ARTIFACT"), "event_data")
    } else if has("specversion") && text("type").is_some_and(|t| t.starts_with("harbor.")) {
        harbor(&body, text("type") == Some("harbor.artifact.pushed"), "data")
    } else if has("push_data") {
        docker_hub(&body)
    } else if has("updated_tags") {
        quay(&body)
    } else if text("action").is_some() && (has("target") || text("action") == Some("ping")) {
        azure(&body)
    } else {
        Err(NotificationError::UnknownShape)
    }
}

fn distribution(body: &Value) -> Pushes {
    let events = body.get("events").and_then(Value::as_array);
    let mut pushes = Vec::new();
    for event in events.into_iter().flatten() {
        let at = |path: &[&str]| text(event, path);
        // Layers are pushed too, and each platform of an image by its digest: only a tag says that something is done.
        let tag = tag(at(&["target", "tag"]));
        let blob = at(&["target", "mediaType"]).is_some_and(|t| !(t.contains("manifest") || t.contains("index")));
        if at(&["action"]) != Some("push") || tag.is_none() || blob {
            continue;
        }
        let host = at(&["request", "host"]).or_else(|| url_host(at(&["target", "url"])?));
        let pushed = pushed(at(&["target", "repository"]), host, tag, at(&["target", "digest"]));
        pushes.push(pushed.ok_or(missing("distribution", "events[].target.repository"))?);
    }
    Ok(pushes)
}

fn harbor(body: &Value, push: bool, data: &str) -> Pushes {
    let sender = "Harbor";
    if !push {
        return Ok(Vec::new());
    }
    let path = text(body, &[data, "repository", "repo_full_name"]);
    let resources = body
        .get(data)
        .and_then(|d| d.get("resources"))
        .and_then(Value::as_array)
        .ok_or(missing(sender, "resources"))?;
    let push = |resource: &Value| {
        let host = text(resource, &["resource_url"]).and_then(first_segment);
        // For a push without a tag Harbor writes the digest where the tag belongs; that is no valid tag.
        let tag = tag(text(resource, &["tag"]));
        pushed(path, host, tag, text(resource, &["digest"])).ok_or(missing(sender, "repository.repo_full_name"))
    };
    resources.iter().map(push).collect()
}

fn docker_hub(body: &Value) -> Pushes {
    let sender = "Docker Hub";
    let tag = tag(text(body, &["push_data", "tag"])).ok_or(missing(sender, "push_data.tag"))?;
    let path = text(body, &["repository", "repo_name"]);
    let pushed = pushed(path, Some("docker.io"), Some(tag), None);
    Ok(vec![pushed.ok_or(missing(sender, "repository.repo_name"))?])
}

fn github(event: &str, body: &Value) -> Pushes {
    let sender = "GitHub";
    if event == "ping" {
        return Ok(Vec::new());
    }
    let package = match event {
        "package" => body.get("package"),
        "registry_package" => body.get("registry_package"),
        _ => return Err(NotificationError::UnknownShape),
    };
    let package = package.ok_or(missing(sender, "package"))?;
    let at = |path: &[&str]| text(package, path);
    let container = at(&["package_type"]).is_some_and(|t| t.eq_ignore_ascii_case("container"));
    if !container || !matches!(text(body, &["action"]), Some("published" | "updated")) {
        return Ok(Vec::new());
    }
    let owner = at(&["owner", "login"])
        .or_else(|| at(&["namespace"]))
        .ok_or(missing(sender, "package.owner.login"))?;
    let name = at(&["name"]).ok_or(missing(sender, "package.name"))?;
    // Owners may have upper case; image names may not, so the registry has them in lower case.
    let path = format!("{owner}/{name}").to_lowercase();
    let tag_at = |key| at(&["package_version", "container_metadata", "tag", key]);
    let digest = tag_at("digest").or_else(|| at(&["package_version", "version"]));
    let pushed = pushed(Some(&path), Some("ghcr.io"), tag(tag_at("name")), digest);
    Ok(vec![pushed.ok_or(missing(sender, "package.name"))?])
}

fn quay(body: &Value) -> Pushes {
    let sender = "Quay";
    let host = text(body, &["docker_url"]).and_then(first_segment);
    let path = text(body, &["repository"]);
    let tags: Vec<&str> = match body.get("updated_tags") {
        Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).collect(),
        // Old versions: an object from tag to image id.
        Some(Value::Object(tags)) => tags.keys().map(String::as_str).collect(),
        _ => return Err(missing(sender, "updated_tags")),
    };
    tags.into_iter()
        .filter_map(|name| tag(Some(name)))
        .map(|tag| pushed(path, host, Some(tag), None).ok_or(missing(sender, "repository")))
        .collect()
}

fn ecr(body: &Value) -> Pushes {
    let sender = "Amazon ECR";
    let at = |path: &[&str]| text(body, path);
    if at(&["detail", "action-type"]) != Some("PUSH") || at(&["detail", "result"]) != Some("SUCCESS") {
        return Ok(Vec::new());
    }
    let account = at(&["account"]).ok_or(missing(sender, "account"))?;
    let region = at(&["region"]).ok_or(missing(sender, "region"))?;
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let host = format!("{account}.dkr.ecr.{region}.amazonaws.com{china}");
    let pushed = pushed(
        at(&["detail", "repository-name"]),
        Some(&host),
        tag(at(&["detail", "image-tag"])),
        at(&["detail", "image-digest"]),
    );
    Ok(vec![pushed.ok_or(missing(sender, "detail.repository-name"))?])
}

fn azure(body: &Value) -> Pushes {
    let at = |path: &[&str]| text(body, path);
    if at(&["action"]) != Some("push") {
        return Ok(Vec::new());
    }
    let pushed = pushed(
        at(&["target", "repository"]),
        at(&["request", "host"]),
        tag(at(&["target", "tag"])),
        at(&["target", "digest"]),
    );
    Ok(vec![
        pushed.ok_or(missing("Azure Container Registry", "target.repository"))?,
    ])
}

/// Puts a push together; `None` when the path is no image's. Whatever else is malformed is left out.
fn pushed(path: Option<&str>, host: Option<&str>, tag: Option<Tag>, digest: Option<&str>) -> Option<Pushed> {
    let path = path?;
    let repository: Repository = format!("localhost/{path}").parse().ok()?;
    let host = host.map(str::to_lowercase);
    let host = host.filter(|host| {
        format!("{host}/{path}")
            .parse::<Repository>()
            .is_ok_and(|r| r.path() == path)
    });
    Some(Pushed {
        repository_path: repository.path().to_owned(),
        host,
        tag,
        digest: digest.and_then(|d| d.parse().ok()),
    })
}

fn tag(text: Option<&str>) -> Option<Tag> {
    text?.parse().ok()
}

fn missing(sender: &'static str, field: &'static str) -> NotificationError {
    NotificationError::Malformed { sender, field }
}

fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, key| value.get(key))?.as_str()
}

/// `harbor.example.com` of `harbor.example.com/acme/web:1.4.2`.
fn first_segment(reference: &str) -> Option<&str> {
    reference.split_once('/').map(|(host, _)| host)
}

/// `reg:5000` of `http://reg:5000/v2/…`.
fn url_host(url: &str) -> Option<&str> {
    first_segment(url.split_once("://")?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const HEX: &str = "fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf";

    fn sha() -> String {
        format!("sha256:{HEX}")
    }

    fn read_json(body: &Value) -> Pushes {
        read(&HeaderMap::new(), body.to_string().as_bytes())
    }

    fn push(host: Option<&str>, tag: Option<&str>, digest: bool) -> Pushed {
        Pushed {
            repository_path: "acme/web".into(),
            host: host.map(Into::into),
            tag: tag.map(|t| t.parse().unwrap()),
            digest: digest.then(|| sha().parse().unwrap()),
        }
    }

    fn distribution_event(action: &str, media_type: &str, tag: Option<&str>) -> Value {
        let mut event = json!({
            "id": "320678d8", "timestamp": "2026-09-01T12:00:00.4Z", "action": action,
            "target": {"mediaType": media_type, "digest": sha(), "size": 708, "repository": "acme/web",
                "url": format!("http://reg:5000/v2/acme/web/manifests/{}", sha())},
            "request": {"id": "6df2", "addr": "10.0.0.9:42961", "host": "reg:5000", "method": "PUT"},
            "actor": {"name": "ci"}, "source": {"addr": "reg:5000"},
        });
        if let Some(tag) = tag {
            event["target"]["tag"] = json!(tag);
        }
        event
    }

    #[test]
    fn distribution_tells_of_layers_pulls_and_platforms_too() {
        let index = "application/vnd.oci.image.index.v1+json";
        let body = json!({"events": [
            distribution_event("push", "application/octet-stream", None),
            distribution_event("push", "application/vnd.oci.image.manifest.v1+json", None),
            distribution_event("push", index, Some("1.4.2")),
            distribution_event("pull", index, Some("1.4.2")),
            distribution_event("delete", index, Some("1.4.2")),
            distribution_event("mount", "application/octet-stream", None),
        ]});
        assert_eq!(read_json(&body), Ok(vec![push(Some("reg:5000"), Some("1.4.2"), true)]));
        let mut event = distribution_event("push", index, Some("v1"));
        event["request"] = Value::Null;
        assert_eq!(
            read_json(&json!({"events": [event]})),
            Ok(vec![push(Some("reg:5000"), Some("v1"), true)])
        );
        let mut event = distribution_event("push", index, Some("v1"));
        event["target"]["repository"] = json!("../etc");
        assert!(matches!(
            read_json(&json!({"events": [event]})),
            Err(NotificationError::Malformed { .. })
        ));
        assert_eq!(read_json(&json!({"events": []})), Ok(vec![]));
    }

    #[test]
    fn harbor_writes_the_digest_where_the_tag_belongs() {
        let data = json!({
            "resources": [
                {"digest": sha(), "tag": "1.4.2", "resource_url": "harbor.example.com/acme/web:1.4.2"},
                {"digest": sha(), "tag": sha(), "resource_url": format!("harbor.example.com/acme/web@{}", sha())},
            ],
            "repository": {"name": "web", "namespace": "acme", "repo_full_name": "acme/web", "repo_type": "private"},
        });
        let host = Some("harbor.example.com");
        let expected = Ok(vec![push(host, Some("1.4.2"), true), push(host, None, true)]);
        let default = json!({"type": "PUSH_ARTIFACT", "occur_at": 1, "operator": "ci", "event_data": data});
        assert_eq!(read_json(&default), expected);
        let cloud_event =
            json!({"specversion": "1.0", "type": "harbor.artifact.pushed", "operator": "ci", "data": data});
        assert_eq!(read_json(&cloud_event), expected);
        assert_eq!(
            read_json(&json!({"type": "PULL_ARTIFACT", "event_data": data})),
            Ok(vec![])
        );
        let empty = json!({"type": "PUSH_ARTIFACT", "event_data": {}});
        assert_eq!(
            read_json(&empty).unwrap_err().to_string(),
            "The notification from Harbor has no usable resources."
        );
    }

    #[test]
    fn docker_hub_and_quay_name_no_digest() {
        let hub = json!({
            "callback_url": "https://registry.hub.docker.com/u/acme/web/hook/1/",
            "push_data": {"pushed_at": 1, "pusher": "ci", "tag": "1.4.2"},
            "repository": {"repo_name": "acme/web", "name": "web", "namespace": "acme"},
        });
        assert_eq!(read_json(&hub), Ok(vec![push(Some("docker.io"), Some("1.4.2"), false)]));
        let quay = json!({
            "name": "web", "repository": "acme/web", "namespace": "acme", "docker_url": "quay.io/acme/web",
            "homepage": "https://quay.io/repository/acme/web", "updated_tags": ["1.4.2", "latest"],
        });
        let expected = ["1.4.2", "latest"].map(|tag| push(Some("quay.io"), Some(tag), false));
        assert_eq!(read_json(&quay), Ok(expected.to_vec()));
        let old =
            json!({"repository": "acme/web", "docker_url": "quay.io/acme/web", "updated_tags": {"1.4.2": "4102"}});
        assert_eq!(read_json(&old), Ok(vec![push(Some("quay.io"), Some("1.4.2"), false)]));
    }

    #[test]
    fn github_may_leave_the_tag_empty_and_use_upper_case() {
        let body = |tag: &str, kind: &str| {
            json!({
                "action": "published",
                "package": {"name": "Web", "namespace": "Acme", "package_type": kind, "owner": {"login": "Acme"},
                    "package_version": {"version": sha(), "container_metadata": {"tag": {"name": tag, "digest": sha()}}}},
            })
        };
        let event = |event: &str, body: &Value| {
            let mut headers = HeaderMap::new();
            headers.insert("x-github-event", event.parse().unwrap());
            read(&headers, body.to_string().as_bytes())
        };
        let host = Some("ghcr.io");
        assert_eq!(
            event("package", &body("1.4.2", "CONTAINER")),
            Ok(vec![push(host, Some("1.4.2"), true)])
        );
        assert_eq!(
            event("package", &body("", "CONTAINER")),
            Ok(vec![push(host, None, true)])
        );
        assert_eq!(event("package", &body("1.4.2", "npm")), Ok(vec![]));
        assert_eq!(event("ping", &json!({"zen": "x"})), Ok(vec![]));
        assert_eq!(event("push", &json!({})), Err(NotificationError::UnknownShape));
    }

    #[test]
    fn ecr_tells_its_host_by_account_and_region() {
        let mut body = json!({
            "version": "0", "id": "13cde686", "detail-type": "ECR Image Action", "source": "aws.ecr",
            "account": "123456789012", "time": "2026-09-01T12:00:00Z", "region": "us-west-2", "resources": [],
            "detail": {"result": "SUCCESS", "repository-name": "acme/web", "image-digest": sha(), "action-type": "PUSH",
                "image-tag": "1.4.2"},
        });
        let host = "123456789012.dkr.ecr.us-west-2.amazonaws.com";
        assert_eq!(read_json(&body), Ok(vec![push(Some(host), Some("1.4.2"), true)]));
        body["region"] = json!("cn-north-1");
        let host = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
        assert_eq!(read_json(&body), Ok(vec![push(Some(host), Some("1.4.2"), true)]));
        body["detail"]["result"] = json!("FAILURE");
        assert_eq!(read_json(&body), Ok(vec![]));
    }

    #[test]
    fn azure_pushes_and_pings() {
        let body = json!({
            "id": "cb8c3971", "timestamp": "2026-09-01T12:00:00Z", "action": "push",
            "target": {"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": 524, "digest": sha(),
                "length": 524, "repository": "acme/web", "tag": "1.4.2"},
            "request": {"id": "3cbb6949", "host": "Acme.azurecr.io", "method": "PUT"},
        });
        assert_eq!(
            read_json(&body),
            Ok(vec![push(Some("acme.azurecr.io"), Some("1.4.2"), true)])
        );
        assert_eq!(read_json(&json!({"action": "ping"})), Ok(vec![]));
    }

    #[test]
    fn what_nobody_sends_is_refused_in_words() {
        for body in ["", "payload=%7B%7D", "<html>", "{\"a\":"] {
            assert_eq!(
                read(&HeaderMap::new(), body.as_bytes()),
                Err(NotificationError::NotJson),
                "{body}"
            );
        }
        for body in [
            "{}",
            "[]",
            "null",
            "7",
            "{\"events\":{}}",
            "{\"type\":\"PUSH_ARTIFACT\"}",
        ] {
            assert_eq!(
                read(&HeaderMap::new(), body.as_bytes()),
                Err(NotificationError::UnknownShape),
                "{body}"
            );
        }
    }

    /// JSON made of the senders' own keys and words, so that every branch is reached, with anything anywhere.
    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "events",
            "action",
            "target",
            "repository",
            "tag",
            "digest",
            "mediaType",
            "url",
            "request",
            "host",
            "type",
            "event_data",
            "data",
            "specversion",
            "resources",
            "repo_full_name",
            "resource_url",
            "push_data",
            "repo_name",
            "package",
            "package_type",
            "package_version",
            "container_metadata",
            "owner",
            "login",
            "name",
            "updated_tags",
            "docker_url",
            "source",
            "account",
            "region",
            "detail",
            "action-type",
            "result",
            "repository-name",
            "other",
        ]);
        let word = prop::sample::select(vec![
            "push",
            "PUSH",
            "SUCCESS",
            "PUSH_ARTIFACT",
            "harbor.artifact.pushed",
            "aws.ecr",
            "acme/web",
            "published",
            "container",
            "reg:5000/a/b",
            "http://x/y",
            "://",
            "/",
            "",
            "sha256:",
            "é/é",
            "..",
            "v1",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..8)
                    .prop_map(|pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_panics_and_every_path_is_well_formed(
            body in any_json(),
            event in prop::option::of(prop::sample::select(vec!["package", "registry_package", "ping", "x"])),
        ) {
            let mut headers = HeaderMap::new();
            if let Some(event) = event {
                headers.insert("x-github-event", event.parse().unwrap());
            }
            if let Ok(pushes) = read(&headers, body.to_string().as_bytes()) {
                for push in pushes {
                    let host = push.host.as_deref().unwrap_or("localhost");
                    let whole = format!("{host}/{}", push.repository_path);
                    prop_assert!(whole.parse::<Repository>().is_ok(), "{whole}");
                }
            }
        }

        #[test]
        fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&HeaderMap::new(), &body);
        }
    }
}
