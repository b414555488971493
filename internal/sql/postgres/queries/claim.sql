-- Claims a further attempt, unless there is an outcome already, or the last attempt may still be running. A claim that
-- is repeated because its confirmation was lost is the same attempt. The lease is short if the message of the last
-- attempt is redelivered, and long for all other messages. One that began further in the future than it is long has
-- expired too: a clock was ahead.
-- Parameters: those of begin_request.sql, $7 maximum of attempts, $8 lease in seconds, $9 prefix of this message's
-- delivery names or '', $10 lease for others
{begin_request}
ON CONFLICT (request_key) DO UPDATE SET
    state = 'running',
    replay = greatest(r.replay, excluded.replay),
    attempts = CASE
        WHEN excluded.replay > r.replay THEN 1
        WHEN r.claim = excluded.claim THEN r.attempts
        ELSE least(r.attempts, $7::integer) + 1 END,
    claim = excluded.claim,
    outcome_id = NULL,
    outcome = NULL,
    history = CASE
        WHEN excluded.replay <= r.replay AND r.claim = excluded.claim THEN r.history
        ELSE CASE WHEN jsonb_array_length(r.history) < 100 THEN r.history ELSE r.history - 0 END
            || jsonb_build_object('at', (clock_timestamp() AT TIME ZONE 'utc')::text,
                'event', 'begun', 'replay', greatest(r.replay, excluded.replay),
                'attempt', CASE WHEN excluded.replay > r.replay THEN 1 ELSE least(r.attempts, $7::integer) + 1 END)
        END,
    updated_at = clock_timestamp() AT TIME ZONE 'utc'
WHERE r.state <> 'provisioned'
    AND (excluded.replay > r.replay
        OR r.state = 'running' AND (r.attempts < $7::integer
            OR r.claim = excluded.claim
            OR abs(extract(epoch FROM clock_timestamp() AT TIME ZONE 'utc' - r.updated_at)) >= CASE
                WHEN $9::text <> '' AND starts_with(r.claim, $9::text) THEN $8::double precision
                ELSE $10::double precision END))
