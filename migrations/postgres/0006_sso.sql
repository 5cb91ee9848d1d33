-- Single sign-on: who somebody is for a provider, and which groups they are in because it says so.

CREATE TABLE identities (
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,               -- theirs for good, as the provider calls them
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX identities_by_user ON identities (user_id, issuer);

-- A group that the provider named is left when it no longer does; one that a person gave stays.
ALTER TABLE group_members ADD COLUMN through_sso BOOLEAN NOT NULL DEFAULT FALSE;
