-- Indexes that begin with what is looked for, so that no other can be taken for it. One that begins with the directory
-- looks as good to a database without statistics as any other that does, and that may be one over the whole directory.

DROP INDEX resources_by_user_name;
DROP INDEX resources_by_external_id;
DROP INDEX resources_by_display_name;

CREATE UNIQUE INDEX resources_by_user_name ON resources (user_name, directory, kind);
CREATE INDEX resources_by_external_id ON resources (external_id, directory, kind);
CREATE INDEX resources_by_display_name ON resources (display_name, directory, kind);
