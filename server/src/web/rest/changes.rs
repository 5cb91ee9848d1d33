//! `GET /api/v1/promotions/{promotion}/changes`: the commits between the image before a promotion and the new one.

use super::asker;
use crate::{
    service::{Services, views},
    web::{auth::Identity, error::Problem, routes::Routes},
};
use axum::{
    Extension, Json,
    extract::{Path, State},
};
use domain::source::{Changes, Commits, Revision, SourceChanges, SourceCommit};
use serde::Serialize;

/// The route.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new()
        .get("/api/v1/promotions/{promotion}/changes", changes)
        .with(|routes| routes.with_state(services))
}

/// What programs are answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// `same`, `forward`, `backward`, `diverged` or `unknown`.
    relation: &'static str,
    /// The same for people, or why it is unknown.
    summary: String,
    /// Host and path of the repository.
    repository: Option<String>,
    folder: Option<String>,
    before: Option<String>,
    after: Option<String>,
    compare_url: Option<String>,
    /// Where two histories part.
    base: Option<String>,
    /// Commits that the new image brings.
    added: Listed,
    /// Commits that it takes back.
    removed: Listed,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    commits: Vec<Commit>,
    has_more: bool,
}

#[derive(Serialize)]
struct Commit {
    id: String,
    subject: String,
    author: String,
    /// RFC 3339.
    at: String,
    url: Option<String>,
}

async fn changes(
    State(services): State<Services>,
    Path(id): Path<String>,
    caller: Option<Extension<Identity>>,
) -> Result<Json<Answer>, Problem> {
    let caller = asker(caller)?;
    Ok(Json(views::changes(&services, &caller, &id).await?.into()))
}

impl From<SourceChanges> for Answer {
    fn from(of: SourceChanges) -> Self {
        let summary = of.sentence();
        let name = |revision: Revision| revision.as_str().to_owned();
        let nothing = Listed::default;
        let (relation, base, added, removed) = match of.changes {
            Changes::Same => ("same", None, nothing(), nothing()),
            Changes::Known {
                commits,
                is_forward: true,
            } => ("forward", None, commits.into(), nothing()),
            Changes::Known {
                commits,
                is_forward: false,
            } => ("backward", None, nothing(), commits.into()),
            Changes::BothWays { base, new, gone } => ("diverged", base, new.into(), gone.into()),
            Changes::Unknown { .. } => ("unknown", None, nothing(), nothing()),
        };
        Self {
            relation,
            summary,
            repository: of.repository,
            folder: of.folder,
            before: of.before.map(name),
            after: of.after.map(name),
            compare_url: of.compare,
            base: base.map(name),
            added,
            removed,
        }
    }
}

impl From<Commits> for Listed {
    fn from(of: Commits) -> Self {
        Self {
            commits: of.commits.into_iter().map(Commit::from).collect(),
            has_more: of.has_more,
        }
    }
}

impl From<SourceCommit> for Commit {
    fn from(of: SourceCommit) -> Self {
        Self {
            id: of.id.as_str().to_owned(),
            subject: of.subject,
            author: of.author,
            at: of.at.rfc3339(),
            url: of.url,
        }
    }
}
