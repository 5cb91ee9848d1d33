//! Log lines of a pod: a stream of one JSON object per line, which ends with one that says so. Only the newest are kept, and only so much of them.

use super::{answer::Asked, wire::or_default, workloads::clip};
use crate::nesting;
use domain::plan::LogLine;
use serde::Deserialize;

/// Lines that are asked for.
pub(super) const MOST_LINES: usize = 50;
/// Bytes of text that are kept.
pub(super) const MOST_TEXT: usize = 16 * 1024;
/// The largest answer that is read: lines come escaped, each with its time and the name of its pod. What comes after it is left.
pub(super) const MOST_ANSWER: usize = 1024 * 1024;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    #[serde(deserialize_with = "or_default")]
    result: Entry,
    #[serde(deserialize_with = "or_default")]
    error: Trouble,
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
struct Trouble {
    #[serde(deserialize_with = "or_default")]
    message: String,
}

/// The newest lines of an answer, oldest first; its last line may be cut off.
///
/// # Errors
/// What the answer says went wrong (the container waits, or there are several of them), when it holds no line.
pub(super) fn lines(body: &[u8], asked: &Asked<'_>) -> Result<Vec<LogLine>, super::ArgoCdError> {
    let mut lines = Vec::new();
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(said) = nesting::json::<Said>(line) else { break };
        if !said.error.message.is_empty() {
            if lines.is_empty() {
                return Err(asked.refused(clip(&said.error.message)));
            }
            break;
        }
        if said.result.last {
            break;
        }
        lines.push(LogLine {
            at: said.result.time_stamp_str,
            text: without_controls(&said.result.content),
        });
    }
    let mut room = MOST_TEXT;
    let mut kept: Vec<LogLine> = Vec::new();
    for mut line in lines.into_iter().rev().take(MOST_LINES) {
        if line.text.len() > room {
            let end = (0..=room)
                .rev()
                .find(|end| line.text.is_char_boundary(*end))
                .unwrap_or_default();
            line.text.truncate(end);
        }
        room -= line.text.len();
        kept.push(line);
        if room == 0 {
            break;
        }
    }
    kept.reverse();
    Ok(kept)
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

    fn read(body: &[u8]) -> Result<Vec<LogLine>, crate::adapters::argocd::ArgoCdError> {
        let token = secrecy::SecretString::from("t.t.t");
        let asked = Asked {
            url: "https://argo.example",
            app: "web",
            with_project: true,
            token: &token,
        };
        lines(body, &asked)
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
        let wrong = br#"{"error":{"grpc_code":2,"message":"container \"web\" in pod is waiting to start"}}"#;
        let why = read(wrong).unwrap_err().to_string();
        assert!(why.contains("waiting to start"), "{why}");
        let mut after = answer(&["one"]);
        after.truncate(after.len() - 70);
        assert_eq!(texts(&after), ["one"], "what is cut off is left");
        assert_eq!(texts(b""), Vec::<String>::new());
    }
}
