//! What those who use a values file take an unquoted scalar for.
//!
//! Helm reads values with go-yaml, which knows the numbers of YAML 1.1 and Go; scripts read them as YAML 1.1 (PyYAML); Kustomize reads them as YAML
//! 1.2 mostly. What counts is what runs, not the characters in the file: `1.10` is the number 1.1 to Helm, and an image of that
//! name runs. The rules are those of go-yaml's `resolve.go` and of <https://yaml.org/type/>.

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Consumer {
    /// Readers of YAML 1.1: PyYAML and its like.
    Yaml11,
    /// Helm, by way of go-yaml and JSON.
    GoYaml3,
    /// Kustomize: the core schema of YAML 1.2.
    Kustomize,
}

impl Consumer {
    /// Helm's reading first: it is what runs most often.
    pub(super) const ALL: [Self; 3] = [Self::GoYaml3, Self::Yaml11, Self::Kustomize];
}

/// What an unquoted scalar is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// Text, as it is written.
    Text,
    /// A number, and how it is written where it is used.
    Number(String),
    /// A truth value.
    Bool(bool),
    /// Nothing.
    Null,
    /// A date, or a date with a time.
    Date,
}

/// What `consumer` takes the unquoted `text` for.
pub(super) fn consumer_text(text: &str, consumer: Consumer) -> Read {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Read::Null;
    }
    if let Some(value) = truth(text, consumer) {
        return Read::Bool(value);
    }
    if consumer != Consumer::Kustomize && is_date(text) {
        return Read::Date;
    }
    number(text, consumer).map_or(Read::Text, |number| Read::Number(number.written(consumer)))
}

/// Why an unquoted `text` is not what is meant by it, in a few words; `None` when every consumer takes it as it is written. Whole numbers
/// are, as long as nobody writes them in another way.
pub(super) fn misread(text: &str) -> Option<String> {
    Consumer::ALL
        .into_iter()
        .find_map(|consumer| match consumer_text(text, consumer) {
            Read::Text => None,
            // Numbers with a fraction are written anew by everybody: 2026.07 stays as it is, and 2026.10 doesn't.
            Read::Number(runs) if runs == text && text.bytes().all(|b| b.is_ascii_digit()) => None,
            Read::Number(runs) => Some(format!("YAML reads {text} as the number {runs}")),
            Read::Bool(value) => Some(format!("YAML reads {text} as the truth value {value}")),
            Read::Null => Some(format!("YAML reads {text} as nothing (null)")),
            Read::Date => Some(format!("YAML reads {text} as a date")),
        })
}

fn truth(text: &str, consumer: Consumer) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => return Some(true),
        "false" | "False" | "FALSE" => return Some(false),
        _ if consumer == Consumer::Kustomize => return None,
        _ => {}
    }
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn is_date(text: &str) -> bool {
    let length = text
        .find(|c: char| !(c.is_ascii_digit() || c == '-'))
        .unwrap_or(text.len());
    let (date, rest) = text.split_at(length);
    let parts: Vec<usize> = date.split('-').map(str::len).collect();
    matches!(parts.as_slice(), [4, 1..=2, 1..=2]) && (rest.is_empty() || rest.starts_with(['t', 'T', ' ', '\t']))
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    /// How it is written where it is used: in a template of Helm, or by Python's `str`.
    fn written(self, consumer: Consumer) -> String {
        match (self, consumer) {
            // Helm may carry it through JSON, where every number is a real one.
            (Self::Whole(whole), Consumer::GoYaml3) if whole.unsigned_abs() >= 1_000_000 => {
                whole.to_string().parse().map_or_else(|_| whole.to_string(), go_real)
            }
            (Self::Whole(whole), _) => whole.to_string(),
            (Self::Real(real), _) => go_real(real),
        }
    }
}

