-- Ids that differ only in case. $1 maximum of pairs
SELECT min(tenant_id COLLATE "C"), max(tenant_id COLLATE "C")
FROM {registry}.tenant_registry
GROUP BY lower(tenant_id COLLATE "C")
HAVING count(*) > 1
ORDER BY 1
LIMIT $1::integer
