-- Which users have which e-mail address, for those who look one up by it. Users of before are gone through by the agent,
-- since only it reads what they consist of; until then, and where an agent of an earlier version writes too, the two
-- numbers of the directory say that not all are here.

CREATE TABLE resource_emails (
    -- Folded, and no longer than an index has room for: others may begin with it. It comes first in the index, so that
    -- no database can take that for one over the whole directory.
    value TEXT NOT NULL,
    directory BIGINT NOT NULL,
    -- The user's. A row that leads to nobody does no harm.
    id TEXT NOT NULL
);

CREATE UNIQUE INDEX resource_emails_by_value ON resource_emails (value, directory, id);

-- The last event that the rows follow. Those who know nothing of them let it fall behind `last_event`.
ALTER TABLE directories ADD COLUMN emails_event BIGINT NOT NULL DEFAULT 0;
-- Users up to this sequence may still be missing.
ALTER TABLE directories ADD COLUMN emails_missing BIGINT NOT NULL DEFAULT 0;
UPDATE directories SET emails_event = last_event, emails_missing = last_sequence;
