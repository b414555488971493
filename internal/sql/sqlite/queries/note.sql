-- Records the result of an attempt that will be retried. A refunded attempt does not count. An attempt that is no
-- longer the last records nothing.
-- ?1 key, ?2 replay, ?3 step, ?4 code, ?5 text, ?6 refund the attempt: 1 or 0, ?7 now, ?8 attempt, ?9 its claim or ''
UPDATE tenant_requests SET
    last_step = nullif(?3, ''),
    last_cause = nullif(?4, ''),
    last_error = nullif(?5, ''),
    attempts = max(attempts - ?6, 0),
    history = json_insert(
        CASE WHEN json_array_length(history) < 100 THEN history ELSE json_remove(history, '$[0]') END,
        '$[#]', json_patch('{}', json_object('at', ?7, 'event', CASE WHEN ?6 THEN 'refunded' ELSE 'retry' END,
            'replay', replay, 'attempt', attempts, 'step', nullif(?3, ''), 'cause', nullif(?4, ''),
            'error', nullif(substr(?5, 1, 1000), '')))),
    updated_at = ?7
WHERE request_key = ?1 AND replay = ?2 AND outcome IS NULL AND attempts = ?8 AND coalesce(claim, '') = ?9
