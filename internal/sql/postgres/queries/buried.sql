-- The dead letter of this outcome is in its stream. $1 key, $2 outcome id
UPDATE {registry}.tenant_requests SET buried = outcome_id
WHERE request_key = $1::text AND outcome_id = $2::text::uuid AND state = 'failed'
