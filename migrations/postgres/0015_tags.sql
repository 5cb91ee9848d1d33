-- What each tag of a repository names, as far as its registry was asked. An image may have any number of tags; `artifacts.tag` is the
-- one of them that is shown.
CREATE TABLE artifact_tags (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    repository TEXT COLLATE "C" NOT NULL,
    tag TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C",                         -- what it names; NULL where the registry doesn't say
    found TEXT COLLATE "C" NOT NULL,                 -- image, other, odd, failing
    why TEXT COLLATE "C",                            -- why it is passed over, a sentence
    PRIMARY KEY (workspace_id, repository, tag)
);
CREATE INDEX artifact_tags_by_digest ON artifact_tags (workspace_id, repository, digest);
INSERT INTO artifact_tags (workspace_id, repository, tag, digest, found)
    SELECT a.workspace_id, a.repository, a.tag, a.digest, 'image' FROM artifacts a
    WHERE a.tag IS NOT NULL AND a.details IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM artifacts b WHERE b.workspace_id = a.workspace_id AND b.repository = a.repository AND b.tag = a.tag
            AND b.details IS NOT NULL AND b.ordinal > a.ordinal);

-- The newest artifact that was there when a resource's image repository was listed in full for the first time: what arrived by then
-- starts nothing any more.
CREATE TABLE learned_repositories (
    resource_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES resources (id),
    repository TEXT COLLATE "C" NOT NULL,
    upto BIGINT NOT NULL                 -- its place in the order of arrival; 0 for none
);
INSERT INTO learned_repositories (resource_id, repository, upto)
    SELECT r.id, r.image_repository, MAX(a.ordinal) FROM resources r
    JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id
    JOIN artifacts a ON a.workspace_id = p.workspace_id AND a.repository = r.image_repository
    WHERE r.image_repository IS NOT NULL AND r.desired_digest IS NOT NULL
    GROUP BY r.id, r.image_repository;
