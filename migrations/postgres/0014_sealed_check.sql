-- A fixed text, sealed with the key that all sealed values of this database are sealed with: one row. A server with another key, or
-- without one, doesn't start.
CREATE TABLE sealed_check (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    proof TEXT COLLATE "C" NOT NULL
);
