-- What registries were asked about digests: whether one is signed with a key. What was found is so for good.
CREATE TABLE proofs (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    digest TEXT NOT NULL,
    sought TEXT NOT NULL,                -- the key's fingerprint
    found TEXT NOT NULL,                 -- JSON
    is_proven BOOLEAN NOT NULL,
    repository TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,             -- when it is asked again, unless it is proven
    PRIMARY KEY (workspace_id, digest, sought, repository)
);
