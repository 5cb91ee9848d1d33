//! What Argo CD says, read for people: the cause out of a long message, the resources that failed, and whether it is a part of Argo CD
//! that is down rather than anything of the application's.
//!
//! The messages are those of gRPC, of Go's network library, of Argo CD's sync (gitops-engine) and of the tools that it renders with; they
//! are no promise of anybody, so what isn't known stays the application's matter and is shown as it is.

use super::{AppSnapshot, OperationSnapshot, ResourceOutcome};

/// How much of a message stays in front, and how much at its end: causes stand at the end.
const HEAD_CHARS: usize = 400;
const TAIL_CHARS: usize = 1_200;
/// How much of a message is kept to be unfolded.
const WHOLE_CHARS: usize = 8_000;
/// Resources that are named; more are counted.
const MOST_NAMED: usize = 8;

/// What is between Argo CD and a comparison, and can be down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The repository server, which reads Git and renders.
    RepoServer,
    /// It has too much to do.
    BusyRepoServer,
    /// Redis, which keeps what was rendered.
    Redis,
    /// What a source is fetched from: a Git server, a chart repository.
    Source,
    /// The cluster's API server.
    Cluster,
}

impl Part {
    /// What is the matter, a sentence without its full stop.
    #[must_use]
    pub fn trouble(self) -> &'static str {
        match self {
            Self::RepoServer => "Argo CD's repository server doesn't answer",
            Self::BusyRepoServer => "Argo CD's repository server turns requests away: it has too many",
            Self::Redis => "Argo CD's Redis doesn't answer",
            Self::Source => "Argo CD can't fetch its source: the server there doesn't answer, or limits requests",
            Self::Cluster => "The cluster's API server doesn't answer Argo CD",
        }
    }
}

/// The part that is down, if that is what a message about comparing or rendering tells. What is wrong with a chart or a manifest is none.
#[must_use]
pub fn part_down(message: &str) -> Option<Part> {
    let text = message.to_ascii_lowercase();
    let says = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    let is_passing = says(&[
        "code = unavailable",
        "code = resourceexhausted",
        "code = deadlineexceeded",
        "code = canceled",
        "connection refused",
        "connection reset by peer",
        "i/o timeout",
        "tls handshake timeout",
        "context deadline exceeded",
        "client.timeout exceeded",
        "no such host",
        "server misbehaving",
        "temporary failure in name resolution",
        "could not resolve host",
        "no route to host",
        "transport is closing",
        "unexpected eof",
        "too many requests",
        "error: 429",
        "status code: 429",
        "502 bad gateway",
        "503 service unavailable",
        "504 gateway time",
        "server is currently unable to handle the request",
        "etcdserver:",
    ]);
    if !is_passing {
        return None;
    }
    if says(&["redis"]) {
        return Some(Part::Redis);
    }
    // What a tool or Git met on its way is told with the name of the tool, or of what is fetched.
    let on_its_way = [
        "failed exit status",
        "ls-remote",
        "list refs",
        "git fetch",
        "failed to fetch",
        "repository not accessible",
        "helm pull",
        "dependency",
        "https://",
        "http://",
        "ssh:",
        "dial tcp: lookup",
        "could not resolve host",
        "requested url returned error",
    ];
    if says(&on_its_way) {
        return Some(Part::Source);
    }
    if says(&["code = resourceexhausted", "too many requests"]) {
        return Some(Part::BusyRepoServer);
    }
    if says(&[
        "etcdserver:",
        "server is currently unable",
        "live state",
        "failed to get cluster",
        "api resources",
    ]) {
        return Some(Part::Cluster);
    }
    Some(Part::RepoServer)
}

/// The part of Argo CD because of which an operation failed, if one: it never got as far as the manifests.
#[must_use]
pub fn operation_part_down(operation: &OperationSnapshot) -> Option<Part> {
    let text = operation.message.as_str();
    let before_applying = [
        "ComparisonError",
        "Failed to load target state",
        "failed to generate manifest",
        "rpc error",
    ];
    let is_before = before_applying.iter().any(|mark| text.contains(mark)) && !text.contains("failed to apply");
    is_before.then(|| part_down(text)).flatten()
}

/// What a message comes down to: without the names of those who passed it on, and never cut where the cause stands.
#[must_use]
pub fn cause(message: &str) -> String {
    let mut text = message.trim();
    // `helm template . --name-template … failed exit status 1: Error: …`: the command is longer than most causes.
    if let Some((_, after)) = text.rsplit_once("failed exit status ") {
        text = after.split_once(": ").map_or(after, |(_, cause)| cause);
    }
    for mark in [
        "one or more objects failed to apply, reason: ",
        "one or more synchronization tasks completed unsuccessfully, reason: ",
        "Manifest generation error (cached): ",
        "desc = ",
    ] {
        if let Some((_, after)) = text.rsplit_once(mark)
            && !after.trim().is_empty()
        {
            text = after;
        }
    }
    clip(text.trim().trim_start_matches("Error: "))
}

