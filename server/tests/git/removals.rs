//! Commits that remove services from a values file.

use super::*;
use domain::id::GitRemovalId;
use server::ports::git::BlockRemoval;

fn removal(services: &[&str]) -> BlockRemoval {
    BlockRemoval {
        id: GitRemovalId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000)),
        path: PATH.to_owned(),
        prefix: String::new(),
        services: services.iter().map(|s| (*s).to_owned()).collect(),
        subject: format!("remove(production): {}", services.join(", ")),
        author: Signature {
            name: "Ada".to_owned(),
            email: "ada@example.com".to_owned(),
        },
        committer: Signature {
            name: "Waybill".to_owned(),
            email: "waybill@waybill.invalid".to_owned(),
        },
        at: AT,
    }
}

#[tokio::test]
async fn one_commit_takes_the_lines_of_a_service_and_is_found_again() {
    let setting = Setting::new().await;
    let before = setting.tip().await;
    let remove = async |removal: &BlockRemoval| setting.mirrors.remove_blocks(&setting.access, removal).await;
    let (commit, attempts) = pushed(remove(&removal(&["api", "absent"])).await);
    assert_eq!((attempts, setting.tip().await), (1, commit.clone()));
    assert_eq!(
        setting.file().await,
        "# production\nservices:\n  web:\n    image: {repository: r.example/web, tag: v1}\n"
    );
    let made = setting.repo.commits("main").await.unwrap().remove(0);
    assert_eq!(made.parents.join(" "), before);
    assert_eq!(made.subject, "remove(production): api, absent");
    assert_eq!(made.author, "Ada <ada@example.com>");
    assert_eq!(made.body.trim(), format!("Waybill-Removal: {}", removal(&[]).id));

    // A try that was cut off is made again: its commit is there. Another's removal finds nothing to do.
    assert_eq!(
        remove(&removal(&["api"])).await.unwrap(),
        Committed::Found {
            commit: commit.clone(),
            stands: true
        }
    );
    let mut other = removal(&["api"]);
    other.id = GitRemovalId(Uuid::from_u128(7));
    assert_eq!(
        remove(&other).await.unwrap(),
        Committed::Unchanged { tip: commit.clone() }
    );
    other.path = "environments/nowhere/values.yaml".to_owned();
    assert_eq!(remove(&other).await.unwrap(), Committed::Unchanged { tip: commit });
    // Promotions go on on top of it, and it is nobody else's change.
    pushed(setting.commit(&promotion(2, "web")).await);
    let tip = setting.tip().await;
    let change = setting
        .mirrors
        .last_change(&setting.access, &before, &tip, &place("web"))
        .await
        .unwrap();
    assert_eq!(change, None);
}

#[tokio::test]
async fn it_is_made_on_what_others_pushed() {
    let setting = Setting::new().await;
    setting.mirrors.fetch(&setting.access).await.unwrap();
    let theirs = VALUES.replace("tag: v1}", "tag: v9}");
    setting.outsider_writes(PATH, &theirs).await;
    pushed(setting.mirrors.remove_blocks(&setting.access, &removal(&["api"])).await);
    assert_eq!(
        setting.file().await,
        "# production\nservices:\n  web:\n    image: {repository: r.example/web, tag: v9}\n"
    );
}

#[tokio::test]
async fn what_cannot_be_removed_safely_is_said_and_left() {
    let setting = Setting::new().await;
    let file = "services:\n  api: &api\n    image: {tag: v1}\n  web: *api\n";
    let tip = setting.outsider_writes(PATH, file).await;
    let error = setting
        .mirrors
        .remove_blocks(&setting.access, &removal(&["api"]))
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::Values { .. }), "{error:?}");
    assert!(!error.is_passing());
    assert_eq!(setting.tip().await, tip);
}
