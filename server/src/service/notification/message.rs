//! What a notification says: made once, when the ledger's entry is read, and stored as it is sent.
//!
//! The stored text is the body of a webhook; of it a line for Slack and an e-mail are made. It names what a promotion's page shows to
//! whoever may see the project, and nothing secret.

use domain::{
    artifact::ExactImage,
    event::{Event, Happened},
    notification::Occasion,
    promotion::{Promotion, State},
    recall::sentence_end,
    resource::Resource,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The word for a test, where others have their occasion.
pub(super) const TEST: &str = "test";

/// What is sent: the body of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The occasion, a word; [`TEST`] for a test.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, RFC 3339.
    pub timestamp: String,
    /// What happened.
    pub data: Data,
}

/// What happened: where, what, who.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// One line for people.
    pub title: String,
    /// Sentences that say more.
    pub text: String,
    /// The page that shows it.
    pub url: String,
    /// The workspace.
    pub workspace: String,
    /// The project.
    pub project: String,
    /// The environment.
    pub environment: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// The promotion's id.
    pub promotion: Option<String>,
    /// What ran before.
    pub from: Option<Image>,
    /// What is to run, or runs.
    pub to: Option<Image>,
    /// Who did it.
    pub actor: String,
}

/// An exact image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it lies.
    pub repository: String,
    /// The tag it was known by.
    pub tag: Option<String>,
    /// What it is.
    pub digest: String,
}

impl From<&ExactImage> for Image {
    fn from(image: &ExactImage) -> Self {
        Self {
            repository: image.repository.to_string(),
            tag: image.tag.as_ref().map(ToString::to_string),
            digest: image.digest.to_string(),
        }
    }
}

/// By which names an entry's things go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) project: &'a str,
    pub(crate) environment: &'a str,
    pub(crate) resource: &'a str,
}

/// What an entry of the ledger is about, as it stands now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) names: Names<'a>,
    pub(crate) resource: &'a Resource,
    pub(crate) promotion: Option<&'a Promotion>,
}

impl Message {
    /// What is told of an entry. `public_url` is the address people use.
    pub(crate) fn of(event: &Event, occasion: Occasion, about: About<'_>, public_url: &str) -> Self {
        let names = about.names;
        let promotion = about.promotion;
        let place = format!("{}/{}", names.environment, names.resource);
        let page = match promotion {
            Some(promotion) => format!("{public_url}/promotions/{}", promotion.id),
            None => format!("{public_url}/w/{}/{}/{place}", names.workspace, names.project),
        };
        let (from, to) = match (promotion, &event.happened) {
            (Some(promotion), _) => (promotion.previous.clone(), Some(promotion.image.clone())),
            (None, Happened::DesiredChanged { image, .. }) => (None, image.clone()),
            (None, _) => (None, about.resource.desired.clone()),
        };
        let (title, text) = words(event, occasion, about, public_url);
        Self {
            kind: occasion.as_str().to_owned(),
            timestamp: event.at.rfc3339(),
            data: Data {
                title: line(&title),
                text: line(&text),
                url: page,
                workspace: names.workspace.to_owned(),
                project: names.project.to_owned(),
                environment: Some(names.environment.to_owned()),
                resource: Some(names.resource.to_owned()),
                promotion: promotion.map(|promotion| promotion.id.to_string()),
                from: from.as_ref().map(Image::from),
                to: to.as_ref().map(Image::from),
                actor: line(event.actor.name()),
            },
        }
    }

    /// What is told of a recall, or of its end: in an environment, of its workspace and project.
    pub(crate) fn of_recall(
        event: &Event,
        [workspace, project, environment]: [&str; 3],
        public_url: &str,
    ) -> Option<Self> {
        let actor = event.actor.name();
        let (digest, title, text) = match &event.happened {
            Happened::DigestRecalled { digest, reason, places } => {
                let run = match places {
                    1 => "1 resource ran it or was to run it.".to_owned(),
                    many => format!("{many} resources ran it or were to run it."),
                };
                let title = format!("{actor} recalled {}: {environment} has it", digest.short());
                (digest, title, format!("{} {run}", sentence_end(reason)))
            }
            Happened::RecallLifted { digest, reason } => {
                let title = format!("{actor} lifted the recall of {}", digest.short());
                (digest, title, sentence_end(reason))
            }
            _ => return None,
        };
        Some(Self {
            kind: Occasion::Recalled.as_str().to_owned(),
            timestamp: event.at.rfc3339(),
            data: Data {
                title: line(&title),
                text: line(&text),
                url: format!("{public_url}/w/{workspace}/-/artifacts/{digest}/recall"),
                workspace: workspace.to_owned(),
                project: project.to_owned(),
                environment: Some(environment.to_owned()),
                resource: None,
                promotion: None,
                from: None,
                to: None,
                actor: line(actor),
            },
        })
    }

