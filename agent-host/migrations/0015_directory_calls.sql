-- What SCIM clients asked lately and how they were answered. Times are milliseconds since 1970. No body is in here, no
-- value of a query, no secret. Rows name no directory that must be there: they come a moment after the call, when it may
-- be gone, and go with the others that are old.

-- The last calls of each directory.
CREATE TABLE directory_calls (
    directory BIGINT NOT NULL,
    -- In the order of the calls.
    id TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- 0 answered, 1 refused or failed, 2 refused for its credentials.
    kind BIGINT NOT NULL,
    method TEXT NOT NULL,
    -- Below the directory's address, without values of the query.
    path TEXT NOT NULL,
    status BIGINT NOT NULL,
    scim_type TEXT,
    detail TEXT,
    -- The public half of what was shown, where it opened the directory.
    secret TEXT,
    -- The client of OAuth whose token that was.
    client TEXT,
    took_ms BIGINT NOT NULL,
    PRIMARY KEY (directory, id)
);

-- How many calls of an hour were answered how.
CREATE TABLE directory_call_counts (
    directory BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    status BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (directory, hour_ms, status)
);
