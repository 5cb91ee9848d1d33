//! `POST /api/webhook`: a push makes the Applications that follow it look again. No token, no secret configured.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{World, error::plain};
use crate::{
    app::{Application, REFRESH, Source},
    engine::cache::{GENERATE_PATHS, touches},
    world::{AppKey, Level, Shared},
};

/// What a push event says, whoever sent it.
struct Push {
    web_url: String,
    revision: String,
    touches_default: bool,
    /// Changed files; none when the event names none.
    files: Vec<String>,
}

pub(super) async fn receive(State(shared): World, headers: HeaderMap, bytes: Bytes) -> Response {
    let has = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    // Gitea sends Gogs headers and GitHub headers, and is taken for Gogs.
    let parse: fn(&Value) -> Option<Push> = if has("x-gogs-event").is_some() || has("x-github-event").is_some() {
        github_like
    } else if has("x-gitlab-event").is_some() {
        gitlab
    } else {
        return plain(StatusCode::BAD_REQUEST, "Unknown webhook event");
    };
    let event = has("x-gogs-event")
        .or_else(|| has("x-github-event"))
        .or_else(|| has("x-gitlab-event"));
    if event.as_deref() == Some("ping") {
        return StatusCode::OK.into_response();
    }
    let Some(push) = serde_json::from_slice(&bytes).ok().as_ref().and_then(parse) else {
        return plain(StatusCode::BAD_REQUEST, "Webhook processing failed");
    };
    refresh_followers(&shared, &push);
    StatusCode::OK.into_response()
}

fn github_like(event: &Value) -> Option<Push> {
    let repository = &event["repository"];
    push(
        event["ref"].as_str()?,
        repository["html_url"].as_str()?,
        repository["default_branch"].as_str(),
        files(event),
    )
}

fn gitlab(event: &Value) -> Option<Push> {
    let project = &event["project"];
    push(
        event["ref"].as_str()?,
        project["web_url"].as_str()?,
        project["default_branch"].as_str(),
        files(event),
    )
}

fn files(event: &Value) -> Vec<String> {
    let commits = event["commits"].as_array().into_iter().flatten();
    let lists = commits.flat_map(|commit| ["added", "modified", "removed"].map(|list| commit[list].as_array()));
    let files = lists.flatten().flatten();
    files.filter_map(|file| file.as_str().map(str::to_owned)).collect()
}

fn push(reference: &str, web_url: &str, default_branch: Option<&str>, files: Vec<String>) -> Option<Push> {
    let revision = reference.splitn(3, '/').nth(2).unwrap_or(reference);
    Some(Push {
        web_url: web_url.to_owned(),
        revision: revision.to_owned(),
        touches_default: default_branch.is_some_and(|branch| branch == revision),
        files,
    })
}

/// Whether the push can change the manifests: always, unless the Application says which paths do.
fn concerns(app: &Application, push: &Push) -> bool {
    let paths = app
        .metadata
        .annotations
        .get(GENERATE_PATHS)
        .filter(|paths| !paths.is_empty());
    let sources = app.spec.effective_sources();
    paths.is_none_or(|paths| {
        push.files.is_empty() || sources.iter().any(|source| touches(paths, &source.path, &push.files))
    })
}

fn refresh_followers(shared: &Shared, push: &Push) {
    let pushed = normal(&push.web_url);
    let follows = |source: &Source| {
        let wanted = source
            .target_revision
            .trim_start_matches("refs/heads/")
            .trim_start_matches("refs/tags/");
        let head = wanted.is_empty() || wanted == "HEAD";
        normal(&source.repo_url) == pushed
            && if head {
                push.touches_default
            } else {
                wanted == push.revision
            }
    };
    let keys: Vec<AppKey> = {
        let world = shared.world();
        let followers = world.apps.iter().filter(|(_, record)| {
            record.app.spec.effective_sources().iter().any(follows) && concerns(&record.app, push)
        });
        followers.map(|(key, _)| key.clone()).collect()
    };
    for key in keys {
        shared.write(&key, |record| {
            record
                .app
                .metadata
                .annotations
                .insert(REFRESH.to_owned(), "normal".to_owned());
            record.queues.request_refresh(Level::Force);
        });
    }
}

/// Host and path of a repository address: scheme, user, port, `.git` and the form of SSH do not matter.
fn normal(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.trim_end_matches('/').trim_end_matches(".git");
    let (host, path) = match rest.find(['/', ':']) {
        Some(0) | None => ("", rest),
        Some(at) => (&rest[..at], &rest[at + 1..]),
    };
    // What follows a colon is a port when it is a number, and the path of an SSH address otherwise.
    let path = match path.split_once('/') {
        Some((port, path)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && rest.contains(':') => {
            path
        }
        _ => path,
    };
    format!(
        "{}/{}",
        host.to_lowercase(),
        path.trim_start_matches('/').to_lowercase()
    )
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn addresses_of_one_repository_are_equal() {
        let web = normal("https://git.example.com/acme/deploy");
        for url in [
            "https://user@git.example.com/Acme/deploy.git",
            "git@git.example.com:acme/deploy.git",
            "ssh://git@git.example.com:22/acme/deploy.git",
            "http://git.example.com:3000/acme/deploy/",
        ] {
            assert_eq!(normal(url), web, "{url}");
        }
        assert_eq!(normal("file:///srv/deploy.git"), normal("/srv/deploy"));
        assert_ne!(normal("https://other.example.com/acme/deploy"), web);
    }
}
