-- The plans of the registered tenants, with their numbers. $1 number of rows
SELECT plan, count(*)
FROM {registry}.tenant_registry
WHERE plan IS NOT NULL
GROUP BY plan
ORDER BY plan
LIMIT $1::integer
