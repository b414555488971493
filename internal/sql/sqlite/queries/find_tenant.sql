-- The registered id that equals ?1 without regard to case; the exact spelling first.
SELECT tenant_id
FROM tenant_registry
WHERE tenant_id = ?1 COLLATE NOCASE
ORDER BY tenant_id = ?1 DESC
LIMIT 1
