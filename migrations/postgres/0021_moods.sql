-- Since when a cluster's Argo CD can't be followed; NULL while it is. What it reported stays for a minute.
ALTER TABLE cluster_watch ADD COLUMN lost_at BIGINT;

-- Whether a rollback may end a sync that applies what it leaves.
ALTER TABLE clusters ADD COLUMN argocd_may_end_sync BOOLEAN NOT NULL DEFAULT TRUE;

-- From when a state's time-out counts, where that isn't when the state began: a closed sync window doesn't count. And what else is known
-- of a failure besides its reason, as JSON: what to do, and all that was said.
ALTER TABLE promotions ADD COLUMN counts_from BIGINT;
ALTER TABLE promotions ADD COLUMN failure_more TEXT COLLATE "C";
