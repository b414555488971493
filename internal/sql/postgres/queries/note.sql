-- Records the result of an attempt that will be retried. A refunded attempt does not count. An attempt that is no
-- longer the last records nothing.
-- $1 key, $2 replay, $3 step, $4 code, $5 text, $6 refund the attempt, $7 attempt, $8 its claim or ''
UPDATE {registry}.tenant_requests SET
    last_step = nullif($3::text, ''),
    last_cause = nullif(left($4::text, 50), ''),
    last_error = nullif($5::text, ''),
    attempts = greatest(attempts - $6::boolean::integer, 0),
    history = CASE WHEN jsonb_array_length(history) < 100 THEN history ELSE history - 0 END
        || jsonb_strip_nulls(jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
            'event', CASE WHEN $6::boolean THEN 'refunded' ELSE 'retry' END, 'replay', replay, 'attempt', attempts,
            'step', nullif($3::text, ''), 'cause', nullif($4::text, ''), 'error', nullif(left($5::text, 1000), ''))),
    updated_at = clock_timestamp() AT TIME ZONE 'utc'
WHERE request_key = $1::text AND replay = $2::integer AND outcome IS NULL
    AND attempts = $7::integer AND coalesce(claim, '') = $8::text
