-- The ledger becomes a chain, one per workspace: each entry holds the hash of the one before it and its own (server/src/store/chain.rs
-- says over what). What was written before this has no hashes, and is never given any: the chain begins after it.
ALTER TABLE events ADD COLUMN door TEXT COLLATE "C";          -- through which door it came; NULL before this migration
ALTER TABLE events ADD COLUMN address TEXT COLLATE "C";       -- network address, where there is one
ALTER TABLE events ADD COLUMN previous_hash TEXT COLLATE "C"; -- SHA-256, hex
ALTER TABLE events ADD COLUMN hash TEXT COLLATE "C";          -- SHA-256, hex

-- The newest hash of each chain, and how many entries it has.
CREATE TABLE ledger_heads (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    hash TEXT COLLATE "C" NOT NULL,
    entries BIGINT NOT NULL,
    PRIMARY KEY (workspace_id)
);

-- What people look for, read by the database itself from what is hashed. JSON of ours may hold \u0000, which PostgreSQL makes no
-- text of: the kind stands first and is read without taking the rest apart, and an actor of such a name is found by none.
ALTER TABLE events ADD COLUMN kind TEXT COLLATE "C"
    GENERATED ALWAYS AS (substring(happened FROM '^\{"kind":"([a-z_]+)"')) STORED;
-- `ada <ada@example.com>`, `token ci`, `waybill`.
ALTER TABLE events ADD COLUMN actor_key TEXT COLLATE "C" GENERATED ALWAYS AS (
    CASE WHEN strpos(actor, '\u0000') = 0 THEN lower(CASE actor::json ->> 'kind'
        WHEN 'person' THEN (actor::json ->> 'name') || ' <' || (actor::json ->> 'email') || '>'
        WHEN 'token' THEN 'token ' || (actor::json ->> 'name')
        ELSE actor::json ->> 'kind' END COLLATE "C") END) STORED;

-- Newest first, from any moment on, for each thing that is looked for.
CREATE INDEX events_by_time ON events (workspace_id, at, sequence);
CREATE INDEX events_by_kind ON events (workspace_id, kind, at, sequence);
CREATE INDEX events_by_actor ON events (workspace_id, actor_key, at, sequence);
CREATE INDEX events_by_environment ON events (environment_id, at, sequence) WHERE environment_id IS NOT NULL;
CREATE INDEX events_by_resource ON events (resource_id, at, sequence) WHERE resource_id IS NOT NULL;

-- The release before this one runs on while this one starts, and knows no chain: what it adds is chained here, in the same way as
-- chain.rs does it. It holds the writers' turn as all do, so that the head stands still meanwhile.
CREATE FUNCTION ledger_field(field TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT COALESCE(octet_length(convert_to(field, 'UTF8')) || ':' || field || ',', '-,')
$$;
CREATE FUNCTION chain_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head TEXT;
BEGIN
    SELECT h.hash INTO head FROM ledger_heads h WHERE h.workspace_id = NEW.workspace_id;
    NEW.previous_hash := COALESCE(head, repeat('0', 64));
    NEW.hash := encode(sha256(convert_to(
        ledger_field('waybill ledger 1') || ledger_field(NEW.previous_hash) || ledger_field(NEW.at::text)
        || ledger_field(NEW.workspace_id) || ledger_field(NEW.project_id) || ledger_field(NEW.environment_id)
        || ledger_field(NEW.resource_id) || ledger_field(NEW.promotion_id) || ledger_field(NEW.actor)
        || ledger_field(NEW.door) || ledger_field(NEW.address) || ledger_field(NEW.happened), 'UTF8')), 'hex');
    INSERT INTO ledger_heads (workspace_id, hash, entries) VALUES (NEW.workspace_id, NEW.hash, 1)
        ON CONFLICT (workspace_id) DO UPDATE SET hash = excluded.hash, entries = ledger_heads.entries + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER events_chain BEFORE INSERT ON events
    FOR EACH ROW WHEN (NEW.hash IS NULL) EXECUTE FUNCTION chain_entry();
