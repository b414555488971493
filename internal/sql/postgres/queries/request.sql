-- What the ledger has of a request; the last column: how many seconds ago the attempt before the last began,
-- if nothing became of it, else -1. $1 key
SELECT state, replay, attempts, coalesce(outcome_id::text, ''), coalesce(outcome::text, ''), buried,
    CASE WHEN history -> -2 ->> 'event' = 'begun'
        THEN extract(epoch FROM clock_timestamp() AT TIME ZONE 'utc' - (history -> -2 ->> 'at')::timestamp)::float8
        ELSE -1 END
FROM {registry}.tenant_requests
WHERE request_key = $1::text
