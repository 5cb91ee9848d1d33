//! What applying a document would adopt, and what it would start: said by a dry run, before anything is written.
//!
//! The rule is that of `service/configure/start.rs`: what Git declares when Waybill first sees it is adopted and stays. Here Git is read for
//! that and nothing is kept; what only the registry or a promotion's own look can tell is not foretold.

use crate::{
    ports::git::DeclaredService,
    service::{configure::apply::Plan, context::Services, reach},
    store::{ProjectRecord, StoreError, Tx},
};
use domain::{
    environment::Environment,
    id::{EnvironmentId, ProjectId, ResourceId},
    resource::{Resource, Source},
};
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;

/// How long Git is waited for: a dry run is for a person to read.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is looked at for it.
pub(crate) struct Outlook {
    projects: Vec<(ProjectRecord, Vec<Planned>)>,
}

/// A resource that would be new, or follow something else.
struct Planned {
    environment: Environment,
    resource: Resource,
    /// Where its image would come from, in words.
    source: String,
    may_create_file: bool,
}

impl Outlook {
    /// What of a plan is to be foretold.
    pub(crate) async fn of(tx: &mut dyn Tx, plan: &Plan) -> Result<Self, StoreError> {
        let changed: Vec<ResourceId> = (plan.resources.iter())
            .filter(|(_, changed)| *changed)
            .map(|(id, _)| *id)
            .collect();
        let mut by_project: HashMap<ProjectId, Vec<Resource>> = HashMap::new();
        for (project, resource) in plan.new_resources.iter().chain(&plan.changed_resources) {
            if changed.contains(&resource.id) {
                by_project.entry(*project).or_default().push(resource.clone());
            }
        }
        let mut projects = Vec::new();
        for (id, resources) in by_project {
            let planned = plan.projects.iter().find(|record| record.project.id == id).cloned();
            let record = match planned {
                Some(record) => Some(record),
                None => tx.project(id).await?,
            };
            let Some(record) = record else { continue };
            let mut environments = tx.environments(id).await?;
            environments.retain(|e| !plan.environments.iter().any(|planned| planned.id == e.id));
            environments.extend(plan.environments.iter().filter(|e| e.project == id).cloned());
            let mut all = tx.resources(id).await?;
            all.extend(
                plan.new_resources
                    .iter()
                    .filter(|(of, _)| *of == id)
                    .map(|(_, r)| r.clone()),
            );
            let name = |id: EnvironmentId| environments.iter().find(|e| e.id == id).map(|e| e.name.to_string());
            let mut here = Vec::new();
            for resource in resources {
                let Some(environment) = environments.iter().find(|e| e.id == resource.environment) else {
                    continue;
                };
                let source = match &resource.source {
                    Source::Image { repository, .. } => format!("the newest image of {repository}"),
                    Source::Promote { from } => match all.iter().find(|r| r.id == *from) {
                        Some(from) => format!("what {}/{} runs", name(from.environment).unwrap_or_default(), from.name),
                        None => "what its source runs".to_owned(),
                    },
                };
                here.push(Planned {
                    may_create_file: plan.create_file.contains(&environment.id),
                    environment: environment.clone(),
                    source: match resource.pin() {
                        Some(pin) => format!("its pin {}", pin.short()),
                        None => source,
                    },
                    resource,
                });
            }
            projects.push((record, here));
        }
        projects.sort_by(|(a, _), (b, _)| a.project.name.cmp(&b.project.name));
        Ok(Self { projects })
    }
}

/// A sentence for each resource: whether it would be adopted as it is, or what would be promoted to it.
pub(crate) async fn foretell(services: &Services, outlook: Option<Outlook>) -> Vec<String> {
    let mut told = Vec::new();
    for (record, planned) in outlook.into_iter().flat_map(|outlook| outlook.projects) {
        let project = &record.project;
        let tip = match reach::repository_access(services, &record) {
            Ok(access) => match timeout(PATIENCE, services.git.fetch(&access)).await {
                Ok(tip) => tip.map(|tip| (access, tip)),
                Err(_) => {
                    told.push(format!(
                        "{}: what would start can't be said: Git takes too long.",
                        project.name
                    ));
                    continue;
                }
            },
            Err(error) => {
                told.push(format!("{}: what would start can't be said. {error}", project.name));
                continue;
            }
        };
        let (access, tip) = match tip {
            Ok(found) => found,
            Err(error) => {
                told.push(format!("{}: what would start can't be said. {error}", project.name));
                continue;
            }
        };
        for one in planned {
            let path = project.values_path(&one.environment.key);
            let place = format!("{}/{}/{}", project.name, one.environment.name, one.resource.name);
            let declared = services
                .git
                .services(&access, &tip, &path, &project.values_prefix)
                .await;
            told.push(match declared {
                Ok(declared) => format!("{place}: {}", words(&one, &path, declared.as_deref())),
                Err(error) => format!("{place}: can't be said. {error}"),
            });
        }
    }
    told
}

fn words(planned: &Planned, path: &str, declared: Option<&[DeclaredService]>) -> String {
    let Some(declared) = declared else {
        return match planned.may_create_file {
            true => format!("would make {path} and promote {}", planned.source),
            false => format!("would wait: there is no {path}, and `createFile` doesn't say that it may be made"),
        };
    };
    let key = planned.resource.key.as_str();
    let Some(service) = declared.iter().find(|service| service.name == key) else {
        return format!(
            "would start a promotion of {}: {path} doesn't declare it yet",
            planned.source
        );
    };
    let image = &service.image;
    let tag = service.raw_tag.as_deref().unwrap_or("no tag");
    match (&image.digest, &image.unclear, planned.resource.pin()) {
        (_, Some(why), _) => format!("would stay as it is: {why}"),
        (Some(digest), None, Some(pin)) if digest != pin => format!(
            "would start a promotion of {}: {path} says {tag} ({})",
            planned.source,
            digest.short()
        ),
        (Some(digest), None, _) => format!("would be adopted as it is: {path} says {tag} ({})", digest.short()),
        (None, None, Some(_)) => format!(
            "would start a promotion of {}: {path} says {tag} without a digest",
            planned.source
        ),
        (None, None, None) => format!("would be adopted as it is: {path} says {tag}, whose digest the registry tells"),
    }
}
