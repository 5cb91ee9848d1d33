-- The life of an image is found by its digest.
CREATE INDEX promotions_by_digest ON promotions (workspace_id, digest, created_at);
CREATE INDEX artifacts_by_digest ON artifacts (workspace_id, digest);
CREATE INDEX copies_by_digest ON copies (workspace_id, digest);
-- What a proof says of where an image comes from, JSON.
ALTER TABLE proofs ADD COLUMN facts TEXT COLLATE "C";
