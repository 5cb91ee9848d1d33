//! Reads the secrets that a document refers to, where the command runs.

use super::yaml::{Complaint, Written};
use crate::service::configure::{Document, SecretRef, SecretText, SecretUse};
use std::{ffi::OsString, io::Read as _, path::Path};

/// The largest file that may hold a secret: keys and certificate bundles are far smaller.
const LARGEST: u64 = 128 * 1024;

/// Reads every secret. Relative paths start at `directory`; `variable` gives an environment variable.
///
/// # Errors
/// Every secret that can't be read, by line; no secret is part of a message.
pub fn resolve(
    written: Written,
    directory: &Path,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Document<SecretText>, Vec<Complaint>> {
    let Written { document, lines } = written;
    let mut complaints = Vec::new();
    let resolved = document.resolve(&mut |path: &str, kind, reference: SecretRef| match read(
        &reference, kind, directory, &variable,
    ) {
        Ok(text) => Some(text),
        Err(message) => {
            complaints.push(Complaint {
                line: lines.of(path),
                path: Some(path.to_owned()),
                message,
            });
            None
        }
    });
    resolved.ok_or(complaints)
}

fn read(
    reference: &SecretRef,
    kind: SecretUse,
    directory: &Path,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<SecretText, String> {
    let text = match reference {
        SecretRef::Env(name) => match variable(name).map(OsString::into_string) {
            None => return Err(format!("the environment variable {name} is not set")),
            Some(Err(_)) => return Err(format!("the environment variable {name} is not UTF-8 text")),
            Some(Ok(text)) => text,
        },
        SecretRef::File(path) => {
            let path = directory.join(path);
            let fail = |why: &dyn std::fmt::Display| format!("the file {} can't be read: {why}", path.display());
            let file = std::fs::File::open(&path).map_err(|e| fail(&e))?;
            let mut text = String::new();
            file.take(LARGEST + 1).read_to_string(&mut text).map_err(|e| fail(&e))?;
            if text.len() as u64 > LARGEST {
                return Err(fail(&"it is too large for a secret"));
            }
            text
        }
    };
    let text = match kind {
        SecretUse::Word => text.trim_end_matches(['\r', '\n']),
        SecretUse::Content => text.as_str(),
    };
    if text.trim().is_empty() {
        return Err(match reference {
            SecretRef::Env(name) => format!("the environment variable {name} is empty"),
            SecretRef::File(path) => format!("the file {path} is empty"),
        });
    }
    if kind == SecretUse::Word && text.chars().any(char::is_control) {
        return Err("it has several lines or control characters, which no token or password has".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::{super::yaml, *};

    fn document(token: &str, password: &str) -> Written {
        yaml::read(&format!(
            "workspace: demo\nclusters:\n  - name: local\n    argocd:\n      url: http://a\n      token: {token}\n    registry:\n      host: r.example\n      user: u\n      password: {password}\n"
        ))
        .unwrap()
    }

    #[test]
    fn secrets_come_from_variables_and_from_files_beside_the_yaml() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), "hunter2\r\n").unwrap();
        let written = document("{ env: TOKEN }", "{ file: ./password }");
        let resolved = resolve(written, directory.path(), |name| {
            (name == "TOKEN").then(|| "abc\n".into())
        })
        .unwrap();
        let cluster = &resolved.clusters[0];
        assert_eq!(cluster.argocd.as_ref().unwrap().token.expose(), "abc");
        let sent = serde_json::to_value(cluster).unwrap();
        assert_eq!(sent["registry"]["password"], "hunter2");
        assert!(!format!("{resolved:?}").contains("hunter2"));
    }

    #[test]
    fn all_that_is_missing_is_said_at_once_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let complaints = resolve(document("{ env: NOBODY }", "{ file: none }"), directory.path(), |_| {
            None
        })
        .unwrap_err();
        let said: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert_eq!(
            said[0],
            "line 6: clusters[0].argocd.token: the environment variable NOBODY is not set"
        );
        assert!(
            said[1].starts_with("line 10: clusters[0].registry.password: the file "),
            "{said:?}"
        );
    }

    #[test]
    fn empty_and_broken_secrets_are_refused_without_being_repeated() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), "hunter2\nsecond line").unwrap();
        let complaints = resolve(document("{ env: E }", "{ file: password }"), directory.path(), |_| {
            Some("".into())
        })
        .unwrap_err();
        assert!(complaints[0].message.contains("is empty"));
        assert!(complaints[1].message.contains("several lines") && !complaints[1].message.contains("hunter2"));
    }
}
