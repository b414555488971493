-- Schemas registered both here and in a neighbour's registry. $1 the maximum to read. (No placeholder in a comment: see
-- meeting_schema.sql.)
SELECT theirs.schema_name::text
FROM {neighbour}.tenant_registry theirs
JOIN {registry}.tenant_registry ours ON ours.schema_name = theirs.schema_name
ORDER BY 1
LIMIT $1::integer
