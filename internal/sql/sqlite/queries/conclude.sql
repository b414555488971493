-- Record the outcome of a request, unless there is one already.
-- ?1 key, ?2 replay, ?3 state, ?4 step, ?5 cause code, ?6 message, ?7 outcome id, ?8 outcome, ?9 now
UPDATE tenant_requests SET
    state = ?3,
    last_step = nullif(?4, ''),
    last_cause = nullif(?5, ''),
    last_error = nullif(?6, ''),
    outcome_id = ?7,
    outcome = ?8,
    updated_at = ?9
WHERE request_key = ?1 AND replay = ?2 AND outcome IS NULL
