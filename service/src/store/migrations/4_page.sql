-- When the job came into each state since: `STATE MILLISECONDS;` for each, in order.
ALTER TABLE jobs ADD COLUMN timeline TEXT NOT NULL DEFAULT '';
CREATE INDEX deliveries_of_project ON deliveries (project, id);
