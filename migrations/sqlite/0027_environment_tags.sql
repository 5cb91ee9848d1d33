-- Tags that an environment has in the registry: JSON, the marker and what keeps images.
ALTER TABLE environments ADD COLUMN tags TEXT;

-- Each tag that Waybill sets: what it should name, what it named last, and what is in the way.
CREATE TABLE tag_moves (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    repository TEXT NOT NULL,            -- with its registry's host
    tag TEXT NOT NULL,
    tag_use TEXT NOT NULL,               -- marker or keeper
    environment_id TEXT NOT NULL REFERENCES environments (id),
    resource_id TEXT NOT NULL REFERENCES resources (id),
    promotion_id TEXT REFERENCES promotions (id), -- that brought the image, if one did
    wanted TEXT NOT NULL,                -- digest
    last_set TEXT,                       -- the digest that it named when Waybill last set it, or found it so
    set_at BIGINT,                       -- when that was; NULL: it is to be set
    seen TEXT,                           -- the digest that somebody else had it name; NULL with drifted_at: it is gone
    drifted_at BIGINT,                   -- when that was found
    note TEXT,                           -- why it isn't set, a sentence
    tries BIGINT NOT NULL,               -- that failed in a row
    wish BIGINT NOT NULL,                -- counts what was wanted of it: a look that is under way writes nothing over a newer wish
    next_at BIGINT NOT NULL,             -- not looked at before then
    lease_owner TEXT,
    lease_until BIGINT,
    PRIMARY KEY (workspace_id, repository, tag)
);
CREATE INDEX tag_moves_by_due ON tag_moves (next_at);
CREATE INDEX tag_moves_by_drift ON tag_moves (environment_id) WHERE drifted_at IS NOT NULL;
CREATE INDEX tag_moves_by_environment ON tag_moves (environment_id);
CREATE INDEX tag_moves_by_resource ON tag_moves (resource_id);
CREATE INDEX tag_moves_by_tag ON tag_moves (tag);
CREATE INDEX tag_moves_by_promotion ON tag_moves (promotion_id);
