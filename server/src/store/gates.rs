//! What gates are decided by: policies' stops, approvals, overrides, checks, healthy runs, and how each waiting promotion stands.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    promotions::PromotionRow,
    rows::{from_json, parse, to_json},
    tx::{SqlTx, run, texts},
};
use async_trait::async_trait;
use domain::{
    artifact::Digest,
    gate::{Approval, Check, Decision, Override, Stop},
    id::{ClusterId, EnvironmentId, ProjectId, PromotionId, ResourceId, UserId, WorkspaceId},
    name::Name,
    promotion::{Actor, Promotion},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, QueryBuilder, Type};
use std::collections::HashMap;

/// A promotion that waits for approvals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Awaiting {
    /// The place in the ledger where it was asked for: of two promotions the later one has the higher.
    pub asked_at: i64,
    /// Which.
    pub promotion: PromotionId,
    /// Its project.
    pub project: ProjectId,
    /// Where it wants to run.
    pub environment: EnvironmentId,
    /// Who asked.
    pub requested_by: Actor,
}

/// A span in which a digest was live and healthy in an environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Where.
    pub environment: EnvironmentId,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while it is, as far as is known.
    pub until: Option<Timestamp>,
    /// Whether it ended because a newer image took its place, and the resource has not gone back since.
    pub replaced: bool,
    /// When the Argo CD there was followed last.
    pub seen: Option<Timestamp>,
}

/// How long the Argo CD of a cluster has been out of sight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    /// The cluster.
    pub cluster: ClusterId,
    /// When it was followed last.
    pub seen: Timestamp,
    /// Since when it can't be; `None` while it can.
    pub lost: Option<Timestamp>,
}

/// Which waiting promotions are looked at again.
#[derive(Clone, Copy, Debug)]
pub enum Waiting<'a> {
    /// Those of a project.
    Project(ProjectId),
    /// Those of a workspace that would run this digest.
    Digest(WorkspaceId, &'a Digest),
}

/// What can be read and written of gates in a transaction.
#[async_trait]
pub trait Gates: Send {
    /// Who paused promotions: to the whole project (`None`), of which environments.
    async fn stops(&mut self, project: ProjectId) -> Result<Vec<(Option<EnvironmentId>, Stop)>, StoreError>;
    /// Pauses promotions, or resumes them (`None`).
    async fn set_stop(
        &mut self,
        project: ProjectId,
        environment: Option<EnvironmentId>,
        stop: Option<&Stop>,
    ) -> Result<(), StoreError>;

    /// What people said about a promotion, oldest first.
    async fn approvals(&mut self, promotion: PromotionId) -> Result<Vec<Approval>, StoreError>;
    /// Writes what a person says; it takes the place of what they said before.
    async fn put_approval(&mut self, promotion: PromotionId, approval: &Approval) -> Result<(), StoreError>;
    /// The waiting promotions about which a person has said something.
    async fn decided_by(&mut self, user: UserId) -> Result<Vec<PromotionId>, StoreError>;
    /// What was overridden of a promotion, oldest first.
    async fn overrides(&mut self, promotion: PromotionId) -> Result<Vec<Override>, StoreError>;
    /// Adds an override.
    async fn insert_override(&mut self, promotion: PromotionId, one: &Override) -> Result<(), StoreError>;

