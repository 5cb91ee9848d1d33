-- Whether what runs, and what can be gone back to, can still be pulled.
CREATE TABLE presence (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    repository TEXT NOT NULL,            -- with its registry's host
    digest TEXT NOT NULL,
    parts TEXT,                          -- JSON: what the image consists of, once that was read
    missing TEXT,                        -- JSON: what of it is gone, a few words each; NULL: nothing
    gone_since BIGINT,                   -- when that was found
    suspected_at BIGINT,                 -- when something seemed to be gone, until that is confirmed
    looked_at BIGINT,                    -- the last look that was answered
    trouble TEXT,                        -- why it couldn't be looked at, a sentence
    heal_from TEXT,                      -- the repository that the missing parts are copied from
    heal_failure TEXT,                   -- why that failed, a sentence
    tries BIGINT NOT NULL,               -- that failed in a row
    next_at BIGINT NOT NULL,             -- not looked at before then
    lease_owner TEXT,
    lease_until BIGINT,
    PRIMARY KEY (workspace_id, repository, digest)
);
CREATE INDEX presence_by_missing ON presence (workspace_id) WHERE missing IS NOT NULL;
CREATE INDEX presence_by_due ON presence (next_at);
