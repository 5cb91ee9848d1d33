//! Bodies on their way: of requests, which must go on arriving, and of answers, which must go on being taken.

use super::life::Answering;
use crate::{
    config::Limits,
    telemetry::{self, Closed},
};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Why a body ends in the middle.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// It stopped arriving.
    #[error("the body stopped arriving")]
    Stalled,
}

/// Whether a request's body stopped arriving.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalled(Arc<AtomicBool>);

/// The body of a request. It fails when nothing of it comes for too long, or all of it takes too long.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Incoming,
    patience: Duration,
    end: Instant,
    wait: Option<Pin<Box<Sleep>>>,
    stalled: Stalled,
}

impl Arriving {
    pub(super) fn new(body: Incoming, limits: &Limits) -> Self {
        Self {
            body,
            patience: limits.body,
            end: Instant::now() + limits.whole_body,
            wait: None,
            stalled: Stalled::default(),
        }
    }

    pub(super) fn stalled(&self) -> Stalled {
        self.stalled.clone()
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        if this.stalled.0.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.wait = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        let (patience, end) = (this.patience, this.end);
        let wait = this
            .wait
            .get_or_insert_with(|| Box::pin(sleep_until(end.min(Instant::now() + patience))));
        ready!(wait.as_mut().poll(cx));
        this.stalled.0.store(true, Ordering::Relaxed);
        telemetry::connection_closed(Closed::Body);
        Poll::Ready(Some(Err(BodyError::Stalled)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Says of a body that stopped arriving that it did, whatever became of the request without it.
pub(in crate::web) async fn say_stalled(request: Request, next: Next) -> Response {
    let stalled = request.extensions().get::<Stalled>().cloned();
    let answer = next.run(request).await;
    match stalled {
        Some(stalled) if stalled.0.load(Ordering::Relaxed) => {
            let text = "The body of the request stopped arriving. Send the request again.\n";
            (StatusCode::REQUEST_TIMEOUT, text).into_response()
        }
        _ => answer,
    }
}

/// Largest piece of an answer that is given away at once: as long as there is another, it is known whether the reader reads.
const PIECE: usize = 64 * 1024;

/// The body of an answer; its request is under way as long as this.
#[derive(Debug)]
pub(super) struct Leaving {
    body: Body,
    rest: Bytes,
    answering: Answering,
}

impl Leaving {
    pub(super) fn new(body: Body, answering: Answering) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            answering,
        }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        this.answering.is_asked();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.answering.gave();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
