//! What is right, changed a little or a lot.

use crate::support::dice::Dice;

/// What makes sense to one reader or another.
const TOKENS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "[0]",
    "[a]",
    "- ",
    "? ",
    ": ",
    "{a: ",
    "{\"a\":",
    "[[",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "!<x>",
    "!",
    "\"",
    "'",
    "\"\"\"",
    "|",
    "|+\n",
    ">-\n",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "  ",
    "\0",
    "\u{feff}",
    "\u{85}",
    "\u{202e}",
    "é",
    "🚀",
    "\u{10ffff}",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "# ",
    "0",
    "-1",
    "1e999",
    "9999999999999999999999",
    "0x7f",
    ".inf",
    "null",
    "true",
    "~",
    "NaN",
    "%00",
    "%ff",
    "%",
    "%2f..%2f",
    "../",
    "//",
    "\\",
    "\\u0000",
    "\\ud800",
    "&",
    "=",
    "&&",
    "?",
    ",",
    ";",
    "$",
    "${",
    "*",
    "@",
    "...f ",
    "services",
    "image",
    "tag",
    "digest",
    "sha256:",
    "demo",
    "myapp",
    "development",
    "api",
    "workspace",
    "query",
    "variables",
    "fragment f on Query { ...f }",
    "__schema { types { name } }",
    "2026-11-20T10:04:03Z",
    "FREQ=SECONDLY;INTERVAL=0",
    "'; DROP TABLE x; --",
    "<script>",
    "http://127.0.0.1:1/",
    "file:///etc/passwd",
    "a@b",
];

/// Nothing is made larger than this, in bytes.
const LARGEST: usize = 200 * 1024;

/// Changes `text`, with parts of `others` where it fits.
pub(super) fn mutate(dice: &mut Dice, text: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(text.len() + 1);
        let end = (at + dice.below(24)).min(text.len());
        match dice.below(11) {
            0 if at < text.len() => text[at] ^= 1 << dice.below(8),
            1 => drop(text.splice(at..at, [u8::try_from(dice.below(256)).unwrap()])),
            2 => drop(text.drain(at..end)),
            3 => {
                let part = text[at..end].to_vec();
                let times = dice.below(40);
                text.splice(at..at, part.repeat(times));
            }
            4 | 5 => drop(text.splice(at..at, token(dice).bytes())),
            6 => {
                let times = [3, 70, 300, 5_000, 60_000][dice.below(5)];
                let tokens = token(dice).repeat(times);
                text.splice(at..at, tokens.bytes().take(LARGEST));
            }
            7 => drop(text.splice(at..end, token(dice).bytes())),
            8 if !others.is_empty() => {
                let other = &others[dice.below(others.len())];
                let from = dice.below(other.len() + 1);
                text.truncate(at);
                text.extend_from_slice(&other[from..]);
            }
            9 => text.truncate(at),
            10 => lines(dice, &mut text),
            _ => {}
        }
        text.truncate(LARGEST);
    }
    text
}

/// The same, as far as it is text.
pub(super) fn mutate_text(dice: &mut Dice, text: &str, others: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&mutate(dice, text.as_bytes(), others)).into_owned()
}

pub(super) fn token(dice: &mut Dice) -> &'static str {
    dice.one(TOKENS)
}

/// One line goes somewhere else, deeper or less deep.
fn lines(dice: &mut Dice, text: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (from, to) = (dice.below(lines.len()), dice.below(lines.len()));
    let mut line = lines[from].clone();
    match dice.below(3) {
        0 => drop(line.splice(0..0, *b"  ")),
        1 => drop(line.drain(0..line.len().min(2))),
        _ => {}
    }
    lines.insert(to, line);
    *text = lines.join(&b'\n');
}
