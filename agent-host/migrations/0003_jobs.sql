-- What the agent remembers of its jobs. Times are milliseconds since 1970; names of jobs are in lower case.

-- One execution of a job. `runs` are those of fulfilment, each within one of these or asked for by a person.
CREATE TABLE job_runs (
    id BIGINT NOT NULL PRIMARY KEY,
    job TEXT NOT NULL,
    -- As it is written.
    name TEXT NOT NULL,
    -- schedule, person, orders.
    cause TEXT NOT NULL,
    -- The time of the schedule that it is for.
    due_ms BIGINT,
    -- The run whose failed steps it repeats.
    repairs BIGINT,
    -- queued, started, success, warning, error, blocked, cancelled.
    state TEXT NOT NULL,
    queued_ms BIGINT NOT NULL,
    began_ms BIGINT,
    ended_ms BIGINT,
    -- Who carries it out, and until when it is theirs if they say nothing more.
    worker TEXT,
    lease_until_ms BIGINT,
    -- How often it was taken up.
    attempts BIGINT NOT NULL,
    -- When somebody asked that it end.
    cancel_ms BIGINT,
    -- How far it is, or how it ended.
    message TEXT NOT NULL
);

-- A due time runs once, whoever sees that it has come.
CREATE UNIQUE INDEX job_runs_due ON job_runs (job, due_ms) WHERE due_ms IS NOT NULL;
-- A job waits once and runs once at a time.
CREATE UNIQUE INDEX job_runs_queued ON job_runs (job) WHERE state = 'queued';
CREATE UNIQUE INDEX job_runs_started ON job_runs (job) WHERE state = 'started';
CREATE INDEX job_runs_ended ON job_runs (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX job_runs_open ON job_runs (queued_ms, id) WHERE ended_ms IS NULL;

-- What came of a step of a run; there is a row once it has begun.
CREATE TABLE job_steps (
    run BIGINT NOT NULL REFERENCES job_runs (id),
    -- Its place in the job, from 0.
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    began_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    message TEXT NOT NULL,
    PRIMARY KEY (run, position)
);

-- What a run logged, piece by piece, up to a size.
CREATE TABLE job_logs (
    run BIGINT NOT NULL REFERENCES job_runs (id),
    position BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, position)
);

-- Up to when the due times of a job are dealt with, by the schedule that holds since then.
CREATE TABLE job_schedules (
    job TEXT NOT NULL PRIMARY KEY,
    schedule TEXT NOT NULL,
    settled_ms BIGINT NOT NULL
);
