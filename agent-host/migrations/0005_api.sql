-- What the web API and the dashboard need beside the rest. Times are milliseconds since 1970; connections are in lower case.

-- Who may call the API. Of a token its hash alone is kept.
CREATE TABLE tokens (
    -- The public half, by which it is found.
    prefix TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in lower case.
    folded TEXT NOT NULL,
    -- SHA-256 of the secret half, in hexadecimal digits.
    hash TEXT NOT NULL,
    role TEXT NOT NULL,
    -- The connections it holds for, as a JSON list; none where it holds for all.
    connections TEXT,
    created_ms BIGINT NOT NULL,
    ends_ms BIGINT,
    revoked_ms BIGINT,
    last_used_ms BIGINT
);

CREATE UNIQUE INDEX tokens_by_name ON tokens (folded) WHERE revoked_ms IS NULL;

-- Orders that came by the API under a key, so that what is sent again is carried out once.
CREATE TABLE order_deliveries (
    caller TEXT NOT NULL,
    connection TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- The SHA-256 of the body.
    digest TEXT NOT NULL,
    -- The name of the file it became.
    file TEXT NOT NULL,
    orders BIGINT NOT NULL,
    -- None until a run was queued for it.
    run BIGINT,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (caller, connection, idempotency_key)
);

-- One row for each set of files that an export put in place.
CREATE TABLE published_sets (
    id BIGINT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    finished_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    throttled BIGINT NOT NULL
);

CREATE INDEX published_sets_by_connection ON published_sets (connection, id);

CREATE TABLE published_tables (
    published_set BIGINT NOT NULL REFERENCES published_sets (id),
    name TEXT NOT NULL,
    records BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (published_set, name)
);

-- What the last check of each connection found.
CREATE TABLE connection_checks (
    connection TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    -- As JSON.
    report TEXT NOT NULL
);
