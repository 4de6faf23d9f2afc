-- For PostgreSQL alone: names are compared and sorted byte by byte, as SQLite does, whatever the order of the database.

ALTER TABLE resources
    ALTER COLUMN user_name TYPE TEXT COLLATE "C",
    ALTER COLUMN external_id TYPE TEXT COLLATE "C",
    ALTER COLUMN display_name TYPE TEXT COLLATE "C";
