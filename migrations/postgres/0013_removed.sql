-- What was removed keeps its row, so that its history can be read at its id. Its `name` is `NAME~ID` from then on, and the
-- name is free again; `name_was` is what it was called.
ALTER TABLE workspaces ADD COLUMN removed_at BIGINT;
ALTER TABLE workspaces ADD COLUMN removed_by TEXT COLLATE "C";
ALTER TABLE workspaces ADD COLUMN name_was TEXT COLLATE "C";
ALTER TABLE clusters ADD COLUMN removed_at BIGINT;
ALTER TABLE clusters ADD COLUMN removed_by TEXT COLLATE "C";
ALTER TABLE clusters ADD COLUMN name_was TEXT COLLATE "C";
ALTER TABLE projects ADD COLUMN removed_at BIGINT;
ALTER TABLE projects ADD COLUMN removed_by TEXT COLLATE "C";
ALTER TABLE projects ADD COLUMN name_was TEXT COLLATE "C";
ALTER TABLE environments ADD COLUMN removed_at BIGINT;
ALTER TABLE environments ADD COLUMN removed_by TEXT COLLATE "C";
ALTER TABLE environments ADD COLUMN name_was TEXT COLLATE "C";
ALTER TABLE resources ADD COLUMN removed_at BIGINT;
ALTER TABLE resources ADD COLUMN removed_by TEXT COLLATE "C";
ALTER TABLE resources ADD COLUMN name_was TEXT COLLATE "C";

-- Blocks of removed resources that are to be taken out of a values file: one commit each, made by a worker.
CREATE TABLE git_removals (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    environment TEXT COLLATE "C" NOT NULL,           -- its name then
    repository_url TEXT COLLATE "C" NOT NULL,        -- where the blocks were when it was asked for
    branch TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,                  -- of the values file
    prefix TEXT COLLATE "C" NOT NULL,                -- dotted keys above `services`
    services TEXT COLLATE "C" NOT NULL,              -- JSON: keys below `services`
    requested_by TEXT COLLATE "C" NOT NULL,          -- JSON
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at BIGINT,                      -- when a worker should look; NULL once ended
    lease_owner TEXT COLLATE "C",
    lease_until BIGINT
);
CREATE INDEX git_removals_due ON git_removals (next_at) WHERE next_at IS NOT NULL;

-- A removed cluster's or project's secrets are gone: those that are connected elsewhere let go.
CREATE TRIGGER removals_tell AFTER UPDATE OF removed_at ON projects
    FOR EACH STATEMENT EXECUTE FUNCTION tell('connections');
