//! A body that is too large, or that nobody wants, is refused before it has all arrived. Who is still sending then would see a broken connection and not
//! the answer, so the rest is read and thrown away, up to a bound.

use axum::{body::Body, extract::Request, http::header, middleware::Next, response::Response};
use futures::{StreamExt as _, stream};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout, timeout_at},
};

/// Bodies up to here come with the head, or right behind it: nobody is still sending when the answer comes.
const SMALL: u64 = 4 * 1024;
/// Most bytes that are thrown away for one request.
const MOST: usize = 64 * 1024 * 1024;
/// Longest wait for the next of them.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for all of them: whoever sends a byte now and then is not waited for.
const LONGEST: Duration = Duration::from_secs(30);

/// Reads the rest of a large body after the handler has answered.
pub(super) async fn rest_of_body(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_none_or(|length| length <= SMALL) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let shared = Arc::new(Mutex::new(body.into_data_stream()));
    let read = stream::unfold(Arc::clone(&shared), |shared| async {
        let chunk = shared.lock().await.next().await?;
        Some((chunk, shared))
    });
    let response = next.run(Request::from_parts(parts, Body::from_stream(read))).await;
    let mut left = MOST;
    let mut rest = shared.lock().await;
    let end = Instant::now() + LONGEST;
    while let Ok(Ok(Some(Ok(chunk)))) = timeout_at(end, timeout(PATIENCE, rest.next())).await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            break;
        }
    }
    response
}
