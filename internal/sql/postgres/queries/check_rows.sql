-- Fails with a division by zero unless both rows exist: a trigger, a rule or a row policy can discard what was written.
-- $1 tenant, $2 its schema, $3 key, $4 outcome id
SELECT 1 / count(*)
FROM {registry}.tenant_registry t, {registry}.tenant_requests r
WHERE t.tenant_id = $1::text AND t.schema_name = $2::text
    AND r.request_key = $3::text AND r.state = 'provisioned' AND r.outcome_id = $4::text::uuid
