-- Hosts of source repositories whose history may be read, as administrators listed them: a label of an image is an address that anybody chose.
CREATE TABLE source_hosts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    host TEXT COLLATE "C" NOT NULL,                  -- with its port where it has one of its own
    plain_http BOOLEAN NOT NULL,
    read_user TEXT COLLATE "C",                      -- NULL: read without signing in
    token TEXT COLLATE "C",                          -- sealed
    added_by TEXT COLLATE "C" NOT NULL,              -- the name of whoever listed it
    added_at BIGINT NOT NULL,
    UNIQUE (workspace_id, host)
);
