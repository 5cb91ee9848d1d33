//! Repositories on the server's own disk: off unless a folder is listed, by every way that Git knows to get there.

use super::*;

const SECRET: &str = "services:\n  secret:\n    image: {repository: r.example/secret, tag: v1}\n";

/// A folder that is listed, and beside it a repository that is nobody's business.
struct Disk {
    setting: Setting,
    listed: GitMirrors,
    private: PathBuf,
}

impl Disk {
    async fn new() -> Self {
        let setting = Setting::new().await;
        let private = setting.directory.path().join("private/secret.git");
        let repo = BareRepo::init(private.clone(), "main").await.unwrap();
        let writer = repo.outsider("main").await.unwrap();
        writer.commit(&[(PATH, SECRET)], "By hand").await.unwrap();
        let listed = setting.with_local_paths();
        Self {
            setting,
            listed,
            private,
        }
    }

    fn access(&self, url: &str) -> RepositoryAccess {
        RepositoryAccess {
            tenant: String::new(),
            url: url.to_owned(),
            branch: "main".to_owned(),
            credentials: Credentials::None,
        }
    }

    fn served(&self) -> String {
        self.setting.repo.path().display().to_string()
    }
}

#[tokio::test]
async fn paths_are_off_unless_their_folder_is_listed() {
    let disk = Disk::new().await;
    let (served, private) = (disk.served(), disk.private.display().to_string());
    let off = &disk.setting.mirrors;
    for url in [served.clone(), format!("file://{served}"), private.clone()] {
        let access = disk.access(&url);
        let error = off.fetch(&access).await.unwrap_err();
        assert!(matches!(&error, GitError::LocalPath { .. }), "{url}: {error}");
        assert!(
            error.to_string().contains("git.local_paths") && !error.is_passing(),
            "{error}"
        );
        assert!(
            matches!(off.admit(&url).await, Err(GitError::LocalPath { .. })),
            "{url}"
        );
        let unprobed = off.probe(&access, &[PATH.to_owned()], "").await.unwrap_err();
        assert!(matches!(unprobed.error, GitError::LocalPath { .. }), "{url}");
        let refused = off.commit_and_push(&access, &promotion(2, "api")).await;
        assert!(matches!(refused, Err(GitError::LocalPath { .. })), "{url}: {refused:?}");
    }
    for url in [served.clone(), format!("file://{served}")] {
        assert!(disk.listed.admit(&url).await.is_ok());
        assert_eq!(
            disk.listed.fetch(&disk.access(&url)).await.unwrap(),
            disk.setting.tip().await
        );
    }
}

#[tokio::test]
async fn no_way_that_git_knows_leads_out_of_the_listed_folders() {
    let disk = Disk::new().await;
    let (served, private) = (disk.served(), disk.private.display().to_string());
    let folder = disk.setting.directory.path().join("served");
    let marker = disk.setting.directory.path().join("ran");
    std::os::unix::fs::symlink(&disk.private, folder.join("link.git")).unwrap();
    std::fs::create_dir(folder.join("work")).unwrap();
    std::fs::write(folder.join("work/.git"), format!("gitdir: {private}\n")).unwrap();
    let touch = format!("sh -c touch% {}", marker.display());
    for url in [
        private.clone(),
        format!("file://{private}"),
        format!("file://localhost{private}"),
        format!("FILE://{private}"),
        format!("file::{private}"),
        format!("{}/../../private/secret.git", served.trim_end_matches("/demo.git")),
        format!("file://{served}/%2e%2e/%2e%2e/private/secret.git"),
        format!("{}/link.git", folder.display()),
        format!("{}/link", folder.display()),
        format!("{}/work", folder.display()),
        "../private/secret.git".to_owned(),
        "private/secret.git".to_owned(),
        "~/secret.git".to_owned(),
        "~root/secret.git".to_owned(),
        String::new(),
        format!("ext::{touch}"),
        format!("ext::git-upload-pack {private}"),
        "fd::17/x".to_owned(),
        format!("--upload-pack={touch}"),
    ] {
        let access = disk.access(&url);
        let fetched = disk.listed.fetch(&access).await;
        assert!(
            matches!(fetched, Err(GitError::LocalPath { .. } | GitError::NotFound { .. })),
            "{url}: {fetched:?}"
        );
        let pushed = disk.listed.commit_and_push(&access, &promotion(2, "secret")).await;
        assert!(pushed.is_err(), "{url}: {pushed:?}");
        assert!(
            disk.listed.probe(&access, &[PATH.to_owned()], "").await.is_err(),
            "{url}"
        );
    }
    assert!(!marker.exists(), "a program ran");
    let objects = folder.join("demo.git/objects/info");
    std::fs::create_dir_all(&objects).unwrap();
    std::fs::write(objects.join("alternates"), format!("{private}/objects\n")).unwrap();
    let error = disk.listed.fetch(&disk.access(&served)).await.unwrap_err();
    assert!(error.to_string().contains("leads out of the listed folders"), "{error}");
}

/// Listed once, and then no longer: what was read before isn't read from the mirror either.
#[tokio::test]
async fn what_was_fetched_before_is_not_read_any_more() {
    let disk = Disk::new().await;
    let access = disk.access(&disk.served());
    let tip = disk.listed.fetch(&access).await.unwrap();
    let services = disk.listed.services(&access, &tip, PATH, "").await.unwrap().unwrap();
    assert_eq!(services.len(), 2);
    let off = &disk.setting.mirrors;
    let edit = promotion(2, "api").edits;
    for refused in [
        off.services(&access, &tip, PATH, "").await.err(),
        off.known_tip(&access).await.err(),
        off.show(&access, &tip).await.err(),
        off.preview(&access, &edit).await.err(),
        off.contains(&access, &tip, &tip).await.err(),
        off.last_change(&access, &tip, &tip, &place("api")).await.err(),
    ] {
        assert!(matches!(refused, Some(GitError::LocalPath { .. })), "{refused:?}");
    }
}
