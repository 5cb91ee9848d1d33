//! Lines and their endings.

use super::change::Edit;

/// New lines behind the line that `end` stands on.
pub(super) fn lines_after(source: &str, end: usize, lines: &[String]) -> Edit {
    match source[end..].find('\n') {
        Some(offset) => {
            let place = end + offset + 1;
            let newline = if next_is_crlf(source, end) { "\r\n" } else { "\n" };
            let text = lines.iter().flat_map(|line| [line.as_str(), newline]).collect();
            (place..place, text)
        }
        // The last line has no line ending, and the new last line gets none either.
        None => {
            let newline = file_newline(source);
            let text = lines.iter().flat_map(|line| [newline, line.as_str()]).collect();
            (source.len()..source.len(), text)
        }
    }
}

pub(super) fn next_is_crlf(source: &str, from: usize) -> bool {
    source[from..]
        .find('\n')
        .is_some_and(|offset| source[..from + offset].ends_with('\r'))
}

pub(super) fn file_newline(source: &str) -> &'static str {
    if next_is_crlf(source, 0) { "\r\n" } else { "\n" }
}

pub(super) fn line_start(source: &str, at: usize) -> usize {
    let start = source[..at].rfind('\n').map_or(0, |i| i + 1);
    // A byte order mark stays in front.
    if start == 0 && source.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8().min(at)
    } else {
        start
    }
}
