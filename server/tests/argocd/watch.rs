//! The stream: what it replays, and every way in which it ends.

use crate::harness::{APP, Bench, PATIENCE, Setup, digest};
use argocd_standin::{AppSpec, Fault, Timing};
use futures::{StreamExt, stream::BoxStream};
use server::{
    adapters::argocd::Timeouts,
    ports::argocd::{ArgoCd, ArgoCdError, WatchEvent},
};
use std::time::{Duration, Instant};

type Events = BoxStream<'static, Result<WatchEvent, ArgoCdError>>;

/// The next item; `None` at the end.
async fn item(events: &mut Events) -> Option<Result<WatchEvent, ArgoCdError>> {
    tokio::time::timeout(PATIENCE, events.next())
        .await
        .expect("the stream says something")
}

/// Reads on until an event fits.
async fn find(events: &mut Events, fits: impl Fn(&WatchEvent) -> bool) -> WatchEvent {
    loop {
        let event = item(events).await.expect("the stream goes on").unwrap();
        if fits(&event) {
            return event;
        }
    }
}

#[tokio::test]
async fn it_replays_what_is_and_follows_what_changes() {
    let bench = Bench::start(Setup {
        automated: true,
        ..Setup::default()
    })
    .await;
    bench
        .standin
        .upsert_app(AppSpec::new("shop-other", "shop", "/nowhere", "values.yaml"));
    bench
        .standin
        .upsert_app(AppSpec::new("secret", "elsewhere", "/nowhere", "values.yaml"));
    let mut events = bench.client.watch(&bench.access);
    assert_eq!(item(&mut events).await.unwrap().unwrap(), WatchEvent::Begun);
    let mut names = Vec::new();
    while names.len() < 2 {
        let WatchEvent::Changed(app) = item(&mut events).await.unwrap().unwrap() else {
            panic!("deleted")
        };
        assert_ne!(app.name, "secret");
        if !names.contains(&app.name) {
            names.push(app.name);
        }
    }
    bench.push(&digest('b'));
    find(&mut events, |event| {
        matches!(event, WatchEvent::Changed(app) if app.name == APP
            && app.images.iter().all(|image| image.ends_with(digest('b').as_str())) && !app.images.is_empty())
    })
    .await;
    assert!(bench.standin.remove_app("shop-other"));
    find(
        &mut events,
        |event| matches!(event, WatchEvent::Deleted(app) if app.name == "shop-other" && app.version.is_some()),
    )
    .await;
}

#[tokio::test]
async fn a_clean_end_ends_it_and_a_break_is_an_error() {
    for abrupt in [false, true] {
        let bench = Bench::start(Setup::default()).await;
        let mut events = bench.client.watch(&bench.access);
        item(&mut events).await.unwrap().unwrap();
        bench.standin.inject(None, Fault::CutStreams { abrupt }).unwrap();
        let last = loop {
            match item(&mut events).await {
                Some(Ok(_)) => {}
                other => break other,
            }
        };
        match last {
            None => assert!(!abrupt),
            Some(Err(error)) => {
                assert!(abrupt && error.is_passing(), "{error}");
                assert!(item(&mut events).await.is_none(), "nothing comes after an error");
            }
            Some(Ok(_)) => unreachable!(),
        }
        // It can be opened again.
        item(&mut bench.client.watch(&bench.access)).await.unwrap().unwrap();
    }
}

fn impatient(keepalive: Duration) -> Setup {
    Setup {
        timing: Timing {
            keepalive,
            poll: Duration::from_secs(60),
            ..Timing::fast()
        },
        timeouts: Timeouts {
            idle: Duration::from_millis(600),
            ..Timeouts::default()
        },
        ..Setup::default()
    }
}

#[tokio::test]
async fn silence_from_the_start_and_later_is_an_error() {
    let bench = Bench::start(impatient(Duration::from_secs(60))).await;
    let mut events = bench.client.watch(&bench.access);
    item(&mut events).await.unwrap().unwrap();
    let error = loop {
        if let Err(error) = item(&mut events).await.unwrap() {
            break error;
        }
    };
    assert!(error.to_string().contains("silent"), "{error}");
    // Not even headers.
    bench.standin.inject(None, Fault::SilentStreams { on: true }).unwrap();
    let error = item(&mut bench.client.watch(&bench.access)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("silent") && error.is_passing(), "{error}");
}

#[tokio::test]
async fn signs_of_life_keep_a_quiet_stream_open() {
    let bench = Bench::start(impatient(Duration::from_millis(100))).await;
    let mut events = bench.client.watch(&bench.access);
    item(&mut events).await.unwrap().unwrap();
    let begun = Instant::now();
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(1_500), events.next()).await {
        event.expect("it stays open").unwrap();
        assert!(begun.elapsed() < PATIENCE);
    }
    let source = bench.standin.app(APP).unwrap()["spec"]["source"]["repoURL"]
        .as_str()
        .unwrap()
        .to_owned();
    bench
        .standin
        .upsert_app(AppSpec::new("shop-late", "shop", &source, "values.yaml"));
    find(
        &mut events,
        |event| matches!(event, WatchEvent::Changed(app) if app.name == "shop-late"),
    )
    .await;
}

#[tokio::test]
async fn a_refused_token_is_told_and_ends_it() {
    let bench = Bench::start(Setup::default()).await;
    bench.standin.inject(None, Fault::Unauthorized { on: true }).unwrap();
    let mut events = bench.client.watch(&bench.access);
    let error = item(&mut events).await.unwrap().unwrap_err();
    assert!(matches!(error, ArgoCdError::Unauthorized { .. }), "{error}");
    assert!(item(&mut events).await.is_none());
    let mut nowhere = bench.access.clone();
    nowhere.url = "not an address".into();
    let mut events = bench.client.watch(&nowhere);
    assert!(item(&mut events).await.unwrap().is_err());
    assert!(item(&mut events).await.is_none());
}
