-- The registered id that equals $1 without regard to case; the exact spelling first. "C": in a Turkish database I and i
-- are not a pair.
SELECT tenant_id
FROM {registry}.tenant_registry
WHERE lower(tenant_id COLLATE "C") = lower($1::text COLLATE "C")
ORDER BY tenant_id = $1::text DESC
LIMIT 1
