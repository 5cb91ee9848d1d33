//! Reads the YAML of `waybill apply`, and remembers on which line everything stands.
//!
//! The types read it strictly. A second walk over the same text maps every path (`projects[0].name`) to its line, so
//! that what a rule or the server says about a path can be said about a line.

use crate::{
    nesting,
    service::configure::{Document, SecretRef},
};
use granit_parser::{Event, Parser};
use serde_saphyr::{DefaultMessageFormatter, Error, Localizer, Location};
use std::{borrow::Cow, collections::HashMap, fmt};

/// Something that is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// The line, from 1, where known.
    pub line: Option<u64>,
    /// The path within the document, `projects[0].name`, where known.
    pub path: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(path) = self.path.as_deref().filter(|path| !path.is_empty()) {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A file as read.
#[derive(Debug)]
pub struct Written {
    /// All documents of the file as one.
    pub document: Document<SecretRef>,
    /// Where its parts stand.
    pub lines: Lines,
}

/// Reads all documents of a file and joins them.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(text: &str) -> Result<Written, Complaint> {
    nesting::check_yaml(text).map_err(|error| Complaint {
        line: None,
        path: None,
        message: error.to_string(),
    })?;
    let places = Places::of(text);
    let options = serde_saphyr::options! { with_snippet: false };
    let documents: Vec<Document<SecretRef>> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| places.complaint(&error))?;
    let mut lines = Lines::default();
    let mut whole: Option<Document<SecretRef>> = None;
    for (document, places) in documents.into_iter().zip(places.0) {
        let Some(whole) = &mut whole else {
            lines.add_first(&places);
            whole = Some(document);
            continue;
        };
        if document.workspace != whole.workspace {
            let line = places
                .iter()
                .find(|place| place.path == "workspace")
                .map(|place| place.line);
            let message = format!(
                "the documents of one file are about one workspace, here {}; put {} into a file of its own",
                whole.workspace, document.workspace
            );
            return Err(Complaint {
                line,
                path: Some("workspace".into()),
                message,
            });
        }
        lines.add(&places, whole);
        if !document.state.is_present() {
            whole.state = document.state;
        }
        whole.registries.extend(document.registries);
        whole.clusters.extend(document.clusters);
        whole.groups.extend(document.groups);
        whole.projects.extend(document.projects);
    }
    match whole {
        Some(document) => Ok(Written { document, lines }),
        None => Err(Complaint {
            line: None,
            path: None,
            message: "the file holds no document".into(),
        }),
    }
}

/// Where the parts of a document stand.
#[derive(Clone, Debug, Default)]
pub struct Lines(HashMap<String, u64>);

impl Lines {
    /// The line of a path, or of the nearest part around it that is written.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<u64> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    fn add_first(&mut self, places: &[Place]) {
        for place in places {
            self.0.entry(place.path.clone()).or_insert(place.line);
        }
    }

    /// Adds a further document's places; what it lists comes after what is there already.
    fn add(&mut self, places: &[Place], before: &Document<SecretRef>) {
        for place in places {
            let shifted = shift(&place.path, "registries[", before.registries.len())
                .or_else(|| shift(&place.path, "clusters[", before.clusters.len()))
                .or_else(|| shift(&place.path, "groups[", before.groups.len()))
                .or_else(|| shift(&place.path, "projects[", before.projects.len()));
            self.0
                .entry(shifted.unwrap_or_else(|| place.path.clone()))
                .or_insert(place.line);
        }
    }
}

fn shift(path: &str, list: &str, by: usize) -> Option<String> {
    let (index, rest) = path.strip_prefix(list)?.split_once(']')?;
    Some(format!("{list}{}]{rest}", index.parse::<usize>().ok()? + by))
}

/// A key, item or scalar of a document.
#[derive(Debug)]
struct Place {
    path: String,
    line: u64,
    column: u64,
    is_key: bool,
}

/// The places of every document of a file that isn't empty.
struct Places(Vec<Vec<Place>>);

/// What is open while walking: a mapping that waits for a key or for that key's value, or a sequence.
enum Open {
    Mapping { path: String, key: Option<String> },
    Sequence { path: String, next: usize },
}

