//! The side door of the tests: faults in, state out. Loopback is its only guard.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{World, error::json_bytes};
use crate::{
    cluster::change::ClusterChange,
    faults::{self, Fault, FaultError, FaultRequest, inject},
    world::Shared,
};

/// One fault, or a list of them.
pub(super) async fn set_fault(State(shared): World, bytes: Bytes) -> Response {
    each(&bytes, "fault", |request| inject(&shared, request))
}

/// A change of the cluster with the Application it is about.
#[derive(Deserialize)]
struct ChangeRequest {
    app: String,
    #[serde(flatten)]
    change: ClusterChange,
}

/// One change of the cluster, or a list of them.
pub(super) async fn change_cluster(State(shared): World, bytes: Bytes) -> Response {
    each(&bytes, "change of the cluster", |request: ChangeRequest| {
        faults::change_cluster(&shared, &request.app, &request.change)
    })
}

/// How far the clock shall go: `{"advance": 7200}`.
#[derive(Deserialize)]
struct ClockRequest {
    /// Seconds to go forward.
    advance: u64,
}

/// Moves the clock forward.
pub(super) async fn advance_clock(State(shared): World, bytes: Bytes) -> Response {
    each(&bytes, "move of the clock", |request: ClockRequest| {
        shared.clock.advance(Duration::from_secs(request.advance));
        Ok(())
    })
}

/// Does what the body asks for, one thing or a list of things, up to the first that cannot be done.
fn each<T: DeserializeOwned>(bytes: &Bytes, what: &str, act: impl Fn(T) -> Result<(), FaultError>) -> Response {
    let refuse = |message: String| (StatusCode::BAD_REQUEST, json_bytes(&json!({"error": message}))).into_response();
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return refuse(format!("not JSON: {error}")),
    };
    let list = if let Value::Array(list) = value {
        list
    } else {
        vec![value]
    };
    for one in list {
        let request: T = match serde_json::from_value(one) {
            Ok(request) => request,
            Err(error) => return refuse(format!("not a {what}: {error}")),
        };
        if let Err(error) = act(request) {
            return refuse(error.to_string());
        }
    }
    json_bytes(&json!({})).into_response()
}

pub(super) async fn clear_faults(State(shared): World) -> Response {
    match inject(
        &shared,
        FaultRequest {
            app: None,
            fault: Fault::Clear,
        },
    ) {
        Ok(()) => json_bytes(&json!({})).into_response(),
        Err(error) => (
            StatusCode::BAD_REQUEST,
            json_bytes(&json!({"error": error.to_string()})),
        )
            .into_response(),
    }
}

pub(super) async fn state(State(shared): World) -> Response {
    json_bytes(&state_of(&shared)).into_response()
}

/// Everything the stand-in knows, except tokens.
pub(crate) fn state_of(shared: &Shared) -> Value {
    let world = shared.world();
    let apps: Vec<Value> = world
        .apps
        .values()
        .map(|record| {
            let deployments: Vec<Value> = record
                .cluster
                .resources
                .values()
                .filter(|live| !live.manifest.images().is_empty())
                .map(|live| {
                    json!({
                        "kind": live.manifest.kind(), "name": live.manifest.name(), "image": live.manifest.image(),
                        "replicas": live.desired(), "health": live.health(),
                        "pods": live.pods.iter().flat_map(|pod| pod.images()).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({"application": record.app, "deployments": deployments, "faults": record.faults})
        })
        .collect();
    json!({"apps": apps, "projects": world.projects, "faults": world.faults, "requests": world.requests})
}
