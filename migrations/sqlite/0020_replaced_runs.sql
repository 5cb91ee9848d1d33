-- Whether a digest was healthy until a newer one took its place, and its resource has not gone back since: no, begun (its rollout), done.
ALTER TABLE healthy_runs ADD COLUMN replaced TEXT NOT NULL DEFAULT 'no';

-- Whether Git has a resource switched off (`enabled: false`), as it was read last: switching it off is a person's act, being off is none.
ALTER TABLE resources ADD COLUMN switched_off BOOLEAN NOT NULL DEFAULT FALSE;
