//! Log lines of a pod: a stream of one JSON object per line, which ends with one that says so. Only the newest are kept, and only so much of them.

use super::{answer::Asked, wire::or_default, workloads::clip};
use crate::nesting;
use domain::plan::LogLine;
use serde::Deserialize;
use std::collections::VecDeque;

/// Lines that are asked for.
pub(super) const MOST_LINES: usize = 50;
/// Bytes of text that are kept.
const MOST_TEXT: usize = 16 * 1024;
/// A longer line is left out.
const LONGEST_LINE: usize = 1024 * 1024;

#[derive(Deserialize, Default)]
#[serde(default)]
struct LogEvent {
    #[serde(deserialize_with = "or_default")]
    result: Entry,
    #[serde(deserialize_with = "or_default")]
    error: LogError,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    #[serde(deserialize_with = "or_default")]
    content: String,
    #[serde(deserialize_with = "or_default")]
    last: bool,
    #[serde(deserialize_with = "or_default")]
    time_stamp_str: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LogError {
    #[serde(deserialize_with = "or_default")]
    message: String,
}

/// What Argo CD says itself stands in a line at no time: that a container waits, that there are several of them.
const NO_TIME: &str = "0001-01-01T";

/// The newest lines of an answer, as it comes in.
#[derive(Default)]
pub(super) struct Tail {
    /// What is not a whole line yet.
    rest: Vec<u8>,
    /// Whether the beginning of that line was dropped: it is too long to be one.
    is_cut: bool,
    lines: VecDeque<LogLine>,
    refused: Option<String>,
    has_ended: bool,
}

impl Tail {
    /// Whether nothing more is to be read.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether there is anything to show.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes in a piece of the answer.
    pub(super) fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.len() + part.len() > LONGEST_LINE {
                (self.rest, self.is_cut) = (Vec::new(), true);
            }
            if !self.is_cut {
                self.rest.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                let (line, is_cut) = (std::mem::take(&mut self.rest), std::mem::take(&mut self.is_cut));
                if !is_cut && !self.has_ended {
                    self.line(&line);
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        let Ok(said) = nesting::json::<LogEvent>(line) else {
            return;
        };
        if !said.error.message.is_empty() {
            (self.refused, self.has_ended) = (Some(said.error.message), true);
        } else if said.result.last {
            self.has_ended = true;
        } else if said.result.time_stamp_str.starts_with(NO_TIME) {
            self.refused = Some(said.result.content);
        } else {
            if self.lines.len() >= MOST_LINES {
                self.lines.pop_front();
            }
            let mut text = without_controls(&said.result.content);
            cut(&mut text, MOST_TEXT);
            self.lines.push_back(LogLine {
                at: said.result.time_stamp_str,
                text,
            });
        }
    }

    /// The lines, oldest first.
    ///
    /// # Errors
    /// What Argo CD says went wrong, when there is no line.
    pub(super) fn lines(self, asked: &Asked<'_>) -> Result<Vec<LogLine>, super::ArgoCdError> {
        if let Some(why) = self.refused.filter(|_| self.lines.is_empty()) {
            return Err(asked.refused(clip(&why)));
        }
        let mut room = MOST_TEXT;
        let mut kept: Vec<LogLine> = Vec::new();
        for mut line in self.lines.into_iter().rev() {
            cut(&mut line.text, room);
            room -= line.text.len();
            kept.push(line);
            if room == 0 {
                break;
            }
        }
        kept.reverse();
        Ok(kept)
    }
}

/// Its first bytes, at most `most`, and no half character.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
    }
}

/// Without what would steer a terminal.
fn without_controls(text: &str) -> String {
    text.chars().filter(|c| *c == '\t' || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(lines: &[&str]) -> Vec<u8> {
        let entry = |line: &&str| json!({ "result": { "content": line, "timeStampStr": "2026-09-01T12:00:00Z", "podName": "api-1" } });
        let mut body: String = lines.iter().map(|line| format!("{}\n", entry(line))).collect();
        body += "{\"result\":{\"content\":\"\",\"last\":true}}\n{\"result\":{\"content\":\"after the end\"}}\n";
        body.into_bytes()
    }

    fn read(body: &[u8]) -> Result<Vec<LogLine>, crate::ports::argocd::ArgoCdError> {
        let token = secrecy::SecretString::from("t.t.t");
        let asked = Asked {
            url: "https://argo.example",
            app: "web",
            with_project: true,
            token: &token,
        };
        let mut tail = Tail::default();
        // However it is cut into pieces.
        for piece in body.chunks(7) {
            tail.take(piece);
        }
        tail.lines(&asked)
    }

    fn texts(body: &[u8]) -> Vec<String> {
        read(body).unwrap().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn the_newest_lines_are_kept_in_their_order_and_not_too_much_of_them() {
        assert_eq!(texts(&answer(&["one", "t\u{1b}[31mwo\t2"])), ["one", "t[31mwo\t2"]);
        let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let kept = texts(&answer(&many));
        assert_eq!((kept.len(), kept[0].as_str(), kept[49].as_str()), (50, "150", "199"));
        // Two bytes a character, so that the cut falls between them.
        let long = "ü".repeat(MOST_TEXT);
        let kept = texts(&answer(&[&long, "short"]));
        assert_eq!(kept.iter().map(String::len).sum::<usize>(), MOST_TEXT - 1);
        assert_eq!(kept[1], "short");
    }

    #[test]
    fn what_went_wrong_is_told_where_there_is_no_line() {
        let error = b"{\"error\":{\"grpc_code\":2,\"message\":\"no such container\"}}\n";
        assert!(read(error).unwrap_err().to_string().contains("no such container"));
        // argo-cd 3.5.1, server/application/application.go: its own word comes as a line.
        let own = b"{\"result\":{\"content\":\"container \\\"web\\\" in pod is waiting to start\",\"timeStampStr\":\"0001-01-01T00:00:00Z\"}}\n";
        let why = read(own).unwrap_err().to_string();
        assert!(why.contains("waiting to start"), "{why}");
        let mut after = answer(&["one"]);
        after.truncate(after.len() - 70);
        assert_eq!(texts(&after), ["one"], "what is cut off is left");
        assert_eq!(texts(b""), Vec::<String>::new());
    }

    #[test]
    fn the_newest_line_is_kept_however_much_comes_before_it() {
        let long = "x".repeat(40_000);
        let mut lines = vec![long.as_str(); 49];
        lines.push("panic: no such table");
        let kept = texts(&answer(&lines));
        assert_eq!(kept.last().map(String::as_str), Some("panic: no such table"));
        let too_long = "y".repeat(2 * LONGEST_LINE);
        assert_eq!(texts(&answer(&["before", &too_long, "after"])), ["before", "after"]);
    }
}