/// A foreign message, without its middle where it is too long.
#[must_use]
pub fn clip(message: &str) -> String {
    without_middle(message.trim(), HEAD_CHARS, TAIL_CHARS)
}

fn without_middle(text: &str, head: usize, tail: usize) -> String {
    let length = text.chars().count();
    if length <= head + tail {
        return text.to_owned();
    }
    let (first, last): (String, String) = (
        text.chars().take(head).collect(),
        text.chars().skip(length - tail).collect(),
    );
    format!("{first} … {last}")
}

/// The resources that failed in an operation, each with kind, name and what was said of it; hooks first, since the rest waits for them.
#[must_use]
pub fn failing(operation: &OperationSnapshot) -> Vec<String> {
    let mut failed: Vec<&ResourceOutcome> = operation.resources.iter().filter(|r| r.has_failed()).collect();
    failed.sort_by_key(|resource| resource.hook.is_empty());
    let mut named: Vec<String> = failed.iter().take(MOST_NAMED).map(|one| words(one)).collect();
    let more = failed.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named
}

/// `Job shop/migrate (PreSync hook): Job has reached the specified backoff limit`.
fn words(resource: &ResourceOutcome) -> String {
    let namespace = match resource.namespace.as_str() {
        "" => String::new(),
        namespace => format!("{namespace}/"),
    };
    let hook = match resource.hook.as_str() {
        "" => String::new(),
        hook => format!(" ({hook} hook)"),
    };
    let what = match (resource.message.trim(), resource.phase.as_str()) {
        ("", "") => resource.status.clone(),
        ("", phase) => phase.to_owned(),
        (message, _) => clip(message),
    };
    format!("{} {namespace}{}{hook}: {what}", resource.kind, resource.name)
}

