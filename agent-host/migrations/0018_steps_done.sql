-- When any agent last carried a step of each kind out without an error, for monitoring; kept longer than the runs.
CREATE TABLE steps_done (
    -- export, fulfill, import, refresh-schema.
    kind TEXT NOT NULL,
    -- In lower case.
    connection TEXT NOT NULL,
    ended_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, connection)
);
