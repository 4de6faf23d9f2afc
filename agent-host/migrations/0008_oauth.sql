-- How a client gets tokens of a directory by OAuth 2.0. Times are milliseconds since 1970. Of every code, token and
-- secret its SHA-256 alone is kept.

-- The client that may ask for tokens of a directory.
CREATE TABLE oauth_clients (
    directory BIGINT NOT NULL PRIMARY KEY REFERENCES directories (id),
    client_id TEXT NOT NULL UNIQUE,
    -- None where the client keeps no secret.
    secret_hash TEXT,
    -- Where it may be sent back to, as a list in JSON.
    redirects TEXT NOT NULL,
    -- Whom the client acts as; people read it when they consent.
    service_user TEXT NOT NULL,
    -- The code by which somebody consents, once.
    approval_hash TEXT,
    approval_ends_ms BIGINT,
    created_ms BIGINT NOT NULL
);

-- What somebody consented to: everything that comes from one authorization code.
CREATE TABLE oauth_grants (
    id TEXT NOT NULL PRIMARY KEY,
    directory BIGINT NOT NULL REFERENCES directories (id),
    approver TEXT NOT NULL,
    redirect TEXT NOT NULL,
    -- Of PKCE; none where the client sent none.
    challenge TEXT,
    created_ms BIGINT NOT NULL
);

CREATE INDEX oauth_grants_by_directory ON oauth_grants (directory);

-- Codes, access tokens and refresh tokens.
CREATE TABLE oauth_tokens (
    -- The public half, by which it is found.
    prefix TEXT NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES oauth_grants (id),
    directory BIGINT NOT NULL REFERENCES directories (id),
    -- 0 code, 1 access token, 2 refresh token.
    kind BIGINT NOT NULL,
    hash TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    ends_ms BIGINT NOT NULL,
    -- When a code or a refresh token was exchanged, or an access token last used.
    used_ms BIGINT
);

CREATE INDEX oauth_tokens_by_grant ON oauth_tokens (grant_id);
CREATE INDEX oauth_tokens_by_directory ON oauth_tokens (directory, ends_ms);
