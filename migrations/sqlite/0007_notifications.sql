-- Notifications out: channels of projects, and what is on its way through them.

CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    shown TEXT NOT NULL,                 -- what people see of where it leads: a host, or addresses of people
    target TEXT NOT NULL,                -- where it leads, and the key to sign with: JSON, sealed
    occasions TEXT NOT NULL,             -- JSON: words
    environments TEXT NOT NULL,          -- JSON: ids; empty for all
    active BOOLEAN NOT NULL,
    since BIGINT NOT NULL,                -- what stands in the ledger up to here is not told
    created_at BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- One row for each channel that a ledger's entry is told through: what is told was decided when the row was written.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    channel_id TEXT NOT NULL REFERENCES channels (id),
    event BIGINT,                         -- the entry's place in the ledger; NULL for a test
    promotion_id TEXT,
    occasion TEXT,                       -- NULL for a test
    message TEXT NOT NULL,               -- JSON
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    status BIGINT,                        -- what the other side answered last, a number
    answer TEXT,                         -- and in words
    created_at BIGINT NOT NULL,
    tried_at BIGINT,
    next_at BIGINT,                       -- when it is sent; NULL once delivered or given up
    lease_owner TEXT,
    lease_until BIGINT,
    UNIQUE (channel_id, event)
);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_by_workspace ON deliveries (workspace_id, id);
CREATE INDEX deliveries_by_promotion ON deliveries (promotion_id) WHERE promotion_id IS NOT NULL;
CREATE INDEX deliveries_ended ON deliveries (created_at) WHERE next_at IS NULL;

-- How far the ledger was gone through: one row.
CREATE TABLE notification_cursor (
    sequence BIGINT NOT NULL PRIMARY KEY
);
INSERT INTO notification_cursor (sequence) SELECT COALESCE(MAX(sequence), 0) FROM events;