/// As Go's `%v` writes a real number: with an exponent from a million on, and below a ten-thousandth.
fn go_real(real: f64) -> String {
    if real.is_nan() {
        return "NaN".to_owned();
    }
    if real.is_infinite() {
        return if real > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{real:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{real}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn number(text: &str, consumer: Consumer) -> Option<Number> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let signed = |whole: i128| if negative { -whole } else { whole };
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(Number::Real(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        ".nan" | ".NaN" | ".NAN" if unsigned == text => return Some(Number::Real(f64::NAN)),
        _ => {}
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    // Underscores may stand between digits, but not in YAML 1.2.
    if consumer == Consumer::Kustomize && unsigned.contains('_') {
        return None;
    }
    let digits: String = unsigned.chars().filter(|c| *c != '_').collect();
    let whole = |digits: &str, radix: u32| match digits.bytes().all(|b| char::from(b).is_digit(radix)) {
        // A sign of its own is no digit; what is longer than any number is a real one.
        true if !digits.is_empty() => Some(
            i128::from_str_radix(digits, radix)
                .map_or_else(|_| Number::Real(f64::INFINITY), |whole| Number::Whole(signed(whole))),
        ),
        _ => None,
    };
    let lower = digits.to_ascii_lowercase();
    for (prefix, radix, is_of_11) in [("0x", 16, true), ("0b", 2, true), ("0o", 8, false)] {
        if let Some(rest) = lower.strip_prefix(prefix)
            && (is_of_11 || consumer != Consumer::Yaml11)
            && let Some(number) = whole(rest, radix)
        {
            return Some(number);
        }
    }
    if consumer != Consumer::Kustomize && digits.len() > 1 && digits.starts_with('0') {
        // Octal as in C; with an 8 or 9 in it, Go takes it for a real number and PyYAML for text.
        if let Some(number) = whole(&digits, 8) {
            return Some(number);
        }
        if consumer == Consumer::Yaml11 && digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    if consumer == Consumer::Yaml11 && digits.contains(':') {
        return sexagesimal(&digits).map(|real| Number::Real(if negative { -real } else { real }));
    }
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(value) = digits.parse::<u64>()
    {
        return Some(Number::Whole(signed(value.into())));
    }
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (lower.as_str(), None),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let is_exponent = |e: &str| {
        let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
        !digits.is_empty() && all_digits(digits)
    };
    let is_real = all_digits(before)
        && all_digits(after)
        && !(before.is_empty() && after.is_empty())
        && exponent.is_none_or(is_exponent);
    if !is_real {
        return None;
    }
    let real: f64 = lower.parse().ok()?;
    Some(Number::Real(if negative { -real } else { real }))
}

/// 1:30:00 is 5400 in YAML 1.1.
fn sexagesimal(digits: &str) -> Option<f64> {
    let mut parts = digits.split(':');
    let mut total: f64 = parts.next()?.parse().ok()?;
    for part in parts {
        let value: f64 = part.parse().ok()?;
        if !part.starts_with(|c: char| c.is_ascii_digit()) || value >= 60.0 {
            return None;
        }
        total = total.mul_add(60.0, value);
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::scalar, *};

    fn read(text: &str, consumer: Consumer) -> String {
        match consumer_text(text, consumer) {
            Read::Text => "text".to_owned(),
            Read::Number(runs) => runs,
            Read::Bool(value) => value.to_string(),
            Read::Null => "null".to_owned(),
            Read::Date => "date".to_owned(),
        }
    }

    #[test]
    fn each_consumer_reads_by_its_own_rules() {
        for (text, [helm, python, kustomize]) in [
            ("1.10", ["1.1", "1.1", "1.1"]),
            ("1e3", ["1000", "1000", "1000"]),
            ("0123", ["83", "83", "123"]),
            ("0189", ["189", "text", "189"]),
            ("1_0", ["10", "10", "text"]),
            ("2026.10", ["2026.1", "2026.1", "2026.1"]),
            ("2026-11-01", ["date", "date", "text"]),
            ("2026-11-01T10:00:00Z", ["date", "date", "text"]),
            ("1:30", ["text", "90", "text"]),
            ("0x1F", ["31", "31", "31"]),
            ("0b11", ["3", "3", "3"]),
            ("0o17", ["15", "text", "15"]),
            ("1234567", ["1.234567e+06", "1234567", "1234567"]),
            ("123456", ["123456", "123456", "123456"]),
            ("12e5", ["1.2e+06", "1.2e+06", "1.2e+06"]),
            ("1234e56", ["1.234e+59", "1.234e+59", "1.234e+59"]),
            ("+1", ["1", "1", "1"]),
            ("1.", ["1", "1", "1"]),
            (".5", ["0.5", "0.5", "0.5"]),
            (".inf", ["+Inf", "+Inf", "+Inf"]),
            ("yes", ["true", "true", "text"]),
            ("n", ["false", "false", "text"]),
            ("True", ["true", "true", "true"]),
            ("~", ["null", "null", "null"]),
            ("1.2.3", ["text", "text", "text"]),
            ("v1", ["text", "text", "text"]),
            ("_1", ["text", "text", "text"]),
            ("nope", ["text", "text", "text"]),
            ("1e", ["text", "text", "text"]),
            ("99999999999999999999", ["1e+20", "1e+20", "1e+20"]),
        ] {
            let found = [Consumer::GoYaml3, Consumer::Yaml11, Consumer::Kustomize].map(|c| read(text, c));
            assert_eq!(found, [helm, python, kustomize], "{text}");
        }
    }

    #[test]
    fn what_is_misread_is_said_with_what_runs() {
        for (text, words) in [
            ("1.10", "YAML reads 1.10 as the number 1.1"),
            ("1e3", "YAML reads 1e3 as the number 1000"),
            ("0123", "YAML reads 0123 as the number 83"),
            ("1_0", "YAML reads 1_0 as the number 10"),
            ("2026.07", "YAML reads 2026.07 as the number 2026.07"),
            ("2026-11-01", "YAML reads 2026-11-01 as a date"),
            ("on", "YAML reads on as the truth value true"),
        ] {
            assert_eq!(misread(text).as_deref(), Some(words));
        }
        for fine in ["v1.10", "1.10.0", "42", "0", "a1b2c3d", "main", "123456"] {
            assert_eq!(misread(fine), None, "{fine}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// What is written without quotes is read as it is written, by everybody.
        #[test]
        fn what_is_written_plain_is_never_misread(text in "[0-9a-fA-FxobeEnytTZ_.:+-]{1,9}") {
            if scalar::is_text(&text) {
                for consumer in Consumer::ALL {
                    prop_assert_eq!(consumer_text(&text, consumer), Read::Text, "{}", text);
                }
            }
        }
    }
}
