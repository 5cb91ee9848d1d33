-- The tables of the main job. Ids are UUIDv7 as text, times are milliseconds since the epoch, compound values are JSON.
-- Texts are compared byte by byte, as SQLite does, whatever language the database was made for: COLLATE "C" on all of them.

CREATE TABLE workspaces (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL UNIQUE,      -- lower case
    name TEXT COLLATE "C" NOT NULL,
    password_hash TEXT COLLATE "C" NOT NULL,     -- argon2id, PHC string
    active BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    role TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE api_tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,       -- SHA-256 of the token, hex; the token has 256 random bits
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    UNIQUE (workspace_id, name)
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,             -- SHA-256 of the session id, hex
    data TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE clusters (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name TEXT COLLATE "C" NOT NULL,
    argocd TEXT COLLATE "C",                     -- settings, JSON
    argocd_token TEXT COLLATE "C",               -- sealed
    argocd_ca TEXT COLLATE "C",
    registry TEXT COLLATE "C" NOT NULL,
    registry_plain_http BOOLEAN NOT NULL,
    registry_user TEXT COLLATE "C",
    registry_password TEXT COLLATE "C",          -- sealed
    UNIQUE (workspace_id, name)
);

CREATE TABLE projects (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name TEXT COLLATE "C" NOT NULL,
    repository_url TEXT COLLATE "C" NOT NULL,
    branch TEXT COLLATE "C" NOT NULL,
    path_template TEXT COLLATE "C" NOT NULL,
    values_prefix TEXT COLLATE "C" NOT NULL,
    credentials TEXT COLLATE "C",                -- sealed JSON
    tip TEXT COLLATE "C",                        -- newest commit whose declarations are stored in resources
    problem TEXT COLLATE "C",                    -- why the repository can't be read, a sentence
    UNIQUE (workspace_id, name)
);

CREATE TABLE environments (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    cluster_id TEXT COLLATE "C" NOT NULL REFERENCES clusters (id),
    name TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    protected BOOLEAN NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE resources (
    id TEXT COLLATE "C" PRIMARY KEY,
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    image_repository TEXT COLLATE "C",           -- source: image
    source_id TEXT COLLATE "C" REFERENCES resources (id), -- source: promote
    pin TEXT COLLATE "C",                        -- the digest; NULL tracks latest
    runtime TEXT COLLATE "C" NOT NULL,           -- JSON
    desired_repository TEXT COLLATE "C",
    desired_tag TEXT COLLATE "C",
    desired_digest TEXT COLLATE "C",
    desired_at BIGINT,
    live TEXT COLLATE "C",                       -- JSON
    created_at BIGINT NOT NULL,
    UNIQUE (environment_id, name),
    CHECK ((image_repository IS NULL) <> (source_id IS NULL))
);
CREATE INDEX resources_by_source ON resources (source_id);
CREATE INDEX resources_by_image ON resources (image_repository);

CREATE TABLE artifacts (
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of arrival
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    repository TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    tag TEXT COLLATE "C",
    seen_at BIGINT NOT NULL,
    rank BIGINT NOT NULL,                        -- newer artifacts have higher ones: when it was built, 0 until that is known
    details TEXT COLLATE "C",                    -- JSON
    UNIQUE (workspace_id, repository, digest)
);
CREATE INDEX artifacts_by_age ON artifacts (workspace_id, repository, rank, ordinal);

CREATE TABLE promotions (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    resource_id TEXT COLLATE "C" NOT NULL REFERENCES resources (id),
    purpose TEXT COLLATE "C" NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,      -- JSON
    origin_environment TEXT COLLATE "C",
    origin_resource TEXT COLLATE "C",
    repository TEXT COLLATE "C" NOT NULL,
    tag TEXT COLLATE "C",
    digest TEXT COLLATE "C" NOT NULL,
    previous TEXT COLLATE "C",                   -- JSON
    creates BOOLEAN NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    waits_for TEXT COLLATE "C",
    failure_step TEXT COLLATE "C",
    failure_reason TEXT COLLATE "C",
    commit_id TEXT COLLATE "C",
    committed_at BIGINT,
    tries BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    state_since BIGINT NOT NULL,
    ended_at BIGINT,
    next_at BIGINT,                              -- when a worker should look; NULL once ended
    lease_owner TEXT COLLATE "C",
    lease_until BIGINT
);
CREATE INDEX promotions_due ON promotions (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX promotions_by_resource ON promotions (resource_id, id);
CREATE INDEX promotions_by_project ON promotions (project_id, id);

CREATE TABLE events (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    project_id TEXT COLLATE "C",
    environment_id TEXT COLLATE "C",
    resource_id TEXT COLLATE "C",
    promotion_id TEXT COLLATE "C",
    actor TEXT COLLATE "C" NOT NULL,             -- JSON
    happened TEXT COLLATE "C" NOT NULL           -- JSON
);
CREATE INDEX events_by_promotion ON events (promotion_id, sequence) WHERE promotion_id IS NOT NULL;

-- The ledger is only ever added to.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END $$;
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Other servers are told of what was written, when it is committed; equal words of one transaction are told once.
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('waybill', TG_ARGV[0]);
    RETURN NULL;
END $$;
CREATE TRIGGER events_tell AFTER INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION tell('ledger');
-- A claim changes neither of the two columns in a way that tells: it makes no work for others.
CREATE TRIGGER promotions_tell AFTER INSERT ON promotions
    FOR EACH STATEMENT EXECUTE FUNCTION tell('work');
CREATE TRIGGER promotions_tell_next AFTER UPDATE OF next_at ON promotions
    FOR EACH ROW WHEN (NEW.next_at IS NOT NULL) EXECUTE FUNCTION tell('work');
CREATE TRIGGER promotions_tell_release AFTER UPDATE OF lease_until ON promotions
    FOR EACH ROW WHEN (NEW.lease_until = 0) EXECUTE FUNCTION tell('work');
CREATE TRIGGER clusters_tell AFTER INSERT OR UPDATE ON clusters
    FOR EACH STATEMENT EXECUTE FUNCTION tell('connections');
-- Not when a tip or a problem is noted, which happens at each look.
CREATE TRIGGER projects_tell AFTER INSERT OR UPDATE OF repository_url, branch, path_template, values_prefix, credentials
    ON projects FOR EACH STATEMENT EXECUTE FUNCTION tell('connections');
CREATE TRIGGER environments_tell AFTER INSERT OR UPDATE ON environments
    FOR EACH STATEMENT EXECUTE FUNCTION tell('connections');
CREATE TRIGGER resources_tell AFTER INSERT OR UPDATE OF image_repository ON resources
    FOR EACH STATEMENT EXECUTE FUNCTION tell('connections');
