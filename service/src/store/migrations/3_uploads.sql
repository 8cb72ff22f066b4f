-- Files that clients send, to be the inputs of jobs. How much of one is there, its file tells.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    -- The file name that the client gave.
    name TEXT NOT NULL,
    -- What the client told of it, as it wrote that.
    metadata TEXT NOT NULL,
    -- In bytes.
    length BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX uploads_of_project ON uploads (project, id);
CREATE INDEX uploads_by_end ON uploads (expires_at);
