-- Since when a cluster's Argo CD can't be followed; NULL while it is. What it reported stays for a minute.
ALTER TABLE cluster_watch ADD COLUMN lost_at BIGINT;

-- When a promotion was last seen to wait for a sync window, in its state: its time-out counts from then. And what else is known of a
-- failure besides its reason, as JSON: what to do, and all that was said.
ALTER TABLE promotions ADD COLUMN counts_from BIGINT;
ALTER TABLE promotions ADD COLUMN failure_more TEXT;

-- Those that may turn out to be live after all.
CREATE INDEX promotions_failed ON promotions (ended_at) WHERE state = 'failed' AND commit_id IS NOT NULL;
