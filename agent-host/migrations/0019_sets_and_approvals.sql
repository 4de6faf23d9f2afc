-- Where the orders wait that an approval is for: their folder, where not every agent sees it, and the machine of the agent
-- that found them to be too much.
ALTER TABLE approvals ADD COLUMN place TEXT;
ALTER TABLE approvals ADD COLUMN machine TEXT;

-- Records of a table that are in this set and not in the one before, that were in that one alone, and that are in both
-- with another content; none where they were not compared.
ALTER TABLE published_tables ADD COLUMN added BIGINT;
ALTER TABLE published_tables ADD COLUMN removed BIGINT;
ALTER TABLE published_tables ADD COLUMN changed BIGINT;
