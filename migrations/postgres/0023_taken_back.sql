-- Promotions that failed after their commit, and those that took them back.
CREATE TABLE taken_back (
    failed_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES promotions (id),
    by_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES promotions (id)
);
