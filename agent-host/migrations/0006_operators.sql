-- Who may use the dashboard, who is signed in, and who tries to be. Times are milliseconds since 1970; names are in
-- lower case where they are keys. No password and no session's name is in here, but what they are hashed to.

CREATE TABLE operators (
    name TEXT NOT NULL PRIMARY KEY,
    -- As it was spelt.
    spelling TEXT NOT NULL,
    -- viewer, operator, administrator.
    role TEXT NOT NULL,
    -- The connections that the role holds for, as a JSON list; none for all of them.
    connections TEXT,
    -- Argon2id, in the PHC string format.
    password TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    signed_in_ms BIGINT
);

CREATE TABLE sessions (
    -- SHA-256 of what the browser holds, in hexadecimal digits.
    hash TEXT NOT NULL PRIMARY KEY,
    -- The operator, in lower case; none for whoever signed in by OpenID Connect.
    operator TEXT,
    -- Who it is, what they may do and where, as it was at sign-in; an operator's role is the one they have now.
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- When it was last used, to the minute.
    used_ms BIGINT NOT NULL
);

CREATE INDEX sessions_by_operator ON sessions (operator);
CREATE INDEX sessions_by_age ON sessions (created_ms);

-- Wrong passwords of late, by name and by address.
CREATE TABLE sign_in_attempts (
    subject TEXT NOT NULL PRIMARY KEY,
    failed BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    -- Until when nobody may try.
    locked_ms BIGINT NOT NULL
);

CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (last_ms);
