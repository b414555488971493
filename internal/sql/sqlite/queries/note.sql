-- What became of an attempt that is to be repeated; a refunded one does not count.
-- ?1 key, ?2 replay, ?3 step, ?4 code, ?5 text, ?6 give the attempt back: 1 or 0, ?7 now
UPDATE tenant_requests SET
    last_step = nullif(?3, ''),
    last_cause = nullif(?4, ''),
    last_error = nullif(?5, ''),
    attempts = max(attempts - ?6, 0),
    updated_at = ?7
WHERE request_key = ?1 AND replay = ?2 AND outcome IS NULL
