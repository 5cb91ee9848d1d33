-- The ledger becomes a chain, one per workspace: each entry holds the hash of the one before it and its own (server/src/store/chain.rs
-- says over what). What was written before this has no hashes, and is never given any: the chain begins after it.
ALTER TABLE events ADD COLUMN door TEXT;             -- through which door it came; NULL before this migration
ALTER TABLE events ADD COLUMN address TEXT;          -- network address, where there is one
ALTER TABLE events ADD COLUMN previous_hash TEXT;    -- SHA-256, hex
ALTER TABLE events ADD COLUMN hash TEXT;             -- SHA-256, hex

-- The newest hash of each chain, and how many entries it has.
CREATE TABLE ledger_heads (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    hash TEXT NOT NULL,
    entries BIGINT NOT NULL,
    PRIMARY KEY (workspace_id)
);

-- What people look for, read by the database itself from what is hashed. The kind stands first (`{"kind":"`): what follows may be long,
-- and need not be taken apart.
ALTER TABLE events ADD COLUMN kind TEXT
    GENERATED ALWAYS AS (substr(happened, 10, instr(substr(happened, 10, 64), '"') - 1)) VIRTUAL;
-- `ada <ada@example.com>`, `token ci`, `waybill`.
ALTER TABLE events ADD COLUMN actor_key TEXT GENERATED ALWAYS AS (lower(CASE json_extract(actor, '$.kind')
    WHEN 'person' THEN json_extract(actor, '$.name') || ' <' || json_extract(actor, '$.email') || '>'
    WHEN 'token' THEN 'token ' || json_extract(actor, '$.name')
    ELSE json_extract(actor, '$.kind') END)) VIRTUAL;

-- Newest first, from any moment on, for each thing that is looked for.
CREATE INDEX events_by_time ON events (workspace_id, at, sequence);
CREATE INDEX events_by_kind ON events (workspace_id, kind, at, sequence);
CREATE INDEX events_by_actor ON events (workspace_id, actor_key, at, sequence);
CREATE INDEX events_by_environment ON events (environment_id, at, sequence) WHERE environment_id IS NOT NULL;
CREATE INDEX events_by_resource ON events (resource_id, at, sequence) WHERE resource_id IS NOT NULL;

-- INSERT OR REPLACE fires no DELETE trigger, and nothing is ever slipped in before the newest entry.
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE sequence = NEW.sequence)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER events_come_last AFTER INSERT ON events
    WHEN NEW.sequence < (SELECT MAX(sequence) FROM events)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
