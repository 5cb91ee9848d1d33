//! Answers that were cut off or replaced on the way: a passing fault each, and never "there is no such branch".

use super::*;
use testbed::Cut;

/// Every length of a short answer, and pages that something in between says instead.
fn cuts() -> Vec<Cut> {
    let lengths = (0..12).chain((12..420).step_by(17)).map(Cut::After);
    let pages = [
        ("text/html", "<html><body>Please sign in to the proxy</body></html>"),
        ("text/html", "<html>\n<body>\nDown for maintenance\n</body>\n</html>\n"),
        ("text/plain", ""),
        ("text/plain", "\n"),
        ("application/x-git-upload-pack-advertisement", ""),
        ("application/x-git-upload-pack-advertisement", "0000"),
        (
            "application/x-git-upload-pack-advertisement",
            "001e# service=git-upload-pack\n0000",
        ),
        ("application/x-git-upload-pack-advertisement", "<html>sign in</html>"),
        ("application/x-git-upload-pack-result", ""),
        ("application/x-git-upload-pack-result", "003f"),
    ];
    lengths.chain(pages.map(|(kind, text)| Cut::Page(kind, text))).collect()
}

#[track_caller]
fn passes(what: &str, error: &GitError) {
    assert!(error.is_passing(), "{what}: {error}");
}

#[tokio::test]
async fn a_cut_answer_does_not_take_a_known_branch_away() {
    let setting = Setting::new().await;
    let known = setting.mirrors.fetch(&setting.access).await.unwrap();
    for cut in cuts() {
        // Somebody pushed, so that there is something to fetch.
        let newest = setting.outsider_writes("README", &format!("{cut:?}")).await;
        setting.server.cut_reads(Some(cut.clone()));
        match within(setting.mirrors.fetch(&setting.access)).await {
            // Enough of it came.
            Ok(tip) => assert!(tip == newest || tip == known, "{cut:?}: {tip}"),
            Err(error) => passes(&format!("{cut:?}"), &error),
        }
        setting.server.cut_reads(None);
        assert_eq!(setting.mirrors.fetch(&setting.access).await.unwrap(), newest, "{cut:?}");
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_missing_branch_to_who_knows_none_yet() {
    let setting = Setting::new().await;
    for (n, cut) in cuts().into_iter().enumerate() {
        let fresh = GitMirrors::new(setting.directory.path().join(format!("fresh-{n}")));
        setting.server.cut_reads(Some(cut.clone()));
        if let Err(error) = within(fresh.fetch(&setting.access)).await {
            passes(&format!("{cut:?}"), &error);
        }
        if let Err(unprobed) = within(fresh.probe(&setting.access, &[], "")).await {
            passes(&format!("{cut:?}"), &unprobed.error);
        }
        // Nor is the repository an empty one, whose first commit it would be.
        if let Err(error) = within(fresh.commit_and_push(&setting.access, &promotion(2, "api"))).await {
            passes(&format!("{cut:?}"), &error);
        }
        setting.server.cut_reads(None);
    }
    let commits = setting.repo.commits("main").await.unwrap();
    assert_eq!(commits.iter().filter(|commit| commit.parents.is_empty()).count(), 1);
}

#[tokio::test]
async fn a_branch_that_a_whole_answer_leaves_out_is_named() {
    let setting = Setting::new().await;
    let mut access = setting.access.clone();
    access.branch = "release".to_owned();
    let error = setting.mirrors.fetch(&access).await.unwrap_err();
    assert!(error.to_string().starts_with("Branch release was not found"), "{error}");
    let empty = Setting::empty().await;
    let error = empty.mirrors.fetch(&empty.access).await.unwrap_err();
    assert!(matches!(&error, GitError::Empty { .. }), "{error}");
    pushed(empty.commit(&promotion(2, "api")).await);
}
