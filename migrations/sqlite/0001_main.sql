-- The tables of the main job. Ids are UUIDv7 as text, times are milliseconds since the epoch, compound values are JSON.

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,          -- lower case
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,         -- argon2id, PHC string
    active BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,           -- SHA-256 of the token, hex; the token has 256 random bits
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    UNIQUE (workspace_id, name)
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,                 -- SHA-256 of the session id, hex
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE clusters (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    argocd TEXT,                         -- settings, JSON
    argocd_token TEXT,                   -- sealed
    argocd_ca TEXT,
    registry TEXT NOT NULL,
    registry_plain_http BOOLEAN NOT NULL,
    registry_user TEXT,
    registry_password TEXT,              -- sealed
    UNIQUE (workspace_id, name)
);

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    repository_url TEXT NOT NULL,
    branch TEXT NOT NULL,
    path_template TEXT NOT NULL,
    values_prefix TEXT NOT NULL,
    credentials TEXT,                    -- sealed JSON
    tip TEXT,                            -- newest commit whose declarations are stored in resources
    problem TEXT,                        -- why the repository can't be read, a sentence
    UNIQUE (workspace_id, name)
);

CREATE TABLE environments (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    protected BOOLEAN NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE resources (
    id TEXT PRIMARY KEY,
    environment_id TEXT NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    image_repository TEXT,               -- source: image
    source_id TEXT REFERENCES resources (id), -- source: promote
    pin TEXT,                            -- the digest; NULL tracks latest
    runtime TEXT NOT NULL,               -- JSON
    desired_repository TEXT,
    desired_tag TEXT,
    desired_digest TEXT,
    desired_at BIGINT,
    live TEXT,                           -- JSON
    created_at BIGINT NOT NULL,
    UNIQUE (environment_id, name),
    CHECK ((image_repository IS NULL) <> (source_id IS NULL))
);
CREATE INDEX resources_by_source ON resources (source_id);
CREATE INDEX resources_by_image ON resources (image_repository);

CREATE TABLE artifacts (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    tag TEXT,
    seen_at BIGINT NOT NULL,
    rank BIGINT NOT NULL,                -- newer artifacts have higher ones: when it was built, 0 until that is known
    details TEXT,                        -- JSON
    UNIQUE (workspace_id, repository, digest)
);
CREATE INDEX artifacts_by_age ON artifacts (workspace_id, repository, rank, ordinal);

CREATE TABLE promotions (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    environment_id TEXT NOT NULL REFERENCES environments (id),
    resource_id TEXT NOT NULL REFERENCES resources (id),
    purpose TEXT NOT NULL,
    requested_by TEXT NOT NULL,          -- JSON
    origin_environment TEXT,
    origin_resource TEXT,
    repository TEXT NOT NULL,
    tag TEXT,
    digest TEXT NOT NULL,
    previous TEXT,                       -- JSON
    creates BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    waits_for TEXT,
    failure_step TEXT,
    failure_reason TEXT,
    commit_id TEXT,
    committed_at BIGINT,
    tries BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    state_since BIGINT NOT NULL,
    ended_at BIGINT,
    next_at BIGINT,                      -- when a worker should look; NULL once ended
    lease_owner TEXT,
    lease_until BIGINT
);
CREATE INDEX promotions_due ON promotions (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX promotions_by_resource ON promotions (resource_id, id);
CREATE INDEX promotions_by_project ON promotions (project_id, id);

CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    project_id TEXT,
    environment_id TEXT,
    resource_id TEXT,
    promotion_id TEXT,
    actor TEXT NOT NULL,                 -- JSON
    happened TEXT NOT NULL               -- JSON
);
CREATE INDEX events_by_promotion ON events (promotion_id, sequence) WHERE promotion_id IS NOT NULL;

-- The ledger is only ever added to.
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
