-- One more attempt, unless there is an outcome already, or the last attempt may still be running. A claim that
-- is repeated, because its confirmation was lost, is the same attempt.
-- $1 key, $2 source, $3 id, $4 tenant or '', $5 replay, $6 most attempts, $7 lease in seconds, $8 claim or ''
INSERT INTO {registry}.tenant_requests AS r
    (request_key, source, request_id, tenant_id, state, replay, attempts, claim, history, created_at, updated_at)
VALUES ($1::text, $2::text, $3::text, nullif($4::text, ''), 'running', $5::integer, 1, nullif($8::text, ''),
    jsonb_build_array(jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
        'event', 'begun', 'replay', $5::integer, 'attempt', 1)),
    clock_timestamp() AT TIME ZONE 'utc', clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (request_key) DO UPDATE SET
    state = 'running',
    replay = greatest(r.replay, excluded.replay),
    attempts = CASE
        WHEN excluded.replay > r.replay THEN 1
        WHEN r.claim = excluded.claim THEN r.attempts
        ELSE least(r.attempts, $6::integer) + 1 END,
    claim = excluded.claim,
    outcome_id = NULL,
    outcome = NULL,
    history = CASE
        WHEN excluded.replay <= r.replay AND r.claim = excluded.claim THEN r.history
        ELSE CASE WHEN jsonb_array_length(r.history) < 100 THEN r.history ELSE r.history - 0 END
            || jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
                'event', 'begun', 'replay', greatest(r.replay, excluded.replay),
                'attempt', CASE WHEN excluded.replay > r.replay THEN 1 ELSE least(r.attempts, $6::integer) + 1 END)
        END,
    updated_at = clock_timestamp() AT TIME ZONE 'utc'
WHERE r.state <> 'provisioned'
    AND (excluded.replay > r.replay
        OR r.state = 'running' AND (r.attempts < $6::integer
            OR r.claim = excluded.claim
            OR r.updated_at <= clock_timestamp() AT TIME ZONE 'utc' - make_interval(secs => $7::double precision)))
