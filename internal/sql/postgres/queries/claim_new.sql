-- The first attempt at a request that the ledger does not know, and the registered id that equals its tenant's
-- without regard to case. No row where it is known: claim.sql then. The commit need not wait for the disk: it only
-- counts attempts.
-- $1 key, $2 source, $3 id, $4 tenant or '', $5 replay, $6 claim or ''
INSERT INTO {registry}.tenant_requests
    (request_key, source, request_id, tenant_id, state, replay, attempts, claim, history, created_at, updated_at)
VALUES ($1::text, $2::text, $3::text, nullif($4::text, ''), 'running', $5::integer, 1, nullif($6::text, ''),
    jsonb_build_array(jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
        'event', 'begun', 'replay', $5::integer, 'attempt', 1)),
    clock_timestamp() AT TIME ZONE 'utc', clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (request_key) DO NOTHING
RETURNING pg_catalog.set_config('synchronous_commit', 'off', true), coalesce((
    SELECT t.tenant_id
    FROM {registry}.tenant_registry t
    WHERE lower(t.tenant_id COLLATE "C") = lower($4::text COLLATE "C")
    ORDER BY t.tenant_id = $4::text DESC
    LIMIT 1), '')
