//! Sync windows that open and close by the clock.

use std::time::Duration;

use argocd_standin::{SyncWindow, WindowKind};
use serde_json::{Value, json};

use crate::support::{APP, Shop, answer, image, still, until};

const HOUR: Duration = Duration::from_secs(3600);

/// The hour that a window of a shop opens in: the one after the next, so that the clock has to be moved whatever it is.
fn later(shop: &Shop) -> u64 {
    let now = shop.app()["status"]["reconciledAt"].as_str().unwrap().to_owned();
    let hour: u64 = now[11..13].parse().unwrap();
    (hour + 2) % 24
}

fn window(kind: WindowKind, hour: u64) -> SyncWindow {
    SyncWindow::new(kind, &format!("0 {hour} * * *"), "1h")
}

async fn windows(shop: &Shop) -> Value {
    shop.get(&format!("{APP}/syncwindows")).await.1
}

#[tokio::test]
async fn nothing_goes_through_until_the_window_opens() {
    let shop = Shop::running(still(), false).await;
    let hour = later(&shop);
    shop.standin.set_windows("shop", vec![window(WindowKind::Allow, hour)]);
    let assigned =
        json!([{"kind": "allow", "schedule": format!("0 {hour} * * *"), "duration": "1h", "manualSync": false}]);
    assert_eq!(
        windows(&shop).await,
        json!({"assignedWindows": assigned, "canSync": false})
    );
    shop.repo.release("v2");
    let (status, error) = shop.sync(json!({})).await;
    assert_eq!(
        (status, error),
        (
            403,
            json!({"error": "cannot sync: blocked by sync window", "code": 7, "message": "cannot sync: blocked by sync window"})
        )
    );
    // Two hours on it is the hour of the window, whatever the minute.
    shop.standin.advance_clock(HOUR * 2);
    assert_eq!(
        windows(&shop).await,
        json!({"activeWindows": assigned, "assignedWindows": assigned, "canSync": true})
    );
    assert_eq!(shop.sync(json!({})).await.0, 200);
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
    shop.standin.advance_clock(HOUR);
    assert_eq!(shop.sync(json!({})).await.0, 403, "it has closed again");
}

#[tokio::test]
async fn auto_sync_waits_for_its_window_and_people_need_not() {
    let shop = Shop::running(still(), true).await;
    let hour = later(&shop);
    let deny = SyncWindow {
        manual_sync: true,
        ..window(WindowKind::Deny, hour)
    };
    shop.standin.set_windows("shop", vec![deny]);
    shop.standin.advance_clock(HOUR * 2);
    let sha = shop.repo.release("v2");
    let app = shop.refresh().await;
    assert_eq!(
        (&app["status"]["sync"]["status"], app.get("operation")),
        (&json!("OutOfSync"), None)
    );
    assert_eq!(windows(&shop).await["canSync"], true, "it is about people");
    // Even a person's sync of an earlier time goes on only when it is let through: this one is.
    assert_eq!(shop.sync(json!({})).await.0, 200);
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
    assert_eq!(shop.app()["status"]["sync"]["revision"], json!(sha));

    shop.repo.release("v3");
    assert_eq!(shop.refresh().await.get("operation"), None);
    shop.standin.advance_clock(HOUR);
    shop.refresh().await;
    until("v3", async || shop.rests_at(&image("v3")).then_some(())).await;
}

#[tokio::test]
async fn the_windows_of_a_project_are_part_of_it() {
    let mut shop = Shop::running(still(), false).await;
    let list = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["other-*"]}]);
    shop.as_subject("admin").await;
    let project = json!({"project": {"metadata": {"name": "shop"}, "spec": {"syncWindows": list}}, "upsert": true});
    assert_eq!(
        shop.send(reqwest::Method::POST, "/api/v1/projects", project).await.0,
        200
    );
    let shown = shop.get("/api/v1/projects/shop").await.1;
    assert_eq!(shown["spec"]["syncWindows"], list);
    assert_eq!(
        windows(&shop).await,
        json!({"canSync": true}),
        "it is about other applications"
    );
    let clock = format!("{}/standin/clock", shop.standin.url());
    assert_eq!(
        answer(shop.http.post(clock).json(&json!({"advance": 3600}))).await.0,
        200
    );
}
