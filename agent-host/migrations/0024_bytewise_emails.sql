-- For PostgreSQL alone: addresses are compared byte by byte, as names are, so that their index outlives any change of the
-- system's sorting.

ALTER TABLE resource_emails ALTER COLUMN value TYPE TEXT COLLATE "C";
