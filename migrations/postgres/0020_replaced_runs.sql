-- Whether a digest was healthy until a newer one took its place, and its resource has not gone back since.
ALTER TABLE healthy_runs ADD COLUMN replaced BOOLEAN NOT NULL DEFAULT FALSE;

-- Whether Git has a resource switched off (`enabled: false`), as it was read last: switching it off is a person's act, being off is none.
ALTER TABLE resources ADD COLUMN switched_off BOOLEAN NOT NULL DEFAULT FALSE;
