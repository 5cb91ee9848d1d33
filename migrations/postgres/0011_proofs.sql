-- What registries were asked about digests: whether one is signed with a key. What was found is so for good.
CREATE TABLE proofs (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    digest TEXT COLLATE "C" NOT NULL,
    sought TEXT COLLATE "C" NOT NULL,                -- the key's fingerprint
    found TEXT COLLATE "C" NOT NULL,                 -- JSON
    is_proven BOOLEAN NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    asked_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,             -- when it is asked again, unless it is proven
    PRIMARY KEY (workspace_id, digest, sought, repository)
);
