-- The registered id that equals $1 without regard to case; the same spelling first.
SELECT tenant_id
FROM {registry}.tenant_registry
WHERE lower(tenant_id) = lower($1::text)
ORDER BY tenant_id = $1::text DESC
LIMIT 1
