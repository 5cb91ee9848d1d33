//! How a text is written as a YAML scalar so that every reader reads the same text back.
//!
//! Values files are read by Helm (Go, YAML 1.1 with extras), by people's scripts (PyYAML: 1.1) and by newer parsers
//! (1.2), so a text is written plain only when none of them takes it for something else. The patterns are those of
//! <https://yaml.org/type/> (1.1), of the core schema (YAML 1.2.2 §10.3) and of go-yaml's `resolve.go`.

use granit_parser::ScalarStyle;

/// Writes `text` in `style`, or quoted where plain would not be read back as this text.
pub(super) fn write(text: &str, style: ScalarStyle, flow: bool) -> String {
    match style {
        ScalarStyle::SingleQuoted if !text.chars().any(|c| c.is_control() || is_break(c)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded if is_plain(text, flow) && is_text(text) => {
            text.to_owned()
        }
        _ => double_quoted(text),
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_break(c) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether the grammar lets `text` stand without quotes on one line. Stricter than YAML at the edges.
pub(super) fn is_plain(text: &str, flow: bool) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    !"-?:,[]{}#&*!|>'\"%@`".contains(first)
        && !text.starts_with([' ', '\t'])
        && !text.ends_with([' ', '\t', ':'])
        && !text.contains(": ")
        && !text.contains(":\t")
        && !text.contains(" #")
        && !text.contains("\t#")
        && !text.starts_with("...")
        && !(flow && text.contains([',', '[', ']', '{', '}']))
        && !(flow && [":,", ":[", ":{"].iter().any(|s| text.contains(s)))
        && !text.chars().any(|c| c.is_control() || is_break(c))
}

/// Whether an unquoted `text` is text to every reader: no number, truth value, date, null or merge key.
pub(super) fn is_text(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let word = matches!(
        lower.as_str(),
        "" | "~" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "<<" | "="
    );
    !word && !is_number(&lower) && !is_date(&lower)
}

fn is_number(lower: &str) -> bool {
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(lower);
    if matches!(unsigned, ".inf" | ".nan" | "inf" | "nan" | "infinity") {
        return true;
    }
    // Underscores may stand between digits in YAML 1.1.
    let digits: String = unsigned.chars().filter(|c| *c != '_').collect();
    let all = |s: &str, radix: u32| !s.is_empty() && s.chars().all(|c| c.is_digit(radix));
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if digits.strip_prefix(prefix).is_some_and(|rest| all(rest, radix)) {
            return true;
        }
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let (mantissa, exponent) = match digits.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits.as_str(), None),
    };
    let exponent_fine = exponent.is_none_or(|e| all(e.strip_prefix(['+', '-']).unwrap_or(e), 10));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    let decimal =
        exponent_fine && all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    // 1:30:00 is ninety minutes in YAML 1.1.
    let sexagesimal = digits.contains(':')
        && digits
            .split(':')
            .all(|part| part.starts_with(|c: char| c.is_ascii_digit()) && all_digits(&part.replacen('.', "", 1)));
    decimal || sexagesimal
}

fn is_date(lower: &str) -> bool {
    let date_length = lower
        .find(|c: char| !(c.is_ascii_digit() || c == '-'))
        .unwrap_or(lower.len());
    let (date, rest) = lower.split_at(date_length);
    let parts: Vec<usize> = date.split('-').map(str::len).collect();
    matches!(parts.as_slice(), [4, 1..=2, 1..=2]) && (rest.is_empty() || rest.starts_with(['t', ' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_might_misread_is_quoted() {
        for text in [
            "1.10",
            "1e3",
            "12e5",
            "0123",
            "0o17",
            "0x1F",
            "0b11",
            "1_000",
            "+1",
            "-1",
            "1.",
            ".5",
            ".inf",
            "true",
            "True",
            "yes",
            "NO",
            "on",
            "off",
            "y",
            "N",
            "null",
            "~",
            "",
            "<<",
            "=",
            "2026-01-02",
            "2026-1-2T10:00:00Z",
            "1:30",
            "12:30:45",
            "1234567",
            "0123456",
            "9e12345",
            "NaN",
            "a: b",
            "a #b",
            " a",
            "a ",
            "#a",
            "&a",
            "*a",
            "!a",
            "- a",
            "-a",
            "?a",
            "%a",
            "@a",
            "`a",
            "'a",
            "\"a",
            "a:",
            "...",
            "---",
            "a\nb",
            "|",
            ">",
            "{a",
            "[a",
        ] {
            let written = write(text, ScalarStyle::Plain, false);
            assert!(written.starts_with('"'), "{text:?} was written as {written}");
        }
    }

    #[test]
    fn what_everybody_reads_as_text_stays_plain() {
        for text in [
            "a1b2c3d",
            "v1.10",
            "1.2.3",
            "1.10-rc1",
            "4f5e6d7",
            "latest",
            "0xyz",
            "1e3a",
            "2026-01-02-abc",
            "20260102T1",
            "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "127.0.0.1:5000/myapp/api",
            "registry.example.com/myapp/api",
            "/healthz",
            "é",
            "a,b",
            "nope",
            "yess",
        ] {
            assert_eq!(write(text, ScalarStyle::Plain, false), text);
        }
        assert_eq!(write("a,b", ScalarStyle::Plain, true), "\"a,b\"");
    }

    #[test]
    fn quotes_are_kept_and_escaped() {
        assert_eq!(write("it's", ScalarStyle::SingleQuoted, false), "'it''s'");
        assert_eq!(
            write("a\"\\\u{7}\n", ScalarStyle::DoubleQuoted, false),
            r#""a\"\\\u0007\n""#
        );
        assert_eq!(write("a\nb", ScalarStyle::SingleQuoted, false), "\"a\\nb\"");
    }
}
