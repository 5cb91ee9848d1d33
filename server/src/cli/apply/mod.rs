//! `waybill apply`: reads a file and the secrets it refers to, checks it, sends it to a server, and says what changed.

use super::{Failure, Remote};
use crate::{
    nesting,
    service::configure::{self, Applied, Document, PlannedChange, SecretText, Sign},
    web::auth::COMMAND_LINE,
};
use domain::field::FieldErrors;
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};
use yaml::{Complaint, Lines};

pub mod secrets;

pub mod yaml;

/// Reads, checks and sends; prints what changed.
pub(super) async fn run(file: &Path, dry_run: bool, remote: &Remote) -> Result<(), Failure> {
    let (name, text, directory) = read(file)?;
    let complain = |complaints: &[Complaint]| {
        Failure::Usage(
            complaints
                .iter()
                .map(|c| format!("{name}: {c}"))
                .collect::<Vec<_>>()
                .join("\n"),
        )
    };
    let written = yaml::read(&text).map_err(|complaint| complain(&[complaint]))?;
    let lines = written.lines.clone();
    if let Err(errors) = configure::check_document(&written.document) {
        return Err(complain(&with_lines(&errors, &lines)));
    }
    let document =
        secrets::resolve(written, &directory, |variable| std::env::var_os(variable)).map_err(|c| complain(&c))?;
    let applied = match send(&document, dry_run, remote).await? {
        ApplyAnswer::Applied(applied) => applied,
        ApplyAnswer::Refused(problem) => {
            return Err(match problem.fields {
                Some(errors) if !errors.is_empty() => complain(&with_lines(&errors, &lines)),
                _ => Failure::Failed(problem.detail),
            });
        }
    };
    // Nobody is left to tell when the output is closed.
    let _ = std::io::stdout().write_all(report(&applied).as_bytes());
    for warning in &applied.warnings {
        let _ = writeln!(std::io::stderr(), "waybill: {warning}");
    }
    Ok(())
}

/// What is shown of the file's name, its text, and where its relative paths start.
fn read(file: &Path) -> Result<(String, String, PathBuf), Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|e| Failure::Usage(format!("The standard input can't be read: {e}.")))?;
        return Ok(("standard input".into(), text, PathBuf::new()));
    }
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::Usage(format!("The file {} can't be read: {e}.", file.display())))?;
    let directory = file.parent().map(Path::to_owned).unwrap_or_default();
    Ok((file.display().to_string(), text, directory))
}

fn with_lines(errors: &FieldErrors, lines: &Lines) -> Vec<Complaint> {
    let complaint = |error: &domain::field::FieldError| Complaint {
        line: lines.of(&error.field),
        path: Some(error.field.clone()),
        message: error.message.clone(),
    };
    errors.0.iter().map(complaint).collect()
}

/// One line per change, `+` for what is new and `~` for what differs, and a line that sums it up.
fn report(applied: &Applied) -> String {
    let mut report = String::new();
    for PlannedChange { sign, what } in &applied.changes {
        let sign = match sign {
            Sign::Create => '+',
            Sign::Change => '~',
            Sign::Remove => '-',
        };
        report.push_str(&format!("{sign} {what}\n"));
    }
    for sentence in &applied.outlook {
        report.push_str(&format!("> {sentence}\n"));
    }
    let sum = match (applied.changes.len(), applied.dry_run) {
        (0, _) => "no changes".to_owned(),
        (1, true) => "1 change would be made (dry run: nothing was)".to_owned(),
        (n, true) => format!("{n} changes would be made (dry run: nothing was)"),
        (1, false) => "1 change made".to_owned(),
        (n, false) => format!("{n} changes made"),
    };
    format!("{report}{sum}\n")
}

enum ApplyAnswer {
    Applied(Applied),
    Refused(Problem),
}

/// What the server says went wrong (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
    fields: Option<FieldErrors>,
}

async fn send(document: &Document<SecretText>, dry_run: bool, remote: &Remote) -> Result<ApplyAnswer, Failure> {
    let address = format!("{}/api/v1/apply?dry_run={dry_run}", remote.server.trim_end_matches('/'));
    let unreachable = |why: &dyn std::fmt::Display| {
        Failure::Failed(format!(
            "Waybill could not be reached at {}: {why}. Check --server.",
            remote.server
        ))
    };
    let Some(token) = &remote.token else {
        let why = "Give an API token with --token or WAYBILL_TOKEN; waybill token create makes one.";
        return Err(Failure::Usage(why.into()));
    };
    let client = reqwest::Client::builder()
        .user_agent(format!("{COMMAND_LINE}{}", env!("CARGO_PKG_VERSION")))
        .timeout(Duration::from_secs(120))
        .connect_timeout(Duration::from_secs(10))
        // A token must not follow a redirect to somewhere else.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| unreachable(&e))?;
    let response = client
        .post(&address)
        .bearer_auth(token.expose_secret())
        .json(document)
        .send()
        .await
        .map_err(|e| unreachable(&cause(&e)))?;
    let status = response.status();
    let body = response.bytes().await.map_err(|e| unreachable(&cause(&e)))?;
    if status.is_success() {
        return nesting::json(&body)
            .map(ApplyAnswer::Applied)
            .map_err(|_| unreachable(&"what answers there is not Waybill, or another release of it"));
    }
    nesting::json(&body)
        .map(ApplyAnswer::Refused)
        .map_err(|_| unreachable(&format!("it answered with status {status} and no reason")))
}

/// The innermost cause says what happened; the outer ones repeat the address.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_a_line_per_change_and_sums_up() {
        let mut applied = Applied {
            workspace: "demo".parse().unwrap(),
            dry_run: false,
            changes: vec![
                PlannedChange {
                    sign: Sign::Create,
                    what: "project myapp".into(),
                },
                PlannedChange {
                    sign: Sign::Change,
                    what: "cluster local: argocd url a → b".into(),
                },
            ],
            warnings: vec![],
            outlook: vec![],
        };
        assert_eq!(
            report(&applied),
            "+ project myapp\n~ cluster local: argocd url a → b\n2 changes made\n"
        );
        applied.dry_run = true;
        assert!(report(&applied).ends_with("2 changes would be made (dry run: nothing was)\n"));
        applied.changes.clear();
        assert_eq!(report(&applied), "no changes\n");
    }
}
