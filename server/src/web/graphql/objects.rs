//! What queries return. Times are RFC 3339 in UTC; digests are whole.

use super::{
    error,
    schema::{at, limit},
};
use crate::service::views::{self, Contents, NamedPromotion};
use async_graphql::{Context, ID, Object, Result, SimpleObject};
use contract::removal::Removed;
use domain::{
    environment,
    id::EnvironmentId,
    plan::{Illness, LogLine, PodEvent},
    resource::{self, Source},
    tag_rule::{TagOrder, TagRule},
    time::Timestamp,
};
use std::sync::Arc;

/// Environments that share one GitOps repository.
pub struct Project(pub(super) environment::Project);

#[Object]
impl Project {
    /// Its id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its name, unique in the workspace.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Name of its workspace.
    async fn workspace(&self, context: &Context<'_>) -> Result<Option<String>> {
        let (_, caller) = at(context)?;
        let workspace = caller
            .access
            .iter()
            .find(|(workspace, _)| workspace.id == self.0.workspace);
        Ok(workspace.map(|(workspace, _)| workspace.name.to_string()))
    }

    /// Address of its repository.
    async fn repository_url(&self) -> &str {
        &self.0.repository_url
    }

    /// The branch that is read and written.
    async fn branch(&self) -> &str {
        &self.0.branch
    }

    /// The template of its commits' subjects; null for Waybill's own.
    async fn commit_subject(&self) -> Option<&str> {
        self.0.commit_subject.as_deref()
    }

    /// The template of their authors' addresses; null for those of the people.
    async fn author_address(&self) -> Option<&str> {
        self.0.author_address.as_deref()
    }

    /// Its environments, in its order.
    #[graphql(complexity = "5 + 5 * child_complexity")]
    async fn environments(&self, context: &Context<'_>) -> Result<Vec<Environment>> {
        let (services, caller) = at(context)?;
        let contents = views::contents(services, caller, self.0.id).await.map_err(error)?;
        Ok(Environment::all(&Arc::new(contents)))
    }
}

/// A place where resources run.
pub struct Environment {
    contents: Arc<Contents>,
    environment: environment::Environment,
}

impl Environment {
    pub(super) fn all(contents: &Arc<Contents>) -> Vec<Self> {
        let one = |e: &environment::Environment| Self {
            contents: Arc::clone(contents),
            environment: e.clone(),
        };
        contents.place.environments.iter().map(one).collect()
    }
}

#[Object]
impl Environment {
    /// Its id.
    async fn id(&self) -> ID {
        self.environment.id.to_string().into()
    }

    /// Its name, unique in the project.
    async fn name(&self) -> &str {
        self.environment.name.as_str()
    }

    /// What it is called in the path of its values file: its name, unless something else was said.
    async fn key(&self) -> &str {
        self.environment.key.as_str()
    }

    /// Whether only approvers may change it.
    async fn protected(&self) -> bool {
        self.environment.protected
    }

    /// Platforms of which an image needs one to run here; none: some platform of Linux.
    async fn platforms(&self) -> &[String] {
        self.contents.place.platforms(self.environment.id)
    }

    /// Name of the cluster it runs on.
    async fn cluster(&self) -> Option<&str> {
        self.contents
            .place
            .cluster(&self.environment)
            .map(|record| record.cluster.name.as_str())
    }

    /// Its resources, by name.
    #[graphql(complexity = "5 + 5 * child_complexity")]
    async fn resources(&self) -> Vec<Resource> {
        Resource::of(&self.contents, self.environment.id)
    }
}

/// Something that runs in an environment.
pub struct Resource {
    contents: Arc<Contents>,
    resource: resource::Resource,
}

impl Resource {
    pub(super) fn new(contents: &Arc<Contents>, resource: &resource::Resource) -> Self {
        Self {
            contents: Arc::clone(contents),
            resource: resource.clone(),
        }
    }

    pub(super) fn of(contents: &Arc<Contents>, environment: EnvironmentId) -> Vec<Self> {
        let here = contents.resources.iter().filter(|r| r.environment == environment);
        here.map(|resource| Self::new(contents, resource)).collect()
    }
}

#[Object]
impl Resource {
    /// Its id.
    async fn id(&self) -> ID {
        self.resource.id.to_string().into()
    }

    /// Its name, unique in the environment.
    async fn name(&self) -> &str {
        self.resource.name.as_str()
    }

    /// Its key below `services` in the values file: its name, unless something else was said.
    async fn key(&self) -> &str {
        self.resource.key.as_str()
    }

