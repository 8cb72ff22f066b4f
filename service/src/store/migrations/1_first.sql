-- Times are milliseconds since 1970, ids are text that sorts by time, documents are JSON as text.
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    progress BIGINT NOT NULL DEFAULT 0,
    document TEXT NOT NULL,
    recipe TEXT,
    strategy TEXT,
    reasons TEXT NOT NULL DEFAULT '[]',
    warnings TEXT NOT NULL DEFAULT '[]',
    outputs TEXT NOT NULL DEFAULT '[]',
    error TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    webhook_url TEXT,
    cancel BIGINT NOT NULL DEFAULT 0,
    -- How many outputs are still there.
    kept BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, id);
CREATE INDEX IF NOT EXISTS jobs_by_outputs ON jobs (kept, finished_at);

-- What is to be done: a row until the job is at its end.
CREATE TABLE IF NOT EXISTS tasks (
    job_id TEXT PRIMARY KEY,
    attempt BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    tries BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL,
    taken BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS tasks_in_order ON tasks (taken, not_before, job_id);

-- Places of outputs that no job tells of: to be removed once their job has no task.
CREATE TABLE IF NOT EXISTS leftovers (
    job_id TEXT NOT NULL,
    place TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    -- How often it could not be removed, and whether it was.
    failures BIGINT NOT NULL DEFAULT 0,
    removed BOOLEAN NOT NULL DEFAULT FALSE,
    not_before BIGINT NOT NULL DEFAULT 0,
    taken BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, place)
);
CREATE INDEX IF NOT EXISTS leftovers_in_order ON leftovers (taken, not_before);

-- Outputs of jobs that are finished here and not at their provider yet: a row until they are there,
-- or the job is at its end.
CREATE TABLE IF NOT EXISTS unsent (
    job_id TEXT PRIMARY KEY,
    -- JSON.
    finished TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS idempotency (
    token_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    job_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (token_id, key)
);
CREATE INDEX IF NOT EXISTS idempotency_by_age ON idempotency (created_at);

-- Webhooks, written when a job ends, with the job as it was then: a retry changes it.
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    job TEXT NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, next_at);
CREATE INDEX IF NOT EXISTS deliveries_of_job ON deliveries (job_id);
CREATE TABLE IF NOT EXISTS delivery_attempts (
    delivery_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    PRIMARY KEY (delivery_id, number)
);

CREATE TABLE IF NOT EXISTS presets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    document TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS providers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    -- Encrypted.
    secrets TEXT NOT NULL,
    is_default BOOLEAN NOT NULL DEFAULT FALSE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    shown TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE IF NOT EXISTS settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
