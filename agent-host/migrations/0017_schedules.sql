-- Agents that share a database may have different schedules for a job: each is kept by itself. A due time that two of them
-- have runs once still.
CREATE TABLE schedules_of_jobs (
    job TEXT NOT NULL,
    -- The expression and its time zone.
    schedule TEXT NOT NULL,
    -- Up to when its due times are dealt with.
    settled_ms BIGINT NOT NULL,
    -- When an agent last said that it is in force, to the minute.
    seen_ms BIGINT NOT NULL,
    PRIMARY KEY (job, schedule)
);
INSERT INTO schedules_of_jobs (job, schedule, settled_ms, seen_ms)
    SELECT job, schedule, settled_ms, settled_ms FROM job_schedules;
DROP TABLE job_schedules;
ALTER TABLE schedules_of_jobs RENAME TO job_schedules;
