-- Images that ran without having been promoted, and that somebody said are right.
CREATE TABLE adoptions (
    resource_id TEXT COLLATE "C" NOT NULL REFERENCES resources (id),
    digest TEXT COLLATE "C" NOT NULL,
    adopted_by TEXT COLLATE "C" NOT NULL,            -- JSON
    adopted_at BIGINT NOT NULL,
    reason TEXT COLLATE "C",
    PRIMARY KEY (resource_id, digest)
);
CREATE INDEX adoptions_by_digest ON adoptions (digest);
CREATE INDEX tag_moves_by_image ON tag_moves (workspace_id, last_set);
-- Whether a promotion brought an image to a resource is asked at each page of it, however many it had.
CREATE INDEX promotions_by_image ON promotions (resource_id, digest);
