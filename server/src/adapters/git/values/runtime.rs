//! How a resource runs, as keys of its service.

use domain::resource::Runtime;

use super::change::New;

/// The configuration of a new resource, as keys of its service.
pub(super) fn keys(runtime: &Runtime) -> Vec<(String, New)> {
    let number = |n: u64| New::Number(n);
    let text = |s: &str| New::Text(s.to_owned());
    let mut keys = Vec::new();
    let mut add = |key: &str, value: New| keys.push((key.to_owned(), value));
    if let Some(replicas) = runtime.replicas {
        add("replicas", number(replicas.into()));
    }
    if let Some(port) = runtime.ports.first() {
        add("port", number((*port).into()));
    }
    if runtime.ports.len() > 1 {
        let ports = runtime.ports.iter().map(|port| number((*port).into()));
        add("ports", New::List(ports.collect()));
    }
    if !runtime.env.is_empty() {
        let mut env: Vec<(String, New)> = Vec::new();
        for (key, value) in &runtime.env {
            // The last one wins, as in a shell; twice the same key would break the file.
            env.retain(|(existing, _)| existing != key);
            env.push((key.clone(), text(value)));
        }
        add("env", New::Map(env));
    }
    if let Some(host) = &runtime.ingress_host {
        add("domains", New::List(vec![text(host)]));
    }
    if let Some(size) = runtime.size {
        add("size", text(size.as_str()));
    }
    if let Some(path) = &runtime.health_path {
        add("healthPath", text(path));
    }
    keys
}
