-- Records the outcome of a request, unless there is one already. Only the last attempt may record a failure: a late
-- earlier attempt must not end one that is running. An attempt that provisions has locked the row and done the work.
-- $1 key, $2 replay, $3 state, $4 step, $5 cause code, $6 message, $7 outcome id, $8 outcome, $9 attempt
UPDATE {registry}.tenant_requests SET
    state = $3::text,
    last_step = nullif($4::text, ''),
    last_cause = nullif($5::text, ''),
    last_error = nullif($6::text, ''),
    outcome_id = $7::text::uuid,
    outcome = $8::text::json,
    history = CASE WHEN jsonb_array_length(history) < 100 THEN history ELSE history - 0 END
        || jsonb_strip_nulls(jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
            'event', $3::text, 'replay', replay, 'attempt', attempts,
            'step', nullif($4::text, ''), 'cause', nullif($5::text, ''), 'error', nullif(left($6::text, 1000), ''))),
    updated_at = clock_timestamp() AT TIME ZONE 'utc'
WHERE request_key = $1::text AND replay = $2::integer AND outcome IS NULL
    AND ($3::text <> 'failed' OR attempts = $9::integer)
