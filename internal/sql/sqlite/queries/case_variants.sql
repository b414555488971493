-- Ids that differ only in case. ?1 maximum of pairs
SELECT min(tenant_id), max(tenant_id)
FROM tenant_registry
GROUP BY lower(tenant_id)
HAVING count(*) > 1
ORDER BY 1
LIMIT ?1
