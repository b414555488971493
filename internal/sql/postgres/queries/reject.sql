-- Records the failure of a message that is not an event, unless it is recorded already.
-- $1 key, $2 stream, $3 sequence, $4 replay, $5 step, $6 cause code, $7 message, $8 outcome id, $9 outcome, $10
-- delivery
INSERT INTO {registry}.tenant_requests
    (request_key, source, request_id, state, replay, attempts, last_step, last_cause, last_error, outcome_id, outcome, claim,
    history, created_at, updated_at)
VALUES ($1::text, $2::text, $3::text, 'failed', $4::integer, 1, $5::text, $6::text, $7::text, $8::text::uuid, $9::text::json,
    $10::text,
    jsonb_build_array(jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text, 'event', 'failed',
        'replay', $4::integer, 'attempt', 1, 'step', $5::text, 'cause', $6::text, 'error', left($7::text, 1000))),
    clock_timestamp() AT TIME ZONE 'utc', clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (request_key) DO NOTHING