    /// Name of its environment.
    async fn environment(&self) -> Option<&str> {
        self.contents
            .name_of(self.resource.id)
            .map(|(environment, _)| environment.as_str())
    }

    /// `deployment`, `statefulset`, `daemonset`, `cronjob`, `rollout` or `job`; another word where a newer Waybill wrote it.
    async fn kind(&self) -> &str {
        self.resource.kind.as_str()
    }

    /// Repository of the image that Git says it runs.
    async fn repository(&self) -> Option<&str> {
        self.resource.desired.as_ref().map(|image| image.repository.as_str())
    }

    /// The digest that Git says it runs; null until Git declares an exact image.
    async fn digest(&self) -> Option<&str> {
        self.resource.desired.as_ref().map(|image| image.digest.as_str())
    }

    /// The tag of that image when it has one, else its digest.
    async fn image_tag(&self) -> Option<&str> {
        self.resource.desired.as_ref().map(|image| image.label())
    }

    /// Since when Git says so.
    async fn since(&self) -> Option<String> {
        self.resource.desired_at.map(Timestamp::rfc3339)
    }

    /// The digests that Argo CD reports running; null until it has reported, while that is being found out, and where Argo CD has no such Application.
    async fn live_digests(&self) -> Option<Vec<&str>> {
        let live = self.resource.live.as_ref().filter(|live| live.unknown.is_none())?;
        Some(live.digests.iter().map(domain::artifact::Digest::as_str).collect())
    }

    /// Health of its workloads as Argo CD reports it; of the environment's whole Application where it doesn't let them be read. Null until it has
    /// reported, while that is being found out, and where Argo CD has no such Application.
    async fn health(&self) -> Option<String> {
        self.resource
            .live
            .as_ref()
            .filter(|live| live.unknown.is_none())
            .map(|live| format!("{:?}", live.health))
    }

    /// Where its image comes from.
    async fn source(&self) -> SourceObject {
        match &self.resource.source {
            Source::Image { repository, tags } => SourceObject {
                kind: "image",
                repository: Some(repository.to_string()),
                tags: Some(TagRuleObject::from(tags)),
                environment: None,
                resource: None,
            },
            Source::Promote { from } => {
                let names = self.contents.name_of(*from);
                SourceObject {
                    kind: "promote",
                    repository: None,
                    tags: None,
                    environment: names.map(|(environment, _)| environment.to_string()),
                    resource: names.map(|(_, resource)| resource.to_string()),
                }
            }
        }
    }

    /// How it follows its source.
    async fn binding(&self) -> BindingObject {
        let pin = self.resource.pin();
        BindingObject {
            kind: if pin.is_some() { "pin" } else { "latest" },
            digest: pin.map(ToString::to_string),
        }
    }

    /// Why it doesn't follow its source just now; null when nothing holds it.
    async fn hold(&self) -> Option<HoldObject> {
        self.resource.hold.as_ref().map(|hold| HoldObject {
            cause: hold.cause.deed(),
            by: hold.who().to_owned(),
            commit: hold.outside.as_ref().map(|outside| outside.commit.clone()),
            at: hold.at.rfc3339(),
        })
    }

    /// Its promotions, newest first; `limit` from 1 to 100.
    #[graphql(complexity = "10 + (limit.min(100) as usize) * child_complexity")]
    async fn promotions(&self, context: &Context<'_>, #[graphql(default = 20)] limit: u32) -> Result<Vec<Promotion>> {
        let limit = self::limit(limit)?;
        let (services, _) = at(context)?;
        let promotions = views::promotions_of(services, &self.contents, &self.resource, limit)
            .await
            .map_err(error)?;
        Ok(promotions.into_iter().map(Promotion).collect())
    }
}

/// A person paused automation for a resource.
#[derive(SimpleObject)]
#[graphql(name = "Hold")]
pub struct HoldObject {
    /// What was done: `pinned`, `rolled back`, `set up`, `moved in Git`, `removed from Git` or `switched off in Git`.
    cause: &'static str,
    /// Who did it.
    by: String,
    /// The commit, where it was done in Git.
    commit: Option<String>,
    /// When.
    at: String,
}

/// Where a resource's image comes from.
#[derive(SimpleObject)]
#[graphql(name = "Source")]
pub struct SourceObject {
    /// `image` or `promote`.
    kind: &'static str,
    /// Kind `image`: the repository.
    repository: Option<String>,
    /// Kind `image`: which tags of the repository count.
    tags: Option<TagRuleObject>,
    /// Kind `promote`: the environment.
    environment: Option<String>,
    /// Kind `promote`: the resource there.
    resource: Option<String>,
}

