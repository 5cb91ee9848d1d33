//! The statements that both databases accept (`$1` works in both).

pub(crate) const TAKE_ROOM: &str = "INSERT INTO room (id, filling) VALUES (0, $1) \
     ON CONFLICT (id) DO UPDATE SET filling = excluded.filling";
pub(crate) const GIVE_ROOM_BACK: &str = "DELETE FROM room";

pub(crate) const WORKSPACES: &str = "SELECT id, name FROM workspaces WHERE removed_at IS NULL ORDER BY name";
pub(crate) const WORKSPACE_BY_NAME: &str = "SELECT id, name FROM workspaces WHERE name = $1 AND removed_at IS NULL";
pub(crate) const INSERT_WORKSPACE: &str = "INSERT INTO workspaces (id, name, created_at) VALUES ($1, $2, $3)";

pub(crate) const COUNT_USERS: &str = "SELECT COUNT(*) FROM users";
pub(crate) const USER: &str = "SELECT * FROM users WHERE id = $1";
pub(crate) const USER_BY_EMAIL: &str = "SELECT * FROM users WHERE email = $1";
/// Who administers something comes first: the others may have been shown the door.
pub(crate) const FIRST_USER: &str = "SELECT u.* FROM users u WHERE u.active ORDER BY CASE WHEN EXISTS \
     (SELECT 1 FROM memberships m WHERE m.user_id = u.id AND m.role = 'admin') THEN 0 ELSE 1 END, u.created_at, u.id LIMIT 1";
pub(crate) const INSERT_USER: &str =
    "INSERT INTO users (id, email, name, password_hash, active, created_at) VALUES ($1, $2, $3, $4, $5, $6)";

pub(crate) const MEMBERSHIPS: &str = "SELECT w.id, w.name, m.role FROM memberships m \
     JOIN workspaces w ON w.id = m.workspace_id AND w.removed_at IS NULL WHERE m.user_id = $1 ORDER BY w.name";
pub(crate) const SET_MEMBERSHIP: &str = "INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, $3) \
     ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role";

pub(crate) const CLUSTERS: &str = "SELECT * FROM clusters WHERE workspace_id = $1 AND removed_at IS NULL ORDER BY name";
pub(crate) const PUT_CLUSTER: &str = "INSERT INTO clusters (id, workspace_id, name, argocd, argocd_token, argocd_ca, \
     registry, registry_plain_http, registry_user, registry_password, platforms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT (id) DO UPDATE SET argocd = excluded.argocd, argocd_token = excluded.argocd_token, \
     argocd_ca = excluded.argocd_ca, registry = excluded.registry, registry_plain_http = excluded.registry_plain_http, \
     registry_user = excluded.registry_user, registry_password = excluded.registry_password, platforms = excluded.platforms";

pub(crate) const PROJECTS: &str = "SELECT * FROM projects WHERE workspace_id = $1 AND removed_at IS NULL ORDER BY name";
pub(crate) const PROJECT: &str = "SELECT * FROM projects WHERE id = $1 AND removed_at IS NULL";
pub(crate) const PUT_PROJECT: &str = "INSERT INTO projects (id, workspace_id, name, repository_url, branch, \
     path_template, values_prefix, credentials, commit_subject, author_address) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (id) DO UPDATE SET repository_url = excluded.repository_url, branch = excluded.branch, \
     path_template = excluded.path_template, values_prefix = excluded.values_prefix, \
     credentials = excluded.credentials, commit_subject = excluded.commit_subject, \
     author_address = excluded.author_address, tip = NULL";
pub(crate) const SET_TIP: &str = "UPDATE projects SET tip = COALESCE($2, tip), problem = $3 WHERE id = $1";

pub(crate) const ENVIRONMENTS: &str =
    "SELECT * FROM environments WHERE project_id = $1 AND removed_at IS NULL ORDER BY position, name";
pub(crate) const PUT_ENVIRONMENT: &str = "INSERT INTO environments (id, project_id, cluster_id, name, key, position, protected, policy) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (id) DO UPDATE SET cluster_id = excluded.cluster_id, key = excluded.key, position = excluded.position, \
     protected = excluded.protected, policy = excluded.policy";

