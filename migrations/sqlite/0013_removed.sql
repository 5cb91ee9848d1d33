-- What was removed keeps its row, so that its history can be read at its id. Its `name` is `NAME~ID` from then on, and the
-- name is free again; `name_was` is what it was called.
ALTER TABLE workspaces ADD COLUMN removed_at BIGINT;
ALTER TABLE workspaces ADD COLUMN removed_by TEXT;
ALTER TABLE workspaces ADD COLUMN name_was TEXT;
ALTER TABLE clusters ADD COLUMN removed_at BIGINT;
ALTER TABLE clusters ADD COLUMN removed_by TEXT;
ALTER TABLE clusters ADD COLUMN name_was TEXT;
ALTER TABLE projects ADD COLUMN removed_at BIGINT;
ALTER TABLE projects ADD COLUMN removed_by TEXT;
ALTER TABLE projects ADD COLUMN name_was TEXT;
ALTER TABLE environments ADD COLUMN removed_at BIGINT;
ALTER TABLE environments ADD COLUMN removed_by TEXT;
ALTER TABLE environments ADD COLUMN name_was TEXT;
ALTER TABLE resources ADD COLUMN removed_at BIGINT;
ALTER TABLE resources ADD COLUMN removed_by TEXT;
ALTER TABLE resources ADD COLUMN name_was TEXT;

-- Blocks of removed resources that are to be taken out of a values file: one commit each, made by a worker.
CREATE TABLE git_removals (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    environment_id TEXT NOT NULL REFERENCES environments (id),
    environment TEXT NOT NULL,           -- its name then
    repository_url TEXT NOT NULL,        -- where the blocks were when it was asked for
    branch TEXT NOT NULL,
    path TEXT NOT NULL,                  -- of the values file
    prefix TEXT NOT NULL,                -- dotted keys above `services`
    services TEXT NOT NULL,              -- JSON: keys below `services`
    requested_by TEXT NOT NULL,          -- JSON
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at BIGINT,                      -- when a worker should look; NULL once ended
    lease_owner TEXT,
    lease_until BIGINT
);
CREATE INDEX git_removals_due ON git_removals (next_at) WHERE next_at IS NOT NULL;
