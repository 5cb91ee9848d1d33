//! What was given: the file's keys with their lines, and the environment's variables. Unknown ones are refused here.

use super::{
    ConfigError,
    keys::{self, COMMAND_LINE, Kind, Meaning, OPEN_TELEMETRY, PREFIX},
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// The longest secret that is read from a file.
const SECRET_FILE_LIMIT: usize = 64 * 1024;

/// A value with the place it comes from.
pub(super) struct Value {
    pub(super) text: String,
    pub(super) place: ValueSource,
}

/// Names a value in errors: `waybill.toml, line 3: listen`, or `WAYBILL_LISTEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueSource {
    File { path: PathBuf, line: usize, key: String },
    Variable(String),
    Default(&'static str),
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, key } => write!(f, "{}, line {line}: {key}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Default(key) => write!(f, "The default of {key}"),
        }
    }
}

impl ValueSource {
    pub(super) fn wrong(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::Wrong {
            place: self.to_string(),
            problem: problem.into(),
        }
    }
}

/// All values by key; those of the environment have replaced those of the file.
pub(super) struct Given(BTreeMap<String, Value>);

impl Given {
    pub(super) fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        if let Some(path) = file {
            read_file(path, &mut values)?;
        }
        read_environment(environment, &mut values)?;
        Ok(Self(values))
    }

    /// The value of a key, if it was given.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// A secret given itself or by its `_file` twin; both is an error.
    pub(super) fn take_secret(&mut self, key: &str) -> Result<Option<(SecretString, ValueSource)>, ConfigError> {
        match (self.take(key), self.take(&keys::twin(key))) {
            (None, None) => Ok(None),
            (Some(value), Some(twin)) => Err(ConfigError::Both {
                one: value.place.to_string(),
                other: twin.place.to_string(),
            }),
            (Some(value), None) if value.text.is_empty() => Err(value.place.wrong("must not be empty")),
            (Some(value), None) => Ok(Some((value.text.into(), value.place))),
            (None, Some(twin)) => Ok(Some((secret_file(&twin)?, twin.place))),
        }
    }
}

fn secret_file(twin: &Value) -> Result<SecretString, ConfigError> {
    let shown = Path::new(&twin.text).display();
    let bytes =
        std::fs::read(&twin.text).map_err(|e| twin.place.wrong(format!("names {shown}, which cannot be read: {e}")))?;
    if bytes.len() > SECRET_FILE_LIMIT {
        let problem = format!("names {shown}, which is larger than {SECRET_FILE_LIMIT} bytes");
        return Err(twin.place.wrong(problem));
    }
    let text = String::from_utf8(bytes).map_err(|_| twin.place.wrong(format!("names {shown}, which is no text")))?;
    // Editors end a file with a newline that is no part of the secret.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(twin.place.wrong(format!("names {shown}, which is empty")));
    }
    Ok(text.into())
}

fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    values: &mut BTreeMap<String, Value>,
) -> Result<(), ConfigError> {
    let known: BTreeMap<String, String> = keys::names().map(|(name, _)| (keys::variable(&name), name)).collect();
    let all: Vec<_> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect();
    let (variable, key) = OPEN_TELEMETRY;
    let collector = all.iter().find(|(name, _)| name == variable);
    if let Some(text) = collector.and_then(|(_, value)| value.to_str().filter(|text| !text.is_empty())) {
        // It belongs to the surroundings: what was said to Waybill itself wins, in the file too.
        values.entry(key.to_owned()).or_insert_with(|| Value {
            text: text.to_owned(),
            place: ValueSource::Variable(variable.to_owned()),
        });
    }
    let mut ours: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !COMMAND_LINE.contains(&name.as_str()))
        .collect();
    // The same error each time, whatever order the system gives.
    ours.sort();
    for (variable, value) in ours {
        let Some(key) = known.get(&variable) else {
            let suggestion = keys::suggestion(&variable, known.keys().cloned());
            return Err(ConfigError::UnknownVariable { variable, suggestion });
        };
        let place = ValueSource::Variable(variable);
        let text = value.into_string().map_err(|_| place.wrong("is not valid UTF-8"))?;
        // Compose files and unit files pass variables that nobody set as empty ones.
        if !text.is_empty() {
            values.insert(key.clone(), Value { text, place });
        }
    }
    Ok(())
}

fn read_file(path: &Path, values: &mut BTreeMap<String, Value>) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: line_of(&text, error.span().map_or(0, |span| span.start)),
        // The parser has a limit of its own, and no name for what is beyond it.
        reason: match error.message() {
            message if message.contains("recurs") => "it is nested too deeply".to_owned(),
            message => message.to_owned(),
        },
    })?;
    let known: BTreeMap<String, Meaning> = keys::names().collect();
    let mut reader = FileReader {
        path,
        text: &text,
        known: &known,
        values,
        unknown: None,
    };
    reader.table("", table.get_ref())?;
    let Some((offset, key)) = reader.unknown else {
        return Ok(());
    };
    Err(ConfigError::UnknownKey {
        path: path.to_owned(),
        line: line_of(&text, offset),
        suggestion: keys::suggestion(&key, known.keys().cloned()),
        key,
    })
}

struct FileReader<'a> {
    path: &'a Path,
    text: &'a str,
    known: &'a BTreeMap<String, Meaning>,
    values: &'a mut BTreeMap<String, Value>,
    /// The unknown key nearest to the top of the file, with its offset.
    unknown: Option<(usize, String)>,
}

impl FileReader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            match (self.known.get(&key).copied(), value.get_ref()) {
                (Some(meaning), value) => {
                    let place = ValueSource::File {
                        path: self.path.to_owned(),
                        line: line_of(self.text, name.span().start),
                        key: key.clone(),
                    };
                    let text = scalar(value, meaning.kind).map_err(|problem| place.wrong(problem))?;
                    self.values.insert(key, Value { text, place });
                }
                // An unknown table is named by what stands in it, which is more likely to be near a known key.
                (None, DeValue::Table(inner)) if !inner.is_empty() => self.table(&key, inner)?,
                (None, DeValue::Table(_)) if self.known.keys().any(|k| k.starts_with(&format!("{key}."))) => {}
                (None, _) => {
                    let offset = name.span().start;
                    if self.unknown.as_ref().is_none_or(|(first, _)| offset < *first) {
                        self.unknown = Some((offset, key));
                    }
                }
            }
        }
        Ok(())
    }
}

fn scalar(value: &DeValue<'_>, kind: Kind) -> Result<String, String> {
    match (value, kind) {
        (DeValue::String(text), Kind::Text | Kind::Secret) => Ok(text.to_string()),
        (DeValue::Integer(number), Kind::Integer) => Ok(number.to_string()),
        (DeValue::Array(list), Kind::List) => {
            let text = |item: &toml::Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                other => Err(format!("must be a list of texts, not of {}", shown_type(other))),
            };
            list.iter()
                .map(text)
                .collect::<Result<Vec<_>, _>>()
                .map(|list| list.join(","))
        }
        (_, Kind::List) => Err(format!("must be a list of texts, not {}", shown_type(value))),
        (DeValue::Boolean(yes), Kind::Boolean) => Ok(yes.to_string()),
        (_, Kind::Boolean) => Err(format!("must be true or false, not {}", shown_type(value))),
        (_, Kind::Integer) => Err(format!("must be a whole number, not {}", shown_type(value))),
        _ => Err(format!("must be a text in quotes, not {}", shown_type(value))),
    }
}

fn shown_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a decimal point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
