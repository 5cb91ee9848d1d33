-- Whose certificates, logs and timestamps count for keyless signatures, beside those that are built in.
CREATE TABLE trusted_roots (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,              -- trusted_root.json
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, name)
);
