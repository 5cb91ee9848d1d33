-- Members in groups, roles per project, environments that only some groups may change, tokens and sessions that can be
-- told apart and ended, invitations.

CREATE TABLE groups (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE group_members (
    group_id TEXT COLLATE "C" NOT NULL REFERENCES groups (id),
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_by_user ON group_members (user_id);

-- What a member is in a project, whatever the workspace says; 'none' hides the project.
CREATE TABLE project_roles (
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    role TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX project_roles_by_user ON project_roles (user_id);

-- Who may change what runs in an environment; everybody with the role, when it has no row.
CREATE TABLE environment_groups (
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    group_id TEXT COLLATE "C" NOT NULL REFERENCES groups (id),
    PRIMARY KEY (environment_id, group_id)
);

ALTER TABLE api_tokens ADD COLUMN project_id TEXT COLLATE "C" REFERENCES projects (id);
ALTER TABLE api_tokens ADD COLUMN environment_id TEXT COLLATE "C" REFERENCES environments (id);
-- Who made it: it can do no more than they may. NULL when it was made on the database itself.
ALTER TABLE api_tokens ADD COLUMN made_by TEXT COLLATE "C" REFERENCES users (id);

ALTER TABLE sessions ADD COLUMN user_id TEXT COLLATE "C" REFERENCES users (id);
ALTER TABLE sessions ADD COLUMN user_agent TEXT COLLATE "C";
ALTER TABLE sessions ADD COLUMN address TEXT COLLATE "C";
ALTER TABLE sessions ADD COLUMN created_at BIGINT;
ALTER TABLE sessions ADD COLUMN seen_at BIGINT;
UPDATE sessions SET user_id = data::json ->> 'user';
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE invitations (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    email TEXT COLLATE "C" NOT NULL,                 -- lower case
    role TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,           -- SHA-256 of the key, hex; the key has 256 random bits
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT                      -- when it was accepted or withdrawn
);
CREATE INDEX invitations_by_workspace ON invitations (workspace_id);