/// Which tags of a repository count, and which of two images is newer.
#[derive(SimpleObject)]
#[graphql(name = "TagRule")]
pub struct TagRuleObject {
    /// `newest` (by build time), `semver`, `pattern` or `only`.
    order: &'static str,
    /// `semver`: the range that a version must be in; null for every release.
    range: Option<String>,
    /// `pattern`: a regular expression with one group, the part to order by.
    pattern: Option<String>,
    /// `only`: the tag that is followed.
    tag: Option<String>,
    /// Tags that never count; `*` stands for any characters, `?` for one.
    leave_out: Vec<String>,
}

impl From<&TagRule> for TagRuleObject {
    fn from(rule: &TagRule) -> Self {
        let TagRule { order, leave_out } = rule;
        let (range, pattern, tag) = match order {
            TagOrder::BuildTime => (None, None, None),
            TagOrder::SemVer { range } => (range.clone(), None, None),
            TagOrder::Pattern { pattern } => (None, Some(pattern.clone()), None),
            TagOrder::Only { tag } => (None, None, Some(tag.to_string())),
        };
        Self {
            order: order.as_str(),
            range,
            pattern,
            tag,
            leave_out: leave_out.clone(),
        }
    }
}

/// How a resource follows its source.
#[derive(SimpleObject)]
#[graphql(name = "Binding")]
pub struct BindingObject {
    /// `latest` or `pin`.
    kind: &'static str,
    /// Kind `pin`: the digest.
    digest: Option<String>,
}

/// Why a promotion's workload isn't well.
pub struct Unhealthy(Illness);

#[Object]
impl Unhealthy {
    /// The workload: `Deployment api`.
    async fn workload(&self) -> &str {
        &self.0.workload
    }

    /// The pod that can't run as it should; null where only the workload itself is known to be ill.
    async fn pod(&self) -> Option<&str> {
        self.0.pod.as_deref()
    }

    /// Why, in the cluster's words: `ImagePullBackOff`, `CrashLoopBackOff`, what a probe answered.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The newest events of the pod, newest first, five at most.
    async fn events(&self) -> Vec<UnhealthyEvent<'_>> {
        self.0.events.iter().map(UnhealthyEvent).collect()
    }

    /// When this was seen.
    async fn at(&self) -> String {
        self.0.at.rfc3339()
    }
}

/// The newest lines of a pod's log.
#[derive(SimpleObject)]
pub struct PodLogs {
    /// The pod.
    pod: String,
    /// Its newest lines, oldest first: 50 lines and 16 KiB at most.
    lines: Vec<PodLogLine>,
}

/// A line of a pod's log.
#[derive(SimpleObject)]
pub struct PodLogLine {
    /// When, as the cluster writes it.
    at: String,
    /// What.
    text: String,
}

impl From<views::PodLogs> for PodLogs {
    fn from(logs: views::PodLogs) -> Self {
        let line = |line: LogLine| PodLogLine {
            at: line.at,
            text: line.text,
        };
        Self {
            pod: logs.pod,
            lines: logs.lines.into_iter().map(line).collect(),
        }
    }
}

/// An event of Kubernetes about a pod.
pub struct UnhealthyEvent<'a>(&'a PodEvent);

#[Object]
impl UnhealthyEvent<'_> {
    /// Kubernetes' word: `Failed`, `BackOff`, `Unhealthy`.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// What happened.
    async fn message(&self) -> &str {
        &self.0.message
    }

    /// How often.
    async fn count(&self) -> u32 {
        self.0.count
    }

    /// When, the last time; null where the cluster didn't say.
    async fn at(&self) -> Option<String> {
        self.0.at.map(Timestamp::rfc3339)
    }
}

/// Why a promotion failed.
#[derive(SimpleObject)]
#[graphql(name = "Failure")]
pub struct FailureObject {
    /// The step that failed: `resolve`, `commit`, `sync`, `verify`.
    step: &'static str,
    /// What happened and what to do.
    reason: String,
}

/// One decision to run one artifact in one resource of one environment.
pub struct Promotion(pub(super) NamedPromotion);

#[Object]
impl Promotion {
    /// Its id.
    async fn id(&self) -> ID {
        self.0.promotion.id.to_string().into()
    }

    /// Name of the resource.
    async fn name(&self) -> &str {
        self.0.resource.as_str()
    }

