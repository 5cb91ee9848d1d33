//! The stream of all Applications: read in either framing, in whatever pieces it arrives.
//!
//! Argo CD sends server-sent events, `data: {json}` and an empty line, with a comment line every 15 s; through some proxies
//! and from other versions it comes as one JSON object per line. A line is complete only at its line feed, so that pieces
//! may end anywhere. There is no promise that the stream goes on: the caller connects anew, and reads what it must know.

use super::{
    ArgoCdError, WatchEvent,
    answer::Asked,
    client::{Connection, describe},
    wire::{ErrorBody, StreamMessage},
};
use crate::nesting;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::Response;
use std::{collections::VecDeque, time::Duration};

/// The longest line that is kept; a line is one Application.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// The events of the stream, until it ends.
pub(super) fn events(
    connection: Result<Connection, ArgoCdError>,
    idle: Duration,
) -> BoxStream<'static, Result<WatchEvent, ArgoCdError>> {
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    let watch = Watch {
        connection,
        idle,
        response: None,
        lines: Lines::default(),
        ready: VecDeque::new(),
    };
    // After an error there is nothing more to come.
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(Some(event)) => Some((Ok(event), Some(watch))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Watch {
    connection: Connection,
    idle: Duration,
    response: Option<Response>,
    lines: Lines,
    ready: VecDeque<Vec<u8>>,
}

impl Watch {
    async fn next(&mut self) -> Result<Option<WatchEvent>, ArgoCdError> {
        let asked = self.connection.asked_of("all");
        let silent = || asked.unreachable("its stream has been silent for too long");
        loop {
            while let Some(line) = self.ready.pop_front() {
                if let Some(event) = read_line(&line, &asked)? {
                    return Ok(Some(event));
                }
            }
            let response = match &mut self.response {
                Some(response) => response,
                // Headers come with the first message or sign of life.
                None => {
                    let response = tokio::time::timeout(self.idle, self.connection.stream()).await;
                    self.response = Some(response.map_err(|_| silent())??);
                    return Ok(Some(WatchEvent::Begun));
                }
            };
            let chunk = tokio::time::timeout(self.idle, response.chunk())
                .await
                .map_err(|_| silent())?
                .map_err(|error| asked.unreachable(format!("its stream was cut: {}", describe(error))))?;
            crate::telemetry::streams::heard(asked.url);
            match chunk {
                Some(chunk) => self
                    .lines
                    .feed(&chunk, &mut self.ready)
                    .map_err(|TooLong| asked.protocol("a line of its stream is longer than 16 MiB"))?,
                None if self.lines.is_between() => return Ok(None),
                None => return Err(asked.unreachable("its stream was cut within a message")),
            }
        }
    }
}

/// What a line says; `None` for comments and what else is of no interest.
fn read_line(line: &[u8], asked: &Asked<'_>) -> Result<Option<WatchEvent>, ArgoCdError> {
    let line = line.trim_ascii();
    let json = match line.strip_prefix(b"data:") {
        Some(json) => json.trim_ascii(),
        None if line.starts_with(b"{") => line,
        // An empty line, a comment, or a field of server-sent events that Argo CD doesn't use.
        None => return Ok(None),
    };
    if json.is_empty() {
        return Ok(None);
    }
    let message: StreamMessage = match nesting::json(json) {
        Ok(message) => message,
        // One Application of an unknown shape must not hide all others.
        Err(error) if error.is_data() => {
            tracing::warn!(argocd = asked.url, %error, "an event of Argo CD's stream was not understood");
            return Ok(None);
        }
        Err(error) => return Err(asked.protocol(format!("its stream holds odd JSON: {error}"))),
    };
    match message {
        StreamMessage {
            error: Some(error),
            result: None,
        } => {
            let body = ErrorBody::read(&serde_json::json!({ "error": error }));
            Err(asked.error(0, &body.unwrap_or_default()))
        }
        StreamMessage {
            result: Some(result), ..
        } if !result.application.name().is_empty() => Ok(match result.kind.as_str() {
            "ADDED" | "MODIFIED" => Some(WatchEvent::Changed(Box::new(result.application.into_snapshot()))),
            "DELETED" => Some(WatchEvent::Deleted(Box::new(result.application.into_snapshot()))),
            _ => None,
        }),
        StreamMessage { .. } => Ok(None),
    }
}

/// Puts pieces together to lines.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

/// A line that does not end.
#[derive(Debug, PartialEq)]
struct TooLong;

impl Lines {
    /// Appends the lines that `chunk` completes to `ready`.
    fn feed(&mut self, chunk: &[u8], ready: &mut VecDeque<Vec<u8>>) -> Result<(), TooLong> {
        let mut pieces = chunk.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.begin(piece)?;
            ready.push_back(std::mem::take(&mut self.begun));
        }
        self.begin(last)
    }

    fn begin(&mut self, piece: &[u8]) -> Result<(), TooLong> {
        if self.begun.len() + piece.len() > MAX_LINE {
            return Err(TooLong);
        }
        self.begun.extend_from_slice(piece);
        Ok(())
    }

    /// Whether nothing is begun that lacks its end.
    fn is_between(&self) -> bool {
        self.begun.trim_ascii().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    /// All events of `text`, fed in pieces of `size` bytes; an error's words last.
    fn events_of(text: &[u8], size: usize) -> Vec<String> {
        let token = SecretString::from("t");
        let asked = Asked {
            url: "https://argo.example",
            app: "all",
            with_project: false,
            token: &token,
        };
        let (mut lines, mut ready) = (Lines::default(), VecDeque::new());
        for piece in text.chunks(size) {
            lines.feed(piece, &mut ready).unwrap();
        }
        let mut events = Vec::new();
        for line in ready {
            match read_line(&line, &asked) {
                Ok(Some(WatchEvent::Begun)) => events.push("begun".to_owned()),
                Ok(Some(WatchEvent::Changed(app))) => events.push(format!("{} {}", app.name, app.sync_status)),
                Ok(Some(WatchEvent::Deleted(app))) => events.push(format!("{} gone", app.name)),
                Ok(None) => {}
                Err(error) => {
                    events.push(error.to_string());
                    break;
                }
            }
        }
        events
    }

    fn message(kind: &str, name: &str) -> String {
        serde_json::json!({"result": {"type": kind, "application": {
            "metadata": {"name": name}, "spec": {}, "status": {"sync": {"status": "Synced"}}}}})
        .to_string()
    }

    #[test]
    fn both_framings_are_read_in_pieces_of_any_size() {
        let (a, b, gone) = (
            message("ADDED", "wäb"),
            message("MODIFIED", "b"),
            message("DELETED", "b"),
        );
        let sse = format!(":\ndata: {a} \n\n\n:\n\nevent: x\r\ndata:{b}\r\n\r\ndata: {gone} \n\n\n");
        let lines = format!("{a}\n{b}\n\n{gone}\n");
        for text in [sse, lines] {
            for size in [1, 2, 3, 7, 64, 100_000] {
                assert_eq!(
                    events_of(text.as_bytes(), size),
                    ["wäb Synced", "b Synced", "b gone"],
                    "{size}"
                );
            }
        }
    }

    #[test]
    fn an_unfinished_line_is_no_event() {
        let text = message("ADDED", "web");
        assert!(events_of(text.as_bytes(), 5).is_empty());
    }

    #[test]
    fn an_error_chunk_ends_the_stream_in_its_own_words() {
        let text = format!(
            "{}\n{}\n",
            message("ADDED", "web"),
            r#"{"error":{"grpc_code":16,"http_code":401,"message":"invalid session: token is expired"}}"#
        );
        let events = events_of(text.as_bytes(), 9);
        assert_eq!(events.len(), 2);
        assert!(
            events[1].contains("refused the token: invalid session: token is expired"),
            "{events:?}"
        );
    }

    #[test]
    fn odd_messages_are_passed_over_and_broken_ones_end_the_stream() {
        let odd = [
            r#"{"result":{"type":"BOOKMARK","application":{"metadata":{"name":"x"}}}}"#,
            r#"{"result":{"type":"ADDED","application":{"metadata":{"name":7}}}}"#,
            r#"{"result":null}"#,
            r#"{}"#,
            "data:",
            "retry: 3",
        ];
        let text = format!("{}\n{}\n", odd.join("\n"), message("ADDED", "web"));
        assert_eq!(events_of(text.as_bytes(), 11), ["web Synced"]);
        let broken = events_of(b"data: {\"result\":\n", 100);
        assert!(
            broken.len() == 1 && broken[0].contains("does not understand"),
            "{broken:?}"
        );
    }

    #[test]
    fn an_application_nested_too_deeply_hides_no_other() {
        for levels in [65, 127, 129, 100_000] {
            let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let deep = message("ADDED", "deep").replace("\"spec\":{}", &format!("\"spec\":{{\"a\":{nested}}}"));
            let text = format!("{deep}\n{}\n", message("ADDED", "web"));
            assert_eq!(events_of(text.as_bytes(), 10_000), ["web Synced"], "{levels}");
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let (mut lines, mut ready) = (Lines::default(), VecDeque::new());
        let piece = vec![b'x'; 1024 * 1024];
        let results: Vec<_> = (0..17).map(|_| lines.feed(&piece, &mut ready)).collect();
        assert!(results[..16].iter().all(Result::is_ok));
        assert_eq!(results[16], Err(TooLong));
    }
}
