-- Records the outcome of a request that the ledger has lost, or replaces a row without it. What the row had before is
-- kept in its history.
-- ?1 key, ?2 source, ?3 id, ?4 tenant or '', ?5 state, ?6 replay, ?7 attempts, ?8 step, ?9 cause code, ?10 message, ?11
-- outcome id, ?12 outcome, ?13 time of the outcome, ?14 now
INSERT INTO tenant_requests
    (request_key, source, request_id, tenant_id, state, replay, attempts, last_step, last_cause, last_error, outcome_id,
    outcome, history, created_at, updated_at)
VALUES (?1, ?2, ?3, nullif(?4, ''), ?5, ?6, ?7, nullif(?8, ''), nullif(?9, ''), nullif(?10, ''), ?11, ?12,
    json_array(json_patch('{}', json_object('at', ?14, 'event', 'restored', 'replay', ?6, 'attempt', ?7,
        'step', nullif(?8, ''), 'cause', nullif(?9, ''), 'error', nullif(substr(?10, 1, 1000), '')))),
    ?13, ?13)
ON CONFLICT (request_key) DO UPDATE SET
    tenant_id = excluded.tenant_id, state = excluded.state, replay = excluded.replay, attempts = excluded.attempts,
    last_step = excluded.last_step, last_cause = excluded.last_cause, last_error = excluded.last_error,
    outcome_id = excluded.outcome_id, outcome = excluded.outcome, claim = NULL, updated_at = excluded.updated_at,
    history = json_insert(
        CASE WHEN json_array_length(history) < 100 THEN history ELSE json_remove(history, '$[0]') END,
        '$[#]', json(excluded.history->'$[0]'))