    /// Name of the project.
    async fn project(&self) -> &str {
        self.0.project.as_str()
    }

    /// Name of the target environment.
    async fn environment(&self) -> &str {
        self.0.environment.as_str()
    }

    /// Name of the environment that the image comes from; null when it comes from the resource's own repository.
    async fn from_environment(&self) -> Option<&str> {
        self.0
            .promotion
            .origin
            .as_ref()
            .map(|origin| origin.environment.as_str())
    }

    /// Repository of the image.
    async fn repository(&self) -> &str {
        self.0.promotion.image.repository.as_str()
    }

    /// The repository that it is copied to before the commit; null when it is pulled from where it is.
    async fn copied_to(&self) -> Option<&str> {
        self.0
            .promotion
            .copied_to
            .as_ref()
            .map(domain::artifact::Repository::as_str)
    }

    /// The image's tag when it has one, else its digest.
    async fn image_tag(&self) -> &str {
        self.0.promotion.image.label()
    }

    /// The image's digest: what counts.
    async fn digest(&self) -> &str {
        self.0.promotion.image.digest.as_str()
    }

    /// The digest that ran before, according to Git.
    async fn previous_digest(&self) -> Option<&str> {
        self.0.promotion.previous.as_ref().map(|image| image.digest.as_str())
    }

    /// `waiting`, `queued`, `mirroring`, `committing`, `syncing`, `verifying`, `succeeded`, `rejected`, `cancelled`,
    /// `superseded` or `failed`.
    async fn state(&self) -> &str {
        self.0.promotion.state.as_str()
    }

    /// `overtaken` of a superseded promotion whose commit is in Git: a newer one came before it was live.
    async fn reason(&self) -> Option<&str> {
        let promotion = &self.0.promotion;
        promotion.is_overtaken().then_some(domain::promotion::OVERTAKEN)
    }

    /// `deploy`, `promote`, `pin` or `rollback`.
    async fn purpose(&self) -> &str {
        self.0.promotion.purpose.as_str()
    }

    /// Name of who asked.
    async fn requested_by(&self) -> &str {
        self.0.promotion.requested_by.name()
    }

    /// What it waits for right now, a sentence.
    async fn waits_for(&self) -> Option<&str> {
        self.0.promotion.waits_for.as_deref()
    }

    /// Why it failed, if it did.
    async fn failure(&self) -> Option<FailureObject> {
        let failure = self.0.promotion.failure.as_ref()?;
        Some(FailureObject {
            step: failure.step.as_str(),
            reason: failure.words(),
        })
    }

    /// What was wrong with its workload when it was looked at last, in this try; null when nothing was, or it succeeded.
    async fn unhealthy(&self, context: &Context<'_>) -> Result<Option<Unhealthy>> {
        let (services, _) = at(context)?;
        let illness = views::illness_of(services, &self.0.promotion).await.map_err(error)?;
        Ok(illness.map(Unhealthy))
    }

    /// The commit in the GitOps repository, once the remote has it.
    async fn commit(&self) -> Option<&str> {
        self.0.promotion.commit.as_deref()
    }

    /// When it was asked for.
    async fn created_at(&self) -> String {
        self.0.promotion.created_at.rfc3339()
    }

    /// When it ended.
    async fn ended_at(&self) -> Option<String> {
        self.0.promotion.ended_at.map(Timestamp::rfc3339)
    }
}

/// The result of a check on a digest.
pub struct Check(pub(super) domain::gate::Check);

#[Object]
impl Check {
    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The digest that it is about.
    async fn digest(&self) -> String {
        self.0.digest.to_string()
    }

    /// `pending`, `passed` or `failed`.
    async fn status(&self) -> &str {
        self.0.status.as_str()
    }

    /// What it found.
    async fn summary(&self) -> Option<&str> {
        self.0.summary.as_deref()
    }

    /// Where more is said.
    async fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// When it was so.
    async fn at(&self) -> String {
        self.0.at.rfc3339()
    }
}

/// Something that was deleted.
pub struct Removal(pub(super) Removed);

#[Object]
impl Removal {
    /// `resource`, `environment`, `project`, `cluster`, `registry` or `workspace`.
    async fn what(&self) -> &str {
        self.0.what.as_str()
    }

    /// Its name.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// What was deleted with it, and what else came of it, a line each.
    async fn with(&self) -> &[String] {
        &self.0.with
    }

    /// Whether its blocks are being removed from the values file, too.
    async fn from_git(&self) -> bool {
        self.0.from_git
    }
}
