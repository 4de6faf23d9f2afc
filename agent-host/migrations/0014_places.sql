-- Agents that share a database may each have an orders folder of their own. What waits for one, and what is known of the
-- files in it, is nothing of another's. The place of a folder that all see, or of a store that is a file's, is the same.

-- A job waits once a place, and runs once at a time.
DROP INDEX job_runs_queued;
CREATE UNIQUE INDEX job_runs_queued ON job_runs (job, COALESCE(place, '')) WHERE state = 'queued';

-- From where the path of an order file is to be understood.
ALTER TABLE order_files ADD COLUMN place TEXT NOT NULL DEFAULT '';
DROP INDEX order_files_open;
CREATE UNIQUE INDEX order_files_open ON order_files (connection, place, digest, path) WHERE closed_ms IS NULL;

-- Into whose orders folder a delivery goes.
ALTER TABLE order_deliveries ADD COLUMN place TEXT NOT NULL DEFAULT '';
