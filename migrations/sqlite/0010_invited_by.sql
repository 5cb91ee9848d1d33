-- Who wrote an invitation: it ends when they no longer administer the workspace. Those from before end with this release.
ALTER TABLE invitations ADD COLUMN invited_by TEXT REFERENCES users (id);