impl Places {
    /// Stops at what isn't YAML: reading the types says what that is.
    fn of(text: &str) -> Self {
        let mut documents: Vec<Vec<Place>> = Vec::new();
        let mut places = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            let (line, column) = (span.start.line() as u64, span.start.col() as u64 + 1);
            let scalar = match &event {
                Event::Scalar(text, ..) => Some(text.as_ref()),
                Event::Alias(..) => Some(""),
                Event::MappingStart(..) | Event::SequenceStart(..) => None,
                Event::MappingEnd | Event::SequenceEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentEnd => {
                    if !places.is_empty() {
                        documents.push(std::mem::take(&mut places));
                    }
                    continue;
                }
                _ => continue,
            };
            let path = match open.last_mut() {
                None => String::new(),
                Some(Open::Sequence { path, next }) => {
                    *next += 1;
                    format!("{path}[{}]", *next - 1)
                }
                Some(Open::Mapping { path, key }) => match (key.take(), scalar) {
                    (Some(key), _) => key,
                    (None, name) => {
                        // A key; what isn't a scalar can't be one of ours.
                        let dot = if path.is_empty() { "" } else { "." };
                        let full = format!("{path}{dot}{}", name.unwrap_or("?"));
                        *key = Some(full.clone());
                        places.push(Place {
                            path: full,
                            line,
                            column,
                            is_key: true,
                        });
                        if name.is_none() {
                            open.push(opened(&event, String::from("?")));
                        }
                        continue;
                    }
                },
            };
            if open.is_empty() && scalar.is_some() {
                // A document that is a scalar: empty, or refused by the types.
                continue;
            }
            places.push(Place {
                path: path.clone(),
                line,
                column,
                is_key: false,
            });
            if scalar.is_none() {
                open.push(opened(&event, path));
            }
        }
        documents.push(places);
        Self(documents)
    }

    /// Says what the types said, in our words and with the path.
    fn complaint(&self, error: &Error) -> Complaint {
        let error = error.without_snippet();
        let location = error.location();
        let all = || self.0.iter().flatten();
        let mut place = location.and_then(|at| {
            let exact = all().filter(|place| (place.line, place.column) == (at.line(), at.column()));
            exact.max_by_key(|place| place.path.len())
        });
        // A field that is missing is noticed at the last key of the mapping that lacks it.
        if let (Error::SerdeMissingField { .. }, Some(key)) = (error, place.filter(|place| place.is_key)) {
            let mapping = key
                .path
                .rfind('.')
                .and_then(|dot| key.path.get(..dot))
                .unwrap_or_default();
            place = all().rfind(|place| place.path == mapping && place.line <= key.line);
        }
        let message = match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                format!("there is no field {field} here{}", instead(field, expected))
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                format!("{variant} is not known here{}", instead(variant, expected))
            }
            Error::SerdeMissingField { field, .. } => format!("the field {field} is missing"),
            other => other.render_with_formatter(&DefaultMessageFormatter.with_localizer(&WithoutPlace)),
        };
        Complaint {
            line: place.map(|place| place.line).or(location.map(|at| at.line())),
            path: place.map(|place| place.path.clone()),
            message,
        }
    }
}

fn opened(event: &Event<'_>, path: String) -> Open {
    match event {
        Event::SequenceStart(..) => Open::Sequence { path, next: 0 },
        _ => Open::Mapping { path, key: None },
    }
}

/// The nearest known word, or all of them.
fn instead(wrong: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&wrong.to_lowercase(), &word.to_lowercase()),
                word,
            )
        })
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4);
    match near {
        Some((_, word)) => format!("; did you mean {word}?"),
        None => format!("; known here: {}", known.join(", ")),
    }
}

/// The place goes before the message, not behind it.
struct WithoutPlace;

