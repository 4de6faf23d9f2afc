-- Whom clients manage, who deleted what, and OAuth clients that come by another token each hour.

-- 1 where the client manages the account: it created it with an id of its own, or has written it since.
ALTER TABLE resources ADD COLUMN managed BIGINT NOT NULL DEFAULT 0;
UPDATE resources SET managed = 1 WHERE kind = 0 AND (external_id IS NOT NULL OR version > 1);

-- Who deleted it, as the log of changes names them.
ALTER TABLE deleted_resources ADD COLUMN actor TEXT NOT NULL DEFAULT '';
CREATE INDEX deleted_resources_by_time ON deleted_resources (deleted_ms);
DROP INDEX deleted_resources_by_directory;
CREATE INDEX deleted_resources_in_order ON deleted_resources (directory, deleted_ms);

-- When the client last came with an access token.
ALTER TABLE oauth_clients ADD COLUMN last_used_ms BIGINT;
-- What a token was given for, by its public half: the code or refresh token that was exchanged.
ALTER TABLE oauth_tokens ADD COLUMN former TEXT;
