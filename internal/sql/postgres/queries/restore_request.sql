-- Records the outcome of a request that the ledger has lost, or replaces a row without it. What the row had before is
-- kept in its history.
-- $1 key, $2 source, $3 id, $4 tenant or '', $5 state, $6 replay, $7 attempts, $8 step, $9 cause code, $10 message, $11
-- outcome id, $12 outcome, $13 time of the outcome (UTC)
INSERT INTO {registry}.tenant_requests AS r
    (request_key, source, request_id, tenant_id, state, replay, attempts, last_step, last_cause, last_error, outcome_id,
    outcome, history, created_at, updated_at)
VALUES ($1::text, $2::text, $3::text, nullif($4::text, ''), $5::text, $6::integer, $7::integer, nullif($8::text, ''),
    nullif($9::text, ''), nullif($10::text, ''), $11::text::uuid, $12::text::json,
    jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
        'event', 'restored', 'replay', $6::integer, 'attempt', $7::integer,
        'step', nullif($8::text, ''), 'cause', nullif($9::text, ''), 'error', nullif(left($10::text, 1000), '')))),
    $13::text::timestamp, $13::text::timestamp)
ON CONFLICT (request_key) DO UPDATE SET
    tenant_id = excluded.tenant_id, state = excluded.state, replay = excluded.replay, attempts = excluded.attempts,
    last_step = excluded.last_step, last_cause = excluded.last_cause, last_error = excluded.last_error,
    outcome_id = excluded.outcome_id, outcome = excluded.outcome, claim = NULL, updated_at = excluded.updated_at,
    history = CASE WHEN jsonb_array_length(r.history) < 100 THEN r.history ELSE r.history - 0 END || excluded.history
WHERE r.replay <= excluded.replay AND r.state <> 'provisioned' AND r.outcome_id IS DISTINCT FROM excluded.outcome_id