    /// A test of a channel.
    pub(crate) fn test(channel: &str, project: &str, workspace: &str, by: &str, at: Timestamp, page: String) -> Self {
        Self {
            kind: TEST.to_owned(),
            timestamp: at.rfc3339(),
            data: Data {
                title: format!("Test of the channel {channel}"),
                text: line(&format!(
                    "{by} tried it out. Notifications of the project {project} come this way."
                )),
                url: page,
                workspace: workspace.to_owned(),
                project: project.to_owned(),
                environment: None,
                resource: None,
                promotion: None,
                from: None,
                to: None,
                actor: line(by),
            },
        }
    }

    /// The body for an incoming webhook of Slack: a title that leads to the page, and what there is to say.
    #[must_use]
    pub fn slack(&self) -> String {
        let data = &self.data;
        let mut text = format!("*<{}|{}>*", escaped(&data.url), escaped(&data.title));
        if !data.text.is_empty() {
            // Writing to a String can't fail.
            let _ = write!(text, "\n{}", escaped(&data.text));
        }
        serde_json::json!({ "text": text }).to_string()
    }

    /// The text of an e-mail.
    #[must_use]
    pub fn plain(&self) -> String {
        let Data {
            title,
            text,
            url,
            workspace,
            project,
            ..
        } = &self.data;
        format!("{title}\n\n{text}\n\n{url}\n\n-- \nWaybill, project {project} in {workspace}\n")
    }
}

/// What is said: one line, and sentences that say more.
fn words(event: &Event, occasion: Occasion, about: About<'_>, public_url: &str) -> (String, String) {
    let names = about.names;
    let actor = event.actor.name();
    let flow = format!("{} → {}", names.resource, names.environment);
    let place = format!("{}/{}", names.environment, names.resource);
    let change = about.promotion.map(change).unwrap_or_default();
    match (occasion, &event.happened) {
        (Occasion::NeedsApproval, _) => {
            let asked = about
                .promotion
                .map_or("Waybill", |promotion| promotion.requested_by.name());
            let waits = about.promotion.and_then(|promotion| promotion.waits_for.as_deref());
            let waits = waits.map(|what| format!(" Waits for {what}.")).unwrap_or_default();
            (
                format!("{flow} needs approval"),
                format!("{change} {asked} asked for it.{waits}"),
            )
        }
        (Occasion::Approved, Happened::Approved { comment, .. }) => {
            let comment = comment
                .as_ref()
                .map(|comment| format!(" {comment}"))
                .unwrap_or_default();
            (format!("{actor} approved {flow}"), format!("{change}{comment}"))
        }
        (Occasion::Failed, Happened::PromotionMoved { from, detail, .. }) => {
            let detail = detail.as_deref().unwrap_or_default();
            (
                format!("{flow} failed"),
                format!("{change} It failed while {}. {detail}", doing(*from)),
            )
        }
        (Occasion::Succeeded, Happened::PromotionMoved { detail, .. }) => {
            let detail = detail.as_deref().unwrap_or_default();
            (format!("{flow} succeeded"), format!("{change} {detail}"))
        }
        (Occasion::Succeeded, Happened::PromotionLiveAfterAll { evidence, .. }) => (
            format!("{flow} is live after all"),
            format!("{change} It had failed, and went live since. {evidence}"),
        ),
        (Occasion::Drift, Happened::DesiredChanged { image, commit, by }) => {
            let by = by.as_deref().unwrap_or("somebody else");
            let commit = commit.get(..7).unwrap_or(commit);
            let now = match image {
                Some(image) => format!("It declares {} now", label(image)),
                None => "It declares no exact image any more".to_owned(),
            };
            (
                format!("{place}: Git was changed by {by}"),
                format!("{now}, with commit {commit}, which Waybill didn't make."),
            )
        }
        (Occasion::Drift, Happened::LiveChanged { digests, .. }) => {
            let declared = about.resource.desired.as_ref().map(label).unwrap_or_default();
            (
                format!("{place} runs something else than Git says"),
                format!("{} is live, and Git declares {declared}.", digests.join(" and ")),
            )
        }
        (Occasion::Drift, Happened::TagDrifted { repository, tag, to }) => (
            format!("{place}: somebody else changed the tag {tag}"),
            match to {
                Some(to) => format!("In {repository} it names {} now. What runs is as before.", to.short()),
                None => format!("In {repository} it is gone. What runs is as before."),
            },
        ),
        (
            Occasion::ImageGone,
            Happened::ImageIncomplete {
                repository,
                digest,
                missing,
            },
        ) => (
            format!("{place} runs an image that can't be pulled any more"),
            format!(
                "{repository} lost parts of {}: {}. Running pods continue until a node must pull the image.",
                digest.short(),
                missing.join(", ")
            ),
        ),
        (
            Occasion::Hold,
            Happened::Held {
                cause,
                outside: Some(outside),
            },
        ) => (
            format!("{place} is held"),
            format!(
                "It was {} by {} in {}. It doesn't follow its source until somebody resumes it.",
                cause.deed(),
                outside.author,
                outside.commit.get(..7).unwrap_or(&outside.commit)
            ),
        ),
        (Occasion::Hold, Happened::Held { cause, .. }) => (
            format!("{place} is held"),
            format!(
                "{actor} {}. It doesn't follow its source until somebody resumes it.",
                match cause {
                    domain::resource::HoldCause::Pinned => "pinned it",
                    domain::resource::HoldCause::RolledBack => "rolled it back",
                    domain::resource::HoldCause::NoFile => "found no values file for it",
                    domain::resource::HoldCause::SetUp => "set it up where only others may change what runs",
                    domain::resource::HoldCause::MovedInGit => "saw another image in Git",
                    domain::resource::HoldCause::RecalledInGit => "saw a recalled image in Git",
                    domain::resource::HoldCause::RemovedFromGit => "saw that it was removed from Git",
                    domain::resource::HoldCause::DisabledInGit => "saw that it was switched off in Git",
                }
            ),
        ),
        (Occasion::Hold, Happened::TakenBack { by, to }) => (
            format!("{place} was taken back to {}", label(to)),
            format!(
                "{change} It failed, and what was healthy before is committed again: {public_url}/promotions/{by}. It doesn't follow its \
                 source until somebody resumes it."
            ),
        ),
        // Not reached: an occasion comes from the kinds of entries above.
        (occasion, _) => (format!("{flow}: {}", occasion.label()), change),
    }
}

