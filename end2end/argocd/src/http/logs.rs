//! Log lines of pods, which need a right of their own: `logs, get`.

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Params, World, auth::Caller, error::ApiError, resources::readable};
use crate::{cluster::Cluster, world::SERVER_NAMESPACE};

/// Lines of one pod, of a container of it, or of all pods below a resource (`kind`, `group`, `resourceName`).
pub(super) async fn of_app(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let (key, app) = readable(&shared, &caller, &params, &name)?;
    caller.enforce("logs", "get", &app.rbac_name(SERVER_NAMESPACE))?;
    let tail = params.get("tailLines").and_then(|lines| lines.parse::<usize>().ok());
    let found = shared.read(&key, |record| {
        let cluster = record.seen.as_ref().unwrap_or(&record.cluster);
        lines(cluster, &params, tail.filter(|tail| *tail > 0))
    });
    // Of a pod that is not there, or not of this Application, there are no lines, and that is no error.
    let lines = found.flatten().unwrap_or_default();
    let mut body = String::new();
    let now = shared.clock.now();
    for (pod, line) in lines {
        let entry = json!({"content": line, "timeStamp": now, "last": false, "timeStampStr": now, "podName": pod});
        body.push_str(&format!("{}\n", json!({"result": entry})));
    }
    body.push_str(&format!(
        "{}\n",
        json!({"result": {"content": "", "last": true, "timeStampStr": now}})
    ));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn lines(cluster: &Cluster, params: &Params, tail: Option<usize>) -> Option<Vec<(String, String)>> {
    let [wanted, kind, resource] = ["podName", "kind", "resourceName"].map(|key| params.text(key));
    let mut pods = cluster.resources.values().flat_map(|live| {
        live.pods.iter().filter(move |pod| {
            if !wanted.is_empty() {
                return pod.name == wanted;
            }
            let root = live.manifest.kind() == kind && live.manifest.name() == resource;
            root || (pod.owner.kind == kind && pod.owner.name == resource)
        })
    });
    let first = pods.next()?;
    let mut all = Vec::new();
    for pod in std::iter::once(first).chain(pods) {
        let said = cluster.logs.get(&pod.name).map(Vec::as_slice).unwrap_or_default();
        let from = tail.map_or(0, |tail| said.len().saturating_sub(tail));
        all.extend(said.iter().skip(from).map(|line| (pod.name.clone(), line.clone())));
    }
    Some(all)
}

/// The other address of the same: `/pods/{podName}/logs`.
pub(super) async fn of_pod(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path((name, pod)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    of_app(State(shared), caller, params.with("podName", pod), Path(name)).await
}
