-- What several agents on one database tell each other. Times are milliseconds since 1970.

CREATE TABLE agents (
    -- Kept in its work folder.
    id TEXT NOT NULL PRIMARY KEY,
    -- The name of its machine.
    machine TEXT NOT NULL,
    -- How often it was started, and when the last time.
    starts BIGINT NOT NULL,
    started_ms BIGINT NOT NULL,
    -- Its last sign of life; 0 where it has ended.
    seen_ms BIGINT NOT NULL,
    -- The hosts of its connections, a line each.
    organisations TEXT NOT NULL
);

-- What one process at a time may do, such as carrying out the orders of a connection.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until_ms BIGINT NOT NULL
);

-- The orders folder whose files asked for the run: only who sees that folder may take it up.
ALTER TABLE job_runs ADD COLUMN place TEXT;
