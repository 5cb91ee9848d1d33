-- Which tags of its repository count for a resource, and which of two images is newer, as JSON; NULL: all, newest by build time.
ALTER TABLE resources ADD COLUMN tag_rule TEXT;

-- Platforms of which an image needs one to run on a cluster, a JSON list; NULL: some platform of Linux.
ALTER TABLE clusters ADD COLUMN platforms TEXT;

-- The place of a tag's naming what it names in the order in which tags of its repository did so, and the last that a resource had learned. An
-- image may be there for long when it is called a version. Those from before were there.
ALTER TABLE artifact_tags ADD COLUMN arrived BIGINT NOT NULL DEFAULT 0;
ALTER TABLE learned_repositories ADD COLUMN upto_tag BIGINT NOT NULL DEFAULT 0;
CREATE INDEX artifact_tags_by_arrival ON artifact_tags (workspace_id, repository, arrived);
