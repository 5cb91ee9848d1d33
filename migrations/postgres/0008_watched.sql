-- When a cluster's Argo CD was last being followed: nobody knows what was healthy while nobody looked.
CREATE TABLE cluster_watch (
    cluster_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES clusters (id) ON DELETE CASCADE,
    seen_at BIGINT NOT NULL
);
