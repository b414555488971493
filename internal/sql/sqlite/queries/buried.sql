-- The dead letter of this outcome is in its stream. ?1 key, ?2 outcome id
UPDATE tenant_requests SET buried = outcome_id
WHERE request_key = ?1 AND outcome_id = ?2 AND state = 'failed'
