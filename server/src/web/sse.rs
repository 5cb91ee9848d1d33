//! Live events to open pages, as server-sent events: only what the reader may see, and only that something changed.

use super::{WebState, auth::Identity};
use crate::service::{Caller, reach};
use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use contract::changed::Changed;
use contract::error::AppError;
use domain::{
    event::{Event, Happened},
    id::{ProjectId, WorkspaceId},
};
use futures::{Stream, StreamExt, stream};
use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How long a stream may last: rights are those of its beginning.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Everything that changes in the reader's workspaces.
pub(super) async fn events(
    State(state): State<WebState>,
    Extension(Identity(caller)): Extension<Identity>,
) -> Response {
    let Some(caller) = caller else {
        return super::error::problem(&AppError::SignedOut);
    };
    let workspaces = caller.access.iter().map(|(w, _)| (w.id, w.name.to_string())).collect();
    let reader = Reader {
        receiver: state.events.subscribe(),
        caller,
        workspaces,
        behind: Vec::new(),
        projects: HashMap::new(),
        state: state.clone(),
    };
    let stop = state.stop.clone();
    // The browser connects again by itself, and its rights are looked at anew.
    let end = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LONGEST) => {}
        }
    };
    let stream = reader.stream().take_until(end);
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

struct Reader {
    state: WebState,
    receiver: Receiver<Arc<Event>>,
    caller: Caller,
    workspaces: HashMap<WorkspaceId, String>,
    /// Workspaces of which everything must be read again.
    behind: Vec<String>,
    projects: HashMap<ProjectId, String>,
}

impl Reader {
    fn stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        // The comment at once opens the stream for the browser, before anything has happened.
        let opened = stream::iter([Ok(sse::Event::default().comment("open"))]);
        opened.chain(stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        }))
    }

    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            let changed = match self.behind.pop() {
                Some(workspace) => Some(Changed {
                    workspace,
                    project: None,
                    promotion: None,
                }),
                None => match self.receiver.recv().await {
                    // Rights are looked at anew: the browser connects again, if it still may.
                    Ok(event) if self.workspaces.contains_key(&event.workspace) && self.shuts_out(&event).await => {
                        return None;
                    }
                    Ok(event) => self.changed(&event).await,
                    // It fell behind: it reads everything of its workspaces again.
                    Err(RecvError::Lagged(_)) => {
                        self.behind = self.workspaces.values().cloned().collect();
                        None
                    }
                    Err(RecvError::Closed) => return None,
                },
            };
            if let Some(event) = changed.and_then(|changed| sse::Event::default().json_data(changed).ok()) {
                return Some(event);
            }
        }
    }

    /// Whether the reader may no longer be told what they were told till now. A configuration that was applied may say otherwise of
    /// people, and mostly doesn't: it ends only the streams of those of whom it does.
    async fn shuts_out(&self, event: &Event) -> bool {
        if !matches!(event.happened, Happened::Applied { .. }) {
            return event.happened.shuts_out();
        }
        let services = &self.state.services;
        let Ok(mut tx) = services.store.read().await else {
            return true;
        };
        let now = reach::as_of(services, &mut *tx, &self.caller).await;
        now.map_or(true, |now| now != self.caller)
    }

    async fn changed(&mut self, event: &Event) -> Option<Changed> {
        let workspace = self.workspaces.get(&event.workspace)?.clone();
        let only = self.caller.scope.and_then(|scope| scope.environment);
        if only.is_some_and(|only| event.subject.environment.is_some_and(|other| other != only)) {
            return None;
        }
        let project = match event.subject.project {
            Some(id) => {
                self.caller.role_in_project(event.workspace, id)?;
                Some(self.project(id).await?)
            }
            None => None,
        };
        Some(Changed {
            workspace,
            project,
            promotion: event.subject.promotion.map(|id| id.to_string()),
        })
    }

    async fn project(&mut self, id: ProjectId) -> Option<String> {
        if let Some(name) = self.projects.get(&id) {
            return Some(name.clone());
        }
        let record = self.state.services.store.read().await.ok()?.project(id).await.ok()??;
        let name = record.project.name.to_string();
        self.projects.insert(id, name.clone());
        Some(name)
    }
}
