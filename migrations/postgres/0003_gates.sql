-- What an environment asks for before an image may run in it: JSON, `{}` for nothing.
ALTER TABLE environments ADD COLUMN policy TEXT COLLATE "C" NOT NULL DEFAULT '{}';

-- How the gates of a promotion stood when they were looked at last, JSON; NULL when its environment asked for nothing.
ALTER TABLE promotions ADD COLUMN gates TEXT COLLATE "C";
ALTER TABLE promotions ADD COLUMN awaits_approval BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX promotions_waiting ON promotions (workspace_id, id) WHERE state = 'waiting';

-- Nothing new may run in a project, or in one of its environments, until somebody lifts it.
CREATE TABLE stops (
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    environment_id TEXT COLLATE "C" NOT NULL,        -- '' for the whole project
    stop TEXT COLLATE "C" NOT NULL,                  -- JSON
    PRIMARY KEY (project_id, environment_id)
);

-- What people said about a promotion: yes or no, once each.
CREATE TABLE approvals (
    promotion_id TEXT COLLATE "C" NOT NULL REFERENCES promotions (id),
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    approval TEXT COLLATE "C" NOT NULL,              -- JSON
    PRIMARY KEY (promotion_id, user_id)
);
CREATE INDEX approvals_by_user ON approvals (user_id);

CREATE TABLE overrides (
    promotion_id TEXT COLLATE "C" NOT NULL REFERENCES promotions (id),
    gate TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    override TEXT COLLATE "C" NOT NULL,              -- JSON
    PRIMARY KEY (promotion_id, gate, at)
);

-- Results about a digest, all that were ever reported; the newest of a name counts.
CREATE TABLE checks (
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    digest TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    result TEXT COLLATE "C" NOT NULL                 -- JSON
);
CREATE INDEX checks_by_digest ON checks (workspace_id, digest, name, at, ordinal);

-- When a digest was live and healthy in an environment, without a break.
CREATE TABLE healthy_runs (
    resource_id TEXT COLLATE "C" NOT NULL REFERENCES resources (id),
    digest TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,                        -- NULL while it is
    PRIMARY KEY (resource_id, digest, since)
);
CREATE INDEX healthy_runs_by_digest ON healthy_runs (digest);
-- What is healthy now is so since it was reported.
INSERT INTO healthy_runs (resource_id, digest, since)
    SELECT r.id, d.value, (r.live::json ->> 'at')::bigint FROM resources r, json_array_elements_text(r.live::json -> 'digests') d
    WHERE r.live::json ->> 'health' = 'Healthy';
