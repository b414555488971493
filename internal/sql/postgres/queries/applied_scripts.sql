-- The scripts that registered tenants have: name, hash, how many tenants have it, and the first of them.
SELECT a.name, a.sha256, count(*), min(a.tenant_id)
FROM {registry}.applied_scripts a
JOIN {registry}.tenant_registry t ON t.tenant_id = a.tenant_id
GROUP BY a.name, a.sha256
ORDER BY a.name, a.sha256
