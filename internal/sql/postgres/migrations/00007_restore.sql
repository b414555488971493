-- What shows, after a restore, that database and streams do not belong together.

-- Behind somebody's transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

-- Whether the streams have the id, and in which server and database they got it: a copy is elsewhere.
ALTER TABLE {registry}.registry_stamp
    ADD COLUMN IF NOT EXISTS streams_stamped boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS place text;

-- When the stream was created in which the dead letter is confirmed.
ALTER TABLE {registry}.tenant_requests ADD COLUMN IF NOT EXISTS buried_in text;

-- Published outcomes that the ledger does not have, and that an operator has accepted as lost.
CREATE TABLE IF NOT EXISTS {registry}.accepted_outcomes (
    outcome_id  text PRIMARY KEY, -- of an event in the stream, which another publisher may have made
    request_key text NOT NULL,
    tenant_id   text,
    reason      text NOT NULL,
    accepted_at timestamp NOT NULL DEFAULT (pg_catalog.clock_timestamp() AT TIME ZONE 'utc') -- UTC
);
