-- Records the failure of a message that is not an event, unless it is recorded already.
-- ?1 key, ?2 stream, ?3 sequence, ?4 replay, ?5 step, ?6 cause code, ?7 message, ?8 outcome id, ?9 outcome, ?10
-- delivery, ?11 now
INSERT INTO tenant_requests
    (request_key, source, request_id, state, replay, attempts, last_step, last_cause, last_error, outcome_id, outcome, claim,
    history, created_at, updated_at)
VALUES (?1, ?2, ?3, 'failed', ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10,
    json_array(json_object('at', ?11, 'event', 'failed', 'replay', ?4, 'attempt', 1, 'step', ?5, 'cause', ?6,
        'error', substr(?7, 1, 1000))),
    ?11, ?11)
ON CONFLICT (request_key) DO NOTHING
