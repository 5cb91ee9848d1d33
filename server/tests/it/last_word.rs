//! Who asks last has the last word, whatever is still on its way.

use crate::support::{Bench, api_alone, digest};
use contract::backend::At;
use domain::{
    id::PromotionId,
    promotion::State::{self, Committing, Succeeded},
    rights::Role,
};
use server::service::promotion;

const API: &str = "127.0.0.1:5000/myapp/api";

/// Brings a promotion there, as a worker does.
async fn becomes(bench: &Bench, id: PromotionId, states: &[State]) {
    let mut tx = bench.store.write().await.unwrap();
    let mut promotion = tx.promotion(id).await.unwrap().unwrap();
    for state in states {
        let (from, now) = (promotion.state, bench.services.now());
        promotion = promotion.become_(*state, now).unwrap();
        tx.update_promotion(&promotion, from, now).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_asked_for_again_after_something_else_was_done_is_asked_for_anew() {
    let bench = Bench::new().await;
    for letter in ["a", "b", "c"] {
        bench.registry.push(API, letter, &digest(letter));
    }
    let path = "environments/development/values.yaml";
    bench.git.declare(path, "api", API, "a", &digest("a"));
    let (admin, _) = bench.program("demo", "admin", Role::Admin).await;
    bench.apply(&admin, &api_alone(API)).await;
    let at = At {
        workspace: "demo".into(),
        project: "myapp".into(),
        environment: "development".into(),
    };
    let pin = async |letter| {
        let asked = promotion::edit_pin(&bench.services, &admin, &at, "api", &digest(letter), false).await;
        asked.unwrap()
    };

    let first = pin("b").await;
    becomes(&bench, first, &[Committing]).await;
    assert_eq!(
        pin("b").await,
        first,
        "it is on its way, and nothing was asked for since"
    );
    let second = pin("c").await;
    assert_ne!(second, first);
    becomes(&bench, second, &[Committing, Succeeded]).await;
    // The first is still on its way: its Git server could not be reached, and it is tried again later.
    let third = pin("b").await;
    assert!(third != first && third != second);
    assert_eq!(pin("b").await, third);
}
