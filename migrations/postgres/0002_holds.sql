-- A person pinned or rolled back a resource that tracks its source: it doesn't follow until somebody resumes it. JSON.
ALTER TABLE resources ADD COLUMN hold TEXT COLLATE "C";
-- Who made Git declare what it declares, when it wasn't Waybill. JSON.
ALTER TABLE resources ADD COLUMN outside TEXT COLLATE "C";
