-- Forms of the dashboard that were sent: each is obeyed once. Times are milliseconds since 1970.

CREATE TABLE used_forms (
    -- SHA-256 of the session and of what the form carried.
    form TEXT NOT NULL PRIMARY KEY,
    used_ms BIGINT NOT NULL
);

CREATE INDEX used_forms_by_time ON used_forms (used_ms);
