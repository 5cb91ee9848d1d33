-- Why no exact image can be read out of what Git declares for a resource, a sentence; it is shown instead of one.
ALTER TABLE resources ADD COLUMN unclear TEXT COLLATE "C";

-- Whether a person said that a promotion may make the values file that it is for. Those from before make theirs as they would have.
ALTER TABLE promotions ADD COLUMN creates_file BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE promotions SET creates_file = creates WHERE ended_at IS NULL;