    /// All results about a digest, oldest first.
    async fn checks(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Check>, StoreError>;
    /// Adds a result.
    async fn insert_check(&mut self, workspace: WorkspaceId, check: &Check) -> Result<(), StoreError>;

    /// The digests that a resource is healthy with since when.
    async fn open_runs(&mut self, resource: ResourceId) -> Result<Vec<Digest>, StoreError>;
    /// A digest became healthy.
    async fn begin_run(&mut self, resource: ResourceId, digest: &Digest, at: Timestamp) -> Result<(), StoreError>;
    /// A digest is healthy no more, or isn't known to be since `at`; `makes_way`: the rollout of a newer image begins.
    async fn end_run(
        &mut self,
        resource: ResourceId,
        digest: &Digest,
        at: Timestamp,
        makes_way: bool,
    ) -> Result<(), StoreError>;
    /// What a resource ran and was to make way broke, or is gone: it was not replaced.
    async fn makes_no_way(&mut self, resource: ResourceId) -> Result<(), StoreError>;
    /// The newer image is healthy: what made way for it is replaced.
    async fn replaced(&mut self, resource: ResourceId) -> Result<(), StoreError>;
    /// The digest of a resource that made way for a newer image last, as long as the resource has not gone back since.
    async fn replaced_last(&mut self, resource: ResourceId) -> Result<Option<Digest>, StoreError>;
    /// The digest that a resource was healthy with last, other than this one, and than those that are recalled.
    async fn healthy_last(&mut self, resource: ResourceId, other_than: &Digest) -> Result<Option<Digest>, StoreError>;
    /// A promotion that failed is taken back by another.
    async fn set_taken_back(&mut self, failed: PromotionId, by: PromotionId) -> Result<(), StoreError>;
    /// The promotion that takes this one back, and the one that this one takes back.
    async fn taken_back(
        &mut self,
        promotion: PromotionId,
    ) -> Result<(Option<PromotionId>, Option<PromotionId>), StoreError>;
    /// A resource went back: none of what it ran was only replaced by something newer. Whether that was said of anything.
    async fn went_back(&mut self, resource: ResourceId) -> Result<bool, StoreError>;
    /// Where in a project a digest was healthy, and when.
    async fn runs(&mut self, project: ProjectId, digest: &Digest) -> Result<Vec<Run>, StoreError>;
    /// When a cluster's Argo CD was followed last.
    async fn seen(&mut self, cluster: ClusterId) -> Result<Option<Timestamp>, StoreError>;
    /// A cluster's Argo CD is being followed.
    async fn set_seen(&mut self, cluster: ClusterId, at: Timestamp) -> Result<(), StoreError>;
    /// How long the Argo CDs of some clusters have been out of sight.
    async fn watches(&mut self, workspace: WorkspaceId) -> Result<Vec<Watch>, StoreError>;
    /// Since when a cluster's Argo CD can't be followed; `None` when it can. Whether that is news.
    async fn set_lost(&mut self, cluster: ClusterId, since: Option<Timestamp>) -> Result<bool, StoreError>;

    /// Tokens of a workspace, by name, with the person who made each; withdrawn ones too.
    async fn token_makers(&mut self, workspace: WorkspaceId) -> Result<Vec<(String, UserId)>, StoreError>;

    /// How a promotion's gates stood when they were looked at last.
    async fn gates(&mut self, promotion: PromotionId) -> Result<Option<Decision>, StoreError>;
    /// Promotions in the order in which they are given: each with its resource's name, and how its gates stood when they were looked
    /// at last. What isn't there is left out. Give it a page of them, not thousands.
    async fn with_gates(
        &mut self,
        promotions: &[PromotionId],
    ) -> Result<Vec<(Promotion, Name, Option<Decision>)>, StoreError>;
    /// Writes how they stand.
    async fn set_gates(&mut self, promotion: PromotionId, decision: &Decision) -> Result<(), StoreError>;
    /// Promotions of a workspace that wait for approvals, in no order.
    async fn awaiting_approval(&mut self, workspace: WorkspaceId) -> Result<Vec<Awaiting>, StoreError>;
    /// One of them; `None` when it doesn't wait for approvals, or not any more.
    async fn awaits_approval(&mut self, promotion: PromotionId) -> Result<Option<Awaiting>, StoreError>;
    /// The place in the ledger where a promotion was asked for; `None` when there is no such promotion.
    async fn asked_at(&mut self, promotion: PromotionId) -> Result<Option<i64>, StoreError>;
    /// Promotions of a workspace that events after this one are about, `most` at most.
    async fn promotions_after(
        &mut self,
        workspace: WorkspaceId,
        sequence: i64,
        most: i64,
    ) -> Result<Vec<PromotionId>, StoreError>;
    /// Has waiting promotions looked at now.
    async fn wake_waiting(&mut self, which: Waiting<'_>, now: Timestamp) -> Result<(), StoreError>;
}

/// A row of [`AWAITING_APPROVAL`].
type AwaitingRow = (i64, String, String, String, String);

fn awaiting((asked_at, promotion, project, environment, by): AwaitingRow) -> Result<Awaiting, StoreError> {
    Ok(Awaiting {
        asked_at,
        promotion: parse("promotion id", &promotion)?,
        project: parse("project id", &project)?,
        environment: parse("environment id", &environment)?,
        requested_by: from_json("actor", &by)?,
    })
}

/// A row of [`WITH_GATES`].
#[derive(FromRow)]
struct WithGates {
    #[sqlx(flatten)]
    promotion: PromotionRow,
    resource_name: String,
    gates: Option<String>,
}

/// Promotions with the place in the ledger where they were asked for: the first entry about them.
macro_rules! awaiting {
    () => {
        "SELECT COALESCE((SELECT MIN(e.sequence) FROM events e WHERE e.promotion_id = p.id), 0), \
         p.id, p.project_id, p.environment_id, p.requested_by FROM promotions p "
    };
}

const STOPS: &str = "SELECT environment_id, stop FROM stops WHERE project_id = $1 ORDER BY environment_id";
const DELETE_STOP: &str = "DELETE FROM stops WHERE project_id = $1 AND environment_id = $2";
const INSERT_STOP: &str = "INSERT INTO stops (project_id, environment_id, stop) VALUES ($1, $2, $3)";
const APPROVALS: &str = "SELECT approval FROM approvals WHERE promotion_id = $1";
const PUT_APPROVAL: &str = "INSERT INTO approvals (promotion_id, user_id, approval) VALUES ($1, $2, $3) \
     ON CONFLICT (promotion_id, user_id) DO UPDATE SET approval = excluded.approval";
const DECIDED_BY: &str = "SELECT a.promotion_id FROM approvals a JOIN promotions p ON p.id = a.promotion_id \
     WHERE a.user_id = $1 AND p.state = 'waiting'";
const OVERRIDES: &str = "SELECT override FROM overrides WHERE promotion_id = $1 ORDER BY at";
const INSERT_OVERRIDE: &str = "INSERT INTO overrides (promotion_id, gate, at, override) VALUES ($1, $2, $3, $4)";
const CHECKS: &str = "SELECT result FROM checks WHERE workspace_id = $1 AND digest = $2 ORDER BY at, ordinal";
const INSERT_CHECK: &str = "INSERT INTO checks (workspace_id, digest, name, at, result) VALUES ($1, $2, $3, $4, $5)";
const OPEN_RUNS: &str = "SELECT digest FROM healthy_runs WHERE resource_id = $1 AND until IS NULL";
const BEGIN_RUN: &str = "INSERT INTO healthy_runs (resource_id, digest, since) VALUES ($1, $2, $3) \
     ON CONFLICT (resource_id, digest, since) DO UPDATE SET until = NULL, replaced = 'no'";
const END_RUN: &str = "UPDATE healthy_runs SET until = CASE WHEN since > $3 THEN since ELSE $3 END, replaced = $4 \
     WHERE resource_id = $1 AND digest = $2 AND until IS NULL";
const REPLACED_LAST: &str = "SELECT digest FROM healthy_runs WHERE resource_id = $1 AND replaced <> 'no' ORDER BY until DESC, since DESC LIMIT 1";
const WENT_BACK: &str = "UPDATE healthy_runs SET replaced = 'no' WHERE resource_id = $1 AND replaced <> 'no'";
const MAKES_NO_WAY: &str = "UPDATE healthy_runs SET replaced = 'no' WHERE resource_id = $1 AND replaced = 'begun'";
const REPLACED: &str = "UPDATE healthy_runs SET replaced = 'done' WHERE resource_id = $1 AND replaced = 'begun'";
const HEALTHY_LAST: &str = "SELECT h.digest FROM healthy_runs h WHERE h.resource_id = $1 AND h.digest <> $2 AND NOT EXISTS (\
     SELECT 1 FROM recalls c JOIN projects p ON p.workspace_id = c.workspace_id JOIN environments e ON e.project_id = p.id \
     JOIN resources r ON r.environment_id = e.id WHERE r.id = $1 AND c.digest = h.digest AND c.lifted_at IS NULL) \
     ORDER BY h.since DESC LIMIT 1";
const SET_TAKEN_BACK: &str = "INSERT INTO taken_back (failed_id, by_id) VALUES ($1, $2)";
const TAKEN_BACK: &str = "SELECT failed_id, by_id FROM taken_back WHERE failed_id = $1 OR by_id = $1";
const RUNS: &str = "SELECT r.environment_id, h.since, h.until, h.replaced, w.seen_at FROM healthy_runs h JOIN resources r ON r.id = h.resource_id \
     JOIN environments e ON e.id = r.environment_id LEFT JOIN cluster_watch w ON w.cluster_id = e.cluster_id \
     WHERE h.digest = $2 AND e.project_id = $1 AND r.removed_at IS NULL";
const SEEN: &str = "SELECT seen_at FROM cluster_watch WHERE cluster_id = $1";
const SET_SEEN: &str = "INSERT INTO cluster_watch (cluster_id, seen_at) VALUES ($1, $2) \
     ON CONFLICT (cluster_id) DO UPDATE SET seen_at = excluded.seen_at";
const WATCHES: &str = "SELECT w.cluster_id, w.seen_at, w.lost_at FROM cluster_watch w JOIN clusters c ON c.id = w.cluster_id \
     WHERE c.workspace_id = $1";
const SET_LOST: &str = "UPDATE cluster_watch SET lost_at = $2 WHERE cluster_id = $1 AND lost_at IS NULL";
const SET_FOUND: &str = "UPDATE cluster_watch SET lost_at = NULL WHERE cluster_id = $1 AND lost_at IS NOT NULL";
const TOKEN_MAKERS: &str = "SELECT name, made_by FROM api_tokens WHERE workspace_id = $1 AND made_by IS NOT NULL";
const GATES: &str = "SELECT gates FROM promotions WHERE id = $1";
const WITH_GATES: &str = "SELECT p.*, COALESCE(r.name_was, r.name) AS resource_name FROM promotions p \
     JOIN resources r ON r.id = p.resource_id WHERE p.id IN (";
const SET_GATES: &str = "UPDATE promotions SET gates = $2, awaits_approval = $3 WHERE id = $1";
const AWAITING_APPROVAL: &str = concat!(
    awaiting!(),
    "WHERE p.workspace_id = $1 AND p.state = 'waiting' AND p.awaits_approval"
);
const AWAITS_APPROVAL: &str = concat!(
    awaiting!(),
    "WHERE p.id = $1 AND p.state = 'waiting' AND p.awaits_approval"
);
const ASKED_AT: &str = "SELECT MIN(sequence) FROM events WHERE promotion_id = $1";
const PROMOTIONS_AFTER: &str = "SELECT DISTINCT promotion_id FROM events \
     WHERE sequence > $1 AND workspace_id = $2 AND promotion_id IS NOT NULL LIMIT $3";
const WAKE_PROJECT: &str =
    "UPDATE promotions SET next_at = $2 WHERE project_id = $1 AND state = 'waiting' AND next_at > $2";
const WAKE_DIGEST: &str =
    "UPDATE promotions SET next_at = $3 WHERE workspace_id = $1 AND digest = $2 AND state = 'waiting' AND next_at > $3";

#[async_trait]
impl<D: Dialect> Gates for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
{
    async fn stops(&mut self, project: ProjectId) -> Result<Vec<(Option<EnvironmentId>, Stop)>, StoreError> {
        let rows = sqlx::query_as::<D, (String, String)>(STOPS)
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let stop = |(environment, stop): (String, String)| {
            let environment = match environment.as_str() {
                "" => None,
                id => Some(parse("environment id", id)?),
            };
            Ok((environment, from_json("stop", &stop)?))
        };
        rows.into_iter().map(stop).collect()
    }

    async fn set_stop(
        &mut self,
        project: ProjectId,
        environment: Option<EnvironmentId>,
        stop: Option<&Stop>,
    ) -> Result<(), StoreError> {
        let (project, environment) = (
            project.to_string(),
            environment.map_or_else(String::new, |id| id.to_string()),
        );
        run!(self, DELETE_STOP, &project, &environment)?;
        if let Some(stop) = stop {
            run!(self, INSERT_STOP, &project, &environment, to_json("stop", stop)?)?;
        }
        Ok(())
    }

    async fn approvals(&mut self, promotion: PromotionId) -> Result<Vec<Approval>, StoreError> {
        let mut approvals: Vec<Approval> = texts!(self, "approval", APPROVALS, promotion.to_string())?;
        approvals.sort_by_key(|approval| approval.at);
        Ok(approvals)
    }

    async fn put_approval(&mut self, promotion: PromotionId, approval: &Approval) -> Result<(), StoreError> {
        let (user, json) = (approval.by.id.to_string(), to_json("approval", approval)?);
        run!(self, PUT_APPROVAL, promotion.to_string(), user, json)?;
        Ok(())
    }

    async fn decided_by(&mut self, user: UserId) -> Result<Vec<PromotionId>, StoreError> {
        let ids = sqlx::query_scalar::<D, String>(DECIDED_BY)
            .bind(user.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        ids.iter().map(|id| parse("promotion id", id)).collect()
    }

    async fn overrides(&mut self, promotion: PromotionId) -> Result<Vec<Override>, StoreError> {
        texts!(self, "override", OVERRIDES, promotion.to_string())
    }

    async fn insert_override(&mut self, promotion: PromotionId, one: &Override) -> Result<(), StoreError> {
        let (gate, json) = (one.gate.to_string(), to_json("override", one)?);
        run!(self, INSERT_OVERRIDE, promotion.to_string(), gate, one.at.0, json).map_err(taken)?;
        Ok(())
    }

    async fn checks(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Check>, StoreError> {
        texts!(self, "check", CHECKS, workspace.to_string(), digest.to_string())
    }

    async fn insert_check(&mut self, workspace: WorkspaceId, check: &Check) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_CHECK,
            workspace.to_string(),
            check.digest.to_string(),
            &check.name,
            check.at.0,
            to_json("check", check)?,
        )?;
        Ok(())
    }

    async fn open_runs(&mut self, resource: ResourceId) -> Result<Vec<Digest>, StoreError> {
        let digests = sqlx::query_scalar::<D, String>(OPEN_RUNS)
            .bind(resource.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        digests.iter().map(|digest| parse("digest", digest)).collect()
    }

    async fn begin_run(&mut self, resource: ResourceId, digest: &Digest, at: Timestamp) -> Result<(), StoreError> {
        run!(self, BEGIN_RUN, resource.to_string(), digest.to_string(), at.0)?;
        Ok(())
    }

    async fn end_run(
        &mut self,
        resource: ResourceId,
        digest: &Digest,
        at: Timestamp,
        makes_way: bool,
    ) -> Result<(), StoreError> {
        let replaced = if makes_way { "begun" } else { "no" };
        run!(self, END_RUN, resource.to_string(), digest.to_string(), at.0, replaced)?;
        Ok(())
    }

    async fn makes_no_way(&mut self, resource: ResourceId) -> Result<(), StoreError> {
        run!(self, MAKES_NO_WAY, resource.to_string())?;
        Ok(())
    }

    async fn replaced(&mut self, resource: ResourceId) -> Result<(), StoreError> {
        run!(self, REPLACED, resource.to_string())?;
        Ok(())
    }

    async fn replaced_last(&mut self, resource: ResourceId) -> Result<Option<Digest>, StoreError> {
        let digest = sqlx::query_scalar::<D, String>(REPLACED_LAST)
            .bind(resource.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        digest.map(|digest| parse("digest", &digest)).transpose()
    }

    async fn healthy_last(&mut self, resource: ResourceId, other_than: &Digest) -> Result<Option<Digest>, StoreError> {
        let digest = sqlx::query_scalar::<D, String>(HEALTHY_LAST)
            .bind(resource.to_string())
            .bind(other_than.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        digest.map(|digest| parse("digest", &digest)).transpose()
    }

    async fn set_taken_back(&mut self, failed: PromotionId, by: PromotionId) -> Result<(), StoreError> {
        run!(self, SET_TAKEN_BACK, failed.to_string(), by.to_string())?;
        Ok(())
    }

    async fn taken_back(
        &mut self,
        promotion: PromotionId,
    ) -> Result<(Option<PromotionId>, Option<PromotionId>), StoreError> {
        let rows = sqlx::query_as::<D, (String, String)>(TAKEN_BACK)
            .bind(promotion.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let mut linked = (None, None);
        for (failed, by) in rows {
            let (failed, by): (PromotionId, PromotionId) =
                (parse("promotion id", &failed)?, parse("promotion id", &by)?);
            match failed == promotion {
                true => linked.0 = Some(by),
                false => linked.1 = Some(failed),
            }
        }
        Ok(linked)
    }

    async fn went_back(&mut self, resource: ResourceId) -> Result<bool, StoreError> {
        Ok(run!(self, WENT_BACK, resource.to_string())? > 0)
    }

    async fn runs(&mut self, project: ProjectId, digest: &Digest) -> Result<Vec<Run>, StoreError> {
        let rows = sqlx::query_as::<D, (String, i64, Option<i64>, String, Option<i64>)>(RUNS)
            .bind(project.to_string())
            .bind(digest.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let run = |(environment, since, until, replaced, seen): (String, i64, Option<i64>, String, Option<i64>)| {
            Ok(Run {
                environment: parse("environment id", &environment)?,
                since: Timestamp(since),
                until: until.map(Timestamp),
                replaced: replaced == "done",
                seen: seen.map(Timestamp),
            })
        };
        rows.into_iter().map(run).collect()
    }

    async fn seen(&mut self, cluster: ClusterId) -> Result<Option<Timestamp>, StoreError> {
        let seen = sqlx::query_scalar::<D, i64>(SEEN)
            .bind(cluster.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        Ok(seen.map(Timestamp))
    }

    async fn set_seen(&mut self, cluster: ClusterId, at: Timestamp) -> Result<(), StoreError> {
        run!(self, SET_SEEN, cluster.to_string(), at.0)?;
        Ok(())
    }

    async fn watches(&mut self, workspace: WorkspaceId) -> Result<Vec<Watch>, StoreError> {
        let rows = sqlx::query_as::<D, (String, i64, Option<i64>)>(WATCHES)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let watch = |(cluster, seen, lost): (String, i64, Option<i64>)| {
            Ok(Watch {
                cluster: parse("cluster id", &cluster)?,
                seen: Timestamp(seen),
                lost: lost.map(Timestamp),
            })
        };
        rows.into_iter().map(watch).collect()
    }

    async fn set_lost(&mut self, cluster: ClusterId, since: Option<Timestamp>) -> Result<bool, StoreError> {
        let changed = match since {
            Some(since) => run!(self, SET_LOST, cluster.to_string(), since.0)?,
            None => run!(self, SET_FOUND, cluster.to_string())?,
        };
        Ok(changed > 0)
    }

    async fn token_makers(&mut self, workspace: WorkspaceId) -> Result<Vec<(String, UserId)>, StoreError> {
        let rows = sqlx::query_as::<D, (String, String)>(TOKEN_MAKERS)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let maker = |(name, maker): (String, String)| Ok((name, parse("user id", &maker)?));
        rows.into_iter().map(maker).collect()
    }

    async fn gates(&mut self, promotion: PromotionId) -> Result<Option<Decision>, StoreError> {
        let stored = sqlx::query_scalar::<D, Option<String>>(GATES)
            .bind(promotion.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        stored.flatten().map(|json| from_json("gates", &json)).transpose()
    }

    async fn with_gates(
        &mut self,
        promotions: &[PromotionId],
    ) -> Result<Vec<(Promotion, Name, Option<Decision>)>, StoreError> {
        if promotions.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::<D>::new(WITH_GATES);
        let mut ids = query.separated(", ");
        for id in promotions {
            ids.push_bind(id.to_string());
        }
        query.push(")");
        let rows: Vec<WithGates> = query.build_query_as().fetch_all(&mut self.tx).await?;
        let mut found: HashMap<PromotionId, _> = HashMap::with_capacity(rows.len());
        for row in rows {
            let gates = row.gates.as_deref().map(|json| from_json("gates", json)).transpose()?;
            let (promotion, name) = (
                Promotion::try_from(row.promotion)?,
                parse("resource name", &row.resource_name)?,
            );
            found.insert(promotion.id, (promotion, name, gates));
        }
        Ok(promotions.iter().filter_map(|id| found.remove(id)).collect())
    }

    async fn set_gates(&mut self, promotion: PromotionId, decision: &Decision) -> Result<(), StoreError> {
        let json = to_json("gates", decision)?;
        run!(self, SET_GATES, promotion.to_string(), json, decision.awaits_approval())?;
        Ok(())
    }

    async fn awaiting_approval(&mut self, workspace: WorkspaceId) -> Result<Vec<Awaiting>, StoreError> {
        let rows = sqlx::query_as::<D, AwaitingRow>(AWAITING_APPROVAL)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        rows.into_iter().map(awaiting).collect()
    }

    async fn awaits_approval(&mut self, promotion: PromotionId) -> Result<Option<Awaiting>, StoreError> {
        let row = sqlx::query_as::<D, AwaitingRow>(AWAITS_APPROVAL)
            .bind(promotion.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        row.map(awaiting).transpose()
    }

    async fn asked_at(&mut self, promotion: PromotionId) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar::<D, Option<i64>>(ASKED_AT)
            .bind(promotion.to_string())
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn promotions_after(
        &mut self,
        workspace: WorkspaceId,
        sequence: i64,
        most: i64,
    ) -> Result<Vec<PromotionId>, StoreError> {
        let ids = sqlx::query_scalar::<D, String>(PROMOTIONS_AFTER)
            .bind(sequence)
            .bind(workspace.to_string())
            .bind(most)
            .fetch_all(&mut self.tx)
            .await?;
        ids.iter().map(|id| parse("promotion id", id)).collect()
    }

    async fn wake_waiting(&mut self, which: Waiting<'_>, now: Timestamp) -> Result<(), StoreError> {
        match which {
            Waiting::Project(project) => run!(self, WAKE_PROJECT, project.to_string(), now.0)?,
            Waiting::Digest(workspace, digest) => {
                run!(self, WAKE_DIGEST, workspace.to_string(), digest.to_string(), now.0)?
            }
        };
        Ok(())
    }
}
