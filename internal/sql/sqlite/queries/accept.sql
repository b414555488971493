-- ?1 outcome id, ?2 key, ?3 tenant or '', ?4 reason
INSERT INTO accepted_outcomes (outcome_id, request_key, tenant_id, reason)
VALUES (?1, ?2, nullif(?3, ''), ?4)
ON CONFLICT (outcome_id) DO NOTHING