/// What a promotion changes: `1.3.0 (a1b2c3d) → 1.4.0 (d4e5f6a), from staging.`
fn change(promotion: &Promotion) -> String {
    let before = promotion.previous.as_ref().map_or("nothing".to_owned(), label);
    let origin = promotion.origin.as_ref();
    let origin = origin
        .map(|origin| format!(", from {}", origin.environment))
        .unwrap_or_default();
    format!("{before} → {}{origin}.", label(&promotion.image))
}

fn label(image: &ExactImage) -> String {
    match &image.tag {
        Some(tag) => format!("{tag} ({})", image.digest.short()),
        None => image.digest.short().to_owned(),
    }
}

fn doing(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting for its gates",
        State::Queued => "looking for the image",
        State::Mirroring => "copying the image",
        State::Committing => "committing",
        State::Syncing => "syncing",
        State::Verifying => "verifying",
        _ => "moving on",
    }
}

/// A text on one line: what others wrote must not look like more than it is.
fn line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// What Slack reads as its own marks, written as text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(title: &str, text: &str) -> Message {
        let mut message = Message::test(
            "ops",
            "myapp",
            "demo",
            "Ada",
            Timestamp(0),
            "https://w.example/p?a&b".into(),
        );
        message.data.title = title.into();
        message.data.text = text.into();
        message
    }

    #[test]
    fn what_slack_would_read_as_marks_stays_text() {
        let body = message("a <!channel> & b", "x > y\nz").slack();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body["text"],
            "*<https://w.example/p?a&amp;b|a &lt;!channel&gt; &amp; b>*\nx &gt; y\nz"
        );
    }

    #[test]
    fn texts_of_others_stay_on_their_line() {
        let test = Message::test("ops", "p", "w", "Eve\r\nBcc: x@y", Timestamp(0), String::new());
        assert_eq!(test.data.actor, "Eve Bcc: x@y");
        assert!(!test.data.text.contains('\n'));
    }

    #[test]
    fn what_is_stored_is_the_body_of_a_webhook() {
        let test = message("t", "x");
        let text = serde_json::to_string(&test).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["type"], "test");
        assert_eq!(value["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(value["data"]["environment"], serde_json::Value::Null);
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), test);
    }
}
