-- What is newer is told by a number, never by an id or a clock: clocks of servers differ, and one may run days ahead for a while.
-- Ids stay UUIDv7 and order nothing. What is there is numbered by its id, which is how it was ordered until now.

-- The place of a promotion among those of its resource, from 1.
DROP INDEX promotions_by_resource;
DROP INDEX promotions_by_project;
DROP INDEX promotions_waiting;
ALTER TABLE promotions ADD COLUMN number BIGINT;
UPDATE promotions SET number = n.number
    FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY resource_id ORDER BY id) AS number FROM promotions) n
    WHERE promotions.id = n.id;
ALTER TABLE promotions ALTER COLUMN number SET NOT NULL;
CREATE UNIQUE INDEX promotions_by_resource ON promotions (resource_id, number);
-- What waits is woken by its project, and by its digest; the inbox lists that of a workspace.
CREATE INDEX promotions_waiting ON promotions (workspace_id, digest) WHERE state = 'waiting';
CREATE INDEX promotions_waiting_by_project ON promotions (project_id) WHERE state = 'waiting';

-- What arrived last in a repository; they are numbered already.
CREATE INDEX artifacts_by_arrival ON artifacts (workspace_id, repository, ordinal);

-- The order of arrival of the deliveries of a workspace.
DROP INDEX deliveries_by_workspace;
ALTER TABLE deliveries ADD COLUMN ordinal BIGINT;
UPDATE deliveries SET ordinal = n.ordinal
    FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY workspace_id ORDER BY id) AS ordinal FROM deliveries) n
    WHERE deliveries.id = n.id;
ALTER TABLE deliveries ALTER COLUMN ordinal SET NOT NULL;
CREATE UNIQUE INDEX deliveries_by_workspace ON deliveries (workspace_id, ordinal);
-- A channel sends in that order.
CREATE INDEX deliveries_waiting ON deliveries (channel_id, ordinal) WHERE next_at IS NOT NULL;

-- The release before this one runs on while this one starts, and numbers nothing: what it adds is numbered here.
CREATE FUNCTION number_promotion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever is adding one to the same resource is waited for; what they added is seen by the statement after this.
    PERFORM 1 FROM resources r WHERE r.id = NEW.resource_id FOR UPDATE;
    SELECT COALESCE(MAX(p.number), 0) + 1 INTO NEW.number FROM promotions p WHERE p.resource_id = NEW.resource_id;
    RETURN NEW;
END $$;
CREATE TRIGGER promotions_number BEFORE INSERT ON promotions
    FOR EACH ROW WHEN (NEW.number IS NULL) EXECUTE FUNCTION number_promotion();
CREATE FUNCTION number_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT COALESCE(MAX(d.ordinal), 0) + 1 INTO NEW.ordinal FROM deliveries d WHERE d.workspace_id = NEW.workspace_id;
    RETURN NEW;
END $$;
CREATE TRIGGER deliveries_number BEFORE INSERT ON deliveries
    FOR EACH ROW WHEN (NEW.ordinal IS NULL) EXECUTE FUNCTION number_delivery();

-- Where it is tried whether there is room to write: at most one row, for a moment.
CREATE TABLE room (
    id BIGINT NOT NULL PRIMARY KEY,
    filling TEXT COLLATE "C" NOT NULL
);
-- As it is: what is compressed takes no room.
ALTER TABLE room ALTER COLUMN filling SET STORAGE EXTERNAL;
