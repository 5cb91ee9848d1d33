-- The keys that Waybill's own statements are signed with. One is active; of the others the public half stays.
CREATE TABLE signing_keys (
    fingerprint TEXT NOT NULL PRIMARY KEY, -- SHA-256 of the public half
    public_key TEXT NOT NULL,            -- PEM
    private_key TEXT,                    -- sealed; NULL once another took its place
    created_at BIGINT NOT NULL,
    retired_at BIGINT                    -- when another took its place
);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys ((retired_at IS NULL)) WHERE retired_at IS NULL;

-- What Waybill says of a promotion, signed: the bytes that are pushed, so that another try pushes the same.
CREATE TABLE statements (
    promotion_id TEXT NOT NULL PRIMARY KEY REFERENCES promotions (id),
    form TEXT NOT NULL,                  -- bundle or attachment
    repository TEXT NOT NULL,            -- with its registry's host
    digest TEXT NOT NULL,                -- of the image
    fingerprint TEXT NOT NULL,           -- of the key
    layer TEXT NOT NULL,
    config TEXT NOT NULL,
    manifest TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    written_at BIGINT,                   -- when the registry had it
    refusal TEXT                         -- why it hasn't, a sentence
);