pub(crate) const RESOURCES: &str = "SELECT r.* FROM resources r JOIN environments e ON e.id = r.environment_id \
     WHERE e.project_id = $1 AND r.removed_at IS NULL ORDER BY r.name";
pub(crate) const RESOURCE: &str = "SELECT * FROM resources WHERE id = $1 AND removed_at IS NULL";
pub(crate) const RESOURCE_BY_NAME: &str =
    "SELECT * FROM resources WHERE environment_id = $1 AND name = $2 AND removed_at IS NULL";
pub(crate) const INSERT_RESOURCE: &str = "INSERT INTO resources (id, environment_id, name, key, kind, image_repository, \
     source_id, pin, runtime, created_at, tag_rule) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
pub(crate) const UPDATE_RESOURCE: &str = "UPDATE resources SET key = $2, kind = $3, image_repository = $4, source_id = $5, \
     pin = $6, runtime = $7, tag_rule = $8 WHERE id = $1";
pub(crate) const SET_DESIRED: &str = "UPDATE resources SET desired_repository = $2, desired_tag = $3, \
     desired_digest = $4, desired_at = $5, outside = NULL, unclear = NULL WHERE id = $1";
pub(crate) const SET_OUTSIDE: &str = "UPDATE resources SET outside = $2 WHERE id = $1";
pub(crate) const SET_UNCLEAR: &str = "UPDATE resources SET unclear = $2 WHERE id = $1";
pub(crate) const SET_HOLD: &str = "UPDATE resources SET hold = $2 WHERE id = $1";
pub(crate) const SET_LIVE: &str = "UPDATE resources SET live = $2 WHERE id = $1";
pub(crate) const FOLLOWERS: &str = "SELECT * FROM resources WHERE source_id = $1 AND removed_at IS NULL ORDER BY name";
/// The resource at the end of the chain says which of two images is newer. The followers are asked for together with it: most have no rule, and
/// need no question for that.
pub(crate) const FOLLOWERS_IN_ORDER: &str = "WITH RECURSIVE up (id, source_id, tag_rule) AS (\
     SELECT id, source_id, tag_rule FROM resources WHERE id = $1 \
     UNION SELECT r.id, r.source_id, r.tag_rule FROM up JOIN resources r ON r.id = up.source_id) \
     SELECT f.*, (SELECT tag_rule FROM up WHERE source_id IS NULL) AS order_rule FROM resources f \
     WHERE f.source_id = $1 AND f.removed_at IS NULL ORDER BY f.name";
pub(crate) const ORDER_OF: &str = "WITH RECURSIVE up (id, source_id, tag_rule) AS (\
     SELECT id, source_id, tag_rule FROM resources WHERE id = $1 \
     UNION SELECT r.id, r.source_id, r.tag_rule FROM up JOIN resources r ON r.id = up.source_id) \
     SELECT tag_rule FROM up WHERE source_id IS NULL";
pub(crate) const RESOURCES_OF_IMAGE: &str = "SELECT r.*, c.platforms FROM resources r \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id JOIN clusters c ON c.id = e.cluster_id \
     WHERE p.workspace_id = $1 AND r.image_repository = $2 AND r.removed_at IS NULL";
pub(crate) const IMAGE_REPOSITORIES: &str = "SELECT DISTINCT p.workspace_id, r.image_repository FROM resources r \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id \
     WHERE r.image_repository IS NOT NULL AND r.removed_at IS NULL";

pub(crate) const ARTIFACT: &str = "SELECT * FROM artifacts WHERE workspace_id = $1 AND repository = $2 AND digest = $3";
/// Never seen before one that arrived earlier, whatever the clock says now: where builders say nothing, the newest is told by it.
pub(crate) const INSERT_ARTIFACT: &str = "INSERT INTO artifacts (workspace_id, repository, digest, tag, seen_at, rank) \
     SELECT $1, $2, $3, $4, MAX(m.seen_at), 0 FROM (SELECT $5 AS seen_at UNION ALL SELECT * FROM (\
     SELECT seen_at FROM artifacts WHERE workspace_id = $1 AND repository = $2 ORDER BY ordinal DESC LIMIT 1) l) m WHERE TRUE \
     ON CONFLICT (workspace_id, repository, digest) DO NOTHING";
