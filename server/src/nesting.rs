//! How deeply texts from outside may be nested, and the one door to JSON that somebody else wrote.
//!
//! What reads such a text calls itself for each level, and a thread whose stack is at its end takes the whole server with it. So depth is
//! looked at before a text is read, without recursion: brackets are counted in JSON and GraphQL, levels in YAML. People nest
//! a dozen levels; what is deeper than [`MOST`] is a mistake or an attack.

use granit_parser::{ErrorKind, Event, Parser, ScanError, options};
use serde::de::DeserializeOwned;

/// Levels of lists and mappings within each other that are read.
pub const MOST: usize = 64;

/// A text is nested more deeply than [`MOST`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} is nested too deeply (Waybill reads {MOST} levels)")]
pub struct TooDeep {
    /// Where it becomes too deep, from 1.
    pub line: usize,
}

/// Why a text isn't read as JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is nested too deeply.
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
    /// It is no JSON, or of another shape.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl JsonError {
    /// Whether it is JSON, but not of the shape that was asked for or too deep.
    #[must_use]
    pub fn is_data(&self) -> bool {
        match self {
            Self::TooDeep(_) => true,
            Self::Json(error) => error.is_data(),
        }
    }
}

/// Reads JSON from outside.
///
/// # Errors
/// When it is no JSON, of another shape, or nested too deeply.
pub fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    check_json(text)?;
    Ok(serde_json::from_slice(text)?)
}

/// Counts the brackets of a JSON text. What isn't JSON is for its reader to refuse.
///
/// # Errors
/// When it is nested too deeply.
pub fn check_json(text: &[u8]) -> Result<(), TooDeep> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => deeper(&mut depth, text, at)?,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = after_string(text, at),
            _ => {}
        }
    }
    Ok(())
}

/// Counts the brackets of a GraphQL document (spec of October 2021, 2.1). What isn't GraphQL is for its reader to refuse.
///
/// # Errors
/// When it is nested too deeply.
pub fn check_graphql(text: &str) -> Result<(), TooDeep> {
    const BLOCK: &[u8] = br#"""""#;
    let text = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' | b'(' => deeper(&mut depth, text, at)?,
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b'#' => {
                at += rest(text, at)
                    .iter()
                    .take_while(|b| !matches!(b, b'\n' | b'\r'))
                    .count()
            }
            b'"' if rest(text, at - 1).starts_with(BLOCK) => {
                at += 2;
                while at < text.len() && !rest(text, at).starts_with(BLOCK) {
                    // `\"""` stands for quotes within.
                    at += if text[at] == b'\\' && rest(text, at + 1).starts_with(BLOCK) {
                        4
                    } else {
                        1
                    };
                }
                at += BLOCK.len();
            }
            b'"' => at = after_string(text, at),
            _ => {}
        }
    }
    Ok(())
}

/// Counts the levels of a YAML text, block and flow style together. What isn't YAML is for its reader to refuse.
///
/// # Errors
/// When it is nested too deeply.
pub fn check_yaml(text: &str) -> Result<(), TooDeep> {
    let mut depth = 0_usize;
    let options = options! { flow_nesting_limit: MOST, block_nesting_limit: MOST };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), span)) if depth == MOST => {
                return Err(TooDeep {
                    line: span.start.line(),
                });
            }
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), _)) => depth += 1,
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(error) => return of_yaml(&error).map_or(Ok(()), Err),
        }
    }
    Ok(())
}

/// What an error of the YAML parser says of depth; `None` when it is about something else.
pub(crate) fn of_yaml(error: &ScanError) -> Option<TooDeep> {
    let line = error.marker().line();
    matches!(error.kind(), ErrorKind::RecursionLimitExceeded).then_some(TooDeep { line })
}

fn deeper(depth: &mut usize, text: &[u8], at: usize) -> Result<(), TooDeep> {
    *depth += 1;
    if *depth <= MOST {
        return Ok(());
    }
    let before = text.get(..at).unwrap_or(text);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    Err(TooDeep { line })
}

/// Behind the string whose opening quote is right before `at`.
fn after_string(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
    }
    at
}

