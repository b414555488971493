-- Records that the dead letter of this outcome is in its stream. ?1 key, ?2 outcome id, ?3 the delivery that it was
-- confirmed for, ?4 when that stream was created
UPDATE tenant_requests SET buried = outcome_id, buried_in = ?4, claim = ?3
WHERE request_key = ?1 AND outcome_id = ?2 AND state = 'failed'
