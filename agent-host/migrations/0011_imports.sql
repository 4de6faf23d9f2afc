-- What the source of an import held when the import last went through, by its name in lower case.
CREATE TABLE imports (
    name TEXT NOT NULL PRIMARY KEY,
    records BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL
);
