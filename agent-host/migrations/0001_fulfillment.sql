-- What fulfilment remembers. Times are milliseconds since 1970; connections are in lower case.
-- No value of any order is in here: those stay in the order files.

-- One execution of `fulfill`, and the file its results went to.
CREATE TABLE runs (
    id BIGINT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    began_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    -- Where the results go, and the SHA-256 of the file: known before it is put in place.
    results TEXT,
    results_digest TEXT,
    published_ms BIGINT
);

-- An order file, from when it is taken up until all of its orders are reported.
CREATE TABLE order_files (
    id BIGINT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    -- The SHA-256 of the file.
    digest TEXT NOT NULL,
    -- Where it lies.
    path TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    -- Where it is about to be moved, all of its orders being reported: once it is there, it is over.
    moving_to TEXT,
    closed_ms BIGINT
);

-- A file that is delivered again after it was reported is taken up again.
CREATE UNIQUE INDEX order_files_open ON order_files (connection, digest, path) WHERE closed_ms IS NULL;

-- What came of an order; there is a row once that is known.
CREATE TABLE orders (
    order_file BIGINT NOT NULL REFERENCES order_files (id),
    -- Its place in the file, from 0.
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    change_type TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    owner_type TEXT NOT NULL,
    state TEXT NOT NULL,
    -- The identity of the record that an order to add came to; else empty.
    record TEXT NOT NULL,
    -- 1 where something was written to the managed system.
    changed BIGINT NOT NULL,
    message TEXT NOT NULL,
    finished_ms BIGINT NOT NULL,
    -- The run that reported it.
    run BIGINT REFERENCES runs (id),
    PRIMARY KEY (order_file, position)
);

CREATE INDEX orders_by_run ON orders (run, order_file, position);

-- A write to the managed system: that it was about to be sent, and that it was carried out.
CREATE TABLE steps (
    order_file BIGINT NOT NULL REFERENCES order_files (id),
    position BIGINT NOT NULL,
    step TEXT NOT NULL,
    began_ms BIGINT NOT NULL,
    done_ms BIGINT,
    result TEXT,
    PRIMARY KEY (order_file, position, step)
);

-- Leave given once to one set of orders to go over a safety limit.
CREATE TABLE approvals (
    code TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    -- Of the set of orders.
    digest TEXT NOT NULL,
    issued_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT,
    -- When the orders it was used for were all reported.
    spent_ms BIGINT
);
