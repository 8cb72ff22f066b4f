-- What was there before belongs to the project `default`.
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    -- Projects take turns: that of the lowest number is next, and gets the highest then.
    turn BIGINT NOT NULL DEFAULT 0
);
INSERT INTO projects (id, name, created_at) VALUES ('default', 'default', 0);

ALTER TABLE jobs ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
-- 0 low, 1 normal, 2 high: the order within the project.
ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 1;
-- Pairs of the client's own, as JSON.
ALTER TABLE jobs ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
DROP INDEX jobs_by_state;
CREATE INDEX jobs_by_state ON jobs (state, recipe);
CREATE INDEX jobs_of_project ON jobs (project, id);
CREATE INDEX jobs_of_project_by_state ON jobs (project, state, id);
CREATE INDEX jobs_by_end ON jobs (finished_at, id);

-- The pairs again, one on each row, so that they are found.
CREATE TABLE job_metadata (
    job_id TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (job_id, name)
);
CREATE INDEX metadata_of_project ON job_metadata (project, name, value, job_id);

ALTER TABLE tasks ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
ALTER TABLE tasks ADD COLUMN priority BIGINT NOT NULL DEFAULT 1;
-- How often the service ended, without a word, while the job ran.
ALTER TABLE tasks ADD COLUMN unclean BIGINT NOT NULL DEFAULT 0;
DROP INDEX tasks_in_order;
CREATE INDEX tasks_in_order ON tasks (taken, project, priority DESC, not_before, job_id);
CREATE INDEX tasks_unclean ON tasks (unclean);

ALTER TABLE deliveries ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
-- The host of the URL; empty for deliveries that were made before there was this column.
ALTER TABLE deliveries ADD COLUMN host TEXT NOT NULL DEFAULT '';
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (state, next_at, host);

ALTER TABLE presets ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
CREATE INDEX presets_of_project ON presets (project, id);

ALTER TABLE providers ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
CREATE INDEX providers_of_project ON providers (project, id);

ALTER TABLE tokens ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
-- Names with spaces between them.
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT 'jobs:write jobs:read settings tokens';
ALTER TABLE tokens ADD COLUMN expires_at BIGINT;
-- The id of the key that made it; NULL when the program did.
ALTER TABLE tokens ADD COLUMN created_by TEXT;
CREATE INDEX tokens_of_project ON tokens (project, id);

ALTER TABLE settings RENAME TO settings_before;
CREATE TABLE settings (
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (project, name)
);
INSERT INTO settings (project, name, value) SELECT 'default', name, value FROM settings_before;
DROP TABLE settings_before;

-- A key of idempotency was known by the API key that used it. Where two API keys used the same, the
-- later use counts.
ALTER TABLE idempotency RENAME TO idempotency_before;
DROP INDEX idempotency_by_age;
CREATE TABLE idempotency (
    project TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    job_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project, key)
);
INSERT INTO idempotency (project, key, body_hash, job_id, created_at)
    SELECT 'default', key, body_hash, job_id, MAX(created_at) FROM idempotency_before GROUP BY key;
DROP TABLE idempotency_before;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
CREATE INDEX idempotency_by_job ON idempotency (job_id);
