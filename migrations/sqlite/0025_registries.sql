-- Registries by themselves: a cluster pulls from one, and images are copied to one. What each cluster said of its registry becomes a
-- registry of the cluster's name and with the cluster's id, so that its sealed password opens as before.
CREATE TABLE registries (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    host TEXT NOT NULL,                  -- with the port if there is one
    plain_http BOOLEAN NOT NULL,
    ca TEXT,                             -- PEM
    pull_user TEXT,
    pull_password TEXT,                  -- sealed
    push_user TEXT,
    push_password TEXT,                  -- sealed
    removed_at BIGINT,
    removed_by TEXT,
    name_was TEXT,
    UNIQUE (workspace_id, name)
);

INSERT INTO registries (id, workspace_id, name, host, plain_http, pull_user, pull_password, removed_at, removed_by, name_was)
    SELECT id, workspace_id, name, registry, registry_plain_http, registry_user, registry_password, removed_at, removed_by, name_was
    FROM clusters WHERE registry <> '';

ALTER TABLE clusters ADD COLUMN registry_id TEXT REFERENCES registries (id);
UPDATE clusters SET registry_id = id WHERE registry <> '';
ALTER TABLE clusters DROP COLUMN registry;
ALTER TABLE clusters DROP COLUMN registry_plain_http;
ALTER TABLE clusters DROP COLUMN registry_user;
ALTER TABLE clusters DROP COLUMN registry_password;

-- Where images are copied to before they are committed, JSON: of the environment, else of its cluster.
ALTER TABLE clusters ADD COLUMN mirror TEXT;
ALTER TABLE environments ADD COLUMN mirror TEXT;