impl Localizer for WithoutPlace {
    fn attach_location<'b>(&self, base: Cow<'b, str>, _: Location) -> Cow<'b, str> {
        base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "\
workspace: demo
clusters:
  - name: local
    argocd: { url: http://127.0.0.1:8080, token: { env: ARGOCD_TOKEN }, ca: { file: ca.pem } }
    registry: { host: 127.0.0.1:5000, plainHttp: true }
projects:
  - name: myapp
    repository:
      url: https://git.example.com/gitops.git
      credentials: { user: x, token: { file: ./token } }
    environments:
      - name: development
        cluster: local
        resources:
          - name: api
            source: { image: 127.0.0.1:5000/myapp/api }
            runtime: { replicas: 2, ports: [8080], env: { B: 1, A: yes }, size: small, healthPath: /healthz }
      - name: staging
        cluster: local
        protected: true
        resources:
          - name: api
            kind: deployment
            source: { promote: { environment: development, resource: api } }
            binding: { pin: sha256:00 }
";

    fn complaint(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn the_whole_shape_is_read() {
        let written = read(WHOLE).unwrap();
        let project = &written.document.projects[0];
        assert_eq!(
            written.document.clusters[0].argocd.as_ref().unwrap().token,
            SecretRef::Env("ARGOCD_TOKEN".into())
        );
        let runtime = project.environments[0].resources[0].runtime.as_ref().unwrap();
        assert_eq!(
            runtime.env,
            [("B".into(), "1".into()), ("A".into(), "yes".into())],
            "the order stays"
        );
        assert!(project.environments[1].protected);
        assert_eq!(
            written
                .lines
                .of("projects[0].environments[1].resources[0].source.promote.resource"),
            Some(24)
        );
        assert_eq!(written.lines.of("projects[0].environments[1].name"), Some(18));
        assert_eq!(
            written
                .lines
                .of("projects[0].environments[0].resources[0].runtime.ingressHost"),
            Some(17)
        );
        assert_eq!(written.lines.of("workspace"), Some(1));
        assert_eq!(written.lines.of("nowhere"), None);
    }

    #[test]
    fn mistakes_are_said_with_their_line_and_the_nearest_word() {
        for (from, to, expected) in [
            (
                "        protected: true",
                "        protectd: true",
                "line 20: projects[0].environments[1].protectd: there is no field protectd here; did you mean protected?",
            ),
            (
                "plainHttp: true",
                "plain: true",
                "there is no field plain here; known here: host, plainHttp, user, password",
            ),
            (
                "kind: deployment",
                "kind: deploymnet",
                "line 23: projects[0].environments[1].resources[0].kind: deploymnet is not known here; did you mean deployment?",
            ),
            (
                "size: small",
                "size: tiny",
                "tiny is not known here; known here: small, medium, large",
            ),
            (
                "{ promote: {",
                "{ promoted: {",
                "line 24: projects[0].environments[1].resources[0].source.promoted: there is no field promoted here; did you mean promote?",
            ),
            (
                "binding: { pin: sha256:00 }",
                "binding: lastest",
                "line 25: projects[0].environments[1].resources[0].binding: lastest is not known here; did you mean latest?",
            ),
            (
                "      - name: staging\n        cluster",
                "      - cluster",
                "line 18: projects[0].environments[1]: the field name is missing",
            ),
            (
                "replicas: 2",
                "replicas: many",
                "line 17: projects[0].environments[0].resources[0].runtime.replicas: ",
            ),
            ("name: staging", "name: staging\n        name: again", "line 19: "),
            ("      url: https", "     url: https", "line 10: "),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let said = complaint(&WHOLE.replacen(from, to, 1));
            assert!(said.contains(expected), "{to}:\n  {said}\nlacks\n  {expected}");
        }
    }

    #[test]
    fn secrets_are_references_and_a_literal_is_never_repeated() {
        for literal in [
            "hunter2",
            "\"hunter2\"",
            "123456",
            "[hunter2]",
            "{ value: hunter2 }",
            "{ env: A, file: hunter2 }",
        ] {
            let said = complaint(&WHOLE.replace("{ file: ./token }", literal));
            assert!(!said.contains("hunter2") && !said.contains("123456"), "{said}");
            assert!(said.starts_with("line 10: "), "{said}");
            assert!(said.contains("env"), "{said}");
        }
    }

    #[test]
    fn several_documents_are_joined_and_keep_their_lines() {
        let text = format!(
            "---\n# nothing yet\n---\n{WHOLE}---\nworkspace: demo\nprojects:\n  - name: other\n    repository: {{ url: /srv/git/other.git }}\n"
        );
        let written = read(&text).unwrap();
        assert_eq!(written.document.projects.len(), 2);
        assert_eq!(written.lines.of("projects[0].name"), Some(10));
        assert_eq!(written.lines.of("projects[1].name"), Some(32));
        assert_eq!(written.lines.of("projects[1].repository.url"), Some(33));
        let said = complaint(&text.replace(
            "---\nworkspace: demo\nprojects:\n  - name: other",
            "---\nworkspace: two\nprojects:\n  - name: other",
        ));
        assert!(
            said.starts_with("line 30: workspace: the documents of one file are about one workspace, here demo"),
            "{said}"
        );
    }

    #[test]
    fn what_is_no_document_is_refused_in_words() {
        assert_eq!(complaint(""), "the file holds no document");
        assert_eq!(complaint("# only a comment\n"), "the file holds no document");
        for text in [
            "just words",
            "[1, 2]",
            "a: [",
            "\t- x",
            "workspace: *nobody",
            "? {a: b}\n: c",
        ] {
            assert!(complaint(text).starts_with("line 1: "), "{text}: {}", complaint(text));
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused_with_its_line() {
        const MANY: usize = 100_000;
        for nested in [
            "- ".repeat(MANY),
            "[".repeat(MANY),
            "{a: ".repeat(MANY) + &"}".repeat(MANY),
            "? ".repeat(MANY),
        ] {
            let said = complaint(&format!("workspace: demo\nclusters:\n  {nested}\n"));
            assert_eq!(said, "line 3 is nested too deeply (Waybill reads 64 levels)");
        }
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..30 {
            let alias = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        }
        assert!(!complaint(&laughs).is_empty());
        assert!(!complaint(&laughs.replace("a29:", "clusters:")).is_empty());
    }
}
