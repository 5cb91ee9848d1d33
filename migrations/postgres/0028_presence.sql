-- Whether what runs, and what can be gone back to, can still be pulled.
CREATE TABLE presence (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    repository TEXT COLLATE "C" NOT NULL,            -- with its registry's host
    digest TEXT COLLATE "C" NOT NULL,
    parts TEXT COLLATE "C",                          -- JSON: what the image consists of, once that was read
    missing TEXT COLLATE "C",                        -- JSON: what of it is gone, a few words each; NULL: nothing
    gone_since BIGINT,                   -- when that was found
    suspected_at BIGINT,                 -- when something seemed to be gone, until that is confirmed
    looked_at BIGINT,                    -- the last look that was answered
    trouble TEXT COLLATE "C",                        -- why it couldn't be looked at, a sentence
    heal_from TEXT COLLATE "C",                      -- the repository that the missing parts are copied from
    heal_failure TEXT COLLATE "C",                   -- why that failed, a sentence
    tries BIGINT NOT NULL,               -- that failed in a row
    next_at BIGINT NOT NULL,             -- not looked at before then
    lease_owner TEXT COLLATE "C",
    lease_until BIGINT,
    PRIMARY KEY (workspace_id, repository, digest)
);
CREATE INDEX presence_by_missing ON presence (workspace_id) WHERE missing IS NOT NULL;
CREATE INDEX presence_by_due ON presence (next_at);
