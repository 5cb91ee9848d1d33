-- What a resource or an environment is called in Git, where its name is for people. Until now that was its name, and it still is where
-- nobody says otherwise.
ALTER TABLE environments ADD COLUMN key TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE environments SET key = COALESCE(name_was, name);
ALTER TABLE resources ADD COLUMN key TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE resources SET key = COALESCE(name_was, name);

-- What was removed keeps its key and is in nobody's way.
CREATE UNIQUE INDEX environments_by_key ON environments (project_id, key) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX resources_by_key ON resources (environment_id, key) WHERE removed_at IS NULL;

-- The release before this one runs on while this one starts, and knows names only: what it adds gets its key here.
CREATE FUNCTION key_by_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.key := NEW.name;
    RETURN NEW;
END $$;
CREATE TRIGGER environments_key BEFORE INSERT ON environments
    FOR EACH ROW WHEN (NEW.key = '') EXECUTE FUNCTION key_by_name();
CREATE TRIGGER resources_key BEFORE INSERT ON resources
    FOR EACH ROW WHEN (NEW.key = '') EXECUTE FUNCTION key_by_name();