pub(crate) const NAME_ARTIFACT: &str =
    "UPDATE artifacts SET tag = $4 WHERE workspace_id = $1 AND repository = $2 AND digest = $3 AND tag IS NULL";
pub(crate) const SET_DETAILS: &str =
    "UPDATE artifacts SET details = $4, rank = $5 WHERE workspace_id = $1 AND repository = $2 AND digest = $3";
pub(crate) const RECENT_ARTIFACTS: &str = "SELECT * FROM artifacts WHERE workspace_id = $1 AND repository = $2 \
     ORDER BY rank DESC, ordinal DESC LIMIT $3";
pub(crate) const COUNT_NEWER: &str = "SELECT COUNT(*) FROM artifacts a \
     JOIN artifacts o ON o.workspace_id = $1 AND o.repository = $2 AND o.digest = $3 \
     JOIN artifacts n ON n.workspace_id = $1 AND n.repository = $2 AND n.digest = $4 \
     WHERE a.workspace_id = $1 AND a.repository = $2 \
     AND (a.rank, a.ordinal) > (o.rank, o.ordinal) AND (a.rank, a.ordinal) <= (n.rank, n.ordinal)";

pub(crate) const INSERT_PROMOTION: &str = "INSERT INTO promotions (id, workspace_id, project_id, environment_id, \
     resource_id, purpose, requested_by, origin_environment, origin_resource, repository, tag, digest, previous, \
     creates, state, tries, attempts, created_at, state_since, next_at, number, creates_file) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, 0, $16, $16, $16, $17, $18)";
pub(crate) const MAY_CREATE_FILE: &str = "UPDATE promotions SET creates_file = TRUE WHERE id = $1";
pub(crate) const PROMOTION: &str = "SELECT * FROM promotions WHERE id = $1";
pub(crate) const NEXT_NUMBER: &str = "SELECT COALESCE(MAX(number), 0) + 1 FROM promotions WHERE resource_id = $1";
pub(crate) const PROMOTIONS_OF: &str = "SELECT * FROM promotions WHERE resource_id = $1 ORDER BY number DESC LIMIT $2";
pub(crate) const NEWEST_PROMOTIONS: &str = "SELECT p.* FROM environments e \
     JOIN resources r ON r.environment_id = e.id AND r.removed_at IS NULL \
     JOIN promotions p ON p.resource_id = r.id \
     AND p.number = (SELECT MAX(q.number) FROM promotions q WHERE q.resource_id = r.id) \
     WHERE e.project_id = $1";
pub(crate) const OPEN_PROMOTIONS: &str =
    "SELECT * FROM promotions WHERE resource_id = $1 AND ended_at IS NULL ORDER BY number DESC";
pub(crate) const UPDATE_PROMOTION: &str = "UPDATE promotions SET tag = $3, state = $4, waits_for = $5, \
     failure_step = $6, failure_reason = $7, commit_id = $8, attempts = $9, state_since = $10, ended_at = $11, \
     next_at = $12, committed_at = $13, tries = $14, counts_from = $15, failure_more = $16, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND state = $2";
pub(crate) const PROMOTIONS_ASKED: &str = "SELECT p.*, a.sequence AS asked_at FROM events a \
     JOIN promotions p ON p.id = a.promotion_id \
     JOIN resources r ON r.id = p.resource_id AND r.removed_at IS NULL \
     JOIN environments e ON e.id = p.environment_id AND e.removed_at IS NULL \
     WHERE a.project_id = $1 AND a.kind = 'promotion_requested' AND a.sequence < $2 \
     AND ($3 = '' OR p.environment_id = $3) AND ($4 = '' OR r.name = $4) AND ($5 = '' OR p.state = $5) \
     ORDER BY a.sequence DESC LIMIT $6";
pub(crate) const FAILED_SINCE: &str = "SELECT * FROM promotions \
     WHERE state = 'failed' AND commit_id IS NOT NULL AND ended_at > $1 ORDER BY ended_at DESC LIMIT $2";
