-- What password resets remember. Times are milliseconds since 1970; connections are in lower case.
-- No password is in here but in `notices.sealed`, encrypted with a key that is not in here.

-- Who did what to whom, and what came of it. Rows are added and never changed.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    -- Joins the beginning of an action and what came of it.
    action_id TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    connection TEXT NOT NULL,
    account TEXT NOT NULL,
    login TEXT NOT NULL,
    mode TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT,
    note TEXT
);

CREATE INDEX audit_by_time ON audit (at_ms);

-- Who is resetting the password of an account now.
CREATE TABLE account_leases (
    connection TEXT NOT NULL,
    account TEXT NOT NULL,
    holder TEXT NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (connection, account)
);

-- Mails that are still to be sent.
CREATE TABLE notices (
    id TEXT NOT NULL PRIMARY KEY,
    -- What the notice is about: it is held until that is done, and never sent when it is not.
    subject TEXT NOT NULL,
    sealed TEXT NOT NULL,
    -- 1 where what it tells has happened, though it is still held.
    confirmed BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- None while it is held.
    due_ms BIGINT,
    attempts BIGINT NOT NULL
);

CREATE INDEX notices_by_subject ON notices (subject);

-- Links behind which a password is chosen, each once.
CREATE TABLE password_links (
    id TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    account TEXT NOT NULL,
    login TEXT NOT NULL,
    -- The password reset settings it was made by.
    setting TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT
);

CREATE INDEX password_links_by_account ON password_links (connection, account);
