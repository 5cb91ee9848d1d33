-- Copies of images. Promotions that want the same image in the same repository share one.
CREATE TABLE copies (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    source TEXT NOT NULL,                -- repository
    target TEXT NOT NULL,                -- repository
    digest TEXT NOT NULL,
    attachments TEXT NOT NULL,           -- what goes along
    state TEXT NOT NULL,
    plan TEXT,                           -- JSON: what it has to do
    blobs_done BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    proof TEXT,                          -- JSON: what was read again at the target
    failure TEXT,                        -- a sentence
    tries BIGINT NOT NULL,               -- that failed in a row, without a byte more
    next_at BIGINT NOT NULL,             -- not before then
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    lease_owner TEXT,
    lease_until BIGINT,
    UNIQUE (workspace_id, target, digest, attachments)
);

-- Which copy a promotion waits for or waited for, for each of its images.
CREATE TABLE promotion_copies (
    promotion_id TEXT NOT NULL REFERENCES promotions (id),
    slot BIGINT NOT NULL,                -- the place of the image among those of the resource
    copy_id TEXT NOT NULL REFERENCES copies (id),
    PRIMARY KEY (promotion_id, slot)
);
CREATE INDEX promotion_copies_by_copy ON promotion_copies (copy_id);

-- The repository that is written into Git, where it isn't the one that the image came from.
ALTER TABLE promotions ADD COLUMN target_repository TEXT;