fn rest(text: &[u8], at: usize) -> &[u8] {
    text.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const MANY: usize = 100_000;

    #[test]
    fn json_is_read_up_to_the_limit() {
        let lists = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let objects = |levels: usize| format!("{}1{}", "{\"a\":\n".repeat(levels), "}".repeat(levels));
        for nested in [&lists as &dyn Fn(usize) -> String, &objects] {
            assert!(json::<Value>(nested(MOST).as_bytes()).is_ok());
            for levels in [MOST + 1, 127, 128, 129, MANY] {
                let error = json::<Value>(nested(levels).as_bytes()).unwrap_err();
                assert!(matches!(error, JsonError::TooDeep(_)), "{levels}: {error}");
            }
        }
        let error = json::<Value>(objects(MANY).as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 65 is nested too deeply (Waybill reads 64 levels)"
        );
        // Open ends, and nothing but ends.
        assert!(json::<Value>("[".repeat(MANY).as_bytes()).is_err());
        assert!(json::<Value>("]".repeat(MANY).as_bytes()).is_err());
    }

    #[test]
    fn brackets_in_strings_are_no_levels() {
        let many = "[{".repeat(MOST);
        for text in [
            format!("[\"{many}\"]"),
            format!(r#"{{"a\\\"{many}": "\\", "b": "{many}\""}}"#),
            format!("[\"{}\"]", "\\\"[".repeat(MOST + 1)),
        ] {
            assert!(json::<Value>(text.as_bytes()).is_ok(), "{text}");
        }
        assert!(check_json(b"\"\\").is_ok() && check_json(b"\"").is_ok());
    }

    #[test]
    fn graphql_is_read_up_to_the_limit() {
        let selections = |levels: usize| format!("{}a{}", "{ a ".repeat(levels), "}".repeat(levels));
        let lists = |levels: usize| format!("{{ a(b: {}{}) }}", "[".repeat(levels), "]".repeat(levels));
        assert!(check_graphql(&selections(MOST)).is_ok());
        assert!(check_graphql(&lists(MOST - 2)).is_ok());
        for levels in [MOST + 1, MANY] {
            assert_eq!(check_graphql(&selections(levels)), Err(TooDeep { line: 1 }));
            assert_eq!(check_graphql(&lists(levels)), Err(TooDeep { line: 1 }));
        }
        let many = "[{(".repeat(MANY);
        for text in [
            format!("# {many}\n{{ a }}"),
            format!("{{ a(b: \"{many}\\\"{many}\") }}"),
            format!("{{ a(b: \"\"\"{many}\\\"\"\"{many} \" \"\" \"\"\") }}"),
            format!("{{ a(b: \"\") # {many}\r}}"),
            "\"\"\"".to_owned(),
            "\"\"\"\\".to_owned(),
        ] {
            assert_eq!(check_graphql(&text), Ok(()));
        }
        assert!(check_graphql(&format!("{{ a(b: \"\"\"\"\"\") {many}")).is_err());
    }

    #[test]
    fn yaml_is_read_up_to_the_limit() {
        for nested in yaml_forms() {
            assert_eq!(check_yaml(&nested(MOST - 4)), Ok(()), "{}", nested(2));
            for levels in [MOST + 1, 2 * MOST, 300, 400, 5_000] {
                assert!(check_yaml(&nested(levels)).is_err(), "{levels} {}", nested(2));
            }
        }
        assert_eq!(check_yaml(&"- ".repeat(MANY)), Err(TooDeep { line: 1 }));
        assert_eq!(check_yaml(&"[".repeat(MANY)), Err(TooDeep { line: 1 }));
        // Half of it in each style.
        let half = MOST / 2;
        let mixed = format!("{}{}{}", "- ".repeat(half), "[".repeat(half + 1), "]".repeat(half + 1));
        assert_eq!(check_yaml(&mixed), Err(TooDeep { line: 1 }));
        assert_eq!(
            check_yaml("a: [1, 2\nb: }"),
            Ok(()),
            "what isn't YAML is refused elsewhere"
        );
    }

    /// Texts of any depth, in every way to nest.
    fn yaml_forms() -> [fn(usize) -> String; 5] {
        [
            |levels| "- ".repeat(levels) + "a",
            |levels| "[".repeat(levels) + &"]".repeat(levels),
            |levels| "{a: ".repeat(levels) + "1" + &"}".repeat(levels),
            |levels| (0..levels).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
            |levels| "? ".repeat(levels) + "a",
        ]
    }
}
