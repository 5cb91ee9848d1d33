-- Registries by themselves: a cluster pulls from one, and images are copied to one. What each cluster said of its registry becomes a
-- registry of the cluster's name and with the cluster's id, so that its sealed password opens as before.
CREATE TABLE registries (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,                  -- with the port if there is one
    plain_http BOOLEAN NOT NULL,
    ca TEXT COLLATE "C",                             -- PEM
    pull_user TEXT COLLATE "C",
    pull_password TEXT COLLATE "C",                  -- sealed
    push_user TEXT COLLATE "C",
    push_password TEXT COLLATE "C",                  -- sealed
    removed_at BIGINT,
    removed_by TEXT COLLATE "C",
    name_was TEXT COLLATE "C",
    UNIQUE (workspace_id, name)
);

INSERT INTO registries (id, workspace_id, name, host, plain_http, pull_user, pull_password, removed_at, removed_by, name_was)
    SELECT id, workspace_id, name, registry, registry_plain_http, registry_user, registry_password, removed_at, removed_by, name_was
    FROM clusters WHERE registry <> '';

ALTER TABLE clusters ADD COLUMN registry_id TEXT COLLATE "C" REFERENCES registries (id);
UPDATE clusters SET registry_id = id WHERE registry <> '';
ALTER TABLE clusters DROP COLUMN registry;
ALTER TABLE clusters DROP COLUMN registry_plain_http;
ALTER TABLE clusters DROP COLUMN registry_user;
ALTER TABLE clusters DROP COLUMN registry_password;

-- Where images are copied to before they are committed, JSON: of the environment, else of its cluster.
ALTER TABLE clusters ADD COLUMN mirror TEXT COLLATE "C";
ALTER TABLE environments ADD COLUMN mirror TEXT COLLATE "C";
