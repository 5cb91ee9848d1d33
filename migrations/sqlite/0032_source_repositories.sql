-- Hosts of source repositories whose history may be read, as administrators listed them: a label of an image is an address that anybody chose.
CREATE TABLE source_hosts (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    host TEXT NOT NULL,                  -- with its port where it has one of its own
    plain_http BOOLEAN NOT NULL,
    read_user TEXT,                      -- NULL: read without signing in
    token TEXT,                          -- sealed
    added_by TEXT NOT NULL,              -- the name of whoever listed it
    added_at BIGINT NOT NULL,
    UNIQUE (workspace_id, host)
);
