-- What a resource or an environment is called in Git, where its name is for people. Until now that was its name, and it still is where
-- nobody says otherwise.
ALTER TABLE environments ADD COLUMN key TEXT NOT NULL DEFAULT '';
UPDATE environments SET key = COALESCE(name_was, name);
ALTER TABLE resources ADD COLUMN key TEXT NOT NULL DEFAULT '';
UPDATE resources SET key = COALESCE(name_was, name);

-- What was removed keeps its key and is in nobody's way.
CREATE UNIQUE INDEX environments_by_key ON environments (project_id, key) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX resources_by_key ON resources (environment_id, key) WHERE removed_at IS NULL;
