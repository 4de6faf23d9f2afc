-- What is told to people about runs. Times are milliseconds since 1970; names of jobs are in lower case.

-- 1 once it is settled whether the run's end is told.
ALTER TABLE job_runs ADD COLUMN noticed BIGINT NOT NULL DEFAULT 0;
-- What ended before anybody could be told stays untold.
UPDATE job_runs SET noticed = 1 WHERE ended_ms IS NOT NULL;
CREATE INDEX job_runs_unnoticed ON job_runs (ended_ms) WHERE ended_ms IS NOT NULL AND noticed = 0;

-- Jobs whose last run failed, and was told.
CREATE TABLE failing_jobs (
    job TEXT NOT NULL PRIMARY KEY,
    since_ms BIGINT NOT NULL,
    -- When people were last told.
    told_ms BIGINT NOT NULL,
    -- Failures since then.
    untold BIGINT NOT NULL
);

-- Notifications that are still to be delivered: one a channel and recipient.
CREATE TABLE notifications (
    id TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    -- webhook, or mail: and the address.
    channel TEXT NOT NULL,
    -- JSON.
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_ms BIGINT NOT NULL
);
CREATE INDEX notifications_by_turn ON notifications (next_ms, at_ms);