pub(crate) const IS_LEASED: &str = "SELECT COUNT(*) FROM promotions WHERE id = $1 AND lease_until > $2";
pub(crate) const KEEP_LEASE: &str = "UPDATE promotions SET lease_owner = $2, lease_until = $3 WHERE id = $1";
pub(crate) const RENEW_LEASE: &str = "UPDATE promotions SET lease_until = $3 WHERE id = $1 AND lease_owner = $2";
pub(crate) const RELEASE_LEASES: &str = "UPDATE promotions SET lease_until = 0 \
     WHERE lease_owner = COALESCE($1, lease_owner) AND next_at IS NOT NULL";
pub(crate) const RELEASE_GIT_REMOVALS: &str = "UPDATE git_removals SET lease_until = 0 \
     WHERE lease_owner = COALESCE($1, lease_owner) AND next_at IS NOT NULL";
pub(crate) const IS_PUT_OFF: &str = "SELECT EXISTS (SELECT 1 FROM promotions WHERE next_at > $1)";
pub(crate) const RECALL_PROMOTIONS: &str = "UPDATE promotions SET next_at = $2 WHERE next_at > $1";
pub(crate) const LEASES_BEYOND: &str =
    "SELECT id, lease_until FROM promotions WHERE next_at IS NOT NULL AND lease_until > $1";
pub(crate) const END_LEASE: &str = "UPDATE promotions SET lease_until = 0 WHERE id = $1 AND lease_until = $2";
pub(crate) const COMMITTED_AFTER: &str = "SELECT id FROM promotions WHERE resource_id = $1 AND number > $2 \
     AND commit_id IS NOT NULL AND digest <> $3 ORDER BY number DESC LIMIT 1";
pub(crate) const OPEN_SINCE_COMMIT: &str = "SELECT * FROM promotions WHERE next_at IS NOT NULL \
     AND state IN ('queued', 'mirroring', 'committing') AND state_since < $1 ORDER BY state_since, resource_id, number LIMIT $2";
pub(crate) const OPEN_SINCE_ROLLOUT: &str = "SELECT * FROM promotions WHERE next_at IS NOT NULL \
     AND state IN ('syncing', 'verifying') AND state_since < $1 ORDER BY state_since, resource_id, number LIMIT $2";
pub(crate) const NUDGE_ENVIRONMENT: &str = "UPDATE promotions SET next_at = $2 \
     WHERE environment_id = $1 AND ended_at IS NULL AND state IN ('syncing', 'verifying') AND next_at > $2";

pub(crate) const APPEND_EVENT: &str = "INSERT INTO events (at, workspace_id, project_id, environment_id, resource_id, \
     promotion_id, actor, happened, door, address, previous_hash, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING sequence";
pub(crate) const LEDGER_HEAD: &str = "SELECT hash, entries FROM ledger_heads WHERE workspace_id = $1";
pub(crate) const GROW_LEDGER: &str = "INSERT INTO ledger_heads (workspace_id, hash, entries) VALUES ($1, $2, $3) \
     ON CONFLICT (workspace_id) DO UPDATE SET hash = excluded.hash, entries = ledger_heads.entries + excluded.entries";
// In the order in which they were written: no index that would have to be sorted may be chosen for the workspace.
pub(crate) const LEDGER_ENTRIES: &str = "SELECT sequence, at, workspace_id, project_id, environment_id, resource_id, \
     promotion_id, actor, door, address, happened, previous_hash, hash FROM events \
     WHERE sequence > $2 AND COALESCE(workspace_id, '') = $1 ORDER BY sequence LIMIT $3";
pub(crate) const EVENTS_AFTER: &str = "SELECT * FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2";
pub(crate) const NEWEST_EVENT: &str = "SELECT COALESCE(MAX(sequence), 0) FROM events";
pub(crate) const KINDS_AFTER: &str = "SELECT DISTINCT kind FROM events \
     WHERE sequence > $1 AND workspace_id = $2 AND (project_id = $3 OR project_id IS NULL)";
pub(crate) const DECLARED_AFTER: &str = "SELECT DISTINCT resource_id FROM events WHERE sequence > $1 \
     AND project_id = $2 AND kind IN ('committed', 'desired_changed')";
pub(crate) const EVENTS_OF_PROMOTION: &str = "SELECT * FROM events WHERE promotion_id = $1 ORDER BY sequence";
