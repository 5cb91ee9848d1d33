//! What stands in the cluster, as the last refresh saw it: resource tree, managed resources, Kubernetes events.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{
    Answer, Params, World, applications::refresh, auth::Caller, error::ApiError, ok, resources::readable,
    secrets::hide_secrets,
};
use crate::{
    app::Application,
    cluster::{Cluster, live::Live},
    engine::ignore,
    manifest::Manifest,
    select::Fields,
    world::{AppKey, Shared},
};

/// Tree and diffs are made by the controller; while it cannot, its condition is all there is.
fn refuse_broken(app: &Application) -> Result<(), ApiError> {
    let broken = app
        .status
        .conditions
        .iter()
        .find(|c| c.kind == "ComparisonError" || c.kind == "InvalidSpecError");
    broken.map_or(Ok(()), |condition| {
        Err(ApiError::unknown(format!("{}: {}", condition.kind, condition.message)))
    })
}

/// The Application with what the controller has cached of its cluster. Where it has nothing yet, the server asks for a
/// refresh and waits, however long that takes.
async fn cached(
    shared: &Shared,
    caller: &Caller,
    params: &Params,
    name: &str,
) -> Result<(Application, Cluster, Vec<Manifest>), ApiError> {
    let (key, app) = readable(shared, caller, params, name)?;
    refuse_broken(&app)?;
    if let Some((cluster, manifests)) = look(shared, &key) {
        return Ok((app, cluster, manifests));
    }
    let app = refresh(shared, &key, "normal").await?;
    refuse_broken(&app)?;
    let (cluster, manifests) = look(shared, &key).unwrap_or_default();
    Ok((app, cluster, manifests))
}

fn look(shared: &Shared, key: &AppKey) -> Option<(Cluster, Vec<Manifest>)> {
    let seen = shared.read(key, |record| {
        let target = record.target.as_ref()?;
        Some((record.seen.clone()?, target.manifests.clone().unwrap_or_default()))
    });
    seen.flatten()
}

pub(super) async fn tree(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    let (_, cluster, _) = cached(&shared, &caller, &params, &name).await?;
    let mut answer = json!({"nodes": cluster.tree(), "shardsCount": 1});
    // Only for projects that watch for them; the stand-in has some when a test made them.
    let orphans = cluster.orphaned_nodes();
    if !orphans.is_empty() {
        answer["orphanedNodes"] = json!(orphans);
    }
    ok(&answer)
}

pub(super) async fn managed(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    let (app, cluster, manifests) = cached(&shared, &caller, &params, &name).await?;
    let mut ids: Vec<String> = manifests
        .iter()
        .filter(|manifest| manifest.hooks().is_empty())
        .map(Manifest::id)
        .chain(cluster.resources.keys().cloned())
        .collect();
    ids.sort();
    ids.dedup();
    let looked_at = |id: &&String| !cluster.excludes(id.split('/').nth(1).unwrap_or_default());
    let items = ids.iter().filter(looked_at).map(|id| {
        let target = manifests.iter().find(|manifest| manifest.id() == *id);
        diff(&app, target, cluster.resources.get(id))
    });
    let matches = |item: &Value| {
        ["namespace", "name", "group", "kind"].into_iter().all(|key| {
            params
                .get(key)
                .is_none_or(|asked| asked.is_empty() || item[key] == json!(asked))
        })
    };
    let items: Vec<Value> = items.filter(matches).collect();
    let answer = json!({"items": items});
    ok(&Fields::parse(params.text("fields")).map_or(answer.clone(), |fields| fields.filter(&answer)))
}

/// One `ResourceDiff`. A state that there is not is the text `null`, not an empty one. The version of an object's group is
/// not part of it; it stands in the states.
fn diff(app: &Application, target: Option<&Manifest>, live: Option<&Live>) -> Value {
    let hook = live.is_some_and(|live| !live.manifest.hooks().is_empty());
    let target = target.filter(|_| !hook);
    let modified = match (target, live) {
        (Some(target), Some(live)) => !ignore::same(target, &live.manifest, &ignore::ignored(&app.spec, target)),
        (Some(_), None) => true,
        (None, _) => false,
    };
    let object = target.or(live.map(|live| &live.manifest));
    let mut now = live.map(|live| tracked(app, live.object()));
    let mut wanted = target.map(|target| tracked(app, target.0.clone()));
    hide_secrets(&mut wanted, &mut now);
    let predicted = wanted.as_ref().map(|wanted| {
        let mut predicted = now.clone().unwrap_or_else(|| json!({}));
        crate::patch::merge(&mut predicted, wanted);
        predicted
    });
    let text = |object: &Option<Value>| object.as_ref().map_or_else(|| "null".to_owned(), Value::to_string);
    let mut item = json!({
        "group": object.map(Manifest::group).unwrap_or_default(), "kind": object.map(Manifest::kind).unwrap_or_default(),
        "namespace": object.map(Manifest::namespace).unwrap_or_default(),
        "name": object.map(Manifest::name).unwrap_or_default(),
        "targetState": text(&wanted), "liveState": text(&now),
        "normalizedLiveState": text(&now), "predictedLiveState": text(&predicted),
        "resourceVersion": live.map(Live::version).unwrap_or_default(),
    });
    for (key, on) in [("modified", modified), ("hook", hook)] {
        if on {
            item[key] = json!(true);
        }
    }
    for key in ["group", "namespace", "resourceVersion"] {
        if item[key] == "" {
            item.as_object_mut().map(|item| item.remove(key));
        }
    }
    item
}

/// With the mark by which Argo CD knows whose it is (`application.resourceTrackingMethod: annotation`).
fn tracked(app: &Application, mut object: Value) -> Value {
    let id = Manifest(object.clone());
    let mark = format!(
        "{}:{}/{}:{}/{}",
        app.instance_name(),
        id.group(),
        id.kind(),
        id.namespace(),
        id.name()
    );
    object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!(mark);
    object
}

/// Events of one resource, which must be named with its uid as the tree has it, or of the Application itself. Unlike
/// the tree they are no cache's: the server asks the cluster for them.
pub(super) async fn events(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    let (key, _) = readable(&shared, &caller, &params, &name)?;
    let [resource, uid, namespace] =
        ["resourceName", "resourceUID", "resourceNamespace"].map(|key| params.text(key).to_owned());
    if resource.is_empty() && uid.is_empty() {
        return ok(&json!({"metadata": {}, "items": []}));
    }
    let (_, cluster, _) = cached(&shared, &caller, &params, &name).await?;
    let known = cluster.tree().iter().any(|node| {
        node["uid"] == uid && node["name"] == resource && (node["namespace"].as_str().unwrap_or_default() == namespace)
    });
    if !known {
        return Err(ApiError::invalid(format!(
            "{resource} not found as part of application {name}"
        )));
    }
    let about = |event: &&crate::cluster::events::KubeEvent| {
        event.object.uid == uid && event.object.name == resource && event.object.namespace == namespace
    };
    let items = shared.read(&key, |record| {
        let events = record.cluster.events.iter().filter(about);
        events.map(crate::cluster::events::KubeEvent::json).collect::<Vec<_>>()
    });
    let items = items.unwrap_or_default();
    ok(&json!({"metadata": {"resourceVersion": shared.world().version.to_string()}, "items": items}))
}
