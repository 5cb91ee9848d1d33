//! Which branch an Application follows, and which of its sources must contain the commit.

use super::*;

fn source(path: &str, revision: &str) -> AppSource {
    AppSource {
        repository: "https://git.example/deploy".into(),
        revision: revision.into(),
        path: path.into(),
        ..AppSource::default()
    }
}

#[test]
fn an_application_of_another_branch_fails_at_once_and_is_never_synced() {
    for revision in ["release", "v1.2.3", OLDER] {
        for app in [before(manual()), manual(), before(auto())] {
            let app = AppSnapshot {
                target_revision: revision.into(),
                sources: vec![source("environments/production", revision)],
                ..app
            };
            for next in [decide(&app), later(&app)] {
                let text = text(next, "failed");
                let words = format!("shop-production follows `{revision}`, but Waybill commits to `main`");
                assert!(text.contains(&words) && text.contains("targetRevision"), "{text}");
            }
        }
    }
}

#[test]
fn the_default_branch_is_waited_for_and_never_asked_for_by_name() {
    for revision in ["", "HEAD"] {
        let app = AppSnapshot {
            target_revision: revision.into(),
            sources: vec![source("environments/production", revision)],
            ..before(manual())
        };
        expect(later(&app), "refresh", "Check that the application follows the branch");
    }
    let ours = AppSnapshot {
        sources: vec![source("environments/production", "main")],
        ..before(manual())
    };
    expect(later(&ours), "sync", OURS);
    let hydrated = AppSnapshot { hydrated: true, ..ours };
    text(later(&hydrated), "refresh");
}

#[test]
fn each_source_that_reads_the_file_must_contain_the_commit() {
    let mut app = auto();
    let mut values = source("", "main");
    values.reference = "values".into();
    let mut chart = source("chart", "stable");
    chart.repository = "https://git.example/charts".into();
    chart.value_files = vec!["$values/environments/production/values.yaml".into()];
    app.sources = vec![chart, values, source("other", "release")];
    let with = |app: &AppSnapshot, revisions: [&str; 3]| {
        let mut app = app.clone();
        app.sync_revisions = revisions.map(str::to_owned).to_vec();
        app.operation.as_mut().unwrap().revisions = app.sync_revisions.clone();
        app
    };
    expect(decide(&with(&app, [OLDER, OURS, OLDER])), "live", "3f1c0d9");
    // The commit in a source that doesn't read the file is no proof.
    text(decide(&with(&app, [OURS, OLDER, OURS])), "refresh");
    // One that reads it besides must contain it, too.
    app.sources[2] = source("environments", "main");
    text(decide(&with(&app, [OLDER, OURS, OLDER])), "refresh");
    expect(decide(&with(&app, [OLDER, OURS, NEWER])), "live", "3f1c0d9");
}

#[test]
fn where_it_cannot_be_told_which_source_reads_the_file_any_will_do_and_it_is_said() {
    let mut app = auto();
    app.sources = vec![source("a", "main"), source("b", "main")];
    app.sync_revisions = vec![OLDER.into(), OURS.into()];
    app.operation.as_mut().unwrap().revisions = app.sync_revisions.clone();
    expect(decide(&app), "live", "can't be told");
}
