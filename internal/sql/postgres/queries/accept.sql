-- $1 outcome id, $2 key, $3 tenant or '', $4 reason
INSERT INTO {registry}.accepted_outcomes (outcome_id, request_key, tenant_id, reason)
VALUES ($1::text, $2::text, nullif($3::text, ''), $4::text)
ON CONFLICT (outcome_id) DO NOTHING
