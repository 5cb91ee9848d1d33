//! What `/api/events` tells whom: the table of streams, with the letters of [`super::table`].

use super::{
    WHO,
    doors::{Door, send},
    letters,
    place::Place,
};
use crate::support::world::PATIENCE;
use axum::{body::BodyDataStream, http::StatusCode};
use domain::{
    event::{Happened, Subject},
    promotion::Actor,
};
use futures::StreamExt as _;
use server::{store::NewEvent, web::router::router};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Who is told (`-` those who are, `h` those who aren't) of what happens in which project and environment.
#[rustfmt::skip]
const TOLD: &[(&str, &str, &str)] = &[
    // ?ovdaABP ovdaAg <>0
    ("sh----hh h----- --h", "myapp", "development"),
    ("sh----h- h----- --h", "myapp", "production"),
    ("sh----hh h----- --h", "myapp", "closed"),
    ("sh----h- h----- --h", "myapp", ""),
    ("sh-----h h----- ---", "blog", "development"),
];

/// Lets something happen there, and then something in each workspace as a whole.
async fn happens(place: &Place, project: &str, environment: &str) {
    let mut tx = place.bench.store.write().await.unwrap();
    let workspaces = tx.workspaces().await.unwrap();
    let mut subjects = Vec::new();
    for workspace in &workspaces {
        for record in tx.projects(workspace.id).await.unwrap() {
            let found = tx.environments(record.project.id).await.unwrap();
            let found = found.into_iter().find(|e| e.name.as_str() == environment);
            if record.project.name.as_str() == project {
                let subject = Subject {
                    project: Some(record.project.id),
                    environment: found.map(|e| e.id),
                    ..Subject::default()
                };
                subjects.push((workspace.id, subject));
            }
        }
    }
    assert_eq!(subjects.len(), 1, "{project}");
    subjects.extend(workspaces.iter().map(|workspace| (workspace.id, Subject::default())));
    for (workspace, subject) in subjects {
        let event = NewEvent {
            workspace,
            subject,
            actor: Actor::Waybill,
            happened: Happened::LiveForgotten,
        };
        tx.append_event(&event, place.bench.services.now()).await.unwrap();
    }
    tx.commit().await.unwrap();
    place.bench.services.wrote();
}

/// Whether a stream tells of a project before it tells of the workspace as a whole.
async fn tells(stream: &mut BodyDataStream) -> bool {
    let mut tells = false;
    loop {
        let chunk = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
        let chunk = chunk.unwrap().unwrap();
        let text = String::from_utf8_lossy(&chunk).into_owned();
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let changed: contract::changed::Changed = serde_json::from_str(data).unwrap();
            if changed.project.is_none() {
                return tells;
            }
            tells = true;
        }
    }
}

#[tokio::test]
async fn streams_tell_what_their_readers_may_see() {
    let place = Place::new().await;
    let state = crate::rest::state(&place.bench);
    let stop = CancellationToken::new();
    let tail = state.events.clone().tail(state.services.clone(), stop.clone());
    let mut ledger = state.events.ledger();
    tokio::spawn(tail);
    // The tail begins where the ledger ends when it comes to look: it must have come before anything is to be told.
    loop {
        happens(&place, "blog", "development").await;
        let newest = place.bench.store.read().await.unwrap().newest_event().await.unwrap();
        let heard = ledger.wait_for(|at| *at >= newest);
        if tokio::time::timeout(Duration::from_millis(100), heard).await.is_ok() {
            break;
        }
    }
    let routes = router(state);
    let mut streams = Vec::new();
    for (n, who) in place.everybody().await.iter().enumerate() {
        let request = Door::Rest("GET /api/events", "").request(&str::to_owned);
        let answer = send(&routes, request, who).await;
        let opened = answer.status() == StatusCode::OK;
        assert!(opened || answer.status() == StatusCode::UNAUTHORIZED, "{}", WHO[n]);
        streams.push(opened.then(|| answer.into_body().into_data_stream()));
    }
    let mut wrong = Vec::new();
    for (line, project, environment) in TOLD {
        happens(&place, project, environment).await;
        for (n, wanted) in letters(line).into_iter().enumerate() {
            let is = match &mut streams[n] {
                None => 's',
                Some(stream) => match tells(stream).await {
                    true => '-',
                    false => 'h',
                },
            };
            if is != wanted {
                wrong.push(format!("{project} {environment}, {}: {is} instead of {wanted}", WHO[n]));
            }
        }
    }
    stop.cancel();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