/// All that Argo CD said about a failure, to be unfolded: each resource that failed, the operation's message, and conditions.
#[must_use]
pub fn whole(app: &AppSnapshot) -> Vec<String> {
    let operation = app.operation.as_ref();
    let mut said: Vec<String> = operation.map(failing).unwrap_or_default();
    let messages = operation
        .map(|operation| operation.message.as_str())
        .into_iter()
        .chain(app.conditions.iter().map(|(_, message)| message.as_str()));
    for message in messages.map(str::trim) {
        if !message.is_empty() && !said.iter().any(|known| known.contains(message)) {
            said.push(without_middle(message, WHOLE_CHARS / 4, WHOLE_CHARS - WHOLE_CHARS / 4));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_argo_cd_are_told_from_charts() {
        for (message, part) in [
            (
                "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unavailable desc = connection \
                 error: desc = \"transport: Error while dialing: dial tcp 10.96.11.3:8081: connect: connection refused\"",
                Some(Part::RepoServer),
            ),
            (
                "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = ResourceExhausted desc = too \
                 many concurrent manifest generation requests",
                Some(Part::BusyRepoServer),
            ),
            (
                "failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = failed to list refs: Get \
                 \"https://git.example.com/deploy.git/info/refs\": dial tcp: lookup git.example.com: no such host",
                Some(Part::Source),
            ),
            (
                "rpc error: code = Unknown desc = `git fetch origin --tags` failed exit status 128: fatal: unable to access: The requested \
                 URL returned error: 429",
                Some(Part::Source),
            ),
            (
                "dial tcp 10.96.0.9:6379: connect: connection refused (redis)",
                Some(Part::Redis),
            ),
            (
                "rpc error: code = Unknown desc = Manifest generation error (cached): `helm template .` failed exit status 1: Error: \
                 execution error at (chart/templates/deployment.yaml:3:4): image.digest is required",
                None,
            ),
            (
                "rpc error: code = Unknown desc = chart/values.yaml: no such file or directory",
                None,
            ),
            ("app path does not exist", None),
            ("", None),
        ] {
            assert_eq!(part_down(message), part, "{message}");
        }
    }

    #[test]
    fn an_apply_that_the_cluster_refused_is_no_part_of_argo_cd() {
        let operation = |message: &str| OperationSnapshot {
            phase: "Failed".into(),
            message: message.into(),
            ..OperationSnapshot::default()
        };
        let webhook = "one or more objects failed to apply, reason: Internal error occurred: failed calling webhook \"x\": connection refused";
        assert_eq!(operation_part_down(&operation(webhook)), None);
        let comparison = "ComparisonError: Failed to load target state: rpc error: code = Unavailable desc = error reading from server: EOF";
        assert_eq!(operation_part_down(&operation(comparison)), Some(Part::RepoServer));
    }

    #[test]
    fn a_cause_comes_first_and_is_not_cut_off() {
        let arguments = "--set a=b ".repeat(400);
        let message = format!(
            "Failed to load target state: rpc error: code = Unknown desc = Manifest generation error (cached): `helm template . {arguments}` \
             failed exit status 1: Error: execution error at (chart/templates/deployment.yaml:3:4): image.digest is required"
        );
        let cause = cause(&message);
        assert_eq!(
            cause,
            "execution error at (chart/templates/deployment.yaml:3:4): image.digest is required"
        );
        let apply = "one or more objects failed to apply, reason: Deployment.apps \"api\" is invalid: spec.replicas: must be positive";
        assert_eq!(
            super::cause(apply),
            "Deployment.apps \"api\" is invalid: spec.replicas: must be positive"
        );
        let long = format!("{}the cause", "x".repeat(10_000));
        let clipped = clip(&long);
        assert!(clipped.ends_with("the cause") && clipped.chars().count() < 2_000);
        assert_eq!(super::cause(""), "");
    }

    #[test]
    fn what_failed_is_named_with_hooks_first() {
        let outcome = |kind: &str, name: &str, hook: &str, phase: &str, status: &str, message: &str| ResourceOutcome {
            kind: kind.into(),
            namespace: "shop".into(),
            name: name.into(),
            status: status.into(),
            hook: hook.into(),
            phase: phase.into(),
            message: message.into(),
        };
        let operation = OperationSnapshot {
            resources: vec![
                outcome("Service", "web", "", "Running", "Synced", "service/web unchanged"),
                outcome(
                    "Deployment",
                    "web",
                    "",
                    "Failed",
                    "SyncFailed",
                    "spec.replicas: must be positive",
                ),
                outcome(
                    "Job",
                    "migrate",
                    "PreSync",
                    "Failed",
                    "",
                    "Job has reached the specified backoff limit",
                ),
            ],
            ..OperationSnapshot::default()
        };
        assert_eq!(
            failing(&operation),
            [
                "Job shop/migrate (PreSync hook): Job has reached the specified backoff limit",
                "Deployment shop/web: spec.replicas: must be positive",
            ]
        );
    }

    #[test]
    fn each_part_has_words_of_its_own() {
        let all = [
            Part::RepoServer,
            Part::BusyRepoServer,
            Part::Redis,
            Part::Source,
            Part::Cluster,
        ];
        for part in all {
            assert!(part.trouble().contains("answer") || part.trouble().contains("turns requests away"));
            assert_eq!(
                all.iter().filter(|other| other.trouble() == part.trouble()).count(),
                1,
                "{part:?}"
            );
        }
        // A word that tools use for what comes before an apply, in what the cluster said of one.
        let refused = OperationSnapshot {
            message: "one or more objects failed to apply, reason: rpc error: code = Unavailable desc = etcdserver: leader changed".into(),
            ..OperationSnapshot::default()
        };
        assert_eq!(operation_part_down(&refused), None);
    }

    #[test]
    fn all_that_was_said_is_unfolded_once() {
        let failed = ResourceOutcome {
            kind: "Deployment".into(),
            name: "api".into(),
            status: "SyncFailed".into(),
            message: "spec.replicas: must be positive".into(),
            ..ResourceOutcome::default()
        };
        let mut app = AppSnapshot {
            operation: Some(OperationSnapshot {
                message: "one task failed".into(),
                resources: vec![failed.clone()],
                ..OperationSnapshot::default()
            }),
            conditions: vec![
                ("SyncError".into(), " one task failed ".into()),
                ("ComparisonError".into(), String::new()),
                ("OrphanedResourceWarning".into(), "2 orphaned resources".into()),
            ],
            ..AppSnapshot::default()
        };
        let api = "Deployment api: spec.replicas: must be positive";
        assert_eq!(whole(&app), [api, "one task failed", "2 orphaned resources"]);
        // A long one keeps its beginning and, of its end, three times as much.
        let long = format!("begin{}end", "x".repeat(WHOLE_CHARS));
        app.operation = None;
        app.conditions = vec![("SyncError".into(), long)];
        let said = whole(&app).remove(0);
        let (first, last) = said.split_once(" … ").unwrap();
        assert!(first.starts_with("begin") && last.ends_with("end"));
        assert_eq!(
            (first.chars().count(), last.chars().count()),
            (WHOLE_CHARS / 4, WHOLE_CHARS - WHOLE_CHARS / 4)
        );
        // Of many only some are named, and it is said how many more there are.
        let many = OperationSnapshot {
            resources: vec![failed; MOST_NAMED + 2],
            ..OperationSnapshot::default()
        };
        assert_eq!(failing(&many).last().map(String::as_str), Some("and 2 more"));
        assert_eq!(failing(&many).len(), MOST_NAMED + 1);
    }
}
