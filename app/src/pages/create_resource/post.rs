//! The form as it is posted: the draft, and which button sent it.
//!
//! Without a script every button of the form submits it. *Create Resource* carries it out; the others ask for another
//! row, or for narrowed choices, and get the form back as it was typed.

use crate::api::preview::Preview;
use domain::{
    draft::{MAX_ROWS, ResourceDraft, VariableDraft},
    id::PromotionId,
};
use serde::{Deserialize, Serialize};

/// The posted form.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Submission {
    /// What was typed.
    #[serde(flatten)]
    pub(crate) draft: ResourceDraft,
    /// Value of the button that sent it; empty when none did.
    pub(crate) intent: String,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum CreateOutcome {
    /// The resource is there; its first promotion.
    Created(PromotionId),
    /// What creating it would do.
    Previewed(Box<Preview>),
}

/// What a button of the form asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Intent {
    /// Create the resource.
    Create,
    /// Show what creating it would change.
    Preview,
    /// Show the choices that follow from what was chosen.
    Update,
    /// One more port.
    AddPort,
    /// Without this port, counted from 0.
    RemovePort(usize),
    /// One more variable.
    AddVariable,
    /// Without this variable, counted from 0.
    RemoveVariable(usize),
    /// Pin to this digest.
    UseDigest(String),
}

impl Intent {
    /// Reads a button's value. Rows are counted from 1 there. What no button says only shows the form again.
    pub(crate) fn parse(value: &str) -> Self {
        let row = |prefix: &str| value.strip_prefix(prefix)?.parse::<usize>().ok()?.checked_sub(1);
        match value {
            "" | "create" => Self::Create,
            "preview" => Self::Preview,
            "add-port" => Self::AddPort,
            "add-variable" => Self::AddVariable,
            _ => {
                if let Some(digest) = value.strip_prefix("use-") {
                    Self::UseDigest(digest.to_owned())
                } else if let Some(row) = row("remove-port-") {
                    Self::RemovePort(row)
                } else if let Some(row) = row("remove-variable-") {
                    Self::RemoveVariable(row)
                } else {
                    Self::Update
                }
            }
        }
    }

    /// Does to the draft what the button says.
    pub(crate) fn apply(&self, draft: &mut ResourceDraft) {
        match self {
            Self::Create | Self::Preview | Self::Update => {}
            Self::AddPort => draft.ports.push(String::new()),
            Self::AddVariable => draft.env.push(VariableDraft::default()),
            Self::RemovePort(row) if *row < draft.ports.len() => drop(draft.ports.remove(*row)),
            Self::RemoveVariable(row) if *row < draft.env.len() => drop(draft.env.remove(*row)),
            Self::RemovePort(_) | Self::RemoveVariable(_) => {}
            Self::UseDigest(digest) => {
                draft.binding = "pin".into();
                draft.digest.clone_from(digest);
            }
        }
        tidy(draft);
    }

    /// The field to go on with when the page is shown again.
    pub(crate) fn focus(&self, draft: &ResourceDraft) -> Option<String> {
        match self {
            Self::Create | Self::Preview => None,
            Self::Update if draft.source_environment.is_empty() => Some("source_environment".into()),
            Self::Update => Some("source_resource".into()),
            Self::AddPort | Self::RemovePort(_) => Some(format!("ports[{}]", draft.ports.len().saturating_sub(1))),
            Self::AddVariable | Self::RemoveVariable(_) => {
                Some(format!("env[{}][name]", draft.env.len().saturating_sub(1)))
            }
            Self::UseDigest(_) => Some("digest".into()),
        }
    }
}

