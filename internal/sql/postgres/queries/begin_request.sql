-- The first attempt at a request. claim_new.sql and claim.sql begin with this text and add what to do on a conflict.
-- $1 tenant or '', $2 key, $3 source, $4 id, $5 replay, $6 claim or ''
INSERT INTO {registry}.tenant_requests AS r
    (request_key, source, request_id, tenant_id, state, replay, attempts, claim, history, created_at, updated_at)
VALUES ($2::text, $3::text, $4::text, nullif($1::text, ''), 'running', $5::integer, 1, nullif($6::text, ''),
    jsonb_build_array(jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
        'event', 'begun', 'replay', $5::integer, 'attempt', 1)),
    clock_timestamp() AT TIME ZONE 'utc', clock_timestamp() AT TIME ZONE 'utc')
