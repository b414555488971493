-- Schemas that are registered here and in another registry. $1 the most that are read
SELECT theirs.schema_name::text
FROM {neighbour}.tenant_registry theirs
JOIN {registry}.tenant_registry ours ON ours.schema_name = theirs.schema_name
ORDER BY 1
LIMIT $1::integer
