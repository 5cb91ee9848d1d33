//! How a project words its commits: the first line of their messages, and the authors' addresses.
//!
//! Some Git hosts take only commits whose subject begins with the key of a ticket, or whose author's address is one that the host gave.

use crate::{
    artifact::Digest,
    name::Name,
    promotion::{Origin, Promotion},
};

/// The longest template, in characters.
pub const LONGEST: usize = 200;
/// What the template of a subject may hold between braces.
pub const SUBJECT_FIELDS: [&str; 6] = ["verb", "environment", "resource", "tag", "digest", "source"];
/// What the template of an author's address may hold between braces.
pub const AUTHOR_FIELDS: [&str; 1] = ["user"];

/// Whether a template may word the subjects of commits.
///
/// # Errors
/// What is wrong with it, a sentence.
pub fn check_subject(template: &str) -> Result<(), String> {
    check(template, &SUBJECT_FIELDS)?;
    match template.trim().is_empty() {
        true => Err("Enter a text, or leave it out for Waybill's own subject.".into()),
        false => Ok(()),
    }
}

/// Whether a template may make the addresses of authors.
///
/// # Errors
/// What is wrong with it, a sentence.
pub fn check_author(template: &str) -> Result<(), String> {
    check(template, &AUTHOR_FIELDS)?;
    let address = author(template, "ada@example.com");
    let is_address = address.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && !host.is_empty()
            && !address.contains(|c: char| c.is_whitespace() || "<>@,;".contains(c) && c != '@')
            && !host.contains('@')
    });
    match is_address {
        true => Ok(()),
        false => Err("Enter one e-mail address, for example {user}@users.noreply.example.com.".into()),
    }
}

fn check(template: &str, fields: &[&str]) -> Result<(), String> {
    if template.chars().count() > LONGEST {
        return Err(format!("Use at most {LONGEST} characters."));
    }
    if template.contains(unseen) {
        return Err("Use one line, without control characters or others that can't be seen.".into());
    }
    if !template.trim().is_empty() && template.trim() != template {
        return Err("Leave out the blanks at its beginning and end.".into());
    }
    let known = || {
        fields
            .iter()
            .map(|field| format!("{{{field}}}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let field = rest[at..].strip_prefix('{').and_then(|after| after.split_once('}'));
        let Some((field, after)) = field.filter(|(field, _)| !field.contains('{')) else {
            return Err(format!("A brace stands alone. The fields are {}.", known()));
        };
        if !fields.contains(&field) {
            return Err(format!("There is no field {{{field}}}. The fields are {}.", known()));
        }
        rest = after;
    }
    Ok(())
}

/// Characters that nobody sees, or that turn the order of what is shown around.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// What a commit is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// What it does: `promote`, `deploy`, `pin`, `rollback` or `remove`.
    pub verb: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// The resource; several with commas between.
    pub resource: &'a str,
    /// The image's tag, or the first characters of its digest; empty without an image.
    pub tag: &'a str,
    /// The image's digest.
    pub digest: Option<&'a Digest>,
    /// The environment that the image comes from, else its repository; empty without an image.
    pub source: &'a str,
}

/// The first line of a commit's message by a project's template. Blanks around what is empty go with it.
#[must_use]
pub fn subject(template: &str, about: &About<'_>) -> String {
    let filled = fill(template, |field| match field {
        "verb" => Some(about.verb),
        "environment" => Some(about.environment),
        "resource" => Some(about.resource),
        "tag" => Some(about.tag),
        "digest" => Some(about.digest.map_or("", Digest::as_str)),
        "source" => Some(about.source),
        _ => None,
    });
    filled.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The address of an author by a project's template: `{user}` is what stands before the `@` of the person's own.
#[must_use]
pub fn author(template: &str, email: &str) -> String {
    let user = email.rsplit_once('@').map_or(email, |(user, _)| user);
    fill(template, |field| (field == "user").then_some(user))
}

/// In one go, so that a brace in what is filled in is no field.
fn fill<'a>(template: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = after
            .split_once('}')
            .and_then(|(field, after)| Some((value(field)?, after)));
        let (text, after) = found.unwrap_or(("{", after));
        filled.push_str(text);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

impl Promotion {
    /// The first line of its commit's message, by the project's template or by Waybill's own: `promote(production): api a1b2c3d from staging`.
    #[must_use]
    pub fn subject(&self, template: Option<&str>, environment: &Name, resource: &Name) -> String {
        let (verb, tag) = (self.purpose.as_str(), self.image.short_label());
        let from = self.origin.as_ref().map(|Origin { environment, .. }| environment);
        let Some(template) = template else {
            let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
            return format!("{verb}({environment}): {resource} {tag}{from}");
        };
        let about = About {
            verb,
            environment: environment.as_str(),
            resource: resource.as_str(),
            tag,
            digest: Some(&self.image.digest),
            source: from.map_or(self.image.repository.as_str(), Name::as_str),
        };
        subject(template, &about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_checked() {
        for fine in [
            "JIRA-1: {verb}({environment}): {resource} {tag}",
            "x",
            "{source} {digest}",
        ] {
            assert_eq!(check_subject(fine), Ok(()), "{fine}");
        }
        let longest = "x".repeat(LONGEST);
        assert_eq!(check_subject(&longest), Ok(()));
        for (wrong, words) in [
            (&*format!("{longest}x"), "at most 200"),
            ("a\nb", "one line"),
            ("a\u{2028}b", "one line"),
            (
                "{ticket}: {verb}",
                "There is no field {ticket}. The fields are {verb}, ",
            ),
            ("{verb", "stands alone"),
            ("verb}", "stands alone"),
            ("{{verb}}", "stands alone"),
            (" ", "Enter a text"),
            ("JIRA-1: \u{202E}{verb}", "can't be seen"),
            (" JIRA-1: {verb}", "Leave out the blanks"),
        ] {
            let why = check_subject(wrong).unwrap_err();
            assert!(why.contains(words), "{wrong}: {why}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        for fine in [
            "{user}@users.noreply.example.com",
            "waybill@example.com",
            "{user}+ci@example.com",
        ] {
            assert_eq!(check_author(fine), Ok(()), "{fine}");
        }
        for wrong in [
            "",
            "{user}",
            "@example.com",
            "{user}@",
            "a@b@c",
            "a b@example.com",
            "<a@example.com>",
            "{name}@example.com",
        ] {
            assert!(check_author(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn templates_are_filled_once() {
        let about = About {
            verb: "remove",
            environment: "production",
            resource: "{tag}",
            tag: "",
            digest: None,
            source: "",
        };
        assert_eq!(
            subject("JIRA-1: {verb}({environment}): {resource} {tag} {source}", &about),
            "JIRA-1: remove(production): {tag}"
        );
        assert_eq!(
            author("{user}@noreply.example.com", "ada.l@example.com"),
            "ada.l@noreply.example.com"
        );
        assert_eq!(author("bot@example.com", "ada@example.com"), "bot@example.com");
    }
}
