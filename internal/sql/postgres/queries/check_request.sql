-- Fails with a division by zero unless the ledger has the outcome: a trigger, a rule or a row policy can discard what
-- was written. $1 key, $2 outcome id
SELECT 1 / count(*) FROM {registry}.tenant_requests WHERE request_key = $1::text AND outcome_id = $2::text::uuid
