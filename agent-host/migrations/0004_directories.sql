-- What SCIM clients have provisioned. Times are milliseconds since 1970. No password is in here, and of a secret its
-- SHA-256 alone.

-- One address that clients provision into.
CREATE TABLE directories (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in lower case.
    folded TEXT NOT NULL UNIQUE,
    -- Switches and limits, as JSON.
    options TEXT NOT NULL,
    -- From which, with the sequence, ids are made.
    salt TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- When it last changed.
    changed_ms BIGINT,
    -- The sequence and the event given last.
    last_sequence BIGINT NOT NULL,
    last_event BIGINT NOT NULL
);

-- A secret that opens a directory: a bearer token, or the secret to a Basic key.
CREATE TABLE directory_secrets (
    -- The public half, by which it is found.
    prefix TEXT NOT NULL PRIMARY KEY,
    directory BIGINT NOT NULL REFERENCES directories (id),
    hash TEXT NOT NULL,
    -- 1 where it comes as Basic.
    basic BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- When it ends, where it was rotated.
    ends_ms BIGINT,
    last_used_ms BIGINT
);

CREATE INDEX directory_secrets_by_directory ON directory_secrets (directory);

CREATE TABLE resources (
    id TEXT NOT NULL PRIMARY KEY,
    directory BIGINT NOT NULL REFERENCES directories (id),
    -- 0 user, 1 group.
    kind BIGINT NOT NULL,
    -- Its place in the order of creation.
    sequence BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    modified_ms BIGINT NOT NULL,
    -- Folded; users alone have one.
    user_name TEXT,
    external_id TEXT,
    -- Folded.
    display_name TEXT,
    -- What links call it.
    label TEXT,
    attributes TEXT NOT NULL
);

CREATE UNIQUE INDEX resources_in_order ON resources (directory, kind, sequence);
CREATE UNIQUE INDEX resources_by_user_name ON resources (directory, kind, user_name);
CREATE INDEX resources_by_external_id ON resources (directory, kind, external_id);
CREATE INDEX resources_by_display_name ON resources (directory, kind, display_name);

-- How many resources there are in each thousand of sequences, so that a page far behind costs what the first does.
CREATE TABLE resource_blocks (
    directory BIGINT NOT NULL REFERENCES directories (id),
    kind BIGINT NOT NULL,
    block BIGINT NOT NULL,
    resources BIGINT NOT NULL,
    PRIMARY KEY (directory, kind, block)
);

-- One row a membership, found from both sides.
CREATE TABLE members (
    directory BIGINT NOT NULL REFERENCES directories (id),
    group_id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    -- What the client called a member that the directory does not have.
    display TEXT,
    PRIMARY KEY (directory, group_id, member_id)
);

CREATE INDEX members_by_member ON members (directory, member_id, group_id);

-- What clients deleted in directories that keep a trace.
CREATE TABLE deleted_resources (
    id TEXT NOT NULL PRIMARY KEY,
    directory BIGINT NOT NULL REFERENCES directories (id),
    kind BIGINT NOT NULL,
    deleted_ms BIGINT NOT NULL,
    attributes TEXT NOT NULL
);

CREATE INDEX deleted_resources_by_directory ON deleted_resources (directory);

-- Every accepted change, in order.
CREATE TABLE directory_events (
    directory BIGINT NOT NULL REFERENCES directories (id),
    -- From 1.
    number BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- Which secret asked for it, by its prefix.
    actor TEXT NOT NULL,
    -- `created`, `updated` or `deleted`.
    action TEXT NOT NULL,
    kind BIGINT NOT NULL,
    resource TEXT NOT NULL,
    -- Attributes as JSON, where they changed.
    before TEXT,
    after TEXT,
    -- Members that came and went, as JSON.
    added TEXT,
    removed TEXT,
    PRIMARY KEY (directory, number)
);

CREATE INDEX directory_events_by_time ON directory_events (at_ms);
