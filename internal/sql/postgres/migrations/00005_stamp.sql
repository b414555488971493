-- The registry's id, made once. A boundary that the service makes carries it, so that no other registry in this
-- database takes that boundary for its own. A copy of the database has the same id.

CREATE TABLE IF NOT EXISTS {registry}.registry_stamp (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    registry_id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    created_at  timestamp NOT NULL DEFAULT (pg_catalog.clock_timestamp() AT TIME ZONE 'utc') -- UTC
);

INSERT INTO {registry}.registry_stamp DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Boundaries that the earlier version has prepared, or still prepares, get the stamp when they are taken. Behind
-- somebody's transaction this would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.prepared_boundaries ADD COLUMN IF NOT EXISTS stamped boolean NOT NULL DEFAULT false;
