-- Digests that somebody marked bad: nothing is promoted to them until the recall is lifted.
CREATE TABLE recalls (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    digest TEXT COLLATE "C" NOT NULL,                -- of whichever repository
    number BIGINT NOT NULL,              -- counts the recalls of the digest, from 1: the newest has the highest
    reason TEXT COLLATE "C" NOT NULL,
    recalled_by TEXT COLLATE "C" NOT NULL,           -- JSON
    recalled_at BIGINT NOT NULL,
    lifted_by TEXT COLLATE "C",                      -- JSON; NULL while it is in force
    lifted_at BIGINT,
    lifted_reason TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, digest, number)
);
CREATE UNIQUE INDEX recalls_in_force ON recalls (workspace_id, digest) WHERE lifted_at IS NULL;

-- Where a digest runs, as `resources.live` says: that is JSON, and can't be searched by an index. Triggers keep both the same, so that
-- no writer can forget it, an older server included.
CREATE TABLE live_digests (
    digest TEXT COLLATE "C" NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL REFERENCES resources (id),
    PRIMARY KEY (digest, resource_id)
);
CREATE INDEX live_digests_by_resource ON live_digests (resource_id);
INSERT INTO live_digests (digest, resource_id)
    SELECT DISTINCT d.value, r.id FROM resources r, json_array_elements_text(r.live::json -> 'digests') d WHERE r.live IS NOT NULL;
CREATE FUNCTION note_live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM live_digests WHERE resource_id = NEW.id;
    IF NEW.live IS NOT NULL THEN
        INSERT INTO live_digests (digest, resource_id)
            SELECT DISTINCT d.value, NEW.id FROM json_array_elements_text(NEW.live::json -> 'digests') d;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER resources_live_inserted AFTER INSERT ON resources
    FOR EACH ROW WHEN (NEW.live IS NOT NULL) EXECUTE FUNCTION note_live();
CREATE TRIGGER resources_live AFTER UPDATE OF live ON resources
    FOR EACH ROW WHEN (NEW.live IS DISTINCT FROM OLD.live) EXECUTE FUNCTION note_live();

CREATE INDEX resources_by_desired ON resources (desired_digest);
CREATE INDEX promotions_open_by_digest ON promotions (workspace_id, digest) WHERE ended_at IS NULL;
