-- Records the outcome of a request, unless there is one already. Only the last attempt may record a failure: a late
-- earlier attempt must not end one that is running. An attempt that provisions has done the work.
-- ?1 key, ?2 replay, ?3 state, ?4 step, ?5 cause code, ?6 message, ?7 outcome id, ?8 outcome, ?9 now, ?10 attempt
UPDATE tenant_requests SET
    state = ?3,
    last_step = nullif(?4, ''),
    last_cause = nullif(?5, ''),
    last_error = nullif(?6, ''),
    outcome_id = ?7,
    outcome = ?8,
    history = json_insert(
        CASE WHEN json_array_length(history) < 100 THEN history ELSE json_remove(history, '$[0]') END,
        '$[#]', json_patch('{}', json_object('at', ?9, 'event', ?3, 'replay', replay, 'attempt', attempts,
            'step', nullif(?4, ''), 'cause', nullif(?5, ''), 'error', nullif(substr(?6, 1, 1000), '')))),
    updated_at = ?9
WHERE request_key = ?1 AND replay = ?2 AND outcome IS NULL AND (?3 <> 'failed' OR attempts = ?10)