/// Leaves at least one row of each kind to type in, and no more rows than it takes to say that there are too many.
pub(crate) fn tidy(draft: &mut ResourceDraft) {
    draft.ports.truncate(MAX_ROWS + 1);
    draft.env.truncate(MAX_ROWS + 1);
    if draft.ports.is_empty() {
        draft.ports.push(String::new());
    }
    if draft.env.is_empty() {
        draft.env.push(VariableDraft::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::read;

    #[test]
    fn a_browsers_body_is_read_with_escaped_brackets_and_signs() {
        let posted: Submission = read(
            "intent=create&source=promote&image=&source_environment=staging&source_resource=api&binding=pin\
             &digest=sha256%3Aab+&name=api&replicas=2&ports%5B0%5D=8080&ports%5B1%5D=9090\
             &env%5B0%5D%5Bname%5D=GREETING&env%5B0%5D%5Bvalue%5D=a+b%26c%3Dd%2Be%5B0%5D%0D%0A%C3%A9\
             &env%5B1%5D%5Bname%5D=&env%5B1%5D%5Bvalue%5D=&ingress_host=&size=small&health_path=%2Fhealthz",
        )
        .unwrap();
        assert_eq!(posted.intent, "create");
        let draft = posted.draft;
        assert_eq!(draft.digest, "sha256:ab ");
        assert_eq!(draft.ports, ["8080", "9090"]);
        assert_eq!(draft.env.len(), 2);
        assert_eq!(
            (&*draft.env[0].name, &*draft.env[0].value),
            ("GREETING", "a b&c=d+e[0]\r\né")
        );
        assert_eq!((&*draft.size, &*draft.health_path), ("small", "/healthz"));
    }

    #[test]
    fn fields_that_are_missing_or_unknown_do_no_harm() {
        let posted: Submission = read("source=image&colour=red&env[0][name]=A&more[0][x]=1").unwrap();
        assert_eq!((&*posted.draft.source, &*posted.draft.name), ("image", ""));
        assert_eq!(posted.draft.env[0].value, "");
        assert_eq!(Intent::parse(&posted.intent), Intent::Create);
        assert_eq!(read::<Submission>("").unwrap(), Submission::default());
    }

    #[test]
    fn rows_keep_their_order_whatever_their_numbers() {
        let body: Vec<String> = (0..60)
            .rev()
            .map(|i| format!("ports%5B{}%5D={}", i * 3, 1000 + i))
            .collect();
        let mut draft = read::<Submission>(&body.join("&")).unwrap().draft;
        assert_eq!(draft.ports.len(), 60);
        assert_eq!((&*draft.ports[0], &*draft.ports[59]), ("1000", "1059"));
        tidy(&mut draft);
        assert_eq!(draft.ports.len(), MAX_ROWS + 1);
        assert_eq!(draft.env, [VariableDraft::default()]);
    }

    #[test]
    fn a_body_that_is_no_such_form_is_refused() {
        for body in ["ports=1", "ports[0][a]=1", "name[0]=a", "name=a&name=b", "env[0]=x"] {
            assert_eq!(read::<Submission>(body).unwrap_err().status(), 400, "{body}");
        }
    }

    #[test]
    fn what_was_posted_comes_back_to_the_browser_as_it_was() {
        let mut posted = Submission {
            draft: ResourceDraft::fresh(),
            intent: "add-port".into(),
        };
        posted.draft.ports.push("80".into());
        let there = serde_qs::to_string(&posted).unwrap();
        assert_eq!(read::<Submission>(&there).unwrap(), posted);
    }

    #[test]
    fn buttons_change_rows_and_nothing_else() {
        let mut draft = ResourceDraft {
            name: "api".into(),
            ports: vec!["80".into(), "81".into(), "82".into()],
            ..ResourceDraft::fresh()
        };
        let typed = draft.clone();
        for (value, ports) in [
            ("remove-port-2", &["80", "82"][..]),
            ("remove-port-9", &["80", "82"]),
            ("remove-port-0", &["80", "82"]),
            ("add-port", &["80", "82", ""]),
            ("remove-port-1", &["82", ""]),
            ("remove-port-1", &[""]),
            ("remove-port-1", &[""]),
        ] {
            Intent::parse(value).apply(&mut draft);
            assert_eq!(draft.ports, ports, "{value}");
        }
        Intent::parse("add-variable").apply(&mut draft);
        assert_eq!(Intent::AddVariable.focus(&draft).as_deref(), Some("env[1][name]"));
        Intent::parse("remove-variable-1").apply(&mut draft);
        assert_eq!(
            ResourceDraft {
                ports: typed.ports.clone(),
                ..draft
            },
            typed
        );
    }

    #[test]
    fn a_recent_digest_is_taken_over_and_pins() {
        let mut draft = ResourceDraft::fresh();
        Intent::parse("use-sha256:00ff").apply(&mut draft);
        assert_eq!((&*draft.binding, &*draft.digest), ("pin", "sha256:00ff"));
    }

    #[test]
    fn what_no_button_says_creates_nothing() {
        for value in ["update", "Create", "remove-port-x", "remove-port-", "drop"] {
            assert_eq!(Intent::parse(value), Intent::Update, "{value}");
        }
    }
}
