//! Where pages are drawn: on threads of their own, everything of one page on one thread.
//!
//! Leptos draws a page as many small tasks that tell each other when they are ready, and its issues 4673 and 4851 tell of
//! such words lost between threads. On one thread nothing comes in between, and the drawing of large pages does not delay
//! promotions.

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use leptos::prelude::Owner;
use std::{
    future::{Future, poll_fn},
    num::NonZero,
    pin::pin,
    sync::{Arc, OnceLock},
    thread::available_parallelism,
    time::Duration,
};
use tokio_util::task::LocalPoolHandle;

/// How long a page may take. A posted form may fetch from Git and ask registries on the way, which end by themselves sooner.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDrawn {
    /// It took too long.
    #[error("a page was not drawn within {} s", PATIENCE.as_secs())]
    TooLong,
    /// It panicked.
    #[error("drawing a page panicked")]
    Panicked,
}

/// The threads that draw.
#[derive(Clone, Debug)]
pub struct Drawing {
    threads: LocalPoolHandle,
}

impl Default for Drawing {
    /// As many threads as there are processors.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self {
            threads: LocalPoolHandle::new(processors),
        }
    }
}

impl Drawing {
    /// Draws a page to its last byte. `draw` is called on the thread that draws, and must fill the cell with its page's owner
    /// as soon as there is one.
    ///
    /// # Errors
    /// When it panics, or takes longer than anybody waits.
    pub(super) async fn draw<D, F>(&self, draw: D) -> Result<Response, NotDrawn>
    where
        D: FnOnce(Arc<OnceLock<Owner>>) -> F + Send + 'static,
        F: Future<Output = Response> + 'static,
    {
        let drawing = self.threads.spawn_pinned(move || async move {
            let owner = Arc::new(OnceLock::new());
            let page = draw(Arc::clone(&owner));
            below(&owner, async {
                let (parts, body) = page.await.into_parts();
                // The last byte is where the page's own state ends, too.
                let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
                Response::from_parts(parts, Body::from(bytes))
            })
            .await
        });
        let abort = drawing.abort_handle();
        match tokio::time::timeout(PATIENCE, drawing).await {
            Ok(drawn) => drawn.map_err(|_| NotDrawn::Panicked),
            Err(_) => {
                abort.abort();
                Err(NotDrawn::TooLong)
            }
        }
    }
}

/// Draws a page below its own owner. Leptos keeps the owner in a variable of the thread, and sets it for parts of the drawing
/// only: between them it would find that of another page which the thread worked on meanwhile.
async fn below<F: Future>(owner: &OnceLock<Owner>, drawing: F) -> F::Output {
    let mut drawing = pin!(drawing);
    poll_fn(|context| match owner.get() {
        Some(owner) => owner.with(|| drawing.as_mut().poll(context)),
        // Known from the first poll on: the page's context is given in it.
        None => drawing.as_mut().poll(context),
    })
    .await
}
